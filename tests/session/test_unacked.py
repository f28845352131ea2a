"""The unacked window: examples, and any sequence of steps beside a dictionary."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from amqpd.core.consumer import Entry
from amqpd.session.unacked import Unacked
from tests.core.fakes import make_entry


def tagged(tag: int) -> Entry:
    """Make an entry with a delivery tag."""
    entry = make_entry(tag)
    entry.tag = tag
    return entry


def filled(*tags: int) -> Unacked:
    """Make a window with these tags out."""
    unacked = Unacked()
    for tag in tags:
        unacked.add(tagged(tag))
    return unacked


def tags_of(entries: list[Entry] | None) -> list[int] | None:
    """Return the tags, None for None."""
    return None if entries is None else [int(entry.tag) for entry in entries]


def test_a_new_window_is_empty() -> None:
    unacked = Unacked()
    assert unacked.count == 0
    assert unacked.take(1) is None
    assert unacked.take(0) is None
    assert unacked.take_through(0) == []
    assert unacked.take_through(1) is None
    assert unacked.take_all() == []


def test_a_tag_is_taken_once() -> None:
    unacked = filled(1, 2, 3)
    entry = unacked.take(2)
    assert entry is not None and entry.tag == 2
    assert unacked.take(2) is None
    assert unacked.count == 2
    unacked.validate()


@pytest.mark.parametrize("tag", [0, 4, 10, -1, 1 << 62])
def test_a_tag_that_is_not_out_is_not_found(tag: int) -> None:
    unacked = filled(1, 2, 3)
    assert unacked.take(tag) is None
    assert unacked.take_through(tag) is None or tag == 0
    unacked.validate()


@pytest.mark.parametrize("tag", [(1 << 63) - 1, 1 << 63, (1 << 64) - 1])
def test_the_highest_tags_that_a_client_can_say(tag: int) -> None:
    unacked = filled(5, 6)
    assert unacked.take(tag) is None
    assert unacked.take_through(tag) is None
    assert unacked.count == 2


def test_tags_may_leave_gaps() -> None:
    """Deliveries that need no ack take numbers too."""
    unacked = filled(2, 5, 6, 100)
    assert tags_of(unacked.take_through(6)) == [2, 5, 6]
    assert unacked.take(50) is None
    assert unacked.take(100) is not None
    assert unacked.count == 0


def test_taking_through_a_tag() -> None:
    unacked = filled(1, 2, 3, 4, 5)
    unacked.take(2)
    assert tags_of(unacked.take_through(4)) == [1, 3, 4]
    assert tags_of(unacked.take_all()) == [5]


def test_taking_through_a_tag_that_is_not_out_takes_nothing() -> None:
    unacked = filled(1, 2, 3)
    unacked.take(2)
    assert unacked.take_through(2) is None
    assert unacked.take_through(4) is None
    assert unacked.count == 2


def test_taking_through_zero_takes_all() -> None:
    unacked = filled(3, 4, 9)
    assert tags_of(unacked.take_through(0)) == [3, 4, 9]
    assert unacked.count == 0


def test_all_come_in_the_order_of_their_tags() -> None:
    unacked = filled(1, 2, 3, 4)
    unacked.take(1)
    unacked.take(3)
    assert tags_of(unacked.take_all()) == [2, 4]
    unacked.add(tagged(5))
    assert tags_of(unacked.take_all()) == [5]


def test_what_is_put_back_takes_its_old_place() -> None:
    unacked = filled(1, 2, 3, 4)
    taken = [unacked.take(3), unacked.take(1)]
    unacked.put_back([entry for entry in taken if entry is not None])
    assert tags_of(unacked.take_through(3)) == [1, 2, 3]
    unacked.validate()


def test_acks_in_order_do_not_pile_up() -> None:
    unacked = Unacked()
    for tag in range(1, 20_001):
        unacked.add(tagged(tag))
        if tag > 10:
            assert unacked.take(tag - 10) is not None
    unacked.validate()
    assert unacked.count == 10
    assert len(unacked._tags) < 2_000


def test_one_old_delivery_does_not_keep_all_later_ones() -> None:
    """Holes behind it are closed, and tags are found by search from then on."""
    unacked = filled(*range(1, 20_001))
    for tag in range(2, 20_000):
        assert unacked.take(tag) is not None
    unacked.validate()
    assert unacked.count == 2
    assert len(unacked._tags) < 2_000
    assert tags_of(unacked.take_through(20_000)) == [1, 20_000]


class Steps(RuleBasedStateMachine):
    """A window beside a dictionary; bursts are long enough for every clean-up."""

    def __init__(self) -> None:
        super().__init__()
        self.unacked = Unacked()
        self.model: dict[int, Entry] = {}
        self.taken: list[Entry] = []
        self.last = 0

    @rule(count=st.integers(1, 600), gap=st.sampled_from((1, 1, 2, 50)))
    def add(self, count: int, gap: int) -> None:
        for _ in range(count):
            self.last += gap
            entry = self.model[self.last] = tagged(self.last)
            self.unacked.add(entry)

    @rule(data=st.data(), share=st.sampled_from((0.1, 0.5, 0.9)))
    def take_many(self, data: st.DataObject, share: float) -> None:
        """Take some of all, in a mixed order."""
        random = data.draw(st.randoms(use_true_random=False))
        chosen = [tag for tag in self.model if random.random() < share]
        random.shuffle(chosen)
        for tag in chosen:
            assert self.unacked.take(tag) is self.model.pop(tag)
            assert self.unacked.take(tag) is None

    @rule(data=st.data(), keep=st.booleans())
    def take_one(self, data: st.DataObject, keep: bool) -> None:
        """Take any tag, out or not; what a transaction takes may come back."""
        tag = data.draw(st.integers(0, self.last + 2))
        entry = self.unacked.take(tag)
        assert entry is self.model.pop(tag, None)
        if entry is not None and keep:
            self.taken.append(entry)

    @rule(data=st.data())
    def take_through(self, data: st.DataObject) -> None:
        tag = data.draw(st.integers(0, self.last + 1))
        found = tags_of(self.unacked.take_through(tag))
        if tag and tag not in self.model:
            assert found is None
            return
        due = [mine for mine in sorted(self.model) if mine <= tag or not tag]
        assert found == due
        for mine in due:
            del self.model[mine]

    @rule()
    def put_back(self) -> None:
        self.unacked.put_back(self.taken)
        self.model.update({int(entry.tag): entry for entry in self.taken})
        self.taken = []

    @rule()
    def take_all(self) -> None:
        assert tags_of(self.unacked.take_all()) == sorted(self.model)
        self.model = {}

    @invariant()
    def agrees(self) -> None:
        self.unacked.validate()
        assert self.unacked.count == len(self.model)


TestSteps = Steps.TestCase
TestSteps.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
