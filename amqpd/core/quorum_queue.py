"""Quorum queues, as far as one node has what is special about them (RabbitMQ: quorum queues).

All that they take is stored, whatever its delivery-mode. Each message counts how often it came back
(`Entry.counts`), tells it to consumers, and leaves when it has come back more often than the
delivery limit allows. Where it waits then depends on that limit:

| it came back by | with a limit | without one |
|---|---|---|
| basic.nack, basic.reject or basic.recover | ahead of all | behind all, with a new seq |
| the end of its channel or connection | ahead of all | ahead of all |

With the dead letter strategy at-least-once a dead letter leaves in the step of the journal in which
its copies are stored; while there is nowhere to put it, it stays, and is tried again now and then.
"""

from typing import Final

from amqpd import errors
from amqpd.core.backlog import Backlog
from amqpd.core.consumer import Consumer, Entry
from amqpd.core.deadletter import DELIVERY_LIMIT, MAXLEN, REASONS
from amqpd.core.ports import Journal
from amqpd.core.queue import FULL, LOST, NACKED, PLACED, Queue, Undertaker
from amqpd.core.quorum_backlog import QuorumBacklog
from amqpd.core.rules import NONE
from amqpd.core.timers import NEVER, Timed, Timers
from amqpd.profile import V3_13, Profile
from amqpd.wire.tables import Table

PER_RETRY: Final = 1000  # dead letters that are tried again at a time
RETRY_MS: Final = 1000  # between two attempts to place dead letters


class _Retry(Timed):
    """The deadline at which dead letters that could not be placed are tried again."""

    def __init__(self, queue: "QuorumQueue") -> None:
        super().__init__()
        self._queue: Final = queue

    def on_deadline(self, now_ms: int) -> None:
        """See Timed."""
        self._queue.place_again()


