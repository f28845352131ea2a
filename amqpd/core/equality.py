"""Whether a declare equals what exists (exchange/declare/equivalent)."""

from amqpd import errors
from amqpd.core.arguments import check_equal
from amqpd.core.exchange import Exchange
from amqpd.wire.tables import Table


def check_equal_exchange(
    current: Exchange,
    vhost: str,
    kind: str,
    durable: bool,
    auto_delete: bool,
    internal: bool,
    arguments: Table,
) -> None:
    """Raise SoftError 406 for the first difference, in RabbitMQ's order."""
    name = current.name
    if current.kind != kind:
        received, held = f"'{kind}'", f"'{current.kind}'"
        raise errors.inequivalent("type", "exchange", name, vhost, received, held)
    check_flag("durable", "exchange", name, vhost, durable, current.durable)
    check_flag("auto_delete", "exchange", name, vhost, auto_delete, current.auto_delete)
    check_flag("internal", "exchange", name, vhost, internal, current.internal)
    key = "alternate-exchange"
    check_equal(key, "exchange", name, vhost, arguments.get(key), current.arguments.get(key))


def check_flag(flag: str, kind: str, name: str, vhost: str, asked: bool, held: bool) -> None:
    """Raise SoftError 406 if a flag differs."""
    if asked != held:
        received, current = ("'true'", "'false'") if asked else ("'false'", "'true'")
        raise errors.inequivalent(flag, kind, name, vhost, received, current)
