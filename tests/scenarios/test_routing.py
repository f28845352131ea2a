"""Exchange types: which queue gets what (spec 3.1.3; RabbitMQ's dialect of headers)."""

from typing import Any

import pytest
from pamqp.commands import Basic, Queue

from tests.peers.channel import Channel
from tests.peers.codec import Typed
from tests.peers.errors import channel_error


def bound(peer: Any, channel: Channel, kind: str, *keys: str) -> tuple[str, list[str]]:
    """Declare an exchange and one queue per key, bound by it."""
    exchange = peer.name("x")
    channel.declare_exchange(exchange, kind)
    queues = []
    for key in keys:
        queue = peer.name("q")
        channel.declare(queue)
        channel.bind(queue, exchange, key)
        queues.append(queue)
    return exchange, queues


def test_direct_compares_keys_for_equality(peer: Any, channel: Channel) -> None:
    exchange, (a, b, empty) = bound(peer, channel, "direct", "a", "b", "")
    for key in ("a", "b", "", "A", "a "):
        channel.publish(exchange, key, key.encode())
    assert channel.bodies(a) == [b"a"]
    assert channel.bodies(b) == [b"b"]
    assert channel.bodies(empty) == [b""]


def test_direct_reaches_all_queues_of_a_key(peer: Any, channel: Channel) -> None:
    exchange, queues = bound(peer, channel, "direct", "k", "k", "k")
    channel.publish(exchange, "k", b"all")
    assert [channel.bodies(queue) for queue in queues] == [[b"all"]] * 3


def test_a_queue_bound_by_two_keys_gets_both(peer: Any, channel: Channel) -> None:
    exchange, (queue,) = bound(peer, channel, "direct", "a")
    channel.bind(queue, exchange, "b")
    channel.publish(exchange, "a", b"1")
    channel.publish(exchange, "b", b"2")
    assert channel.bodies(queue) == [b"1", b"2"]


def test_fanout_does_not_look_at_the_key(peer: Any, channel: Channel) -> None:
    exchange, (one, other) = bound(peer, channel, "fanout", "a", "b")
    channel.publish(exchange, "c", b"all")
    assert channel.bodies(one) == [b"all"]
    assert channel.bodies(other) == [b"all"]


def test_fanout_gives_a_queue_bound_twice_one_copy(peer: Any, channel: Channel) -> None:
    exchange, (queue,) = bound(peer, channel, "fanout", "a")
    channel.bind(queue, exchange, "b")
    channel.publish(exchange, "", b"once")
    assert channel.bodies(queue) == [b"once"]


def test_the_default_exchange_knows_every_queue_by_name(peer: Any, channel: Channel) -> None:
    one, other = peer.name("one"), peer.name("other")
    channel.declare(one)
    channel.declare(other)
    channel.publish("", one, b"1")
    channel.publish("", other, b"2")
    assert channel.bodies(one) == [b"1"]
    assert channel.bodies(other) == [b"2"]


# -- topic -----------------------------------------------------------------------------------------

TOPICS = [
    ("a.b", ["a.b"], ["a", "a.b.c", "a.c", "", "a."]),
    ("a.*", ["a.b", "a."], ["a", "a.b.c", "b.b", ""]),
    ("*.b", ["a.b", ".b"], ["b", "a.b.c", "b.a"]),
    ("*", ["a"], ["", "a.b", "."]),
    ("#", ["", "a", "a.b.c", "..", "."], []),
    ("a.#", ["a", "a.b", "a.b.c", "a."], ["b", "", "b.a"]),
    ("#.b", ["b", "a.b", "a.a.b"], ["", "a", "b.a", "b."]),
    ("a.#.b", ["a.b", "a.x.b", "a.x.y.b", "a..b"], ["a", "b", "a.b.c"]),
    ("#.a.#", ["a", "x.a", "a.x", "x.a.x", "a.a"], ["", "b", "x.y"]),
    ("*.#", ["a", "a.b", "a.b.c", "."], [""]),
    ("#.*", ["a", "a.b", "."], [""]),
    ("#.#", ["", "a", "a.b"], []),
    ("*.*", ["a.b", "."], ["a", "", "a.b.c"]),
    ("a..b", ["a..b"], ["a.b", "a.x.b"]),
    ("a.*.b", ["a.x.b", "a..b"], ["a.b", "a.x.y.b"]),
    ("", [""], ["a", ".", "a.b"]),
    ("*a", ["*a"], ["ba", "a"]),
    ("#a", ["#a"], ["ba", "a", "x.a"]),
]


@pytest.mark.parametrize(("pattern", "fitting", "others"), TOPICS)
def test_a_topic_pattern_fits_word_by_word(
    peer: Any, channel: Channel, pattern: str, fitting: list[str], others: list[str]
) -> None:
    exchange, (queue,) = bound(peer, channel, "topic", pattern)
    for key in fitting + others:
        channel.publish(exchange, key, key.encode())
    assert channel.bodies(queue) == [key.encode() for key in fitting]


