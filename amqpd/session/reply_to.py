"""Direct reply-to: answers go straight to who asked, without a queue of its own (RabbitMQ page).

A channel consumes `amq.rabbitmq.reply-to` with no-ack; a request that it publishes with that name
in reply-to carries a name made for the channel instead; and whoever publishes to the default
exchange with that name as routing key reaches the channel, from any connection of the vhost.

Here the made name is a queue that only its channel consumes from: transient, auto-delete, and
gone with the consumer. So replies wait like other messages while the connection has no room, where
RabbitMQ sends them at once.
"""

from typing import Final

from pamqp import commands

from amqpd import errors
from amqpd.session.channel import Channel
from amqpd.session.subscription import Subscription
from amqpd.wire import methods

PSEUDO_QUEUE: Final = "amq.rabbitmq.reply-to"


def is_reply_queue(name: str) -> bool:
    """Say whether a name is the pseudo-queue's or one that was made for a channel."""
    return name == PSEUDO_QUEUE or name.startswith(PSEUDO_QUEUE + ".")


def consume(channel: Channel, method: commands.Basic.Consume) -> None:
    """Carry out basic.consume of the pseudo-queue. Raises SoftError 406."""
    if not method.no_ack:
        raise errors.reply_consumer_acknowledges()
    if channel.reply_queue:
        raise errors.reply_consumer_set()
    context, vhost = channel.link.context, channel.vhost
    tag = method.consumer_tag or context.random_name("amq.ctag-")
    if tag in channel.consumers:
        raise errors.consumer_tag_in_use(tag)
    name = context.random_name(PSEUDO_QUEUE + ".")
    vhost.declare_queue(name, durable=False, owner=0, auto_delete=True, arguments={})
    consumer = Subscription(channel, vhost.queues[name], tag, no_ack=True, exclusive=True)
    channel.consumers[tag] = consumer
    channel.reply_queue = name
    consumer.queue.add_consumer(consumer)
    if not method.nowait:
        channel.send(b"\x00\x3c\x00\x15" + methods.encode_shortstr(tag))
    consumer.resume()
