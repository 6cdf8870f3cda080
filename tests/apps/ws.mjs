// npm's `ws`, and the WebSocket that is built into Node, as clients.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import fs from "node:fs";
import WebSocket from "ws";
import { authority, first, gateway, operator, token } from "./behind.mjs";
import { event, inTime, take } from "./harness.mjs";

const bytes = Buffer.from(Array.from({ length: 1 << 20 }, (_, at) => (at * 7) % 256));

/** A connection with its messages to take one by one: of `ws`, or of the built-in, which have this interface in common. */
async function open(Kind, url, protocols = [], options = undefined) {
  const socket = options ? new Kind(url, protocols, options) : new Kind(url, protocols);
  socket.binaryType = "arraybuffer";
  const [came, waiting] = [[], []];
  socket.addEventListener("message", ({ data }) => (waiting.length ? waiting.shift()(data) : came.push(data)));
  const closed = new Promise((resolve) => socket.addEventListener("close", ({ code, reason }) => resolve([code, reason])));
  const opened = new Promise((resolve, reject) => {
    socket.addEventListener("open", resolve);
    socket.addEventListener("error", ({ error, message }) => reject(error ?? new Error(message)));
  });
  await inTime(opened, "open");
  return {
    socket,
    take: () => inTime(came.length ? came.shift() : new Promise((resolve) => waiting.push(resolve)), "a message"),
    ended: () => inTime(closed, "close"),
    send: (data) => socket.send(data),
  };
}

const OFFERS = [
  {},
  { serverNoContextTakeover: true },
  { clientNoContextTakeover: true },
  { serverMaxWindowBits: 9 },
  { clientMaxWindowBits: 9 },
  { serverMaxWindowBits: 10, clientMaxWindowBits: 10 },
];

/** Has messages come back, compressed as this offer and the route have it: alike ones, long ones, and none that gets smaller. */
async function deflates(at, offer) {
  const { socket, take, send } = await open(WebSocket, gateway.url(at), [], { perMessageDeflate: { threshold: 0, ...offer } });
  assert.equal(socket.extensions, "permessage-deflate", `${at} ${JSON.stringify(offer)}`);
  if (at !== "/echo") await take();
  for (const text of ["hello", "hello", "x".repeat(100_000), randomBytes(40_000).toString("base64"), "", "hello"]) {
    send(text);
    assert.equal(await take(), text, `${at} ${JSON.stringify(offer)}`);
  }
  socket.close();
}

/** An upgrade that is not to succeed: what `ws` sees of the answer. */
async function status(url, options) {
  const [, response] = await event(new WebSocket(url, [], options), "unexpected-response");
  return response.statusCode;
}

async function echoes(Kind, url) {
  const { socket, take, send } = await open(Kind, url);
  const { extensions } = JSON.parse(await take());
  for (const text of ["hello", "grüße ".repeat(50_000), ""]) {
    send(text);
    assert.equal(await take(), text);
  }
  send(bytes);
  assert.ok(Buffer.from(await take()).equals(bytes));
  // Of what was agreed some show the parameters, too.
  assert.equal(socket.extensions.split(";")[0], extensions);
  socket.close();
  return extensions;
}

async function isEnded(Kind) {
  const kicked = await open(Kind, gateway.url("/relay/x"));
  const edited = await open(Kind, gateway.url("/relay/x"));
  await edited.take();
  await operator.edit();
  edited.send("undisturbed");
  assert.equal(await edited.take(), "undisturbed");
  await operator.kick();
  assert.deepEqual(await kicked.ended(), [4001, "moved"]);
  const told = await open(Kind, gateway.url("/relay/x"));
  told.send("close 4321 as you said");
  assert.deepEqual(await told.ended(), [4321, "as you said"]);
}

async function isKnown(Kind) {
  const offered = await open(Kind, gateway.url("/users/x"), ["bearer", token, "chat.v1"]);
  assert.deepEqual([JSON.parse(await offered.take()).user, offered.socket.protocol], ["alice", "chat.v1"]);
  const spoken = await open(Kind, gateway.url("/first/x"));
  spoken.send(first);
  assert.equal(JSON.parse(await spoken.take()).user, "alice");
  const wrong = await open(Kind, gateway.url("/first/x"));
  wrong.send("nonsense");
  assert.equal((await wrong.ended())[0], 3000);
}

await take("ws", {
  async "ws: texts and bytes pass, compressed from end to end and where they are read"() {
    assert.match(await echoes(WebSocket, gateway.url("/relay/x")), /permessage-deflate/);
    assert.match(await echoes(WebSocket, gateway.url("/read/x")), /^$|permessage-deflate/);
  },
  async "ws: whatever it offers of permessage-deflate is agreed on from end to end, with and without takeover"() {
    for (const at of ["/echo", "/relay/x", "/read/x", "/takeover/x"]) for (const offer of OFFERS) await deflates(at, offer);
  },
  async "ws: a message in fragments is one message"() {
    const { socket, take } = await open(WebSocket, gateway.url("/relay/x"), []);
    await take();
    socket.send("in ", { fin: false });
    socket.send("three ", { fin: false });
    socket.send("fragments", { fin: true });
    assert.equal(await take(), "in three fragments");
  },
  async "ws: it is asked whether it is there, and who does not answer is closed with 1011"() {
    const { socket } = await open(WebSocket, gateway.url("/relay/x"));
    for (let number = 0; number < 2; number++) await event(socket, "ping");
    const silent = await open(WebSocket, gateway.url("/relay/x"), [], { autoPong: false });
    assert.equal((await silent.ended())[0], 1011);
    const pong = event(socket, "pong");
    socket.ping("payload");
    assert.equal((await pong).toString(), "payload");
  },
  async "ws: it is known by a token in the header, the subprotocol and the first message"() {
    const { take } = await open(WebSocket, gateway.url("/users/x"), [], { headers: { authorization: `Bearer ${token}` } });
    assert.equal(JSON.parse(await take()).user, "alice");
    await isKnown(WebSocket);
    assert.equal(await status(gateway.url("/users/x")), 401);
  },
  "ws: it goes on through an edit, and is told codes and reasons": () => isEnded(WebSocket),
  async "ws: who is denied is closed, refused, and let in again"() {
    const { ended } = await open(WebSocket, gateway.url("/relay/x"));
    await operator.deny();
    assert.equal((await ended())[0], 3003);
    assert.equal(await status(gateway.url("/relay/x")), 403);
    await operator.undeny();
    await echoes(WebSocket, gateway.url("/relay/x"));
  },
  async "ws: over TLS, of an authority that it trusts and of none other"() {
    const { take } = await open(WebSocket, gateway.url("/relay/x", "wss", "secure"), [], { ca: fs.readFileSync(authority) });
    assert.equal(JSON.parse(await take()).path, "/relay/x");
    await assert.rejects(open(WebSocket, gateway.url("/relay/x", "wss", "secure")));
  },
  "Node's own: texts and bytes pass": () => echoes(globalThis.WebSocket, gateway.url("/relay/x")),
  "Node's own: it is known by a token in the subprotocol and in the first message": () => isKnown(globalThis.WebSocket),
  "Node's own: it goes on through an edit, and is told codes and reasons": () => isEnded(globalThis.WebSocket),
  async "Node's own: of a refusal it sees that there is no connection"() {
    await assert.rejects(open(globalThis.WebSocket, gateway.url("/users/x")));
  },
});
