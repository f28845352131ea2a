"""basic.publish and what becomes of it (spec 1.8.3.7; RabbitMQ: publishers)."""

import re
from typing import Any

import pytest
from pamqp.commands import Basic

from tests.peers import codec
from tests.peers.accounts import ANYONE
from tests.peers.channel import Channel
from tests.peers.codec import Typed
from tests.peers.errors import channel_error, connection_error
from tests.scenarios import texts


@pytest.fixture
def queue(peer: Any, channel: Channel) -> str:
    """A queue."""
    name = peer.name("q")
    channel.declare(name)
    return name


# -- where it goes ---------------------------------------------------------------------------------


def test_publishing_to_a_missing_exchange_is_a_404(peer: Any, channel: Channel) -> None:
    exchange = peer.name("x")
    channel.publish(exchange, "k")
    with channel_error(404, texts.no_exchange(exchange), Basic.Publish):
        channel.expect_close()


def test_what_is_published_after_an_error_is_dropped(
    peer: Any, channel: Channel, queue: str
) -> None:
    connection = channel.connection
    other = connection.channel()
    connection.hold()
    other.publish(peer.name("x"), "k")
    other.publish("", queue, b"too late")
    connection.release()
    with channel_error(404, re.compile(".*no exchange.*"), Basic.Publish):
        other.expect_close()
    assert channel.bodies(queue) == []


def test_an_unroutable_message_is_dropped_without_a_word(peer: Any, channel: Channel) -> None:
    channel.publish("", peer.name("missing"))
    channel.publish("amq.direct", peer.name("missing"))
    channel.publish("amq.fanout", "")
    channel.expect_nothing()


def test_a_mandatory_message_that_is_routed_is_not_returned(channel: Channel, queue: str) -> None:
    channel.publish("", queue, b"1", mandatory=True)
    assert channel.bodies(queue) == [b"1"]
    channel.expect_nothing()


@pytest.mark.parametrize("exchange", ["", "amq.direct", "amq.topic", "amq.headers"])
@pytest.mark.parametrize("body", [b"", b"body", b"x" * 300_000])
def test_a_mandatory_message_without_a_way_is_returned_whole(
    peer: Any, channel: Channel, exchange: str, body: bytes
) -> None:
    key = peer.name("missing")
    raw = codec.encode_properties({"headers": {"a": [1, None]}, "message_id": "m", "priority": 0})
    channel.publish(exchange, key, body, mandatory=True, raw_properties=raw)
    back = channel.expect(Basic.Return)
    assert (back.reply_code, back.reply_text) == (312, "NO_ROUTE")
    assert (back.exchange, back.routing_key) == (exchange, key)
    assert (back.body, back.raw_properties) == (body, raw)


def test_immediate_is_not_implemented(channel: Channel, queue: str) -> None:
    channel.publish("", queue, immediate=True)
    with connection_error(540, "NOT_IMPLEMENTED - immediate=true", Basic.Publish):
        channel.expect_close()


def test_immediate_is_refused_before_all_else(peer: Any, channel: Channel) -> None:
    channel.publish(peer.name("missing"), "k", immediate=True, mandatory=True)
    with connection_error(540, "NOT_IMPLEMENTED - immediate=true", Basic.Publish):
        channel.expect_close()


# -- content ---------------------------------------------------------------------------------------

SIZES = [0, 1, 4087, 4088, 4089, 8176, 131063, 131064, 131065, 262128, 1_000_000]


@pytest.mark.parametrize("size", SIZES)
def test_a_body_of_any_size_arrives_as_it_was(channel: Channel, queue: str, size: int) -> None:
    body = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    channel.publish("", queue, body)
    assert channel.get(queue, no_ack=True).body == body


@pytest.mark.parametrize("size", [0, 4088, 4089, 100_000])
def test_bodies_are_cut_to_the_frame_max_of_who_gets_them(
    peer: Any, channel: Channel, queue: str, size: int
) -> None:
    small = peer.connect(frame_max=4096).channel()
    body = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    channel.publish("", queue, body, message_id="from large to small")
    channel.sync()
    message = small.get(queue, no_ack=True)
    assert (message.body, message.properties.message_id) == (body, "from large to small")
    assert sum(message.frame_bytes) == size and max(message.frame_bytes, default=0) <= 4088
    small.publish("", queue, body)
    small.sync()
    assert channel.get(queue, no_ack=True).body == body


