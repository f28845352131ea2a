"""Definitions: everything durable, with its arguments, before and after."""

from typing import Any

import pytest
from pamqp import commands

from tests.store.things import Store

ARGUMENTS = {"x-max-length": 5, "t": {"a": [1, None, b"\xff"]}, "s": "x", "b": True, "d": 1.5}


def heard(method: Any) -> None:
    """Drop a reply."""


def say(store: Store, kind: Any, **fields: Any) -> None:
    store.client.say(1, kind, heard, **fields)


def described(store: Store) -> Any:
    vhost = store.broker.vhosts["/"]
    exchanges = {
        name: (x.kind, x.durable, x.auto_delete, x.internal, repr(x.arguments))
        for name, x in vhost.exchanges.items()
    }
    queues = {
        name: (q.id, q.durable, q.auto_delete, q.owner, repr(q.arguments))
        for name, q in vhost.queues.items()
    }
    bindings = sorted(
        (b.source.name, b.destination, b.queue is not None, b.key, repr(b.arguments))
        for b in vhost.bindings()
    )
    return exchanges, queues, bindings


def fill(store: Store) -> None:
    exchange, queue = commands.Exchange, commands.Queue
    for kind in ("direct", "fanout", "topic", "headers"):
        say(
            store,
            exchange.Declare,
            exchange=kind,
            exchange_type=kind,
            durable=True,
            arguments=ARGUMENTS if kind == "topic" else {},
        )
    say(store, exchange.Declare, exchange="i", exchange_type="fanout", durable=True, internal=True)
    say(
        store,
        exchange.Declare,
        exchange="a",
        exchange_type="fanout",
        durable=True,
        auto_delete=True,
    )
    say(store, queue.Declare, queue="q", durable=True, arguments=ARGUMENTS)
    say(store, queue.Declare, queue="r", durable=True, auto_delete=True)
    say(store, queue.Bind, queue="q", exchange="topic", routing_key="a.*", arguments=ARGUMENTS)
    say(store, queue.Bind, queue="q", exchange="topic", routing_key="a.*")
    say(store, queue.Bind, queue="q", exchange="amq.direct", routing_key="k")
    say(store, queue.Bind, queue="r", exchange="a", routing_key="")
    say(
        store,
        exchange.Bind,
        destination="i",
        source="headers",
        routing_key="",
        arguments={"x-match": "any", "n": 1},
    )


@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("segment_bytes", [100, 200_000])
def test_everything_durable_comes_back_as_it_was(clean: bool, segment_bytes: int) -> None:
    store = Store(segment_bytes=segment_bytes)
    fill(store)
    store.flush()
    before = described(store)
    assert not store.client.expect[1], "an answer is missing"
    if clean:
        store.stop()
    for _ in range(3):
        store = Store(store.disk, segment_bytes=segment_bytes)
        assert described(store) == before
        store.broker.validate()


def test_what_is_not_durable_is_gone() -> None:
    store = Store()
    store.declare("t", durable=False)
    say(store, commands.Queue.Declare, queue="e", durable=True, exclusive=True)
    say(store, commands.Exchange.Declare, exchange="x", exchange_type="fanout")
    store.declare("q")
    say(store, commands.Queue.Bind, queue="q", exchange="x", routing_key="")
    say(store, commands.Queue.Bind, queue="t", exchange="amq.fanout", routing_key="")
    store.flush()
    store = Store(store.disk)
    assert store.queue_names() == ["q"]
    assert "x" not in store.broker.vhosts["/"].exchanges
    assert described(store)[2] == []


def test_what_was_deleted_stays_deleted() -> None:
    store = Store()
    fill(store)
    say(store, commands.Queue.Delete, queue="q")
    say(store, commands.Exchange.Delete, exchange="headers")
    say(store, commands.Queue.Unbind, queue="r", exchange="a", routing_key="")
    store.flush()
    before = described(store)
    for _ in range(2):
        store = Store(store.disk)
        assert described(store) == before


def test_a_queue_of_the_same_name_is_another() -> None:
    store = Store()
    store.declare("q")
    say(store, commands.Queue.Bind, queue="q", exchange="amq.fanout", routing_key="")
    store.publish("q", b"old")
    store.flush()
    say(store, commands.Queue.Delete, queue="q")
    store.declare("q")
    store.publish("q", b"new")
    store.flush()
    store = Store(store.disk)
    assert described(store)[2] == []
    assert store.drain("q") == [b"new"]


def test_queue_ids_are_never_used_again() -> None:
    store = Store()
    store.declare("q")
    store.flush()
    first = store.broker.vhosts["/"].queues["q"].id
    say(store, commands.Queue.Delete, queue="q")
    store.flush()
    store = Store(Store(store.disk).disk)
    store.declare("q")
    assert store.broker.vhosts["/"].queues["q"].id > first
