// What every application here needs: a gateway on an example's file, with ports of its own, and cases taken one after the other.

import { execFile, spawn } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import readline from "node:readline";
import { promisify } from "node:util";

const PATIENCE = 60_000; // ms for anything: a bound, never a measure
const WSGATE = process.env.WSGATE;
export const PACKAGE = process.env.PACKAGE;
export const EXAMPLES = path.join(PACKAGE, "examples/configs");

// What is started ends with the script, however that ends.
const started = new Set();
const folders = new Set();
process.on("exit", () => {
  started.forEach((child) => child.kill("SIGKILL"));
  folders.forEach((made) => fs.rmSync(made, { recursive: true, force: true }));
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));

/** Resolves as the promise does, or rejects by naming what was waited for. */
export function inTime(promise, what) {
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(`waited in vain for: ${what}`)), PATIENCE)));
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** What a socket, a server or a provider emits next under this name. */
export function event(emitter, name) {
  return inTime(new Promise((resolve) => emitter.once(name, (...values) => resolve(values.length > 1 ? values : values[0]))), name);
}

/** A port that was free a moment ago, for programs that cannot choose one and say which. */
export async function freePort() {
  const server = net.createServer().listen(0, "127.0.0.1");
  await event(server, "listening");
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Until somebody takes connections on this port. */
export async function listens(port) {
  const tried = () =>
    new Promise((resolve) => {
      const socket = net.connect(port, "127.0.0.1", () => resolve(true));
      socket.on("error", () => resolve(false)).on("connect", () => socket.destroy());
    });
  const until = async () => {
    while (!(await tried())) await new Promise((resolve) => setTimeout(resolve, 50));
  };
  return inTime(until(), `somebody on port ${port}`);
}

/** A folder of the run's own, gone when it ends. */
export function folder() {
  const made = fs.mkdtempSync(path.join(os.tmpdir(), "apps-"));
  folders.add(made);
  return made;
}

/** A program whose lines can be waited for. */
export class Program {
  constructor(command, args, options = {}) {
    this.lines = [];
    this.seen = 0;
    this.waiting = new Set();
    this.child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
    started.add(this.child);
    this.ended = new Promise((resolve) => this.child.on("close", resolve).on("error", resolve));
    for (const output of [this.child.stdout, this.child.stderr])
      readline.createInterface({ input: output }).on("line", (line) => this.#take(line));
    this.ended.then(() => started.delete(this.child));
  }

  #take(line) {
    this.lines.push(line);
    this.waiting.forEach((look) => look());
  }

  /** The next line that matches, of those that no call has waited for yet. */
  says(pattern) {
    const found = new Promise((resolve, reject) => {
      this.ended.then((how) => reject(new Error(`${this.child.spawnfile} has ended with ${how}:\n${this.lines.slice(-10).join("\n")}`)));
      const look = () => {
        while (this.seen < this.lines.length) {
          const match = this.lines[this.seen++].match(pattern);
          if (match) {
            this.waiting.delete(look);
            return resolve(match);
          }
        }
      };
      this.waiting.add(look);
      look();
    });
    return inTime(found, pattern);
  }

  async stop(signal = "SIGTERM") {
    this.child.kill(signal);
    return inTime(this.ended, "its end");
  }
}

/** A gateway. */
export class Gateway {
  static all = [];

  /** Serves this file, with `servers` in the places of those it names; beside it are the files of the examples, and an empty list. */
  static async run(file, servers) {
    const gateway = new Gateway();
    const beside = folder();
    fs.writeFileSync(path.join(beside, "denied.txt"), "");
    for (const name of fs.readdirSync(EXAMPLES).filter((name) => !name.endsWith(".toml"))) {
      fs.copyFileSync(path.join(EXAMPLES, name), path.join(beside, name));
    }
    gateway.folder = beside;
    gateway.file = path.join(beside, "gateway.toml");
    let text = fs.readFileSync(file, "utf8").replace(/^(\s*address\s*=\s*)"127\.0\.0\.1:\d+"/gm, '$1"127.0.0.1:0"');
    for (const [known, port] of Object.entries(servers)) {
      if (!text.includes(`127.0.0.1:${known}`)) throw new Error(`${file} has no server on ${known}`);
      text = text.replaceAll(`127.0.0.1:${known}`, `127.0.0.1:${port}`);
    }
    fs.writeFileSync(gateway.file, text);
    gateway.program = new Program(WSGATE, ["run", "--config", gateway.file]);
    Gateway.all.push(gateway);
    await gateway.logs(/ started /);
    const listening = gateway.program.lines.map((line) => line.match(/ listening listener=(\S+) address=(\S+)/)).filter(Boolean);
    gateway.addresses = Object.fromEntries(listening.map(([, name, address]) => [name, address]));
    return gateway;
  }

  /** Serves the example of this name. */
  static example(name, servers) {
    return Gateway.run(path.join(EXAMPLES, `${name}.toml`), servers);
  }

  url(at = "/", scheme = "ws", listener = "public") {
    return `${scheme}://${this.addresses[listener]}${at}`;
  }

  logs(pattern) {
    return this.program.says(pattern);
  }

  /** What a command of wsgate prints, given this gateway's file. */
  async command(...args) {
    const { stdout } = await promisify(execFile)(WSGATE, [...args, "--config", this.file]);
    return stdout.trim();
  }

  /** A token of this user. */
  token(user = "alice", stage = "jwt.users") {
    return this.command("token", "--stage", stage, "--sub", user);
  }

  /** Saves the file otherwise, as an operator does, and says what became of the connections once that is in force. */
  async edit(from, to) {
    const text = fs.readFileSync(this.file, "utf8");
    if (!text.includes(from)) throw new Error(`the file has no ${from}`);
    // Of what was put in force before it is not asked.
    this.program.seen = this.program.lines.length;
    fs.writeFileSync(this.file, text.replace(from, to));
    const [line, event] = await this.logs(/ (reloaded|reload_failed|reload_refused) .*/);
    if (event !== "reloaded") throw new Error(line);
    const count = (name) => Number(line.match(new RegExp(`connections_${name}=(\\d+)`))[1]);
    return { kept: count("kept"), adopted: count("adopted"), closed: count("closed") };
  }

  /** Ends everybody's connections, and says how many those were. */
  async kick(...how) {
    return Number((await this.command("kick", "--all", ...how)).match(/ended (\d+)/)[1]);
  }

  async stop() {
    // The second signal does not wait for clients.
    this.program.child.kill("SIGTERM");
    const ended = await this.program.stop();
    const wrong = this.program.lines.find((line) => / internal_error |panicked/.test(line));
    if (ended !== 0 || wrong) throw new Error(`the gateway ended with ${ended}: ${wrong}`);
  }
}

/** Takes each case, in bounded time, and says so; with the end of the gateway's log where one fails. */
export async function take(name, cases) {
  const began = Date.now();
  try {
    for (const [says, hold] of Object.entries(cases)) {
      await inTime(hold(), says).catch((error) => {
        console.log(`failed: ${says}`);
        throw error;
      });
      console.log(`ok: ${says}`);
    }
    for (const gateway of Gateway.all) await gateway.stop();
  } catch (error) {
    console.log(error);
    for (const gateway of Gateway.all) console.log(gateway.program.lines.slice(-20).join("\n"));
    console.log(`${name}: failed`);
    process.exit(1);
  }
  console.log(`${name}: ${Object.keys(cases).length} passed, 0 failed (${((Date.now() - began) / 1000).toFixed(1)} s)`);
  process.exit(0);
}
