"""A broker's definitions as a document that RabbitMQ and amqpd read.

Left out as in RabbitMQ: what every vhost has of itself (the default exchange, `amq.` exchanges,
implicit bindings), internal exchanges, exclusive queues, and bindings of any of these but the
`amq.` exchanges.

Field tables become JSON, which has fewer types: all integers become one, binaries become texts.
"""

import json
from typing import Final

from amqpd.core import facts
from amqpd.core.arguments import type_of
from amqpd.core.exchange import Exchange
from amqpd.core.facts import Facts, text_of
from amqpd.core.queue import Queue
from amqpd.core.vhost import VHost
from amqpd.wire import tables
from amqpd.wire.tables import Decimal, Field, Table

FORMAT: Final = "cluster"

Rows = list[dict[str, object]]


def export(known: Facts, vhosts: dict[str, VHost], version: str) -> dict[str, object]:
    """Return all definitions; `version` is the RabbitMQ version that is named in them."""
    parameters = known.of(facts.PARAMETER)
    return {
        "rabbit_version": version,
        "rabbitmq_version": version,
        "product_name": "RabbitMQ",
        "product_version": version,
        "rabbitmq_definition_format": FORMAT,
        "users": [_user(fact) for fact in known.of(facts.USER)],
        "vhosts": [_vhost(fact, parameters) for fact in known.of(facts.VHOST)],
        "permissions": [
            _texts(fact, ("user", "vhost", "configure", "write", "read"))
            for fact in known.of(facts.PERMISSION)
        ],
        "topic_permissions": [
            _texts(fact, ("user", "vhost", "exchange", "write", "read"))
            for fact in known.of(facts.TOPIC_PERMISSION)
        ],
        "parameters": [
            _texts(fact, ("component", "vhost", "name")) | {"value": _value(fact)}
            for fact in parameters
            if text_of(fact, "component") != facts.POLICY
        ],
        "global_parameters": [
            _texts(fact, ("name",)) | {"value": _value(fact)}
            for fact in known.of(facts.GLOBAL_PARAMETER)
        ],
        "policies": [
            _policy(fact) for fact in parameters if text_of(fact, "component") == facts.POLICY
        ],
        "queues": [
            _queue(queue)
            for vhost in vhosts.values()
            for queue in vhost.queues.values()
            if not queue.owner
        ],
        "exchanges": [
            _exchange(exchange)
            for vhost in vhosts.values()
            for exchange in vhost.exchanges.values()
            if _is_exported(exchange)
        ],
        "bindings": _bindings(vhosts),
    }


def as_text(definitions: dict[str, object]) -> str:
    """Write definitions as JSON for people, with a newline at the end."""
    return json.dumps(definitions, indent=1) + "\n"


def _texts(fact: Table, names: tuple[str, ...]) -> dict[str, object]:
    return {name: text_of(fact, name) for name in names}


def _value(fact: Table) -> object:
    value: object = json.loads(text_of(fact, "value"))
    return value


def _user(fact: Table) -> dict[str, object]:
    return {
        "name": text_of(fact, "name"),
        "password_hash": text_of(fact, "hash"),
        "hashing_algorithm": text_of(fact, "algorithm"),
        "tags": list(facts.texts_of(fact, "tags")),
        "limits": facts.limits_of(fact),
    }


def _vhost(fact: Table, parameters: list[Table]) -> dict[str, object]:
    name = text_of(fact, "name")
    row: dict[str, object] = {"name": name, "limits": []}
    metadata: object = json.loads(text_of(fact, "metadata") or "{}")
    assert isinstance(metadata, dict)
    row["metadata"] = {"description": "", "tags": []} | metadata
    for parameter in parameters:
        if text_of(parameter, "component") == facts.VHOST_LIMITS:
            value = _value(parameter)
            if text_of(parameter, "vhost") == name and isinstance(value, dict):
                row["limits"] = [[key, limit] for key, limit in value.items()]
    return row


def _policy(fact: Table) -> dict[str, object]:
    value = _value(fact)
    assert isinstance(value, dict)
    return {
        "vhost": text_of(fact, "vhost"),
        "name": text_of(fact, "name"),
        "pattern": value["pattern"],
        "apply-to": value.get("apply-to", "all"),
        "definition": value["definition"],
        "priority": value.get("priority", 0),
    }


def _queue(queue: Queue) -> dict[str, object]:
    return {
        "name": queue.name,
        "vhost": queue.vhost,
        "type": type_of(queue.arguments),
        "durable": queue.durable,
        "auto_delete": queue.auto_delete,
        "arguments": plain(queue.arguments),
    }


def _is_exported(exchange: Exchange) -> bool:
    return not exchange.internal and not exchange.name.startswith("amq.")


def _exchange(exchange: Exchange) -> dict[str, object]:
    return {
        "name": exchange.name,
        "vhost": exchange.vhost,
        "type": exchange.kind,
        "durable": exchange.durable,
        "auto_delete": exchange.auto_delete,
        "internal": exchange.internal,
        "arguments": plain(exchange.arguments),
    }


def _bindings(vhosts: dict[str, VHost]) -> Rows:
    rows: Rows = []
    for vhost in vhosts.values():
        for binding in vhost.bindings():
            queue, exchange = binding.queue, binding.exchange
            if binding.source.internal or (exchange is not None and exchange.internal):
                continue
            if queue is not None and queue.owner:
                continue
            rows.append(
                {
                    "source": binding.source.name,
                    "vhost": vhost.name,
                    "destination": binding.destination,
                    "destination_type": "queue" if queue is not None else "exchange",
                    "routing_key": binding.key,
                    "arguments": plain(binding.arguments),
                }
            )
    return rows


def plain(table: Table) -> dict[str, object]:
    """Return a field table as a JSON object."""
    return {name: _plain(field) for name, field in table.items()}


def _plain(field: Field) -> object:
    value = field.value
    if isinstance(value, bytes):
        return tables.text(field)
    if isinstance(value, dict):
        return plain(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, Decimal):
        return value.unscaled / 10.0**value.scale
    return value
