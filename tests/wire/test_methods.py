"""Methods: every one both ways against pamqp, and 501 with RabbitMQ's texts for all other bytes."""

import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from librt.strings import BytesWriter
from pamqp import base, commands, frame

from amqpd import errors
from amqpd.errors import StreamError
from amqpd.wire import methods, tables
from amqpd.wire.frames import method_frame
from amqpd.wire.tables import Field

COMMANDS: dict[int, type[base.Frame]] = dict(commands.INDEX_MAPPING)
IDS = [command.name for command in COMMANDS.values()]
pytestmark = pytest.mark.filterwarnings("ignore:This command is deprecated")
each_command = pytest.mark.parametrize("command", COMMANDS.values(), ids=IDS)

WIDTHS = {"octet": 1, "short": 2, "long": 4, "longlong": 8, "timestamp": 8}
TABLES = st.dictionaries(
    st.text("abc-é", min_size=1, max_size=8),
    st.one_of(
        st.booleans(),
        st.integers(-(1 << 63), (1 << 63) - 1),
        st.text(max_size=10),
        st.none(),
        st.lists(st.integers(0, 255), max_size=3),
        st.dictionaries(st.text("xy", min_size=1, max_size=3), st.booleans(), max_size=3),
    ),
    max_size=4,
)


def short(text: str) -> str:
    """Cut a text so that it fits a short string."""
    return text.encode("utf-8", "ignore")[:255].decode("utf-8", "ignore")


# What RabbitMQ takes and pamqp's constructors refuse is in here too.
SHORT_TEXTS = st.text(max_size=30).map(short) | st.sampled_from(
    ["", "é", "a\nb", "\0", "q" * 255, "é" * 127, "amq."]
)


def arguments_of(command: type[base.Frame]) -> st.SearchStrategy[dict[str, Any]]:
    """Return values for all arguments of a method."""
    kinds: dict[str, st.SearchStrategy[Any]] = {
        "bit": st.booleans(),
        "shortstr": SHORT_TEXTS,
        "longstr": st.text(max_size=40),
        "table": TABLES,
    }
    for kind, width in WIDTHS.items():  # pamqp's longlong is signed
        kinds[kind] = st.integers(0, min((1 << 8 * width) - 1, (1 << 63) - 1))
    return st.fixed_dictionaries(
        {name: kinds[command.amqp_type(name)] for name in command.__slots__}
    )


def filled(command: type[base.Frame], values: dict[str, Any]) -> base.Frame:
    """Return a method with these arguments, whatever pamqp's `validate` thinks of them."""
    lenient: Any = type(
        "Lenient", (command,), {"validate": lambda self: None, "__slots__": command.__slots__}
    )
    method: base.Frame = lenient.__new__(lenient)
    for name, value in values.items():
        setattr(method, name, value)
    return method


def payload_of(method: base.Frame) -> bytes:
    """Encode a method as pamqp does."""
    return struct.pack(">I", method.index) + method.marshal()


def plain(value: tables.FieldValue) -> object:
    """Strip tags, and make text of long strings, as pamqp hands values out."""
    if isinstance(value, dict):
        return {name: plain(field.value) for name, field in value.items()}
    if isinstance(value, list):
        return [plain(field.value) for field in value]
    return value.decode() if isinstance(value, bytes) else value


def read(payload: bytes) -> base.Frame:
    """Decode a method's payload as pamqp does."""
    _, _, method = frame.unmarshal(method_frame(1, payload))
    assert isinstance(method, base.Frame)
    return method


def valid(command: type[base.Frame]) -> bytes:
    """Return a payload with something in every argument."""
    kinds = {"bit": True, "shortstr": "key", "longstr": "text", "table": {"a": 1}}
    values = {name: kinds.get(command.amqp_type(name), 1) for name in command.__slots__}
    return payload_of(filled(command, values))


# -- all methods, both ways ------------------------------------------------------------------------


@each_command
@settings(max_examples=25)
@given(data=st.data())
def test_what_pamqp_encodes_is_decoded(command: type[base.Frame], data: st.DataObject) -> None:
    values = data.draw(arguments_of(command))
    method, table = methods.decode(payload_of(filled(command, values)))
    assert type(method) is command
    for name, value in values.items():
        if command.amqp_type(name) == "table":
            assert plain(table) == value
            assert getattr(method, name) == {}
        else:
            assert getattr(method, name) == value


