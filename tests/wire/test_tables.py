"""Field tables: every tag both ways, first name wins, and nothing but Malformed for bad bytes."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import decode as pamqp_decode
from pamqp import encode as pamqp_encode

from amqpd.limits import TABLE_DEPTH_MAX
from amqpd.wire import tables
from amqpd.wire.tables import (
    Decimal,
    Field,
    Malformed,
    Table,
    array,
    boolean,
    decode_entries,
    decode_table,
    encode_table,
    integer,
    long,
    longstr,
    skip_table,
    table,
    text,
    timestamp,
    type_name,
)

NAN_FREE = st.floats(allow_nan=False)
SCALARS = st.one_of(
    st.binary(max_size=20).map(lambda value: Field("S", value)),
    st.binary(max_size=20).map(lambda value: Field("x", value)),
    st.integers(-(1 << 31), (1 << 31) - 1).map(lambda value: Field("I", value)),
    st.integers(0, (1 << 32) - 1).map(lambda value: Field("i", value)),
    st.integers(-(1 << 63), (1 << 63) - 1).map(lambda value: Field("l", value)),
    st.integers(-(1 << 15), (1 << 15) - 1).map(lambda value: Field("s", value)),
    st.integers(0, (1 << 16) - 1).map(lambda value: Field("u", value)),
    st.integers(-128, 127).map(lambda value: Field("b", value)),
    st.integers(0, 255).map(lambda value: Field("B", value)),
    st.integers(0, (1 << 64) - 1).map(lambda value: Field("T", value)),
    st.booleans().map(lambda value: Field("t", value)),
    NAN_FREE.map(lambda value: Field("d", value)),
    st.floats(allow_nan=False, width=32).map(lambda value: Field("f", value)),
    st.builds(Decimal, st.integers(0, 255), st.integers(0, (1 << 32) - 1)).map(
        lambda value: Field("D", value)
    ),
    st.just(Field("V", None)),
)
NAMES = st.text(max_size=20)
FIELDS = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.dictionaries(NAMES, inner, max_size=4).map(table),
        st.lists(inner, max_size=4).map(array),
    ),
    max_leaves=12,
)
TABLES = st.dictionaries(NAMES, FIELDS, max_size=5)


def entry(tag: str, value: bytes, name: bytes = b"k") -> bytes:
    """Build a table of one entry by hand."""
    body = bytes([len(name)]) + name + tag.encode() + value
    return struct.pack(">I", len(body)) + body


def only(data: bytes) -> Field:
    """Decode a table of one entry and return its field."""
    decoded, after = decode_table(data, 0, len(data))
    assert after == len(data)
    return decoded["k"]


EXAMPLES = [
    ("S", struct.pack(">I", 3) + b"abc", b"abc"),
    ("x", struct.pack(">I", 3) + b"\0\xff\1", b"\0\xff\1"),
    ("I", struct.pack(">i", -2), -2),
    ("i", struct.pack(">I", 0xFFFFFFFE), 0xFFFFFFFE),
    ("l", struct.pack(">q", -(1 << 63)), -(1 << 63)),
    ("s", struct.pack(">h", -3), -3),
    ("u", struct.pack(">H", 65535), 65535),
    ("b", b"\x80", -128),
    ("b", b"\x7f", 127),
    ("B", b"\xff", 255),
    ("t", b"\x00", False),
    ("t", b"\x01", True),
    ("f", struct.pack(">f", 1.5), 1.5),
    ("d", struct.pack(">d", -0.1), -0.1),
    ("D", b"\x02" + struct.pack(">I", 0xFFFFFFFF), Decimal(2, 0xFFFFFFFF)),
    ("T", struct.pack(">Q", (1 << 64) - 1), (1 << 64) - 1),
    ("V", b"", None),
    ("F", struct.pack(">I", 0), {}),
    ("F", entry("t", b"\1", b"in"), {"in": Field("t", True)}),
    ("A", struct.pack(">I", 0), []),
    ("A", struct.pack(">I", 3) + b"V" + b"B\x05", [Field("V", None), Field("B", 5)]),
]


@pytest.mark.parametrize(("tag", "value", "meaning"), EXAMPLES)
def test_each_tag_keeps_its_bytes_both_ways(
    tag: str, value: bytes, meaning: tables.FieldValue
) -> None:
    data = entry(tag, value)
    field = only(data)
    assert field == Field(tag, meaning)
    assert type(field.value) is type(meaning)
    assert encode_table({"k": field}) == data


@pytest.mark.parametrize(("tag", "value", "meaning"), EXAMPLES)
def test_every_prefix_of_a_table_is_malformed(
    tag: str, value: bytes, meaning: tables.FieldValue
) -> None:
    data = entry(tag, value)
    for end in range(len(data)):
        with pytest.raises(Malformed):
            decode_table(data, 0, end)
        with pytest.raises(Malformed):
            skip_table(data, 0, end)
        short = max(end - 4, 0)  # the same with a length that agrees with the cut
        if 0 < short < len(data) - 4:
            with pytest.raises(Malformed):
                decode_entries(data[4 : 4 + short], 0, short)


@pytest.mark.parametrize(("tag", "value", "meaning"), EXAMPLES)
def test_a_table_is_read_from_the_middle_of_other_bytes(
    tag: str, value: bytes, meaning: tables.FieldValue
) -> None:
    data = entry(tag, value)
    inside = b"\xff" * 7 + data + b"\xff" * 9
    decoded, after = decode_table(inside, 7, len(inside))
    assert decoded == {"k": Field(tag, meaning)}
    assert after == 7 + len(data) == skip_table(inside, 7, len(inside))


def test_an_alias_of_long_comes_back_as_long() -> None:
    field = only(entry("L", struct.pack(">q", -9)))
    assert field == Field("l", -9)
    assert encode_table({"k": Field("L", -9)}) == entry("l", struct.pack(">q", -9))


def test_any_octet_but_zero_is_true() -> None:
    assert only(entry("t", b"\x07")) == boolean(True)


def test_of_entries_with_one_name_the_first_counts() -> None:
    body = b"\1kB\1" + b"\1kB\2"
    decoded, _ = decode_table(struct.pack(">I", len(body)) + body, 0, len(body) + 4)
    assert decoded == {"k": Field("B", 1)}


def test_a_name_that_is_not_utf_8_keeps_its_bytes() -> None:
    data = entry("V", b"", b"\xff\xfe\xc3")
    decoded, _ = decode_table(data, 0, len(data))
    assert encode_table(decoded) == data


def test_an_empty_name_is_a_name() -> None:
    data = entry("V", b"", b"")
    decoded, _ = decode_table(data, 0, len(data))
    assert decoded == {"": Field("V", None)}


@pytest.mark.parametrize("octet", sorted(set(range(256)) - set(b"SIilLsubBfdDtTFAxV")))
def test_unknown_tags_are_malformed(octet: int) -> None:
    body = b"\1k" + bytes([octet]) + bytes(8)
    with pytest.raises(Malformed):
        decode_entries(body, 0, len(body))


def test_an_inner_container_cannot_reach_past_its_outer_one() -> None:
    inner = entry("S", struct.pack(">I", 5) + b"abc", b"a")
    data = entry("F", inner) + b"zz"
    with pytest.raises(Malformed):
        decode_table(data, 0, len(data))
    array_bytes = struct.pack(">I", 9) + b"B\1"
    data = entry("A", array_bytes) + bytes(20)
    with pytest.raises(Malformed):
        decode_table(data, 0, len(data))


@pytest.mark.parametrize("size", [0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_huge_lengths_are_malformed(size: int) -> None:
    length = struct.pack(">I", size)
    for data in (length, *(entry(tag, length + b"abcd") for tag in "SxFA")):
        with pytest.raises(Malformed):
            decode_table(data, 0, len(data))


def nested(depth: int, tag: str) -> bytes:
    """Build a table with containers in it, `depth` in all counting the outermost."""
    value = struct.pack(">I", 0)
    for _ in range(depth - 2):
        name = b"" if tag == "A" else b"\0"
        value = struct.pack(">I", len(value) + len(name) + 1) + name + tag.encode() + value
    return entry(tag, value)


@pytest.mark.parametrize("tag", ["F", "A"])
def test_nesting_is_bounded_and_does_not_recurse(tag: str) -> None:
    data = nested(TABLE_DEPTH_MAX, tag)
    decoded, _ = decode_table(data, 0, len(data))
    assert encode_table(decoded) == data
    for depth in (TABLE_DEPTH_MAX + 1, 10000):
        data = nested(depth, tag)
        with pytest.raises(Malformed):
            decode_table(data, 0, len(data))


def test_encoding_has_no_bound_on_depth() -> None:
    field = Field("V", None)
    for _ in range(5000):
        field = array([field])
    assert len(encode_table({"": field})) == 4 + 1 + 5000 * 5 + 1


@given(TABLES)
def test_tables_survive_encoding_and_decoding(entries: Table) -> None:
    data = encode_table(entries)
    decoded, after = decode_table(data, 0, len(data))
    assert after == len(data)
    assert decoded == entries
    assert list(decoded) == list(entries)
    assert encode_table(decoded) == data


def plain(value: tables.FieldValue) -> object:
    """Strip tags, as pamqp hands values out."""
    if isinstance(value, dict):
        return {name: plain(field.value) for name, field in value.items()}
    if isinstance(value, list):
        return [plain(field.value) for field in value]
    return value


def printed(value: object) -> object:
    """Turn bytes into the text that pamqp makes of long strings."""
    if isinstance(value, dict):
        return {name: printed(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [printed(inner) for inner in value]
    return value.decode() if isinstance(value, bytes) else value


PAMQP_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.floats(allow_nan=False, width=32),  # pamqp packs singles
    st.text(max_size=20),
)
PAMQP_TABLES = st.dictionaries(
    st.text("abcxyz-", min_size=1, max_size=12),
    st.recursive(
        PAMQP_SCALARS,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            st.dictionaries(st.text("abc", min_size=1, max_size=5), inner, max_size=4),
        ),
        max_leaves=10,
    ),
    max_size=5,
)


@given(PAMQP_TABLES)
def test_pamqp_and_we_read_each_others_tables(values: dict[str, object]) -> None:
    data = pamqp_encode.field_table(values)  # type: ignore[arg-type]
    ours, after = decode_table(data, 0, len(data))
    assert after == len(data)
    assert printed(plain(ours)) == values
    _, theirs = pamqp_decode.field_table(encode_table(ours))
    assert theirs == values


@given(st.binary(max_size=60))
def test_any_bytes_decode_or_are_malformed(data: bytes) -> None:
    for whole in (data, struct.pack(">I", len(data)) + data):
        try:
            decoded, after = decode_table(whole, 0, len(whole))
        except Malformed:
            continue
        assert after <= len(whole)
        encode_table(decoded)


@given(TABLES, st.integers(0, 1 << 30), st.integers(0, 255))
def test_a_changed_octet_decodes_or_is_malformed(entries: Table, at: int, octet: int) -> None:
    data = bytearray(encode_table(entries))
    data[at % len(data)] = octet
    try:
        decode_table(bytes(data), 0, len(data))
    except Malformed:
        pass


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        ("B", 256),
        ("B", -1),
        ("b", 128),
        ("s", 1 << 15),
        ("u", -1),
        ("I", 1 << 31),
        ("i", 1 << 32),
        ("l", 1 << 63),
        ("l", -(1 << 63) - 1),
        ("T", 1 << 64),
        ("T", -1),
        ("D", Decimal(256, 0)),
        ("D", Decimal(0, 1 << 32)),
        ("D", Decimal(0, -1)),
        ("S", 1),
        ("S", None),
        ("I", b"1"),
        ("I", True),
        ("t", 1),
        ("f", 1),
        ("V", b""),
        ("I", 1.0),
        ("B", Decimal(0, 0)),
        ("F", []),
        ("A", {}),
        ("S", []),
        ("Z", 1),
        ("é", b""),
    ],
)
def test_a_value_that_does_not_fit_its_tag_is_refused(tag: str, value: tables.FieldValue) -> None:
    with pytest.raises(Malformed):
        encode_table({"k": Field(tag, value)})


def test_a_name_over_255_bytes_is_refused() -> None:
    assert len(encode_table({"é" * 127 + "e": boolean(True)})) == 4 + 1 + 255 + 2
    with pytest.raises(Malformed):
        encode_table({"é" * 128: boolean(True)})


def test_builders_and_readers() -> None:
    assert longstr("é").value == b"\xc3\xa9"
    assert text(longstr("é")) == "é"
    assert text(Field("x", b"\xff")) == "\udcff"
    assert text(long(5)) == "5"
    assert [integer(Field(tag, 7)) for tag in "IilLsubB"] == [7] * 8
    assert integer(timestamp(7)) is None
    assert integer(boolean(True)) is None
    assert integer(longstr("7")) is None
    assert type_name("I") == "signedint"
    assert {type_name(tag) for tag in "SIilLsubBfdDtTFAxV"} == {
        "longstr", "signedint", "unsignedint", "short", "unsignedshort", "long", "byte",
        "unsignedbyte", "bool", "float", "double", "decimal", "timestamp", "table", "array",
        "binary", "void",
    }  # fmt: skip


def test_fields_are_equal_by_tag_and_value() -> None:
    assert Field("I", 1) == Field("I", 1) != Field("l", 1)
    assert Field("I", 1) != 1
    assert Decimal(1, 2) == Decimal(1, 2) != Decimal(2, 1)
    assert Decimal(1, 2) != (1, 2)
    assert hash(Decimal(1, 2)) == hash(Decimal(1, 2))
    assert repr(table({"a": array([Field("D", Decimal(1, 2))])})) == (
        "Field('F', {'a': Field('A', [Field('D', Decimal(1, 2))])})"
    )
