"""What one scenario works with: connections that are closed at its end, and waiting."""

# mypy: disable-error-code="import-untyped, import-not-found"

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aio_pika
from aiormq import exceptions

from interop.kit.case import Case
from interop.kit.check import TIDY_S, WAIT_S, Failed, untidy

# aiormq tells reply codes by class.
REFUSALS = {
    403: exceptions.ChannelAccessRefused,
    404: exceptions.ChannelNotFoundEntity,
    405: exceptions.ChannelLockedResource,
    406: exceptions.ChannelPreconditionFailed,
    530: exceptions.ConnectionNotAllowed,
}


class Inbox:
    """A consumer callback that keeps the messages in order."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self._came = asyncio.Condition()

    async def __call__(self, message: Any) -> None:
        async with self._came:
            self.messages.append(message)
            self._came.notify_all()

    @property
    def bodies(self) -> list[bytes]:
        """The bodies so far."""
        return [message.body for message in self.messages]

    async def collect(self, count: int) -> list[Any]:
        """Wait for the first `count` messages and return all there are."""
        try:
            async with asyncio.timeout(WAIT_S), self._came:
                await self._came.wait_for(lambda: len(self.messages) >= count)
        except TimeoutError:
            raise Failed(
                f"waited {WAIT_S:g} s for delivery {count}, {len(self.messages)} came"
            ) from None
        return self.messages


class Session:
    """Connections of one scenario."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self._connections: list[Any] = []

    async def connect(self, url: str = "", **settings: Any) -> Any:
        """Open a connection."""
        connection = await aio_pika.connect(url or self.case.address.url(), **settings)
        self._connections.append(connection)
        return connection

    async def channel(self, **settings: Any) -> Any:
        """Open a channel on a connection of its own; it confirms, unless told otherwise."""
        connection = await self.connect()
        return await connection.channel(**settings)

    async def close(self) -> None:
        """Close what is open, and remove what the scenario may have left on the broker."""
        for connection in self._connections:
            with contextlib.suppress(exceptions.AMQPError):
                await connection.close()
        if not self.case.queues and not self.case.exchanges:
            return
        connection = await aio_pika.connect(self.case.address.url())
        async with connection:
            for queue in self.case.queues:
                with contextlib.suppress(exceptions.AMQPError):
                    await (await connection.channel()).queue_delete(queue)
            for exchange in self.case.exchanges:
                with contextlib.suppress(exceptions.AMQPError):
                    await (await connection.channel()).exchange_delete(exchange)


def play(function: Callable[[Session], Awaitable[None]], case: Case) -> None:
    """Play one scenario within its time limit."""
    asyncio.run(_play(function, case))


async def _play(function: Callable[[Session], Awaitable[None]], case: Case) -> None:
    session = Session(case)
    try:
        async with asyncio.timeout(case.limit_s):
            await function(session)
    finally:
        try:
            async with asyncio.timeout(TIDY_S):
                await session.close()
        except Exception as error:
            untidy(error)


async def send(channel: Any, queue: str, body: bytes, **properties: Any) -> None:
    """Publish to a queue by its name."""
    message = aio_pika.Message(body, **properties)
    await channel.default_exchange.publish(message, queue, mandatory=False)


async def drain(queue: Any) -> list[bytes]:
    """Take all messages out of a queue with basic.get."""
    bodies: list[bytes] = []
    while (message := await queue.get(no_ack=True, fail=False)) is not None:
        bodies.append(message.body)
    return bodies


async def counts(channel: Any, queue: str) -> tuple[int, int]:
    """Messages ready in a queue and its consumers, by passive declare."""
    declared = await channel.declare_queue(queue, passive=True)
    result = declared.declaration_result
    return result.message_count, result.consumer_count


class Refusal:
    """The text of a refusal, once there is one."""

    text = ""


@contextlib.asynccontextmanager
async def refused(code: int) -> AsyncIterator[Refusal]:
    """Expect the block to end in a close by the broker with this reply code."""
    seen = Refusal()
    try:
        yield seen
    except REFUSALS[code] as error:
        seen.text = str(error)
    except exceptions.AMQPError as error:
        raise Failed(f"expected the broker to refuse with {code}, got {error!r}") from error
    else:
        raise Failed(f"expected the broker to refuse with {code}, it did not")