@each_command
@settings(max_examples=25)
@given(data=st.data())
def test_what_is_encoded_pamqp_decodes(command: type[base.Frame], data: st.DataObject) -> None:
    values = data.draw(arguments_of(command))
    before = payload_of(filled(command, values))
    payload = methods.encode(*methods.decode(before))
    assert payload == before
    assert dict(read(payload)) == values


@each_command
def test_a_method_that_ends_too_soon_cannot_be_decoded(command: type[base.Frame]) -> None:
    payload = valid(command)
    for end in range(4, len(payload)):
        with pytest.raises(StreamError) as refused:
            methods.decode(payload[:end])
        assert refused.value.code == 501
        assert refused.value.text == f"FRAME_ERROR - cannot decode {errors.octets(payload[4:end])}"


@each_command
def test_octets_behind_the_arguments_cannot_be_decoded(command: type[base.Frame]) -> None:
    payload = valid(command) + b"x"
    with pytest.raises(StreamError) as refused:
        methods.decode(payload)
    assert refused.value.text == f"FRAME_ERROR - cannot decode {errors.octets(payload[4:])}"


@each_command
def test_a_method_is_known_by_its_index_and_its_name(command: type[base.Frame]) -> None:
    index = methods.index_of(valid(command))
    assert index == command.index
    assert methods.is_known(index)
    assert methods.name_of(index) == command.name.lower()


def test_only_methods_of_the_protocol_are_known() -> None:
    known = [index for index in range(0x00780000) if methods.is_known(index)]
    assert sorted(known) == sorted([*COMMANDS, methods.ACCESS_REQUEST])
    assert not methods.is_known(-1)


def test_a_payload_without_class_and_method_id_has_no_index() -> None:
    for payload in (b"", b"\0", b"\0\x3c\0"):
        assert methods.index_of(payload) == 0
    assert not methods.is_known(0)
    assert methods.name_of(0) == "none"


def test_the_named_indexes_are_those_of_pamqp() -> None:
    named = {
        name: value
        for name, value in vars(methods).items()
        if name.isupper() and isinstance(value, int) and name != "ACCESS_REQUEST"
    }
    assert len(named) > 15
    for name, value in named.items():
        class_name, _, method_name = name.lower().partition("_")
        assert methods.name_of(value) == f"{class_name}.{method_name.replace('_', '')}"


@pytest.mark.parametrize("text", [b"\xff", b"\xc3", b"ab\xe9", b"\xed\xa0\x80", b"\xc0\x80"])
def test_a_short_string_that_is_not_utf_8_is_a_501(text: bytes) -> None:
    name = bytes([len(text)]) + text
    payload = struct.pack(">IH", commands.Queue.Purge.index, 0) + name + b"\0"
    with pytest.raises(StreamError) as refused:
        methods.decode(payload)
    assert refused.value.code == 501
    assert refused.value.text == "FRAME_ERROR - Malformed UTF-8 in shortstr"


def test_a_long_string_that_is_not_utf_8_comes_back_out_as_it_came_in() -> None:
    payload = struct.pack(">II", commands.Connection.SecureOk.index, 3) + b"\xff\0\xc3"
    method, _ = methods.decode(payload)
    assert methods.encode(method) == payload


