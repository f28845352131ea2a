"""Field tables in RabbitMQ's dialect: typed values, their bytes, and nothing that recurses.

    ┌────────┬──────────────────────────────────┐
    │ length │ entries                          │    length (bytes of the entries) is a u32,
    │  u32   │  length                          │    big-endian (spec 4.2.5.5)
    └────────┴──────────────────────────────────┘
    an entry of a table            ┌─────────────┬──────┬─────┬───────┐
                                   │ name length │ name │ tag │ value │
                                   │     u8      │      │ u8  │  ...  │
    an item of an array is the     └─────────────┴──────┴─────┴───────┘
    same without its name

| tag | name | value on the wire | `Field.value` |
|---|---|---|---|
| S x | longstr, binary | u32 length, bytes | bytes |
| I i | signedint, unsignedint | i32, u32 | int |
| l L | long | i64 | int |
| s u | short, unsignedshort | i16, u16 | int |
| b B | byte, unsignedbyte | i8, u8 | int |
| T | timestamp | u64 (s) | int |
| t | bool | u8, 0 = false | bool |
| f d | float, double | IEEE single, double | float |
| D | decimal | u8 scale, u32 | Decimal |
| F A | table, array | u32 length, entries or items | dict, list |
| V | void | nothing | None |

Rule 1: whatever the bytes are, decoding returns or raises `Malformed`; nothing is read outside of
the container that a value lies in.
Rule 2: a value keeps its tag, except `L`, which is a 64-bit integer like `l` and becomes one.
Rule 3: of entries with the same name the first counts, as in RabbitMQ's look-ups.

Deviation: the spec's own tag list (spec 4.2.1) differs from what RabbitMQ and its clients write;
this is RabbitMQ's. Names need not be UTF-8: other bytes come back out as they came in.
"""

from typing import Final, Union

from librt.strings import (
    BytesWriter,
    read_f32_be,
    read_f64_be,
    read_i16_be,
    read_i32_be,
    read_i64_be,
    write_f32_be,
    write_f64_be,
    write_i16_be,
    write_i32_be,
    write_i64_be,
)
from mypy_extensions import i64

from amqpd.limits import TABLE_DEPTH_MAX

NAME_BYTES_MAX: Final = 255

# What each tag is called in reply texts, and (integer tags only) the values that it can hold.
_TYPE_NAMES: Final = {
    "S": "longstr",
    "I": "signedint",
    "i": "unsignedint",
    "l": "long",
    "L": "long",
    "s": "short",
    "u": "unsignedshort",
    "b": "byte",
    "B": "unsignedbyte",
    "t": "bool",
    "f": "float",
    "d": "double",
    "D": "decimal",
    "T": "timestamp",
    "F": "table",
    "A": "array",
    "x": "binary",
    "V": "void",
}
_RANGES: Final = {
    "I": (-(1 << 31), (1 << 31) - 1),
    "i": (0, (1 << 32) - 1),
    "l": (-(1 << 63), (1 << 63) - 1),
    "L": (-(1 << 63), (1 << 63) - 1),
    "s": (-(1 << 15), (1 << 15) - 1),
    "u": (0, (1 << 16) - 1),
    "b": (-(1 << 7), (1 << 7) - 1),
    "B": (0, (1 << 8) - 1),
    "T": (0, (1 << 64) - 1),
}
_INTEGER_TAGS: Final = "lIisubBL"


class Malformed(ValueError):
    """Bytes that are no field table, or a field that no bytes can say; callers answer 501."""


class Decimal:
    """A decimal number: `unscaled` divided by ten to the power of `scale`.

    Deviation: `unscaled` is unsigned (0 to 2**32 - 1), as RabbitMQ reads it (spec 4.2.5.5: signed).
    """

    def __init__(self, scale: int, unscaled: int) -> None:
        self.scale: Final = scale
        self.unscaled: Final = unscaled

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Decimal):
            return NotImplemented
        return self.scale == other.scale and self.unscaled == other.unscaled

    def __hash__(self) -> int:
        return hash((self.scale, self.unscaled))

    def __repr__(self) -> str:
        return f"Decimal({self.scale}, {self.unscaled})"


