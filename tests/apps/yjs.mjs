// Yjs: two servers of y-websocket, and its own provider on the clients' side. The page is docs/cookbook/yjs.md.

import assert from "node:assert/strict";
import http from "node:http";
import { docs, setupWSConnection } from "@y/websocket-server/utils";
import WebSocket, { WebSocketServer } from "ws";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";
import { Gateway, event, inTime, take } from "./harness.mjs";

/** A server; the library keeps its documents by name for the whole process, so that each server puts its own before. */
async function serve(name, port = 0) {
  const listener = http.createServer().listen(port, "127.0.0.1");
  await event(listener, "listening");
  const sockets = new WebSocketServer({ server: listener });
  sockets.on("connection", (socket, request) => {
    asked.push({ server: name, url: request.url, user: request.headers["x-user"] });
    setupWSConnection(socket, request, { docName: `${name}${request.url.split("?")[0]}` });
  });
  const stop = () => {
    sockets.clients.forEach((one) => one.terminate());
    return new Promise((resolve) => listener.close(resolve));
  };
  return { port: listener.address().port, stop };
}

const asked = [];
const servers = { one: await serve("one"), two: await serve("two") };
const gateway = await Gateway.example("yjs", { 9001: servers.one.port, 9002: servers.two.port });
const token = await gateway.token();
const providers = [];

/** Somebody with a document open, as the page has it. */
function open(document, params = { token }, options = {}) {
  const provider = new WebsocketProvider(gateway.url("/documents"), document, new Y.Doc(), {
    params: { document, ...params },
    WebSocketPolyfill: WebSocket,
    disableBc: true,
    maxBackoffTime: 200,
    ...options,
  });
  providers.push(provider);
  return provider;
}

const until = (what, holds, on, name) =>
  inTime(
    new Promise((resolve) => {
      const look = () => holds() && (on.off(name, look), resolve());
      on.on(name, look);
      look();
    }),
    what,
  );

const text = (provider) => provider.doc.getText("t");
const reads = (provider, said) => until(`"${said}"`, () => text(provider).toString() === said, provider.doc, "update");
const synced = (provider) => until("sync", () => provider.synced, provider, "sync");

const [alice, bob] = [open("plan"), open("plan")];

await take("yjs", {
  async "two who have a document open meet at one server, and read what the other writes"() {
    await Promise.all([synced(alice), synced(bob)]);
    text(alice).insert(0, "hello");
    await reads(bob, "hello");
    text(bob).insert(5, " there");
    await reads(alice, "hello there");
    assert.equal(asked[0].server, asked[1].server);
    assert.deepEqual(asked[0].user, "alice");
    assert.equal(asked[0].url, "/plan?document=plan");
  },
  async "each of twenty documents is at one server, and both servers have some"() {
    const names = Array.from({ length: 20 }, (_, number) => `document-${number}`);
    const opened = names.flatMap((name) => [open(name), open(name)]);
    await Promise.all(opened.map(synced));
    const at = Object.groupBy
      ? Object.groupBy(asked, ({ url }) => url)
      : asked.reduce((of, one) => ({ ...of, [one.url]: [...(of[one.url] ?? []), one] }), {});
    const homes = Object.values(at).map((of) => new Set(of.map(({ server }) => server)));
    assert.ok(homes.every((home) => home.size === 1));
    assert.equal(new Set(homes.flatMap((home) => [...home])).size, 2);
    opened.forEach((one) => one.destroy());
  },
  async "where somebody's cursor is passes on as well"() {
    const seen = until("the cursor", () => [...bob.awareness.getStates().values()].some(({ at }) => at === 7), bob.awareness, "change");
    alice.awareness.setLocalState({ at: 7 });
    await seen;
  },
  async "without a token, and from a foreign page, nobody reads"() {
    class Foreign extends WebSocket {
      constructor(url) {
        super(url, { origin: "https://evil.example" });
      }
    }
    for (const [params, options] of [
      [{}, {}],
      [{ token: "nonsense" }, {}],
      [{ token }, { WebSocketPolyfill: Foreign }],
    ]) {
      const before = asked.length;
      const provider = open("plan", params, options);
      await event(provider, "connection-error");
      assert.equal(asked.length, before);
      provider.destroy();
    }
  },
  async "a burst of key strokes is delayed, and all of it comes"() {
    const typed = "x".repeat(400);
    for (const at of typed) text(alice).insert(text(alice).length, at);
    await reads(bob, `hello there${typed}`);
    text(alice).delete(11, 400);
    await reads(bob, "hello there");
  },
  async "an edit of the limits reaches those who write while they go on"() {
    const { adopted, closed } = await gateway.edit('client = "4MiB"', 'client = "8MiB"');
    assert.ok(adopted >= 2 && closed === 0, `${adopted} ${closed}`);
    text(alice).insert(0, "1 ");
    await reads(bob, "1 hello there");
  },
  async "who is kicked comes back, and what was written meanwhile is merged"() {
    const closed = [event(alice, "connection-close"), event(bob, "connection-close")];
    assert.equal(await gateway.kick("--code", "4003"), 2);
    assert.equal((await Promise.all(closed))[0][0].code, 4003);
    text(alice).insert(0, "2 ");
    text(bob).insert(text(bob).length, "!");
    await Promise.all([reads(alice, "2 1 hello there!"), reads(bob, "2 1 hello there!")]);
  },
  async "a server that is gone leaves its documents to the other, which has them from the clients"() {
    const home = asked[0].server;
    const [went, before] = [Promise.all([event(alice, "connection-close"), event(bob, "connection-close")]), asked.length];
    await servers[home].stop();
    await went;
    text(alice).insert(0, "3 ");
    await Promise.all([reads(alice, "3 2 1 hello there!"), reads(bob, "3 2 1 hello there!")]);
    assert.ok(asked.slice(before).every(({ server }) => server !== home));
    assert.ok(docs.size > 0);
  },
});
