"""exchange.declare and exchange.delete (spec 1.6; RabbitMQ's rules and texts)."""

from typing import Any

import pytest
from pamqp.commands import Basic, Exchange

from tests.peers.channel import Channel
from tests.peers.codec import Typed
from tests.peers.errors import channel_error, connection_error
from tests.scenarios import texts
from tests.scenarios.things import exchange_exists

TYPES = ("direct", "fanout", "topic", "headers")
SYSTEM = {
    "amq.direct": "direct",
    "amq.fanout": "fanout",
    "amq.topic": "topic",
    "amq.headers": "headers",
    "amq.match": "headers",
}


@pytest.mark.parametrize("kind", TYPES)
def test_an_exchange_of_each_type_can_be_declared_and_again(
    peer: Any, channel: Channel, kind: str
) -> None:
    exchange = peer.name("x")
    for _ in range(2):
        channel.declare_exchange(exchange, kind)
    channel.declare_exchange(exchange, passive=True)


@pytest.mark.parametrize(("exchange", "kind"), SYSTEM.items())
def test_the_system_exchanges_exist_and_can_be_declared_as_they_are(
    channel: Channel, exchange: str, kind: str
) -> None:
    channel.declare_exchange(exchange, passive=True)
    channel.declare_exchange(exchange, kind, durable=True)


def test_the_trace_exchange_is_an_internal_topic(channel: Channel) -> None:
    channel.declare_exchange("amq.rabbitmq.trace", "topic", durable=True, internal=True)


def test_a_passive_declare_of_a_missing_exchange_is_a_404(peer: Any, channel: Channel) -> None:
    exchange = peer.name("x")
    with channel_error(404, texts.no_exchange(exchange), Exchange.Declare):
        channel.declare_exchange(exchange, passive=True)


def test_a_passive_declare_compares_nothing(peer: Any, channel: Channel) -> None:
    exchange = peer.name("x")
    channel.declare_exchange(exchange, "fanout", durable=True, auto_delete=True)
    channel.declare_exchange(exchange, "topic", passive=True, internal=True)


def test_a_passive_declare_does_not_look_at_the_type(peer: Any, channel: Channel) -> None:
    exchange = peer.name("x")
    channel.declare_exchange(exchange, "fanout")
    channel.declare_exchange(exchange, "no-such-type", passive=True)


def test_the_default_exchange_cannot_be_declared(channel: Channel) -> None:
    with channel_error(403, texts.DEFAULT_EXCHANGE, Exchange.Declare):
        channel.declare_exchange("", durable=True)


def test_the_default_exchange_cannot_be_declared_passively(channel: Channel) -> None:
    with channel_error(403, texts.DEFAULT_EXCHANGE, Exchange.Declare):
        channel.declare_exchange("", passive=True)


def test_a_new_name_must_not_begin_with_amq(channel: Channel) -> None:
    text = "ACCESS_REFUSED - exchange name 'amq.mine' contains reserved prefix 'amq.*'"
    with channel_error(403, text, Exchange.Declare):
        channel.declare_exchange("amq.mine")


def test_an_unknown_type_is_refused(peer: Any, channel: Channel) -> None:
    exchange = peer.name("x")
    if peer.oracle.since(3, 12):
        text = "PRECONDITION_FAILED - unknown exchange type 'no-such-type'"
        with channel_error(406, text, Exchange.Declare):
            channel.declare_exchange(exchange, "no-such-type")
    else:
        text = "COMMAND_INVALID - unknown exchange type 'no-such-type'"
        with connection_error(503, text, Exchange.Declare):
            channel.declare_exchange(exchange, "no-such-type")


FIRST_DIFFERENCES: list[tuple[str, dict[str, Any], str, str]] = [
    ("type", {"exchange_type": "fanout"}, "'fanout'", "'direct'"),
    ("durable", {"durable": True}, "'true'", "'false'"),
    ("auto_delete", {"auto_delete": True}, "'true'", "'false'"),
    ("internal", {"internal": True}, "'true'", "'false'"),
    ("type", {"exchange_type": "topic", "durable": True, "internal": True}, "'topic'", "'direct'"),
    ("durable", {"durable": True, "auto_delete": True}, "'true'", "'false'"),
    (
        "alternate-exchange",
        {"arguments": {"alternate-exchange": "other"}},
        "the value 'other' of type 'longstr'",
        "none",
    ),
]


@pytest.mark.parametrize(("argument", "fields", "received", "current"), FIRST_DIFFERENCES)
def test_the_first_difference_to_the_existing_exchange_is_named(
    peer: Any,
    channel: Channel,
    argument: str,
    fields: dict[str, Any],
    received: str,
    current: str,
) -> None:
    exchange = peer.name("x")
    channel.declare_exchange(exchange)
    text = texts.inequivalent(argument, f"exchange '{exchange}'", received, current)
    with channel_error(406, text, Exchange.Declare):
        channel.declare_exchange(exchange, **fields)


