"""Heartbeats: what is sent after silence, and when a silent peer is dead, tick by tick."""

import pytest

from amqpd.protocol.heartbeat import Heartbeat


@pytest.mark.parametrize(("interval_s", "tick_ms"), [(1, 500), (60, 30000), (65535, 32767500)])
def test_a_tick_is_half_the_interval(interval_s: int, tick_ms: int) -> None:
    assert Heartbeat(interval_s).tick_ms == tick_ms


def test_there_is_no_heartbeat_without_an_interval() -> None:
    with pytest.raises(AssertionError):
        Heartbeat(0)


def test_the_first_look_always_sends() -> None:
    for sent_bytes in (0, 1000):
        assert Heartbeat(10).must_send(sent_bytes)


def test_a_heartbeat_is_due_if_nothing_was_sent_since_the_last_look() -> None:
    heartbeat = Heartbeat(10)
    heartbeat.must_send(100)
    assert heartbeat.must_send(100)
    assert not heartbeat.must_send(108)  # the heartbeat itself
    assert heartbeat.must_send(108)
    assert not heartbeat.must_send(500)
    assert heartbeat.must_send(500)


def looks(heartbeat: Heartbeat, *received: int, reading: bool = True) -> list[bool]:
    """Tick once for each number of octets received so far; return whether the peer is dead."""
    return [heartbeat.is_dead(received_bytes, reading) for received_bytes in received]


def test_a_peer_that_falls_silent_is_dead_after_two_to_three_intervals() -> None:
    heartbeat = Heartbeat(10)
    assert looks(heartbeat, 8, 8) == [False, False]  # the first look, at 10 s
    assert looks(heartbeat, 8, 8, 8, 8) == [False, False, False, True]  # silent at 20 and 30 s


def test_octets_just_before_a_look_put_the_end_off() -> None:
    heartbeat = Heartbeat(10)
    assert looks(heartbeat, 8, 8, 8, 8, 8, 16) == [False] * 6
    assert looks(heartbeat, 16, 16, 16, 16) == [False, False, False, True]


def test_a_peer_that_says_something_each_interval_lives() -> None:
    heartbeat = Heartbeat(10)
    received = [8 * (tick // 2) for tick in range(100)]
    assert not any(looks(heartbeat, *received))


def test_one_silent_interval_is_forgiven_each_time() -> None:
    heartbeat = Heartbeat(10)
    received = [8 * (tick // 4) for tick in range(100)]
    assert not any(looks(heartbeat, *received))


def test_a_peer_that_never_said_anything_is_dead_too() -> None:
    assert looks(Heartbeat(10), *[0] * 6) == [False] * 5 + [True]


def test_while_the_broker_does_not_read_nobody_dies() -> None:
    heartbeat = Heartbeat(10)
    assert not any(looks(heartbeat, *[8] * 20, reading=False))
    assert looks(heartbeat, 8, 8, 8, 8) == [False, False, False, True]


def test_a_pause_in_reading_starts_the_count_anew() -> None:
    heartbeat = Heartbeat(10)
    assert looks(heartbeat, 8, 8, 8, 8) == [False] * 4
    assert looks(heartbeat, 8, 8, reading=False) == [False, False]
    assert looks(heartbeat, 8, 8, 8, 8) == [False, False, False, True]
