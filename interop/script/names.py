"""Names that differ from run to run, and what they are called in scripts.

`~` begins the names of a run: sent as a prefix that nobody else uses, and shown as `~` again. What
the broker made up is called `$1`, `$2`, ... in the order in which it was first seen.
"""

import re
from collections.abc import Mapping
from typing import Final

from interop.wire.codec import Said
from interop.wire.tables import Typed

_MADE_UP: Final = re.compile(
    r"amq\.gen-[\w-]{22}|amq\.ctag-[\w-]{22}|amq\.rabbitmq\.reply-to\.[\w./+=@-]+"
)


def _sorted(entry: object) -> object:
    """A table's entries by name."""
    if isinstance(entry, Typed) and isinstance(entry.value, Mapping):
        return Typed(entry.tag, dict(sorted(entry.value.items())))
    return entry


class Names:
    """The names of one run. `vhost` is its own, shown as "/" in texts."""

    def __init__(self, prefix: str, vhost: str) -> None:
        self._prefix = prefix
        self._vhost = vhost
        self._made_up: list[str] = []

    def real(self, value: object) -> object:
        """What is sent for a value of a script."""
        if isinstance(value, str):
            return self._real_text(value)
        if isinstance(value, Typed):
            return Typed(value.tag, self.real(value.value))
        if isinstance(value, Mapping):
            return {name: self.real(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.real(item) for item in value]
        return value

    def shown(self, said: Said) -> Said:
        """What was heard, with names as in scripts."""
        return Said(
            said.name,
            {name: self._shown(value) for name, value in said.fields.items()},
            {name: self._shown(value) for name, value in said.properties.items()},
            said.body,
        )

    def learn(self, name: str) -> None:
        """The broker made up this name."""
        if name not in self._made_up:
            self._made_up.append(name)

    def _real_text(self, text: str) -> str:
        if text.startswith("$"):
            index = int(text[1:]) - 1
            return self._made_up[index] if index < len(self._made_up) else "~none"
        return text.replace("~", self._prefix)

    def _shown(self, value: object) -> object:
        if isinstance(value, str):
            return self._shown_text(value)
        if isinstance(value, Typed):
            return Typed(value.tag, self._shown(value.value))
        if isinstance(value, Mapping):
            return {name: self._shown_entry(name, inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._shown(item) for item in value]
        return value

    def _shown_entry(self, name: str, value: object) -> object:
        """The time of an x-death is now, whenever that is; its fields have no order."""
        if name == "x-death" and isinstance(value, Typed) and isinstance(value.value, list):
            return Typed(value.tag, [_sorted(self._shown(item)) for item in value.value])
        if name == "time" and isinstance(value, Typed) and value.tag == "T":
            return Typed("T", 0)
        return self._shown(value)

    def _shown_text(self, text: str) -> str:
        for match in _MADE_UP.finditer(text):
            self.learn(match[0])
        for index, name in enumerate(self._made_up):
            text = text.replace(name, f"${index + 1}")
        text = text.replace(self._prefix, "~")
        return text.replace(f"vhost '{self._vhost}'", "vhost '/'")
