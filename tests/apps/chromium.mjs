// Headless Chromium: what a page sees of a gateway.

import assert from "node:assert/strict";
import { authority, backend, first, gateway, operator, token } from "./behind.mjs";
import { launch } from "./browser.mjs";
import { take } from "./harness.mjs";

const browser = await launch(authority);

/** A page at this address, with what the cases do in it at hand. */
async function at(url) {
  const page = await browser.newPage();
  await page.goto(url);
  await page.evaluate(() => {
    window.dial = (url, protocols = []) => {
      const socket = new WebSocket(url, protocols);
      socket.binaryType = "arraybuffer";
      const [came, waiting] = [[], []];
      socket.onmessage = ({ data }) => (waiting.length ? waiting.shift()(data) : came.push(data));
      const ended = new Promise((resolve) => (socket.onclose = ({ code, reason, wasClean }) => resolve([code, reason, wasClean])));
      const take = () => came.shift() ?? new Promise((resolve) => waiting.push(resolve));
      return new Promise((resolve) => {
        socket.onopen = () => resolve({ socket, take, ended });
        socket.onerror = () => resolve({ socket, ended, isRefused: true });
      });
    };
  });
  return page;
}

const session = { name: "session", value: token, domain: "127.0.0.1", path: "/", sameSite: "Lax" };
const own = await at(gateway.url("/page", "http"));

await take("chromium", {
  async "texts and bytes pass, compressed from end to end and where they are read"() {
    for (const way of ["/relay/x", "/read/x"]) {
      const { extensions, said } = await own.evaluate(async (url) => {
        const { socket, take } = await window.dial(url);
        const said = [JSON.parse(await take()).extensions];
        const text = "grüße ".repeat(50_000);
        socket.send(text);
        said.push((await take()) === text);
        const bytes = Uint8Array.from({ length: 1 << 20 }, (_, at) => (at * 7) % 256);
        socket.send(bytes);
        const back = new Uint8Array(await take());
        said.push(back.length === bytes.length && back.every((byte, at) => byte === bytes[at]));
        return { extensions: socket.extensions, said };
      }, gateway.url(way));
      assert.deepEqual(said.slice(1), [true, true]);
      if (way === "/relay/x") assert.match(extensions, /^permessage-deflate/);
    }
  },
  async "it is known by a token in the subprotocol and in the first message"() {
    const told = await own.evaluate(
      async (users, token, firsts, first) => {
        const offered = await window.dial(users, ["bearer", token, "chat.v1"]);
        const spoken = await window.dial(firsts);
        spoken.socket.send(first);
        return [offered.socket.protocol, JSON.parse(await offered.take()).user, JSON.parse(await spoken.take()).user];
      },
      gateway.url("/users/x"),
      token,
      gateway.url("/first/x"),
      first,
    );
    assert.deepEqual(told, ["chat.v1", "alice", "alice"]);
  },
  async "its cookie is one for the gateway's own page, and not for a page of another origin"() {
    await browser.setCookie(session);
    const asks = (page) =>
      page.evaluate(async (url) => {
        const { take, isRefused, ended } = await window.dial(url);
        return isRefused ? ended : JSON.parse(await take());
      }, gateway.url("/users/x"));
    const { user, cookie } = await asks(own);
    assert.deepEqual([user, cookie?.includes(token) ?? false], ["alice", false]);
    // Of the same host, so that the cookie is sent; of another port, so that the origin is another.
    const foreign = await at(`http://127.0.0.1:${backend}/page`);
    assert.deepEqual(await asks(foreign), [1006, "", false]);
    await gateway.logs(/ refused .*outcome=origin_denied status=403/);
    await foreign.close();
  },
  async "of a refusal before the upgrade a page sees 1006, and of one behind it the code and why"() {
    await browser.deleteCookie(session);
    const [before, behind] = await own.evaluate(
      async (users, firsts) => {
        const before = await (await window.dial(users)).ended;
        const spoken = await window.dial(firsts);
        spoken.socket.send("nonsense");
        return [before, await spoken.ended];
      },
      gateway.url("/users/x"),
      gateway.url("/first/x"),
    );
    assert.deepEqual(before, [1006, "", false]);
    assert.deepEqual(behind, [3000, "Invalid token", true]);
  },
  async "it goes on through an edit, answers pings meanwhile, and is told codes and reasons"() {
    const url = gateway.url("/relay/x");
    const kept = await own.evaluateHandle((url) => window.dial(url), url);
    await operator.edit();
    const asked = await kept.evaluate(async ({ socket, take }) => {
      await take();
      socket.send("undisturbed");
      return take();
    });
    assert.equal(asked, "undisturbed");
    assert.ok((await operator.kick()) >= 1);
    assert.deepEqual(await kept.evaluate(({ ended }) => ended), [4001, "moved", true]);
    const told = await own.evaluate(async (url) => {
      const { socket, ended } = await window.dial(url);
      socket.send("close 4321 as you said");
      return ended;
    }, url);
    assert.deepEqual(told, [4321, "as you said", true]);
  },
  async "who is denied is closed with 3003, and then refused"() {
    const kept = await own.evaluateHandle((url) => window.dial(url), gateway.url("/relay/x"));
    await operator.deny();
    assert.equal((await kept.evaluate(({ ended }) => ended))[0], 3003);
    const refused = await own.evaluate(async (url) => (await window.dial(url)).ended, gateway.url("/relay/x"));
    assert.equal(refused[0], 1006);
    await operator.undeny();
  },
  async "over TLS, from a page over TLS, of an authority that it was told to trust: sockets and requests share a connection of HTTP/2"() {
    const secure = await at(gateway.url("/page", "https", "secure"));
    const told = await secure.evaluate(async (url) => {
      const dialled = await Promise.all([...Array(6)].map(() => window.dial(url)));
      const said = [];
      for (const { socket, take } of dialled) {
        said.push(JSON.parse(await take()).path);
        socket.send("hello");
        said.push(await take());
      }
      return said;
    }, gateway.url("/relay/x", "wss", "secure"));
    assert.deepEqual(told, [...Array(6)].flatMap(() => ["/relay/x", "hello"]));
    const [line] = await gateway.logs(/ open .*path=\/relay\/x .*tls=.*/);
    assert.match(line, / http=2 /);
  },
});
