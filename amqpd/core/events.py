"""What happens to queues, exchanges and all the rest, for exchange `amq.rabbitmq.event`.

A happening has RabbitMQ's name (`queue.created`), which is the routing key, and RabbitMQ's facts,
which are the headers, in its order and notation: lists of arguments are Erlang terms as text
(RabbitMQ: event exchange). They are gathered here while somebody has bound something to the
exchange, and published by the session in the end of a turn, when all of it is done.
"""

from typing import Final

from amqpd.core.arguments import QUORUM, type_of
from amqpd.core.exchange import Binding, Exchange
from amqpd.core.queue import Queue
from amqpd.core.timers import Timers
from amqpd.wire import tables
from amqpd.wire.tables import Field, Table

EVENTS: Final = "amq.rabbitmq.event"
INTERNAL: Final = "rmq-internal"  # who does what nobody asked for


class Happening:
    """Something that has happened: its name, the facts, and when (wall clock, ms)."""

    def __init__(self, event: str, fields: Table, wall_ms: int) -> None:
        self.event: Final = event
        self.fields: Final = fields
        self.wall_ms: Final = wall_ms


class Events:
    """Gathers what happens while it is wanted; `actor` is the user whose method is carried out."""

    def __init__(self, timers: Timers | None = None) -> None:
        self.exchange: Exchange | None = None
        self.actor = INTERNAL
        self.pending: list[Happening] = []
        self._timers: Final = timers or Timers()

    @property
    def is_wanted(self) -> bool:
        """Whether anything is bound to the exchange."""
        return self.exchange is not None and len(self.exchange.bindings) > 0

    def tell(self, event: str, fields: Table, actor: str = "") -> None:
        """Note a happening; who caused it is told unless `actor` is "-"."""
        if not self.is_wanted:
            return
        told: Table = {}
        if actor != "-":
            told["user_who_performed_action"] = tables.longstr(actor or self.actor)
        told.update(fields)
        wall_ms = self._timers.now_ms + self._timers.wall_offset_ms
        self.pending.append(Happening(event, told, wall_ms))

    # -- of a vhost ------------------------------------------------------------------------------

    def queue_created(self, vhost: str, queue: Queue) -> None:
        """A queue was declared for the first time."""
        if self.is_wanted:
            fields = {
                "exclusive": tables.boolean(queue.owner != 0),
                "owner_pid": tables.longstr(pid(queue.owner) if queue.owner else ""),
                "arguments": terms(queue.arguments),
                "auto_delete": tables.boolean(queue.auto_delete),
                "durable": tables.boolean(queue.durable),
            }
            if type_of(queue.arguments) == QUORUM:
                fields["type"] = tables.longstr(QUORUM)
            self.tell("queue.created", fields | _resource(queue.name, vhost))

    def queue_deleted(self, vhost: str, queue: Queue, actor: str = "") -> None:
        """A queue is gone."""
        if self.is_wanted:
            self.tell("queue.deleted", _resource(queue.name, vhost), actor)

    def exchange_created(self, vhost: str, exchange: Exchange) -> None:
        """An exchange was declared for the first time."""
        if self.is_wanted:
            fields = {
                "policy": tables.longstr(exchange.policy.name if exchange.policy else ""),
                "arguments": terms(exchange.arguments),
                "internal": tables.boolean(exchange.internal),
                "auto_delete": tables.boolean(exchange.auto_delete),
                "durable": tables.boolean(exchange.durable),
                "type": tables.longstr(exchange.kind),
            }
            self.tell("exchange.created", fields | _resource(exchange.name, vhost))

    def exchange_deleted(self, vhost: str, exchange: Exchange) -> None:
        """An exchange is gone."""
        if self.is_wanted:
            self.tell("exchange.deleted", _resource(exchange.name, vhost))

    def binding_created(self, vhost: str, binding: Binding) -> None:
        """A binding was made that was not there."""
        if self.is_wanted:
            self.tell("binding.created", _binding(vhost, binding))

    def binding_deleted(self, vhost: str, binding: Binding) -> None:
        """A binding is gone."""
        if self.is_wanted:
            self.tell("binding.deleted", _binding(vhost, binding))


def _resource(name: str, vhost: str) -> Table:
    return {"name": tables.longstr(name), "vhost": tables.longstr(vhost)}


def _binding(vhost: str, binding: Binding) -> Table:
    return {
        "vhost": tables.longstr(vhost),
        "arguments": terms(binding.arguments),
        "routing_key": tables.longstr(binding.key),
        "destination_kind": tables.longstr("queue" if binding.queue is not None else "exchange"),
        "destination_name": tables.longstr(binding.destination),
        "source_kind": tables.longstr("exchange"),
        "source_name": tables.longstr(binding.source.name),
    }


def pid(connection: int, channel: int = 0) -> str:
    """Return what stands for an Erlang process: something that tells this one from others."""
    return f"<amqpd.{connection}.{channel}>"


def terms(arguments: Table) -> Field:
    """Return arguments as RabbitMQ's plugin tells them: an array of Erlang terms as text."""
    return tables.array(
        [tables.longstr(_entry(name, field, 0)) for name, field in arguments.items()]
    )


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _value(field: Field, depth: int) -> str:
    value = field.value
    if field.tag == "t":
        return "true" if value else "false"
    if field.tag in ("S", "x"):
        return f"<<{_quoted(tables.text(field))}>>"
    if value is None:
        return "undefined"
    if isinstance(value, dict):
        items = [] if depth > _DEPTH_MAX else list(value.items())
        return f"[{','.join([_entry(name, item, depth + 1) for name, item in items])}]"
    if isinstance(value, list):
        inner = [] if depth > _DEPTH_MAX else value
        return f"[{','.join([_typed(item, depth + 1) for item in inner])}]"
    return str(value)


def _entry(name: str, field: Field, depth: int) -> str:
    return f"{{<<{_quoted(name)}>>,{tables.type_name(field.tag)},{_value(field, depth)}}}"


def _typed(field: Field, depth: int) -> str:
    return f"{{{tables.type_name(field.tag)},{_value(field, depth)}}}"


_DEPTH_MAX: Final = 8  # tables in tables are told so far
