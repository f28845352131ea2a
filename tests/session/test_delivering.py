"""A channel's output: held back behind a promise, released in order, and its shared window."""

import pytest

from amqpd.protocol.connection import CLOSING
from amqpd.session.delivering import DeliveringChannel
from tests.core.fakes import make_entry
from tests.session.fakes import Bench, FakeLink

QOS_OK = b"\x00\x3c\x00\x0b"
BIND_OK = b"\x00\x32\x00\x15"
CLOSE_OK = b"\x00\x14\x00\x29"


@pytest.fixture
def bench() -> Bench:
    """A vhost."""
    return Bench()


def append(bench: Bench) -> int:
    """Append something to the journal. Returns its position."""
    return bench.journal.append("something")


def make(link: FakeLink, number: int = 1) -> DeliveringChannel:
    """Make a channel that only delivers."""
    return DeliveringChannel(number, link)


def test_output_goes_to_the_link(bench: Bench) -> None:
    link = bench.link()
    channel = make(link, 0x0102)
    assert channel.out() is link.outbox
    channel.send(QOS_OK)
    assert link.take() == b"\x01\x01\x02\x00\x00\x00\x04\x00\x3c\x00\x0b\xce"


def test_what_is_safe_already_is_not_held(bench: Bench) -> None:
    link = bench.link()
    channel = make(link)
    channel.hold(0)
    bench.context.settlement.on_synced(append(bench))
    channel.hold(1)
    assert channel.out() is link.outbox


def test_output_is_held_until_its_sync(bench: Bench) -> None:
    link = bench.link()
    channel, other = make(link, 1), make(link, 2)
    channel.hold(append(bench))
    channel.send(BIND_OK)
    other.send(QOS_OK)
    channel.send(QOS_OK)
    assert [item.channel for item in link.said()] == [2]
    bench.context.settlement.on_synced(1)
    assert link.names() == ["Queue.BindOk", "Basic.QosOk"]
    assert channel.out() is link.outbox


def test_a_release_makes_the_link_dirty(bench: Bench) -> None:
    link = bench.link()
    channel = make(link)
    channel.hold(append(bench))
    channel.send(BIND_OK)
    assert bench.dirty == []
    bench.context.settlement.on_synced(1)
    assert bench.dirty == [link]


def test_a_later_promise_keeps_all_of_it(bench: Bench) -> None:
    link = bench.link()
    channel = make(link)
    channel.hold(append(bench))
    channel.send(BIND_OK)
    channel.hold(append(bench))
    channel.send(QOS_OK)
    bench.context.settlement.on_synced(1)
    assert link.names() == []
    bench.context.settlement.on_synced(2)
    assert link.names() == ["Queue.BindOk", "Basic.QosOk"]


def test_an_older_promise_does_not_release_a_newer_one(bench: Bench) -> None:
    link = bench.link()
    channel = make(link)
    first, second = append(bench), append(bench)
    channel.hold(second)
    channel.send(BIND_OK)
    channel.hold(first)
    bench.context.settlement.on_synced(first)
    assert link.names() == []
    bench.context.settlement.on_synced(second)
    assert link.names() == ["Queue.BindOk"]


def test_a_channel_can_be_held_again(bench: Bench) -> None:
    link = bench.link()
    channel = make(link)
    for _ in range(3):
        position = append(bench)
        channel.hold(position)
        channel.send(BIND_OK)
        assert link.names() == []
        bench.context.settlement.on_synced(position)
        assert link.names() == ["Queue.BindOk"]


def test_a_release_without_anything_held_does_nothing(bench: Bench) -> None:
    link = bench.link()
    make(link).release(5)
    assert link.take() == b"" and bench.dirty == []


def test_what_is_held_when_the_connection_ends_is_dropped(bench: Bench) -> None:
    link = bench.link()
    channel = make(link)
    channel.hold(append(bench))
    channel.send(BIND_OK)
    link.state = CLOSING
    bench.context.settlement.on_synced(1)
    assert link.take() == b""
    assert channel.out() is link.outbox


def test_what_is_held_when_the_channel_ends_comes_before_its_close_ok(bench: Bench) -> None:
    link = bench.link()
    channel = make(link)
    channel.hold(append(bench))
    channel.send(BIND_OK)
    channel.send(CLOSE_OK)
    bench.context.settlement.on_synced(1)
    assert link.names() == ["Queue.BindOk", "Channel.CloseOk"]


def test_the_window_counts_what_is_unacked_and_what_is_not_committed(bench: Bench) -> None:
    channel = make(bench.link())
    assert not channel.is_window_full()
    channel.window = 2
    channel.unacked.add(make_entry(1))
    assert not channel.is_window_full()
    channel.uncommitted_count = 1
    assert channel.is_window_full()
    channel.window = 0
    assert not channel.is_window_full()


def test_a_channel_has_to_say_how_it_forgets(bench: Bench) -> None:
    with pytest.raises(NotImplementedError):
        make(bench.link()).forget("c")
