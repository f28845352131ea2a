"""What connections and channels carry."""

# mypy: disable-error-code="import-untyped, import-not-found"

import contextlib
import time

from interop.clients.pyamqp.session import Session, drain, send
from interop.kit.check import equal

HEARTBEAT_S = 1
IDLE_S = 4.0  # over three heartbeats: silence of two is an error to both sides
TICK_S = 0.25


def many_channels(session: Session) -> None:
    """All open at once, each with a queue of its own, the first message back to the last."""
    connection = session.connect(confirm_publish=True)
    channels = [connection.channel() for _ in range(200)]
    queues = [channel.queue_declare("", exclusive=True).queue for channel in channels]
    for number, channel in enumerate(channels):
        send(channel, queues[-1 - number], b"%d" % number)
    for number, channel in enumerate(channels):
        equal(drain(channel, queues[number]), [b"%d" % (199 - number)], f"channel {number}")
    for channel in channels:
        channel.close()


def heartbeats(session: Session) -> None:
    """Idle, with the ticks that py-amqp asks its user for; they mind both directions."""
    connection = session.connect(heartbeat=HEARTBEAT_S)
    channel = connection.channel()
    until = time.monotonic() + IDLE_S
    while time.monotonic() < until:
        connection.heartbeat_tick()
        with contextlib.suppress(TimeoutError):
            connection.drain_events(timeout=TICK_S)
    channel.queue_declare("", exclusive=True)
