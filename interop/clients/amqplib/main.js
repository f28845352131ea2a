// amqplib, unchanged: plays the scenarios named by its arguments, a line of JSON for each.
"use strict";

const amqp = require("amqplib");
const callbacks = require("amqplib/callback_api");
const version = require("amqplib/package.json").version;
const { isDeepStrictEqual } = require("node:util");

const URL_OF_BROKER = process.env.INTEROP_URL;
const PREFIX = process.env.INTEROP_PREFIX;
const LIMIT_MS = 25000;

function equal(seen, expected, what) {
  if (!isDeepStrictEqual(seen, expected)) {
    const text = (value) => String(JSON.stringify(value)).slice(0, 150);
    throw new Error(`${what}: expected ${text(expected)}, got ${text(seen)}`);
  }
}

// What one scenario works with: connections, names, and what must be removed at its end.
class Session {
  constructor(scenario) {
    this.scenario = scenario;
    this.connections = [];
    this.queues = [];
    this.exchanges = [];
  }

  name(what = "queue") {
    return `${PREFIX}.${this.scenario}.${what}`;
  }

  async connect(url = URL_OF_BROKER) {
    const connection = await amqp.connect(url);
    connection.on("error", () => {});
    this.connections.push(connection);
    return connection;
  }

  async channel(confirms = false) {
    const connection = await this.connect();
    const channel = confirms ? await connection.createConfirmChannel() : await connection.createChannel();
    channel.closing = new Promise((resolve) => channel.on("error", resolve));
    channel.opener = connection;
    return channel;
  }

  async queue(channel, what = "queue", options = {}) {
    const name = this.name(what);
    this.queues.push(name);
    await channel.assertQueue(name, { durable: false, ...options });
    return name;
  }

  async exchange(channel, type, what = "exchange", options = {}) {
    const name = this.name(what);
    this.exchanges.push(name);
    await channel.assertExchange(name, type, { durable: false, ...options });
    return name;
  }

  async close() {
    for (const connection of this.connections) await connection.close().catch(() => {});
    const connection = await amqp.connect(URL_OF_BROKER);
    connection.on("error", () => {});
    const channel = await connection.createChannel();
    for (const queue of this.queues) await channel.deleteQueue(queue).catch(() => {});
    for (const exchange of this.exchanges) await channel.deleteExchange(exchange).catch(() => {});
    await connection.close().catch(() => {});
  }
}

// Deliveries in the order in which they came.
class Inbox {
  constructor() {
    this.messages = [];
    this.waiting = [];
    this.take = (message) => {
      this.messages.push(message);
      for (const wake of this.waiting.splice(0)) wake();
    };
  }

  async first(count) {
    while (this.messages.length < count) await new Promise((wake) => this.waiting.push(wake));
    return this.messages;
  }

  get bodies() {
    return this.messages.map((message) => message.content.toString());
  }
}

async function drain(channel, queue) {
  const bodies = [];
  for (;;) {
    const message = await channel.get(queue, { noAck: true });
    if (!message) return bodies;
    bodies.push(message.content.toString());
  }
}

const send = (channel, queue, body, options = {}) =>
  channel.sendToQueue(queue, Buffer.from(body), options);

// The error with which the broker closes the channel, or that the call brings.
async function refused(channel, code, call) {
  const failed = Promise.resolve(call()).then(() => new Promise(() => {}), (error) => error);
  const error = await Promise.race([failed, channel.closing]);
  if (!String(error.message).includes(String(code))) {
    throw new Error(`expected the broker to refuse with ${code}, it said ${error.message}`);
  }
  return error;
}

