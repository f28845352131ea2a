"""The firehose: copies of all that is published and delivered in a vhost (RabbitMQ: firehose).

It is switched on and off per vhost (`VHost.is_traced`), and costs nothing while it is off. While it
is on, the routes of a channel lead to a `Tap` as well: something like a queue that takes a copy
of every message, and nothing else. Deliveries are seen where a consumer works out how they
begin, which it does anew for each of them then. Copies are published in the end of the turn.
"""

from typing import Final

from mypy_extensions import i64

from amqpd.core.consumer import Entry
from amqpd.core.deadletter import copies_of, headers_of
from amqpd.core.message import Message
from amqpd.core.ports import MemoryJournal
from amqpd.core.queue import Queue
from amqpd.core.rules import Rules
from amqpd.session.internal import Content, Copy, header_frame
from amqpd.session.link import Link
from amqpd.wire import properties, tables
from amqpd.wire.tables import Field, Malformed, Table

TRACE: Final = "amq.rabbitmq.trace"

# In the order in which RabbitMQ tells them: the last property first.
_TEXTS: Final = (
    ("cluster_id", properties.CLUSTER_ID),
    ("app_id", properties.APP_ID),
    ("user_id", properties.USER_ID),
    ("type", properties.TYPE),
    ("message_id", properties.MESSAGE_ID),
    ("expiration", properties.EXPIRATION),
    ("reply_to", properties.REPLY_TO),
    ("correlation_id", properties.CORRELATION_ID),
)
_LAST_TEXTS: Final = (
    ("content_encoding", properties.CONTENT_ENCODING),
    ("content_type", properties.CONTENT_TYPE),
)


class Tap(Queue):
    """Where a traced channel's publishes lead besides their queues."""

    def __init__(self, link: Link, channel: int, queues: list[Queue]) -> None:
        super().__init__(
            MemoryJournal(),
            0,
            link.vhost.name,
            "",
            durable=False,
            owner=0,
            auto_delete=False,
            arguments={},
        )
        self.rules = Rules({})
        self.is_hidden = True  # what goes nowhere else is returned
        self._link: Final = link
        self._channel: Final = channel
        self._queues: Final = queues  # that the messages which come are routed to as well

    def taker(self, message: Message) -> Queue | None:
        """See Queue: have a copy published, and take nothing."""
        headers = _facts_of(message, self._link)
        headers |= _who(self._link, self._channel)
        routed = [tables.longstr(queue.name) for queue in self._queues if not queue.is_hidden]
        headers["routed_queues"] = tables.array(routed)
        _copy(self._link, f"publish.{message.address.exchange}", message, headers)
        return None


def trace_delivery(link: Link, channel: int, queue: str, entry: Entry) -> None:
    """Have a copy of a delivery published, unless it is a copy itself."""
    message = entry.message
    if message.address.exchange == TRACE:
        return
    headers = _facts_of(message, link)
    headers["redelivered"] = Field("I", 1 if entry.redelivered else 0)
    headers |= _who(link, channel)
    _copy(link, f"deliver.{queue}", message, headers)


def _facts_of(message: Message, link: Link) -> Table:
    keys = [message.address.routing_key, *copies_of(headers_of(message))]
    return {
        "exchange_name": tables.longstr(message.address.exchange),
        "routing_keys": tables.array([tables.longstr(key) for key in keys]),
        "properties": tables.table(_properties_of(message)),
        "node": tables.longstr(link.context.limits.cluster_name),
    }


def _who(link: Link, channel: int) -> Table:
    return {
        "vhost": tables.longstr(link.vhost.name),
        "connection": tables.longstr(link.name),
        "channel": Field("I", channel),
        "user": tables.longstr(link.user),
    }


def _properties_of(message: Message) -> Table:
    """Decode all properties that a message has; those that cannot be read are left out."""
    content, header_bytes = message.content, message.header_bytes
    flags = properties.flags_of(content)
    found: Table = {}
    try:
        for name, flag in _TEXTS:
            if name == "message_id" and flags & properties.TIMESTAMP:
                at, after = properties.span(content, properties.TIMESTAMP, header_bytes)
                seconds = int.from_bytes(content[at:after], "big")
                found["timestamp"] = tables.timestamp(seconds)
            _put_text(found, name, flag, content, header_bytes)
        for name, flag in (
            ("priority", properties.PRIORITY),
            ("delivery_mode", properties.DELIVERY_MODE),
        ):
            if flags & flag:
                found[name] = Field("I", properties.octet(content, flag, header_bytes))
        if flags & properties.HEADERS:
            found["headers"] = tables.table(properties.headers(content, header_bytes))
        for name, flag in _LAST_TEXTS:
            _put_text(found, name, flag, content, header_bytes)
    except Malformed:
        pass
    return found


def _put_text(found: Table, name: str, flag: int, content: bytes, header_bytes: i64) -> None:
    if properties.flags_of(content) & flag:
        found[name] = Field("S", properties.short_text(content, flag, header_bytes))


def _copy(link: Link, key: str, message: Message, headers: Table) -> None:
    head = header_frame(
        int(message.channel), message.body_bytes, properties.HEADERS, tables.encode_table(headers)
    )
    content = Content(
        headers,
        head,
        body=message.content[message.header_bytes :],
        body_bytes=message.body_bytes,
        frame_bytes=message.frame_bytes,
        channel=message.channel,
    )
    link.context.copies.append(Copy(link.vhost, TRACE, key, content))