FieldValue = Union[None, bool, int, float, bytes, Decimal, "dict[str, Field]", "list[Field]"]


class Field:
    """One typed value: `tag` is its octet on the wire, `value` fits the tag (see the module).

    Fields are equal if tag and value are; a signedint 1 and a long 1 differ.
    """

    def __init__(self, tag: str, value: FieldValue) -> None:
        self.tag: Final = tag
        self.value: Final = value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Field):
            return NotImplemented
        return self.tag == other.tag and self.value == other.value

    def __repr__(self) -> str:
        return f"Field({self.tag!r}, {self.value!r})"


Table = dict[str, Field]


# -- builders ------------------------------------------------------------------------------------


def longstr(value: str) -> Field:
    """Make a long string of text."""
    return Field("S", value.encode("utf-8", "surrogateescape"))


def boolean(value: bool) -> Field:
    """Make a bool."""
    return Field("t", value)


def long(value: int) -> Field:
    """Make a 64-bit signed integer."""
    return Field("l", value)


def timestamp(seconds: int) -> Field:
    """Make a timestamp (s since 1970)."""
    return Field("T", seconds)


def table(entries: Table) -> Field:
    """Make a nested table."""
    return Field("F", entries)


def array(items: list[Field]) -> Field:
    """Make an array."""
    return Field("A", items)


# -- looking at fields ---------------------------------------------------------------------------


def type_name(tag: str) -> str:
    """Return what RabbitMQ calls a tag in its reply texts."""
    return _TYPE_NAMES[tag]


def integer(field: Field) -> int | None:
    """Return the value of an integer of any width; None for all else, timestamps included."""
    if field.tag not in _INTEGER_TAGS:
        return None
    value = field.value
    assert isinstance(value, int)
    return value


def text(field: Field) -> str:
    """Return a long string or binary as text, any other value as Python writes it."""
    value = field.value
    if isinstance(value, bytes):
        return _name(value)
    return str(value)


