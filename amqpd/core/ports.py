"""The seams of the core: what the world outside hands it.

`Journal` is where durable facts are appended; `Entropy` is where names and salts come from; `Log`
is who is told of events. All three may be subclassed by plain Python, also in the compiled build.
(The third seam, where a queue hands a delivery, is `Consumer` in `core.consumer`.)
"""

from typing import Final

from mypy_extensions import i64, mypyc_attr

from amqpd.core.consumer import Entry
from amqpd.core.message import Message
from amqpd.wire.tables import Table

NO_POSITION: Final = 0  # nothing to wait for: before every append


@mypyc_attr(allow_interpreted_subclasses=True)
class Entropy:
    """Source of random octets."""

    def token(self, count: int) -> bytes:
        """Return `count` octets that nobody can guess."""
        raise NotImplementedError


@mypyc_attr(allow_interpreted_subclasses=True)
class Log:
    """Receiver of events; levels are debug, info, warning and error."""

    def event(self, level: str, event: str, fields: dict[str, object]) -> None:
        """Take note of an event."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Page:
    """Ready entries of a level of a queue, in order, out of memory; the store knows where."""

    def __init__(self, count: int, body_bytes: int, level: int = 0) -> None:
        self.level: Final = level  # of the queue's priorities
        self.count: Final = count
        self.body_bytes: Final = body_bytes
        self.first_seq = 0  # filled in by recovery, which looks pages up by seq


@mypyc_attr(allow_interpreted_subclasses=True)
class Journal:
    """Where durable facts are appended.

    A *position* grows with each append; `Broker.synced(position)` says later that all facts up to
    it are safe, and only then is anything promised that depends on them. `position` is that of the
    latest append (0 = none yet); with `is_immediate` the broker itself declares all of it synced at
    the end of each turn. `segment` is where an entry that is appended now is kept (0 = nowhere).

    The same store also takes in the middle of long queues: `waiting_bytes` counts what all ready
    entries cost in memory, and above `waiting_bytes_max` (0 = no limit) queues page out. Of the
    messages that a delayed message exchange holds, `delayed_max` are kept in order in memory.
    """

    def __init__(self, *, is_immediate: bool) -> None:
        self.position = NO_POSITION
        self.is_immediate: Final = is_immediate
        self.segment: i64 = 0
        self.waiting_bytes: i64 = 0
        self.waiting_bytes_max: i64 = 0
        self.safe_position = NO_POSITION  # all up to it is on the disk
        self.delayed_max = 8192  # messages, about 5 MB with small ones
        self.wall_offset_ms = 0  # wall clock minus the monotonic one

    def published(self, message: Message, queue_ids: list[int], seqs: list[int]) -> int:
        """Append that the message entered these durable queues. Returns the position."""
        raise NotImplementedError

    def settled(self, queue_id: int, entry: Entry) -> None:
        """Append that an entry with a `segment` left its queue for good."""
        raise NotImplementedError

    def expires(self, queue_id: int, entry: Entry) -> None:
        """Append when an entry that was just appended expires; not all journals need to know."""

    def returned(self, queue_id: int, entry: Entry) -> None:
        """Append that an entry of a quorum queue came back, and its counts."""

    def begin(self) -> None:
        """Begin a group of appends that survive a crash together or not at all."""

    def end(self) -> None:
        """End the group."""

    def page_out(self, queue_id: int, durable: bool, entries: list[Entry], level: int) -> Page:
        """Take ready entries of a level of a queue out of memory.

        It is called mostly above `waiting_bytes_max`, and only with one; with growing seqs within
        a level.
        """
        raise NotImplementedError

    def page_in(self, page: Page) -> list[Entry]:
        """Return the entries of a page that are not settled; what is damaged is left out."""
        raise NotImplementedError

    def queue_gone(self, queue_id: int) -> None:
        """Learn that a queue, durable or not, was deleted: its pages are needed no more."""

    def page_dropped(self, queue_id: int, page: Page) -> None:
        """Append that all entries of a page left their queue for good (purge)."""
        raise NotImplementedError

    def queue_declared(
        self, queue_id: int, vhost: str, name: str, auto_delete: bool, arguments: Table
    ) -> int:
        """Append that a durable queue exists. Returns the position."""
        raise NotImplementedError

    def queue_deleted(self, queue_id: int) -> int:
        """Append that a durable queue and all its messages are gone. Returns the position."""
        raise NotImplementedError

    def part_declared(self, queue_id: int, vhost: str, exchange: str, part: str) -> int:
        """Append that a durable exchange has a queue that no client can name, as its `part`.

        `queue_deleted` says that it is gone. Returns the position; not all journals need to know.
        """
        return NO_POSITION

    def exchange_declared(
        self,
        vhost: str,
        name: str,
        kind: str,
        auto_delete: bool,
        internal: bool,
        arguments: Table,
    ) -> int:
        """Append that a durable exchange exists. Returns the position."""
        raise NotImplementedError

    def exchange_deleted(self, vhost: str, name: str) -> int:
        """Append that a durable exchange is gone. Returns the position."""
        raise NotImplementedError

    def bound(
        self, vhost: str, source: str, to_queue: bool, destination: str, key: str, arguments: Table
    ) -> int:
        """Append a binding between durable ends. Returns the position."""
        raise NotImplementedError

    def unbound(
        self, vhost: str, source: str, to_queue: bool, destination: str, key: str, arguments: Table
    ) -> int:
        """Append that such a binding is gone. Returns the position."""
        raise NotImplementedError

    def fact_changed(self, fact: Table, gone: bool) -> int:
        """Append that a fact (see `facts`) is so, or that it is gone. Returns the position.

        Not all journals need to know.
        """
        return self.position


class MemoryJournal(Journal):
    """A journal that keeps nothing: for a broker without a store.

    It still counts positions, so that confirms take the same road as with a disk: the broker
    declares everything synced at the end of each turn.
    """

    def __init__(self) -> None:
        super().__init__(is_immediate=True)

    def _append(self) -> int:
        self.position += 1
        return self.position

    def published(self, message: Message, queue_ids: list[int], seqs: list[int]) -> int:
        """See Journal."""
        return self._append()

    def queue_declared(
        self, queue_id: int, vhost: str, name: str, auto_delete: bool, arguments: Table
    ) -> int:
        """See Journal."""
        return self._append()

    def queue_deleted(self, queue_id: int) -> int:
        """See Journal."""
        return self._append()

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
        return self._append()

    def exchange_deleted(self, vhost: str, name: str) -> int:
        """See Journal."""
        return self._append()

    def bound(
        self, vhost: str, source: str, to_queue: bool, destination: str, key: str, arguments: Table
    ) -> int:
        """See Journal."""
        return self._append()

    def unbound(
        self, vhost: str, source: str, to_queue: bool, destination: str, key: str, arguments: Table
    ) -> int:
        """See Journal."""
        return self._append()

    def fact_changed(self, fact: Table, gone: bool) -> int:
        """See Journal."""
        return self._append()