const scenarios = {
  async "hello"(session) {
    const channel = await session.channel();
    const queue = await session.queue(channel);
    const inbox = new Inbox();
    await channel.consume(queue, inbox.take);
    send(channel, queue, "hello");
    const [message] = await inbox.first(1);
    equal([message.fields.exchange, message.fields.routingKey, inbox.bodies[0]], ["", queue, "hello"], "message");
    channel.ack(message);
    equal((await channel.deleteQueue(queue)).messageCount, 0, "messages left");
  },

  async "work-queue"(session) {
    const channel = await session.channel();
    const queue = await session.queue(channel);
    const idle = await session.channel();
    const busy = await session.channel();
    const [one, other] = [new Inbox(), new Inbox()];
    await idle.prefetch(1);
    await busy.prefetch(1);
    await idle.consume(queue, one.take);
    send(channel, queue, "0");
    await one.first(1);
    await busy.consume(queue, (message) => { other.take(message); busy.ack(message); });
    for (let task = 1; task < 10; task++) send(channel, queue, String(task));
    await other.first(9);
    equal(one.bodies, ["0"], "the idle worker");
    equal(other.bodies, ["1", "2", "3", "4", "5", "6", "7", "8", "9"], "the busy worker");
  },

  async "publish-subscribe"(session) {
    const channel = await session.channel();
    const exchange = await session.exchange(channel, "fanout");
    const queues = [];
    for (const what of ["one", "two"]) {
      queues.push(await session.queue(channel, what));
      await channel.bindQueue(queues.at(-1), exchange, "");
    }
    for (const key of ["a", "b"]) channel.publish(exchange, key, Buffer.from(key));
    for (const queue of queues) equal(await drain(channel, queue), ["a", "b"], queue);
  },

  async "routing"(session) {
    const channel = await session.channel();
    const exchange = await session.exchange(channel, "direct");
    const errors = await session.queue(channel, "errors");
    const all = await session.queue(channel, "all");
    await channel.bindQueue(errors, exchange, "error");
    for (const key of ["info", "warning", "error"]) await channel.bindQueue(all, exchange, key);
    for (const key of ["error", "warning", "info", "Error", "debug"]) channel.publish(exchange, key, Buffer.from(key));
    equal(await drain(channel, errors), ["error"], "errors");
    equal(await drain(channel, all), ["error", "warning", "info"], "all");
  },

  async "topics"(session) {
    const channel = await session.channel();
    const exchange = await session.exchange(channel, "topic");
    const bindings = { orange: ["*.orange.*"], rabbits: ["*.*.rabbit", "lazy.#"], all: ["#"] };
    const queues = {};
    for (const [what, patterns] of Object.entries(bindings)) {
      queues[what] = await session.queue(channel, what);
      for (const pattern of patterns) await channel.bindQueue(queues[what], exchange, pattern);
    }
    const keys = ["quick.orange.rabbit", "lazy.pink.rabbit", "quick", "lazy", ""];
    for (const key of keys) channel.publish(exchange, key, Buffer.from(key));
    equal(await drain(channel, queues.orange), ["quick.orange.rabbit"], "orange");
    equal(await drain(channel, queues.rabbits), ["quick.orange.rabbit", "lazy.pink.rabbit", "lazy"], "rabbits");
    equal(await drain(channel, queues.all), keys, "all");
  },

  async "headers-exchange"(session) {
    const channel = await session.channel();
    const exchange = await session.exchange(channel, "headers");
    for (const match of ["all", "any"]) {
      await session.queue(channel, match);
      await channel.bindQueue(session.name(match), exchange, "", { "x-match": match, format: "pdf", pages: 7 });
    }
    const sent = [{ format: "pdf", pages: 7 }, { format: "pdf", pages: 8 }, { pages: 7 }, { format: "zip" }, {}];
    sent.forEach((headers, at) => channel.publish(exchange, "", Buffer.from(String(at)), { headers }));
    equal(await drain(channel, session.name("all")), ["0"], "all");
    equal(await drain(channel, session.name("any")), ["0", "1", "2"], "any");
  },

  async "rpc-reply-queue"(session) {
    const [server, client] = [await session.channel(), await session.channel()];
    const queue = await session.queue(server);
    const { queue: replies } = await client.assertQueue("", { exclusive: true });
    await server.consume(queue, (request) => {
      const { replyTo, correlationId } = request.properties;
      send(server, replyTo, `${request.content}!`, { correlationId });
    }, { noAck: true });
    const inbox = new Inbox();
    await client.consume(replies, inbox.take, { noAck: true });
    for (let call = 1; call <= 3; call++) {
      send(client, queue, `call ${call}`, { replyTo: replies, correlationId: `id ${call}` });
      const reply = (await inbox.first(call)).at(-1);
      equal([reply.properties.correlationId, reply.content.toString()], [`id ${call}`, `call ${call}!`], "reply");
    }
  },

  async "rpc-direct-reply-to"(session) {
    const [server, client] = [await session.channel(), await session.channel()];
    const queue = await session.queue(server);
    const seen = [];
    await server.consume(queue, (request) => {
      seen.push(request.properties.replyTo);
      send(server, request.properties.replyTo, "answer", { correlationId: request.properties.correlationId });
    }, { noAck: true });
    const inbox = new Inbox();
    await client.consume("amq.rabbitmq.reply-to", inbox.take, { noAck: true });
    for (let call = 1; call <= 3; call++) {
      send(client, queue, "ask", { replyTo: "amq.rabbitmq.reply-to", correlationId: String(call) });
      equal((await inbox.first(call)).at(-1).properties.correlationId, String(call), "correlation-id");
    }
    if (!seen.every((name) => name.startsWith("amq.rabbitmq.reply-to."))) throw new Error(`reply-to: ${seen}`);
  },

  async "confirms-single"(session) {
    const channel = await session.channel(true);
    const queue = await session.queue(channel);
    for (const to of [queue, session.name("nowhere"), queue]) {
      send(channel, to, "x");
      await channel.waitForConfirms();
    }
    equal((await channel.checkQueue(queue)).messageCount, 2, "messages");
  },

  async "confirms-batch"(session) {
    const channel = await session.channel(true);
    const queue = await session.queue(channel);
    const bodies = Array.from({ length: 100 }, (_, at) => String(at));
    let confirmed = 0;
    for (const body of bodies) channel.sendToQueue(queue, Buffer.from(body), {}, (error) => { if (!error) confirmed++; });
    await channel.waitForConfirms();
    equal(confirmed, 100, "confirmed");
    equal(await drain(channel, queue), bodies, "bodies");
  },

  async "mandatory-return"(session) {
    const channel = await session.channel(true);
    const queue = await session.queue(channel);
    const order = [];
    channel.on("return", (message) => order.push([message.fields.replyCode, message.fields.replyText, message.content.toString()]));
    channel.publish("", session.name("nowhere"), Buffer.from("back"), { mandatory: true }, () => order.push("confirm"));
    channel.publish("", queue, Buffer.from("there"), { mandatory: true }, () => order.push("confirm"));
    await channel.waitForConfirms();
    equal(order, [[312, "NO_ROUTE", "back"], "confirm", "confirm"], "returns and confirms");
  },

  async "nack-requeue"(session) {
    const channel = await session.channel();
    const queue = await session.queue(channel);
    for (const body of ["1", "2"]) send(channel, queue, body);
    channel.nack(await channel.get(queue));
    const again = await channel.get(queue);
    equal([again.content.toString(), again.fields.redelivered], ["1", true], "message");
    channel.reject(again, false);
    equal(await drain(channel, queue), ["2"], "left");
  },

  async "nack-multiple"(session) {
    const channel = await session.channel();
    const queue = await session.queue(channel);
    for (let at = 1; at <= 6; at++) send(channel, queue, String(at));
    const messages = [];
    for (let at = 1; at <= 6; at++) messages.push(await channel.get(queue));
    channel.nack(messages[3], true, false);
    channel.nack(messages[5], true, true);
    for (const body of ["5", "6"]) {
      const message = await channel.get(queue, { noAck: true });
      equal([message.content.toString(), message.fields.redelivered], [body, true], "message");
    }
    equal(await channel.get(queue), false, "nothing is left");
  },

  async "unacked-on-close"(session) {
    const channel = await session.channel();
    const queue = await session.queue(channel);
    for (const body of ["1", "2"]) send(channel, queue, body);
    const loser = await session.channel();
    for (let at = 0; at < 2; at++) while (!(await loser.get(queue)));
    await loser.close();
    for (const body of ["1", "2"]) {
      const message = await channel.get(queue, { noAck: true });
      equal([message.content.toString(), message.fields.redelivered], [body, true], "message");
    }
  },

  async "qos-global"(session) {
    const channel = await session.channel();
    const queue = await session.queue(channel);
    const other = await session.channel();
    const inbox = new Inbox();
    for (let at = 0; at < 10; at++) send(other, queue, String(at));
    await other.checkQueue(queue);
    await channel.prefetch(3, true);
    for (let at = 0; at < 2; at++) await channel.consume(queue, inbox.take);
    await inbox.first(3);
    await channel.checkQueue(queue);
    equal(inbox.messages.length, 3, "deliveries");
    channel.ack(inbox.messages[0]);
    await inbox.first(4);
    await channel.checkQueue(queue);
    equal(inbox.messages.length, 4, "deliveries after an ack");
  },

  async "cancel-notification"(session) {
    const channel = await session.channel();
    const queue = await session.queue(channel);
    const told = new Promise((resolve) => channel.consume(queue, (message) => { if (message === null) resolve(); }));
    await channel.checkQueue(queue);
    await (await session.channel()).deleteQueue(queue);
    await told;
  },

  async "basic-get"(session) {
    const channel = await session.channel();
    const queue = await session.queue(channel);
    for (const body of ["1", "2", "3"]) send(channel, queue, body);
    for (const [body, left] of [["1", 2], ["2", 1], ["3", 0]]) {
      const message = await channel.get(queue, { noAck: true });
      equal([message.content.toString(), message.fields.messageCount], [body, left], "message");
    }
    equal(await channel.get(queue), false, "the end");
  },

  async "server-named-queue"(session) {
    const channel = await session.channel();
    const names = [];
    for (let at = 0; at < 2; at++) names.push((await channel.assertQueue("", { exclusive: true })).queue);
    if (names[0] === names[1] || !names.every((name) => name.startsWith("amq."))) throw new Error(`names: ${names}`);
    send(channel, names[0], "x");
    equal(await drain(channel, names[0]), ["x"], "bodies");
  },

  async "exclusive-queue"(session) {
    const owner = await session.channel();
    const queue = await session.queue(owner, "queue", { exclusive: true });
    const stranger = await session.channel();
    await refused(stranger, 405, () => stranger.checkQueue(queue));
    await owner.opener.close();
    const after = await session.channel();
    await refused(after, 404, () => after.checkQueue(queue));
  },

  async "purge-delete-counts"(session) {
    const channel = await session.channel(true);
    const queue = await session.queue(channel);
    for (const body of ["1", "2", "3"]) send(channel, queue, body);
    await channel.waitForConfirms();
    equal((await channel.checkQueue(queue)).messageCount, 3, "declared");
    equal((await channel.purgeQueue(queue)).messageCount, 3, "purged");
    await channel.consume(queue, () => {});
    equal((await channel.checkQueue(queue)).consumerCount, 1, "consumers");
    equal((await channel.deleteQueue(queue)).messageCount, 0, "deleted");
  },

  async "exchange-to-exchange"(session) {
    const channel = await session.channel();
    const from = await session.exchange(channel, "direct", "from");
    const to = await session.exchange(channel, "fanout", "to");
    const queue = await session.queue(channel);
    await channel.bindQueue(queue, to, "");
    await channel.bindExchange(to, from, "k");
    channel.publish(from, "k", Buffer.from("1"));
    equal(await drain(channel, queue), ["1"], "bound");
    await channel.unbindExchange(to, from, "k");
    channel.publish(from, "k", Buffer.from("2"));
    equal(await drain(channel, queue), [], "unbound");
  },

  async "alternate-exchange"(session) {
    const channel = await session.channel();
    const spare = await session.exchange(channel, "fanout", "spare");
    const exchange = await session.exchange(channel, "direct", "exchange", { alternateExchange: spare });
    const [routed, rest] = [await session.queue(channel, "routed"), await session.queue(channel, "rest")];
    await channel.bindQueue(routed, exchange, "k");
    await channel.bindQueue(rest, spare, "");
    for (const key of ["k", "other"]) channel.publish(exchange, key, Buffer.from(key));
    equal(await drain(channel, routed), ["k"], "routed");
    equal(await drain(channel, rest), ["other"], "rest");
  },

  async "passive-declare-missing"(session) {
    const one = await session.channel();
    await refused(one, 404, () => one.checkQueue(session.name("none")));
    const other = await one.opener.createChannel();
    other.closing = new Promise((resolve) => other.on("error", resolve));
    await refused(other, 404, () => other.checkExchange(session.name("none")));
    await (await one.opener.createChannel()).assertQueue("", { exclusive: true });
  },

  async "precondition-failed"(session) {
    const channel = await session.channel();
    const queue = await session.queue(channel, "queue", { durable: true });
    const error = await refused(channel, 406, () => channel.assertQueue(queue, { durable: false }));
    if (!error.message.includes("inequivalent arg 'durable' for queue")) throw error;
  },

  async "publish-missing-exchange"(session) {
    const channel = await session.channel();
    await refused(channel, 404, () => { channel.publish(session.name("none"), "", Buffer.from("x")); });
  },

  async "unknown-delivery-tag"(session) {
    const channel = await session.channel();
    const queue = await session.queue(channel);
    send(channel, queue, "x");
    const message = await channel.get(queue);
    channel.ack(message);
    await refused(channel, 406, () => { channel.ack(message); });
  },

  async "reserved-name"(session) {
    const one = await session.channel();
    await refused(one, 403, () => one.assertQueue(`amq.${session.name()}`));
    const other = await session.channel();
    await refused(other, 403, () => other.assertExchange(`amq.${session.name()}`, "direct"));
  },

  async "internal-exchange"(session) {
    const channel = await session.channel();
    const exchange = await session.exchange(channel, "fanout", "exchange", { internal: true });
    await refused(channel, 403, () => { channel.publish(exchange, "", Buffer.from("x")); });
  },

  async "wrong-password"() {
    const url = new URL(URL_OF_BROKER);
    url.password = "wrong";
    const error = await amqp.connect(url.href).then(() => null, (failure) => failure);
    if (!error || !error.message.includes("ACCESS-REFUSED")) throw new Error(`it said: ${error && error.message}`);
  },

  async "missing-vhost"() {
    const url = new URL(URL_OF_BROKER);
    url.pathname = "/interop-no-such-vhost";
    const error = await amqp.connect(url.href).then(() => null, (failure) => failure);
    // amqplib says only that it was closed before it was open.
    if (!error || !error.message.includes("ConnectionClose")) throw new Error(`it said: ${error && error.message}`);
  },

  async "properties"(session) {
    const channel = await session.channel();
    const queue = await session.queue(channel);
    const sent = {
      contentType: "application/json", contentEncoding: "utf-8", deliveryMode: 2, priority: 5,
      correlationId: "c", replyTo: "r", expiration: "60000", messageId: "m", timestamp: 1709210096,
      type: "t", appId: "a", userId: decodeURIComponent(new URL(URL_OF_BROKER).username), headers: { key: "value" },
    };
    send(channel, queue, "body", sent);
    const { properties } = await channel.get(queue, { noAck: true });
    for (const [name, value] of Object.entries(sent)) equal(properties[name], value, name);
  },

  async "header-types"(session) {
    const channel = await session.channel();
    const queue = await session.queue(channel);
    const headers = {
      true: true, zero: 0, byte: 127, negative: -128, short: -32768, int: 2147483647, long: 2 ** 40,
      float: -2.25, text: "text", empty: "", unicode: "żółw 🐢", binary: Buffer.from([0, 255]), void: null,
      array: [1, "two", true, null, [3]], table: { one: 1, nested: { two: ["zwei"] } },
    };
    send(channel, queue, "body", { headers });
    equal((await channel.get(queue, { noAck: true })).properties.headers, headers, "headers");
  },

  async "empty-message"(session) {
    const channel = await session.channel();
    const queue = await session.queue(channel);
    for (const body of ["", "full", ""]) send(channel, queue, body);
    const inbox = new Inbox();
    await channel.consume(queue, inbox.take, { noAck: true });
    await inbox.first(3);
    equal(inbox.bodies, ["", "full", ""], "bodies");
  },

  async "large-message"(session) {
    const channel = await session.channel();
    const queue = await session.queue(channel);
    const body = Buffer.alloc(16 * 1024 * 1024, "0123456789abcdefg");
    channel.sendToQueue(queue, body);
    const inbox = new Inbox();
    await channel.consume(queue, inbox.take, { noAck: true });
    const [message] = await inbox.first(1);
    if (!message.content.equals(body)) throw new Error(`another body of ${message.content.length} bytes`);
  },

  async "unicode-names"(session) {
    const unicode = "zażółć-gęślą-日本語-🐇";
    const channel = await session.channel();
    const queue = await session.queue(channel, unicode);
    const exchange = await session.exchange(channel, "topic", unicode);
    await channel.bindQueue(queue, exchange, `${unicode}.*`);
    const inbox = new Inbox();
    await channel.consume(queue, inbox.take, { consumerTag: unicode, noAck: true });
    channel.publish(exchange, `${unicode}.clé`, Buffer.from("x"));
    const [message] = await inbox.first(1);
    equal([message.fields.exchange, message.fields.routingKey, message.fields.consumerTag], [exchange, `${unicode}.clé`, unicode], "names");
  },

  async "many-channels"(session) {
    const connection = await session.connect();
    const channels = [];
    for (let at = 0; at < 200; at++) channels.push(await connection.createChannel());
    for (const [at, channel] of channels.entries()) {
      const { queue } = await channel.assertQueue("", { exclusive: true });
      send(channel, queue, String(at));
      equal(await drain(channel, queue), [String(at)], `channel ${at}`);
    }
  },

  // The callback API, in one scenario of its own that both have.
  "duplicate-consumer-tag"(session) {
    const queue = session.name();
    session.queues.push(queue);
    return new Promise((resolve, reject) => callbacks.connect(URL_OF_BROKER, (failed, connection) => {
      if (failed) return reject(failed);
      connection.on("error", (error) => (error.code === 530 ? resolve() : reject(error)));
      connection.createChannel((none, channel) => {
        if (none) return reject(none);
        channel.on("error", () => {});
        channel.assertQueue(queue, { durable: false }, () => {
          const take = () => {};
          channel.consume(queue, take, { consumerTag: "tag" }, () => channel.consume(queue, take, { consumerTag: "tag" }));
        });
      });
    }));
  },
};

async function play(name) {
  const run = scenarios[name];
  if (!run) return { result: "skip", reason: name.startsWith("tx-") ? "amqplib has no transactions" : "not written for this client" };
  const session = new Session(name);
  let alarm;
  const late = new Promise((_, reject) => { alarm = setTimeout(() => reject(new Error("not done in time")), LIMIT_MS); });
  try {
    await Promise.race([run(session), late]);
    return { result: "pass", reason: "" };
  } catch (error) {
    return { result: "fail", reason: String(error.message || error) };
  } finally {
    clearTimeout(alarm);
    await session.close().catch(() => {});
  }
}

async function main() {
  process.on("unhandledRejection", () => {});
  console.log(JSON.stringify({ client: "amqplib", version }));
  for (const name of process.argv.slice(2)) {
    const started = Date.now();
    const answer = await play(name);
    console.log(JSON.stringify({ scenario: name, ...answer, ms: Date.now() - started }));
  }
  process.exit(0);
}

main();
