"""Definitions: everything durable that is no message, as field tables in the journal.

Each is the fact that a declare, bind or delete of a client made so, with the same arguments and
their types; a snapshot is the same facts for all that exists. Keys are short: `op` says which.
"""

from typing import Final

from librt.strings import BytesWriter

from amqpd.core.events import EVENTS
from amqpd.core.facts import Facts
from amqpd.core.part import Part
from amqpd.core.vhost import PREDECLARED, VHost
from amqpd.store import records
from amqpd.wire import tables
from amqpd.wire.tables import Table

QUEUE_DECLARED: Final = "queue.declared"
QUEUE_DELETED: Final = "queue.deleted"
PART_DECLARED: Final = "part.declared"
EXCHANGE_DECLARED: Final = "exchange.declared"
EXCHANGE_DELETED: Final = "exchange.deleted"
BOUND: Final = "bound"
UNBOUND: Final = "unbound"
LAST_QUEUE_ID: Final = "last-queue-id"
FACT: Final = "fact"
FACT_GONE: Final = "fact.gone"

_SYSTEM: Final = [name for name, _, _ in PREDECLARED] + [EVENTS]


def write(out: BytesWriter, table: Table) -> None:
    """Append a DEFINED record."""
    records.write_record(out, records.DEFINED, tables.encode_table(table))


def queue_declared(
    queue_id: int, vhost: str, name: str, auto_delete: bool, arguments: Table, next_seq: int
) -> Table:
    """A durable queue exists."""
    return {
        "op": tables.longstr(QUEUE_DECLARED),
        "id": tables.long(queue_id),
        "vhost": tables.longstr(vhost),
        "name": tables.longstr(name),
        "auto-delete": tables.boolean(auto_delete),
        "arguments": tables.table(arguments),
        "next-seq": tables.long(next_seq),
    }


def part_declared(queue_id: int, vhost: str, exchange: str, part: str, next_seq: int) -> Table:
    """A durable exchange has a queue that no client can name."""
    return {
        "op": tables.longstr(PART_DECLARED),
        "id": tables.long(queue_id),
        "vhost": tables.longstr(vhost),
        "exchange": tables.longstr(exchange),
        "part": tables.longstr(part),
        "name": tables.longstr(f"{exchange} ({part})"),  # for people
        "next-seq": tables.long(next_seq),
    }


def queue_deleted(queue_id: int) -> Table:
    """A durable queue is gone, with all its messages and bindings."""
    return {"op": tables.longstr(QUEUE_DELETED), "id": tables.long(queue_id)}


def exchange_declared(
    vhost: str, name: str, kind: str, auto_delete: bool, internal: bool, arguments: Table
) -> Table:
    """A durable exchange exists."""
    return {
        "op": tables.longstr(EXCHANGE_DECLARED),
        "vhost": tables.longstr(vhost),
        "name": tables.longstr(name),
        "kind": tables.longstr(kind),
        "auto-delete": tables.boolean(auto_delete),
        "internal": tables.boolean(internal),
        "arguments": tables.table(arguments),
    }


def exchange_deleted(vhost: str, name: str) -> Table:
    """A durable exchange is gone, with all its bindings."""
    return {
        "op": tables.longstr(EXCHANGE_DELETED),
        "vhost": tables.longstr(vhost),
        "name": tables.longstr(name),
    }


def binding(
    bound: bool,
    vhost: str,
    source: str,
    to_queue: bool,
    destination: str,
    key: str,
    arguments: Table,
) -> Table:
    """A binding between durable ends exists, or is gone."""
    return {
        "op": tables.longstr(BOUND if bound else UNBOUND),
        "vhost": tables.longstr(vhost),
        "source": tables.longstr(source),
        "to-queue": tables.boolean(to_queue),
        "destination": tables.longstr(destination),
        "key": tables.longstr(key),
        "arguments": tables.table(arguments),
    }


def fact_changed(fact: Table, gone: bool) -> Table:
    """A user, vhost, permission, parameter or policy is as the fact says, or gone.

    With a vhost or a user goes what belongs to it, queues and exchanges and all.
    """
    table: Table = {"op": tables.longstr(FACT_GONE if gone else FACT)}
    table.update(fact)
    return table


def write_snapshot(
    out: BytesWriter, vhosts: dict[str, VHost], last_queue_id: int, facts: Facts
) -> None:
    """Append SNAPSHOT and a definition for everything durable; the caller appends SNAPSHOT_END."""
    records.write_record(out, records.SNAPSHOT, b"")
    write(out, {"op": tables.longstr(LAST_QUEUE_ID), "id": tables.long(last_queue_id)})
    for fact in facts.by_key.values():
        write(out, fact_changed(fact, False))
    for vhost in vhosts.values():
        for exchange in vhost.exchanges.values():
            if exchange.durable and exchange.name not in _SYSTEM:
                write(
                    out,
                    exchange_declared(
                        vhost.name,
                        exchange.name,
                        exchange.kind,
                        exchange.auto_delete,
                        exchange.internal,
                        exchange.arguments,
                    ),
                )
        for queue in vhost.queues.values():
            if queue.durable:
                write(
                    out,
                    queue_declared(
                        queue.id,
                        vhost.name,
                        queue.name,
                        queue.auto_delete,
                        queue.arguments,
                        int(queue.next_seq),
                    ),
                )
        for queue in vhost.parts.values():
            if isinstance(queue, Part) and queue.durable:
                seq = int(queue.next_seq)
                write(out, part_declared(queue.id, vhost.name, queue.exchange, queue.part, seq))
        for bound in vhost.bindings():
            if bound.durable:
                write(
                    out,
                    binding(
                        True,
                        vhost.name,
                        bound.source.name,
                        bound.queue is not None,
                        bound.destination,
                        bound.key,
                        bound.arguments,
                    ),
                )
