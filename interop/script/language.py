"""The words of scripts: lines to steps, and what was heard to lines.

A step is a place, a method and its fields. The place is a connection (a letter) and a channel (a
number): `a1`. A field is `name=value`; a bit that is set is its name alone. A value is JSON, or a
bare word that stands for itself. A message's properties and `body` stand among the fields.
`~` in a string begins a name of this run; `$1` is the first name that the broker made up.

Table values are sent as JSON suggests (string S, number I, l or d, true t, null V, object F,
array A); any other type is an object with one key, "!" and the type: {"!u": 5}, {"!x": "hex"}.

Besides methods there are these steps:

    a connect           open the connection (any step does, if it is not open); fields are what is
                        said otherwise than usual: user, password, mechanism, response, vhost,
                        channel-max, frame-max, heartbeat, capabilities; `show` shows the greeting
    a hello bytes=HEX   send these bytes as the first on a new socket
    a drop              close its socket without a word
    a1 open             open the channel (any step does)
    a heartbeat         send a heartbeat frame
    a raw bytes=HEX     send these bytes, whatever they are; awaits=METHOD waits for the answer
    a1 frame kind=2 payload=HEX    a frame on this channel, `end` to have another last octet
    wait ms=100         let time pass
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from interop.wire.codec import Said
from interop.wire.methods import BY_NAME, PROPERTIES, PROPERTY_NAMES
from interop.wire.tables import Typed, natural

SPECIAL: Final = ("connect", "drop", "open", "heartbeat", "raw", "frame", "hello", "wait")
_PLACE: Final = re.compile(r"([a-z])(\d*)$")
_BARE: Final = re.compile(r"[^\s\"{\[=]\S*")
_FIELD: Final = re.compile(r"([a-z][a-z0-9-]*)(=?)")
_WORD: Final = re.compile(r"[~$*#\w.@/-]+$")
_PROPERTY_KINDS: Final = dict(PROPERTIES)
_NOT_WORDS: Final = re.compile(r"-?\d|(true|false|null)$")


class BadScript(ValueError):
    """A line that is no step; the text says which and why."""


@dataclass(frozen=True)
class Step:
    """One thing that a client does."""

    connection: str
    channel: int
    name: str
    fields: dict[str, object] = field(default_factory=dict)

    def without(self, name: str) -> "Step":
        """The same step with one field less."""
        return replace(self, fields={k: v for k, v in self.fields.items() if k != name})

    def said(self) -> Said:
        """The method and its message."""
        properties = {k: v for k, v in self.fields.items() if k in self._properties()}
        body = self.fields.get("body", "")
        rest = {k: v for k, v in self.fields.items() if k not in properties and k != "body"}
        assert isinstance(body, str)
        return Said(self.name, rest, properties, body.encode())

    def _properties(self) -> frozenset[str]:
        return PROPERTY_NAMES if self.name == "basic.publish" else frozenset()


def parse(text: str) -> list[Step]:
    """Read a script; empty lines and those that begin with # are left out. Raises BadScript."""
    lines = (line.strip() for line in text.splitlines())
    return [parse_line(line) for line in lines if line and not line.startswith("#")]


def parse_line(line: str) -> Step:
    """Read one step. Raises BadScript."""
    words = line.split(maxsplit=2)
    if words[0] == "wait":
        return Step("", 0, "wait", _fields(line[4:], line))
    place = _PLACE.match(words[0])
    if place is None or len(words) < 2:
        raise BadScript(f"no place and method: {line}")
    name = words[1]
    if name not in BY_NAME and name not in SPECIAL:
        raise BadScript(f"no such method: {line}")
    rest = words[2] if len(words) > 2 else ""
    fields = {key: _as_sent(name, key, value) for key, value in _fields(rest, line).items()}
    return Step(place[1], int(place[2] or 0), name, fields)


def _as_sent(name: str, key: str, value: object) -> object:
    """A bare number where text is sent is that text; a bit may be said to be true or false."""
    kinds = dict(BY_NAME[name].fields) if name in BY_NAME else {}
    kind = kinds.get(key, _PROPERTY_KINDS.get(key, "shortstr" if key == "body" else ""))
    if kind == "bit":
        return value not in (False, "false")
    is_text = kind in ("shortstr", "longstr") and not isinstance(value, str | bool)
    return str(value) if is_text else value


def _fields(text: str, line: str) -> dict[str, object]:
    found: dict[str, object] = {}
    text = text.strip()
    while text:
        match = _FIELD.match(text)
        if match is None:
            raise BadScript(f"no field at {text!r}: {line}")
        text = text[match.end() :]
        value: object = True
        if match[2]:
            value, text = _value(text, line)
        found[match[1]] = value
        text = text.strip()
    return found


def _value(text: str, line: str) -> tuple[object, str]:
    bare = _BARE.match(text)
    if bare is not None:
        word = bare[0]
        is_number = re.fullmatch(r"-?\d+", word) is not None
        return (int(word) if is_number else word), text[bare.end() :]
    try:
        value, end = json.JSONDecoder().raw_decode(text)
    except ValueError as error:
        raise BadScript(f"{error}: {line}") from error
    return from_json(value), text[end:]


def from_json(value: object) -> object:
    """A JSON value as what the wire knows."""
    if isinstance(value, dict):
        if len(value) == 1 and next(iter(value)).startswith("!"):
            ((tag, inner),) = value.items()
            known = bytes.fromhex(inner) if tag == "!x" else from_json(inner)
            return Typed(tag[1:], known)
        return {name: from_json(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [from_json(item) for item in value]
    return value


def to_json(value: object) -> object:
    """What the wire knows as JSON; the inverse of `from_json`."""
    if isinstance(value, Typed):
        inner = to_json(value.value)
        usual = natural(value.value).tag
        if isinstance(value.value, bytes):
            inner, usual = value.value.hex(), ""  # JSON has no bytes
        return inner if usual == value.tag else {f"!{value.tag}": inner}
    if isinstance(value, Mapping):
        return {name: to_json(inner) for name, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [to_json(item) for item in value]
    if isinstance(value, bytes):
        return {"!x": value.hex()}
    return value


def show_step(step: Step) -> str:
    """A step as its line."""
    place = f"{step.connection}{step.channel or ''}"
    return f"{place} {step.name} {show_fields(step.fields)}".strip()


def show_said(said: Said) -> str:
    """What was heard, in the words of scripts."""
    fields = {name: value for name, value in said.fields.items() if value not in (False, "", {})}
    text = f"{said.name} {show_fields({**fields, **said.properties})}".strip()
    method = BY_NAME.get(said.name)
    if method is None or not method.has_content:
        return text
    if len(said.body) > 200:
        return f"{text} body-bytes={len(said.body)}"
    return f"{text} body={json.dumps(said.body.decode('utf-8', 'backslashreplace'))}"


def show_fields(fields: Mapping[str, object]) -> str:
    """Fields as they stand in a line."""
    return " ".join(_show_field(name, value) for name, value in fields.items())


def _show_field(name: str, value: object) -> str:
    if value is True:
        return name
    if isinstance(value, str) and _WORD.match(value) and not _NOT_WORDS.match(value):
        return f"{name}={value}"
    return f"{name}={json.dumps(to_json(value), ensure_ascii=False)}"
