"""Messaging patterns, as in the tutorials."""

# mypy: disable-error-code="import-untyped, import-not-found, attr-defined, no-untyped-call"

from collections.abc import Iterable, Mapping
from typing import Any

import kombu

from interop.clients.kombu.session import (
    Inbox,
    Session,
    body_of,
    collect,
    counts,
    declare_queue,
    drain,
    send,
)
from interop.kit import samples
from interop.kit.check import equal

REPLY_TO = "amq.rabbitmq.reply-to"


def hello(session: Session) -> None:
    """A text, through kombu's serializers, with a Consumer."""
    channel = session.channel()
    queue = declare_queue(channel, session.case.queue(), durable=True)
    kombu.Producer(channel).publish("Hello World!", routing_key=queue.name)
    inbox = Inbox()
    with kombu.Consumer(channel, [queue], on_message=inbox):
        message = collect(channel, inbox, 1)[0]
        equal(message.payload, "Hello World!", "body")
        equal(message.delivery_info["exchange"], "", "exchange")
        equal(message.delivery_info["routing_key"], queue.name, "routing key")
        equal(message.delivery_info["redelivered"], False, "redelivered")
        message.ack()
    other = channel.connection.channel()
    channel.close()  # a message still unacked would go back to the queue
    equal(drain(queue(other)), [], "messages left")


def work_queue(session: Session) -> None:
    """Two workers, one of them stuck."""
    boss, stuck, busy = session.channel(), session.channel(), session.channel()
    queue = declare_queue(boss, session.case.queue(), durable=True)
    held, done = Inbox(), Inbox()

    def work(message: Any) -> None:
        done(message)
        message.ack()

    for channel, worker in ((stuck, held), (busy, work)):
        kombu.Consumer(channel, [queue], on_message=worker, prefetch_count=1).consume()
    tasks = [b"task %d" % number for number in range(10)]
    for task in tasks:
        send(boss, queue.name, task)
    collect(stuck, held, 1)
    collect(busy, done, 9)
    equal(counts(queue(stuck))[0], 0, "messages left")
    equal(len(held.messages), 1, "tasks of the consumer that does not acknowledge")
    equal(sorted(held.bodies + done.bodies), tasks, "tasks given out")


def publish_subscribe(session: Session) -> None:
    """Two queues on a fanout exchange."""
    channel = session.channel()
    exchange = session.exchange(channel, "fanout")
    queues = [session.queue(channel, name, exchange=exchange) for name in ("one", "two")]
    producer = kombu.Producer(channel, exchange)
    producer.publish(b"first", routing_key="")
    producer.publish(b"second", routing_key="any.key")
    for queue in queues:
        equal(drain(queue), [b"first", b"second"], f"messages in {queue.name}")


def routing(session: Session) -> None:
    """A direct exchange."""
    _route(session, "direct", samples.DIRECT_BINDINGS, samples.DIRECT_MESSAGES)


def topics(session: Session) -> None:
    """A topic exchange."""
    _route(session, "topic", samples.TOPIC_BINDINGS, samples.TOPIC_MESSAGES)


def headers_exchange(session: Session) -> None:
    """A headers exchange."""
    channel = session.channel()
    exchange = session.exchange(channel, "headers")
    queues = {
        name: session.queue(channel, name, exchange=exchange, binding_arguments=arguments)
        for name, arguments in samples.HEADER_BINDINGS.items()
    }
    for number, (headers, _) in enumerate(samples.HEADER_MESSAGES):
        kombu.Producer(channel, exchange).publish(b"%d" % number, headers=headers)
    for name, queue in queues.items():
        expected = [
            b"%d" % number
            for number, (_, reached) in enumerate(samples.HEADER_MESSAGES)
            if name in reached
        ]
        equal(drain(queue), expected, f"messages of {name}")


def rpc_reply_queue(session: Session) -> None:
    """Requests answered into the caller's own queue."""
    caller = session.channel()
    _call(session, caller, session.queue(caller, "replies"), no_ack=False)


def rpc_direct_reply_to(session: Session) -> None:
    """Requests answered through the pseudo-queue."""
    caller = session.channel()
    queue = kombu.Queue(REPLY_TO, channel=caller, no_declare=True)
    for name in _call(session, caller, queue, no_ack=True):
        equal(name.startswith(f"{REPLY_TO}."), True, f"{name} is a generated reply-to")


def _call(session: Session, caller: Any, reply_queue: Any, *, no_ack: bool) -> list[str]:
    """Call a server three times. Returns the reply-to names that the server saw."""
    server = session.channel()
    queue = declare_queue(server, session.case.queue("requests"), durable=True)
    requests, replies = Inbox(), Inbox()
    kombu.Consumer(server, [queue], on_message=requests).consume()
    kombu.Consumer(caller, [reply_queue], on_message=replies, no_ack=no_ack).consume()
    asked = []
    for number in range(3):
        send(
            caller,
            queue.name,
            b"request %d" % number,
            reply_to=reply_queue.name,
            correlation_id=f"call-{number}",
        )
        request = collect(server, requests, number + 1)[number]
        asked.append(request.properties["reply_to"])
        correlation_id = request.properties["correlation_id"]
        send(server, asked[-1], body_of(request).upper(), correlation_id=correlation_id)
        request.ack()
        reply = collect(caller, replies, number + 1)[number]
        equal(body_of(reply), b"REQUEST %d" % number, "reply")
        equal(reply.properties["correlation_id"], f"call-{number}", "correlation-id of the reply")
    return asked


def _route(
    session: Session,
    kind: str,
    bindings: Mapping[str, Iterable[str]],
    messages: Mapping[str, Iterable[str]],
) -> None:
    """Bind, publish a message per routing key, and see which queues it is in."""
    channel = session.channel()
    exchange = session.exchange(channel, kind)
    queues = {
        name: session.queue(channel, name, bindings=[kombu.binding(exchange, key) for key in keys])
        for name, keys in bindings.items()
    }
    producer = kombu.Producer(channel, exchange)
    for key in messages:
        producer.publish(key.encode(), routing_key=key)
    for name, queue in queues.items():
        expected = [key.encode() for key, reached in messages.items() if name in reached]
        equal(drain(queue), expected, f"messages in {name}")
