// Vite's own server, and what its client in a page does: asks for modules, takes changes over a socket, and waits for a restart.
// The page is docs/cookbook/vite.md.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { createServer } from "vite";
import WebSocket from "ws";
import { launch } from "./browser.mjs";
import { Gateway, event, folder, freePort, take } from "./harness.mjs";

// The name of a temporary folder may be a link's, which Vite does not serve behind.
const root = fs.realpathSync(folder());
const write = (name, text) => fs.writeFileSync(path.join(root, name), text);
write("index.html", '<!doctype html><title>page</title><p id="said"></p><script type="module" src="/main.js"></script>');
write("said.js", 'export const said = "one";');
const accepts = "import.meta.hot.accept('./said.js', (changed) => (show(changed.said)));";
write(
  "main.js",
  `import { said } from "./said.js";\nconst show = (text) => (document.querySelector("#said").textContent = text);\nshow(said);\n${accepts}`,
);

const port = await freePort();
const settings = { root, configFile: false, logLevel: "error", cacheDir: path.join(root, ".vite") };
const serve = async () => (await createServer({ ...settings, server: { host: "127.0.0.1", port, strictPort: true } })).listen();
let vite = await serve();
const gateway = await Gateway.example("vite", { 9001: port });
const page = async (at) => (await fetch(gateway.url(at, "http"))).text();

/** The socket that the client of a page opens: with the token that stands in it. */
async function hot(subprotocol = "vite-hmr", options = {}) {
  const token = (await page("/@vite/client")).match(/wsToken = "([^"]+)"/)[1];
  const socket = new WebSocket(gateway.url(`/?token=${token}`), subprotocol, options);
  socket.said = [];
  socket.on("message", (data) => socket.said.push(JSON.parse(data)));
  return socket;
}

/** The next message of this type, or one that came and nobody has taken yet. */
async function says(socket, type) {
  for (;;) {
    const at = socket.said.findIndex((one) => one.type === type);
    if (at >= 0) return socket.said.splice(at, 1)[0];
    await event(socket, "message");
  }
}

/** Saves a module, until that has been seen: of two changes within 50 ms Vite's watcher drops the second. */
async function save(text, seen) {
  const saves = () => write("said.js", `export const said = "${text}";`);
  const again = setInterval(saves, 200);
  saves();
  return seen.finally(() => clearInterval(again));
}

let socket;

/** Has the change of a module come over this socket, as it is saved. */
async function changes(text) {
  await page("/main.js");
  await page("/said.js");
  socket.said.length = 0;
  const [{ acceptedPath, timestamp }] = (await save(text, says(socket, "update"))).updates;
  assert.match(await page(`${acceptedPath}?t=${timestamp}`), new RegExp(text));
}

/** With a browser at hand, the real client of a page. */
const inBrowser = {
  async "in Chromium a page changes as its modules are saved, and is not loaded anew"() {
    const browser = await launch();
    const shown = await browser.newPage();
    await shown.goto(gateway.url("/", "http"));
    await shown.evaluate(() => (window.loaded = "once"));
    const shows = (text) => shown.waitForFunction((text) => document.querySelector("#said").textContent === text, {}, text);
    for (const text of ["six", "seven"]) await save(text, shows(text));
    // An edit of the gateway's file is none of the page's business.
    await gateway.edit('"10.0.0.0/8"', '"10.0.0.0/9"');
    await save("eight", shows("eight"));
    assert.equal(await shown.evaluate(() => window.loaded), "once");
    // Who is kicked asks until the server is there, and loads the page anew.
    await gateway.kick();
    await shown.waitForFunction(() => window.loaded === undefined);
    await shows("eight");
    await shown.evaluate(() => (window.loaded = "again"));
    await vite.close();
    vite = await serve();
    await shown.waitForFunction(() => window.loaded === undefined);
    await shows("eight");
    await browser.close();
  },
};

await take("vite", {
  async "the page and its modules come through"() {
    assert.match(await page("/"), /@vite\/client/);
    assert.match(await page("/main.js"), /said\.js/);
    // As it is told by the page that loads it, the client comes back to the gateway and not to Vite's own port.
    assert.match(await page("/@vite/client"), /importMetaUrl\.port/);
  },
  async "a change that is saved is told over the socket, and fetched"() {
    socket = await hot();
    await says(socket, "connected");
    assert.equal(socket.protocol, "vite-hmr");
    await changes("two");
  },
  async "the page of somebody else gets no socket, and Vite is not asked"() {
    const [, response] = await event(await hot("vite-hmr", { origin: "https://evil.example" }), "unexpected-response");
    assert.equal(response.statusCode, 403);
    assert.equal((await event(await hot("vite-hmr", { origin: gateway.url("", "http") }), "open")) ?? "in", "in");
  },
  async "an edit of the file does not reach the page"() {
    const { closed } = await gateway.edit('"192.168.0.0/16"', '"192.168.0.0/16", "172.16.0.0/12"');
    assert.equal(closed, 0);
    await changes("three");
  },
  async "who is kicked asks with vite-ping whether the server is there, and connects anew"() {
    const closed = event(socket, "close");
    assert.ok((await gateway.kick()) >= 1);
    assert.equal((await closed)[0], 3003);
    await event(await hot("vite-ping"), "open");
    socket = await hot();
    await says(socket, "connected");
    await changes("four");
  },
  async "while Vite is away a vite-ping fails, and when it is back succeeds"() {
    const closed = event(socket, "close");
    await vite.close();
    await closed;
    const ping = new WebSocket(gateway.url("/"), "vite-ping");
    assert.equal((await event(ping, "unexpected-response"))[1].statusCode, 502);
    vite = await serve();
    await event(await hot("vite-ping"), "open");
    socket = await hot();
    await says(socket, "connected");
    await changes("five");
  },
  ...(process.env.CHROMIUM ? inBrowser : {}),
});
