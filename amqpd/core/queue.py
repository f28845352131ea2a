"""A queue: ready entries, the consumers that take them, and what is out unacknowledged.

Rule 1: every entry is ready (in `backlog`), unacked (in some channel's window, counted here in
`unacked_count`), or settled. Rule 2: there are ready entries or ready consumers, never both:
`dispatch` runs until one of them is gone. Rule 3: a settled persistent entry of a durable queue
has been appended to the journal as settled.
"""

from typing import Final

from mypy_extensions import i64, mypyc_attr

from amqpd.core.backlog import Backlog, PriorityBacklog
from amqpd.core.consumer import Consumer, Entry, ReadyConsumers
from amqpd.core.deadletter import EXPIRED, MAXLEN, REJECTED
from amqpd.core.message import Message
from amqpd.core.policy import Policy
from amqpd.core.ports import NO_POSITION, Journal
from amqpd.core.rules import DROP_HEAD, REJECT_PUBLISH_DLX, Rules, priorities_of, rules_of
from amqpd.core.timers import NEVER, Timed, Timers
from amqpd.profile import V3_13, Profile
from amqpd.wire.tables import Table

EXPIRED_PER_CALL: Final = 500  # with dead letters about 3 ms; what is left has its turn 1 ms later

# How an entry comes back.
LOST: Final = 0  # its channel or connection ended
NACKED: Final = 1  # basic.nack, basic.recover
REFUSED: Final = 2  # basic.reject

# What became of a dead letter that must not be lost.
PLACED: Final = 0
NO_WAY: Final = 1
FULL: Final = 2


@mypyc_attr(allow_interpreted_subclasses=True)
class Undertaker:
    """Who sees to what a queue does not keep, and to the queue itself: its vhost."""

    def dead_letter(self, queue: "Queue", message: Message, reason: str) -> None:
        """Send a message on to the queue's dead letter exchange."""
        raise NotImplementedError

    def place_dead_letter(self, queue: "Queue", message: Message, reason: str) -> int:
        """Send a message on for sure: to all queues that it is routed to, or to none.

        Returns PLACED, NO_WAY or FULL (one of the queues refuses it).
        """
        raise NotImplementedError

    def bury(self, queue: "Queue") -> None:
        """Delete a queue that was unused for too long."""
        raise NotImplementedError


