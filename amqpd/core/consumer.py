"""Consumers, the entries they are given, and which consumer is next.

An `Entry` is a message's place in one queue. It is in exactly one of three places: the queue's
backlog (*ready*), a channel's unacked window (*delivered*, `consumer` says to whom), or nowhere
(*settled*: it left for good).

A `Consumer` of a queue is *ready* while it is in the queue's `ReadyConsumers`; it is taken out
when it turns out that it cannot take more, and comes back when its channel resumes it. That a
consumer without credit is noticed only when its turn comes is how RabbitMQ does it too.
"""

from typing import Final

from mypy_extensions import i32, i64, mypyc_attr

from amqpd.core.message import Message

# What `Entry.counts` is made of: it lies beside `redelivered`, where it takes no room of its own.
#
#    ┌────────┬────────┬──────────┐
#    │ reason │ failed │ acquired │
#    │ 3 bits │ 11     │ 17       │
#    └────────┴────────┴──────────┘
ACQUIRED_MAX: Final = (1 << 17) - 1
_FAILED_AT: Final = 17
FAILED_MAX: Final = (1 << 11) - 1
_REASON_AT: Final = 28
COUNTS_MAX: Final = (1 << 31) - 1


@mypyc_attr(allow_interpreted_subclasses=True)
class Consumer:
    """Who takes entries from a queue: the seam between a queue and a channel.

    `prefetch` 0 means no limit. `unacked` counts the entries that it was given and that are not
    settled; it stays 0 with no-ack.
    """

    def __init__(
        self, tag: str, *, no_ack: bool, exclusive: bool, priority: int, prefetch: int
    ) -> None:
        self.tag: Final = tag
        self.no_ack: Final = no_ack
        self.exclusive: Final = exclusive
        self.priority: Final = priority
        self.prefetch: i64 = prefetch
        self.unacked: i64 = 0
        self.is_ready = False
        self.will_resume = False  # whoever it waits for knows it, and calls `resume`
        self.before: Consumer = self
        self.after: Consumer = self

    def can_take(self) -> bool:
        """Say whether an entry may be handed over now."""
        raise NotImplementedError

    def deliver(self, entry: "Entry") -> None:
        """Take an entry. Called only after `can_take`; with no-ack the entry is settled already."""
        raise NotImplementedError

    def resume(self) -> None:
        """Ask the queue for more, now that this consumer may have room again."""
        raise NotImplementedError

    def cancelled(self) -> None:
        """Learn that the queue is gone and that nothing more will come."""
        raise NotImplementedError


@mypyc_attr(acyclic=True)
class Entry:
    """A message's place in one queue; `seq` orders the queue and is never used twice in it."""

    __slots__ = (
        "consumer",
        "counts",
        "expires_ms",
        "message",
        "redelivered",
        "segment",
        "seq",
        "tag",
    )

    def __init__(self, message: Message, seq: i64) -> None:
        self.message: Final = message
        self.seq: Final[i64] = seq
        self.redelivered = False
        self.counts: i32 = 0  # of a quorum queue: how often it came back, and more (see above)
        self.segment: i64 = 0  # of the journal that has it; below 0: its page file; 0: nowhere
        self.expires_ms: i64 = 0  # monotonic; 0 = never
        self.tag: i64 = 0  # delivery tag, while delivered
        self.consumer: Consumer | None = None  # who has it, while delivered

    def acquired(self) -> int:
        """How often it was given to a consumer and came back, ACQUIRED_MAX at most."""
        return int(self.counts) & ACQUIRED_MAX

    def failed(self) -> int:
        """How often of these its consumer has failed, FAILED_MAX at most."""
        return int(self.counts) >> _FAILED_AT & FAILED_MAX

    def reason(self) -> int:
        """Why it is to leave as a dead letter when there is a place for it; 0 if it is not.

        It is a place in `deadletter.REASONS`, counted from 1.
        """
        return int(self.counts) >> _REASON_AT

    def count(self, acquired: int, failed: int, reason: int = 0) -> None:
        """Set what `counts` is made of."""
        acquired, failed = min(acquired, ACQUIRED_MAX), min(failed, FAILED_MAX)
        self.counts = acquired | failed << _FAILED_AT | reason << _REASON_AT


class _Level:
    """The ready consumers of one priority, as a ring; `first` is the next to be served."""

    def __init__(self, priority: int, first: Consumer) -> None:
        self.priority: Final = priority
        self.first: Consumer | None = first


class ReadyConsumers:
    """Consumers that may be able to take an entry: highest priority first, in turn within one.

    Rule 1: a consumer is in here exactly while `is_ready`. Rule 2: levels are in falling order of
    priority, and none is kept empty. All steps O(1) but for finding a level among the priorities
    in use.
    """

    def __init__(self) -> None:
        self.count = 0
        self._levels: list[_Level] = []

    def next(self) -> Consumer:
        """Return the consumer whose turn it is; there must be one."""
        first = self._levels[0].first
        assert first is not None
        return first

    def rotate(self) -> None:
        """Send the consumer whose turn it was to the back of its level."""
        level = self._levels[0]
        first = level.first
        assert first is not None
        level.first = first.after

    def add(self, consumer: Consumer) -> None:
        """Put a consumer at the back of its level."""
        assert not consumer.is_ready
        consumer.is_ready = True
        self.count += 1
        at = 0
        for level in self._levels:
            if level.priority <= consumer.priority:
                break
            at += 1
        if at == len(self._levels) or self._levels[at].priority != consumer.priority:
            self._levels.insert(at, _Level(consumer.priority, consumer))
            return
        first = self._levels[at].first
        assert first is not None
        last = first.before
        last.after = consumer
        consumer.before = last
        consumer.after = first
        first.before = consumer

    def remove(self, consumer: Consumer) -> None:
        """Take a consumer out."""
        assert consumer.is_ready
        consumer.is_ready = False
        self.count -= 1
        at = 0
        while self._levels[at].priority != consumer.priority:
            at += 1
        level = self._levels[at]
        if consumer.after is consumer:
            assert level.first is consumer
            level.first = None
            del self._levels[at]
            return
        if level.first is consumer:
            level.first = consumer.after
        consumer.before.after = consumer.after
        consumer.after.before = consumer.before
        consumer.before = consumer
        consumer.after = consumer
