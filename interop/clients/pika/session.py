"""What one scenario works with: connections that are closed at its end, and waiting."""

# mypy: disable-error-code="import-untyped, import-not-found"

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError, ChannelClosedByBroker

from interop.kit.case import Case
from interop.kit.check import Failed, Patience, refusal, tidy, within


@dataclass(frozen=True)
class Delivery:
    """One message as pika's callback gets it."""

    method: Any
    properties: Any
    body: bytes


class Inbox:
    """A consumer callback that keeps the deliveries in order."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []

    def __call__(self, channel: Any, method: Any, properties: Any, body: bytes) -> None:
        self.deliveries.append(Delivery(method, properties, body))

    @property
    def bodies(self) -> list[bytes]:
        """The bodies so far."""
        return [delivery.body for delivery in self.deliveries]


class Session:
    """Connections of one scenario."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self._connections: list[Any] = []

    def parameters(self, url: str = "", **settings: object) -> Any:
        """pika's connection parameters for the broker under test."""
        parameters = pika.URLParameters(url or self.case.address.url())
        for name, value in settings.items():
            setattr(parameters, name, value)
        return parameters

    def connect(self, url: str = "", **settings: object) -> Any:
        """Open a connection."""
        connection = pika.BlockingConnection(self.parameters(url, **settings))
        self._connections.append(connection)
        return connection

    def channel(self) -> Any:
        """Open a channel on a connection of its own."""
        return self.connect().channel()

    def close(self) -> None:
        """Close what is open, and remove what the scenario may have left on the broker."""
        for connection in self._connections:
            with contextlib.suppress(AMQPError):
                connection.close()
        if not self.case.queues and not self.case.exchanges:
            return
        with contextlib.closing(pika.BlockingConnection(self.parameters())) as connection:
            for queue in self.case.queues:
                with contextlib.suppress(AMQPError):
                    connection.channel().queue_delete(queue)
            for exchange in self.case.exchanges:
                with contextlib.suppress(AMQPError):
                    connection.channel().exchange_delete(exchange)


def play(function: Callable[[Session], None], case: Case) -> None:
    """Play one scenario within its time limit."""
    session = Session(case)
    try:
        with within(case.limit_s):
            function(session)
    finally:
        tidy(session.close)


def wait(channel: BlockingChannel, until: Callable[[], bool], what: str) -> None:
    """Let pika work until a fact holds."""
    patience = Patience(what)
    while not until():
        channel.connection.process_data_events(time_limit=patience.left())


def collect(channel: BlockingChannel, inbox: Inbox, count: int) -> list[Delivery]:
    """Wait for the first `count` deliveries and return all there are."""
    wait(channel, lambda: len(inbox.deliveries) >= count, f"delivery {count}")
    return inbox.deliveries


def drain(channel: BlockingChannel, queue: str) -> list[bytes]:
    """Take all messages out of a queue with basic.get."""
    bodies: list[bytes] = []
    while True:
        method, _, body = channel.basic_get(queue, auto_ack=True)
        if method is None:
            return bodies
        bodies.append(body)


def ready(channel: BlockingChannel, queue: str) -> int:
    """How many messages are ready in a queue, by passive declare."""
    count: int = channel.queue_declare(queue, passive=True).method.message_count
    return count


class Refusal:
    """The text of a refusal, once there is one."""

    text = ""


@contextlib.contextmanager
def refused(code: int, kind: Any = ChannelClosedByBroker) -> Iterator[Refusal]:
    """Expect the block to end in a close by the broker with this reply code."""
    seen = Refusal()
    try:
        yield seen
    except kind as error:
        seen.text = refusal(code, error.reply_code, error.reply_text)
    else:
        raise Failed(f"expected the broker to refuse with {code}, it did not")