class QuorumQueue(Queue):
    """A quorum queue with one member: this broker."""

    def __init__(
        self,
        journal: Journal,
        queue_id: int,
        vhost: str,
        name: str,
        *,
        arguments: Table,
        timers: Timers | None = None,
        undertaker: Undertaker | None = None,
        profile: Profile = V3_13,
    ) -> None:
        super().__init__(
            journal,
            queue_id,
            vhost,
            name,
            durable=True,
            owner=0,
            auto_delete=False,
            arguments=arguments,
            timers=timers,
            undertaker=undertaker,
            profile=profile,
        )
        self._retry: Final = _Retry(self)
        self._is_yielding = False  # the active consumer gets nothing more: there is a better one

    def _make_backlog(self) -> Backlog:
        return QuorumBacklog(self._journal, self.id, self.profile.quorum_priorities)

    # -- coming back -----------------------------------------------------------------------------

    def restore(self, entries: list[Entry], how: int = LOST) -> None:
        """See Queue: count, and then put back, or let leave what came back too often."""
        if self.is_deleted or not entries:
            super().restore(entries, how)
            return
        rules = self.rules
        assert rules is not None
        self.unacked_count -= len(entries)
        limit = rules.delivery_limit
        goes_behind = limit == NONE and how != LOST
        first: list[Entry] = []
        doomed: list[Entry] = []
        for entry in entries:
            entry.redelivered = True
            entry.consumer = None
            self._count(entry, how)
            if limit != NONE and self._counted(entry) > limit:
                doomed.append(entry)
            elif not goes_behind or not self._put_behind(entry):
                self._note_return(entry)
                first.append(entry)
        self.backlog.restore(first)
        for entry in doomed:
            self._leave(entry, DELIVERY_LIMIT)
        self.dispatch()
        self._keep_limits()
        self.drop_expired()

    def _count(self, entry: Entry, how: int) -> None:
        has_failed = how != NACKED or self.profile.counts_nacks
        entry.count(entry.acquired() + 1, entry.failed() + (1 if has_failed else 0))

    def _counted(self, entry: Entry) -> int:
        """Return what the delivery limit is held against."""
        return entry.failed() if self.profile.counts_acquisitions else entry.acquired()

    def _put_behind(self, old: Entry) -> bool:
        """Put an entry that came back behind all others; False if the store cannot take it."""
        entry = Entry(old.message, self.next_seq)
        entry.redelivered = True
        entry.counts = old.counts
        entry.expires_ms = old.expires_ms
        if old.segment:
            journal = self._journal
            journal.begin()
            try:
                journal.published(entry.message, [self.id], [int(entry.seq)])
                entry.segment = journal.segment
                if entry.expires_ms:
                    journal.expires(self.id, entry)
                journal.returned(self.id, entry)
                journal.settled(self.id, old)
            except errors.HardError:
                return False
            finally:
                journal.end()
        self.next_seq += 1
        self.backlog.push(entry)
        return True

    def _note_return(self, entry: Entry) -> None:
        if entry.segment:
            self._journal.returned(self.id, entry)

    # -- dead letters that must not be lost ------------------------------------------------------

    def _waiting(self) -> QuorumBacklog:
        backlog = self.backlog
        assert isinstance(backlog, QuorumBacklog)
        return backlog

    def _leave(self, entry: Entry, reason: str) -> None:
        """See Queue."""
        rules = self.rules
        assert rules is not None
        if not rules.at_least_once or reason == MAXLEN:
            super()._leave(entry, reason)
        elif self._place(entry, reason) != PLACED:
            entry.count(entry.acquired(), entry.failed(), REASONS.index(reason) + 1)
            self._waiting().unplaced[int(entry.seq)] = entry
            self._note_return(entry)
            if self._retry.deadline_ms == NEVER:
                self._timers.set(self._retry, self._timers.now_ms + RETRY_MS)

    def _place(self, entry: Entry, reason: str) -> int:
        """Let an entry leave as a dead letter, in one step of the journal, if it has a place."""
        self._journal.begin()
        try:
            outcome = self._undertaker.place_dead_letter(self, entry.message, reason)
            if outcome == PLACED:
                self._journal_settled(entry)
            return outcome
        finally:
            self._journal.end()

    def adopt_unplaced(self, entry: Entry) -> None:
        """Take over a dead letter that had no place before a restart."""
        self._waiting().unplaced[int(entry.seq)] = entry
        self._timers.set(self._retry, self._timers.now_ms)

    def place_again(self) -> None:
        """Try to place the dead letters that had no place, the oldest first.

        One that has no way says nothing of the next, but a full queue does.
        """
        unplaced = self._waiting().unplaced
        rules = self.rules
        assert rules is not None
        for seq in list(unplaced)[:PER_RETRY]:
            entry = unplaced[seq]
            reason = REASONS[entry.reason() - 1]
            if not rules.at_least_once:  # policies have changed
                del unplaced[seq]
                super()._leave(entry, reason)
                continue
            outcome = self._place(entry, reason)
            if outcome == PLACED:
                del unplaced[seq]
            elif outcome == FULL:
                break
        if unplaced and not self.is_deleted:
            self._timers.set(self._retry, self._timers.now_ms + RETRY_MS)

    # -- a single active consumer ----------------------------------------------------------------

    def add_consumer(self, consumer: Consumer) -> None:
        """See Queue: one of a higher priority takes over (RabbitMQ 3.12: quorum queues)."""
        super().add_consumer(consumer)
        active = self.active
        if active is not None and consumer.priority > active.priority:
            if active.is_ready:
                self.ready.remove(active)
            if active.unacked == 0:
                self._is_yielding = False
                self.active = consumer
            else:
                self._is_yielding = True

    def resume(self, consumer: Consumer) -> None:
        """See Queue: who is to yield does so when all that it had is settled."""
        if self._is_yielding and consumer is self.active:
            if consumer.unacked == 0:
                self._is_yielding = False
                self.active = None
                self._choose_active()
                self.activate()
            return
        super().resume(consumer)

    def remove_consumer(self, consumer: Consumer) -> None:
        """See Queue."""
        if consumer is self.active:
            self._is_yielding = False
        super().remove_consumer(consumer)

    def delete(self) -> int:
        """See Queue."""
        self._timers.clear(self._retry)
        return super().delete()
