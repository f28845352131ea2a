"""What recovery found in a data directory, and how to read its definitions."""

from amqpd.core.consumer import Entry
from amqpd.core.facts import Facts
from amqpd.store.blocks import Damage
from amqpd.store.pages import PageFile, StoredPage
from amqpd.store.records import Corrupt
from amqpd.wire import tables
from amqpd.wire.tables import Table


class RecoveredQueue:
    """A durable queue, and what waits in it, by seq."""

    def __init__(self, definition: Table) -> None:
        self.definition = definition
        self.entries: dict[int, Entry] = {}
        self.next_seq = number_of(definition, "next-seq")

    def saw(self, seq: int) -> None:
        """Note a seq that was in use."""
        if seq >= self.next_seq:
            self.next_seq = seq + 1


class Recovered:
    """Everything that the store had."""

    def __init__(self) -> None:
        self.queues: dict[int, RecoveredQueue] = {}
        self.exchanges: dict[tuple[str, str], Table] = {}
        self.bindings: dict[bytes, Table] = {}
        self.facts = Facts()  # empty: nothing has been made of the configuration yet
        self.last_queue_id = 0
        self.last_file = 0  # highest number of a page file that anything names
        self.segments: list[tuple[int, int]] = []  # (number, bytes of good data)
        self.files: dict[int, PageFile] = {}
        self.pages: dict[int, list[StoredPage]] = {}  # by queue id, in order
        self.useless: list[str] = []  # files that nothing needs
        self.torn: list[tuple[str, int]] = []  # (segment, where to cut)
        self.holes: list[tuple[str, int, int, int]] = []  # (segment, offset, end, group) to fill
        self.damage: list[Damage] = []
        self.short: list[tuple[int, int, int]] = []  # (page file, queue id, bytes): damaged so
        self.quarantine: list[tuple[str, int, int]] = []  # (file, offset, end) to set aside
        self.last_group = 0
        self.is_clean = True
        self.redelivered: dict[int, list[tuple[int, int]]] = {}  # by queue id: (first, last seq)


def text_of(table: Table, key: str) -> str:
    """Return a text of a definition. Raises Corrupt if it has none of that name."""
    field = table.get(key)
    if field is None:
        raise Corrupt(f"a definition without {key}")
    return tables.text(field)


def number_of(table: Table, key: str) -> int:
    """Return a number of a definition. Raises Corrupt if it has none of that name."""
    field = table.get(key)
    number = tables.integer(field) if field is not None else None
    if number is None:
        raise Corrupt(f"a definition without {key}")
    return number


def flag_of(table: Table, key: str) -> bool:
    """Return a boolean of a definition."""
    field = table.get(key)
    return field is not None and field.value is True


def arguments_of(table: Table) -> Table:
    """Return the arguments of a definition."""
    field = table.get("arguments")
    if field is None or not isinstance(field.value, dict):
        raise Corrupt("a definition without arguments")
    return field.value
