"""exchange.* (spec 1.6; RabbitMQ: exchange to exchange bindings)."""

from pamqp import base, commands

from amqpd import errors
from amqpd.auth import CONFIGURE, READ, WRITE
from amqpd.core.exchange import Binding
from amqpd.core.exchange_types import check_type
from amqpd.session.channel import Channel
from amqpd.wire import methods, tables
from amqpd.wire.tables import Table


def clean(name: str) -> str:
    """Take carriage returns and line feeds out of a name, as RabbitMQ does."""
    return name.replace("\r", "").replace("\n", "")


def on_exchange_declare(channel: Channel, method: base.Frame, arguments: Table) -> None:
    """exchange.declare: create, or check that it is equal or exists (spec 1.6.2.1)."""
    assert isinstance(method, commands.Exchange.Declare)
    name = clean(method.exchange)
    if method.passive:
        if name == "":
            raise errors.default_exchange()
        channel.vhost.exchange(name)
    else:
        _declare(channel, method, name, arguments)
    if not method.nowait:
        channel.send(methods.encode(commands.Exchange.DeclareOk()))


def _declare(
    channel: Channel, method: commands.Exchange.Declare, name: str, arguments: Table
) -> None:
    check_type(method.exchange_type)
    if name == "":
        raise errors.default_exchange()
    channel.require(CONFIGURE, "exchange", name)
    alternate = arguments.get("alternate-exchange")
    if alternate is not None and alternate.tag == "S" and name not in channel.vhost.exchanges:
        channel.require(READ, "exchange", name)
        channel.require(WRITE, "exchange", tables.text(alternate))
    position = channel.vhost.declare_exchange(
        name,
        method.exchange_type,
        durable=method.durable,
        auto_delete=method.auto_delete,
        internal=method.internal,
        arguments=arguments,
    )
    channel.hold(position)


def on_exchange_delete(channel: Channel, method: base.Frame, arguments: Table) -> None:
    """exchange.delete: a missing one is fine (spec 1.6.2.3; RabbitMQ: idempotent)."""
    assert isinstance(method, commands.Exchange.Delete)
    name = clean(method.exchange)
    if name == "":
        raise errors.default_exchange()
    if name.startswith("amq."):
        raise errors.system_exchange(name, channel.vhost.name)
    channel.require(CONFIGURE, "exchange", name)
    channel.hold(channel.vhost.delete_exchange(name, method.if_unused))
    if not method.nowait:
        channel.send(methods.encode(commands.Exchange.DeleteOk()))


def _check_ends(channel: Channel, destination: str, source: str) -> None:
    """What bind and unbind of exchanges ask for alike."""
    if destination == "" or source == "":
        raise errors.default_exchange()
    channel.require(WRITE, "exchange", destination)
    channel.require(READ, "exchange", source)


def on_exchange_bind(channel: Channel, method: base.Frame, arguments: Table) -> None:
    """exchange.bind: let an exchange get what another routes to it (RabbitMQ: e2e)."""
    assert isinstance(method, commands.Exchange.Bind)
    destination, source = clean(method.destination), clean(method.source)
    _check_ends(channel, destination, source)
    vhost = channel.vhost
    if source in vhost.exchanges:
        channel.require_topic(READ, vhost.exchanges[source], method.routing_key)
    binding = Binding(
        vhost.exchange(source),
        method.routing_key,
        arguments,
        exchange=vhost.exchange(destination),
    )
    channel.hold(vhost.bind(binding))
    if not method.nowait:
        channel.send(methods.encode(commands.Exchange.BindOk()))


def on_exchange_unbind(channel: Channel, method: base.Frame, arguments: Table) -> None:
    """exchange.unbind: a missing binding is fine (RabbitMQ: e2e)."""
    assert isinstance(method, commands.Exchange.Unbind)
    destination, source = clean(method.destination), clean(method.source)
    _check_ends(channel, destination, source)
    if source in channel.vhost.exchanges:
        channel.require_topic(READ, channel.vhost.exchanges[source], method.routing_key)
    position = channel.vhost.unbind(source, False, destination, method.routing_key, arguments)
    channel.hold(position)
    if not method.nowait:
        channel.send(methods.encode(commands.Exchange.UnbindOk()))
