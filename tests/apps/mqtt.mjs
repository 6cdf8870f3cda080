// mosquitto and MQTT.js: the page is docs/cookbook/mqtt.md.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import mqtt from "mqtt";
import WebSocket from "ws";
import { Gateway, Program, event, folder, freePort, inTime, take } from "./harness.mjs";

// A 2.0 ends at once where it has no listener but for WebSocket, and without `socket_domain` listens to the whole network.
const port = await freePort();
const beside = folder();
const file = path.join(beside, "mosquitto.conf");
const websockets = `listener ${port} 127.0.0.1\nprotocol websockets\nsocket_domain ipv4\n`;
fs.writeFileSync(file, `listener 0 ${beside}/mosquitto.sock\n${websockets}allow_anonymous true\nuser root\nlog_dest stderr\n`);

async function broker() {
  const started = new Program(process.env.MOSQUITTO, ["-c", file]);
  await started.says(/mosquitto version (\S+) running/);
  return started;
}

let mosquitto = await broker();
const gateway = await Gateway.example("mqtt", { 9001: port });
const token = await gateway.token("sensor-7", "jwt.devices");

/** A device, with its token in a header; it brings it to every reconnect. */
function device(clientId, options = {}, bearer = token) {
  const headers = { Authorization: `Bearer ${bearer}` };
  return mqtt.connect(gateway.url("/mqtt"), { clientId, wsOptions: { headers }, reconnectPeriod: 100, ...options });
}

/** What comes next of this topic. */
const news = (client, topic) =>
  inTime(new Promise((resolve) => client.on("message", (of, payload, packet) => of === topic && resolve({ payload, packet }))), topic);

const [sensor, panel] = [
  device("sensor-7"),
  device("panel-1", { protocolVersion: 5, clean: false, properties: { sessionExpiryInterval: 600 } }),
];
const connected = [event(sensor, "connect"), event(panel, "connect")];

await take("mqtt", {
  async "MQTT 3.1.1 and 5 connect, as subprotocol mqtt"() {
    await Promise.all(connected);
    for (let number = 0; number < 2; number++) await gateway.logs(/ open .* user=sensor-7 subprotocol=mqtt /);
  },
  async "what is published comes to who subscribed, at each quality of service and of any bytes"() {
    await panel.subscribeAsync("rooms/#", { qos: 2 });
    for (const qos of [0, 1, 2]) {
      const payload = Buffer.from(Array.from({ length: 70_000 }, (_, at) => at % 256));
      const came = news(panel, `rooms/${qos}`);
      await sensor.publishAsync(`rooms/${qos}`, payload, { qos });
      assert.ok((await came).payload.equals(payload));
    }
  },
  async "a retained message and a last will come from the broker"() {
    const gone = news(panel, "rooms/will");
    await sensor.publishAsync("rooms/retained", "21.5", { retain: true, qos: 1 });
    const will = { topic: "rooms/will", payload: "gone", qos: 1 };
    const other = device("sensor-8", { will, reconnectPeriod: 0 }, await gateway.token("sensor-8", "jwt.devices"));
    await event(other, "connect");
    const retained = news(other, "rooms/retained");
    await other.subscribeAsync("rooms/retained");
    assert.equal((await retained).payload.toString(), "21.5");
    // Whoever is closed by the gateway has not said goodbye to the broker.
    await gateway.command("kick", "--user", "sensor-8");
    assert.equal((await gone).payload.toString(), "gone");
  },
  async "the client's own keepalive is answered by the broker"() {
    const quick = device("quick", { keepalive: 1 });
    await inTime(new Promise((resolve) => quick.on("packetreceive", (packet) => packet.cmd === "pingresp" && resolve())), "pingresp");
    quick.end(true);
  },
  async "a page brings its token in the query"() {
    const page = mqtt.connect(gateway.url(`/mqtt?token=${token}`), {
      clientId: "page",
      wsOptions: { origin: "https://panel.example.com" },
    });
    await event(page, "connect");
    page.end(true);
  },
  async "no token, a foreign origin, and text are not for the broker"() {
    const status = async (options) => {
      const socket = new WebSocket(gateway.url("/mqtt"), "mqtt", options);
      const [, response] = await event(socket, "unexpected-response");
      return response.statusCode;
    };
    const headers = { Authorization: `Bearer ${token}` };
    assert.equal(await status({}), 401);
    assert.equal(await status({ headers, origin: "https://evil.example" }), 403);
    const socket = new WebSocket(gateway.url("/mqtt"), "mqtt", { headers });
    await event(socket, "open");
    assert.equal(socket.protocol, "mqtt");
    socket.send("text");
    assert.equal((await event(socket, "close"))[0], 1003);
  },
  async "a packet over the limit is closed with 1009"() {
    const large = device("large", { reconnectPeriod: 0 });
    await event(large, "connect");
    const closed = gateway.logs(/ close .*outcome=message_too_large/);
    large.publish("rooms/large", Buffer.alloc(300_000));
    await closed;
    large.end(true);
  },
  async "a hundred packets at once are delayed, and all of them come"() {
    const all = Array.from({ length: 100 }, (_, number) => `${number}`);
    const came = inTime(
      new Promise((resolve) => {
        const left = new Set(all);
        panel.on("message", (topic, payload) => topic === "rooms/burst" && left.delete(payload.toString()) && left.size === 0 && resolve());
      }),
      "a hundred packets",
    );
    await Promise.all(all.map((number) => sensor.publishAsync("rooms/burst", number, { qos: 1 })));
    await came;
  },
  async "an edit of the limits reaches devices while they go on"() {
    const { adopted, closed } = await gateway.edit('rate = "200/s", burst = 2000', 'rate = "400/s", burst = 4000');
    assert.ok(adopted >= 2 && closed === 0, `${adopted} ${closed}`);
    const came = news(panel, "rooms/edit");
    await sensor.publishAsync("rooms/edit", "undisturbed", { qos: 1 });
    assert.equal((await came).payload.toString(), "undisturbed");
  },
  async "who is kicked comes back, to the session it had"() {
    const back = [event(sensor, "connect"), event(panel, "connect")];
    assert.equal(await gateway.kick(), 2);
    const [, { sessionPresent }] = await Promise.all(back);
    assert.ok(sessionPresent);
    const came = news(panel, "rooms/back");
    await sensor.publishAsync("rooms/back", "again", { qos: 1 });
    assert.equal((await came).payload.toString(), "again");
  },
  async "a restart of the broker is a reconnect of everybody"() {
    const closed = [event(sensor, "close"), event(panel, "close")];
    await mosquitto.stop();
    await Promise.all(closed);
    const back = [event(sensor, "connect"), event(panel, "connect")];
    // The broker has forgotten its sessions, and MQTT.js subscribes again by itself: `subscribe` would be done before that is.
    const subscribed = new Promise((resolve) => panel.on("packetreceive", ({ cmd }) => cmd === "suback" && resolve()));
    mosquitto = await broker();
    await Promise.all(back);
    await inTime(subscribed, "subscribed again");
    const came = news(panel, "rooms/restart");
    await sensor.publishAsync("rooms/restart", "again", { qos: 1 });
    assert.equal((await came).payload.toString(), "again");
  },
});
