"""queue.declare: names, equivalence, arguments (spec 1.7.2.1; RabbitMQ's rules and texts)."""

import re
from typing import Any

import pytest
from pamqp.commands import Basic, Queue

from tests.peers.channel import Channel
from tests.peers.codec import Typed
from tests.peers.errors import channel_error
from tests.scenarios import texts

RESERVED = "ACCESS_REFUSED - queue name 'amq.mine' contains reserved prefix 'amq.*'"


def test_declaring_returns_name_and_counts(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    reply = channel.declare(queue)
    assert (reply.queue, reply.message_count, reply.consumer_count) == (queue, 0, 0)


def test_declaring_again_counts_ready_messages_and_consumers(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue)
    channel.qos(1)
    channel.consume(queue)
    for _ in range(3):
        channel.publish("", queue)
    channel.delivery()
    channel.expect_ready(queue, 2)
    reply = channel.declare(queue)
    assert (reply.queue, reply.message_count, reply.consumer_count) == (queue, 2, 1)


def test_a_passive_declare_counts_too(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue)
    channel.publish("", queue)
    channel.expect_ready(queue, 1)
    reply = channel.declare(queue, passive=True)
    assert (reply.queue, reply.message_count, reply.consumer_count) == (queue, 1, 0)


def test_a_passive_declare_of_a_missing_queue_is_a_404(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    with channel_error(404, texts.no_queue(queue), Queue.Declare):
        channel.declare(queue, passive=True)


def test_a_passive_declare_compares_nothing(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue, durable=True, auto_delete=True, arguments={"x-max-length": 5})
    channel.declare(queue, passive=True, exclusive=True, arguments={"x-max-length": 6})


# -- names -----------------------------------------------------------------------------------------


def test_the_server_makes_up_a_name_for_an_empty_one(channel: Channel) -> None:
    names = [channel.declare(exclusive=True).queue for _ in range(2)]
    for name in names:
        assert re.fullmatch(r"amq\.gen-[A-Za-z0-9_-]{22}", name)
    assert names[0] != names[1]


def test_a_server_named_queue_may_be_declared_again(peer: Any, channel: Channel) -> None:
    name = channel.declare(exclusive=True).queue
    channel.declare(name, passive=True)
    if peer.oracle.is_rabbitmq and not peer.oracle.since(4, 0):
        text = f"ACCESS_REFUSED - queue name '{name}' contains reserved prefix 'amq.*'"
        with channel_error(403, text, Queue.Declare):
            channel.declare(name, exclusive=True)
    else:
        channel.declare(name, exclusive=True)


def test_an_empty_name_is_no_shorthand_in_a_passive_declare(peer: Any, channel: Channel) -> None:
    channel.declare(peer.name("q"))
    with channel_error(404, texts.no_queue(""), Queue.Declare):
        channel.declare("", passive=True)


def test_a_new_name_must_not_begin_with_amq(channel: Channel) -> None:
    with channel_error(403, RESERVED, Queue.Declare):
        channel.declare("amq.mine")


def test_a_missing_name_that_begins_with_amq_is_a_404_when_passive(channel: Channel) -> None:
    with channel_error(404, texts.no_queue("amq.mine"), Queue.Declare):
        channel.declare("amq.mine", passive=True)


def test_line_ends_are_taken_out_of_names(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    assert channel.declare(f"\r{queue}\n").queue == queue
    channel.declare(queue, passive=True)
    channel.delete(f"{queue}\r\n")
    with channel_error(404, texts.no_queue(queue), Queue.Declare):
        channel.declare(queue, passive=True)


@pytest.mark.parametrize("base", ["Größe", "with space", "a" * 200, "quote'", "a\tb", "\x00"])
def test_names_may_hold_any_text(peer: Any, channel: Channel, base: str) -> None:
    queue = peer.name(base)
    assert channel.declare(queue).queue == queue
    channel.publish("", queue, b"1")
    assert channel.bodies(queue) == [b"1"]


# -- the queue declared last -----------------------------------------------------------------------


def test_an_empty_name_stands_for_the_queue_declared_last(peer: Any, channel: Channel) -> None:
    exchange, first, last = peer.name("x"), peer.name("first"), peer.name("last")
    channel.declare_exchange(exchange)
    channel.declare(first)
    channel.declare(last)
    channel.bind("", exchange, "k")
    channel.publish(exchange, "k", b"1")
    assert channel.get("", no_ack=True).body == b"1"
    channel.unbind("", exchange, "k")
    channel.publish(exchange, "k", b"2")
    channel.publish("", last, b"3")
    assert channel.do(Queue.Purge, queue="").message_count == 1
    channel.consume("", "tag")
    assert channel.declare(last, passive=True).consumer_count == 1
    channel.cancel("tag")
    channel.delete("")
    with channel_error(404, texts.no_queue(last), Queue.Declare):
        channel.declare(last, passive=True)


def test_a_passive_declare_is_remembered_too(peer: Any, channel: Channel) -> None:
    first, last = peer.name("first"), peer.name("last")
    channel.declare(first)
    channel.declare(last)
    channel.declare(first, passive=True)
    channel.publish("", first, b"1")
    assert channel.get("", no_ack=True).body == b"1"


def test_a_server_named_queue_is_remembered(channel: Channel) -> None:
    name = channel.declare(exclusive=True).queue
    channel.publish("", name, b"1")
    assert channel.get("", no_ack=True).routing_key == name


def test_an_empty_binding_key_stands_for_the_queue_declared_last(
    peer: Any, channel: Channel
) -> None:
    exchange, queue = peer.name("x"), peer.name("q")
    channel.declare_exchange(exchange)
    channel.declare(queue)
    channel.bind("", exchange, "")
    channel.publish(exchange, queue, b"by name")
    channel.publish(exchange, "", b"by nothing")
    channel.unbind("", exchange, "")
    channel.publish(exchange, queue, b"unbound")
    assert channel.bodies(queue) == [b"by name"]


def test_an_empty_binding_key_stays_empty_with_a_named_queue(peer: Any, channel: Channel) -> None:
    exchange, queue = peer.name("x"), peer.name("q")
    channel.declare_exchange(exchange)
    channel.declare(queue)
    channel.bind(queue, exchange, "")
    channel.publish(exchange, queue, b"by name")
    channel.publish(exchange, "", b"by nothing")
    assert channel.bodies(queue) == [b"by nothing"]


NOTHING_DECLARED = [
    (Queue.Bind, {"exchange": "amq.direct", "routing_key": "k"}),
    (Queue.Unbind, {"exchange": "amq.direct", "routing_key": "k"}),
    (Queue.Purge, {}),
    (Queue.Delete, {}),
    (Basic.Consume, {}),
    (Basic.Get, {}),
]


@pytest.mark.parametrize(("kind", "fields"), NOTHING_DECLARED)
def test_an_empty_name_is_a_404_when_nothing_was_declared(
    channel: Channel, kind: Any, fields: dict[str, Any]
) -> None:
    with channel_error(404, "NOT_FOUND - no previously declared queue", kind):
        channel.do(kind, queue="", **fields)


def test_what_another_channel_declared_does_not_count(peer: Any, channel: Channel) -> None:
    channel.declare(peer.name("q"))
    other = channel.connection.channel()
    with channel_error(404, "NOT_FOUND - no previously declared queue", Basic.Get):
        other.get("")


# -- equivalence -----------------------------------------------------------------------------------

DIFFERENCES: list[tuple[dict[str, Any], dict[str, Any], str, str, str]] = [
    ({}, {"durable": True}, "durable", "'true'", "'false'"),
    ({"durable": True}, {}, "durable", "'false'", "'true'"),
    ({}, {"auto_delete": True}, "auto_delete", "'true'", "'false'"),
    ({}, {"durable": True, "auto_delete": True}, "durable", "'true'", "'false'"),
    (
        {"arguments": {"x-max-length": 10}},
        {"arguments": {"x-max-length": 20}},
        "x-max-length",
        "'20'",
        "'10'",
    ),
    (
        {"arguments": {"x-max-length": 10}},
        {},
        "x-max-length",
        "none",
        "the value '10' of type 'signedint'",
    ),
    (
        {},
        {"arguments": {"x-max-length": Typed("l", 20)}},
        "x-max-length",
        "the value '20' of type 'long'",
        "none",
    ),
    (
        {},
        {"arguments": {"x-dead-letter-exchange": "x"}},
        "x-dead-letter-exchange",
        "the value 'x' of type 'longstr'",
        "none",
    ),
    (
        {"arguments": {"x-message-ttl": Typed("s", 1000)}},
        {},
        "x-message-ttl",
        "none",
        "the value '1000' of type 'short'",
    ),
    (
        {"arguments": {"x-expires": Typed("I", 60000)}},
        {"arguments": {"x-expires": Typed("l", 70000)}},
        "x-expires",
        "'70000'",
        "'60000'",
    ),
    (
        {"arguments": {"x-max-priority": Typed("B", 5)}},
        {},
        "x-max-priority",
        "none",
        "the value '5' of type 'unsignedbyte'",
    ),
    (
        {},
        {"arguments": {"x-single-active-consumer": True}},
        "x-single-active-consumer",
        "the value 'true' of type 'bool'",
        "none",
    ),
]


@pytest.mark.parametrize(("first", "second", "argument", "received", "current"), DIFFERENCES)
def test_the_first_difference_to_the_existing_queue_is_named(
    peer: Any,
    channel: Channel,
    first: dict[str, Any],
    second: dict[str, Any],
    argument: str,
    received: str,
    current: str,
) -> None:
    queue = peer.name("q")
    channel.declare(queue, **first)
    text = texts.inequivalent(argument, f"queue '{queue}'", received, current)
    with channel_error(406, text, Queue.Declare):
        channel.declare(queue, **second)


SAME: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"x-max-length": Typed("I", 10)}, {"x-max-length": Typed("l", 10)}),
    ({"x-max-length": Typed("b", 10)}, {"x-max-length": Typed("i", 10)}),
    ({"x-mine": "1"}, {"x-mine": "2"}),
    ({"x-mine": "1"}, {}),
    ({}, {"x-queue-type": "classic"}),
    ({"x-queue-type": "classic"}, {}),
    ({"x-max-length": 1, "x-max-priority": 2}, {"x-max-priority": 2, "x-max-length": 1}),
]