def _name(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("utf-8", "surrogateescape")


# -- decoding ------------------------------------------------------------------------------------


def skip_table(data: bytes, at: int, end: int) -> int:
    """Return the offset just past the table at `at`; looks at its length only.

    Raises Malformed if the table runs past `end`.
    """
    return _sized_end(data, at, end)


def decode_table(data: bytes, at: int, end: int) -> tuple[Table, int]:
    """Read the table that begins, with its u32 length, at `at` and ends by `end`.

    Returns (table, offset just past it).

    Raises Malformed if it runs past `end`, holds an unknown tag or a value that runs past its
    container, or nests deeper than TABLE_DEPTH_MAX. O(bytes of the table).
    """
    assert 0 <= at and end <= len(data)
    after = _sized_end(data, at, end)
    return decode_entries(data, at + 4, after), after


def _sized_end(data: bytes, at: i64, end: i64) -> i64:
    """Return the offset just past what the u32 length at `at` announces."""
    if at + 4 > end:
        raise Malformed("a length runs past its container")
    size: int = read_i32_be(data, at)
    after: i64 = at + 4 + (size & 0xFFFFFFFF)
    if after > end:
        raise Malformed("a value runs past its container")
    return after


class _Container:
    """A table or array being read: where it ends, and which of the two collects its fields."""

    def __init__(self, is_table: bool, end: i64) -> None:
        self.is_table: Final = is_table
        self.end: Final = end
        self.table: Final[Table] = {}
        self.items: Final[list[Field]] = []


def decode_entries(data: bytes, at: int, end: int) -> Table:
    """Read the entries of a table, from `at` to exactly `end`, without a length before them.

    Raises Malformed as `decode_table` does.
    """
    position: i64 = at
    container = _Container(True, end)
    outer: list[_Container] = []
    while True:
        if position == container.end:
            if not outer:
                return container.table
            container = outer.pop()
            continue
        name = ""
        if container.is_table:
            name_at = position + 1
            position = name_at + data[position]
            if position >= container.end:
                raise Malformed("a name runs past its table")
            name = _name(data[name_at:position])
        tag = data[position]
        position += 1
        if tag == 0x46 or tag == 0x41:  # F, A
            if len(outer) + 1 >= TABLE_DEPTH_MAX:
                raise Malformed("a table nests too deep")
            inner = _Container(tag == 0x46, _sized_end(data, position, container.end))
            if tag == 0x46:
                _keep(container, name, Field("F", inner.table))
            else:
                _keep(container, name, Field("A", inner.items))
            outer.append(container)
            container = inner
            position += 4
        elif tag == 0x53:  # S
            after = _sized_end(data, position, container.end)
            _keep(container, name, Field("S", data[position + 4 : after]))
            position = after
        else:
            width = _width(data, position, container.end, tag)
            _keep(container, name, _scalar(data, position, tag, width))
            position += width


def _keep(container: _Container, name: str, field: Field) -> None:
    if container.is_table:
        container.table.setdefault(name, field)
    else:
        container.items.append(field)


def _width(data: bytes, at: i64, end: i64, tag: i64) -> i64:
    """Return how many bytes the value at `at` takes.

    Raises Malformed if the tag is unknown or the value runs past `end`.
    """
    width: i64
    if tag == 0x49 or tag == 0x69 or tag == 0x66:  # I, i, f
        width = 4
    elif tag == 0x74 or tag == 0x62 or tag == 0x42:  # t, b, B
        width = 1
    elif tag == 0x6C or tag == 0x4C or tag == 0x54 or tag == 0x64:  # l, L, T, d
        width = 8
    elif tag == 0x73 or tag == 0x75:  # s, u
        width = 2
    elif tag == 0x44:  # D
        width = 5
    elif tag == 0x56:  # V
        width = 0
    elif tag == 0x78:  # x
        return _sized_end(data, at, end) - at
    else:
        raise Malformed(f"unknown field type {tag}")
    if at + width > end:
        raise Malformed("a value runs past its container")
    return width


def _scalar(data: bytes, at: i64, tag: i64, width: i64) -> Field:
    """Read the value at `at`, which is no table, array or longstr and is all there."""
    if tag == 0x49:
        return Field("I", int(read_i32_be(data, at)))
    if tag == 0x74:
        return Field("t", data[at] != 0)
    if tag == 0x6C or tag == 0x4C:
        return Field("l", int(read_i64_be(data, at)))
    if tag == 0x64:
        return Field("d", read_f64_be(data, at))
    if tag == 0x54:
        return Field("T", int(read_i64_be(data, at)) & 0xFFFFFFFFFFFFFFFF)
    if tag == 0x69:
        return Field("i", int(read_i32_be(data, at)) & 0xFFFFFFFF)
    if tag == 0x73:
        return Field("s", int(read_i16_be(data, at)))
    if tag == 0x75:
        return Field("u", int(read_i16_be(data, at)) & 0xFFFF)
    if tag == 0x62:
        octet: int = data[at]
        return Field("b", octet - 256 if octet > 127 else octet)
    if tag == 0x42:
        return Field("B", int(data[at]))
    if tag == 0x66:
        return Field("f", read_f32_be(data, at))
    if tag == 0x44:
        return Field("D", Decimal(data[at], int(read_i32_be(data, at + 1)) & 0xFFFFFFFF))
    if tag == 0x78:
        return Field("x", data[at + 4 : at + width])
    assert tag == 0x56
    return Field("V", None)


# -- encoding ------------------------------------------------------------------------------------


class _Level:
    """A table or array being written: what is left of it, and where its length goes."""

    def __init__(self, names: list[str] | None, fields: list[Field], length_at: i64) -> None:
        self.names: Final = names
        self.fields: Final = fields
        self.length_at: Final = length_at
        self.index = 0


def encode_table(entries: Table) -> bytes:
    """Build the bytes of a table, its u32 length ahead, in the order of its entries.

    Raises Malformed if a name is longer than NAME_BYTES_MAX or a value does not fit its tag.
    """
    out = BytesWriter()
    write_table(out, entries)
    return out.getvalue()


def write_table(out: BytesWriter, entries: Table) -> None:
    """Append the bytes of a table; see `encode_table`."""
    level = _open(out, Field("F", entries))
    outer: list[_Level] = []
    while True:
        if level.index == len(level.fields):
            _close(out, level.length_at)
            if not outer:
                return
            level = outer.pop()
            continue
        field = level.fields[level.index]
        names = level.names
        if names is not None:
            raw = names[level.index].encode("utf-8", "surrogateescape")
            if len(raw) > NAME_BYTES_MAX:
                raise Malformed("a field name is too long")
            out.append(len(raw))
            out.write(raw)
        level.index += 1
        tag = field.tag
        if tag == "F" or tag == "A":
            out.append(ord(tag))
            outer.append(level)
            level = _open(out, field)
        else:
            _write_field(out, tag, field.value)


def _open(out: BytesWriter, field: Field) -> _Level:
    """Leave room for the length of a table or array, which `_close` fills in."""
    value = field.value
    length_at: i64 = len(out)
    write_i32_be(out, 0)
    if isinstance(value, dict) and field.tag == "F":
        return _Level(list(value), list(value.values()), length_at)
    if isinstance(value, list) and field.tag == "A":
        return _Level(None, value, length_at)
    raise _misfit(field.tag)


def _close(out: BytesWriter, length_at: i64) -> None:
    size: int = len(out) - length_at - 4
    out[length_at] = (size >> 24) & 255
    out[length_at + 1] = (size >> 16) & 255
    out[length_at + 2] = (size >> 8) & 255
    out[length_at + 3] = size & 255


def _misfit(tag: str) -> Malformed:
    return Malformed(f"a value does not fit the field type {tag!r}")


def _write_field(out: BytesWriter, tag: str, value: FieldValue) -> None:
    """Append tag and value of a field that is no table or array."""
    if isinstance(value, bytes):
        if tag != "S" and tag != "x":
            raise _misfit(tag)
        out.append(ord(tag))
        write_i32_be(out, len(value))
        out.write(value)
    elif value is None:
        if tag != "V":
            raise _misfit(tag)
        out.append(ord(tag))
    elif isinstance(value, bool):
        if tag != "t":
            raise _misfit(tag)
        out.append(ord(tag))
        out.append(1 if value else 0)
    elif isinstance(value, int):
        _write_integer(out, tag, value)
    elif isinstance(value, float):
        _write_float(out, tag, value)
    elif isinstance(value, Decimal):
        if tag != "D" or not 0 <= value.scale <= 255 or not 0 <= value.unscaled < 1 << 32:
            raise _misfit(tag)
        out.append(ord(tag))
        out.append(value.scale)
        _write_u32(out, value.unscaled)
    else:
        raise _misfit(tag)


def _write_integer(out: BytesWriter, tag: str, value: int) -> None:
    if tag not in _RANGES:
        raise _misfit(tag)
    low, high = _RANGES[tag]
    if not low <= value <= high:
        raise _misfit(tag)
    if tag == "l" or tag == "L":
        out.append(0x6C)
        write_i64_be(out, value)
        return
    out.append(ord(tag))
    if tag == "I" or tag == "i":
        _write_u32(out, value & 0xFFFFFFFF)
    elif tag == "T":
        _write_u32(out, value >> 32)
        _write_u32(out, value & 0xFFFFFFFF)
    elif tag == "s" or tag == "u":
        value &= 0xFFFF
        write_i16_be(out, value - 0x10000 if value > 0x7FFF else value)
    else:
        out.append(value & 255)


def _write_u32(out: BytesWriter, value: int) -> None:
    write_i32_be(out, value - 0x100000000 if value > 0x7FFFFFFF else value)


def _write_float(out: BytesWriter, tag: str, value: float) -> None:
    if tag == "d":
        out.append(ord(tag))
        write_f64_be(out, value)
    elif tag == "f":
        out.append(ord(tag))
        write_f32_be(out, value)
    else:
        raise _misfit(tag)