def test_a_queue_whose_patterns_fit_twice_gets_one_copy(peer: Any, channel: Channel) -> None:
    exchange, (queue,) = bound(peer, channel, "topic", "a.#")
    channel.bind(queue, exchange, "#.b")
    channel.bind(queue, exchange, "a.b")
    channel.publish(exchange, "a.b", b"once")
    assert channel.bodies(queue) == [b"once"]


def test_unbinding_a_pattern_leaves_the_others(peer: Any, channel: Channel) -> None:
    exchange, (queue,) = bound(peer, channel, "topic", "a.#")
    channel.bind(queue, exchange, "a.*")
    channel.unbind(queue, exchange, "a.#")
    for key in ("a", "a.b", "a.b.c"):
        channel.publish(exchange, key, key.encode())
    assert channel.bodies(queue) == [b"a.b"]


def test_a_key_of_255_bytes_is_routed(peer: Any, channel: Channel) -> None:
    key = ".".join(["w"] * 128)
    assert len(key) == 255
    exchange, queues = bound(peer, channel, "topic", key, "#", "w.#.w")
    channel.publish(exchange, key, b"long")
    assert [channel.bodies(queue) for queue in queues] == [[b"long"]] * 3


# -- headers ---------------------------------------------------------------------------------------


def fits(peer: Any, channel: Channel, arguments: Any, headers: Any) -> bool:
    """Whether a headers exchange takes a message with these headers along such a binding."""
    exchange, queue = peer.name("x"), peer.name("q")
    channel.declare_exchange(exchange, "headers")
    channel.declare(queue)
    channel.bind(queue, exchange, arguments=arguments)
    channel.publish(exchange, "", b"", headers=headers)
    return channel.get(queue) is not None


HEADERS: list[tuple[dict[str, Any], Any, bool]] = [
    ({"x-match": "all", "a": "1", "b": "2"}, {"a": "1", "b": "2"}, True),
    ({"x-match": "all", "a": "1", "b": "2"}, {"a": "1", "b": "2", "c": "3"}, True),
    ({"x-match": "all", "a": "1", "b": "2"}, {"a": "1"}, False),
    ({"x-match": "all", "a": "1", "b": "2"}, {"a": "1", "b": "3"}, False),
    ({"a": "1", "b": "2"}, {"a": "1"}, False),  # all is the default
    ({"x-match": "any", "a": "1", "b": "2"}, {"b": "2"}, True),
    ({"x-match": "any", "a": "1", "b": "2"}, {"b": "3"}, False),
    ({"x-match": "any", "a": "1"}, {}, False),
    ({"x-match": "all"}, {"a": "1"}, True),
    ({"x-match": "all"}, {}, True),
    ({"x-match": "all"}, None, True),
    ({}, None, True),
    ({"x-match": "any"}, {"a": "1"}, False),
    ({"x-match": "all", "a": None}, {"a": "anything"}, True),
    ({"x-match": "all", "a": None}, {"a": [1, 2]}, True),
    ({"x-match": "all", "a": None}, {"b": "1"}, False),
    ({"x-match": "any", "a": None}, {"a": 5}, True),
    ({"x-match": "all", "x-a": "1", "b": "2"}, {"b": "2"}, True),  # x- is not looked at
    ({"x-match": "any", "x-a": "1", "b": "2"}, {"x-a": "1"}, False),
    ({"x-match": "all-with-x", "x-a": "1", "b": "2"}, {"b": "2"}, False),
    ({"x-match": "all-with-x", "x-a": "1", "b": "2"}, {"b": "2", "x-a": "1"}, True),
    ({"x-match": "any-with-x", "x-a": "1", "b": "2"}, {"x-a": "1"}, True),
    ({"x-match": "all", "a": 1}, {"a": 1}, True),
    ({"x-match": "all", "a": 1}, {"a": 2}, False),
    ({"x-match": "all", "a": "1"}, {"a": 1}, False),
    ({"x-match": "all", "a": True}, {"a": True}, True),
    ({"x-match": "all", "a": True}, {"a": 1}, False),
    ({"x-match": "all", "a": 1.5}, {"a": 1.5}, True),
    ({"x-match": "all", "a": "Ä"}, {"a": "Ä"}, True),
    ({"x-match": "all", "a": "a"}, {"a": "A"}, False),
    ({"x-match": "all", "A": "1"}, {"a": "1"}, False),
]


@pytest.mark.parametrize(("arguments", "headers", "expected"), HEADERS)
def test_headers_are_compared_with_the_arguments(
    peer: Any, channel: Channel, arguments: dict[str, Any], headers: Any, expected: bool
) -> None:
    assert fits(peer, channel, arguments, headers) is expected


