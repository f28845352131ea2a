"""A fanout exchange that lets no message pass twice (RabbitMQ: x-message-deduplication, of the
community plugin).

A message whose header x-deduplication-header has a value that was seen before goes nowhere (or to
the alternate exchange). Values are remembered for a time, the latest `x-cache-size` of them. On a
durable exchange those of persistent messages survive a restart: each is a little message in a queue
of the exchange (see `part`), stored in one step with the message that brought it.

Deviation: the plugin forgets at a restart unless `x-cache-persistence` is `disk`, here only if it
is `memory`; when the cache is full it forgets some value, where here the oldest goes. What
a full queue refuses is not remembered: it may come again.
"""

from typing import Final

from mypy_extensions import i64

from amqpd.core import plugin_errors
from amqpd.core.consumer import Entry
from amqpd.core.deadletter import headers_of
from amqpd.core.duplicates import HEADER, key_of
from amqpd.core.exchange import Binding, Envelope, Exchange, Home
from amqpd.core.message import Message, make_address
from amqpd.core.part import Part
from amqpd.core.queue import Queue
from amqpd.core.rules import Rules
from amqpd.wire import properties, tables
from amqpd.wire.tables import Field, Table

_SIZE: Final = "x-cache-size"
_TTL: Final = "x-cache-ttl"
_PERSISTENCE: Final = "x-cache-persistence"
_PART: Final = "window"
# A content header with a persistent delivery-mode, and nothing behind it.
_BARE: Final = (
    b"\x02\x00\x01\x00\x00\x00\x0f" + b"\x00\x3c\x00\x00" + bytes(8) + b"\x10\x00\x02\xce"
)


class Window(Part):
    """The values that an exchange remembers, oldest first."""

    def __init__(self, home: Home, exchange: Exchange, size: int, queue_id: int = 0) -> None:
        super().__init__(home, exchange, _PART, queue_id)
        self._size: Final = size
        self._seen: dict[bytes, Entry] = {}

    @property
    def count(self) -> int:
        """How many values are remembered, or were not looked up since their time was over."""
        return len(self._seen)

    def has(self, key: bytes) -> bool:
        """Say whether a value was seen; one whose time is over is forgotten."""
        entry = self._seen.get(key)
        if entry is None:
            return False
        if entry.expires_ms and entry.expires_ms <= self._timers.now_ms:
            self._forget(key)
            return False
        return True

    def _forget(self, key: bytes) -> None:
        self._journal_settled(self._seen.pop(key))

    def add(self, key: bytes, value: Field, expires_ms: i64, stored: bool) -> None:
        """Remember a value that came just now, until then (monotonic ms, 0: no end to it)."""
        if len(self._seen) >= self._size:
            self._forget(next(iter(self._seen)))
        encoded = tables.encode_table({HEADER: value})
        content, header_bytes = properties.with_value(
            _BARE, properties.HEADERS, encoded, len(_BARE)
        )
        address = make_address(self.exchange, "")
        message = Message(address, content, header_bytes, 0, 0, 1, True)
        entry = Entry(message, self.next_seq)
        entry.expires_ms = expires_ms
        if stored and self.durable:
            self._journal.published(message, [self.id], [int(self.next_seq)])
            entry.segment = self._journal.segment
            if expires_ms:
                self._journal.expires(self.id, entry)
        self.next_seq += 1
        self._seen[key] = entry

    def adopted(self) -> None:
        """See Queue."""
        while self.backlog.count > 0:
            entry = self.backlog.pop()
            key = key_of(headers_of(entry.message))
            if key in self._seen:
                self._forget(key)
            self._seen[key] = entry

    def entries_in_memory(self) -> list[Entry]:
        """See Queue."""
        return list(self._seen.values())

    def drop(self) -> None:
        """See Part."""
        for key in list(self._seen):
            self._forget(key)
        super().drop()


