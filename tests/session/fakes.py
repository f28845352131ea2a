"""A channel's surroundings without a connection: a link, a journal that waits, and short cuts.

`Bench` has one vhost and any number of channels on links of their own; what a link's outbox holds
is read with pamqp's definitions, not with amqpd's.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from pamqp import commands

from amqpd.auth import Users
from amqpd.core.consumer import Entry
from amqpd.core.exchange import Binding
from amqpd.core.ports import Entropy, Log
from amqpd.core.queue import Queue
from amqpd.core.vhost import QueueIds, VHost
from amqpd.errors import AmqpError
from amqpd.limits import Limits
from amqpd.protocol.connection import RUNNING
from amqpd.session.channel import Channel
from amqpd.session.context import Context
from amqpd.session.dispatch import MethodDispatcher
from amqpd.session.link import Link
from amqpd.session.peer import Peer
from amqpd.session.subscription import Subscription
from amqpd.wire.tables import Table
from tests.core.fakes import FakeJournal
from tests.peers import codec


class FakeEntropy(Entropy):
    """Counts: the first token is all ones, the second all twos."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def token(self, count: int) -> bytes:
        """See Entropy."""
        self.count += 1
        return bytes((self.count,)) * count


class FakeLog(Log):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[str, str, dict[str, object]]] = []

    def event(self, level: str, event: str, fields: dict[str, object]) -> None:
        """See Log."""
        self.events.append((level, event, fields))


class Said(NamedTuple):
    """A method that was written to a link, with its content."""

    channel: int
    method: Any
    properties: bytes
    body: bytes

    @property
    def name(self) -> str:
        """The method's name."""
        return str(self.method.name)


class FakeLink(Link):
    """A link whose handshake is over."""

    def __init__(
        self, context: Context, number: int, vhost: VHost, dirty_links: list[Link]
    ) -> None:
        peer = Peer("10.0.0.1", 40000 + number, "10.0.0.2", 5672, loopback=False)
        super().__init__(context, peer, number, vhost, dirty_links)
        self.state = RUNNING
        self.user = "guest"
        self.notifies_cancel = True

    def said(self) -> list[Said]:
        """Take what was written, whole methods and contents."""
        return read(self.take())

    def names(self) -> list[str]:
        """Take what was written, and return the names of the methods."""
        return [item.name for item in self.said()]


def read(data: bytes) -> list[Said]:
    """Read frames to methods with their contents."""
    reader = codec.FrameReader()
    reader.feed(data)
    items: list[Said] = []
    while (frame := reader.next()) is not None:
        if frame.kind == codec.METHOD:
            method = codec.decode_method(frame.payload)
            items.append(Said(frame.channel, method, b"", b""))
        else:
            last = items.pop()
            assert frame.channel == last.channel
            if frame.kind == codec.HEADER:
                last = last._replace(properties=codec.decode_header(frame.payload).properties)
            else:
                last = last._replace(body=last.body + frame.payload)
            items.append(last)
    assert not reader.rest
    return items


class Bench:
    """A vhost and its channels."""

    def __init__(self, **limits: Any) -> None:
        self.journal = FakeJournal()
        self.log = FakeLog()
        self.entropy = FakeEntropy()
        self.users = Users(self.entropy)
        self.users.add("guest", "guest")
        self.users.permit("guest", "/", ".*", ".*", ".*")
        self.dispatcher = MethodDispatcher()
        self.context = Context(
            Limits(**limits), self.users, self.journal, self.entropy, self.log, self.dispatcher
        )
        self.vhost = VHost("/", self.journal, QueueIds())
        self.context.vhosts["/"] = self.vhost
        self.dirty: list[Link] = []
        self._last_link = 0

    def link(self) -> FakeLink:
        """Make a link."""
        self._last_link += 1
        return FakeLink(self.context, self._last_link, self.vhost, self.dirty)

    def channel(self, link: FakeLink | None = None, number: int = 1) -> Channel:
        """Make a channel, on a link of its own unless told otherwise."""
        link = link or self.link()
        channel = link.channels[number] = Channel(number, link)
        return channel

    def queue(self, name: str = "q", *, durable: bool = False, **options: Any) -> Queue:
        """Declare a queue."""
        given: dict[str, Any] = {"owner": 0, "auto_delete": False, "arguments": {}}
        self.vhost.declare_queue(name, durable=durable, **(given | options))
        return self.vhost.queues[name]

    def exchange(self, name: str, kind: str = "direct", **options: Any) -> None:
        """Declare an exchange."""
        given: dict[str, Any] = {
            "durable": False,
            "auto_delete": False,
            "internal": False,
            "arguments": {},
        }
        self.vhost.declare_exchange(name, kind, **(given | options))

    def bind(self, source: str, queue: Queue, key: str, arguments: Table | None = None) -> None:
        """Bind a queue."""
        self.vhost.bind(Binding(self.vhost.exchanges[source], key, arguments or {}, queue))

    def consume(
        self, channel: Channel, queue: Queue, tag: str = "c", **options: Any
    ) -> Subscription:
        """Consume a queue, as basic.consume does."""
        given: dict[str, Any] = {"no_ack": False}
        consumer = Subscription(channel, queue, tag, **(given | options))
        channel.consumers[tag] = consumer
        queue.add_consumer(consumer)
        consumer.resume()
        return consumer

    def end_turn(self, synced: bool = True) -> None:
        """End a turn; with everything synced unless told otherwise."""
        if synced:
            self.context.settlement.on_synced(self.journal.position)
        self.context.settlement.end_turn()


def link_of(channel: Channel) -> FakeLink:
    """The link of a channel that a bench made."""
    link = channel.link
    assert isinstance(link, FakeLink)
    return link


def waiting(queue: Queue) -> list[Entry]:
    """Return what waits in a queue, oldest first."""
    return queue.backlog.in_memory()


def publish(
    channel: Channel,
    exchange: str = "",
    key: str = "q",
    body: bytes = b"body",
    *,
    mandatory: bool = False,
    immediate: bool = False,
    frame_max: int = 4096,
    **properties: Any,
) -> None:
    """Hand a channel a whole publish, as the protocol does."""
    method = codec.make(
        commands.Basic.Publish,
        exchange=exchange,
        routing_key=key,
        mandatory=mandatory,
        immediate=immediate,
    )
    encoded = codec.encode_properties(properties)
    content = codec.content_frames(channel.number, encoded, body, frame_max)
    header_bytes = len(encoded) + 12 + codec.OVERHEAD
    frame_bytes = min(len(body) + codec.OVERHEAD, frame_max) if body else 0
    channel.on_publish(codec.encode_method(method), content, header_bytes, len(body), frame_bytes)


def refusal(action: Callable[[], object], kind: type[AmqpError], code: int) -> str:
    """Run something that must be refused; return the text without the code's name."""
    with pytest.raises(kind) as refused:
        action()
    assert refused.value.code == code
    return refused.value.text.partition(" - ")[2]
