// socket.io and its own client, polling first: the page is docs/cookbook/socketio.md.

import assert from "node:assert/strict";
import http from "node:http";
import { Server } from "socket.io";
import { io } from "socket.io-client";
import { launch } from "./browser.mjs";
import { Gateway, event, take } from "./harness.mjs";

const ORIGIN = "https://app.example.com";

/** A server of this name, that says who it is and whom it takes the client for. */
async function serve(name, port = 0) {
  const listener = http.createServer().listen(port, "127.0.0.1");
  await event(listener, "listening");
  const server = new Server(listener, { cors: { origin: ORIGIN, credentials: true } });
  server.on("connection", (socket) => {
    const { url, headers } = socket.handshake;
    socket.emit("welcome", { server: name, user: headers["x-user"], url });
    socket.on("echo", (...values) => values.pop()(...values));
  });
  return { server, port: listener.address().port };
}

const servers = [await serve("one"), await serve("two")];
const gateway = await Gateway.example("socketio", { 9001: servers[0].port, 9002: servers[1].port });
const token = await gateway.token();
const clients = [];

/** A client as the page writes one; outside a browser, cookies are kept where `withCredentials` says so. */
function client(options = {}) {
  const made = io(gateway.url("/", "http"), {
    query: { token },
    withCredentials: true,
    forceNew: true,
    reconnectionDelay: 100,
    ...options,
  });
  clients.push(made);
  return made;
}

const first = client();
let home;

/** With a browser at hand: it keeps its cookie from one connection to the next, which the client outside of one does not. */
const inBrowser = {
  async "in Chromium a page that is kicked comes back to the server it was at, time and again"() {
    const browser = await launch();
    const page = await browser.newPage();
    // Of the gateway's own origin, so that its cookies are the page's; the client's script comes through it, too.
    const script = `/socket.io/socket.io.js?token=${token}`;
    await page.goto(gateway.url(script, "http"));
    await page.addScriptTag({ url: script });
    await page.evaluate((token) => {
      window.welcomes = [];
      window.socket = window.io({ query: { token } });
      window.socket.on("welcome", ({ server }) => window.welcomes.push(server));
    }, token);
    for (let times = 1; times <= 4; times++) {
      await page.waitForFunction(
        (times) => window.welcomes.length === times && window.socket.io.engine.transport.name === "websocket",
        {},
        times,
      );
      await gateway.kick();
    }
    const homes = new Set(await page.evaluate(() => window.welcomes));
    assert.equal(homes.size, 1);
    await browser.close();
  },
};

await take("socketio", {
  async "a client polls, and goes over to WebSocket, at the same server all the while"() {
    const upgraded = new Promise((resolve) => first.io.once("open", () => first.io.engine.once("upgrade", resolve)));
    const welcome = await event(first, "welcome");
    assert.deepEqual([welcome.user, welcome.url.includes("token")], ["alice", false], JSON.stringify(welcome));
    assert.equal((await upgraded).name, "websocket");
    home = welcome.server;
  },
  async "twelve clients find each its own server, through polls alone and through both"() {
    const seen = new Set();
    for (let number = 0; number < 12; number++) {
      const transports = number % 2 ? ["polling"] : ["polling", "websocket"];
      const one = client({ transports });
      seen.add((await event(one, "welcome")).server);
      assert.equal(await one.timeout(20_000).emitWithAck("echo", number), number);
    }
    assert.deepEqual([...seen].sort(), ["one", "two"]);
    clients.splice(1).forEach((one) => one.close());
  },
  async "texts, acknowledgements and binary attachments pass both ways"() {
    const data = { text: "grüße ".repeat(1000), bytes: Buffer.alloc(300_000, 7) };
    assert.deepEqual(await first.emitWithAck("echo", data), data);
  },
  async "without a token there is neither a poll nor a socket"() {
    for (const transports of [["polling"], ["websocket"]]) {
      const error = await event(client({ query: {}, transports, reconnection: false }), "connect_error");
      assert.match(`${error.description} ${error.description?.message} ${error.context?.status}`, /401/);
    }
  },
  async "a page of a foreign origin gets neither, and the one that is named gets both"() {
    for (const transports of [["polling"], ["websocket"]]) {
      const from = (origin) => client({ transports, reconnection: false, extraHeaders: { origin } });
      const error = await event(from("https://evil.example"), "connect_error");
      assert.match(`${error.description} ${error.description?.message} ${error.context?.status}`, /403/);
      assert.equal((await event(from(ORIGIN), "welcome")).user, "alice");
    }
    clients.splice(1).forEach((one) => one.close());
  },
  async "an edit beside the route does not reach the client"() {
    const beside = '[gateway]\nreload = { spread = "1s" }\n\n[route.other]\npath = "/other"\nendpoint = "echo"\n\n[upstream.socketio]';
    assert.equal((await gateway.edit("[upstream.socketio]", beside)).closed, 0);
    assert.equal(await first.emitWithAck("echo", "undisturbed"), "undisturbed");
  },
  async "an edit of the route has it come back"() {
    const [left, back] = [event(first, "disconnect"), event(first, "welcome")];
    assert.equal((await gateway.edit('max_body = "1MiB"', 'max_body = "2MiB"')).closed, 1);
    assert.equal((await left)[0], "transport close");
    assert.equal((await back).user, "alice");
  },
  async "who is kicked comes back"() {
    const back = event(first, "welcome");
    assert.ok((await gateway.kick()) >= 1);
    home = (await back).server;
  },
  async "a server that goes away leaves its clients to the other"() {
    const [at, other] = home === "one" ? [0, "two"] : [1, "one"];
    const back = event(first, "welcome");
    await servers[at].server.close();
    assert.equal((await back).server, other);
    await serve(home, servers[at].port);
    assert.equal(await first.emitWithAck("echo", "still here"), "still here");
  },
  ...(process.env.CHROMIUM ? inBrowser : {}),
});
