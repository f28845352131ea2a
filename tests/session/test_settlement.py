"""When promises leave: never before their position is synced, in order, each once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amqpd.session.settlement import PromisingChannel, Settlement


class FakeChannel(PromisingChannel):
    """Notes what settlement tells it."""

    def __init__(self, number: int = 1) -> None:
        super().__init__(number)
        self.told: list[tuple[str, int]] = []

    def confirm(self, upto: int) -> None:
        """See PromisingChannel."""
        self.told.append(("confirm", upto))

    def release(self, position: int) -> None:
        """See PromisingChannel."""
        self.told.append(("release", position))


def publish(settlement: Settlement, channel: FakeChannel, position: int = 0) -> None:
    """Count a publish in confirm mode that needs a journal position."""
    channel.published += 1
    channel.position = max(channel.position, position)
    if not channel.is_touched:
        settlement.touch(channel)


def test_a_channel_has_to_say_how_it_confirms() -> None:
    channel = PromisingChannel(1)
    assert (channel.published, channel.position, channel.is_touched) == (0, 0, False)
    with pytest.raises(NotImplementedError):
        channel.confirm(1)
    with pytest.raises(NotImplementedError):
        channel.release(1)


def test_nothing_is_promised_within_a_turn() -> None:
    settlement, channel = Settlement(), FakeChannel()
    publish(settlement, channel)
    assert channel.told == []


def test_transient_publishes_are_confirmed_together_at_the_end_of_the_turn() -> None:
    settlement, channel = Settlement(), FakeChannel()
    for _ in range(3):
        publish(settlement, channel)
    settlement.end_turn()
    assert channel.told == [("confirm", 3)]
    settlement.end_turn()
    assert channel.told == [("confirm", 3)]
    assert not channel.is_touched


def test_a_durable_publish_waits_for_its_sync() -> None:
    settlement, channel = Settlement(), FakeChannel()
    publish(settlement, channel, 5)
    settlement.end_turn()
    settlement.on_synced(4)
    assert channel.told == []
    settlement.on_synced(5)
    assert channel.told == [("confirm", 1)]
    assert settlement.synced == 5


def test_a_sync_further_on_serves_all_that_waited() -> None:
    settlement, channel, other = Settlement(), FakeChannel(), FakeChannel(2)
    publish(settlement, channel, 1)
    publish(settlement, other, 2)
    settlement.end_turn()
    publish(settlement, channel, 3)
    settlement.end_turn()
    settlement.on_synced(9)
    assert channel.told == [("confirm", 1), ("confirm", 2)]
    assert other.told == [("confirm", 1)]


def test_what_is_synced_already_does_not_wait() -> None:
    settlement, channel = Settlement(), FakeChannel()
    publish(settlement, channel, 5)
    settlement.on_synced(5)
    settlement.end_turn()
    assert channel.told == [("confirm", 1)]


def test_transient_publishes_wait_behind_durable_ones_of_their_channel() -> None:
    settlement, channel, other = Settlement(), FakeChannel(), FakeChannel(2)
    publish(settlement, channel, 5)
    settlement.end_turn()
    publish(settlement, channel)
    publish(settlement, other)
    settlement.end_turn()
    assert channel.told == []
    assert other.told == [("confirm", 1)]
    settlement.on_synced(5)
    assert channel.told == [("confirm", 1), ("confirm", 2)]


def test_what_came_after_a_turn_is_not_confirmed_by_its_sync() -> None:
    settlement, channel = Settlement(), FakeChannel()
    publish(settlement, channel, 5)
    settlement.end_turn()
    publish(settlement, channel, 6)
    settlement.on_synced(5)
    assert channel.told == [("confirm", 1)]
    settlement.end_turn()
    settlement.on_synced(6)
    assert channel.told == [("confirm", 1), ("confirm", 2)]


def test_held_output_is_released_at_its_position() -> None:
    settlement, channel = Settlement(), FakeChannel()
    settlement.hold(channel, 3)
    settlement.on_synced(2)
    assert channel.told == []
    settlement.on_synced(3)
    assert channel.told == [("release", 3)]
    settlement.on_synced(4)
    assert channel.told == [("release", 3)]


def test_holding_for_what_is_synced_is_a_mistake_of_the_caller() -> None:
    settlement = Settlement()
    settlement.on_synced(3)
    with pytest.raises(AssertionError):
        settlement.hold(FakeChannel(), 3)


def test_an_older_promise_behind_a_newer_one_is_kept_late_but_kept() -> None:
    """As when a durable queue is declared again while its declaration is not synced yet."""
    settlement, channel, other = Settlement(), FakeChannel(), FakeChannel(2)
    settlement.hold(channel, 9)
    settlement.hold(other, 4)
    settlement.on_synced(5)
    assert other.told == []
    settlement.on_synced(9)
    assert other.told == [("release", 4)]


def test_a_sync_does_not_go_back() -> None:
    settlement = Settlement()
    settlement.on_synced(7)
    settlement.on_synced(3)
    assert settlement.synced == 7


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("publish"), st.integers(0, 2), st.booleans()),
            st.tuples(st.just("end turn"), st.just(0), st.just(False)),
            st.tuples(st.just("sync"), st.integers(0, 8), st.just(False)),
        ),
        max_size=60,
    )
)
def test_any_sequence_confirms_each_publish_once_in_order_and_not_too_early(
    steps: list[tuple[str, int, bool]],
) -> None:
    settlement = Settlement()
    channels = [FakeChannel(number) for number in range(3)]
    needs: list[list[int]] = [[], [], []]
    position = 0
    for kind, value, durable in [*steps, ("end turn", 0, False), ("sync", 1000, False)]:
        before = [len(channel.told) for channel in channels]
        if kind == "publish":
            position += durable
            publish(settlement, channels[value], position if durable else 0)
            needs[value].append(position if durable else 0)
        elif kind == "end turn":
            settlement.end_turn()
        else:
            settlement.on_synced(min(position, settlement.synced + value))
        for channel, need, seen in zip(channels, needs, before, strict=True):
            numbers = [upto for _, upto in channel.told]
            assert numbers == sorted(set(numbers)), "confirms are not in order"
            for upto in numbers[seen:]:
                assert max(need[:upto]) <= settlement.synced, "a confirm before its sync"
    for channel, need in zip(channels, needs, strict=True):
        assert not need or channel.told[-1] == ("confirm", len(need))
