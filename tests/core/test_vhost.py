"""A vhost's exchanges, queues and bindings: declaring, comparing, deleting, and the journal."""

from collections.abc import Callable
from typing import Any

import pytest

from amqpd.core.exchange import Binding
from amqpd.core.ports import NO_POSITION
from amqpd.core.vhost import PREDECLARED, QueueIds, VHost
from amqpd.errors import SoftError
from amqpd.wire import tables
from amqpd.wire.tables import Table
from tests.core.fakes import FakeConsumer, FakeJournal, make_message


class Bench:
    """A vhost `v` and its journal, with short ways to say things."""

    def __init__(self) -> None:
        self.journal = FakeJournal()
        self.vhost = VHost("v", self.journal, QueueIds())

    def exchange(self, name: str, kind: str = "direct", **options: Any) -> int:
        """Declare an exchange: transient, kept, public unless told otherwise."""
        given: dict[str, Any] = {
            "durable": False,
            "auto_delete": False,
            "internal": False,
            "arguments": {},
        }
        return self.vhost.declare_exchange(name, kind, **(given | options))

    def queue(self, name: str, **options: Any) -> int:
        """Declare a queue: transient, kept, of nobody unless told otherwise."""
        given: dict[str, Any] = {
            "durable": False,
            "owner": 0,
            "auto_delete": False,
            "arguments": {},
        }
        return self.vhost.declare_queue(name, **(given | options))

    def bind(self, source: str, to: str, key: str = "k", arguments: Table | None = None) -> int:
        """Bind the queue `to`, or the exchange of that name if there is no such queue."""
        vhost = self.vhost
        queue = vhost.queues.get(to)
        exchange = None if queue is not None else vhost.exchanges[to]
        binding = Binding(vhost.exchanges[source], key, arguments or {}, queue, exchange)
        return vhost.bind(binding)

    def unbind(self, source: str, to: str, key: str = "k", *, to_queue: bool = True) -> int:
        """Unbind a queue or an exchange."""
        return self.vhost.unbind(source, to_queue, to, key, {})

    def delete(self, queue: str) -> tuple[int, int]:
        """Delete a queue."""
        return self.vhost.delete_queue(self.vhost.queues[queue])

    def kinds(self) -> list[str]:
        """What was appended, by method names."""
        return [fact[0] for fact in self.journal.facts]

    def changes(self, action: Callable[[], object]) -> bool:
        """Say whether something makes remembered routes void; validate on the way."""
        before = self.vhost.generation
        action()
        self.vhost.validate()
        return self.vhost.generation != before


@pytest.fixture
def bench() -> Bench:
    """A fresh vhost."""
    return Bench()


def refusal(action: Callable[[], object], code: int) -> str:
    """Run something that must be refused; return the text."""
    with pytest.raises(SoftError) as refused:
        action()
    assert refused.value.code == code
    return refused.value.text.partition(" - ")[2]


def test_a_vhost_is_born_with_its_exchanges(bench: Bench) -> None:
    assert list(bench.vhost.exchanges) == [name for name, _, _ in PREDECLARED]
    assert {name: x.kind for name, x in bench.vhost.exchanges.items()} == {
        "amq.direct": "direct",
        "amq.fanout": "fanout",
        "amq.topic": "topic",
        "amq.headers": "headers",
        "amq.match": "headers",
        "amq.rabbitmq.trace": "topic",
    }
    assert all(x.durable and not x.auto_delete for x in bench.vhost.exchanges.values())
    assert [x.name for x in bench.vhost.exchanges.values() if x.internal] == ["amq.rabbitmq.trace"]
    assert bench.journal.facts == []
    assert bench.vhost.queues == {}
    bench.vhost.validate()


def test_queue_ids_are_not_used_twice() -> None:
    ids = QueueIds()
    journal = FakeJournal()
    first, second = VHost("a", journal, ids), VHost("b", journal, ids)
    for vhost in (first, second):
        vhost.declare_queue("q", durable=True, owner=0, auto_delete=False, arguments={})
    vhost = first
    vhost.delete_queue(vhost.queues["q"])
    vhost.declare_queue("q", durable=True, owner=0, auto_delete=False, arguments={})
    assert first.queues["q"].id == 3 and second.queues["q"].id == 2


