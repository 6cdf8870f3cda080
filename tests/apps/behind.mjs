// What foreign clients are tried against: a backend of `ws` behind a gateway on clients.toml, with the routes that it names.

import http from "node:http";
import path from "node:path";
import { WebSocketServer } from "ws";
import { EXAMPLES, Gateway, PACKAGE, event } from "./harness.mjs";

/** Says first what it was asked; then sends back what it is sent, and closes with a code and a reason where it is told to. */
function answer(socket, request) {
  const { "x-user": user = null, cookie = null } = request.headers;
  socket.send(JSON.stringify({ path: request.url, user, cookie, extensions: socket.extensions }));
  socket.on("message", (data, isBinary) => {
    const [word, code, ...reason] = isBinary ? [] : data.toString().split(" ");
    if (word === "close") socket.close(Number(code), reason.join(" "));
    else socket.send(data, { binary: isBinary });
  });
}

const listener = http.createServer((request, response) => {
  // A page of this gateway, signed in as the test has it.
  response.setHeader("content-type", "text/html");
  response.end("<!doctype html><title>page</title>");
});
listener.listen(0, "127.0.0.1");
await event(listener, "listening");
const server = new WebSocketServer({
  server: listener,
  perMessageDeflate: { threshold: 0 },
  maxPayload: 8 << 20,
  handleProtocols: (offered) => (offered.has("chat.v1") ? "chat.v1" : false),
});
server.on("connection", answer);

/** The port of the backend, whose pages are of another origin than the gateway's. */
export const backend = listener.address().port;
export const gateway = await Gateway.run(path.join(PACKAGE, "tests/apps/clients.toml"), { 9001: backend });
export const token = await gateway.token();
export const first = await gateway.token("alice", "jwt.first");
/** The authority that the gateway's certificate is of. */
export const authority = path.join(EXAMPLES, "trial-ca.pem");

let size = 4;

/** What an operator does while clients are on, by the name a program asks for it. */
export const operator = {
  kick: () => gateway.kick("--code", "4001", "--reason", "moved"),
  deny: () => gateway.command("deny", "127.0.0.0/8", "--note", "trial"),
  undeny: () => gateway.command("undeny", "127.0.0.0/8"),
  async edit() {
    const { adopted, closed } = await gateway.edit(`client = "${size}MiB"`, `client = "${++size}MiB"`);
    if (!adopted || closed) throw new Error(`an edit has closed ${closed} connections`);
  },
};
