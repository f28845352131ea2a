"""What is in a message, there and back."""

# mypy: disable-error-code="import-untyped, import-not-found, attr-defined, no-untyped-call"

from typing import Any

from interop.clients.kombu.session import Inbox, Session, body_of, collect, declare_queue, send
from interop.kit import samples
from interop.kit.check import equal, holds


def properties(session: Session) -> None:
    """All fourteen; kombu counts the expiration in seconds."""
    sent: dict[str, object] = {
        **samples.PROPERTIES,
        "timestamp": int(samples.SENT_AT.timestamp()),
        "user_id": session.case.address.user,
        "cluster_id": "cluster",
    }
    message = _send(session, b"body", **{**sent, "headers": {"key": "value"}, "expiration": 60})
    for name, value in sent.items():
        equal(message.properties.get(name), value, name)
    equal(message.headers, {"key": "value"}, "headers")
    bare = _send(session, b"body")
    for name in ("correlation_id", "reply_to", "expiration", "timestamp", "type", "app_id"):
        equal(bare.properties.get(name), None, f"{name}, which was not sent")


def header_types(session: Session) -> None:
    """py-amqp has no binary, and sends integers as I or L, floats as d."""
    values = {name: value for name, value in samples.HEADER_VALUES.items() if name != "binary"}
    seen = _send(session, b"body", headers=values).headers
    equal(seen.keys(), values.keys(), "header names")
    for name, value in values.items():
        equal(seen[name], value, f"header {name}")


def empty_message(session: Session) -> None:
    """No body, by get and by delivery, and what follows is not disturbed."""
    channel = session.channel()
    queue = session.queue(channel)
    bodies = [b"", b"full", b""]
    for _ in range(2):
        for body in bodies:
            send(channel, queue.name, body, type="t")
    for body in bodies:
        message = queue.get(no_ack=True)
        equal(body_of(message), body, "body by get")
        equal(message.properties["type"], "t", "type")
    inbox = Inbox()
    queue.consume(callback=inbox, no_ack=True)
    collect(channel, inbox, 3)
    equal(inbox.bodies, bodies, "bodies delivered")


def large_message(session: Session) -> None:
    """By get and by delivery."""
    channel = session.channel()
    queue = session.queue(channel)
    body = samples.large_body()
    send(channel, queue.name, body)
    send(channel, queue.name, body)
    got = body_of(queue.get(no_ack=True))
    holds(got == body, f"the body that get returned differs ({len(got)} bytes)")
    inbox = Inbox()
    queue.consume(callback=inbox, no_ack=True)
    collect(channel, inbox, 1)
    delivered = inbox.bodies[0]
    holds(delivered == body, f"the body that was delivered differs ({len(delivered)} bytes)")


def unicode_names(session: Session) -> None:
    """Names of all kinds."""
    channel = session.channel()
    exchange = session.exchange(channel, "topic", samples.UNICODE)
    pattern = f"{samples.UNICODE}.*"
    queue = session.queue(channel, samples.UNICODE, exchange=exchange, routing_key=pattern)
    equal(queue.queue_declare(passive=True).queue, queue.name, "queue")
    key = f"{samples.UNICODE}.clé"
    send(channel, key, b"body", exchange=exchange)
    inbox = Inbox()
    queue.consume(samples.UNICODE, callback=inbox)
    seen = collect(channel, inbox, 1)[0].delivery_info
    equal(seen["exchange"], exchange.name, "exchange")
    equal(seen["routing_key"], key, "routing key")
    equal(seen["consumer_tag"], samples.UNICODE, "consumer tag")


def _send(session: Session, body: bytes, **properties: Any) -> Any:
    """Send a message and take it back."""
    channel = session.channel()
    queue = declare_queue(channel, "", exclusive=True)
    send(channel, queue.name, body, **properties)
    return queue.get(no_ack=True)