# -- exchanges -------------------------------------------------------------------------------------


def test_looking_for_a_missing_exchange_is_a_404(bench: Bench) -> None:
    assert refusal(lambda: bench.vhost.exchange("x"), 404) == "no exchange 'x' in vhost 'v'"


def test_a_declared_exchange_is_there(bench: Bench) -> None:
    assert bench.exchange("x", "topic", auto_delete=True, internal=True) == NO_POSITION
    exchange = bench.vhost.exchange("x")
    assert (exchange.name, exchange.vhost, exchange.kind) == ("x", "v", "topic")
    assert exchange.auto_delete and exchange.internal and not exchange.durable
    assert bench.journal.facts == []


def test_a_durable_exchange_is_journaled(bench: Bench) -> None:
    arguments = {"alternate-exchange": tables.longstr("other")}
    position = bench.exchange("x", "fanout", durable=True, internal=True, arguments=arguments)
    assert position == 1
    assert bench.journal.facts == [
        ("exchange_declared", "v", "x", "fanout", False, True, arguments)
    ]


def test_declaring_an_equal_exchange_again_is_fine(bench: Bench) -> None:
    bench.exchange("x", "topic", durable=True)
    bench.exchange("y", durable=True)
    before = bench.vhost.exchange("x")
    arguments = {"ignored": tables.longstr("anything")}
    assert bench.exchange("x", "topic", durable=True, arguments=arguments) == 1  # waits for it too
    assert bench.vhost.exchange("x") is before
    assert len(bench.journal.facts) == 2


def test_a_predeclared_exchange_may_be_declared_again(bench: Bench) -> None:
    assert bench.exchange("amq.topic", "topic", durable=True) == NO_POSITION


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"kind": "fanout"}, "'type' {}: received 'fanout' but current is 'direct'"),
        ({"durable": True}, "'durable' {}: received 'true' but current is 'false'"),
        ({"auto_delete": True}, "'auto_delete' {}: received 'true' but current is 'false'"),
        ({"internal": True}, "'internal' {}: received 'true' but current is 'false'"),
        (
            {"arguments": {"alternate-exchange": tables.longstr("y")}},
            "'alternate-exchange' {}: received the value 'y' of type 'longstr' but current is none",
        ),
        (
            {"kind": "topic", "durable": True, "internal": True},
            "'type' {}: received 'topic' but current is 'direct'",
        ),
        (
            {"durable": True, "auto_delete": True},
            "'durable' {}: received 'true' but current is 'false'",
        ),
    ],
)
def test_an_exchange_that_differs_is_a_406(
    bench: Bench, options: dict[str, Any], text: str
) -> None:
    bench.exchange("x")
    due = "inequivalent arg " + text.format("for exchange 'x' in vhost 'v'")
    assert refusal(lambda: bench.exchange("x", **options), 406) == due


def test_the_type_is_looked_up_before_the_name(bench: Bench) -> None:
    text = refusal(lambda: bench.exchange("amq.topic", "magic"), 406)
    assert text == "unknown exchange type 'magic'"


def test_new_names_with_the_reserved_prefix_are_a_403(bench: Bench) -> None:
    text = refusal(lambda: bench.exchange("amq.new"), 403)
    assert text == "exchange name 'amq.new' contains reserved prefix 'amq.*'"


def test_an_alternate_exchange_must_be_a_long_string(bench: Bench) -> None:
    arguments = {"alternate-exchange": tables.Field("I", 1)}
    text = refusal(lambda: bench.exchange("x", arguments=arguments), 406)
    assert text == (
        "invalid type 'signedint' for arg 'alternate-exchange' in exchange 'x' in vhost 'v'"
    )
    assert "x" not in bench.vhost.exchanges


def test_deleting_a_durable_exchange_is_journaled(bench: Bench) -> None:
    bench.exchange("x", durable=True)
    exchange = bench.vhost.exchange("x")
    assert bench.vhost.delete_exchange("x", False) == 2
    assert exchange.is_deleted
    assert "x" not in bench.vhost.exchanges
    assert bench.journal.facts[-1] == ("exchange_deleted", "v", "x")


