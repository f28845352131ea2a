"""Messaging patterns, as in the tutorials."""

# mypy: disable-error-code="import-untyped, import-not-found"

from collections.abc import Iterable, Mapping
from typing import Any

import pika

from interop.clients.pika.session import Inbox, Session, collect, drain, ready
from interop.kit import samples
from interop.kit.check import equal

REPLY_TO = "amq.rabbitmq.reply-to"


def hello(session: Session) -> None:
    """Publish to a queue by name; consume; acknowledge."""
    channel = session.channel()
    queue = session.case.queue()
    channel.queue_declare(queue, exclusive=True)
    channel.basic_publish("", queue, b"Hello World!")
    inbox = Inbox()
    tag = channel.basic_consume(queue, inbox)
    delivery = collect(channel, inbox, 1)[0]
    equal(delivery.body, b"Hello World!", "body")
    equal(delivery.method.exchange, "", "exchange")
    equal(delivery.method.routing_key, queue, "routing key")
    equal(delivery.method.consumer_tag, tag, "consumer tag")
    equal(delivery.method.redelivered, False, "redelivered")
    channel.basic_ack(delivery.method.delivery_tag)
    channel.close()  # a message still unacked would go back to the queue
    equal(drain(channel.connection.channel(), queue), [], "messages left")


def work_queue(session: Session) -> None:
    """Two workers, one of them stuck."""
    boss, stuck, busy = session.channel(), session.channel(), session.channel()
    queue = session.case.queue()
    boss.queue_declare(queue, durable=True)
    held, done = Inbox(), Inbox()

    def work(channel: Any, method: Any, properties: Any, body: bytes) -> None:
        done(channel, method, properties, body)
        channel.basic_ack(method.delivery_tag)

    stuck.basic_qos(prefetch_count=1)
    stuck.basic_consume(queue, held)
    busy.basic_qos(prefetch_count=1)
    busy.basic_consume(queue, work)
    tasks = [b"task %d" % number for number in range(10)]
    for task in tasks:
        boss.basic_publish("", queue, task, pika.BasicProperties(delivery_mode=2))
    collect(stuck, held, 1)
    collect(busy, done, 9)
    equal(ready(stuck, queue), 0, "messages left")
    equal(len(held.deliveries), 1, "tasks of the consumer that does not acknowledge")
    equal(sorted(held.bodies + done.bodies), tasks, "tasks given out")


def publish_subscribe(session: Session) -> None:
    """Two queues on a fanout exchange."""
    channel = session.channel()
    exchange = session.case.exchange()
    channel.exchange_declare(exchange, "fanout")
    queues = [session.case.queue(name) for name in ("one", "two")]
    for queue in queues:
        channel.queue_declare(queue, exclusive=True)
        channel.queue_bind(queue, exchange)
    channel.basic_publish(exchange, "", b"first")
    channel.basic_publish(exchange, "any.key", b"second")
    for queue in queues:
        equal(drain(channel, queue), [b"first", b"second"], f"messages in {queue}")


def routing(session: Session) -> None:
    """A direct exchange."""
    channel, exchange = _bind(session, "direct", samples.DIRECT_BINDINGS)
    for key in samples.DIRECT_MESSAGES:
        channel.basic_publish(exchange, key, key.encode())
    _expect(session, channel, samples.DIRECT_BINDINGS, samples.DIRECT_MESSAGES)


def topics(session: Session) -> None:
    """A topic exchange."""
    channel, exchange = _bind(session, "topic", samples.TOPIC_BINDINGS)
    for key in samples.TOPIC_MESSAGES:
        channel.basic_publish(exchange, key, key.encode())
    _expect(session, channel, samples.TOPIC_BINDINGS, samples.TOPIC_MESSAGES)


def headers_exchange(session: Session) -> None:
    """A headers exchange."""
    channel = session.channel()
    exchange = session.case.exchange()
    channel.exchange_declare(exchange, "headers")
    for name, arguments in samples.HEADER_BINDINGS.items():
        queue = session.case.queue(name)
        channel.queue_declare(queue, exclusive=True)
        channel.queue_bind(queue, exchange, arguments=arguments)
    for number, (headers, _) in enumerate(samples.HEADER_MESSAGES):
        properties = pika.BasicProperties(headers=headers)
        channel.basic_publish(exchange, "", str(number).encode(), properties)
    for name in samples.HEADER_BINDINGS:
        expected = [
            str(number).encode()
            for number, (_, reached) in enumerate(samples.HEADER_MESSAGES)
            if name in reached
        ]
        equal(drain(channel, session.case.name(name)), expected, f"messages of {name}")


def rpc_reply_queue(session: Session) -> None:
    """Requests answered into the caller's own queue."""
    caller = session.channel()
    reply_to = caller.queue_declare("", exclusive=True).method.queue
    _call(session, caller, reply_to, auto_ack=False)


def rpc_direct_reply_to(session: Session) -> None:
    """Requests answered through the pseudo-queue."""
    caller = session.channel()
    asked = _call(session, caller, REPLY_TO, auto_ack=True)
    for name in asked:
        equal(name.startswith(f"{REPLY_TO}."), True, f"{name} is a generated reply-to")


def _call(session: Session, caller: Any, reply_to: str, *, auto_ack: bool) -> list[str]:
    """Call a server three times. Returns the reply-to names that the server saw."""
    server = session.channel()
    queue = session.case.queue("requests")
    server.queue_declare(queue, durable=True)
    asked: list[str] = []

    def serve(channel: Any, method: Any, properties: Any, body: bytes) -> None:
        asked.append(properties.reply_to)
        answer = pika.BasicProperties(correlation_id=properties.correlation_id)
        channel.basic_publish("", properties.reply_to, body.upper(), answer)
        channel.basic_ack(method.delivery_tag)

    server.basic_consume(queue, serve)
    replies = Inbox()
    caller.basic_consume(reply_to, replies, auto_ack=auto_ack)
    for number in range(3):
        request = pika.BasicProperties(reply_to=reply_to, correlation_id=f"call-{number}")
        caller.basic_publish("", queue, b"request %d" % number, request)
        while len(asked) <= number:
            server.connection.process_data_events(time_limit=None)
        reply = collect(caller, replies, number + 1)[number]
        equal(reply.body, b"REQUEST %d" % number, "reply")
        equal(reply.properties.correlation_id, f"call-{number}", "correlation-id of the reply")
    return asked


def _bind(session: Session, kind: str, bindings: Mapping[str, Iterable[str]]) -> tuple[Any, str]:
    """Declare an exchange and its queues. Returns the channel and the exchange's name."""
    channel = session.channel()
    exchange = session.case.exchange()
    channel.exchange_declare(exchange, kind)
    for name, keys in bindings.items():
        queue = session.case.queue(name)
        channel.queue_declare(queue, exclusive=True)
        for key in keys:
            channel.queue_bind(queue, exchange, key)
    return channel, exchange


def _expect(
    session: Session,
    channel: Any,
    bindings: Iterable[str],
    messages: Mapping[str, Iterable[str]],
) -> None:
    """Each queue has the messages (named by routing key) that the table says, in order."""
    for name in bindings:
        expected = [key.encode() for key, reached in messages.items() if name in reached]
        equal(drain(channel, session.case.name(name)), expected, f"messages in {name}")
