// Programs, ports and folders of a run, which end with it, and waiting for them in bounded time.

import { spawn } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import readline from "node:readline";

const PATIENCE = 60_000; // ms for anything: a bound, never a measure

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
