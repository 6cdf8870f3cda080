// Tokens that are shorter than connections: npm's `ws`, and Node's own `fetch`, against `examples/configs/renewal.toml`.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import WebSocket from "ws";
import { Gateway, event, inTime, take } from "./harness.mjs";

const gateway = await Gateway.example("renewal", {});
const token = (user = "alice", ttl = "1h") => gateway.command("token", "--stage", "jwt.users", "--sub", user, "--ttl", ttl);
const auth = (token) => JSON.stringify({ type: "auth", token });

/** A connection by this token, with its messages to take one by one. */
async function open(bearer, at = "/") {
  const socket = new WebSocket(gateway.url(at), { headers: { Authorization: `Bearer ${bearer}` } });
  const [came, waiting] = [[], []];
  socket.on("message", (data) => (waiting.length ? waiting.shift()(data.toString()) : came.push(data.toString())));
  const closed = new Promise((resolve) => socket.on("close", (code, reason) => resolve([code, reason.toString()])));
  const upgraded = event(socket, "upgrade");
  await event(socket, "open");
  const next = () => inTime(came.length ? came.shift() : new Promise((resolve) => waiting.push(resolve)), "a message");
  return {
    socket,
    ticket: (await upgraded).headers["x-wsgate-ticket"],
    ended: () => inTime(closed, "close"),
    next: async () => JSON.parse(await next()),
    says: async (text) => (socket.send(text), next()),
  };
}

async function post(ticket, bearer) {
  const headers = { Authorization: `Bearer ${bearer}`, "X-Wsgate-Ticket": ticket };
  return (await fetch(gateway.url("/.well-known/wsgate/renew", "http"), { method: "POST", headers })).status;
}

await take("renewal", {
  async "it is warned, and renewed by a message that is compressed"() {
    const { socket, next, says } = await open(await token("alice", "30s"));
    assert.equal(socket.extensions, "permessage-deflate");
    assert.equal((await next()).type, "auth_expiring");
    socket.send(auth("nonsense"));
    assert.deepEqual(await next(), { type: "auth_failed", error: "token_invalid" });
    socket.send(auth(await token()));
    const { type, seconds } = await next();
    assert.ok(type === "auth_ok" && seconds > 3000, `${type} ${seconds}`);
    assert.equal(await says("hello"), "hello");
    socket.close();
  },
  async "a token in pieces is taken out whole"() {
    const { socket, next, says } = await open(await token());
    const text = auth(await token());
    for (let at = 0; at < text.length; at += 10) socket.send(text.slice(at, at + 10), { fin: at + 10 >= text.length });
    assert.equal((await next()).type, "auth_ok");
    assert.equal(await says("hello"), "hello");
    socket.close();
  },
  async "somebody else's token ends it"() {
    const { socket, ended } = await open(await token());
    socket.send(auth(await token("bob")));
    assert.deepEqual(await ended(), [3003, "forbidden"]);
  },
  async "it is renewed by the ticket that it was given, or has chosen"() {
    for (const chosen of [undefined, randomBytes(16).toString("base64url")]) {
      const { socket, ticket, says } = await open(await token(), chosen ? `/?wsgate_ticket=${chosen}` : "/");
      assert.equal(ticket === undefined, chosen !== undefined);
      assert.equal(await says("hello"), "hello");
      assert.equal(await post(chosen ?? ticket, await token()), 204);
      assert.equal(await post(chosen ?? ticket, await token("bob")), 403);
      assert.equal(await post(chosen ?? ticket, "nonsense"), 401);
      assert.equal(await post(randomBytes(16).toString("hex"), await token()), 404);
      assert.equal(await says("hello"), "hello");
      socket.close();
    }
  },
});