class _Gate(Queue):
    """What messages with a value pass beside their queues, so that it is remembered then."""

    def __init__(self, exchange: "UniqueExchange", home: Home) -> None:
        super().__init__(
            home.journal,
            0,
            exchange.vhost,
            "",
            durable=False,
            owner=0,
            auto_delete=False,
            arguments={},
        )
        self.is_hidden = True
        self.rules = Rules({})  # so that all is one step of the journal
        self._home: Final = home
        self._exchange: Final = exchange

    def vetoes(self, message: Message) -> bool:
        """See Queue: a transaction may have brought it twice."""
        return self._exchange.has_seen(headers_of(message))

    def accept(self, message: Message) -> None:
        """See Queue."""
        if not self._home.refused:
            self._exchange.remember(message)


class UniqueExchange(Exchange):
    """See the module."""

    kind = "x-message-deduplication"
    needs_headers = True

    def __init__(
        self,
        vhost: str,
        name: str,
        *,
        durable: bool,
        auto_delete: bool,
        internal: bool,
        arguments: Table,
    ) -> None:
        super().__init__(
            vhost,
            name,
            durable=durable,
            auto_delete=auto_delete,
            internal=internal,
            arguments=arguments,
        )
        size = _number(arguments.get(_SIZE))
        if size < 1:
            raise plugin_errors.invalid_cache_size()
        if _TTL in arguments and _number(arguments.get(_TTL)) < 1:
            raise plugin_errors.invalid_cache_ttl()
        persistence = arguments.get(_PERSISTENCE)
        if persistence is not None:
            if persistence.tag != "S" or tables.text(persistence) not in ("disk", "memory"):
                raise plugin_errors.invalid_cache_persistence()
        self._size: Final = size
        self._ttl_ms: Final = _number(arguments.get(_TTL))
        self._is_stored: Final = persistence is None or tables.text(persistence) == "disk"
        self._home: Home | None = None
        self._window: Window | None = None
        self._gate: Queue | None = None

    @property
    def remembered(self) -> int:
        """How many values are remembered."""
        return self._window.count if self._window is not None else 0

    def installed(self, home: Home) -> None:
        """See Exchange."""
        self._home = home
        self._gate = _Gate(self, home)

    def removed(self) -> None:
        """See Exchange."""
        if self._window is not None:
            self._window.drop()
            self._window = None
        if self._gate is not None:
            self._gate.is_deleted = True

    def restored_part(self, part: str, queue_id: int) -> Queue | None:
        """See Exchange."""
        assert self._home is not None
        self._window = Window(self._home, self, self._size, queue_id)
        return self._window

    def add(self, binding: Binding) -> None:
        """See Exchange."""

    def remove(self, binding: Binding) -> None:
        """See Exchange."""

    def has_seen(self, headers: Table) -> bool:
        """Say whether a message with these headers came before."""
        key = key_of(headers)
        return bool(key) and self._window is not None and self._window.has(key)

    def remember(self, message: Message) -> None:
        """Take note of a message that passes now."""
        headers = headers_of(message)
        field = headers.get(HEADER)
        if field is None or self._home is None:
            return
        if self._window is None:
            self._window = Window(self._home, self, self._size)
        ttl_ms = self._ttl_ms
        own = headers.get(_TTL)
        own_ms = tables.integer(own) if own is not None else None
        if own_ms is not None:
            if own_ms < 1:
                return
            ttl_ms = own_ms
        expires_ms = max(1, self._home.timers.now_ms + ttl_ms) if ttl_ms > 0 else 0
        stored = self._is_stored and message.persistent
        self._window.add(key_of(headers), field, expires_ms, stored)

    def route(self, envelope: Envelope, found: list[Binding]) -> None:
        """See Exchange."""
        if envelope.content and HEADER in envelope.headers and self._gate is not None:
            if self.has_seen(envelope.headers):
                return
            envelope.kept.append(self._gate)
        found.extend(self.bindings.values())


def _number(field: Field | None) -> int:
    """Return an integer, also one in text; 0 if it is none."""
    if field is None:
        return 0
    number = tables.integer(field)
    if number is not None:
        return number
    text = tables.text(field) if field.tag == "S" else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
