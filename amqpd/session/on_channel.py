"""channel.* on an open channel (spec 1.5)."""

from pamqp import base, commands

from amqpd import errors
from amqpd.session.channel import Channel
from amqpd.wire import methods
from amqpd.wire.tables import Table


def on_channel_open(channel: Channel, method: base.Frame, arguments: Table) -> None:
    """channel.open of an open channel is an error (spec 1.5.2.1)."""
    raise errors.second_channel_open()


def on_channel_close(channel: Channel, method: base.Frame, arguments: Table) -> None:
    """channel.close: consumers are cancelled, what is unacked goes back (spec 1.5.2.5)."""
    channel.link.end_channel(channel)


def on_channel_close_ok(channel: Channel, method: base.Frame, arguments: Table) -> None:
    """channel.close-ok without a close of ours says nothing: it crossed a close of the peer."""


def on_channel_flow(channel: Channel, method: base.Frame, arguments: Table) -> None:
    """channel.flow: only `active` can be asked for (spec 1.5.2.3).

    Deviation: as in RabbitMQ, a client cannot pause deliveries by it; basic.qos does that.
    """
    assert isinstance(method, commands.Channel.Flow)
    if not method.active:
        raise errors.not_implemented("active=false")
    reply = commands.Channel.FlowOk(active=True)
    channel.send(methods.encode(reply))


def on_channel_flow_ok(channel: Channel, method: base.Frame, arguments: Table) -> None:
    """channel.flow-ok answers nothing, since the broker never sends channel.flow."""
