"""What connections and channels carry."""

# mypy: disable-error-code="import-untyped, import-not-found, attr-defined, no-untyped-call"

import contextlib
import time

from interop.clients.kombu.session import Session, declare_queue, drain, send
from interop.kit.check import equal

HEARTBEAT_S = 1
IDLE_S = 4.0  # over three heartbeats: silence of two is an error to both sides
TICK_S = 0.25


def many_channels(session: Session) -> None:
    """All open at once, each with a queue of its own, the first message back to the last."""
    connection = session.connect(transport_options={"confirm_publish": True})
    channels = [connection.channel() for _ in range(200)]
    queues = [declare_queue(channel, "", exclusive=True) for channel in channels]
    for number, channel in enumerate(channels):
        send(channel, queues[-1 - number].name, b"%d" % number)
    for number, queue in enumerate(queues):
        equal(drain(queue), [b"%d" % (199 - number)], f"channel {number}")
    for channel in channels:
        channel.close()


def heartbeats(session: Session) -> None:
    """Idle, with the checks that kombu asks its user for; they mind both directions."""
    connection = session.connect(heartbeat=HEARTBEAT_S)
    channel = connection.channel()
    until = time.monotonic() + IDLE_S
    while time.monotonic() < until:
        connection.heartbeat_check()
        with contextlib.suppress(TimeoutError):
            connection.drain_events(timeout=TICK_S)
    declare_queue(channel, "", exclusive=True)
