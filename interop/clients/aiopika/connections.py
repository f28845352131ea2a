"""What connections and channels carry."""

# mypy: disable-error-code="import-untyped, import-not-found"

import asyncio

from interop.clients.aiopika.session import Session, drain, send
from interop.kit.check import equal

HEARTBEAT_S = 1
# Over aiormq's patience, which is three times (heartbeat + 1 s).
IDLE_S = 7.0


async def many_channels(session: Session) -> None:
    """All open at once, each with a queue of its own, the first message back to the last."""
    connection = await session.connect()
    channels = [await connection.channel() for _ in range(200)]
    queues = [await channel.declare_queue(exclusive=True) for channel in channels]
    for number, channel in enumerate(channels):
        await send(channel, queues[-1 - number].name, b"%d" % number)
    for number, queue in enumerate(queues):
        equal(await drain(queue), [b"%d" % (199 - number)], f"channel {number}")
    for channel in channels:
        await channel.close()


async def heartbeats(session: Session) -> None:
    """Idle, with aiormq minding its heartbeats: the passing of time is the subject here."""
    connection = await session.connect(heartbeat=HEARTBEAT_S)
    channel = await connection.channel()
    await asyncio.sleep(IDLE_S)
    await channel.declare_queue(exclusive=True)
