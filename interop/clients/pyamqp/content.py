"""What is in a message, there and back."""

# mypy: disable-error-code="import-untyped, import-not-found"

from typing import Any

import amqp

from interop.clients.pyamqp.session import Inbox, Session, body_of, collect, send
from interop.kit import samples
from interop.kit.check import equal, holds


def properties(session: Session) -> None:
    """All fourteen. A content-encoding makes py-amqp decode the body."""
    sent: dict[str, object] = {
        **samples.PROPERTIES,
        "application_headers": {"key": "value"},
        "timestamp": int(samples.SENT_AT.timestamp()),
        "user_id": session.case.address.user,
        "cluster_id": "cluster",
    }
    message = _send(session, b"body", **sent)
    equal(message.body, "body", "body")
    for name, value in sent.items():
        equal(message.properties.get(name), value, name)
    bare = _send(session, b"body")
    equal(bare.body, b"body", "body")
    equal(bare.properties, {}, "properties when none was sent")


def header_types(session: Session) -> None:
    """py-amqp has no binary, and sends integers as I or L, floats as d."""
    values = {name: value for name, value in samples.HEADER_VALUES.items() if name != "binary"}
    seen = _send(session, b"body", application_headers=values).headers
    equal(seen.keys(), values.keys(), "header names")
    for name, value in values.items():
        equal(seen[name], value, f"header {name}")


def empty_message(session: Session) -> None:
    """No body, by get and by delivery, and what follows is not disturbed."""
    channel = session.channel()
    queue = session.case.queue()
    channel.queue_declare(queue, exclusive=True, auto_delete=False)
    bodies = [b"", b"full", b""]
    for _ in range(2):
        for body in bodies:
            send(channel, queue, body, type="t")
    for body in bodies:
        message = channel.basic_get(queue, no_ack=True)
        equal(body_of(message), body, "body by get")
        equal(message.type, "t", "type")
    inbox = Inbox()
    channel.basic_consume(queue, callback=inbox, no_ack=True)
    collect(channel, inbox, 3)
    equal(inbox.bodies, bodies, "bodies delivered")


def large_message(session: Session) -> None:
    """By get and by delivery."""
    channel = session.channel()
    queue = session.case.queue()
    channel.queue_declare(queue, exclusive=True, auto_delete=False)
    body = samples.large_body()
    send(channel, queue, body)
    send(channel, queue, body)
    got = channel.basic_get(queue, no_ack=True).body
    holds(got == body, f"the body that get returned differs ({len(got)} bytes)")
    inbox = Inbox()
    channel.basic_consume(queue, callback=inbox, no_ack=True)
    delivered = collect(channel, inbox, 1)[0].body
    holds(delivered == body, f"the body that was delivered differs ({len(delivered)} bytes)")


def unicode_names(session: Session) -> None:
    """Names of all kinds."""
    channel = session.channel()
    queue = session.case.queue(samples.UNICODE)
    exchange = session.case.exchange(samples.UNICODE)
    declared = channel.queue_declare(queue, exclusive=True, auto_delete=False)
    equal(declared.queue, queue, "queue")
    channel.exchange_declare(exchange, "topic", auto_delete=False)
    channel.queue_bind(queue, exchange, f"{samples.UNICODE}.*")
    key = f"{samples.UNICODE}.clé"
    channel.basic_publish(amqp.Message(b"body"), exchange, key)
    inbox = Inbox()
    channel.basic_consume(queue, consumer_tag=samples.UNICODE, callback=inbox)
    seen = collect(channel, inbox, 1)[0].delivery_info
    equal(seen["exchange"], exchange, "exchange")
    equal(seen["routing_key"], key, "routing key")
    equal(seen["consumer_tag"], samples.UNICODE, "consumer tag")


def _send(session: Session, body: bytes, **properties: Any) -> Any:
    """Send a message and take it back."""
    channel = session.channel()
    queue = channel.queue_declare("", exclusive=True, auto_delete=False).queue
    send(channel, queue, body, **properties)
    return channel.basic_get(queue, no_ack=True)
