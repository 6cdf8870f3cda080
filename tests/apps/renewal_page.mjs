// Tokens that are shorter than connections: a page in headless Chromium, as the cookbook has it, against `examples/configs/renewal.toml`.

import assert from "node:assert/strict";
import http from "node:http";
import { launch } from "./browser.mjs";
import { Gateway, event, take } from "./harness.mjs";

const gateway = await Gateway.example("renewal", {});
const token = (user = "alice", ttl = "1h") => gateway.command("token", "--stage", "jwt.users", "--sub", user, "--ttl", ttl);
const [url, renew] = [gateway.url("/"), gateway.url("/.well-known/wsgate/renew", "http")];

/** Where pages come from: another origin than the gateway's, and so is each. */
async function origin() {
  const server = http.createServer((_, answer) => answer.setHeader("Content-Type", "text/html").end("<!doctype html>")).listen(0, "127.0.0.1");
  await event(server, "listening");
  return `http://127.0.0.1:${server.address().port}/`;
}

const browser = await launch();

/** A page of an origin of its own, with the snippets of the cookbook at hand. */
async function page() {
  const page = await browser.newPage();
  await page.goto(await origin());
  await page.evaluate(() => {
    window.chooseTicket = () => {
      const bytes = crypto.getRandomValues(new Uint8Array(16));
      return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    };
    window.dial = (url, token) => {
      const socket = new WebSocket(url);
      const [came, waiting] = [[], []];
      socket.onmessage = ({ data }) => (waiting.length ? waiting.shift()(data) : came.push(data));
      const take = async () => came.shift() ?? new Promise((resolve) => waiting.push(resolve));
      const ended = new Promise((resolve) => (socket.onclose = ({ code, reason }) => resolve([code, reason])));
      return new Promise((resolve) => {
        socket.onopen = () => (socket.send(token), resolve({ socket, take, ended }));
        socket.onerror = () => resolve({ ended });
      });
    };
    window.renew = async (url, ticket, token) => {
      const headers = { Authorization: `Bearer ${token}`, "X-Wsgate-Ticket": ticket };
      const answer = await fetch(url, { method: "POST", headers });
      return [answer.status, (await answer.text()).trim()];
    };
  });
  return page;
}

const own = await page();

await take("renewal_page", {
  async "in band it is warned, and renews, by the first message and a later one"() {
    const told = await own.evaluate(
      async (url, first, newer) => {
        const { socket, take } = await window.dial(url, first);
        const told = [JSON.parse(await take()).type];
        for (const token of ["nonsense", newer]) {
          socket.send(JSON.stringify({ type: "auth", token }));
          told.push(JSON.parse(await take()).type);
        }
        socket.send("hello");
        return [...told, await take()];
      },
      url,
      await token("alice", "30s"),
      await token(),
    );
    assert.deepEqual(told, ["auth_expiring", "auth_failed", "auth_ok", "hello"]);
  },
  async "out of band it renews what it has opened, from another origin, and reads why where it does not"() {
    const told = await own.evaluate(
      async (url, renew, first, newer, others) => {
        window.ticket = window.chooseTicket();
        window.live = await window.dial(`${url}?wsgate_ticket=${window.ticket}`, first);
        window.live.socket.send("hello");
        const said = [await window.live.take()];
        for (const token of [newer, others, "nonsense"]) said.push(await window.renew(renew, window.ticket, token));
        said.push(await window.renew(renew, window.chooseTicket(), newer));
        window.live.socket.send("still here");
        return [...said, await window.live.take()];
      },
      url,
      renew,
      await token(),
      await token(),
      await token("bob"),
    );
    assert.deepEqual(told, [
      "hello",
      [204, ""],
      [403, "403 forbidden (forbidden)"],
      [401, "401 Invalid token (token_invalid)"],
      [404, "404 no such connection (ticket_unknown)"],
      "still here",
    ]);
  },
  async "a page of another origin does not renew it, whatever it knows"() {
    const ticket = await own.evaluate(() => window.ticket);
    const foreign = await page();
    const told = await foreign.evaluate((...known) => window.renew(...known), renew, ticket, await token());
    assert.deepEqual(told, [403, "403 origin not allowed (origin_denied)"]);
    await foreign.close();
  },
  async "a UUID is no ticket, which a page sees as a connection that never was"() {
    const refused = await own.evaluate(
      async (url, first) => (await window.dial(`${url}?wsgate_ticket=8c6f8f1e-3a5c-4c1c-9d0b-6f2b6a1f0c3d`, first)).ended,
      url,
      await token(),
    );
    assert.deepEqual(refused, [1006, ""]);
    await gateway.logs(/ refused .*outcome=bad_handshake status=400/);
  },
});
