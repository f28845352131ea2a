"""What one scenario works with: connections that are closed at its end, and waiting."""

# mypy: disable-error-code="import-untyped, import-not-found, attr-defined, no-untyped-call"

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import kombu
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
        connection.connect()
        return connection

    def channel(self, *, confirms: bool = False) -> Any:
        """Open a channel on a connection of its own."""
        return self.connect(transport_options={"confirm_publish": confirms}).channel()

    def queue(self, channel: Any, what: str = "queue", **settings: Any) -> Any:
        """Declare a queue that lives no longer than the connection. kombu makes every exclusive
        queue auto-delete too, so it is gone with its last consumer."""
        return declare_queue(channel, self.case.queue(what), exclusive=True, **settings)

    def exchange(self, channel: Any, kind: str, what: str = "exchange", **settings: Any) -> Any:
        """Declare an exchange."""
        name = self.case.exchange(what)
        exchange = kombu.Exchange(name, kind, channel, durable=False, **settings)
        exchange.declare()
        return exchange

    def close(self) -> None:
        """Close what is open, and remove what the scenario may have left on the broker."""
        for connection in self._connections:
            with contextlib.suppress(*CLOSING):
                connection.release()
        if not self.case.queues and not self.case.exchanges:
            return
        with open_connection(self.case.address) as connection:
            for queue in self.case.queues:
                with contextlib.suppress(AMQPError):
                    kombu.Queue(queue, channel=connection.channel()).delete()
            for exchange in self.case.exchanges:
                with contextlib.suppress(AMQPError):
                    kombu.Exchange(exchange, channel=connection.channel()).delete()


def open_connection(address: Address, **settings: Any) -> Any:
    """A connection to a broker, which opens when it is used."""
    return kombu.Connection(
        hostname=address.host,
        port=address.port,
        userid=address.user,
        password=address.password,
        virtual_host=address.vhost,
        ssl=address.tls,
        transport="pyamqp",
        **settings,
    )


def play(function: Callable[[Session], None], case: Case) -> None:
    """Play one scenario within its time limit."""
    session = Session(case)
    try:
        with within(case.limit_s):
            function(session)
    finally:
        tidy(session.close)


def declare_queue(channel: Any, name: str, **settings: Any) -> Any:
    """Declare a queue, transient unless told otherwise."""
    queue = kombu.Queue(name, channel=channel, **{"durable": False, **settings})
    queue.declare()
    return queue


def send(channel: Any, queue: str, body: bytes, **properties: Any) -> None:
    """Publish to a queue by its name; kombu marks bytes as application/data, binary."""
    kombu.Producer(channel).publish(body, routing_key=queue, **properties)


def body_of(message: Any) -> bytes:
    """The body; py-amqp makes an empty one a str, whatever its encoding."""
    body: bytes = message.body or b""
    return body


def wait(channel: Any, until: Callable[[], bool], what: str) -> None:
    """Read from the connection until a fact holds."""
    patience = Patience(what)
    while not until():
        with contextlib.suppress(TimeoutError):
            channel.connection.client.drain_events(timeout=patience.left())


def collect(channel: Any, inbox: Inbox, count: int) -> list[Any]:
    """Wait for the first `count` messages and return all there are."""
    wait(channel, lambda: len(inbox.messages) >= count, f"delivery {count}")
    return inbox.messages


def drain(queue: Any) -> list[bytes]:
    """Take all messages out of a queue with basic.get."""
    bodies: list[bytes] = []
    while (message := queue.get(no_ack=True)) is not None:
        bodies.append(body_of(message))
    return bodies


def counts(queue: Any) -> tuple[int, int]:
    """Messages ready in a queue and its consumers, by passive declare."""
    declared = queue.queue_declare(passive=True)
    return declared.message_count, declared.consumer_count


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