def test_deleting_a_missing_exchange_waits_for_whoever_deleted_it(bench: Bench) -> None:
    assert bench.vhost.delete_exchange("x", False) == NO_POSITION
    bench.exchange("x", durable=True)
    bench.vhost.delete_exchange("x", False)
    assert bench.vhost.delete_exchange("x", True) == 2


def test_an_exchange_in_use_is_not_deleted_if_unused(bench: Bench) -> None:
    bench.exchange("x")
    bench.queue("q")
    bench.bind("x", "q")
    text = refusal(lambda: bench.vhost.delete_exchange("x", True), 406)
    assert text == "exchange 'x' in vhost 'v' in use"
    bench.unbind("x", "q")
    bench.vhost.delete_exchange("x", True)
    assert "x" not in bench.vhost.exchanges


def test_being_a_destination_is_no_use(bench: Bench) -> None:
    bench.exchange("x")
    bench.exchange("y")
    bench.bind("x", "y")
    bench.vhost.delete_exchange("y", True)
    assert bench.vhost.exchange("x").bindings == {}
    bench.vhost.validate()


# -- queues ----------------------------------------------------------------------------------------


def test_looking_for_a_missing_queue_is_a_404(bench: Bench) -> None:
    assert refusal(lambda: bench.vhost.queue("q", 1), 404) == "no queue 'q' in vhost 'v'"


def test_a_transient_queue_is_not_journaled(bench: Bench) -> None:
    assert bench.queue("q", auto_delete=True) == NO_POSITION
    queue = bench.vhost.queue("q", 1)
    assert queue.auto_delete and not queue.durable and queue.vhost == "v"
    assert bench.journal.facts == []
    assert bench.delete("q") == (0, NO_POSITION)


def test_a_durable_queue_is_journaled(bench: Bench) -> None:
    arguments = {"x-max-length": tables.long(5)}
    assert bench.queue("q", durable=True, auto_delete=True, arguments=arguments) == 1
    assert bench.vhost.queues["q"].position == 1
    assert bench.journal.facts == [("queue_declared", 1, "v", "q", True, arguments)]
    assert bench.delete("q") == (0, 2)
    assert bench.journal.facts[-1] == ("queue_deleted", 1)


def test_an_exclusive_queue_is_not_durable(bench: Bench) -> None:
    assert bench.queue("q", durable=True, owner=5) == NO_POSITION
    assert not bench.vhost.queues["q"].durable
    assert bench.journal.facts == []


def test_an_exclusive_queue_is_locked_to_others(bench: Bench) -> None:
    bench.queue("q", owner=5)
    assert bench.vhost.queue("q", 5).owner == 5
    text = refusal(lambda: bench.vhost.queue("q", 6), 405)
    assert text.startswith("cannot obtain exclusive access to locked queue 'q' in vhost 'v'.")


def test_a_queue_with_a_bad_argument_is_not_made(bench: Bench) -> None:
    arguments = {"x-expires": tables.long(0)}
    text = refusal(lambda: bench.queue("q", arguments=arguments), 406)
    assert text == "invalid arg 'x-expires' for queue 'q' in vhost 'v': {value_zero,0}"
    assert bench.vhost.queues == {}


def compare(bench: Bench, **options: Any) -> None:
    """Declare `q` again, from connection 5."""
    given: dict[str, Any] = {
        "durable": False,
        "exclusive": False,
        "owner": 5,
        "auto_delete": False,
        "arguments": {},
    }
    bench.vhost.check_equal_queue(bench.vhost.queues["q"], **(given | options))


