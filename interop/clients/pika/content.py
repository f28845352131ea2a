"""What is in a message, there and back."""

# mypy: disable-error-code="import-untyped, import-not-found"

from typing import Any

import pika

from interop.clients.pika.session import Inbox, Session, collect
from interop.kit import samples
from interop.kit.check import equal, holds


def properties(session: Session) -> None:
    """All fourteen."""
    sent = {
        **samples.PROPERTIES,
        "headers": {"key": "value"},
        "timestamp": int(samples.SENT_AT.timestamp()),
        "user_id": session.case.address.user,
        "cluster_id": "cluster",
    }
    _, seen, _ = _send(session, b"body", **sent)
    for name, value in sent.items():
        equal(getattr(seen, name), value, name)
    _, bare, _ = _send(session, b"body")
    for name in sent:
        equal(getattr(bare, name), None, f"{name}, which was not sent")


def header_types(session: Session) -> None:
    """pika cannot send floats."""
    values = {name: value for name, value in samples.HEADER_VALUES.items() if name != "float"}
    _, seen, _ = _send(session, b"body", headers=values)
    equal(seen.headers.keys(), values.keys(), "header names")
    for name, value in values.items():
        equal(seen.headers[name], value, f"header {name}")


def empty_message(session: Session) -> None:
    """No body, by get and by delivery, and what follows is not disturbed."""
    channel = session.channel()
    queue = session.case.queue()
    channel.queue_declare(queue, exclusive=True)
    bodies = [b"", b"full", b""]
    for _ in range(2):
        for body in bodies:
            channel.basic_publish("", queue, body, pika.BasicProperties(type="t"))
    for body in bodies:
        _, seen, got = channel.basic_get(queue, auto_ack=True)
        equal(got, body, "body by get")
        equal(seen.type, "t", "type")
    inbox = Inbox()
    channel.basic_consume(queue, inbox, auto_ack=True)
    collect(channel, inbox, 3)
    equal(inbox.bodies, bodies, "bodies delivered")


def large_message(session: Session) -> None:
    """By get and by delivery."""
    channel = session.channel()
    queue = session.case.queue()
    channel.queue_declare(queue, exclusive=True)
    body = samples.large_body()
    channel.basic_publish("", queue, body)
    channel.basic_publish("", queue, body)
    _, _, got = channel.basic_get(queue, auto_ack=True)
    holds(got == body, f"the body that get returned differs ({len(got)} bytes)")
    inbox = Inbox()
    channel.basic_consume(queue, inbox, auto_ack=True)
    delivered = collect(channel, inbox, 1)[0].body
    holds(delivered == body, f"the body that was delivered differs ({len(delivered)} bytes)")


def unicode_names(session: Session) -> None:
    """Names of all kinds."""
    channel = session.channel()
    queue = session.case.queue(samples.UNICODE)
    exchange = session.case.exchange(samples.UNICODE)
    equal(channel.queue_declare(queue, exclusive=True).method.queue, queue, "queue")
    channel.exchange_declare(exchange, "topic")
    channel.queue_bind(queue, exchange, f"{samples.UNICODE}.*")
    key = f"{samples.UNICODE}.clé"
    channel.basic_publish(exchange, key, b"body")
    inbox = Inbox()
    channel.basic_consume(queue, inbox, consumer_tag=samples.UNICODE)
    delivery = collect(channel, inbox, 1)[0]
    equal(delivery.method.exchange, exchange, "exchange")
    equal(delivery.method.routing_key, key, "routing key")
    equal(delivery.method.consumer_tag, samples.UNICODE, "consumer tag")


def _send(session: Session, body: bytes, **properties: object) -> tuple[Any, Any, bytes]:
    """Send a message and take it back."""
    channel = session.channel()
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.basic_publish("", queue, body, pika.BasicProperties(**properties))
    method, seen, got = channel.basic_get(queue, auto_ack=True)
    equal(got, body, "body")
    return method, seen, got
