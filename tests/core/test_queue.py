"""A queue: accepting, handing out, settling, giving back, and its end."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from amqpd.core.backlog import PAGE_BYTES
from amqpd.core.consumer import Entry
from amqpd.core.ports import MemoryJournal
from amqpd.core.queue import EXPIRED_PER_CALL, Queue
from amqpd.core.timers import Timers
from amqpd.wire import tables
from tests.core.fakes import FakeConsumer, FakeJournal, make_message, make_queue


def attach(queue: Queue, *consumers: FakeConsumer) -> None:
    """Register consumers and let them take."""
    for consumer in consumers:
        queue.add_consumer(consumer)
        queue.resume(consumer)


def fill(queue: Queue, count: int, *, persistent: bool = False) -> None:
    """Publish so many messages."""
    for _ in range(count):
        queue.accept(make_message(persistent=persistent))


def settle(queue: Queue, consumer: FakeConsumer, entry: Entry) -> None:
    """Ack an entry, as a channel does."""
    consumer.unacked -= 1
    queue.settle(entry)


def give_back(queue: Queue, consumer: FakeConsumer, *entries: Entry) -> None:
    """Requeue entries, as a channel does."""
    consumer.unacked -= len(entries)
    queue.restore(list(entries))


def test_a_new_queue_is_empty() -> None:
    journal = FakeJournal()
    arguments: dict[str, Any] = {}
    queue = Queue(
        journal, 3, "/", "q", durable=False, owner=9, auto_delete=True, arguments=arguments
    )
    assert (queue.id, queue.vhost, queue.name, queue.owner) == (3, "/", "q", 9)
    assert queue.auto_delete and not queue.durable and not queue.is_deleted
    assert queue.arguments is arguments
    assert queue.position == 0
    assert queue.backlog.count == queue.unacked_count == 0
    assert not queue.exclusive_consumer
    assert journal.facts == []
    queue.validate()


def test_a_queue_is_not_both_durable_and_exclusive() -> None:
    with pytest.raises(AssertionError):
        Queue(FakeJournal(), 1, "/", "q", durable=True, owner=1, auto_delete=False, arguments={})


# -- accept and hand out ---------------------------------------------------------------------------


def test_without_consumers_messages_wait_in_order() -> None:
    queue = make_queue()
    fill(queue, 3)
    assert queue.backlog.count == 3
    assert [entry.seq for entry in queue.backlog.clear()[0]] == [1, 2, 3]


def test_a_ready_consumer_gets_a_message_at_once() -> None:
    queue, consumer = make_queue(), FakeConsumer()
    attach(queue, consumer)
    fill(queue, 2)
    assert consumer.numbers == [1, 2]
    assert (queue.backlog.count, queue.unacked_count, consumer.unacked) == (0, 2, 2)
    assert consumer.taken[0].consumer is consumer
    assert not consumer.taken[0].redelivered
    queue.validate()


def test_a_new_consumer_gets_what_waited() -> None:
    queue, consumer = make_queue(), FakeConsumer(room=2)
    fill(queue, 3)
    queue.add_consumer(consumer)
    assert consumer.taken == []  # not before the consume-ok has been written
    queue.resume(consumer)
    assert consumer.numbers == [1, 2]
    assert not consumer.is_ready
    queue.validate()


def test_messages_go_round() -> None:
    queue = make_queue()
    consumers = [FakeConsumer("a"), FakeConsumer("b"), FakeConsumer("c")]
    attach(queue, *consumers)
    fill(queue, 7)
    assert [consumer.numbers for consumer in consumers] == [[1, 4, 7], [2, 5], [3, 6]]


def test_a_consumer_without_room_is_passed_over() -> None:
    queue = make_queue()
    full, other = FakeConsumer("full", room=1), FakeConsumer("other")
    attach(queue, full, other)
    fill(queue, 4)
    assert full.numbers == [1]
    assert other.numbers == [2, 3, 4]
    assert not full.is_ready


def test_a_consumer_with_room_again_has_to_be_resumed() -> None:
    queue, consumer = make_queue(), FakeConsumer(room=1)
    attach(queue, consumer)
    fill(queue, 3)
    assert consumer.numbers == [1]
    consumer.room = 1
    queue.resume(consumer)
    assert consumer.numbers == [1, 2]
    queue.validate()


def test_resuming_a_ready_consumer_changes_nothing() -> None:
    queue, consumer = make_queue(), FakeConsumer()
    attach(queue, consumer)
    queue.resume(consumer)
    assert queue.ready.count == 1


def test_higher_priority_first_lower_only_when_it_is_full() -> None:
    queue = make_queue()
    low, high = FakeConsumer("low"), FakeConsumer("high", room=2, priority=1)
    attach(queue, low, high)
    fill(queue, 3)
    assert high.numbers == [1, 2]
    assert low.numbers == [3]


def test_a_message_does_not_overtake_those_that_wait() -> None:
    queue, consumer = make_queue(), FakeConsumer(room=0)
    attach(queue, consumer)
    fill(queue, 2)
    consumer.room = 3
    fill(queue, 1)  # nobody has resumed the consumer yet
    assert consumer.taken == []
    queue.resume(consumer)
    assert consumer.numbers == [1, 2, 3]


def test_with_no_ack_a_message_is_gone_when_handed_over() -> None:
    journal = FakeJournal()
    queue, consumer = make_queue(journal, durable=True), FakeConsumer(no_ack=True)
    attach(queue, consumer)
    fill(queue, 1, persistent=True)
    assert consumer.numbers == [1]
    assert queue.unacked_count == consumer.unacked == 0
    assert consumer.taken[0].consumer is None
    assert journal.facts == [("settled", 7, 1)]


# -- basic.get -------------------------------------------------------------------------------------


def test_take_gives_the_oldest() -> None:
    queue = make_queue()
    fill(queue, 2)
    entry = queue.take(False)
    assert entry is not None and entry.seq == 1
    assert (queue.backlog.count, queue.unacked_count) == (1, 1)


def test_take_from_an_empty_queue() -> None:
    assert make_queue().take(False) is None


def test_take_without_ack_settles() -> None:
    journal = FakeJournal()
    queue = make_queue(journal, durable=True)
    fill(queue, 1, persistent=True)
    assert queue.take(True) is not None
    assert queue.unacked_count == 0
    assert journal.facts == [("settled", 7, 1)]


# -- settle ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("persistent", [False, True])
def test_only_persistent_entries_of_durable_queues_are_journaled(
    durable: bool, persistent: bool
) -> None:
    journal = FakeJournal()
    queue, consumer = make_queue(journal, durable=durable), FakeConsumer()
    attach(queue, consumer)
    fill(queue, 1, persistent=persistent)
    settle(queue, consumer, consumer.taken[0])
    assert queue.unacked_count == 0
    assert bool(journal.facts) == (durable and persistent)


def test_settling_after_the_queue_is_gone_lets_the_journal_forget_the_message() -> None:
    journal = FakeJournal()
    queue, consumer = make_queue(journal, durable=True), FakeConsumer()
    attach(queue, consumer)
    fill(queue, 1, persistent=True)
    queue.delete()
    settle(queue, consumer, consumer.taken[0])
    assert journal.facts == [("settled", 7, 1)]


def test_with_a_journal_that_keeps_nothing_nothing_is_settled_in_it() -> None:
    queue, consumer = make_queue(MemoryJournal(), durable=True), FakeConsumer()
    attach(queue, consumer)
    fill(queue, 2, persistent=True)
    settle(queue, consumer, consumer.taken[0])
    assert consumer.taken[0].segment == 0
    assert queue.delete() == 0


def test_an_entry_knows_where_the_journal_has_it() -> None:
    journal = FakeJournal()
    journal.segment = 5
    queue = make_queue(journal, durable=True)
    fill(queue, 1, persistent=True)
    fill(queue, 1)
    assert [entry.segment for entry in queue.backlog.in_memory()] == [5, 0]


def test_settling_more_than_is_out_is_a_mistake_of_the_caller() -> None:
    queue, consumer = make_queue(), FakeConsumer()
    attach(queue, consumer)
    fill(queue, 1)
    settle(queue, consumer, consumer.taken[0])
    with pytest.raises(AssertionError):
        queue.settle(consumer.taken[0])


# -- give back -------------------------------------------------------------------------------------


def test_what_comes_back_is_redelivered_before_what_is_newer() -> None:
    queue, consumer = make_queue(), FakeConsumer(room=2)
    attach(queue, consumer)
    fill(queue, 4)
    second, first = consumer.taken[1], consumer.taken[0]
    give_back(queue, consumer, second, first)
    assert (queue.backlog.count, queue.unacked_count) == (4, 0)
    assert first.redelivered and first.consumer is None
    other = FakeConsumer("other")
    attach(queue, other)
    assert other.numbers == [1, 2, 3, 4]
    assert [entry.redelivered for entry in other.taken] == [True, True, False, False]


def test_what_comes_back_goes_to_whoever_is_ready() -> None:
    queue = make_queue()
    consumer, other = FakeConsumer(room=1), FakeConsumer("other")
    attach(queue, consumer)
    fill(queue, 1)
    attach(queue, other)
    give_back(queue, consumer, consumer.taken[0])
    assert other.numbers == [1]
    assert other.taken[0].redelivered
    queue.validate()


def test_requeueing_is_not_journaled() -> None:
    journal = FakeJournal()
    queue, consumer = make_queue(journal, durable=True), FakeConsumer(room=1)
    attach(queue, consumer)
    fill(queue, 1, persistent=True)
    give_back(queue, consumer, consumer.taken[0])
    assert journal.facts == []


def test_nothing_comes_back_to_a_queue_that_is_gone() -> None:
    queue, consumer = make_queue(), FakeConsumer()
    attach(queue, consumer)
    fill(queue, 1)
    queue.delete()
    give_back(queue, consumer, consumer.taken[0])
    assert queue.backlog.count == 0
    assert not consumer.taken[0].redelivered


# -- purge -----------------------------------------------------------------------------------------


def test_purge_takes_what_is_ready_and_leaves_what_is_out() -> None:
    journal = FakeJournal()
    queue, consumer = make_queue(journal, durable=True), FakeConsumer(room=1)
    attach(queue, consumer)
    fill(queue, 2, persistent=True)
    fill(queue, 1)
    assert queue.purge() == 2
    assert (queue.backlog.count, queue.unacked_count) == (0, 1)
    assert journal.facts == [("settled", 7, 2)]
    give_back(queue, consumer, consumer.taken[0])
    assert queue.backlog.count == 1


@pytest.mark.parametrize("durable", [False, True])
def test_purging_nothing_durable_is_not_journaled(durable: bool) -> None:
    journal = FakeJournal()
    queue = make_queue(journal, durable=durable)
    fill(queue, 2, persistent=not durable)
    assert queue.purge() == 2
    assert queue.purge() == 0
    assert journal.facts == []


def long_queue(journal: FakeJournal, count: int) -> Queue:
    """Make a durable queue whose middle is on pages."""
    queue = make_queue(journal, durable=True)
    for _ in range(count):
        queue.accept(make_message(PAGE_BYTES // 2, persistent=True))
    queue.validate()
    assert len(queue.backlog.in_memory()) < count
    return queue


def test_purging_a_long_queue_settles_what_is_on_pages_too() -> None:
    journal = FakeJournal(waiting_bytes_max=1)
    queue = long_queue(journal, 30)
    assert queue.purge() == 30
    assert sorted(seq for _, _, seq in journal.facts) == list(range(1, 31))
    assert journal.waiting_bytes == 0


def test_a_long_queue_is_delivered_in_order() -> None:
    queue, consumer = long_queue(FakeJournal(waiting_bytes_max=1), 30), FakeConsumer(room=30)
    attach(queue, consumer)
    assert consumer.numbers == list(range(1, 31))
    queue.validate()


def test_what_comes_back_to_a_long_queue_takes_its_old_place() -> None:
    queue, consumer = long_queue(FakeJournal(waiting_bytes_max=1), 30), FakeConsumer(room=12)
    attach(queue, consumer)
    give_back(queue, consumer, *consumer.taken)
    other = FakeConsumer()
    attach(queue, other)
    assert other.numbers == list(range(1, 31))
    assert [entry.redelivered for entry in other.taken] == [True] * 12 + [False] * 18


def test_a_seq_is_not_used_twice() -> None:
    queue = make_queue()
    fill(queue, 2)
    queue.purge()
    fill(queue, 1)
    assert queue.backlog.peek().seq == 3


# -- consumers come and go -------------------------------------------------------------------------


def test_an_exclusive_consumer_is_known() -> None:
    queue, consumer = make_queue(), FakeConsumer(exclusive=True)
    attach(queue, consumer)
    assert queue.exclusive_consumer
    queue.remove_consumer(consumer)
    assert not queue.exclusive_consumer


def test_a_removed_consumer_gets_nothing_more() -> None:
    queue, consumer = make_queue(), FakeConsumer()
    attach(queue, consumer)
    fill(queue, 1)
    queue.remove_consumer(consumer)
    queue.remove_consumer(consumer)  # twice is fine
    fill(queue, 1)
    assert consumer.numbers == [1]
    assert (queue.backlog.count, queue.unacked_count, queue.ready.count) == (1, 1, 0)
    queue.validate()


def test_a_consumer_that_is_full_can_be_removed() -> None:
    queue, consumer = make_queue(), FakeConsumer(room=0)
    attach(queue, consumer)
    fill(queue, 1)
    queue.remove_consumer(consumer)
    assert queue.consumers == []
    queue.validate()


def test_deleting_counts_what_is_ready_and_tells_the_consumers() -> None:
    queue = make_queue()
    full, idle = FakeConsumer("full", room=0), FakeConsumer("idle", room=0)
    attach(queue, full)
    fill(queue, 3)
    attach(queue, idle)
    assert queue.delete() == 3
    assert queue.is_deleted
    assert full.is_cancelled and idle.is_cancelled
    assert queue.consumers == [] and queue.ready.count == 0


def test_deleting_settles_what_is_in_memory_and_lets_the_pages_go() -> None:
    """The record of the deletion covers the pages; the journal has to count the rest."""

    class Going(FakeJournal):
        """Notes which queues go."""

        def __init__(self) -> None:
            super().__init__(waiting_bytes_max=1)
            self.gone: list[int] = []

        def queue_gone(self, queue_id: int) -> None:
            self.gone.append(queue_id)

    journal = Going()
    queue = long_queue(journal, 30)
    in_memory = [entry.seq for entry in queue.backlog.in_memory()]
    assert queue.delete() == 30
    assert [seq for _, _, seq in journal.facts] == in_memory
    assert journal.gone == [7]
    assert journal.waiting_bytes == 0


def test_a_deleted_queue_resumes_nobody() -> None:
    queue, consumer = make_queue(), FakeConsumer()
    attach(queue, consumer)
    queue.delete()
    assert not consumer.is_ready
    queue.resume(consumer)
    assert not consumer.is_ready
    with pytest.raises(AssertionError):
        queue.add_consumer(consumer)


# -- any sequence of steps -------------------------------------------------------------------------


class Life(RuleBasedStateMachine):
    """A queue with three consumers beside a dictionary of where each entry is."""

    def __init__(self) -> None:
        super().__init__()
        self.journal = FakeJournal()
        self.queue = make_queue(self.journal, durable=True)
        self.consumers = [
            FakeConsumer("a", room=0),
            FakeConsumer("b", room=0, priority=1),
            FakeConsumer("c", room=0, no_ack=True),
        ]
        attach(self.queue, *self.consumers)
        self.published = 0
        self.settled: set[int] = set()
        self.was_out: set[int] = set()
        self.looked = [0, 0, 0]

    @rule(count=st.integers(1, 5))
    def accept(self, count: int) -> None:
        fill(self.queue, count, persistent=True)
        self.published += count

    @rule(index=st.integers(0, 2), room=st.integers(1, 4))
    def make_room(self, index: int, room: int) -> None:
        consumer = self.consumers[index]
        consumer.room += room
        if consumer in self.queue.consumers:
            self.queue.resume(consumer)

    def out(self) -> list[tuple[FakeConsumer, Entry]]:
        """Everything that is delivered and not settled."""
        return [
            (consumer, entry)
            for consumer in self.consumers
            for entry in consumer.taken
            if entry.consumer is consumer
        ]

    @precondition(lambda self: self.out())
    @rule(data=st.data())
    def ack(self, data: st.DataObject) -> None:
        consumer, entry = data.draw(st.sampled_from(self.out()))
        settle(self.queue, consumer, entry)
        consumer.taken.remove(entry)
        self.looked[self.consumers.index(consumer)] -= 1
        self.settled.add(entry.seq)

    @precondition(lambda self: self.out())
    @rule(data=st.data())
    def requeue(self, data: st.DataObject) -> None:
        chosen = data.draw(st.sampled_from(self.out()))[0]
        entries = [entry for consumer, entry in self.out() if consumer is chosen]
        chosen.taken = [entry for entry in chosen.taken if entry not in entries]
        self.looked[self.consumers.index(chosen)] = len(chosen.taken)
        give_back(self.queue, chosen, *entries)

    @rule()
    def purge(self) -> None:
        ready = int(self.queue.backlog.count)
        assert self.queue.purge() == ready
        if ready:
            self.settled.update(fact[2] for fact in self.journal.facts[-ready:])

    @rule(index=st.integers(0, 2))
    def leave_and_return(self, index: int) -> None:
        consumer = self.consumers[index]
        self.queue.remove_consumer(consumer)
        attach(self.queue, consumer)

    def journaled(self) -> set[int]:
        """What the journal has as settled: each entry once."""
        seqs: list[int] = [seq for _, _, seq in self.journal.facts]
        assert len(seqs) == len(set(seqs))
        return set(seqs)

    @invariant()
    def agrees(self) -> None:
        self.queue.validate()
        for index, consumer in enumerate(self.consumers):
            for entry in consumer.taken[self.looked[index] :]:
                assert entry.seq not in self.settled, "what was settled comes back"
                assert entry.redelivered == (entry.seq in self.was_out)
                if consumer.no_ack:
                    self.settled.add(entry.seq)
                self.was_out.add(entry.seq)
            self.looked[index] = len(consumer.taken)
            assert consumer.no_ack or consumer.unacked == len(consumer.taken)
        out = len(self.out())
        assert self.journaled() == self.settled
        assert self.queue.unacked_count == out
        assert self.queue.backlog.count + out + len(self.settled) == self.published
        if self.queue.backlog.count:
            assert not any(consumer.room for consumer in self.consumers)


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


# -- deadlines -------------------------------------------------------------------------------------


def expiring_queue(timers: Timers, **arguments: int) -> Queue:
    """Make a queue with time limits; underscores stand for dashes."""
    table = {key.replace("_", "-"): tables.long(value) for key, value in arguments.items()}
    return Queue(
        FakeJournal(),
        7,
        "/",
        "q",
        durable=False,
        owner=0,
        auto_delete=False,
        arguments=table,
        timers=timers,
    )


def test_a_busy_queue_does_not_fill_the_heap_of_deadlines() -> None:
    timers = Timers()
    queue = expiring_queue(timers, x_message_ttl=100_000, x_expires=900_000)
    fill(queue, 2)
    for now_ms in range(1, 2000):
        timers.now_ms = now_ms
        fill(queue, 1)
        assert queue.take(True) is not None
    assert len(timers._heap) <= 2
    timers.now_ms = 100_000 + 1998
    timers.run(timers.now_ms)
    assert queue.backlog.count == 1
    timers.now_ms += 1
    timers.run(timers.now_ms)
    assert queue.backlog.count == 0


# -- many messages expire at once ------------------------------------------------------------------


def crowded(timers: Timers, expired: int) -> Queue:
    """A queue in which so many messages have expired by 10 ms, and one more has not."""
    queue = Queue(
        FakeJournal(), 1, "/", "q", durable=False, owner=0, auto_delete=False, arguments={},
        timers=timers,
    )  # fmt: skip
    for _ in range(expired):
        message = make_message()
        message.expiration_ms = 5
        queue.accept(message)
    queue.accept(make_message())
    timers.now_ms = 10
    return queue


def test_many_messages_expire_piece_by_piece() -> None:
    timers = Timers()
    queue = crowded(timers, 3 * EXPIRED_PER_CALL)
    before = int(queue.backlog.count)
    now_ms = 10
    while queue.backlog.count > 1:
        timers.now_ms = now_ms
        timers.run(now_ms)
        assert before - queue.backlog.count <= 2 * EXPIRED_PER_CALL
        before, now_ms = int(queue.backlog.count), now_ms + 1
        assert queue.backlog.count == 1 or timers.next_ms() == now_ms
    queue.validate()


@pytest.mark.parametrize("expired", [EXPIRED_PER_CALL, 4 * EXPIRED_PER_CALL])
def test_a_consumer_gets_what_was_behind_expired_messages(expired: int) -> None:
    timers = Timers()
    queue, consumer = crowded(timers, expired), FakeConsumer()
    attach(queue, consumer)
    queue.validate()
    for now_ms in range(10, 20):
        timers.now_ms = now_ms
        timers.run(now_ms)
        queue.validate()
    assert len(consumer.taken) == 1
    assert queue.backlog.count == 0


def test_a_get_finds_what_is_behind_expired_messages() -> None:
    queue = crowded(Timers(), 3 * EXPIRED_PER_CALL)
    assert queue.take(no_ack=True) is not None
    assert queue.take(no_ack=True) is None
    queue.validate()
