"""Field tables, each value with its type (spec 4.2.5.5, in RabbitMQ's dialect).

A value is a `Typed`: the type's octet and the value. What Python has a natural type for may also
be given bare, and is then sent as: str S, bytes x, bool t, int I or l, float d, dict F, list A,
None V.
"""

import struct
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple


class Typed(NamedTuple):
    """A table value with the octet that says its type."""

    tag: str
    value: object


class BadTable(ValueError):
    """These bytes are no field table."""


_NUMBERS: Final = {
    "t": struct.Struct(">?"),
    "b": struct.Struct(">b"),
    "B": struct.Struct(">B"),
    "s": struct.Struct(">h"),
    "u": struct.Struct(">H"),
    "I": struct.Struct(">i"),
    "i": struct.Struct(">I"),
    "l": struct.Struct(">q"),
    "L": struct.Struct(">q"),
    "f": struct.Struct(">f"),
    "d": struct.Struct(">d"),
    "T": struct.Struct(">Q"),
}
_DECIMAL: Final = struct.Struct(">BI")
_LENGTH: Final = struct.Struct(">I")


def natural(value: object) -> Typed:
    """The type with which a bare Python value is sent."""
    if isinstance(value, Typed):
        return value
    if isinstance(value, bool):
        return Typed("t", value)
    if isinstance(value, int):
        return Typed("I" if -(2**31) <= value < 2**31 else "l", value)
    for kind, tag in ((str, "S"), (bytes, "x"), (float, "d"), (Mapping, "F"), (list, "A")):
        if isinstance(value, kind):
            return Typed(tag, value)
    if value is None:
        return Typed("V", None)
    raise TypeError(f"no field table type for {value!r}")


def encode_table(table: Mapping[str, object]) -> bytes:
    """The bytes of a table, with its length in front."""
    body = b"".join(
        bytes([len(name.encode())]) + name.encode() + _encode(natural(value))
        for name, value in table.items()
    )
    return _LENGTH.pack(len(body)) + body


def _encode(typed: Typed) -> bytes:
    tag, value = typed
    octet = tag.encode()
    if tag in _NUMBERS:
        return octet + _NUMBERS[tag].pack(value)
    if tag == "V":
        return octet
    if tag == "F":
        assert isinstance(value, Mapping)
        return octet + encode_table(value)
    if tag == "A":
        assert isinstance(value, Sequence)
        body = b"".join(_encode(natural(item)) for item in value)
        return octet + _LENGTH.pack(len(body)) + body
    if tag == "D":
        assert isinstance(value, Sequence)
        return octet + _DECIMAL.pack(*value)
    text = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    assert isinstance(text, bytes)
    return octet + _LENGTH.pack(len(text)) + text


def decode_table(data: bytes, at: int) -> tuple[dict[str, Typed], int]:
    """Read a table at `at`. Returns it and the offset just past it. Raises BadTable."""
    try:
        (length,) = _LENGTH.unpack_from(data, at)
        at += 4
        end = at + length
        if end > len(data):
            raise BadTable("a table runs past its frame")
        found: dict[str, Typed] = {}
        while at < end:
            size = data[at]
            name = data[at + 1 : at + 1 + size].decode("utf-8", "surrogateescape")
            found[name], at = _decode(data, at + 1 + size)
        return found, at
    except (struct.error, IndexError) as error:
        raise BadTable(str(error)) from error


def _decode(data: bytes, at: int) -> tuple[Typed, int]:
    tag = chr(data[at])
    at += 1
    if tag in _NUMBERS:
        number = _NUMBERS[tag]
        return Typed(tag, number.unpack_from(data, at)[0]), at + number.size
    if tag == "V":
        return Typed(tag, None), at
    if tag == "F":
        table, at = decode_table(data, at)
        return Typed(tag, table), at
    if tag == "D":
        return Typed(tag, list(_DECIMAL.unpack_from(data, at))), at + _DECIMAL.size
    (length,) = _LENGTH.unpack_from(data, at)
    at += 4
    end = at + length
    if tag == "A":
        items = []
        while at < end:
            item, at = _decode(data, at)
            items.append(item)
        return Typed(tag, items), at
    body = data[at:end]
    if tag == "S":
        return Typed(tag, body.decode("utf-8", "surrogateescape")), end
    if tag == "x":
        return Typed(tag, body), end
    raise BadTable(f"type {tag!r}")
