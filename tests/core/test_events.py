"""Events: gathered only while they are wanted, with arguments as Erlang terms."""

import pytest

from amqpd.core.events import EVENTS, Events, pid, terms
from amqpd.core.exchange import Binding
from amqpd.core.exchange_types import make_exchange
from amqpd.core.timers import Timers
from amqpd.wire import tables
from amqpd.wire.tables import Field


@pytest.mark.parametrize(
    ("field", "term"),
    [
        (tables.longstr("a"), 'longstr,<<"a">>'),
        (tables.longstr('a"\\'), 'longstr,<<"a\\"\\\\">>'),
        (tables.boolean(True), "bool,true"),
        (tables.long(-5), "long,-5"),
        (Field("I", 5), "signedint,5"),
        (Field("V", None), "void,undefined"),
        (tables.table({"k": tables.long(1)}), 'table,[{<<"k">>,long,1}]'),
        (tables.array([tables.longstr("a"), tables.long(1)]), 'array,[{longstr,<<"a">>},{long,1}]'),
    ],
)
def test_a_field_as_a_term(field: Field, term: str) -> None:
    found = terms({"x": field}).value
    assert isinstance(found, list)
    assert [tables.text(item) for item in found] == [f'{{<<"x">>,{term}}}']


def test_deep_tables_end_somewhere() -> None:
    field = tables.long(1)
    for _ in range(100):
        field = tables.table({"k": field})
    found = terms({"x": field}).value
    assert isinstance(found, list)
    assert tables.text(found[0]).count("table") < 12


def test_they_are_gathered_while_something_is_bound() -> None:
    timers = Timers()
    timers.now_ms, timers.wall_offset_ms = 5, 1000
    events = Events(timers)
    events.tell("a", {})
    exchange = events.exchange = make_exchange(
        "topic", "/", EVENTS, durable=True, auto_delete=False, internal=True, arguments={}
    )
    events.tell("b", {})
    assert not events.pending and not events.is_wanted
    binding = Binding(exchange, "#", {}, exchange=exchange)
    exchange.bindings[binding.identity] = binding
    events.actor = "me"
    events.tell("c", {"x": tables.long(1)})
    events.tell("d", {}, "you")
    events.tell("e", {}, "-")
    assert [(one.event, list(one.fields), one.wall_ms) for one in events.pending] == [
        ("c", ["user_who_performed_action", "x"], 1005),
        ("d", ["user_who_performed_action"], 1005),
        ("e", [], 1005),
    ]
    assert tables.text(events.pending[0].fields["user_who_performed_action"]) == "me"


def test_processes_are_told_apart() -> None:
    assert len({pid(1), pid(2), pid(1, 1), pid(1, 2), pid(11)}) == 5