def test_an_equal_queue_may_be_declared_again(bench: Bench) -> None:
    bench.queue("q", durable=True, auto_delete=True)
    compare(bench, durable=True, auto_delete=True, arguments={"x-unknown": tables.long(1)})


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"durable": True}, "'durable' {}: received 'true' but current is 'false'"),
        ({"auto_delete": True}, "'auto_delete' {}: received 'true' but current is 'false'"),
        (
            {"arguments": {"x-max-length": tables.long(1)}},
            "'x-max-length' {}: received the value '1' of type 'long' but current is none",
        ),
        (
            {"durable": True, "auto_delete": True},
            "'durable' {}: received 'true' but current is 'false'",
        ),
    ],
)
def test_a_queue_that_differs_is_a_406(bench: Bench, options: dict[str, Any], text: str) -> None:
    bench.queue("q")
    due = "inequivalent arg " + text.format("for queue 'q' in vhost 'v'")
    assert refusal(lambda: compare(bench, **options), 406) == due


def test_exclusive_comes_first_and_is_a_405(bench: Bench) -> None:
    bench.queue("q", owner=5)
    compare(bench, exclusive=True)
    compare(bench, exclusive=True, durable=True)  # stored as not durable, and compared as such
    refusal(lambda: compare(bench, durable=True), 405)
    refusal(lambda: compare(bench, exclusive=True, owner=6), 405)


def test_an_exclusive_declare_of_a_shared_queue_is_a_405(bench: Bench) -> None:
    bench.queue("q")
    refusal(lambda: compare(bench, exclusive=True), 405)


def test_deleting_a_queue_counts_what_was_ready(bench: Bench) -> None:
    bench.queue("q")
    queue = bench.vhost.queues["q"]
    consumer = FakeConsumer(room=1)
    queue.add_consumer(consumer)
    queue.resume(consumer)
    for _ in range(3):
        queue.accept(make_message())
    assert bench.delete("q") == (2, NO_POSITION)
    assert consumer.is_cancelled and queue.is_deleted


# -- bindings --------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [False, True])
@pytest.mark.parametrize("destination", [False, True])
def test_bindings_between_durable_ends_are_journaled(
    bench: Bench, source: bool, destination: bool
) -> None:
    bench.exchange("x", durable=source)
    bench.queue("q", durable=destination)
    before = bench.journal.position
    position = bench.bind("x", "q", "k")
    if source and destination:
        assert position == before + 1
        assert bench.journal.facts[-1] == ("bound", "v", "x", True, "q", "k", {})
        assert bench.unbind("x", "q", "k") == before + 2
        assert bench.journal.facts[-1] == ("unbound", "v", "x", True, "q", "k", {})
    else:
        assert position == NO_POSITION == bench.unbind("x", "q", "k")
        assert bench.journal.position == before


def test_bindings_between_exchanges_are_journaled_too(bench: Bench) -> None:
    bench.bind("amq.direct", "amq.topic", "k")
    assert bench.journal.facts == [("bound", "v", "amq.direct", False, "amq.topic", "k", {})]
    bench.unbind("amq.direct", "amq.topic", "k", to_queue=False)
    assert bench.kinds() == ["bound", "unbound"]


def test_binding_twice_is_one_binding(bench: Bench) -> None:
    bench.queue("q", durable=True)
    first = bench.bind("amq.direct", "q")
    bench.queue("other", durable=True)
    assert bench.bind("amq.direct", "q") == first  # waits for it too
    assert len(bench.vhost.bindings()) == 1
    bench.vhost.validate()


def test_a_source_may_refuse_a_binding(bench: Bench) -> None:
    bench.queue("q")
    bad = {"x-match": tables.longstr("some")}
    refusal(lambda: bench.bind("amq.headers", "q", "", bad), 406)
    assert bench.vhost.bindings() == []
    bench.vhost.validate()


def test_unbinding_what_is_not_bound_waits_for_whoever_did_it(bench: Bench) -> None:
    assert bench.unbind("missing", "q") == NO_POSITION
    assert bench.unbind("amq.direct", "q") == NO_POSITION
    bench.queue("q", durable=True)
    bench.bind("amq.direct", "q")
    bench.unbind("amq.direct", "q")
    assert bench.unbind("amq.direct", "q") == 3
    assert bench.unbind("missing", "q") == 3


