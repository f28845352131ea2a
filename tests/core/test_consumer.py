"""Who is next among ready consumers: rings by priority, examples and any sequence of steps."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from amqpd.core.consumer import Entry, ReadyConsumers
from tests.core.fakes import FakeConsumer, make_message


def take_turns(ready: ReadyConsumers, count: int) -> list[str]:
    """Serve so many entries, and say who got them."""
    tags = []
    for _ in range(count):
        tags.append(ready.next().tag)
        ready.rotate()
    return tags


def filled(*consumers: FakeConsumer) -> ReadyConsumers:
    """Make consumers ready, in this order."""
    ready = ReadyConsumers()
    for consumer in consumers:
        ready.add(consumer)
    return ready


def test_an_entry_starts_undelivered() -> None:
    message = make_message()
    entry = Entry(message, 5)
    assert entry.message is message and entry.seq == 5
    assert not entry.redelivered and entry.tag == 0 and entry.consumer is None


def test_a_consumer_starts_alone_and_idle() -> None:
    consumer = FakeConsumer("c", priority=-3, no_ack=True, exclusive=True)
    assert (consumer.tag, consumer.priority) == ("c", -3)
    assert consumer.no_ack and consumer.exclusive
    assert consumer.unacked == 0 and consumer.prefetch == 0
    assert not consumer.is_ready and not consumer.will_resume
    assert consumer.before is consumer and consumer.after is consumer


def test_equal_consumers_take_turns() -> None:
    ready = filled(FakeConsumer("a"), FakeConsumer("b"), FakeConsumer("c"))
    assert ready.count == 3
    assert take_turns(ready, 7) == ["a", "b", "c", "a", "b", "c", "a"]


def test_the_highest_priority_comes_first_while_it_is_ready() -> None:
    high = FakeConsumer("high", priority=10)
    ready = filled(FakeConsumer("low", priority=-1), high, FakeConsumer("middle"))
    assert take_turns(ready, 3) == ["high", "high", "high"]
    ready.remove(high)
    assert take_turns(ready, 2) == ["middle", "middle"]


def test_a_new_consumer_waits_for_those_before_it() -> None:
    ready = filled(FakeConsumer("a"), FakeConsumer("b"))
    take_turns(ready, 1)  # b is next
    ready.add(FakeConsumer("new"))
    assert take_turns(ready, 3) == ["b", "a", "new"]


def test_the_next_one_leaves_and_its_follower_is_next() -> None:
    first = FakeConsumer("a")
    ready = filled(first, FakeConsumer("b"), FakeConsumer("c"))
    ready.remove(first)
    assert not first.is_ready
    assert first.before is first and first.after is first
    assert take_turns(ready, 3) == ["b", "c", "b"]


def test_a_removed_consumer_may_come_back_at_the_end() -> None:
    first = FakeConsumer("a")
    ready = filled(first, FakeConsumer("b"))
    ready.remove(first)
    ready.add(first)
    assert first.is_ready
    assert take_turns(ready, 3) == ["b", "a", "b"]


def test_the_last_one_of_a_level_takes_the_level_along() -> None:
    only = FakeConsumer("only", priority=5)
    ready = filled(only, FakeConsumer("other"))
    ready.remove(only)
    assert ready.count == 1
    assert ready.next().tag == "other"
    ready.add(only)
    assert ready.next().tag == "only"


class Rings(RuleBasedStateMachine):
    """ReadyConsumers beside one plain list per priority, whose front is next."""

    def __init__(self) -> None:
        super().__init__()
        self.ready = ReadyConsumers()
        self.model: dict[int, list[FakeConsumer]] = {}
        self.idle = [FakeConsumer(f"c{n}", priority=n % 3 - 1) for n in range(8)]

    def level(self) -> list[FakeConsumer]:
        """The consumers of the highest priority in use."""
        return self.model[max(priority for priority, level in self.model.items() if level)]

    @precondition(lambda self: self.idle)
    @rule(data=st.data())
    def add(self, data: st.DataObject) -> None:
        consumer = self.idle.pop(data.draw(st.integers(0, len(self.idle) - 1)))
        self.ready.add(consumer)
        self.model.setdefault(consumer.priority, []).append(consumer)

    @precondition(lambda self: self.ready.count)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        everyone = [consumer for level in self.model.values() for consumer in level]
        consumer = data.draw(st.sampled_from(everyone))
        self.ready.remove(consumer)
        self.model[consumer.priority].remove(consumer)
        self.idle.append(consumer)

    @precondition(lambda self: self.ready.count)
    @rule()
    def rotate(self) -> None:
        self.ready.rotate()
        level = self.level()
        level.append(level.pop(0))

    @invariant()
    def agrees(self) -> None:
        everyone = [consumer for level in self.model.values() for consumer in level]
        assert self.ready.count == len(everyone)
        assert all(consumer.is_ready for consumer in everyone)
        assert not any(consumer.is_ready for consumer in self.idle)
        if everyone:
            assert self.ready.next() is self.level()[0]


TestRings = Rings.TestCase
TestRings.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
