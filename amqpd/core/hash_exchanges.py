"""Exchanges that choose one of their bindings by a hash (RabbitMQ: x-consistent-hash,
x-modulus-hash).

A consistent hash exchange has as many buckets as its bindings weigh, in the order of the bindings;
`hashing.jump` chooses one. A binding added at the end takes its share evenly from all, and nothing
else moves. Where one is removed, those behind it move up, as in the plugin. The buckets depend on
the bindings and their order alone, so that messages go the same way after a restart.

Deviation: of several bindings of a destination the first counts, as in the plugin, but if that one
is removed the next takes over; the plugin then has none. An argument of the wrong type is a 406
and not a 541.
"""

from bisect import bisect_right
from typing import Final

from mypy_extensions import i64

from amqpd import errors
from amqpd.core import plugin_errors
from amqpd.core.exchange import Binding, Envelope, Exchange
from amqpd.core.hashing import hash_of, jump
from amqpd.wire import properties, tables
from amqpd.wire.tables import Table

_HEADER: Final = "hash-header"
_PROPERTY: Final = "hash-property"
_PROPERTIES: Final = {
    "correlation_id": properties.CORRELATION_ID,
    "message_id": properties.MESSAGE_ID,
    "timestamp": properties.TIMESTAMP,
}
_BUCKETS_MAX: Final = 1 << 30
_NOTHING: Final = b""  # what is hashed of a message without the header or property


def _weight_of(key: str) -> int:
    """Return a binding's weight. Raises SoftError 406 unless it is an integer above 0."""
    digits = key[1:] if key[:1] in ("+", "-") else key
    if not digits or not (digits.isascii() and digits.isdigit()):
        raise plugin_errors.weight_invalid(key)
    if key[:1] == "-" or not digits.strip("0"):
        raise plugin_errors.weight_too_low()
    return int(digits) if len(digits) < 10 else _BUCKETS_MAX


class ConsistentHashExchange(Exchange):
    """Reaches one binding, the same for the same routing key, header or property."""

    kind = "x-consistent-hash"

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
        header, chosen = self._argument(_HEADER), self._argument(_PROPERTY)
        if header is not None and chosen is not None:
            raise plugin_errors.hash_sources_exclusive()
        if chosen is not None and chosen not in _PROPERTIES:
            raise plugin_errors.unsupported_hash_property(chosen)
        self._header: Final = header
        self._property: Final[int] = _PROPERTIES[chosen] if chosen is not None else 0
        self.needs_headers = header is not None or chosen is not None
        self._weighed: list[Binding] = []  # beside `_ends`: the first bucket past each
        self._ends: list[int] = []
        self._is_stale = False  # bindings have changed since these were worked out

    def _argument(self, key: str) -> str | None:
        field = self.arguments.get(key)
        if field is None:
            return None
        if field.tag != "S":
            raise errors.invalid_exchange_argument_type(
                tables.type_name(field.tag), key, self.name, self.vhost
            )
        return tables.text(field)

    def check(self, binding: Binding) -> None:
        """See Exchange."""
        _weight_of(binding.key)

    def add(self, binding: Binding) -> None:
        """See Exchange."""
        self._is_stale = True

    def remove(self, binding: Binding) -> None:
        """See Exchange."""
        self._is_stale = True

    def _weigh(self) -> None:
        """Work the buckets out anew. O(bindings), once for any number of changes."""
        self._is_stale = False
        weights: list[int] = []
        self._weighed = []
        destinations: dict[tuple[bool, str], bool] = {}
        for binding in self.bindings.values():
            destination = (binding.queue is not None, binding.destination)
            if destination not in destinations:
                destinations[destination] = True
                self._weighed.append(binding)
                weights.append(_weight_of(binding.key))
        shift = 0
        while sum([max(1, weight >> shift) for weight in weights]) > _BUCKETS_MAX:
            shift += 1
        end = 0
        self._ends = []
        for weight in weights:
            end += max(1, weight >> shift)
            self._ends.append(end)

    def route(self, envelope: Envelope, found: list[Binding]) -> None:
        """See Exchange. O(log weight + log bindings)."""
        if self._is_stale:
            self._weigh()
        if not self._ends:
            return
        bucket = jump(hash_of(self._hashed(envelope)), self._ends[-1])
        found.append(self._weighed[bisect_right(self._ends, int(bucket))])

    def _hashed(self, envelope: Envelope) -> bytes:
        """Return what of a message is hashed."""
        if self._header is not None:
            field = envelope.headers.get(self._header)
            if field is None:
                return _NOTHING
            value = field.value
            return value if isinstance(value, bytes) else tables.encode_table({"": field})
        if self._property:
            content = envelope.content
            if not content or not properties.flags_of(content) & self._property:
                return _NOTHING
            first, past = properties.span(content, self._property, envelope.header_bytes)
            return content[first:past]
        return envelope.keys[0].encode("utf-8", "surrogateescape")


class ModulusHashExchange(Exchange):
    """Reaches one binding, chosen by the remainder of the routing keys' hash."""

    kind = "x-modulus-hash"

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
        self._bound: list[Binding] = []

    def add(self, binding: Binding) -> None:
        """See Exchange."""
        self._bound.append(binding)

    def remove(self, binding: Binding) -> None:
        """See Exchange."""
        self._bound.remove(binding)

    def route(self, envelope: Envelope, found: list[Binding]) -> None:
        """See Exchange."""
        if self._bound:
            keys = "\0".join(envelope.keys).encode("utf-8", "surrogateescape")
            hashed: i64 = hash_of(keys)
            found.append(self._bound[hashed % len(self._bound)])
