"""From a method's index to its handler: one table for all methods but the hottest.

basic.publish, basic.ack and the methods of channel 0 do not come here. What the table does not
hold is a method that only a server sends (RabbitMQ: 503 unimplemented method).
"""

from collections.abc import Callable
from typing import Final

from pamqp import base, commands

from amqpd import errors
from amqpd.protocol.channel import ChannelConversation
from amqpd.session import on_basic, on_channel, on_confirm, on_exchange, on_queue, on_tx
from amqpd.session.channel import Channel
from amqpd.session.context import Dispatcher
from amqpd.wire import methods
from amqpd.wire.tables import Table

Handler = Callable[[Channel, base.Frame, Table], None]

HANDLERS: Final[dict[int, Handler]] = {
    methods.CHANNEL_CLOSE: on_channel.on_channel_close,
    commands.Channel.Flow.index: on_channel.on_channel_flow,
    commands.Channel.FlowOk.index: on_channel.on_channel_flow_ok,
    methods.CHANNEL_CLOSE_OK: on_channel.on_channel_close_ok,
    methods.CHANNEL_OPEN: on_channel.on_channel_open,
    commands.Exchange.Declare.index: on_exchange.on_exchange_declare,
    commands.Exchange.Delete.index: on_exchange.on_exchange_delete,
    commands.Exchange.Bind.index: on_exchange.on_exchange_bind,
    commands.Exchange.Unbind.index: on_exchange.on_exchange_unbind,
    commands.Queue.Declare.index: on_queue.on_queue_declare,
    commands.Queue.Bind.index: on_queue.on_queue_bind,
    commands.Queue.Unbind.index: on_queue.on_queue_unbind,
    commands.Queue.Purge.index: on_queue.on_queue_purge,
    commands.Queue.Delete.index: on_queue.on_queue_delete,
    commands.Basic.Qos.index: on_basic.on_basic_qos,
    commands.Basic.Consume.index: on_basic.on_basic_consume,
    commands.Basic.Cancel.index: on_basic.on_basic_cancel,
    commands.Basic.CancelOk.index: on_basic.on_basic_cancel_ok,
    commands.Basic.Get.index: on_basic.on_basic_get,
    methods.BASIC_NACK: on_basic.on_basic_nack,
    methods.BASIC_REJECT: on_basic.on_basic_reject,
    commands.Basic.Recover.index: on_basic.on_basic_recover,
    commands.Basic.RecoverAsync.index: on_basic.on_basic_recover_async,
    commands.Confirm.Select.index: on_confirm.on_confirm_select,
    commands.Tx.Select.index: on_tx.on_tx_select,
    commands.Tx.Commit.index: on_tx.on_tx_commit,
    commands.Tx.Rollback.index: on_tx.on_tx_rollback,
}


class MethodDispatcher(Dispatcher):
    """The dispatcher of a real broker."""

    def carry_out(self, channel: ChannelConversation, index: int, payload: bytes) -> None:
        """See Dispatcher. Raises what the handler raises, and HardError 503."""
        assert isinstance(channel, Channel)
        if index == methods.ACCESS_REQUEST:
            channel.send(methods.ACCESS_REQUEST_OK)
            return
        handler = HANDLERS.get(index)
        if handler is None:
            raise errors.unimplemented_method()
        method, arguments = methods.decode(payload)
        channel.link.context.events.actor = channel.link.user
        handler(channel, method, arguments)
