"""confirm.select (RabbitMQ: publisher confirms)."""

from pamqp import base, commands

from amqpd import errors
from amqpd.session.channel import Channel
from amqpd.wire import methods
from amqpd.wire.tables import Table


def on_confirm_select(channel: Channel, method: base.Frame, arguments: Table) -> None:
    """confirm.select: number publishes from 1 on and confirm them; repeating it changes nothing."""
    assert isinstance(method, commands.Confirm.Select)
    if channel.transaction is not None:
        raise errors.tx_to_confirm()
    channel.confirming = True
    if not method.nowait:
        channel.send(methods.encode(commands.Confirm.SelectOk()))
