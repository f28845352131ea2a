"""Exchanges, bindings and routing as plain dictionaries, written from the contract."""

from dataclasses import dataclass, field
from typing import Any

# (is a queue, destination, key, arguments sorted)
Row = tuple[bool, str, str, tuple[tuple[str, Any], ...]]


@dataclass
class ExchangeModel:
    """An exchange; `rows` are the bindings from it, in the order in which they were made."""

    name: str
    kind: str
    durable: bool = True
    auto_delete: bool = False
    internal: bool = False
    alternate: str | None = None
    rows: dict[Row, None] = field(default_factory=dict)


class Topology:
    """All exchanges of a vhost; queues are known by name, and owned by the model."""

    def __init__(self, queues: dict[str, Any]) -> None:
        self.queues = queues
        self.exchanges: dict[str, ExchangeModel] = {}

    # -- bindings ----------------------------------------------------------------------------------

    def bind(self, source: str, row: Row) -> None:
        """Add a binding."""
        self.exchanges[source].rows.setdefault(row)

    def unbind(self, source: str, row: Row) -> list[str]:
        """Take a binding away. Returns the exchanges that went with it."""
        exchange = self.exchanges.get(source)
        if exchange is None or row not in exchange.rows:
            return []
        del exchange.rows[row]
        return self._sweep([exchange])

    def delete_exchange(self, name: str) -> list[str]:
        """Delete an exchange that exists. Returns all that went, itself first."""
        del self.exchanges[name]
        return [name, *self._cut_off(False, name)]

    def cut_off_queue(self, name: str) -> list[str]:
        """Take all bindings to a queue away. Returns the exchanges that went with them."""
        return self._cut_off(True, name)

    def _cut_off(self, is_queue: bool, name: str) -> list[str]:
        touched = []
        for exchange in self.exchanges.values():
            kept = {row: None for row in exchange.rows if row[:2] != (is_queue, name)}
            if len(kept) != len(exchange.rows):
                exchange.rows = kept
                touched.append(exchange)
        return self._sweep(touched)

    def _sweep(self, touched: list[ExchangeModel]) -> list[str]:
        """Delete those auto-delete exchanges that have just lost their last binding."""
        gone = []
        for exchange in touched:
            unused = exchange.auto_delete and not exchange.rows
            if unused and self.exchanges.get(exchange.name) is exchange:
                gone += self.delete_exchange(exchange.name)
        return gone

    def is_durable(self, source: str, row: Row) -> bool:
        """Whether a binding is one between durable ends."""
        ends = self.queues if row[0] else self.exchanges
        return self.exchanges[source].durable and bool(ends[row[1]].durable)

    # -- routing -----------------------------------------------------------------------------------

    def route(self, exchange: str, keys: list[str], headers: dict[str, Any]) -> list[str]:
        """Return the names of the queues that a message reaches."""
        if exchange == "":
            return list(dict.fromkeys(key for key in keys if key in self.queues))
        found: dict[str, None] = {}
        seen = [exchange]
        for name in seen:
            here = self.exchanges[name]
            rows = [row for row in here.rows if passes(here.kind, row, keys, headers)]
            onward = [row[1] for row in rows if not row[0]]
            if not rows and here.alternate is not None:
                onward = [here.alternate]
            found.update((row[1], None) for row in rows if row[0])
            seen += [
                next_name
                for next_name in dict.fromkeys(onward)
                if next_name in self.exchanges and next_name not in seen
            ]
        return list(found)


def passes(kind: str, row: Row, keys: list[str], headers: dict[str, Any]) -> bool:
    """Say whether a message with these keys and headers passes a binding."""
    _, _, pattern, arguments = row
    if kind == "fanout":
        return True
    if kind == "direct":
        return pattern in keys
    if kind == "topic":
        return any(_fits(_words(pattern), _words(key)) for key in keys)
    wanted = {name: value for name, value in arguments if not name.startswith("x-")}
    hits = [headers.get(name) == value for name, value in wanted.items()]
    return any(hits) if dict(arguments).get("x-match") == "any" else all(hits)


def _words(text: str) -> list[str]:
    return text.split(".") if text else []


def _fits(pattern: list[str], key: list[str]) -> bool:
    if not pattern:
        return not key
    if pattern[0] == "#":
        return any(_fits(pattern[1:], key[skipped:]) for skipped in range(len(key) + 1))
    return bool(key) and pattern[0] in ("*", key[0]) and _fits(pattern[1:], key[1:])
