// Jupyter's server with a kernel, and the client that JupyterLab is built on. The page is docs/cookbook/jupyter.md.

import assert from "node:assert/strict";
import { PageConfig } from "@jupyterlab/coreutils";
import { KernelManager, ServerConnection, TerminalManager } from "@jupyterlab/services";
import WebSocket from "ws";
import { Gateway, Program, event, folder, freePort, inTime, listens, take } from "./harness.mjs";

const SECRET = "a-token-of-jupyter-s-own";
const root = folder();
const port = await freePort();

async function serve() {
  const place = [`--ServerApp.port=${port}`, "--ServerApp.port_retries=0", "--ServerApp.ip=127.0.0.1"];
  // Jupyter's own limit on what cells print is a megabyte a second.
  const settings = [...place, "--ServerApp.allow_root=True", "--ZMQChannelsWebsocketConnection.iopub_data_rate_limit=1e9"];
  const env = {
    ...process.env,
    JUPYTER_TOKEN: SECRET,
    JUPYTER_CONFIG_DIR: root,
    JUPYTER_DATA_DIR: root,
    JUPYTER_RUNTIME_DIR: root,
    IPYTHONDIR: root,
  };
  const program = new Program(process.env.JUPYTER, ["-m", "jupyter_server", ...settings, `--ServerApp.root_dir=${root}`], { env });
  await listens(port);
  return program;
}

let jupyter = await serve();
const gateway = await Gateway.example("jupyter", { 9001: port });
const settings = ServerConnection.makeSettings({
  baseUrl: gateway.url("/", "http"),
  wsUrl: gateway.url("/"),
  token: SECRET,
  appendToken: true,
  WebSocket,
});
// What the client has to say of connections that it lost is for the console of a page.
console.error = console.warn = console.debug = () => {};
// What JupyterLab's page would say.
PageConfig.setOption("terminalsAvailable", "true");
const kernels = new KernelManager({ serverSettings: settings });
let kernel;

/** What this code prints, as a cell's output comes. */
async function prints(code) {
  const asked = kernel.requestExecute({ code });
  let printed = "";
  asked.onIOPub = ({ header, content }) => (printed += header.msg_type === "stream" ? content.text : "");
  const { content } = await inTime(asked.done, code);
  return content.status === "ok" ? printed : content.ename;
}

const connected = () =>
  inTime(
    new Promise((resolve) => {
      const look = () => kernel.connectionStatus === "connected" && (kernel.connectionStatusChanged.disconnect(look), resolve());
      kernel.connectionStatusChanged.connect(look);
      look();
    }),
    "a connection to the kernel",
  );

/** The next change of the kernel's connection to this. */
const becomes = (status) =>
  inTime(
    new Promise((resolve) => {
      const look = (_, is) => is === status && (kernel.connectionStatusChanged.disconnect(look), resolve());
      kernel.connectionStatusChanged.connect(look);
    }),
    status,
  );

const status = async (url, options) => (await event(new WebSocket(url, [], options), "unexpected-response"))[1].statusCode;

await take("jupyter", {
  async "without its token there is neither an answer nor a kernel: Jupyter's own 403"() {
    assert.equal((await fetch(gateway.url("/api/kernels", "http"))).status, 403);
    assert.equal(await status(gateway.url("/api/events/subscribe")), 403);
    await gateway.logs(/ refused .*outcome=upstream_declined status=403/);
  },
  async "a kernel starts, and a cell's output comes"() {
    kernel = await kernels.startNew({ name: "python3" });
    await connected();
    assert.equal(await prints("print(6 * 7)"), "42\n");
    await gateway.logs(/ open .*subprotocol=v1\.kernel\.websocket\.jupyter\.org/);
  },
  async "an output of many megabytes is one message, and comes"() {
    assert.equal((await prints("print('x' * 20_000_000, end='')")).length, 20_000_000);
  },
  async "a cell that runs for ever is interrupted"() {
    const interrupted = prints("print('begun', flush=True)\nwhile True: pass");
    await inTime(new Promise((resolve) => kernel.statusChanged.connect((_, is) => is === "busy" && resolve())), "busy");
    await kernel.interrupt();
    assert.equal(await interrupted, "KeyboardInterrupt");
  },
  async "a notebook of some megabytes is saved and read"() {
    const text = "a line\n".repeat(500_000);
    const save = { type: "file", format: "text", content: text };
    const saved = await ServerConnection.makeRequest(
      `${settings.baseUrl}api/contents/large.txt`,
      { method: "PUT", body: JSON.stringify(save) },
      settings,
    );
    assert.equal(saved.status, 201);
    const read = await ServerConnection.makeRequest(`${settings.baseUrl}api/contents/large.txt`, {}, settings);
    assert.equal((await read.json()).content, text);
  },
  async "a terminal answers"() {
    const terminals = new TerminalManager({ serverSettings: settings });
    const terminal = await terminals.startNew();
    const said = new Promise((resolve) => {
      let all = "";
      terminal.messageReceived.connect((_, { content }) => (all += content?.join("")).includes("42\r\n") && resolve());
    });
    terminal.send({ type: "stdin", content: ["echo $((6 * 7))\n"] });
    await inTime(said, "42");
    await terminal.shutdown();
    terminals.dispose();
  },
  async "a page of another origin gets no socket, with the token or without"() {
    const url = gateway.url(`/api/kernels/${kernel.id}/channels?token=${SECRET}`);
    assert.equal(await status(url, { origin: "https://evil.example" }), 403);
    await gateway.logs(/ refused .*outcome=origin_denied/);
  },
  async "an edit of the file reaches the kernel's socket while it goes on"() {
    await prints("kept = 'the state of the kernel'");
    const { adopted, closed } = await gateway.edit('client = "16MiB"', 'client = "32MiB"');
    assert.ok(adopted >= 1 && closed === 0, `${adopted} ${closed}`);
    assert.equal(await prints("print(kept)"), "the state of the kernel\n");
  },
  async "who is kicked comes back to the kernel, which has its state"() {
    const back = becomes("connecting").then(connected);
    assert.ok((await gateway.kick()) >= 1);
    await back;
    assert.equal(await prints("print(kept)"), "the state of the kernel\n");
  },
  async "after a restart of Jupyter the client starts a kernel anew, through the same gateway"() {
    const gone = becomes("connecting");
    await jupyter.stop();
    await gone;
    await assert.rejects(kernels.startNew({ name: "python3" }), /backend/);
    jupyter = await serve();
    kernel.dispose();
    kernel = await kernels.startNew({ name: "python3" });
    await connected();
    assert.equal(await prints("print('again')"), "again\n");
    await kernel.shutdown();
    await jupyter.stop();
  },
});