def test_deleting_a_queue_takes_its_bindings(bench: Bench) -> None:
    bench.queue("q", durable=True)
    bench.queue("other")
    for source in ("amq.direct", "amq.fanout"):
        bench.bind(source, "q")
    bench.bind("amq.direct", "other")
    bench.delete("q")
    assert [binding.destination for binding in bench.vhost.bindings()] == ["other"]
    assert bench.kinds()[-1] == "queue_deleted"  # which says that the bindings are gone
    bench.vhost.validate()


def test_deleting_an_exchange_takes_bindings_from_and_to_it(bench: Bench) -> None:
    bench.exchange("x")
    bench.queue("q")
    bench.bind("x", "q")
    bench.bind("x", "x")
    bench.bind("amq.direct", "x")
    bench.vhost.delete_exchange("x", False)
    assert bench.vhost.bindings() == []
    bench.vhost.validate()


# -- auto-delete -----------------------------------------------------------------------------------


def test_an_auto_delete_exchange_stays_until_it_was_used(bench: Bench) -> None:
    bench.exchange("x", auto_delete=True)
    bench.unbind("x", "q")
    assert "x" in bench.vhost.exchanges


def test_an_auto_delete_exchange_goes_with_its_last_binding(bench: Bench) -> None:
    bench.exchange("x", durable=True, auto_delete=True)
    bench.queue("q", durable=True)
    bench.bind("x", "q", "a")
    bench.bind("x", "q", "b")
    bench.unbind("x", "q", "a")
    assert "x" in bench.vhost.exchanges
    position = bench.unbind("x", "q", "b")
    assert "x" not in bench.vhost.exchanges
    assert bench.kinds()[-2:] == ["unbound", "exchange_deleted"]
    assert position == bench.journal.position


def test_an_auto_delete_exchange_goes_with_its_last_queue(bench: Bench) -> None:
    bench.exchange("x", durable=True, auto_delete=True)
    bench.queue("q", durable=True)
    bench.bind("x", "q", "a")
    bench.bind("x", "q", "b")
    _, position = bench.delete("q")
    assert "x" not in bench.vhost.exchanges
    assert bench.kinds()[-2:] == ["queue_deleted", "exchange_deleted"]
    assert position == bench.journal.position


def test_auto_delete_spreads_along_a_chain(bench: Bench) -> None:
    names = ["x1", "x2", "x3"]
    for name in names:
        bench.exchange(name, auto_delete=True)
    bench.exchange("kept", auto_delete=True)
    bench.queue("q")
    for source, to in zip(names, [*names[1:], "q"], strict=True):
        bench.bind(source, to)
    bench.bind("kept", "x1")
    bench.bind("kept", "amq.direct")
    bench.delete("q")
    assert not set(names) & set(bench.vhost.exchanges)
    assert "kept" in bench.vhost.exchanges
    bench.vhost.validate()


def test_auto_delete_ends_in_a_circle(bench: Bench) -> None:
    for name in ("x", "y"):
        bench.exchange(name, auto_delete=True)
    bench.bind("x", "y")
    bench.bind("y", "x")
    bench.bind("x", "x")
    bench.vhost.delete_exchange("y", False)
    assert "x" in bench.vhost.exchanges  # it is still bound to itself
    bench.unbind("x", "x", to_queue=False)
    assert "x" not in bench.vhost.exchanges
    bench.vhost.validate()


# -- remembered routes -----------------------------------------------------------------------------


def test_every_change_of_the_way_makes_routes_void(bench: Bench) -> None:
    changes = bench.changes
    assert changes(lambda: bench.exchange("x"))
    assert changes(lambda: bench.queue("q"))
    assert changes(lambda: bench.bind("x", "q"))
    assert changes(lambda: bench.unbind("x", "q"))
    assert changes(lambda: bench.vhost.delete_exchange("x", False))
    assert changes(lambda: bench.delete("q"))


def test_what_changes_nothing_keeps_routes(bench: Bench) -> None:
    bench.exchange("x")
    bench.queue("q")
    bench.bind("x", "q")
    assert not bench.changes(lambda: bench.exchange("x"))
    assert not bench.changes(lambda: bench.bind("x", "q"))
    assert not bench.changes(lambda: bench.unbind("x", "q", "other"))
    assert not bench.changes(lambda: bench.vhost.delete_exchange("missing", False))
