"""The watch over deliveries: when it looks, and that it rests."""

from amqpd.core.timers import NEVER
from tests.session.fakes import Bench

TICK_MS = 60_000


def test_it_rests_until_something_may_be_delivered() -> None:
    bench = Bench()
    channel = bench.channel()
    assert channel.watch.deadline_ms == NEVER
    channel.watch.start()
    first_ms = channel.watch.deadline_ms
    assert first_ms == bench.context.timers.now_ms + TICK_MS
    channel.watch.start()
    assert channel.watch.deadline_ms == first_ms


def test_it_ends_where_nothing_is_out_and_nobody_consumes() -> None:
    bench = Bench()
    channel = bench.channel()
    channel.watch.start()
    bench.context.timers.run(channel.watch.deadline_ms)
    assert channel.watch.deadline_ms == NEVER


def test_it_ends_with_its_channel() -> None:
    bench = Bench()
    channel = bench.channel()
    channel.watch.start()
    channel.end()
    assert channel.watch.deadline_ms == NEVER
