// A headless Chromium of the run's own.

import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import puppeteer from "puppeteer-core";
import { folder } from "./harness.mjs";

/** Starts one, which trusts this authority, if any, besides those it trusts anyway. */
export async function launch(authority) {
  const home = folder();
  if (authority) {
    // On Linux those are of its user's database.
    const database = path.join(home, ".pki/nssdb");
    fs.mkdirSync(database, { recursive: true });
    execFileSync("certutil", ["-N", "-d", `sql:${database}`, "--empty-password"]);
    execFileSync("certutil", ["-A", "-d", `sql:${database}`, "-n", "trial", "-t", "C,,", "-i", authority]);
  }
  const browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM,
    userDataDir: path.join(home, "profile"),
    env: { ...process.env, HOME: home },
    // In a container there are no namespaces for its sandbox; the pages here are the tests' own.
    args: ["--no-sandbox", "--disable-dev-shm-usage"],
  });
  process.on("exit", () => browser.process()?.kill("SIGKILL"));
  return browser;
}