def test_another_alternate_exchange_is_a_difference(peer: Any, channel: Channel) -> None:
    exchange = peer.name("x")
    channel.declare_exchange(exchange, arguments={"alternate-exchange": "a"})
    thing = f"exchange '{exchange}'"
    text = texts.inequivalent("alternate-exchange", thing, "'b'", "'a'")
    with channel_error(406, text, Exchange.Declare):
        channel.declare_exchange(exchange, arguments={"alternate-exchange": "b"})


def test_a_missing_alternate_exchange_is_a_difference(peer: Any, channel: Channel) -> None:
    exchange = peer.name("x")
    channel.declare_exchange(exchange, arguments={"alternate-exchange": "a"})
    current = "the value 'a' of type 'longstr'"
    text = texts.inequivalent("alternate-exchange", f"exchange '{exchange}'", "none", current)
    with channel_error(406, text, Exchange.Declare):
        channel.declare_exchange(exchange)


def test_other_arguments_are_not_compared(peer: Any, channel: Channel) -> None:
    exchange = peer.name("x")
    channel.declare_exchange(exchange, arguments={"x-mine": 1})
    channel.declare_exchange(exchange, arguments={"x-yours": 2})


def test_an_alternate_exchange_is_named_by_a_long_string(peer: Any, channel: Channel) -> None:
    exchange = peer.name("x")
    text = (
        "PRECONDITION_FAILED - invalid type 'signedint' for arg 'alternate-exchange'"
        f" in exchange '{exchange}' in vhost '/'"
    )
    with channel_error(406, text, Exchange.Declare):
        channel.declare_exchange(exchange, arguments={"alternate-exchange": Typed("I", 1)})


def test_line_ends_are_taken_out_of_names(peer: Any, channel: Channel) -> None:
    exchange = peer.name("x")
    channel.declare_exchange(f"{exchange}\r\n")
    channel.declare_exchange(exchange, passive=True)
    channel.delete_exchange(f"\n{exchange}\r")
    with channel_error(404, texts.no_exchange(exchange), Exchange.Declare):
        channel.declare_exchange(exchange, passive=True)


@pytest.mark.parametrize("base", ["Größe", "with space", "a" * 200, "quote'", "new\tline"])
def test_names_may_hold_any_text(peer: Any, channel: Channel, base: str) -> None:
    exchange = peer.name(base)
    channel.declare_exchange(exchange)
    channel.declare_exchange(exchange, passive=True)


def test_declaring_without_waiting_declares(peer: Any, channel: Channel) -> None:
    exchange = peer.name("x")
    channel.declare_exchange(exchange, nowait=True)
    channel.declare_exchange(exchange, passive=True)
    channel.expect_nothing()


def test_declaring_without_waiting_still_fails_aloud(channel: Channel) -> None:
    channel.declare_exchange("amq.mine", nowait=True)
    text = "ACCESS_REFUSED - exchange name 'amq.mine' contains reserved prefix 'amq.*'"
    with channel_error(403, text, Exchange.Declare):
        channel.expect_close()


# -- delete ----------------------------------------------------------------------------------------


def test_a_deleted_exchange_is_gone(peer: Any, channel: Channel) -> None:
    exchange = peer.name("x")
    channel.declare_exchange(exchange)
    channel.delete_exchange(exchange)
    with channel_error(404, texts.no_exchange(exchange), Exchange.Declare):
        channel.declare_exchange(exchange, passive=True)


def test_deleting_a_missing_exchange_succeeds(peer: Any, channel: Channel) -> None:
    channel.delete_exchange(peer.name("x"))
    channel.delete_exchange(peer.name("x"), if_unused=True)


def test_deleting_without_waiting_deletes(peer: Any, channel: Channel) -> None:
    exchange = peer.name("x")
    channel.declare_exchange(exchange)
    channel.delete_exchange(exchange, nowait=True)
    with channel_error(404, texts.no_exchange(exchange), Exchange.Declare):
        channel.declare_exchange(exchange, passive=True)


def test_the_default_exchange_cannot_be_deleted(channel: Channel) -> None:
    with channel_error(403, texts.DEFAULT_EXCHANGE, Exchange.Delete):
        channel.delete_exchange("")


@pytest.mark.parametrize("exchange", [*SYSTEM, "amq.no-such"])
def test_system_exchanges_cannot_be_deleted(channel: Channel, exchange: str) -> None:
    text = f"ACCESS_REFUSED - deletion of system exchange '{exchange}' in vhost '/' not allowed"
    with channel_error(403, text, Exchange.Delete):
        channel.delete_exchange(exchange)


def test_if_unused_refuses_an_exchange_with_bindings_from_it(peer: Any, channel: Channel) -> None:
    exchange, queue = peer.name("x"), peer.name("q")
    channel.declare_exchange(exchange)
    channel.declare(queue)
    channel.bind(queue, exchange, "k")
    text = f"PRECONDITION_FAILED - exchange '{exchange}' in vhost '/' in use"
    with channel_error(406, text, Exchange.Delete):
        channel.delete_exchange(exchange, if_unused=True)