def test_one_large_message_reaches_consumers_of_all_frame_sizes(
    peer: Any, channel: Channel
) -> None:
    exchange = peer.name("x")
    channel.declare_exchange(exchange, "fanout")
    consumers = []
    for frame_max in (4096, 10_000, 131072):
        consumer = peer.connect(frame_max=frame_max).channel()
        name = consumer.declare(exclusive=True).queue
        consumer.bind(name, exchange)
        consumer.consume(name, no_ack=True)
        consumers.append(consumer)
    body = bytes(range(256)) * 1000
    channel.publish(exchange, "", body, headers={"a": 1})
    for consumer in consumers:
        delivery = consumer.delivery()
        assert (delivery.body, delivery.properties.headers) == (body, {"a": 1})


def test_body_frames_may_be_of_any_size(channel: Channel, queue: str) -> None:
    number = channel.number
    method = codec.make(Basic.Publish, routing_key=queue)
    pieces = [b"a", b"", b"bcd", b"", b"efghijklmn"]
    channel.connection.raw(
        codec.method_frame(number, method)
        + codec.frame(codec.HEADER, number, codec.encode_header(b"\0\0", 14))
        + b"".join(codec.frame(codec.BODY, number, piece) for piece in pieces)
    )
    assert channel.bodies(queue) == [b"abcdefghijklmn"]


def test_contents_of_different_channels_may_be_interleaved(channel: Channel, queue: str) -> None:
    connection = channel.connection
    other = connection.channel()
    method = codec.make(Basic.Publish, routing_key=queue)
    for number in (channel.number, other.number):
        connection.raw(codec.method_frame(number, method))
    for number in (channel.number, other.number):
        header = codec.encode_header(b"\0\0", 2)
        connection.raw(codec.frame(codec.HEADER, number, header))
    for piece in (b"1", b"2"):
        for number in (channel.number, other.number):
            connection.raw(codec.frame(codec.BODY, number, piece))
    channel.sync()
    other.sync()
    assert channel.bodies(queue) == [b"12", b"12"]


PROPERTIES: list[dict[str, Any]] = [
    {},
    {"content_type": ""},
    {"content_type": "text/plain"},
    {"content_encoding": "gzip"},
    {"delivery_mode": 1},
    {"delivery_mode": 2},
    {"priority": 0},
    {"priority": 255},
    {"correlation_id": "c" * 255},
    {"reply_to": "r"},
    {"expiration": "60000"},
    {"message_id": "Größe"},
    {"message_id": b"\xff\xfe"},
    {"timestamp": 0},
    {"timestamp": 2**63},
    {"message_type": "t"},
    {"user_id": "guest"},
    {"app_id": "a"},
    {"cluster_id": "c"},
    {"headers": {}},
    {
        "content_type": "application/json",
        "content_encoding": "utf-8",
        "headers": {"a": "b"},
        "delivery_mode": 2,
        "priority": 3,
        "correlation_id": "5",
        "reply_to": "6",
        "expiration": "100000",
        "message_id": "7",
        "timestamp": 1_700_000_000,
        "message_type": "8",
        "user_id": "guest",
        "app_id": "9",
        "cluster_id": "10",
    },
]


@pytest.mark.parametrize("properties", PROPERTIES)
def test_properties_arrive_bit_by_bit(
    channel: Channel, queue: str, properties: dict[str, Any]
) -> None:
    raw = codec.encode_properties(properties)
    channel.publish("", queue, b"body", raw_properties=raw)
    channel.publish("", queue, b"", raw_properties=raw)
    with_body, without = channel.get(queue, no_ack=True), channel.get(queue, no_ack=True)
    assert (with_body.raw_properties, with_body.body) == (raw, b"body")
    assert (without.raw_properties, without.body) == (raw, b"")


@pytest.mark.parametrize("mode", [0, 3, 255])
def test_an_unknown_delivery_mode_is_taken_since_3_13(
    peer: Any, channel: Channel, queue: str, mode: int
) -> None:
    channel.publish("", queue, delivery_mode=mode)
    if peer.oracle.since(3, 13):
        assert channel.get(queue, no_ack=True).properties.delivery_mode == mode
    else:
        text = f"PRECONDITION_FAILED - invalid message: {{delivery_mode_unknown,{mode}}}"
        with channel_error(406, text, Basic.Publish):
            channel.expect_close()