class _Deadline(Timed):
    """The two deadlines of a queue: its oldest message expires, it has been unused for too long."""

    def __init__(self, queue: "Queue", of_messages: bool) -> None:
        super().__init__()
        self._queue: Final = queue
        self._of_messages: Final = of_messages

    def on_deadline(self, now_ms: int) -> None:
        """See Timed."""
        if self._of_messages:
            self._queue.drop_expired()
            self._queue.dispatch()  # those may have been in the way of others
        else:
            self._queue.on_unused()


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
        timers: Timers | None = None,
        undertaker: Undertaker | None = None,
        profile: Profile = V3_13,
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
        self.is_hidden = False  # an exchange keeps something in it; no client knows of it
        self.is_holding = False  # and what is in it will be routed later
        self.siblings: dict[str, Queue] | None = None  # what its owner has, while it is one of it
        self.profile: Final = profile
        self.rules: Rules | None = rules_of(arguments, profile)
        self.effective: Table = arguments  # what it goes by: `arguments`, and what policies add
        self.policy: Policy | None = None
        self.operator_policy: Policy | None = None
        self.backlog: Final[Backlog] = self._make_backlog()
        self.active: Consumer | None = None  # with a single active consumer
        self._timers: Final = timers or Timers()
        self._undertaker: Final = undertaker or Undertaker()
        self._expiry: Final = _Deadline(self, True)
        self._disuse: Final = _Deadline(self, False)
        self._unused_ms = 0  # when x-expires is over, as of the latest use
        self.used()
        self.consumers: list[Consumer] = []
        self.ready: Final = ReadyConsumers()
        self.unacked_count: i64 = 0
        self.next_seq: i64 = 1

    def _make_backlog(self) -> Backlog:
        priorities = priorities_of(self.arguments)
        if priorities:
            return PriorityBacklog(self._journal, self.id, self.durable, priorities)
        return Backlog(self._journal, self.id, self.durable)

    # -- messages come in ------------------------------------------------------------------------

    def accept(self, message: Message) -> None:
        """Take a message: hand it to a consumer at once if one can take it, else keep it."""
        entry = Entry(message, self.next_seq)
        self.next_seq += 1
        if self.durable and message.persistent:
            entry.segment = self._journal.segment
        if self.rules is not None or message.expiration_ms >= 0:
            self._accept_by_rules(entry)
            return
        if self.ready.count and self.backlog.count == 0:
            consumer = self._able()
            if consumer is not None:
                self._hand(consumer, entry)
                return
        self.backlog.push(entry)

    def _accept_by_rules(self, entry: Entry) -> None:
        """Take a message of a queue with rules, or one that expires (RabbitMQ: TTL, maxlen)."""
        ttl_ms: i64 = entry.message.expiration_ms
        rules = self.rules
        if rules is not None and rules.ttl_ms >= 0 and (ttl_ms < 0 or rules.ttl_ms < ttl_ms):
            ttl_ms = rules.ttl_ms
        if ttl_ms >= 0:  # also for what a consumer gets at once: it may come back
            entry.expires_ms = max(1, self._timers.now_ms + ttl_ms)
            if entry.segment:
                self._journal.expires(self.id, entry)
        if self.ready.count and self.backlog.count == 0:
            consumer = self._able()
            if consumer is not None:
                self._hand(consumer, entry)
                return
        self.backlog.push(entry)
        self._keep_limits()
        if ttl_ms == 0:  # gone at once if it is the next one; behind others it waits, as they do
            self.drop_expired()
        else:
            self._watch_expiry()

    def adopted(self) -> None:
        """Look after what recovery has put into the backlog."""
        self._watch_expiry()

    def _keep_limits(self) -> None:
        """Drop what is over the length limits, the next to be delivered first.

        A queue that refuses publishes drops nothing: what is requeued may be over the limits.
        """
        rules = self.rules
        if rules is None or not rules.is_limited or rules.overflow != DROP_HEAD:
            return
        while self.backlog.count > 0 and self._is_over(rules):
            self._leave(self.backlog.pop(), MAXLEN)

    def _is_over(self, rules: Rules) -> bool:
        if rules.length_max >= 0 and self.backlog.count > rules.length_max:
            return True
        return rules.bytes_max >= 0 and self.backlog.body_bytes > rules.bytes_max

    def refuses(self, message: Message) -> bool:
        """Say whether a full queue refuses a publish; it may dead-letter it (x-overflow)."""
        rules = self.rules
        if rules is None or not self.is_full(message):
            return False
        if rules.overflow == REJECT_PUBLISH_DLX and rules.dead_letter_exchange is not None:
            self._undertaker.dead_letter(self, message, MAXLEN)
        return True

    def taker(self, message: Message) -> "Queue | None":
        """Return the queue that takes a publish to this one; None: it is taken and dropped.

        Only a queue with rules is asked, and only a hidden one has another one take it.
        """
        return self

    def vetoes(self, message: Message) -> bool:
        """Say whether a hidden queue, the last that a publish goes to, has it go nowhere."""
        return False

    def entries_in_memory(self) -> list[Entry]:
        """The entries that are in memory and not with a consumer."""
        return self.backlog.in_memory()

    def is_full(self, message: Message) -> bool:
        """Say whether this queue would refuse a publish."""
        rules = self.rules
        if rules is None or rules.overflow == DROP_HEAD:
            return False
        if rules.length_max >= 0 and self.backlog.count >= rules.length_max:
            return True
        return (
            rules.bytes_max >= 0 and self.backlog.body_bytes + message.body_bytes > rules.bytes_max
        )

    def _leave(self, entry: Entry, reason: str) -> None:
        """Let an entry, in no collection any more, leave for good, as a dead letter if wanted.

        Both are one step of the journal: it is never lost in between, and never there twice.
        """
        rules = self.rules
        if rules is None or rules.dead_letter_exchange is None:
            self._journal_settled(entry)
            return
        self._journal.begin()
        self._undertaker.dead_letter(self, entry.message, reason)
        self._journal_settled(entry)
        self._journal.end()

    def drop_expired(self, most: int = EXPIRED_PER_CALL) -> None:
        """Let entries leave whose time is over and that are next in their order.

        After so many the others get their turn first: the next ones leave a millisecond later.
        """
        now_ms = self._timers.now_ms
        while not self.is_deleted:
            if most == 0:
                self._timers.set(self._expiry, now_ms + 1)
                return
            entry = self.backlog.pop_expired(now_ms)
            if entry is None:
                break
            self._leave(entry, EXPIRED)
            most -= 1
        self._watch_expiry()

    def _is_behind(self) -> bool:
        """Say whether entries whose time is over have not left yet."""
        next_ms = self.backlog.next_expiry_ms()
        return next_ms > 0 and next_ms <= self._timers.now_ms

    def _watch_expiry(self) -> None:
        """Have the next entry looked at when its time is over.

        A deadline that is too early stays: it comes to nothing and is set anew then, where setting
        it for each entry that is the next in its turn would fill the heap.
        """
        next_ms = int(self.backlog.next_expiry_ms())
        current_ms = self._expiry.deadline_ms
        if next_ms and (current_ms == NEVER or next_ms < current_ms):
            self._timers.set(self._expiry, next_ms)

    def reject(self, entry: Entry) -> None:
        """Let an unacked entry leave that its consumer does not want (RabbitMQ: DLX, rejected)."""
        if self.is_deleted:
            self._journal_settled(entry)
            return
        self.unacked_count -= 1
        assert self.unacked_count >= 0
        self._leave(entry, REJECTED)

    def go_by(self, arguments: Table) -> None:
        """Take on other rules: policies have changed. What waits is dropped if it is over them.

        When a message expires is known since it came; a new TTL is for those to come (RabbitMQ).
        """
        self.effective = arguments
        rules = rules_of(arguments, self.profile)
        if rules is None and self.rules is None:
            return
        self.rules = rules
        self._timers.clear(self._disuse)
        self.used()
        self._keep_limits()
        self._watch_expiry()

    # -- being used -------------------------------------------------------------------------------

    def used(self) -> None:
        """Note a use that starts the time of x-expires anew: a declare, a get, a consumer's end."""
        rules = self.rules
        if rules is not None and rules.expires_ms > 0:
            self._unused_ms = self._timers.now_ms + rules.expires_ms
            if self._disuse.deadline_ms == NEVER:  # else it is set anew when it comes
                self._timers.set(self._disuse, self._unused_ms)

    def on_unused(self) -> None:
        """The time of x-expires is over, unless the queue was used meanwhile."""
        if self.consumers or self.is_deleted:
            return
        if self._timers.now_ms < self._unused_ms:
            self._timers.set(self._disuse, self._unused_ms)
        else:
            self._undertaker.bury(self)

    def restore(self, entries: list[Entry], how: int = LOST) -> None:
        """Take entries back to their old places, as redelivered, and hand them on.

        How they come back means something to quorum queues.
        """
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
        if self.rules is not None or self.backlog.next_expiry_ms():
            self._keep_limits()
            self.drop_expired()
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
        expired_count = 0
        while backlog.count > 0:
            consumer = self._able()
            if consumer is None:
                break
            entry = backlog.pop()
            if entry.expires_ms and entry.expires_ms <= self._timers.now_ms:
                self._leave(entry, EXPIRED)
                expired_count += 1
                if expired_count >= EXPIRED_PER_CALL and self._is_behind():
                    self._timers.set(self._expiry, self._timers.now_ms + 1)
                    return
                continue
            self._hand(consumer, entry)
        if backlog.next_expiry_ms():  # another entry may be the next now
            self.drop_expired()

    def take(self, no_ack: bool) -> Entry | None:
        """Take the oldest ready entry for basic.get; None if there is none."""
        self.used()
        while self._is_behind() and not self.is_deleted:  # what is asked for may be behind these
            self.drop_expired()
        if self.backlog.count == 0:
            return None
        entry = self.backlog.pop()
        if no_ack:
            self._journal_settled(entry)
        else:
            self.unacked_count += 1
        if self.backlog.next_expiry_ms():
            self.drop_expired()
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
        self._choose_active()

    def _choose_active(self) -> None:
        """Choose the single active consumer anew if there is none: priority, then age."""
        rules = self.rules
        if rules is None or not rules.single_active or self.active is not None:
            return
        for consumer in self.consumers:
            if self.active is None or consumer.priority > self.active.priority:
                self.active = consumer

    def resume(self, consumer: Consumer) -> None:
        """Let a registered consumer that can take entries again have its turns."""
        if self.is_deleted or consumer.is_ready:
            return
        if self.active is not None and consumer is not self.active:
            return  # it waits until it is the active one
        self.ready.add(consumer)
        if self.backlog.count > 0:
            self.dispatch()

    def remove_consumer(self, consumer: Consumer) -> None:
        """Unregister a consumer. What it has unacked stays with its channel.

        Another may become the active one: `activate` lets it begin.
        """
        if consumer.is_ready:
            self.ready.remove(consumer)
        if consumer in self.consumers:
            self.consumers.remove(consumer)
        if not self.consumers:
            self.used()
        if self.active is consumer:
            self.active = None
            self._choose_active()

    def activate(self) -> None:
        """Let the single active consumer, if a new one was chosen, have its turns."""
        if self.active is not None:
            self.active.resume()

    # -- end -------------------------------------------------------------------------------------

    def delete(self) -> int:
        """Mark as deleted and tell the consumers. Returns the number of ready entries lost."""
        self.is_deleted = True
        if self.siblings is not None:
            self.siblings.pop(self.name, None)
        self._timers.clear(self._expiry)
        self._timers.clear(self._disuse)
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
        assert self.backlog.count == 0 or self.ready.count == 0 or self._is_behind()
