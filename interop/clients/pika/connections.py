"""What connections and channels carry."""

# mypy: disable-error-code="import-untyped, import-not-found"

import time

from interop.clients.pika.session import Session, drain
from interop.kit.check import equal

HEARTBEAT_S = 1
# Over pika's own check interval (heartbeat + 5 s), so that the broker's heartbeats count as well.
IDLE_S = 7.0


def many_channels(session: Session) -> None:
    """All open at once, each with a queue of its own, the first message back to the last."""
    connection = session.connect()
    channels = [connection.channel() for _ in range(200)]
    queues = [channel.queue_declare("", exclusive=True).method.queue for channel in channels]
    for number, channel in enumerate(channels):
        channel.basic_publish("", queues[-1 - number], b"%d" % number)
    for number, channel in enumerate(channels):
        # The publish came on another channel: a round trip there says that it has arrived.
        channels[-1 - number].queue_declare(queues[number], passive=True)
        equal(drain(channel, queues[number]), [b"%d" % (199 - number)], f"channel {number}")
    for channel in channels:
        channel.close()


def heartbeats(session: Session) -> None:
    """Idle, with pika minding its heartbeats."""
    connection = session.connect(heartbeat=HEARTBEAT_S)
    channel = connection.channel()
    until = time.monotonic() + IDLE_S
    while (left := until - time.monotonic()) > 0:
        connection.process_data_events(time_limit=left)
    channel.queue_declare("", exclusive=True)
