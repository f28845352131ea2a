"""Message, and the address that it was published to.

A `Message` is immutable and shared by all queues that hold it: its content stays the bytes that
arrived (frames, see `wire.frames`; core only carries them), beside the few facts that routing,
storing and delivering ask for again and again.

Messages and entries are `acyclic`: the garbage collector does not look at them, or its passes over
a long backlog would cost more than the messages themselves (measured: 185,000 instead of
2,000,000 messages/s). What could make them part of a cycle is taken apart by hand: an entry's
`consumer` is cleared when the entry leaves the unacked window.
"""

from typing import Final

from mypy_extensions import i64, mypyc_attr

from amqpd.wire import properties


@mypyc_attr(acyclic=True)
class Address:
    """Exchange and routing key of a publish; one object for all alike messages of a channel."""

    __slots__ = ("encoded", "exchange", "routing_key")

    def __init__(self, exchange: str, routing_key: str, encoded: bytes) -> None:
        self.exchange: Final = exchange
        self.routing_key: Final = routing_key
        # Both as short strings, followed by the frame end: the tail of a basic.deliver frame.
        self.encoded: Final = encoded


@mypyc_attr(acyclic=True)
class Message:
    """A published message: content (bytes as they came), address, and sizes (bytes)."""

    __slots__ = (
        "address",
        "body_bytes",
        "channel",
        "content",
        "died",
        "expiration_ms",
        "frame_bytes",
        "header_bytes",
        "persistent",
        "priority",
    )

    def __init__(
        self,
        address: Address,
        content: bytes,
        header_bytes: i64,
        body_bytes: i64,
        frame_bytes: i64,
        channel: i64,
        persistent: bool,
    ) -> None:
        self.address: Final = address
        self.content: Final = content
        self.header_bytes: Final = header_bytes  # of the header frame
        self.body_bytes: Final = body_bytes
        self.frame_bytes: Final = frame_bytes  # largest body frame, to know when to cut anew
        self.channel: Final = channel  # the number that the frames in content bear
        self.persistent: Final = persistent
        self.died = False  # its x-death is this broker's own
        self.expiration_ms: i64 = -1  # of its own (-1 = none); a queue may have a shorter one
        self.priority: i64 = 0

    def stored(self) -> "Message":
        """Return the same message as one that survives a restart, whatever its delivery-mode."""
        if self.persistent:
            return self
        message = Message(
            self.address,
            self.content,
            self.header_bytes,
            self.body_bytes,
            self.frame_bytes,
            self.channel,
            True,
        )
        message.died = self.died
        message.expiration_ms = self.expiration_ms
        message.priority = self.priority
        return message

    def read_properties(self) -> None:
        """Look at the properties that queues ask for; they were checked when they came."""
        flags = properties.flags_of(self.content)
        if flags & properties.PRIORITY:
            self.priority = properties.octet(self.content, properties.PRIORITY, self.header_bytes)
        if flags & properties.EXPIRATION:
            text = properties.short_text(self.content, properties.EXPIRATION, self.header_bytes)
            self.expiration_ms = int(text)


def make_address(exchange: str, routing_key: str) -> Address:
    """Make an address from names that came from short strings."""
    names = [name.encode("utf-8", "surrogateescape") for name in (exchange, routing_key)]
    encoded = b"".join([bytes((len(name),)) + name for name in names])
    return Address(exchange, routing_key, encoded + b"\xce")
