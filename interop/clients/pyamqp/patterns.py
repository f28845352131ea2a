"""Messaging patterns, as in the tutorials."""

# mypy: disable-error-code="import-untyped, import-not-found"

from collections.abc import Iterable, Mapping
from typing import Any

import amqp

from interop.clients.pyamqp.session import Inbox, Session, collect, drain, ready, send
from interop.kit import samples
from interop.kit.check import equal

REPLY_TO = "amq.rabbitmq.reply-to"


def hello(session: Session) -> None:
    """Publish to a queue by name; consume; acknowledge."""
    channel = session.channel()
    queue = session.case.queue()
    channel.queue_declare(queue, exclusive=True, auto_delete=False)
    send(channel, queue, b"Hello World!")
    inbox = Inbox()
    tag = channel.basic_consume(queue, callback=inbox)
    message = collect(channel, inbox, 1)[0]
    equal(message.body, b"Hello World!", "body")
    equal(message.delivery_info["exchange"], "", "exchange")
    equal(message.delivery_info["routing_key"], queue, "routing key")
    equal(message.delivery_info["consumer_tag"], tag, "consumer tag")
    equal(message.delivery_info["redelivered"], False, "redelivered")
    channel.basic_ack(message.delivery_tag)
    connection = channel.connection
    channel.close()  # a message still unacked would go back to the queue
    equal(drain(connection.channel(), queue), [], "messages left")


def work_queue(session: Session) -> None:
    """Two workers, one of them stuck."""
    boss, stuck, busy = session.channel(), session.channel(), session.channel()
    queue = session.case.queue()
    boss.queue_declare(queue, durable=True, auto_delete=False)
    held, done = Inbox(), Inbox()

    def work(message: Any) -> None:
        done(message)
        busy.basic_ack(message.delivery_tag)

    stuck.basic_qos(0, 1, False)
    stuck.basic_consume(queue, callback=held)
    busy.basic_qos(0, 1, False)
    busy.basic_consume(queue, callback=work)
    tasks = [b"task %d" % number for number in range(10)]
    for task in tasks:
        send(boss, queue, task, delivery_mode=2)
    collect(stuck, held, 1)
    collect(busy, done, 9)
    equal(ready(stuck, queue), 0, "messages left")
    equal(len(held.messages), 1, "tasks of the consumer that does not acknowledge")
    equal(sorted(held.bodies + done.bodies), tasks, "tasks given out")


def publish_subscribe(session: Session) -> None:
    """Two queues on a fanout exchange."""
    channel = session.channel()
    exchange = session.case.exchange()
    channel.exchange_declare(exchange, "fanout", auto_delete=False)
    queues = [session.case.queue(name) for name in ("one", "two")]
    for queue in queues:
        channel.queue_declare(queue, exclusive=True)
        channel.queue_bind(queue, exchange)
    channel.basic_publish(amqp.Message(b"first"), exchange, "")
    channel.basic_publish(amqp.Message(b"second"), exchange, "any.key")
    for queue in queues:
        equal(drain(channel, queue), [b"first", b"second"], f"messages in {queue}")


def routing(session: Session) -> None:
    """A direct exchange."""
    _route(session, "direct", samples.DIRECT_BINDINGS, samples.DIRECT_MESSAGES)


def topics(session: Session) -> None:
    """A topic exchange."""
    _route(session, "topic", samples.TOPIC_BINDINGS, samples.TOPIC_MESSAGES)


def headers_exchange(session: Session) -> None:
    """A headers exchange."""
    channel = session.channel()
    exchange = session.case.exchange()
    channel.exchange_declare(exchange, "headers", auto_delete=False)
    for name, arguments in samples.HEADER_BINDINGS.items():
        queue = session.case.queue(name)
        channel.queue_declare(queue, exclusive=True)
        channel.queue_bind(queue, exchange, arguments=arguments)
    for number, (headers, _) in enumerate(samples.HEADER_MESSAGES):
        message = amqp.Message(b"%d" % number, application_headers=headers)
        channel.basic_publish(message, exchange)
    for name in samples.HEADER_BINDINGS:
        expected = [
            b"%d" % number
            for number, (_, reached) in enumerate(samples.HEADER_MESSAGES)
            if name in reached
        ]
        equal(drain(channel, session.case.name(name)), expected, f"messages of {name}")


def rpc_reply_queue(session: Session) -> None:
    """Requests answered into the caller's own queue."""
    caller = session.channel()
    reply_to = caller.queue_declare("", exclusive=True).queue
    _call(session, caller, reply_to, no_ack=False)


def rpc_direct_reply_to(session: Session) -> None:
    """Requests answered through the pseudo-queue."""
    caller = session.channel()
    for name in _call(session, caller, REPLY_TO, no_ack=True):
        equal(name.startswith(f"{REPLY_TO}."), True, f"{name} is a generated reply-to")


def _call(session: Session, caller: Any, reply_to: str, *, no_ack: bool) -> list[str]:
    """Call a server three times. Returns the reply-to names that the server saw."""
    server = session.channel()
    queue = session.case.queue("requests")
    server.queue_declare(queue, durable=True, auto_delete=False)
    requests, replies = Inbox(), Inbox()
    server.basic_consume(queue, callback=requests)
    caller.basic_consume(reply_to, callback=replies, no_ack=no_ack)
    asked = []
    for number in range(3):
        send(
            caller,
            queue,
            b"request %d" % number,
            reply_to=reply_to,
            correlation_id=f"call-{number}",
        )
        request = collect(server, requests, number + 1)[number]
        asked.append(request.reply_to)
        send(server, request.reply_to, request.body.upper(), correlation_id=request.correlation_id)
        server.basic_ack(request.delivery_tag)
        reply = collect(caller, replies, number + 1)[number]
        equal(reply.body, b"REQUEST %d" % number, "reply")
        equal(reply.correlation_id, f"call-{number}", "correlation-id of the reply")
    return asked


def _route(
    session: Session,
    kind: str,
    bindings: Mapping[str, Iterable[str]],
    messages: Mapping[str, Iterable[str]],
) -> None:
    """Bind, publish a message per routing key, and see which queues it is in."""
    channel = session.channel()
    exchange = session.case.exchange()
    channel.exchange_declare(exchange, kind, auto_delete=False)
    for name, keys in bindings.items():
        queue = session.case.queue(name)
        channel.queue_declare(queue, exclusive=True)
        for key in keys:
            channel.queue_bind(queue, exchange, key)
    for key in messages:
        channel.basic_publish(amqp.Message(key.encode()), exchange, key)
    for name in bindings:
        expected = [key.encode() for key, reached in messages.items() if name in reached]
        equal(drain(channel, session.case.name(name)), expected, f"messages in {name}")