HEADERS: list[Any] = [
    {"longstr": "text", "binary": b"\x00\xff", "void": None},
    {"I": Typed("I", -(2**31)), "i": Typed("i", 2**32 - 1), "l": Typed("l", -(2**63))},
    {"b": Typed("b", -128), "B": Typed("B", 255), "s": Typed("s", -1), "u": Typed("u", 65535)},
    {"f": Typed("f", 1.5), "d": Typed("d", -2.5), "D": Typed("D", (2, 31415))},
    {"t": True, "f": False, "T": Typed("T", 1_700_000_000)},
    {"A": [1, "two", [3, [4]], {"five": 5}], "F": {"F": {"F": {"deep": [None]}}}},
    {"empty array": [], "empty table": {}, "": "empty key"},
    {"Größe": "Größe", "k" * 255: "long key", "long": "v" * 10_000},
    [("twice", 1), ("twice", 2)],
    [("z", 1), ("a", 2), ("m", 3)],
]


@pytest.mark.parametrize("headers", HEADERS)
def test_headers_arrive_bit_by_bit(channel: Channel, queue: str, headers: Any) -> None:
    raw = codec.encode_properties({"headers": headers, "delivery_mode": 2})
    channel.publish("", queue, b"body", raw_properties=raw)
    assert channel.get(queue, no_ack=True).raw_properties == raw


# -- what is checked -------------------------------------------------------------------------------


def test_a_wrong_user_id_is_seen_before_a_wrong_expiration(channel: Channel, queue: str) -> None:
    channel.publish("", queue, user_id="other", expiration="soon")
    with channel_error(
        406,
        "PRECONDITION_FAILED - user_id property set to 'other' but authenticated user was 'guest'",
        Basic.Publish,
    ):
        channel.expect_close()


def test_the_user_id_may_be_ones_own(channel: Channel, queue: str) -> None:
    channel.publish("", queue, user_id="guest")
    assert channel.get(queue, no_ack=True).properties.user_id == "guest"


def test_the_user_id_must_not_be_anothers(channel: Channel, queue: str) -> None:
    channel.publish("", queue, user_id="someone")
    text = (
        "PRECONDITION_FAILED - user_id property set to 'someone'"
        " but authenticated user was 'guest'"
    )
    with channel_error(406, text, Basic.Publish):
        channel.expect_close()


def test_an_impersonator_may_use_any_user_id(peer: Any, channel: Channel, queue: str) -> None:
    other = peer.connect(ANYONE.name).channel()
    other.publish("", queue, user_id="someone")
    other.sync()
    assert channel.get(queue, no_ack=True).properties.user_id == "someone"


EXPIRATIONS = [
    ("abc", "no_integer"),
    ("", "no_integer"),
    (" 1", "no_integer"),
    ("1.5", '{leftover_string,".5"}'),
    ("1 ", '{leftover_string," "}'),
    ("-1", "{value_negative,-1}"),
    ("315360000001", "{value_too_large,315360000001}"),
]


@pytest.mark.parametrize(("expiration", "reason"), EXPIRATIONS)
def test_an_expiration_is_a_decimal_number(
    channel: Channel, queue: str, expiration: str, reason: str
) -> None:
    channel.publish("", queue, expiration=expiration)
    text = f"PRECONDITION_FAILED - invalid expiration '{expiration}': {reason}"
    with channel_error(406, text, Basic.Publish):
        channel.expect_close()


@pytest.mark.parametrize("expiration", ["0060000", "+60000", "315360000000"])
def test_an_expiration_is_passed_on_as_written(
    channel: Channel, queue: str, expiration: str
) -> None:
    channel.publish("", queue, expiration=expiration)
    assert channel.get(queue, no_ack=True).properties.expiration == expiration


@pytest.mark.parametrize("key", ["", "Größe", "a" * 255, "\x00", " "])
def test_routing_keys_may_hold_any_text(peer: Any, channel: Channel, key: str) -> None:
    exchange = peer.name("x")
    channel.declare_exchange(exchange)
    queue = channel.declare(exclusive=True).queue
    channel.bind(queue, exchange, key)
    channel.publish(exchange, key, b"1")
    assert channel.get(queue, no_ack=True).routing_key == key


def test_a_message_to_many_queues_is_the_same_in_all(peer: Any, channel: Channel) -> None:
    exchange = peer.name("x")
    channel.declare_exchange(exchange, "fanout")
    queues = [channel.declare(exclusive=True).queue for _ in range(20)]
    for name in queues:
        channel.bind(name, exchange)
    channel.publish(exchange, "k", b"body", headers={"a": 1})
    for name in queues:
        message = channel.get(name, no_ack=True)
        assert (message.body, message.exchange, message.routing_key) == (b"body", exchange, "k")
        assert message.properties.headers == {"a": 1}
