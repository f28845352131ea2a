"""What a broker was asked and what that must lead to: the oracle of the simulation.

Plain objects: queues with entries that are *ready*, *out* or *settled*, channels with what they
have out, consumers with what they may take. Commands come in (`commands.py`) when the broker gets
them; deliveries come in (`said` below) when the broker writes them, and must fit.
"""

from bisect import insort
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.sim.facts import LateJournal
from tests.sim.topology import Topology

READY, OUT, SETTLED = "ready", "out", "settled"


@dataclass(eq=False)
class MessageModel:
    """A message as its publisher made it; `properties` are its flags and values as bytes."""

    number: int
    exchange: str
    keys: list[str]
    headers: dict[str, Any]
    persistent: bool
    mandatory: bool
    properties: bytes
    body: bytes


@dataclass(eq=False)
class EntryModel:
    """A message in one queue; `index` counts from 1 in each life of the queue."""

    message: MessageModel
    queue: "QueueModel"
    index: int
    state: str = READY
    was_out: bool = False
    consumer: "ConsumerModel | None" = None
    tag: int = 0


@dataclass(eq=False)
class QueueModel:
    """One life of a queue, from declare to delete; `id` is the journal's, if it is durable."""

    name: str
    durable: bool
    auto_delete: bool
    owner: "ConnectionModel | None"
    id: int = 0
    is_dead: bool = False
    count: int = 0
    ready: list[int] = field(default_factory=list)  # sorted indexes
    out_count: int = 0
    entries: dict[int, EntryModel] = field(default_factory=dict)  # by index, unless settled
    numbers: dict[int, EntryModel] = field(default_factory=dict)  # by message number, all
    consumers: "list[ConsumerModel]" = field(default_factory=list)
    fresh_max: int = 0  # highest index delivered for the first time
    taken: list[int] = field(default_factory=list)  # delivered since the last look

    def accept(self, message: MessageModel) -> None:
        """Take a message as the newest."""
        self.count += 1
        entry = EntryModel(message, self, self.count)
        self.entries[entry.index] = self.numbers[message.number] = entry
        self.ready.append(entry.index)

    def take(self, entry: EntryModel) -> None:
        """Let a ready entry out."""
        assert entry.state == READY, f"message {entry.message.number} is {entry.state}"
        self.ready.remove(entry.index)
        self.taken.append(entry.index)
        if not entry.was_out:
            self.fresh_max = max(self.fresh_max, entry.index)

    def settle(self, entry: EntryModel) -> None:
        """Let an entry that is not ready leave for good."""
        if not self.is_dead:
            del self.entries[entry.index]
        entry.state = SETTLED

    def give_back(self, entry: EntryModel) -> None:
        """Take an entry back to its old place."""
        if self.is_dead:
            entry.state = SETTLED
            return
        entry.state = READY
        entry.consumer = None
        insort(self.ready, entry.index)


@dataclass(eq=False)
class ConsumerModel:
    """A consumer; basic.get with acks makes one too, with an empty tag, for one entry."""

    tag: str
    channel: "ChannelModel"
    queue: QueueModel
    no_ack: bool
    exclusive: bool = False
    prefetch: int = 0
    unacked: int = 0
    fresh_last: int = 0  # index of the latest first-time delivery

    def has_credit(self) -> bool:
        """Whether acks so far let it have one more."""
        if self.prefetch and not self.no_ack and self.unacked >= self.prefetch:
            return False
        window = self.channel.window
        return not window or self.channel.outstanding() < window


@dataclass(eq=False)
class Expected:
    """An answer that has to come next on a channel, and the position without which it may not."""

    kind: str
    check: Callable[[Any], None] | None = None
    needs: int = 0


@dataclass(eq=False)
class TransactionModel:
    """What an open transaction holds."""

    publishes: list[tuple[MessageModel, list[QueueModel]]] = field(default_factory=list)
    settles: list[tuple[list[EntryModel], bool]] = field(default_factory=list)


@dataclass(eq=False)
class ConfirmModel:
    """A publish of a channel in confirm mode; `needs` is known after the broker had it."""

    message: MessageModel
    queues: list[QueueModel]
    needs: int = 0
    is_returned: bool = False  # a return has to come before the confirm


