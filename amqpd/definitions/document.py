"""A definitions document: RabbitMQ's JSON, read into sections of rows.

A `Row` is one entry of a section. It hands out its values typed, says where it stands if one of
them is not what it should be, and remembers which keys nobody asked for: these are named in
`notes`, so that nothing is dropped without a word.

Old files are read as well: pairs in lists where there are objects now (`[["max-length", 5]]`), tags
in one text, users without the name of their hash's algorithm.
"""

import json
from typing import Final

from amqpd.core.policy_check import fields_of
from amqpd.wire import tables
from amqpd.wire.tables import Table

USERS: Final = "users"
VHOSTS: Final = "vhosts"
PERMISSIONS: Final = "permissions"
TOPIC_PERMISSIONS: Final = "topic_permissions"
PARAMETERS: Final = "parameters"
GLOBAL_PARAMETERS: Final = "global_parameters"
POLICIES: Final = "policies"
QUEUES: Final = "queues"
EXCHANGES: Final = "exchanges"
BINDINGS: Final = "bindings"

SECTIONS: Final = (
    USERS,
    VHOSTS,
    PERMISSIONS,
    TOPIC_PERMISSIONS,
    PARAMETERS,
    GLOBAL_PARAMETERS,
    POLICIES,
    QUEUES,
    EXCHANGES,
    BINDINGS,
)
# What a file says of itself; nothing of it is kept.
ABOUT: Final = (
    "rabbit_version",
    "rabbitmq_version",
    "product_name",
    "product_version",
    "rabbitmq_definition_format",
    "original_cluster_name",
    "original_vhost_name",
    "explanation",
    "metadata",
)
NAME_BYTES_MAX: Final = 255


class BadDefinitions(ValueError):
    """Definitions that cannot be used; the text says what and where."""


class Row:
    """One entry of a section."""

    def __init__(self, section: str, index: int, values: dict[str, object]) -> None:
        self.place: Final = f"{section}[{index}]"
        self.values: Final = values
        self._asked: Final[dict[str, bool]] = {}

    @property
    def title(self) -> str:
        """Its place, and its name if it has one."""
        for key in ("name", "user", "source"):
            if isinstance(self.values.get(key), str):
                return f'{self.place} "{self.values[key]}"'
        return self.place

    def bad(self, why: str) -> BadDefinitions:
        """Make the error that says what is wrong with this row."""
        return BadDefinitions(f"{self.title}: {why}")

    def _take(self, key: str) -> object:
        self._asked[key] = True
        return self.values.get(key)

    def has(self, key: str) -> bool:
        """Say whether a key is there, with a value."""
        return self._take(key) is not None

    def text(self, key: str, default: str | None = None) -> str:
        """Return a text. Raises BadDefinitions if it is none, or missing without a default."""
        value = self._take(key)
        if value is None:
            if default is None:
                raise self.bad(f"{key} is missing")
            return default
        if not isinstance(value, str):
            raise self.bad(f"{key}: expected a text, not {shown(value)}")
        return value

    def name(self, key: str) -> str:
        """Return a text that is the name of something in AMQP: 255 bytes at most."""
        value = self.text(key)
        size = len(value.encode("utf-8", "surrogateescape"))
        if size > NAME_BYTES_MAX:
            raise self.bad(f"{key} has {size} bytes, more than {NAME_BYTES_MAX}")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """Return true or false."""
        value = self._take(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.bad(f"{key}: expected true or false, not {shown(value)}")
        return value

    def mapping(self, key: str) -> dict[str, object]:
        """Return an object, {} if there is none; also one written as a list of pairs."""
        value = self._take(key)
        if value is None:
            return {}
        found = as_object(value)
        if found is None:
            raise self.bad(f"{key}: expected an object, not {shown(value)}")
        return found

    def arguments(self) -> Table:
        """Return the arguments as a field table."""
        try:
            table = fields_of(self.mapping("arguments"))
            tables.encode_table(table)
        except ValueError as error:  # a number of more than 64 bits, a name that is too long
            raise self.bad(f"arguments: {error}") from None
        return table

    def words(self, key: str) -> tuple[str, ...]:
        """Return texts: a list of them, or one with commas between."""
        value = self._take(key)
        if value is None:
            return ()
        if isinstance(value, str):
            parts = [part.strip() for part in value.split(",")]
            return tuple([part for part in parts if part])
        if not isinstance(value, list):
            raise self.bad(f"{key}: expected a list of texts, not {shown(value)}")
        found: list[str] = []
        for item in value:
            if not isinstance(item, str):
                raise self.bad(f"{key}: expected a list of texts, not one with {shown(item)}")
            found.append(item)
        return tuple(found)

    def value(self, key: str) -> object:
        """Return whatever it is."""
        return self._take(key)

    def unasked(self) -> list[str]:
        """The keys that nobody asked for."""
        return [key for key in self.values if key not in self._asked]


class Document:
    """All rows of a file, by section."""

    def __init__(self) -> None:
        self.rows: Final[dict[str, list[Row]]] = {section: [] for section in SECTIONS}
        self.notes: Final[list[str]] = []  # what of the file is not used

    def of(self, section: str) -> list[Row]:
        """The rows of a section."""
        return self.rows[section]

    def note_unasked(self) -> None:
        """Note the keys of rows that nobody asked for."""
        for rows in self.rows.values():
            for row in rows:
                for key in row.unasked():
                    self.notes.append(f"{row.title}: {key} is not known here")


def read(data: bytes) -> Document:
    """Read a definitions file. Raises BadDefinitions."""
    document = Document()
    if not data.strip():
        return document
    try:
        whole: object = json.loads(data.decode("utf-8-sig"))
        json.dumps(whole, ensure_ascii=False).encode("utf-8", "surrogateescape")
    except UnicodeError as error:
        raise BadDefinitions(f"it is no text in UTF-8: {error}") from None
    except RecursionError:
        raise BadDefinitions("it is nested too deeply") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise BadDefinitions(f"it is no JSON: {where}: {error.msg}") from None
    if not isinstance(whole, dict):
        raise BadDefinitions(f"expected an object with sections, not {shown(whole)}")
    for key, value in whole.items():
        if key in document.rows:
            _read_section(document, str(key), value)
        elif key not in ABOUT:
            document.notes.append(f"the section {key} is not known here")
    return document


def _read_section(document: Document, section: str, value: object) -> None:
    if value is None:
        return
    if not isinstance(value, list):
        raise BadDefinitions(f"{section}: expected a list, not {shown(value)}")
    for index, entry in enumerate(value):
        if not isinstance(entry, dict):
            raise BadDefinitions(f"{section}[{index}]: expected an object, not {shown(entry)}")
        document.rows[section].append(Row(section, index, entry))


def as_object(value: object) -> dict[str, object] | None:
    """Return an object, also one written as a list of pairs; None if it is neither."""
    if isinstance(value, dict):
        return {str(key): item for key, item in value.items()}
    if not isinstance(value, list):
        return None
    found: dict[str, object] = {}
    for pair in value:
        if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[0], str):
            return None
        found[pair[0]] = pair[1]
    return found


def shown(value: object) -> str:
    """Write a JSON value for a message, not all of a long one."""
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
