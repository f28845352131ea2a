"""What one scenario works with: connections that are closed at its end, and waiting."""

# mypy: disable-error-code="import-untyped, import-not-found"

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import amqp
from amqp.exceptions import AMQPError

from interop.address import Address
from interop.kit.case import Case
from interop.kit.check import Failed, Patience, refusal, tidy, within

CLOSING = (AMQPError, OSError)  # what closing may raise when the broker has closed before


class Inbox:
    """A consumer callback that keeps the messages in order."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    def __call__(self, message: Any) -> None:
        self.messages.append(message)

    @property
    def bodies(self) -> list[bytes]:
        """The bodies so far."""
        return [body_of(message) for message in self.messages]


class Session:
    """Connections of one scenario."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self._connections: list[Any] = []

    def connect(self, address: Address | None = None, **settings: Any) -> Any:
        """Open a connection."""
        connection = open_connection(address or self.case.address, **settings)
        self._connections.append(connection)
        return connection

    def channel(self, **settings: Any) -> Any:
        """Open a channel on a connection of its own."""
        return self.connect(**settings).channel()

    def close(self) -> None:
        """Close what is open, and remove what the scenario may have left on the broker."""
        for connection in self._connections:
            with contextlib.suppress(*CLOSING):
                connection.close()
        if not self.case.queues and not self.case.exchanges:
            return
        with contextlib.closing(open_connection(self.case.address)) as connection:
            for queue in self.case.queues:
                with contextlib.suppress(AMQPError):
                    connection.channel().queue_delete(queue)
            for exchange in self.case.exchanges:
                with contextlib.suppress(AMQPError):
                    connection.channel().exchange_delete(exchange)


def open_connection(address: Address, **settings: Any) -> Any:
    """Connect to a broker."""
    connection = amqp.Connection(
        host=f"{address.host}:{address.port}",
        userid=address.user,
        password=address.password,
        virtual_host=address.vhost,
        ssl=address.tls,
        **settings,
    )
    connection.connect()
    return connection


def play(function: Callable[[Session], None], case: Case) -> None:
    """Play one scenario within its time limit."""
    session = Session(case)
    try:
        with within(case.limit_s):
            function(session)
    finally:
        tidy(session.close)


def body_of(message: Any) -> bytes:
    """The body; py-amqp makes an empty one a str, whatever its encoding."""
    body: bytes = message.body or b""
    return body


def send(channel: Any, queue: str, body: bytes, **properties: Any) -> None:
    """Publish to a queue by its name."""
    channel.basic_publish(amqp.Message(body, **properties), "", queue)


def wait(channel: Any, until: Callable[[], bool], what: str) -> None:
    """Read from the connection until a fact holds."""
    patience = Patience(what)
    while not until():
        with contextlib.suppress(TimeoutError):
            channel.connection.drain_events(timeout=patience.left())


def collect(channel: Any, inbox: Inbox, count: int) -> list[Any]:
    """Wait for the first `count` messages and return all there are."""
    wait(channel, lambda: len(inbox.messages) >= count, f"delivery {count}")
    return inbox.messages


def drain(channel: Any, queue: str) -> list[bytes]:
    """Take all messages out of a queue with basic.get."""
    bodies: list[bytes] = []
    while (message := channel.basic_get(queue, no_ack=True)) is not None:
        bodies.append(body_of(message))
    return bodies


def ready(channel: Any, queue: str) -> int:
    """How many messages are ready in a queue, by passive declare."""
    count: int = channel.queue_declare(queue, passive=True).message_count
    return count


class Refusal:
    """The text of a refusal, once there is one."""

    text = ""


@contextlib.contextmanager
def refused(code: int) -> Iterator[Refusal]:
    """Expect the block to end in a close by the broker with this reply code."""
    seen = Refusal()
    try:
        yield seen
    except AMQPError as error:
        seen.text = refusal(code, error.reply_code, str(error.reply_text))
    else:
        raise Failed(f"expected the broker to refuse with {code}, it did not")
