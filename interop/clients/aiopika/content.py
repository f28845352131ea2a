"""What is in a message, there and back."""

# mypy: disable-error-code="import-untyped, import-not-found"

from typing import Any

from interop.clients.aiopika.session import Inbox, Session, send
from interop.kit import samples
from interop.kit.check import equal, holds


async def properties(session: Session) -> None:
    """All but cluster-id, which aio-pika does not have."""
    sent: dict[str, object] = {
        **samples.PROPERTIES,
        "headers": {"key": "value"},
        "timestamp": samples.SENT_AT,
        "user_id": session.case.address.user,
        "expiration": 60.0,  # aio-pika counts in seconds
    }
    message = await _send(session, b"body", **sent)
    for name, value in sent.items():
        equal(getattr(message, name), value, name)
    bare = await _send(session, b"body")
    for name in ("content_type", "correlation_id", "reply_to", "expiration", "timestamp", "type"):
        equal(getattr(bare, name), None, f"{name}, which was not sent")


async def header_types(session: Session) -> None:
    """pamqp takes the smallest integer type that fits, single floats, and bytearray as binary."""
    values = {**samples.HEADER_VALUES, "binary": bytearray(range(256))}
    message = await _send(session, b"body", headers=values)
    equal(message.headers.keys(), values.keys(), "header names")
    for name, value in values.items():
        equal(message.headers[name], value, f"header {name}")


async def empty_message(session: Session) -> None:
    """No body, by get and by delivery, and what follows is not disturbed."""
    channel = await session.channel()
    queue = await channel.declare_queue(session.case.queue(), exclusive=True)
    bodies = [b"", b"full", b""]
    for _ in range(2):
        for body in bodies:
            await send(channel, queue.name, body, type="t")
    for body in bodies:
        message = await queue.get(no_ack=True)
        equal(message.body, body, "body by get")
        equal(message.type, "t", "type")
    inbox = Inbox()
    await queue.consume(inbox, no_ack=True)
    await inbox.collect(3)
    equal(inbox.bodies, bodies, "bodies delivered")


async def large_message(session: Session) -> None:
    """By get and by delivery."""
    channel = await session.channel()
    queue = await channel.declare_queue(session.case.queue(), exclusive=True)
    body = samples.large_body()
    await send(channel, queue.name, body)
    await send(channel, queue.name, body)
    got = (await queue.get(no_ack=True)).body
    holds(got == body, f"the body that get returned differs ({len(got)} bytes)")
    inbox = Inbox()
    await queue.consume(inbox, no_ack=True)
    delivered = (await inbox.collect(1))[0].body
    holds(delivered == body, f"the body that was delivered differs ({len(delivered)} bytes)")


async def _send(session: Session, body: bytes, **properties: Any) -> Any:
    """Send a message and take it back."""
    channel = await session.channel()
    queue = await channel.declare_queue(exclusive=True)
    await send(channel, queue.name, body, **properties)
    message = await queue.get(no_ack=True)
    equal(message.body, body, "body")
    return message
