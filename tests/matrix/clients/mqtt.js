// A puppet on MQTT.js. README.md of the folder above says what a puppet is.

const fs = require("node:fs");
const readline = require("node:readline");
const mqtt = require("mqtt");

const VERSIONS = { "3.1": ["MQIsdp", 3], "3.1.1": ["MQTT", 4], 5: ["MQTT", 5] };
let client;

function say(kind, value) {
  process.stdout.write(JSON.stringify({ [kind]: value }) + "\n");
}

function fail(error) {
  process.stderr.write(`${error.stack || error}\n`);
  process.exit(1);
}

function told(properties) {
  if (!properties) return undefined;
  const user = [];
  for (const [name, values] of Object.entries(properties.userProperties || {})) {
    for (const value of [values].flat()) user.push([name, value]);
  }
  return {
    content_type: properties.contentType,
    response_topic: properties.responseTopic,
    correlation: properties.correlationData && properties.correlationData.toString(),
    user,
  };
}

function onMessage(topic, payload, packet) {
  const message = { topic, qos: packet.qos, retain: packet.retain, size: payload.length };
  if (payload.length < 1000) message.payload = payload.toString();
  message.properties = told(packet.properties);
  say("message", message);
}

function connect(order) {
  const [protocolId, protocolVersion] = VERSIONS[order.version];
  const options = {
    clientId: order.id,
    clean: order.clean,
    protocolId,
    protocolVersion,
    reconnectPeriod: 0,
  };
  if (order.will) options.will = { ...order.will, payload: Buffer.from(order.will.payload) };
  if (order.version === "5") options.properties = { sessionExpiryInterval: order.expiry };
  const scheme = { tcp: "mqtt", tls: "mqtts" }[order.transport] || order.transport;
  if (scheme.endsWith("s") && scheme !== "ws") options.ca = fs.readFileSync(order.ca);
  client = mqtt.connect(`${scheme}://127.0.0.1:${order.port}`, options);
  client.on("connect", (packet) => say("connected", { session: packet.sessionPresent }));
  client.on("message", onMessage);
  client.on("error", fail);
}

function publish(order) {
  const payload = order.size === undefined ? order.payload || "" : Buffer.alloc(order.size, "x");
  const options = { qos: order.qos, retain: order.retain };
  if (order.properties) {
    const { content_type, response_topic, correlation, user } = order.properties;
    options.properties = {
      contentType: content_type,
      responseTopic: response_topic,
      correlationData: Buffer.from(correlation),
      userProperties: Object.fromEntries(user),
    };
  }
  client.publish(order.topic, payload, options, (error) => {
    if (error) fail(error);
    say("published", true);
  });
}

const orders = {
  connect,
  publish,
  subscribe(order) {
    const options = { qos: order.qos, nl: order.no_local };
    client.subscribe(order.filter, options, (error, granted) => {
      if (error) fail(error);
      say("subscribed", granted[0].qos);
    });
  },
  unsubscribe(order) {
    client.unsubscribe(order.filter, (error) => (error ? fail(error) : say("unsubscribed", true)));
  },
  disconnect() {
    client.end(false, () => say("disconnected", true));
  },
  cut() {
    process.exit(0);
  },
};

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const order = JSON.parse(line);
  orders[order.do](order);
});
