"""Properties: found where they lie, equal to what pamqp packed, and Malformed for all that lies."""

import datetime
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import commands, frame, header

from amqpd.wire import properties, tables
from amqpd.wire.tables import Field, Malformed

UTC = datetime.UTC
# Every property with its flag, in the order of the wire (spec 4.2.6.1).
FLAGS = {
    "content_type": properties.CONTENT_TYPE,
    "content_encoding": properties.CONTENT_ENCODING,
    "headers": properties.HEADERS,
    "delivery_mode": properties.DELIVERY_MODE,
    "priority": properties.PRIORITY,
    "correlation_id": properties.CORRELATION_ID,
    "reply_to": properties.REPLY_TO,
    "expiration": properties.EXPIRATION,
    "message_id": properties.MESSAGE_ID,
    "timestamp": properties.TIMESTAMP,
    "message_type": properties.TYPE,
    "user_id": properties.USER_ID,
    "app_id": properties.APP_ID,
    "cluster_id": properties.CLUSTER_ID,
}
OCTETS = ("delivery_mode", "priority")
TEXTS = tuple(name for name in FLAGS if name not in (*OCTETS, "headers", "timestamp"))

SHORT_TEXT = st.text("ab-é/1", min_size=1, max_size=30)
VALUES: dict[str, st.SearchStrategy[Any]] = {name: SHORT_TEXT for name in TEXTS} | {
    "headers": st.dictionaries(
        st.text("abc", min_size=1, max_size=4), st.booleans() | st.text(max_size=5), min_size=1
    ),
    "delivery_mode": st.sampled_from([1, 2]),
    "priority": st.integers(0, 255),
    "timestamp": st.datetimes(
        datetime.datetime(1970, 1, 2), datetime.datetime(2200, 1, 1), timezones=st.just(UTC)
    ),
    "cluster_id": st.just("c"),
}
SETS = st.fixed_dictionaries({}, optional=VALUES)


def content(values: dict[str, Any], body: bytes = b"") -> tuple[bytes, int]:
    """Build a content with pamqp. Returns (content, length of its header frame)."""
    packed = commands.Basic.Properties.__new__(commands.Basic.Properties)
    for name in commands.Basic.Properties.__slots__:
        setattr(packed, name, values.get(name))
    head = frame.marshal(header.ContentHeader(0, len(body), packed), 1)
    tail = struct.pack(">BHI", 3, 1, len(body)) + body + b"\xce" if body else b""
    return head + tail, len(head)


def bare(flags: int, values: bytes) -> tuple[bytes, int]:
    """Build a header frame by hand. Returns (content, length of its header frame)."""
    payload = struct.pack(">HHQH", 60, 0, 0, flags) + values
    data = struct.pack(">BHI", 2, 1, len(payload)) + payload + b"\xce"
    return data, len(data)


def test_the_flags_are_those_of_pamqp() -> None:
    assert FLAGS == {
        name: commands.Basic.Properties.flags[name] for name in commands.Basic.Properties.__slots__
    }


@given(SETS, st.binary(max_size=20))
def test_what_pamqp_packs_is_found(values: dict[str, Any], body: bytes) -> None:
    data, size = content(values, body)
    properties.check(data, size)
    flags = properties.flags_of(data)
    assert flags == sum(FLAGS[name] for name in values)
    for name, value in values.items():
        if name in TEXTS:
            assert properties.short_text(data, FLAGS[name], size) == value.encode()
        elif name in OCTETS:
            assert properties.octet(data, FLAGS[name], size) == value
        elif name == "timestamp":
            at, after = properties.span(data, FLAGS[name], size)
            assert data[at:after] == struct.pack(">Q", int(value.timestamp()))
    found = properties.headers(data, size)
    assert {
        name: field.value.decode() if isinstance(field.value, bytes) else field.value
        for name, field in found.items()
    } == values.get("headers", {})
    assert properties.is_persistent(data, flags, size) == (values.get("delivery_mode") == 2)


@given(SETS)
def test_the_spans_of_all_properties_fill_the_header(values: dict[str, Any]) -> None:
    data, size = content(values)
    at = 21
    for name in FLAGS:
        if name in values:
            start, after = properties.span(data, FLAGS[name], size)
            assert start == at
            at = int(after)
    assert at == size - 1


@given(SETS.filter(bool), st.data())
def test_a_header_that_ends_too_soon_is_malformed(
    values: dict[str, Any], draw: st.DataObject
) -> None:
    data, size = content(values)
    end = draw.draw(st.integers(21, size - 2))
    short, _ = bare(properties.flags_of(data), data[21:end])
    with pytest.raises(Malformed):
        properties.check(short, len(short))
    with pytest.raises(Malformed):
        properties.check(data, end + 1)  # the same bytes with the rest behind them


@pytest.mark.parametrize(
    ("values", "persistent"),
    [
        ({}, False),
        ({"delivery_mode": 1}, False),
        ({"delivery_mode": 2}, True),
        ({"content_type": "a/b", "delivery_mode": 2}, True),
        ({"content_type": "a/b", "content_encoding": "z", "delivery_mode": 1}, False),
        ({"headers": {"delivery_mode": 2}}, False),
        ({"headers": {"a": "b"}, "delivery_mode": 2, "priority": 1}, True),
    ],
)
def test_only_delivery_mode_2_is_persistent(values: dict[str, Any], persistent: bool) -> None:
    data, size = content(values)
    assert properties.is_persistent(data, properties.flags_of(data), size) is persistent


@pytest.mark.parametrize("mode", [0, 3, 255])
def test_other_delivery_modes_are_transient(mode: int) -> None:
    data, size = bare(properties.DELIVERY_MODE, bytes([mode]))
    assert not properties.is_persistent(data, properties.DELIVERY_MODE, size)


def test_a_delivery_mode_that_is_not_there_is_transient() -> None:
    data, size = bare(properties.DELIVERY_MODE, b"")
    assert not properties.is_persistent(data, properties.DELIVERY_MODE, size)
    with pytest.raises(Malformed):
        properties.check(data, size)


@pytest.mark.parametrize("size", [1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_headers_longer_than_the_header_frame_are_malformed(size: int) -> None:
    data, end = bare(properties.HEADERS | properties.PRIORITY, struct.pack(">I", size))
    for look in (properties.check, properties.headers):
        with pytest.raises(Malformed):
            look(data, end)
    with pytest.raises(Malformed):
        properties.octet(data, properties.PRIORITY, end)


def test_headers_keep_the_tags_that_came() -> None:
    fields = {"a": Field("i", 5), "b": Field("x", b"\xff")}
    data, size = bare(properties.HEADERS, tables.encode_table(fields))
    assert properties.headers(data, size) == fields


def test_octets_that_no_flag_accounts_for_are_malformed() -> None:
    data, size = bare(properties.PRIORITY, b"\x05\x00")
    with pytest.raises(Malformed):
        properties.check(data, size)


@given(st.integers(0, 0xFFFF), st.binary(max_size=60))
def test_any_header_is_read_or_malformed(flags: int, values: bytes) -> None:
    data, size = bare(flags, values)
    data += b"\xff" * 300  # what lies behind is never looked at
    try:
        properties.check(data, size)
    except Malformed:
        return
    for name, flag in FLAGS.items():
        if flags & flag:
            start, after = properties.span(data, flag, size)
            assert 21 <= start <= after < size
            if name in TEXTS:
                assert len(properties.short_text(data, flag, size)) == after - start - 1
    properties.is_persistent(data, flags, size)
    try:
        properties.headers(data, size)
    except Malformed:
        pass