@pytest.mark.parametrize("size", [2, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_a_long_string_longer_than_its_frame_is_a_501(size: int) -> None:
    payload = struct.pack(">II", commands.Connection.SecureOk.index, size) + b"x"
    with pytest.raises(StreamError) as refused:
        methods.decode(payload)
    assert refused.value.text == f"FRAME_ERROR - cannot decode {errors.octets(payload[4:])}"


def test_a_table_that_is_malformed_is_a_501() -> None:
    payload = payload_of(commands.Queue.Declare(queue="q", arguments={"k": True}))
    broken = payload[:-2] + b"?" + payload[-1:]
    assert len(broken) == len(payload)
    with pytest.raises(StreamError) as refused:
        methods.decode(broken)
    assert refused.value.text == f"FRAME_ERROR - cannot decode {errors.octets(broken[4:])}"


def test_a_table_keeps_the_tags_that_came() -> None:
    fields = {"a": Field("i", 7), "b": Field("x", b"\xff"), "c": Field("s", -1)}
    head = payload_of(commands.Queue.Declare(queue="q"))[:-4]
    method, table = methods.decode(head + tables.encode_table(fields))
    assert table == fields
    assert methods.encode(method, table) == head + tables.encode_table(fields)


@given(st.sampled_from(list(COMMANDS.values())), st.binary(max_size=60))
def test_any_arguments_decode_or_are_a_501(command: type[base.Frame], data: bytes) -> None:
    try:
        methods.decode(struct.pack(">I", command.index) + data)
    except StreamError as refused:
        assert refused.code == 501


# -- strings ---------------------------------------------------------------------------------------


@given(SHORT_TEXTS, st.binary(max_size=5), st.binary(max_size=5))
def test_a_short_string_is_read_where_it_lies(text: str, before: bytes, after: bytes) -> None:
    encoded = methods.encode_shortstr(text)
    data = before + encoded + after
    assert methods.shortstr(data, len(before)) == (text, len(before) + len(encoded))
    with pytest.raises(StreamError):
        methods.shortstr(encoded[:-1], 0)


@given(st.binary(max_size=30), st.binary(max_size=5))
def test_a_long_string_is_read_where_it_lies(value: bytes, before: bytes) -> None:
    encoded = struct.pack(">I", len(value)) + value
    assert methods.longstr(before + encoded, len(before)) == (value, len(before + encoded))
    with pytest.raises(StreamError):
        methods.longstr(before + encoded[:-1], len(before))


# -- hot methods, by hand --------------------------------------------------------------------------


@given(SHORT_TEXTS, SHORT_TEXTS, st.booleans(), st.booleans())
def test_publish_is_read_as_the_general_codec_reads_it(
    exchange: str, routing_key: str, mandatory: bool, immediate: bool
) -> None:
    values = {
        "ticket": 0,
        "exchange": exchange,
        "routing_key": routing_key,
        "mandatory": mandatory,
        "immediate": immediate,
    }
    payload = payload_of(filled(commands.Basic.Publish, values))
    bits = mandatory | immediate << 1
    assert methods.decode_publish(payload) == (exchange, routing_key, bits)
    head = methods.publish_head(exchange, routing_key)
    assert payload == struct.pack(">IH", methods.BASIC_PUBLISH, 0) + head + bytes([bits])
    for wrong in [*(payload[:end] for end in range(4, len(payload))), payload + b"x"]:
        with pytest.raises(StreamError) as refused:
            methods.decode_publish(wrong)
        assert refused.value.text == f"FRAME_ERROR - cannot decode {errors.octets(wrong[4:])}"


def test_names_of_a_publish_need_not_be_utf_8() -> None:
    payload = struct.pack(">IH", methods.BASIC_PUBLISH, 0) + b"\1\xe9\2k\xff\0"
    exchange, routing_key, _ = methods.decode_publish(payload)
    assert methods.publish_head(exchange, routing_key) == b"\1\xe9\2k\xff"


@pytest.mark.parametrize(
    "command", [commands.Basic.Ack, commands.Basic.Nack, commands.Basic.Reject]
)
@pytest.mark.parametrize("tag", [0, 1, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
def test_settlements_are_read_as_the_general_codec_reads_them(
    command: type[base.Frame], tag: int
) -> None:
    for bits in range(4 if command is commands.Basic.Nack else 2):
        payload = struct.pack(">IQB", command.index, tag, bits)
        assert methods.decode_settle(payload) == (tag, bits)
        method, _ = methods.decode(payload)
        flags = list(dict(method).values())[1:]
        assert dict(method)["delivery_tag"] == tag
        assert flags == [bits & 1 != 0, bits & 2 != 0][: len(flags)]
        for wrong in [*(payload[:end] for end in range(4, len(payload))), payload + b"x"]:
            with pytest.raises(StreamError):
                methods.decode_settle(wrong)


CHANNELS = st.integers(0, 65535)
TAGS = st.integers(1, (1 << 63) - 1)


def sent(out: BytesWriter) -> tuple[int, base.Frame]:
    """Decode the one frame in `out` as pamqp does. Returns (channel, method)."""
    data = out.getvalue()
    consumed, channel, method = frame.unmarshal(data)
    assert consumed == len(data)
    assert isinstance(method, base.Frame)
    return channel, method


@given(CHANNELS, TAGS, st.booleans(), st.booleans())
def test_confirms_are_those_of_pamqp(channel: int, tag: int, multiple: bool, requeue: bool) -> None:
    out = BytesWriter()
    methods.write_ack(out, channel, methods.BASIC_ACK, tag, multiple)
    assert out.getvalue() == frame.marshal(commands.Basic.Ack(tag, multiple), channel)
    out = BytesWriter()
    methods.write_ack(out, channel, methods.BASIC_NACK, tag, multiple | requeue << 1)
    assert out.getvalue() == frame.marshal(commands.Basic.Nack(tag, multiple, requeue), channel)


@given(CHANNELS, TAGS, st.booleans(), SHORT_TEXTS, SHORT_TEXTS, st.integers(0, 1 << 33))
def test_get_ok_is_read_by_pamqp(
    channel: int, tag: int, redelivered: bool, exchange: str, routing_key: str, count: int
) -> None:
    out = BytesWriter()
    head = methods.publish_head(exchange, routing_key)
    methods.write_get_ok(out, channel, tag, redelivered, head, count)
    got_on, method = sent(out)
    assert got_on == channel
    assert dict(method) == {
        "delivery_tag": tag,
        "redelivered": redelivered,
        "exchange": exchange,
        "routing_key": routing_key,
        "message_count": min(count, 0x7FFFFFFF),
    }


@given(CHANNELS, SHORT_TEXTS, SHORT_TEXTS)
def test_return_is_read_by_pamqp(channel: int, exchange: str, routing_key: str) -> None:
    out = BytesWriter()
    head = methods.publish_head(exchange, routing_key)
    methods.write_return(out, channel, 312, "NO_ROUTE", head)
    got_on, method = sent(out)
    assert got_on == channel
    assert dict(method) == {
        "reply_code": 312,
        "reply_text": "NO_ROUTE",
        "exchange": exchange,
        "routing_key": routing_key,
    }


@given(CHANNELS, SHORT_TEXTS, TAGS, st.booleans(), SHORT_TEXTS, SHORT_TEXTS)
def test_a_delivery_is_a_head_a_tag_and_an_address(
    channel: int, consumer_tag: str, tag: int, redelivered: bool, exchange: str, routing_key: str
) -> None:
    address = methods.publish_head(exchange, routing_key)
    out = BytesWriter()
    out.write(methods.deliver_head(channel, consumer_tag, len(address)))
    out.write(struct.pack(">QB", tag, redelivered) + address + b"\xce")
    got_on, method = sent(out)
    assert got_on == channel
    assert dict(method) == {
        "consumer_tag": consumer_tag,
        "delivery_tag": tag,
        "redelivered": redelivered,
        "exchange": exchange,
        "routing_key": routing_key,
    }


@pytest.mark.parametrize("index", [methods.CONNECTION_CLOSE, methods.CHANNEL_CLOSE])
def test_a_close_names_the_method_that_failed(index: int) -> None:
    payload = methods.close_payload(index, 404, "NOT_FOUND - no queue 'é'", methods.BASIC_PUBLISH)
    method = read(payload)
    assert method.index == index
    assert dict(method) == {
        "reply_code": 404,
        "reply_text": "NOT_FOUND - no queue 'é'",
        "class_id": 60,
        "method_id": 40,
    }
    assert dict(read(methods.close_payload(index, 200, "", 0)))["class_id"] == 0


@pytest.mark.parametrize("text", ["x" * 255, "x" * 256, "é" * 128, "x" + "é" * 200, "\udcff" * 300])
def test_a_reply_text_is_cut_to_what_a_short_string_holds(text: str) -> None:
    payload = methods.close_payload(methods.CHANNEL_CLOSE, 404, text, 0)
    size = payload[6]
    raw = payload[7 : 7 + size]
    assert len(payload) == 7 + size + 4
    whole = text.encode("utf-8", "surrogateescape")
    assert raw == whole or (raw.endswith(b"...") and whole.startswith(raw[:-3]))
    assert (raw == whole) == (len(whole) <= 255)


def test_access_request_is_granted_with_ticket_1() -> None:
    assert methods.ACCESS_REQUEST_OK == bytes((0, 30, 0, 11, 0, 1))
    assert methods.is_known(methods.ACCESS_REQUEST)
