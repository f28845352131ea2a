"""The way of a publish through a vhost: examples, and any topology beside plain dictionaries."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from amqpd.core.exchange import Binding
from amqpd.core.queue import Queue
from amqpd.core.vhost import QueueIds, VHost
from amqpd.limits import ROUTE_EXCHANGES_MAX
from amqpd.wire import tables
from tests.core.fakes import FakeConsumer, FakeJournal, make_message
from tests.sim.topology import ExchangeModel, Row, Topology


class Bench:
    """A vhost with exchanges x, y and z of a kind, and queues p and q."""

    def __init__(self, kind: str = "direct", **alternates: str) -> None:
        self.journal = FakeJournal()
        self.vhost = VHost("/", self.journal, QueueIds())
        for name in ("x", "y", "z"):
            arguments = {}
            if name in alternates:
                arguments["alternate-exchange"] = tables.longstr(alternates[name])
            self.vhost.declare_exchange(
                name, kind, durable=False, auto_delete=False, internal=False, arguments=arguments
            )
        for name in ("p", "q"):
            self.queue(name)

    def queue(self, name: str, *, durable: bool = False) -> Queue:
        """Declare a queue."""
        self.vhost.declare_queue(name, durable=durable, owner=0, auto_delete=False, arguments={})
        return self.vhost.queues[name]

    def bind(self, source: str, to: str, key: str = "k", **arguments: str) -> None:
        """Bind the queue `to`, or the exchange of that name."""
        vhost = self.vhost
        table = {name.replace("_", "-"): tables.longstr(v) for name, v in arguments.items()}
        queue, exchange = vhost.queues.get(to), vhost.exchanges.get(to)
        vhost.bind(Binding(vhost.exchanges[source], key, table, queue, exchange))

    def route(self, exchange: str, *keys: str, **headers: str) -> list[str]:
        """Return the names of the queues that a message reaches."""
        table = {name: tables.longstr(value) for name, value in headers.items()}
        queues, _ = self.vhost.route(exchange, list(keys), table)
        return [queue.name for queue in queues]


# -- examples --------------------------------------------------------------------------------------


def test_the_default_exchange_knows_every_queue_by_name() -> None:
    bench = Bench()
    assert bench.route("", "q") == ["q"]
    assert bench.route("", "missing") == []
    assert bench.route("", "p", "missing", "q", "p") == ["p", "q"]


def test_an_exchange_without_a_fitting_binding_reaches_nothing() -> None:
    bench = Bench()
    bench.bind("x", "q", "other")
    assert bench.route("x", "k") == []


def test_a_queue_is_reached_once() -> None:
    bench = Bench("fanout")
    bench.bind("x", "q", "a")
    bench.bind("x", "q", "b")
    bench.bind("x", "p")
    bench.bind("x", "y")
    bench.bind("y", "q")
    assert bench.route("x", "k", "cc") == ["q", "p"]


def test_queues_come_in_the_order_of_their_bindings() -> None:
    bench = Bench()
    names = ["q9", "q1", "q5"]
    for name in names:
        bench.queue(name)
        bench.bind("x", name)
    assert bench.route("x", "k") == names


def test_further_keys_reach_further_queues() -> None:
    bench = Bench()
    bench.bind("x", "p", "a")
    bench.bind("x", "q", "b")
    assert bench.route("x", "a") == ["p"]
    assert bench.route("x", "b", "a") == ["q", "p"]


def test_exchanges_pass_messages_on_with_the_original_key() -> None:
    bench = Bench()
    bench.bind("x", "y", "k")
    bench.bind("y", "q", "k")
    bench.bind("y", "p", "other")
    assert bench.route("x", "k") == ["q"]


def test_circles_end() -> None:
    bench = Bench()
    for source, to in (("x", "y"), ("y", "z"), ("z", "x"), ("x", "x"), ("z", "q")):
        bench.bind(source, to)
    assert bench.route("x", "k") == bench.route("y", "k") == bench.route("z", "k") == ["q"]


def test_a_long_chain_needs_no_recursion() -> None:
    bench = Bench()
    before = "x"
    for number in range(3000):
        name = f"c{number}"
        bench.vhost.declare_exchange(
            name, "fanout", durable=False, auto_delete=False, internal=False, arguments={}
        )
        bench.bind(before, name)
        before = name
    bench.bind(before, "q")
    assert bench.route("x", "k") == ["q"]


def test_the_number_of_exchanges_on_a_way_is_bounded() -> None:
    assert 1000 <= ROUTE_EXCHANGES_MAX <= 1_000_000


# -- alternate exchanges ---------------------------------------------------------------------------


def test_an_alternate_gets_what_fits_nowhere() -> None:
    bench = Bench(x="y")
    bench.bind("x", "p", "known")
    bench.bind("y", "q", "unknown")
    assert bench.route("x", "known") == ["p"]
    assert bench.route("x", "unknown") == ["q"]


def test_alternates_chain_and_end() -> None:
    bench = Bench(x="y", y="z", z="x")
    bench.bind("z", "q")
    assert bench.route("x", "k") == ["q"]
    assert bench.route("x", "other") == []


def test_a_missing_alternate_is_no_error() -> None:
    assert Bench(x="missing").route("x", "k") == []


def test_an_alternate_that_comes_later_is_used() -> None:
    bench = Bench(x="later")
    bench.vhost.declare_exchange(
        "later", "fanout", durable=False, auto_delete=False, internal=False, arguments={}
    )
    bench.bind("later", "q")
    assert bench.route("x", "k") == ["q"]


def test_a_binding_to_an_exchange_that_leads_nowhere_counts_as_fitting() -> None:
    bench = Bench(x="z", y="z")
    bench.bind("x", "y")
    assert bench.route("x", "k") == []
    bench.bind("z", "q")
    assert bench.route("x", "k") == ["q"]  # by way of y's alternate, not x's


def test_an_alternate_behind_a_headers_exchange_depends_on_headers() -> None:
    bench = Bench("headers", x="y")
    bench.bind("x", "p", "", h="1")
    bench.bind("y", "q", "")
    assert bench.route("x", "", h="1") == ["p"]
    assert bench.route("x", "", h="2") == ["q"]


@pytest.mark.parametrize(("kind", "asks"), [("direct", False), ("headers", True)])
def test_a_route_says_whether_headers_played_a_part(kind: str, asks: bool) -> None:
    bench = Bench(kind)
    assert bench.vhost.route("x", ["k"], {})[1] == asks
    assert not bench.vhost.route("", ["k"], {})[1]


def test_headers_may_play_a_part_further_on() -> None:
    bench = Bench()
    bench.bind("x", "amq.headers")
    assert bench.vhost.route("x", ["k"], {})[1]
    assert not bench.vhost.route("x", ["other"], {})[1]


# -- publish ---------------------------------------------------------------------------------------


def test_a_message_enters_all_queues() -> None:
    bench = Bench()
    queues = [bench.vhost.queues["p"], bench.vhost.queues["q"]]
    message = make_message()
    assert bench.vhost.publish(queues, message) == 0
    assert [queue.backlog.peek().message for queue in queues] == [message, message]
    assert bench.journal.facts == []


def test_a_persistent_message_is_journaled_once_for_its_durable_queues() -> None:
    bench = Bench()
    first, second = bench.queue("d1", durable=True), bench.queue("d2", durable=True)
    first.accept(make_message())
    message = make_message(persistent=True)
    position = bench.vhost.publish([first, bench.vhost.queues["q"], second], message)
    assert position == bench.journal.position
    fact = ("published", message, [first.id, second.id], [2, 1])
    assert bench.journal.facts[-1] == fact


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("durable", [False, True])
def test_only_persistent_messages_of_durable_queues_have_a_position(
    persistent: bool, durable: bool
) -> None:
    bench = Bench()
    queue = bench.queue("d", durable=durable)
    position = bench.vhost.publish([queue], make_message(persistent=persistent))
    assert bool(position) == (persistent and durable)


def test_publishing_comes_before_settling_in_the_journal() -> None:
    bench = Bench()
    queue = bench.queue("d", durable=True)
    consumer = FakeConsumer(no_ack=True)
    queue.add_consumer(consumer)
    queue.resume(consumer)
    position = bench.vhost.publish([queue], make_message(persistent=True))
    assert [fact[0] for fact in bench.journal.facts[-2:]] == ["published", "settled"]
    assert position == bench.journal.position - 1


def test_queues_that_are_gone_by_now_get_nothing() -> None:
    """As at the commit of a transaction whose publishes were routed long ago."""
    bench = Bench()
    gone, kept = bench.queue("gone", durable=True), bench.vhost.queues["q"]
    bench.vhost.delete_queue(gone)
    assert bench.vhost.publish([gone, kept], make_message(persistent=True)) == 0
    assert kept.backlog.count == 1
    assert gone.backlog.count == 0


# -- any topology ----------------------------------------------------------------------------------

EXCHANGES = ("a", "b", "c", "d")
QUEUES = ("q1", "q2", "q3")
KINDS = ("direct", "fanout", "topic", "headers")
KEYS = ("", "k", "k.l", "l")
PATTERNS = (*KEYS, "*", "#", "k.*", "#.l")


class TopologySteps(RuleBasedStateMachine):
    """A vhost beside plain dictionaries, changed and asked in the same ways."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench()
        for name in ("x", "y", "z"):
            self.bench.vhost.delete_exchange(name, False)
        for name in ("p", "q"):
            self.bench.vhost.delete_queue(self.bench.vhost.queues[name])
        self.known: dict[str, Any] = {}
        self.model = Topology(self.known)

    @rule(
        name=st.sampled_from(EXCHANGES),
        kind=st.sampled_from(KINDS),
        auto_delete=st.booleans(),
        alternate=st.sampled_from([None, None, *EXCHANGES]),
    )
    def declare_exchange(
        self, name: str, kind: str, auto_delete: bool, alternate: str | None
    ) -> None:
        if name in self.model.exchanges:
            return
        arguments = {} if alternate is None else {"alternate-exchange": tables.longstr(alternate)}
        self.bench.vhost.declare_exchange(
            name,
            kind,
            durable=True,
            auto_delete=auto_delete,
            internal=False,
            arguments=arguments,
        )
        self.model.exchanges[name] = ExchangeModel(
            name, kind, auto_delete=auto_delete, alternate=alternate
        )

    @rule(name=st.sampled_from(EXCHANGES))
    def delete_exchange(self, name: str) -> None:
        self.bench.vhost.delete_exchange(name, False)
        if name in self.model.exchanges:
            self.model.delete_exchange(name)

    @rule(name=st.sampled_from(QUEUES))
    def declare_queue(self, name: str) -> None:
        if name not in self.known:
            self.known[name] = self.bench.queue(name, durable=True)

    @rule(name=st.sampled_from(QUEUES))
    def delete_queue(self, name: str) -> None:
        if name in self.known:
            self.bench.vhost.delete_queue(self.known.pop(name))
            self.model.cut_off_queue(name)

    def row(self, data: st.DataObject, source: str) -> Row:
        """Choose a binding from an exchange."""
        destination = data.draw(st.sampled_from([*self.model.exchanges, *self.known]))
        key = data.draw(st.sampled_from(PATTERNS))
        arguments: tuple[tuple[str, str], ...] = ()
        if self.model.exchanges[source].kind == "headers":
            values = st.sampled_from(("1", "2"))
            chosen = data.draw(st.dictionaries(st.sampled_from(("g", "h", "x-i")), values))
            chosen["x-match"] = data.draw(st.sampled_from(("all", "any")))
            arguments = tuple(sorted(chosen.items()))
        return destination in self.known, destination, key, arguments

    @precondition(lambda self: self.model.exchanges)
    @rule(data=st.data())
    def bind(self, data: st.DataObject) -> None:
        source = data.draw(st.sampled_from(list(self.model.exchanges)))
        row = self.row(data, source)
        self.bench.bind(source, row[1], row[2], **dict(row[3]))
        self.model.bind(source, row)

    @precondition(lambda self: any(x.rows for x in self.model.exchanges.values()))
    @rule(data=st.data())
    def unbind(self, data: st.DataObject) -> None:
        rows = [(x.name, row) for x in self.model.exchanges.values() for row in x.rows]
        source, row = data.draw(st.sampled_from(rows))
        table = {name: tables.longstr(value) for name, value in row[3]}
        self.bench.vhost.unbind(source, row[0], row[1], row[2], table)
        self.model.unbind(source, row)

    @precondition(lambda self: self.model.exchanges)
    @rule(
        data=st.data(),
        keys=st.lists(st.sampled_from(KEYS), min_size=1, max_size=2),
        headers=st.dictionaries(st.sampled_from(("g", "h", "x-i")), st.sampled_from(("1", "2"))),
    )
    def route(self, data: st.DataObject, keys: list[str], headers: dict[str, str]) -> None:
        name = data.draw(st.sampled_from(list(self.model.exchanges)))
        found = self.bench.route(name, *keys, **headers)
        assert len(found) == len(set(found))
        assert set(found) == set(self.model.route(name, keys, headers))

    @invariant()
    def agrees(self) -> None:
        vhost = self.bench.vhost
        vhost.validate()
        declared = {name for name in vhost.exchanges if not name.startswith("amq.")}
        assert declared == set(self.model.exchanges)
        count = sum(len(exchange.rows) for exchange in self.model.exchanges.values())
        assert len(vhost.bindings()) == count


TestTopology = TopologySteps.TestCase
TestTopology.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