class ChannelModel:
    """One life of a channel. `state`: open; closing (the broker sent close); closed."""

    def __init__(self, connection: "ConnectionModel", number: int) -> None:
        self.connection = connection
        self.number = number
        self.state = "open"
        self.consumers: dict[str, ConsumerModel] = {}
        self.prefetch = 0
        self.window = 0
        self.last_tag = 0
        self.out: dict[int, EntryModel] = {}  # by delivery tag, not what a transaction holds
        self.confirming = False
        self.published: list[ConfirmModel] = []
        self.confirmed = 0
        self.transaction: TransactionModel | None = None
        self.replies: deque[Expected] = deque()
        self.returns: deque[MessageModel] = deque()
        self.cancels: set[str] = set()  # tags of which the broker has to say that they are gone

    def outstanding(self) -> int:
        """How many deliveries are neither acked nor returned, or not committed to be so."""
        held = 0
        if self.transaction is not None:
            held = sum(len(entries) for entries, _ in self.transaction.settles)
        return len(self.out) + held

    def expect(self, kind: str, check: Callable[[Any], None] | None = None) -> Expected:
        """Await an answer behind those that are awaited already."""
        expected = Expected(kind, check)
        self.replies.append(expected)
        return expected


class ConnectionModel:
    """A connection. `state`: open; closing (the broker sent close); closed."""

    def __init__(self, name: str, frame_max: int, notifies: bool) -> None:
        self.name = name
        self.frame_max = frame_max
        self.notifies = notifies  # the client wants to be told of cancelled consumers
        self.state = "open"
        self.channels: dict[int, ChannelModel] = {}
        self.replies: deque[Expected] = deque()  # on channel 0
        self.is_congested = False