def test_if_unused_counts_bindings_to_exchanges(peer: Any, channel: Channel) -> None:
    source, destination = peer.name("source"), peer.name("destination")
    channel.declare_exchange(source)
    channel.declare_exchange(destination)
    channel.bind_exchange(destination, source, "k")
    text = f"PRECONDITION_FAILED - exchange '{source}' in vhost '/' in use"
    with channel_error(406, text, Exchange.Delete):
        channel.delete_exchange(source, if_unused=True)


def test_if_unused_does_not_count_bindings_to_the_exchange(peer: Any, channel: Channel) -> None:
    source, destination = peer.name("source"), peer.name("destination")
    channel.declare_exchange(source)
    channel.declare_exchange(destination)
    channel.bind_exchange(destination, source, "k")
    channel.delete_exchange(destination, if_unused=True)
    channel.delete_exchange(source, if_unused=True)


def test_deleting_an_exchange_deletes_its_bindings(peer: Any, channel: Channel) -> None:
    exchange, queue = peer.name("x"), peer.name("q")
    channel.declare_exchange(exchange)
    channel.declare(queue)
    channel.bind(queue, exchange, "k")
    channel.delete_exchange(exchange)
    channel.declare_exchange(exchange)
    channel.publish(exchange, "k")
    assert channel.bodies(queue) == []


# -- auto-delete -----------------------------------------------------------------------------------


def test_an_auto_delete_exchange_goes_with_its_last_binding(peer: Any, channel: Channel) -> None:
    exchange, queue = peer.name("x"), peer.name("q")
    channel.declare_exchange(exchange, auto_delete=True)
    channel.declare(queue)
    channel.bind(queue, exchange, "a")
    channel.bind(queue, exchange, "b")
    channel.unbind(queue, exchange, "a")
    assert exchange_exists(channel, exchange)
    channel.unbind(queue, exchange, "b")
    assert not exchange_exists(channel, exchange)


def test_an_auto_delete_exchange_that_was_never_bound_stays(peer: Any, channel: Channel) -> None:
    exchange, queue = peer.name("x"), peer.name("q")
    channel.declare_exchange(exchange, auto_delete=True)
    channel.declare(queue)
    channel.unbind(queue, exchange, "k")
    assert exchange_exists(channel, exchange)


def test_an_auto_delete_exchange_goes_with_its_last_queue(peer: Any, channel: Channel) -> None:
    exchange, queue = peer.name("x"), peer.name("q")
    channel.declare_exchange(exchange, auto_delete=True)
    channel.declare(queue)
    channel.bind(queue, exchange, "a")
    channel.bind(queue, exchange, "b")
    channel.delete(queue)
    assert not exchange_exists(channel, exchange)


def test_an_auto_delete_exchange_goes_with_an_exclusive_queue(peer: Any, channel: Channel) -> None:
    exchange, queue = peer.name("x"), peer.name("q")
    channel.declare_exchange(exchange, auto_delete=True)
    other = peer.connect()
    owner = other.channel()
    owner.declare(queue, exclusive=True)
    owner.bind(queue, exchange, "k")
    other.close()
    assert not exchange_exists(channel, exchange)


def test_an_auto_delete_exchange_goes_with_its_last_exchange_binding(
    peer: Any, channel: Channel
) -> None:
    source, destination = peer.name("source"), peer.name("destination")
    channel.declare_exchange(source, auto_delete=True)
    channel.declare_exchange(destination, auto_delete=True)
    channel.bind_exchange(destination, source, "k")
    channel.do(Exchange.Unbind, destination=destination, source=source, routing_key="k")
    assert not exchange_exists(channel, source)
    assert exchange_exists(channel, destination)


def test_a_chain_of_auto_delete_exchanges_goes_together(peer: Any, channel: Channel) -> None:
    first, second, queue = peer.name("first"), peer.name("second"), peer.name("q")
    channel.declare_exchange(first, auto_delete=True)
    channel.declare_exchange(second, auto_delete=True)
    channel.declare(queue)
    channel.bind_exchange(second, first, "k")
    channel.bind(queue, second, "k")
    channel.delete(queue)
    assert not exchange_exists(channel, second)
    assert not exchange_exists(channel, first)


# -- internal --------------------------------------------------------------------------------------


def test_clients_cannot_publish_to_an_internal_exchange(peer: Any, channel: Channel) -> None:
    exchange = peer.name("x")
    channel.declare_exchange(exchange, internal=True)
    channel.publish(exchange, "k")
    text = f"ACCESS_REFUSED - cannot publish to internal exchange '{exchange}' in vhost '/'"
    with channel_error(403, text, Basic.Publish):
        channel.expect_close()


def test_other_exchanges_can_be_bound_to_an_internal_one(peer: Any, channel: Channel) -> None:
    inner, outer, queue = peer.name("inner"), peer.name("outer"), peer.name("q")
    channel.declare_exchange(inner, "fanout", internal=True)
    channel.declare_exchange(outer)
    channel.declare(queue)
    channel.bind(queue, inner)
    channel.bind_exchange(inner, outer, "k")
    channel.publish(outer, "k", b"through")
    assert channel.bodies(queue) == [b"through"]
