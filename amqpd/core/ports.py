"""The seams of the core: what the world outside hands it.

`Journal` is where durable facts are appended; `Entropy` is where names and salts come from; `Log`
is who is told of events. All three may be subclassed by plain Python, also in the compiled build.
(The third seam, where a queue hands a delivery, is `Consumer` in `core.consumer`.)
"""

from typing import Final

from mypy_extensions import mypyc_attr

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
class Journal:
    """Where durable facts are appended.

    A *position* grows with each append; `Broker.synced(position)` says later that all facts up to
    it are safe, and only then is anything promised that depends on them. `position` is that of the
    latest append (0 = none yet); with `is_immediate` the broker itself declares all of it synced at
    the end of each turn.
    """

    def __init__(self, *, is_immediate: bool) -> None:
        self.position = NO_POSITION
        self.is_immediate: Final = is_immediate

    def published(self, message: Message, queue_ids: list[int], seqs: list[int]) -> int:
        """Append that the message entered these durable queues. Returns the position."""
        raise NotImplementedError

    def settled(self, queue_id: int, seq: int) -> int:
        """Append that a message left a durable queue for good. Returns the position."""
        raise NotImplementedError

    def queue_declared(
        self, queue_id: int, vhost: str, name: str, auto_delete: bool, arguments: Table
    ) -> int:
        """Append that a durable queue exists. Returns the position."""
        raise NotImplementedError

    def queue_deleted(self, queue_id: int) -> int:
        """Append that a durable queue and all its messages are gone. Returns the position."""
        raise NotImplementedError

    def queue_purged(self, queue_id: int, seqs: list[int]) -> int:
        """Append that these messages of a durable queue were purged. Returns the position."""
        raise NotImplementedError

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

    def settled(self, queue_id: int, seq: int) -> int:
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

    def queue_purged(self, queue_id: int, seqs: list[int]) -> int:
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