class Model:
    """All of it, and what happens to it other than by commands of clients."""

    def __init__(self, journal: LateJournal) -> None:
        self.journal = journal
        self.queues: dict[str, QueueModel] = {}
        self.topology = Topology(self.queues)
        self.connections: list[ConnectionModel] = []
        self.after: list[Callable[[], None]] = []  # to do once the broker has done its part
        self.stirred: set[QueueModel] = set()  # queues whose order is to be looked at
        self.delivered_count = 0

    # -- messages ----------------------------------------------------------------------------------

    def route(self, message: MessageModel) -> list[QueueModel]:
        """Return the queues that a message reaches now."""
        names = self.topology.route(message.exchange, message.keys, message.headers)
        return [self.queues[name] for name in names]

    def place(self, message: MessageModel, queues: list[QueueModel]) -> None:
        """Put a message into those of the queues that are still there."""
        for queue in queues:
            if not queue.is_dead:
                queue.accept(message)

    def needs_of(self, message: MessageModel, queues: list[QueueModel]) -> int:
        """Return the position of a message that was published, 0 if it is not durable."""
        if not message.persistent or not any(queue.durable for queue in queues):
            return 0
        position = self.journal.last["message", message.number]
        assert position, f"message {message.number} is not in the journal"
        return position

    def give_back(self, entries: list[EntryModel]) -> None:
        """Requeue entries that are out."""
        for entry in entries:
            self._leave(entry)
            entry.queue.give_back(entry)
            self.stirred.add(entry.queue)

    def settle(self, entries: list[EntryModel]) -> None:
        """Let entries that are out leave for good."""
        for entry in entries:
            self._leave(entry)
            entry.queue.settle(entry)

    def _leave(self, entry: EntryModel) -> None:
        assert entry.state == OUT and entry.consumer is not None
        entry.queue.out_count -= 1
        entry.consumer.unacked -= 1

    # -- ends --------------------------------------------------------------------------------------

    def delete_queue(self, queue: QueueModel) -> int:
        """End a life of a queue. Returns how many ready messages it had."""
        del self.queues[queue.name]
        queue.is_dead = True
        for consumer in queue.consumers:
            channel = consumer.channel
            del channel.consumers[consumer.tag]
            if channel.connection.notifies:
                channel.cancels.add(consumer.tag)
        queue.consumers = []
        self.topology.cut_off_queue(queue.name)
        return len(queue.ready)

    def cancel(self, consumer: ConsumerModel) -> bool:
        """Take a consumer from its queue. Returns whether the queue went too."""
        del consumer.channel.consumers[consumer.tag]
        queue = consumer.queue
        queue.consumers.remove(consumer)
        if queue.auto_delete and not queue.consumers:
            self.delete_queue(queue)
            return True
        return False

    def end_channel(self, channel: ChannelModel) -> None:
        """Let go of all that a channel has."""
        for consumer in list(channel.consumers.values()):
            self.cancel(consumer)
        entries = list(channel.out.values())
        if channel.transaction is not None:
            entries += [entry for held, _ in channel.transaction.settles for entry in held]
        channel.out = {}
        channel.transaction = None
        self.give_back(entries)

    def end_connection(self, connection: ConnectionModel) -> None:
        """Let go of all that a connection has: consumers, then deliveries, then its queues."""
        open_channels = [c for c in connection.channels.values() if c.state == "open"]
        for channel in open_channels:
            for consumer in list(channel.consumers.values()):
                self.cancel(consumer)
        for channel in open_channels:
            self.end_channel(channel)
        for channel in connection.channels.values():
            channel.state = "closed"
        connection.channels = {}
        for queue in list(self.queues.values()):
            if queue.owner is connection:
                self.delete_queue(queue)

    def close_channel(self, channel: ChannelModel, code: int) -> None:
        """The broker closes a channel for an error."""
        self.end_channel(channel)
        channel.state = "closing"
        channel.expect("Channel.Close", lambda method: _check_code(method, code))

    def close_connection(self, connection: ConnectionModel, code: int) -> None:
        """The broker closes a connection, for an error or because it was told to."""
        self.end_connection(connection)
        connection.state = "closing"
        expected = Expected("Connection.Close", lambda method: _check_code(method, code))
        connection.replies.append(expected)

    # -- what the broker says ----------------------------------------------------------------------

    def said_delivery(
        self, consumer: ConsumerModel, method: Any, properties: bytes, body: bytes
    ) -> None:
        """A delivery, or a get-ok: it must be a ready message that this consumer may have."""
        channel, queue = consumer.channel, consumer.queue
        number = int(body[:8])
        entry = queue.numbers.get(number)
        assert entry is not None, f"message {number} was never in queue {queue.name}"
        check_content(entry.message, method, properties, body)
        if consumer.tag:
            assert consumer.has_credit(), f"{consumer.tag} has {consumer.unacked} unacked"
        assert method.redelivered == entry.was_out, f"message {number}: {method.redelivered=}"
        if not entry.was_out and consumer.tag:
            assert entry.index > consumer.fresh_last, f"message {number} out of order"
            consumer.fresh_last = entry.index
        queue.take(entry)
        self.stirred.add(queue)
        self.delivered_count += 1
        channel.last_tag += 1
        assert method.delivery_tag == channel.last_tag
        if consumer.no_ack:
            queue.settle(entry)
            return
        entry.state, entry.was_out, entry.consumer = OUT, True, consumer
        entry.tag = channel.last_tag
        consumer.unacked += 1
        queue.out_count += 1
        channel.out[channel.last_tag] = entry

    def look(self, exactly: bool) -> None:
        """Check the order of what left the queues since the last look.

        First-time deliveries leave in order. `exactly`: only one thing happened meanwhile, and so
        what left each queue was the oldest that it had, also of what had come back.
        """
        for queue in self.stirred:
            fresh = [index for index in queue.ready if not queue.entries[index].was_out]
            assert not fresh or queue.fresh_max < fresh[0], f"{queue.name}: an older one waits"
            if exactly and queue.taken and queue.ready:
                assert max(queue.taken) < queue.ready[0], f"{queue.name}: not the oldest first"
            queue.taken = []
        self.stirred.clear()


def check_content(message: MessageModel, method: Any, properties: bytes, body: bytes) -> None:
    """Assert that a message has come as it was sent."""
    assert method.exchange == message.exchange and method.routing_key == message.keys[0]
    assert body == message.body, f"message {message.number}: the body differs"
    assert properties == message.properties, f"message {message.number}: properties differ"


def _check_code(method: Any, code: int) -> None:
    assert method.reply_code == code, f"{code} was due, not {method.reply_text}"