@pytest.mark.parametrize(("first", "second"), SAME)
def test_equal_arguments_are_no_difference(
    peer: Any, channel: Channel, first: dict[str, Any], second: dict[str, Any]
) -> None:
    queue = peer.name("q")
    channel.declare(queue, arguments=first)
    channel.declare(queue, arguments=second)


def test_declaring_without_waiting_declares(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue, nowait=True)
    channel.publish("", queue, b"1")
    assert channel.get("", no_ack=True).body == b"1"
    channel.expect_nothing()


def test_declaring_without_waiting_still_fails_aloud(channel: Channel) -> None:
    channel.declare("amq.mine", nowait=True)
    with channel_error(403, RESERVED, Queue.Declare):
        channel.expect_close()


# -- arguments -------------------------------------------------------------------------------------

BAD: list[tuple[str, Any, str]] = [
    ("x-message-ttl", "60", '"expected integer, got longstr"'),
    ("x-message-ttl", -1, "{value_negative,-1}"),
    ("x-message-ttl", 315360000001, "{value_too_large,315360000001}"),
    ("x-expires", 0, "{value_zero,0}"),
    ("x-expires", -1, "{value_negative,-1}"),
    ("x-max-length", -1, "{value_negative,-1}"),
    ("x-max-length", "5", '"expected integer, got longstr"'),
    ("x-max-length-bytes", -1, "{value_negative,-1}"),
    ("x-max-priority", -1, "{value_negative,-1}"),
    ("x-max-priority", 256, "{max_value_exceeded,256}"),
    ("x-single-active-consumer", "true", "{unacceptable_type,longstr}"),
    ("x-dead-letter-routing-key", "k", "routing_key_but_no_dlx_defined"),
    ("x-dead-letter-routing-key", 1, "{unacceptable_type,signedint}"),
    ("x-overflow", 1, "{unacceptable_type,signedint}"),
    ("x-overflow", "explode", "invalid_overflow"),
    ("x-queue-mode", "slow", "\"unsupported queue mode 'slow'\""),
    ("x-queue-type", "no-such", "\"unsupported queue type 'no-such'\""),
    ("x-queue-type", 1, "{unacceptable_type,signedint}"),
    ("x-queue-version", 3, "\"unsupported queue version '3'\""),
]


@pytest.mark.parametrize(("key", "value", "reason"), BAD)
def test_a_bad_argument_is_named(
    peer: Any, channel: Channel, key: str, value: Any, reason: str
) -> None:
    queue = peer.name("q")
    text = f"PRECONDITION_FAILED - invalid arg '{key}' for queue '{queue}' in vhost '/': {reason}"
    with channel_error(406, text, Queue.Declare):
        channel.declare(queue, arguments={key: value})


def test_the_dead_letter_exchange_is_named_by_a_long_string(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    text = (
        "PRECONDITION_FAILED - invalid type 'signedint' for arg 'x-dead-letter-exchange'"
        f" in queue '{queue}' in vhost '/'"
    )
    with channel_error(406, text, Queue.Declare):
        channel.declare(queue, arguments={"x-dead-letter-exchange": 1})


def test_unknown_arguments_of_any_type_are_taken(peer: Any, channel: Channel) -> None:
    arguments = {
        "a": 1,
        "b": [1, "x", {"deep": True}],
        "c": None,
        "d": 1.5,
        "e": b"\xff",
        "f": Typed("T", 1700000000),
        "g": Typed("D", (2, 314)),
    }
    channel.declare(peer.name("q"), arguments=arguments)
