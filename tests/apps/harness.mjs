// What every application here needs: a gateway, waiting in bounded time, and cases taken one after the other.

import { Gateway } from "./gateway.mjs";
import { inTime } from "./program.mjs";

export * from "./gateway.mjs";
export * from "./program.mjs";

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
