"""Checkpoint: empties the oldest segment of the journal when too much disk is held for too little.

What is still live in it is appended again, a bounded number of entries a turn, so that one old
message does not pin the journal and no turn takes long. Entries in memory are looked at queue by
queue, then those that are out unacknowledged; one that moved from the one to the other in between
is found the next time round, since a segment goes only when its count of live entries says so.
"""

from collections.abc import Callable
from typing import Final

from amqpd.core.consumer import Entry
from amqpd.core.queue import Queue
from amqpd.core.vhost import VHost
from amqpd.store.journal import StoreJournal

ENTRIES_PER_TURN: Final = 5000  # looked at; about a millisecond


class Checkpoint:
    """The state of emptying one segment; `step` is called once a turn."""

    def __init__(
        self,
        journal: StoreJournal,
        vhosts: dict[str, VHost],
        unacked: Callable[[], list[tuple[int, Entry]]],
    ) -> None:
        self._journal: Final = journal
        self._vhosts: Final = vhosts
        self._unacked: Final = unacked
        self._segment = 0  # being emptied
        self._queues: list[Queue] = []

    def step(self) -> None:
        """Do a bounded piece of work, if there is any."""
        journal = self._journal
        if self._segment == 0:
            self._segment = journal.segment_to_free()
            if self._segment == 0:
                return
            self._queues = [
                queue
                for vhost in self._vhosts.values()
                for queue in [*vhost.queues.values(), *vhost.parts.values()]
                if queue.durable
            ]
        looked_at = 0
        while self._queues and looked_at < ENTRIES_PER_TURN:
            queue = self._queues.pop()
            entries = queue.entries_in_memory()
            looked_at += len(entries) + 1
            for entry in entries:
                self._move(queue.id, entry)
        if not self._queues:
            for queue_id, entry in self._unacked():
                self._move(queue_id, entry)
            self._segment = 0

    def _move(self, queue_id: int, entry: Entry) -> None:
        if 0 < entry.segment <= self._segment:
            self._journal.move(queue_id, entry)
