// Clients that are programs of another language: they print `ok: …` for each case, and `do: …` where an operator is to do something.

import { Program, inTime, take } from "./harness.mjs";
import { authority, backend, first, gateway, operator, token } from "./behind.mjs";

/** Runs a program to its end, each of its cases being one here. */
export async function foreign(name, command, args, cases) {
  const addresses = { WS: gateway.url("", "ws"), WSS: gateway.url("", "wss", "secure"), PAGE: gateway.url("", "http") };
  const env = { ...process.env, ...addresses, TOKEN: token, FIRST: first, AUTHORITY: authority, BACKEND: `127.0.0.1:${backend}` };
  const program = new Program(command, args, { env, stdio: ["pipe", "pipe", "pipe"] });

  /** Until it says that this case is done, what it asks for is done. */
  async function until(says) {
    for (;;) {
      const [, kind, rest] = await program.says(/^(ok|do): (.*)/);
      if (kind === "ok" && rest === says) return;
      if (kind === "ok") throw new Error(`${name} says "${rest}"`);
      await operator[rest]();
      program.child.stdin.write("done\n");
    }
  }

  const ends = async () => {
    program.child.stdin.end();
    const code = await inTime(program.ended, "its end");
    if (code !== 0) throw new Error(program.lines.slice(-20).join("\n"));
  };
  const last = cases.at(-1);
  await take(name, Object.fromEntries(cases.map((says) => [says, () => until(says).then(says === last ? ends : undefined)])));
}