TAGS = [
    (Typed("I", 1), Typed("l", 1)),
    (Typed("b", 1), Typed("s", 1)),
    (Typed("i", 1), Typed("B", 1)),
    (Typed("u", 1), Typed("L", 1)),
    (Typed("S", "bytes"), Typed("x", "bytes")),
    (Typed("f", 1.5), Typed("d", 1.5)),
]


@pytest.mark.parametrize(("argument", "value"), TAGS)
def test_values_of_different_widths_are_equal(
    peer: Any, channel: Channel, argument: Typed, value: Typed
) -> None:
    assert fits(peer, channel, {"a": argument}, {"a": value})
    assert fits(peer, channel, {"a": value}, {"a": argument})


def test_a_whole_number_is_not_a_float_since_3_13(peer: Any, channel: Channel) -> None:
    equal = not peer.oracle.since(3, 13)
    assert fits(peer, channel, {"a": 1.0}, {"a": 1}) is equal
    assert fits(peer, channel, {"a": 1}, {"a": 1.0}) is equal


def test_an_unknown_x_match_is_refused(peer: Any, channel: Channel) -> None:
    exchange, queue = peer.name("x"), peer.name("q")
    channel.declare_exchange(exchange, "headers")
    channel.declare(queue)
    text = (
        'PRECONDITION_FAILED - Invalid x-match field value <<"some">>;'
        " expected all, any, all-with-x, or any-with-x"
    )
    with channel_error(406, text, Queue.Bind):
        channel.bind(queue, exchange, arguments={"x-match": "some"})


def test_x_match_is_a_long_string(peer: Any, channel: Channel) -> None:
    exchange, queue = peer.name("x"), peer.name("q")
    channel.declare_exchange(exchange, "headers")
    channel.declare(queue)
    text = "PRECONDITION_FAILED - Invalid x-match field type signedint (value 1); expected longstr"
    with channel_error(406, text, Queue.Bind):
        channel.bind(queue, exchange, arguments={"x-match": Typed("I", 1)})


def test_bindings_with_different_arguments_are_different(peer: Any, channel: Channel) -> None:
    exchange, queue = peer.name("x"), peer.name("q")
    channel.declare_exchange(exchange, "headers")
    channel.declare(queue)
    channel.bind(queue, exchange, arguments={"a": "1"})
    channel.bind(queue, exchange, arguments={"a": "2"})
    channel.publish(exchange, "", b"1", headers={"a": "1"})
    channel.publish(exchange, "", b"2", headers={"a": "2"})
    channel.unbind(queue, exchange, arguments={"a": "1"})
    channel.publish(exchange, "", b"3", headers={"a": "1"})
    assert channel.bodies(queue) == [b"1", b"2"]


def test_the_key_of_a_headers_binding_does_not_matter(peer: Any, channel: Channel) -> None:
    exchange, queue = peer.name("x"), peer.name("q")
    channel.declare_exchange(exchange, "headers")
    channel.declare(queue)
    channel.bind(queue, exchange, "k", arguments={"a": "1"})
    channel.publish(exchange, "other", b"1", headers={"a": "1"})
    assert channel.bodies(queue) == [b"1"]


# -- CC and BCC ------------------------------------------------------------------------------------


def test_cc_and_bcc_are_more_routing_keys(peer: Any, channel: Channel) -> None:
    exchange, (key, cc, bcc, other) = bound(peer, channel, "direct", "k", "cc", "bcc", "other")
    headers = {"CC": ["cc"], "BCC": ["bcc"], "mine": "kept"}
    channel.publish(exchange, "k", b"all", headers=headers)
    for queue in (key, cc, bcc):
        message = channel.get(queue, no_ack=True)
        assert (message.body, message.routing_key) == (b"all", "k")
        assert message.properties.headers == {"CC": ["cc"], "mine": "kept"}
    assert channel.bodies(other) == []


@pytest.mark.parametrize("header", ["CC", "BCC"])
def test_what_is_no_text_in_cc_is_no_key(peer: Any, channel: Channel, header: str) -> None:
    exchange, (copy,) = bound(peer, channel, "direct", "copy")
    channel.publish(exchange, "k", b"1", headers={header: [5, True, "copy"]})
    assert channel.bodies(copy) == [b"1"]


def test_bcc_alone_leaves_an_empty_table(peer: Any, channel: Channel) -> None:
    exchange, (blind,) = bound(peer, channel, "direct", "bcc")
    channel.publish(exchange, "k", b"1", headers={"BCC": ["bcc"]})
    assert channel.get(blind, no_ack=True).properties.headers == {}


@pytest.mark.parametrize("header", ["CC", "BCC"])
def test_cc_is_a_list(peer: Any, channel: Channel, header: str) -> None:
    queue = peer.name("q")
    channel.declare(queue)
    channel.publish("", queue, headers={header: "not a list"})
    text = (
        f'PRECONDITION_FAILED - invalid message: {{unacceptable_type_in_header,"{header}",longstr}}'
    )
    with channel_error(406, text, Basic.Publish):
        channel.expect_close()
