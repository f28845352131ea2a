"""Exchanges that choose at random."""

from collections import Counter

import pytest

from amqpd.core.exchange import Binding, Envelope, Exchange
from amqpd.core.exchange_types import make_exchange
from amqpd.core.queue import Queue
from amqpd.core.vhost import QueueIds, VHost
from amqpd.errors import SoftError
from amqpd.wire import tables
from tests.core.fakes import FakeJournal
from tests.core.test_hash_exchanges import bind, unbind

KINDS = ("x-random", "x-local-random")


def make(kind: str = "x-random") -> Exchange:
    """Make an exchange of a vhost."""
    exchange = make_exchange(
        kind, "/", "x", durable=False, auto_delete=False, internal=False, arguments={}
    )
    exchange.installed(VHost("/", FakeJournal(), QueueIds()))
    return exchange


def reached(exchange: Exchange) -> list[str]:
    """Return where a message goes."""
    found: list[Binding] = []
    exchange.route(Envelope(["k"], {}), found)
    return [binding.destination for binding in found]


@pytest.mark.parametrize("kind", KINDS)
def test_each_binding_is_as_likely(kind: str) -> None:
    exchange = make(kind)
    assert exchange.needs_headers  # no route is remembered
    assert reached(exchange) == []
    bound = [bind(exchange, "q0", "")]
    assert reached(exchange) == ["q0"]
    bound += [bind(exchange, f"q{n}", "") for n in (1, 2, 3)]
    count = Counter(reached(exchange)[0] for _ in range(4000))
    assert sorted(count) == ["q0", "q1", "q2", "q3"]
    assert all(abs(hit - 1000) < 150 for hit in count.values())
    unbind(exchange, bound[1])
    assert {reached(exchange)[0] for _ in range(200)} == {"q0", "q2", "q3"}


def test_a_queue_bound_twice_is_twice_as_likely() -> None:
    exchange = make()
    for queue, key in (("a", "1"), ("a", "2"), ("b", "1")):
        bind(exchange, queue, key)
    count = Counter(reached(exchange)[0] for _ in range(3000))
    assert abs(count["a"] - 2000) < 150


def local(**options: object) -> str:
    """Bind something to a local random exchange. Returns the text of its refusal."""
    exchange = make("x-local-random")
    key = str(options.get("key", ""))
    if "exchange" in options:
        binding = Binding(exchange, key, {}, exchange=make())
    else:
        arguments = {}
        if "type" in options:
            arguments["x-queue-type"] = tables.longstr(str(options["type"]))
        queue = Queue(
            FakeJournal(),
            7,
            "/",
            "q",
            durable=True,
            owner=0,
            auto_delete=False,
            arguments=arguments,
        )
        binding = Binding(exchange, key, {}, queue=queue)
    with pytest.raises(SoftError) as refused:
        exchange.check(binding)
    assert refused.value.code == 406
    return refused.value.text.removeprefix("PRECONDITION_FAILED - ")


def test_a_local_random_exchange_wants_classic_queues_and_no_key() -> None:
    assert local(key="k") == "Non empty binding 'k' key not permitted"
    assert local(exchange=True) == "Destination not found"
    assert local(type="quorum") == (
        "Queue type rabbit_quorum_queue not valid for this exchange type"
    )
    bind(make("x-local-random"), "q", "")
