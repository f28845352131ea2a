"""Messages that the broker itself publishes: to the event exchange and to the firehose."""

from typing import Final

from librt.strings import BytesWriter, write_i16_be, write_i32_be, write_i64_be
from mypy_extensions import i64

from amqpd.core.events import EVENTS, Events
from amqpd.core.exchange_types import make_exchange
from amqpd.core.message import Message, make_address
from amqpd.core.vhost import VHost
from amqpd.errors import HardError
from amqpd.wire import properties, tables
from amqpd.wire.frames import CLASS_WEIGHT, FRAME_END, HEADER
from amqpd.wire.tables import Table

_HEAD_BYTES: Final = 14  # of a content header's payload, flags included
_KEY_BYTES_MAX: Final = 255


def header_frame(channel: int, body_bytes: i64, flags: int, values: bytes) -> bytes:
    """Make a content header frame of encoded property values."""
    out = BytesWriter()
    out.append(HEADER)
    out.append(channel >> 8)
    out.append(channel & 255)
    write_i32_be(out, _HEAD_BYTES + len(values))
    write_i32_be(out, CLASS_WEIGHT)
    write_i64_be(out, body_bytes)
    write_i16_be(out, flags - 65536 if flags > 32767 else flags)
    out.write(values)
    out.append(FRAME_END)
    return out.getvalue()


class Content:
    """What such a message carries: a header frame, and the body frames behind it."""

    def __init__(
        self,
        headers: Table,
        head: bytes,
        *,
        persistent: bool = False,
        body: bytes = b"",
        body_bytes: i64 = 0,
        frame_bytes: i64 = 0,
        channel: i64 = 0,
    ) -> None:
        self.headers: Final = headers
        self._head: Final = head
        self._persistent: Final = persistent
        self._body: Final = body
        self._body_bytes: Final = body_bytes
        self._frame_bytes: Final = frame_bytes
        self._channel: Final = channel

    def message(self, exchange: str, key: str) -> Message:
        """Make the message."""
        return Message(
            make_address(exchange, key),
            self._head + self._body,
            len(self._head),
            self._body_bytes,
            self._frame_bytes,
            self._channel,
            self._persistent,
        )


def publish(vhost: VHost, exchange: str, key: str, content: Content) -> None:
    """Publish to an exchange of a vhost, whoever may; nobody is told if it reaches nobody."""
    if exchange not in vhost.exchanges:
        return
    key = key.encode("utf-8", "surrogateescape")[:_KEY_BYTES_MAX].decode("utf-8", "ignore")
    queues, _ = vhost.route(exchange, [key], content.headers)
    if not queues:
        return
    refused = vhost.refused
    try:
        vhost.publish(queues, content.message(exchange, key))
    except HardError:
        pass  # the store has failed, and everybody is told so anyway
    vhost.refused = refused


def add_event_exchange(vhost: VHost) -> None:
    """Give a vhost the exchange that events are published to."""
    vhost.exchanges[EVENTS] = make_exchange(
        "topic", vhost.name, EVENTS, durable=True, auto_delete=False, internal=True, arguments={}
    )


class Copy:
    """A copy for the firehose, which is published in the end of the turn."""

    def __init__(self, vhost: VHost, exchange: str, key: str, content: Content) -> None:
        self.vhost: Final = vhost
        self.exchange: Final = exchange
        self.key: Final = key
        self.content: Final = content


def publish_copies(copies: list[Copy]) -> None:
    """Publish what a turn has brought for the firehose."""
    for copy in copies:
        publish(copy.vhost, copy.exchange, copy.key, copy.content)


def publish_events(events: Events, vhost: VHost) -> None:
    """Publish all that has happened, in order."""
    while events.pending:
        pending = events.pending
        events.pending = []
        for happening in pending:
            headers: Table = dict(happening.fields)
            headers["timestamp_in_ms"] = tables.long(happening.wall_ms)
            seconds = (happening.wall_ms // 1000).to_bytes(8, "big")
            values = tables.encode_table(headers) + b"\x02" + seconds
            flags = properties.HEADERS | properties.DELIVERY_MODE | properties.TIMESTAMP
            content = Content(headers, header_frame(0, 0, flags, values), persistent=True)
            publish(vhost, EVENTS, happening.event, content)
