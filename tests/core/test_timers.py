"""Deadlines: in order, replaced, taken back, and set again from inside."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from amqpd.core.timers import NEVER, Timed, Timers


class Alarm(Timed):
    """Notes when it goes off; with `every` it sets itself again."""

    def __init__(self, name: str, calls: list[tuple[str, int]]) -> None:
        super().__init__()
        self.name = name
        self.calls = calls
        self.timers: Timers | None = None
        self.every = 0

    def on_deadline(self, now_ms: int) -> None:
        """See Timed."""
        assert self.deadline_ms == NEVER
        self.calls.append((self.name, now_ms))
        if self.timers is not None:
            self.timers.set(self, now_ms + self.every)


def test_nothing_is_due_at_first() -> None:
    timers = Timers()
    assert timers.next_ms() == NEVER
    timers.run(1_000_000)


def test_a_new_target_has_no_deadline() -> None:
    assert Timed().deadline_ms == NEVER


def test_deadlines_come_in_order() -> None:
    calls: list[tuple[str, int]] = []
    timers = Timers()
    for name, deadline_ms in (("c", 30), ("a", 10), ("b", 20)):
        timers.set(Alarm(name, calls), deadline_ms)
    assert timers.next_ms() == 10
    timers.run(9)
    assert calls == []
    timers.run(10)
    assert calls == [("a", 10)]
    assert timers.next_ms() == 20
    timers.run(99)
    assert calls == [("a", 10), ("b", 99), ("c", 99)]
    assert timers.next_ms() == NEVER


def test_what_was_taken_back_is_not_kept_until_its_time() -> None:
    timers = Timers()
    kept = [Alarm(str(number), []) for number in range(300)]
    for target in kept:
        timers.set(target, 7)
    for _ in range(10_000):
        gone = Timed()
        timers.set(gone, 1_000_000)
        timers.clear(gone)
    assert len(timers._heap) <= 2 * len(kept)
    timers.run(7)
    assert all(target.calls == [(target.name, 7)] for target in kept)


def test_equal_deadlines_come_as_they_were_set() -> None:
    calls: list[tuple[str, int]] = []
    timers = Timers()
    for name in "abc":
        timers.set(Alarm(name, calls), 5)
    timers.run(5)
    assert [name for name, _ in calls] == ["a", "b", "c"]


def test_a_target_has_one_deadline() -> None:
    calls: list[tuple[str, int]] = []
    timers, alarm = Timers(), Alarm("a", calls)
    timers.set(alarm, 10)
    timers.set(alarm, 30)
    timers.run(20)
    assert calls == []
    assert timers.next_ms() == 30
    timers.set(alarm, 25)
    timers.run(40)
    assert calls == [("a", 40)]


def test_setting_the_same_deadline_twice_calls_once() -> None:
    calls: list[tuple[str, int]] = []
    timers, alarm = Timers(), Alarm("a", calls)
    timers.set(alarm, 10)
    timers.set(alarm, 20)
    timers.set(alarm, 10)
    timers.run(50)
    assert calls == [("a", 50)]


def test_a_deadline_can_be_taken_back() -> None:
    calls: list[tuple[str, int]] = []
    timers, alarm = Timers(), Alarm("a", calls)
    timers.set(alarm, 10)
    timers.clear(alarm)
    assert timers.next_ms() == NEVER
    timers.run(10)
    assert calls == []
    timers.set(alarm, 20)
    timers.run(20)
    assert calls == [("a", 20)]


def test_a_deadline_may_set_the_next_one() -> None:
    calls: list[tuple[str, int]] = []
    timers, alarm = Timers(), Alarm("a", calls)
    alarm.timers, alarm.every = timers, 10
    timers.set(alarm, 10)
    for now_ms in range(0, 45, 5):
        timers.run(now_ms)
    assert calls == [("a", 10), ("a", 20), ("a", 30), ("a", 40)]
    assert timers.next_ms() == 50


class Steps(RuleBasedStateMachine):
    """Timers beside a dictionary of deadlines."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, int]] = []
        self.timers = Timers()
        self.alarms = [Alarm(str(index), self.calls) for index in range(4)]
        self.model: dict[str, int] = {}
        self.now_ms = 0

    @rule(index=st.integers(0, 3), delay_ms=st.integers(0, 6))
    def set(self, index: int, delay_ms: int) -> None:
        self.timers.set(self.alarms[index], self.now_ms + delay_ms)
        self.model[str(index)] = self.now_ms + delay_ms

    @rule(index=st.integers(0, 3))
    def clear(self, index: int) -> None:
        self.timers.clear(self.alarms[index])
        self.model.pop(str(index), None)

    @rule(step_ms=st.integers(0, 5))
    def pass_time(self, step_ms: int) -> None:
        self.now_ms += step_ms
        self.timers.run(self.now_ms)
        due = {name for name, deadline_ms in self.model.items() if deadline_ms <= self.now_ms}
        assert sorted(name for name, _ in self.calls) == sorted(due)
        deadlines = [self.model.pop(name) for name, _ in self.calls]
        assert deadlines == sorted(deadlines)
        self.calls.clear()

    @invariant()
    def agrees(self) -> None:
        assert self.timers.next_ms() == min(self.model.values(), default=NEVER)


TestSteps = Steps.TestCase
TestSteps.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
