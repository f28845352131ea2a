"""A queue: ready entries, the consumers that take them, and what is out unacknowledged.

Rule 1: every entry is ready (in `backlog`), unacked (in some channel's window, counted here in
`unacked_count`), or settled. Rule 2: there are ready entries or ready consumers, never both:
`dispatch` runs until one of them is gone. Rule 3: a settled persistent entry of a durable queue
has been appended to the journal as settled.
"""

from typing import Final

from mypy_extensions import i64

from amqpd.core.backlog import Backlog
from amqpd.core.consumer import Consumer, Entry, ReadyConsumers
from amqpd.core.message import Message
from amqpd.core.ports import NO_POSITION, Journal
from amqpd.wire.tables import Table


class Queue:
    """A queue of one vhost (spec 1.7; RabbitMQ: queues).

    `owner` is the id of the connection that an exclusive queue belongs to (0 = none). `durable`
    is False for exclusive queues, whatever was declared, as in RabbitMQ. `position` is that of its
    declaration in the journal.
    """

    def __init__(
        self,
        journal: Journal,
        queue_id: int,
        vhost: str,
        name: str,
        *,
        durable: bool,
        owner: int,
        auto_delete: bool,
        arguments: Table,
    ) -> None:
        assert not (durable and owner)
        self._journal: Final = journal
        self.id: Final = queue_id
        self.vhost: Final = vhost
        self.name: Final = name
        self.durable: Final = durable
        self.owner: Final = owner
        self.auto_delete: Final = auto_delete
        self.arguments: Final = arguments
        self.position = NO_POSITION
        self.is_deleted = False
        self.backlog: Final = Backlog(journal, queue_id, durable)
        self.consumers: list[Consumer] = []
        self.ready: Final = ReadyConsumers()
        self.unacked_count: i64 = 0
        self.next_seq: i64 = 1

    # -- messages come in ------------------------------------------------------------------------

    def accept(self, message: Message) -> None:
        """Take a message: hand it to a consumer at once if one can take it, else keep it."""
        entry = Entry(message, self.next_seq)
        self.next_seq += 1
        if self.durable and message.persistent:
            entry.segment = self._journal.segment
        if self.ready.count and self.backlog.count == 0:
            consumer = self._able()
            if consumer is not None:
                self._hand(consumer, entry)
                return
        self.backlog.push(entry)

    def restore(self, entries: list[Entry]) -> None:
        """Take entries back to their old places, as redelivered, and hand them on."""
        if self.is_deleted:
            for entry in entries:
                self._journal_settled(entry)
        if self.is_deleted or not entries:
            return
        self.unacked_count -= len(entries)
        for entry in entries:
            entry.redelivered = True
            entry.consumer = None
        self.backlog.restore(entries)
        self.dispatch()

    # -- messages go out -------------------------------------------------------------------------

    def _able(self) -> Consumer | None:
        """Return the next consumer that can take an entry; those that cannot leave `ready`."""
        while self.ready.count:
            consumer = self.ready.next()
            if consumer.can_take():
                return consumer
            self.ready.remove(consumer)
        return None

    def _hand(self, consumer: Consumer, entry: Entry) -> None:
        """Deliver an entry that is in no collection to a consumer that can take it."""
        self.ready.rotate()
        if consumer.no_ack:
            self._journal_settled(entry)
        else:
            self.unacked_count += 1
            consumer.unacked += 1
            entry.consumer = consumer
        consumer.deliver(entry)

    def dispatch(self) -> None:
        """Hand ready entries to ready consumers until one of both is gone."""
        backlog = self.backlog
        while backlog.count > 0:
            consumer = self._able()
            if consumer is None:
                return
            self._hand(consumer, backlog.pop())

    def take(self, no_ack: bool) -> Entry | None:
        """Take the oldest ready entry for basic.get; None if there is none."""
        if self.backlog.count == 0:
            return None
        entry = self.backlog.pop()
        if no_ack:
            self._journal_settled(entry)
        else:
            self.unacked_count += 1
        return entry

    def settle(self, entry: Entry) -> None:
        """Let an unacked entry leave for good (ack, or reject without requeue)."""
        if self.is_deleted:
            self._journal_settled(entry)
            return
        self.unacked_count -= 1
        assert self.unacked_count >= 0
        self._journal_settled(entry)

    def _journal_settled(self, entry: Entry) -> None:
        if entry.segment:
            self._journal.settled(self.id, entry)

    def purge(self) -> int:
        """Let all ready entries leave for good. Returns how many they were."""
        count = int(self.backlog.count)
        entries, pages = self.backlog.clear()
        for entry in entries:
            self._journal_settled(entry)
        for page in pages:
            self._journal.page_dropped(self.id, page)
        return count

    # -- consumers -------------------------------------------------------------------------------

    @property
    def exclusive_consumer(self) -> bool:
        """Whether a consumer has the queue for itself."""
        return len(self.consumers) == 1 and self.consumers[0].exclusive

    def add_consumer(self, consumer: Consumer) -> None:
        """Register a consumer; nothing is handed out before `resume`."""
        assert not self.is_deleted
        self.consumers.append(consumer)

    def resume(self, consumer: Consumer) -> None:
        """Let a registered consumer that can take entries again have its turns."""
        if self.is_deleted or consumer.is_ready:
            return
        self.ready.add(consumer)
        if self.backlog.count > 0:
            self.dispatch()

    def remove_consumer(self, consumer: Consumer) -> None:
        """Unregister a consumer. What it has unacked stays with its channel."""
        if consumer.is_ready:
            self.ready.remove(consumer)
        if consumer in self.consumers:
            self.consumers.remove(consumer)

    # -- end -------------------------------------------------------------------------------------

    def delete(self) -> int:
        """Mark as deleted and tell the consumers. Returns the number of ready entries lost."""
        self.is_deleted = True
        count = int(self.backlog.count)
        entries, _ = self.backlog.clear()
        for entry in entries:
            self._journal_settled(entry)
        self._journal.queue_gone(self.id)
        consumers = self.consumers
        self.consumers = []
        for consumer in consumers:
            if consumer.is_ready:
                self.ready.remove(consumer)
            consumer.cancelled()
        return count

    def validate(self) -> None:
        """Assert the rules of this module; for tests and simulation."""
        self.backlog.validate()
        assert self.unacked_count >= 0
        assert self.ready.count == sum([1 for consumer in self.consumers if consumer.is_ready])
        assert self.backlog.count == 0 or self.ready.count == 0
