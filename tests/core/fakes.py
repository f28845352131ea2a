"""Plain-Python stand-ins at the seams of the core: they work with the compiled build too."""

from typing import Any

from amqpd.core.consumer import Consumer, Entry
from amqpd.core.message import Address, Message
from amqpd.core.ports import Journal, Page
from amqpd.core.queue import Queue
from amqpd.wire.tables import Table


class FakePage(Page):
    """A page that never left memory."""

    def __init__(self, entries: list[Entry], level: int = 0) -> None:
        body_bytes = sum(int(entry.message.body_bytes) for entry in entries)
        super().__init__(len(entries), body_bytes, level)
        self.first_seq = int(entries[0].seq)
        self.entries = entries
        self.is_damaged = False


class FakeJournal(Journal):
    """Keeps what is appended, as tuples that begin with the method's name."""

    def __init__(self, *, is_immediate: bool = False, waiting_bytes_max: int = 0) -> None:
        super().__init__(is_immediate=is_immediate)
        self.facts: list[tuple[Any, ...]] = []
        self.segment = 1
        self.waiting_bytes_max = waiting_bytes_max

    def append(self, *fact: Any) -> int:
        """Keep a fact. Returns its position, counted from 1."""
        self.facts.append(fact)
        self.position = len(self.facts)
        return self.position

    def published(self, message: Message, queue_ids: list[int], seqs: list[int]) -> int:
        """See Journal."""
        return self.append("published", message, queue_ids, seqs)

    def settled(self, queue_id: int, entry: Entry) -> None:
        """See Journal."""
        self.append("settled", queue_id, int(entry.seq))

    def page_out(self, queue_id: int, durable: bool, entries: list[Entry], level: int) -> Page:
        """See Journal: keep the page as it is."""
        return FakePage(entries, level)

    def page_in(self, page: Page) -> list[Entry]:
        """See Journal."""
        assert isinstance(page, FakePage)
        return [] if page.is_damaged else page.entries

    def page_dropped(self, queue_id: int, page: Page) -> None:
        """See Journal."""
        assert isinstance(page, FakePage)
        for entry in page.entries:
            self.settled(queue_id, entry)

    def queue_declared(
        self, queue_id: int, vhost: str, name: str, auto_delete: bool, arguments: Table
    ) -> int:
        """See Journal."""
        return self.append("queue_declared", queue_id, vhost, name, auto_delete, arguments)

    def queue_deleted(self, queue_id: int) -> int:
        """See Journal."""
        return self.append("queue_deleted", queue_id)

    def exchange_declared(
        self,
        vhost: str,
        name: str,
        kind: str,
        auto_delete: bool,
        internal: bool,
        arguments: Table,
    ) -> int:
        """See Journal."""
        return self.append("exchange_declared", vhost, name, kind, auto_delete, internal, arguments)

    def exchange_deleted(self, vhost: str, name: str) -> int:
        """See Journal."""
        return self.append("exchange_deleted", vhost, name)

    def bound(
        self, vhost: str, source: str, to_queue: bool, destination: str, key: str, arguments: Table
    ) -> int:
        """See Journal."""
        return self.append("bound", vhost, source, to_queue, destination, key, arguments)

    def unbound(
        self, vhost: str, source: str, to_queue: bool, destination: str, key: str, arguments: Table
    ) -> int:
        """See Journal."""
        return self.append("unbound", vhost, source, to_queue, destination, key, arguments)


class FakeConsumer(Consumer):
    """Takes up to `room` entries, and remembers them."""

    def __init__(
        self,
        tag: str = "c",
        *,
        room: int = 1_000_000,
        no_ack: bool = False,
        exclusive: bool = False,
        priority: int = 0,
    ) -> None:
        super().__init__(tag, no_ack=no_ack, exclusive=exclusive, priority=priority, prefetch=0)
        self.room = room
        self.taken: list[Entry] = []
        self.is_cancelled = False

    @property
    def numbers(self) -> list[int]:
        """The seqs of what it was given."""
        return [entry.seq for entry in self.taken]

    def can_take(self) -> bool:
        """See Consumer."""
        return self.room > 0

    def deliver(self, entry: Entry) -> None:
        """See Consumer."""
        assert self.room > 0
        self.room -= 1
        self.taken.append(entry)

    def resume(self) -> None:
        """See Consumer."""
        raise AssertionError("a queue does not resume its consumers")

    def cancelled(self) -> None:
        """See Consumer."""
        self.is_cancelled = True


def make_message(body_bytes: int = 1, *, persistent: bool = False) -> Message:
    """Make a message; the core does not look at its content."""
    return Message(Address("x", "key", b""), b"", 0, body_bytes, body_bytes + 8, 1, persistent)


def make_entry(seq: int, body_bytes: int = 1) -> Entry:
    """Make an entry with a message of its own."""
    return Entry(make_message(body_bytes), seq)


def make_queue(
    journal: Journal | None = None, name: str = "q", *, durable: bool = False, queue_id: int = 7
) -> Queue:
    """Make a queue that nobody owns."""
    return Queue(
        journal or FakeJournal(),
        queue_id,
        "/",
        name,
        durable=durable,
        owner=0,
        auto_delete=False,
        arguments={},
    )
