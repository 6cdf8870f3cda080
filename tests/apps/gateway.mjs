// A gateway on the file of an example, with ports of its own.

import { execFile } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { Program, folder } from "./program.mjs";

const WSGATE = process.env.WSGATE;
export const PACKAGE = process.env.PACKAGE;
export const EXAMPLES = path.join(PACKAGE, "examples/configs");

/** One that runs, and what an operator does with it. */
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
