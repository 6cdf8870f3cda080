// graphql-ws on either side, with graphql behind it: the page is docs/cookbook/graphql-ws.md.

import assert from "node:assert/strict";
import { buildSchema } from "graphql";
import { createClient } from "graphql-ws";
import { useServer } from "graphql-ws/use/ws";
import WebSocket, { WebSocketServer } from "ws";
import { Gateway, event, inTime, take } from "./harness.mjs";

const schema = buildSchema("type Query { user: String } type Subscription { ticks(from: Int!): Int }");
let news = () => {};

/** A query that says whose it is, and a subscription that counts whenever it is told to. */
const roots = {
  query: { user: (_, { headers }) => headers["x-user"] },
  subscription: {
    async *ticks({ from }) {
      for (let tick = from; ; tick++) {
        yield { ticks: tick };
        await new Promise((resolve) => (news = resolve));
      }
    },
  },
};

async function serve(port = 0) {
  const server = new WebSocketServer({ host: "127.0.0.1", port, path: "/graphql" });
  await event(server, "listening");
  useServer({ schema, roots, context: ({ extra }) => extra.request }, server);
  return server;
}

let server = await serve();
const { port } = server.address();
const gateway = await Gateway.example("graphql_ws", { 9001: port });
const closes = [];

function client(connectionParams, options = {}) {
  const made = createClient({
    url: gateway.url("/graphql"),
    webSocketImpl: options.webSocketImpl ?? WebSocket,
    connectionParams,
    shouldRetry: () => true,
    retryWait: () => new Promise((resolve) => setTimeout(resolve, 50)),
    ...options,
  });
  made.on("closed", ({ code, reason }) => closes.push({ code, reason }));
  return made;
}

async function user(of) {
  for await (const { data } of of.iterate({ query: "{ user }" })) return data.user;
}

/** What a client that is to be refused ends with. */
const refused = (params, options) => user(client(params, { retryAttempts: 0, ...options })).then(assert.fail, (error) => error);

const alice = client(async () => ({ token: await gateway.token() }));
const ticks = alice.iterate({ query: "subscription { ticks(from: 1) }" });
const next = async () => (await inTime(ticks.next(), "a tick")).value.data.ticks;

await take("graphql_ws", {
  async "a query is answered, to the user of the token in connection_init"() {
    assert.equal(await user(alice), "alice");
  },
  async "a subscription goes on"() {
    assert.equal(await next(), 1);
    news();
    assert.equal(await next(), 2);
  },
  async "a bad token and none are closed with 4401, and the client gives up"() {
    for (const params of [{ token: "nonsense" }, {}]) {
      assert.equal((await refused(params)).code, 4401);
    }
  },
  async "a client that speaks no graphql-transport-ws is not taken in for it"() {
    const socket = new WebSocket(gateway.url("/graphql"), ["graphql-ws"]);
    const error = await event(socket, "error");
    assert.match(error.message, /subprotocol|400/i);
  },
  async "a page of a foreign origin is not let in"() {
    class Foreign extends WebSocket {
      constructor(url, protocols) {
        super(url, protocols, { origin: "https://evil.example" });
      }
    }
    const error = await refused(async () => ({ token: await gateway.token() }), { webSocketImpl: Foreign });
    assert.match(error.message, /403/);
  },
  async "an edit of the limits reaches the subscription while it goes on"() {
    const { adopted, closed } = await gateway.edit("burst = 100", "burst = 200");
    assert.ok(adopted >= 1 && closed === 0, `${adopted} ${closed}`);
    news();
    assert.equal(await next(), 3);
  },
  async "who is kicked comes back, subscribes anew and brings a new token"() {
    assert.equal(await gateway.kick("--code", "3000"), 1);
    assert.equal(await next(), 1);
    assert.deepEqual(closes.at(-1).code, 3000);
  },
  async "a restart of the server is a close that the client comes back from"() {
    server.clients.forEach((one) => one.close(1012, "restart"));
    await new Promise((resolve) => server.close(resolve));
    server = await serve(port);
    assert.equal(await next(), 1);
    assert.equal(closes.at(-1).code, 1012);
  },
});
