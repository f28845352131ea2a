"""What exchanges remember, and queues without duplicates, through restarts and crashes."""

import random
from typing import Any

import pytest
from pamqp import commands

from amqpd.core.unique_exchange import UniqueExchange
from amqpd.wire import tables
from tests.peers import codec
from tests.store.sim_disk import Crashed, SimDisk
from tests.store.things import Store


def declared(store: Store, kind: str, arguments: dict[str, Any], **queue_arguments: Any) -> Store:
    """Declare a durable exchange x of a kind, and a durable queue q bound to it."""
    for method, fields in (
        (
            commands.Exchange.Declare,
            {"exchange": "x", "exchange_type": kind, "durable": True, "arguments": arguments},
        ),
        (commands.Queue.Declare, {"queue": "q", "durable": True, "arguments": queue_arguments}),
        (commands.Queue.Bind, {"queue": "q", "exchange": "x", "routing_key": ""}),
    ):
        store.client.say(1, method, lambda answer: None, **fields)
    store.flush()
    return store


def post(store: Store, value: Any, body: bytes, mode: int = 2, **headers: Any) -> None:
    """Publish with a value that tells duplicates."""
    table = {"x-deduplication-header": value, **headers}
    head = codec.encode_properties({"delivery_mode": mode, "headers": table})
    store.client.publish(2, "x", "k", head, body)


def again(store: Store, **bounds: int) -> Store:
    """Start another broker on what the disk has."""
    return Store(store.disk, **bounds)


def unique(**arguments: Any) -> Store:
    """Make a store with an exchange that lets nothing pass twice."""
    table = {name.replace("_", "-"): value for name, value in arguments.items()}
    return declared(Store(), "x-message-deduplication", {"x-cache-size": 50, **table})


def exchange_of(store: Store) -> UniqueExchange:
    """The exchange."""
    exchange = store.broker.vhosts["/"].exchanges["x"]
    assert isinstance(exchange, UniqueExchange)
    return exchange


@pytest.mark.parametrize("ending", ["stop", "kill"])
def test_values_of_persistent_messages_are_remembered(ending: str) -> None:
    store = unique(x_cache_persistence="disk")
    post(store, "a", b"1")
    post(store, 5, b"2")
    post(store, "t", b"3", mode=1)
    store.flush()
    assert exchange_of(store).remembered == 3
    store.stop() if ending == "stop" else store.disk.kill()
    store = again(store)
    assert exchange_of(store).remembered == 2
    for value, body in (("a", b"4"), (5, b"5"), ("t", b"6"), ("b", b"7")):
        post(store, value, body)
    assert store.drain("q") == [b"1", b"2", b"6", b"7"]


def test_in_memory_nothing_is_remembered() -> None:
    store = unique(x_cache_persistence="memory")
    post(store, "a", b"1")
    store.stop()
    store = again(store)
    post(store, "a", b"2")
    assert store.drain("q") == [b"1", b"2"]


def test_the_window_stays_small_on_disk_and_in_order() -> None:
    store = unique(x_cache_persistence="disk")
    for n in range(3000):
        post(store, n, b"%d" % n)
        if n % 100 == 0:
            store.flush()
            store.drain("q")
            store.broker.end_turn(1_000_000)
    store.flush()
    store.drain("q")
    store.stop()
    store = again(store)
    assert exchange_of(store).remembered == 50
    post(store, 2949, b"forgotten")
    post(store, 2999, b"known")
    assert store.drain("q") == [b"forgotten"]
    segments = [name for name in store.disk.names() if name.startswith("segment")]
    assert len(segments) <= 6


def test_a_deleted_exchange_leaves_no_window() -> None:
    store = unique()
    post(store, "a", b"1")
    store.flush()
    store.client.say(1, commands.Exchange.Delete, lambda answer: None, exchange="x")
    store.flush()
    assert not store.broker.vhosts["/"].parts
    store.stop()
    store = declared(again(store), "x-message-deduplication", {"x-cache-size": 5})
    post(store, "a", b"2")
    assert store.drain("q") == [b"1", b"2"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run as many seeds as crashes are asked for."""
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", range(metafunc.config.getoption("--crash-seeds")))


def test_a_value_is_remembered_exactly_if_its_message_is_there(seed: int) -> None:
    rng = random.Random(seed)
    disk = SimDisk()
    store = Store(disk, segment_bytes=rng.choice((5_000, 100_000)))
    declared(store, "x-message-deduplication", {"x-cache-size": 1000})
    disk.crash_at = disk.operations + rng.randint(1, 40)
    value = 0
    try:
        while True:
            for _ in range(rng.choice((1, 3, 30))):
                value += 1
                post(store, value, b"%d" % value + bytes(rng.choice((0, 100, 20_000))))
            store.flush()
    except Crashed:
        disk.crash(rng)
    confirmed = store.confirmed
    store = again(store)
    there = sorted(int(body.rstrip(b"\0")) for body in store.drain("q"))
    assert len(there) >= confirmed
    exchange = exchange_of(store)
    keys = [{"x-deduplication-header": tables.long(n)} for n in range(1, value + 1)]
    remembered = [n for n, headers in enumerate(keys, 1) if exchange.has_seen(headers)]
    assert remembered == there


@pytest.mark.parametrize("count", [3, 400])
def test_a_queue_knows_what_it_has_after_a_restart(count: int) -> None:
    """Also what is on pages."""
    store = declared(Store(), "fanout", {}, **{"x-message-deduplication": True})
    size = 20_000 if count > 100 else 0
    for n in range(count):
        post(store, n, b"%d:" % n + bytes(size))
        if n % 20 == 0:
            store.flush()
    store.flush()
    assert any(name.startswith("page-") for name in store.disk.names()) == (count > 100)
    store.disk.kill()
    store = again(store)
    for n in range(count + 1):
        post(store, n, b"again")
    bodies = store.drain("q")
    assert len(bodies) == count + 1 and bodies[-1] == b"again"
    post(store, 1, b"anew")
    assert store.drain("q") == [b"anew"]


@pytest.mark.parametrize("ending", ["stop", "kill"])
def test_the_latest_messages_are_remembered(ending: str) -> None:
    store = declared(Store(), "x-recent-history", {"x-recent-history-length": 2})
    for n in range(5):
        post(store, n, b"%d" % n, mode=1 if n == 3 else 2)
    store.flush()
    store.stop() if ending == "stop" else store.disk.kill()
    store = again(store)
    store.client.say(1, commands.Queue.Declare, lambda answer: None, queue="late")
    bind = {"queue": "late", "exchange": "x", "routing_key": ""}
    store.client.say(1, commands.Queue.Bind, lambda answer: None, **bind)
    assert store.drain("late") == [b"4"]
