"""queue.* (spec 1.7; RabbitMQ: queues)."""

from pamqp import base, commands

from amqpd import errors
from amqpd.auth import CONFIGURE, READ, WRITE
from amqpd.core.arguments import CLASSIC, text_of, type_of
from amqpd.core.exchange import Binding
from amqpd.core.queue import Queue
from amqpd.session import reply_to
from amqpd.session.channel import Channel
from amqpd.session.on_exchange import clean
from amqpd.session.subscription import Subscription
from amqpd.wire import methods
from amqpd.wire.tables import Table


def on_queue_declare(channel: Channel, method: base.Frame, arguments: Table) -> None:
    """queue.declare: create, or check that it is equal or exists (spec 1.7.2.1)."""
    assert isinstance(method, commands.Queue.Declare)
    name = clean(method.queue)
    if reply_to.is_reply_queue(name):
        _declare_reply_queue(channel, method, name)
        return
    if method.passive:
        queue = channel.vhost.queue(name, channel.link.id)
    else:
        queue = _declare(channel, method, name, arguments)
    channel.last_queue = queue.name
    if not method.nowait:
        _send_declare_ok(channel, queue.name, queue.backlog.count, len(queue.consumers))


def _send_declare_ok(channel: Channel, name: str, messages: int, consumers: int) -> None:
    reply = commands.Queue.DeclareOk.__new__(commands.Queue.DeclareOk)
    reply.queue = name  # a name that pamqp's constructor may refuse
    reply.message_count = min(messages, 0xFFFFFFFF)
    reply.consumer_count = consumers
    channel.send(methods.encode(reply))


def _declare_reply_queue(channel: Channel, method: commands.Queue.Declare, name: str) -> None:
    """Tell a responder whether who asked is still there (RabbitMQ: direct reply-to)."""
    if name != reply_to.PSEUDO_QUEUE:
        channel.vhost.queue(name, channel.link.id)
    channel.last_queue = name
    if not method.nowait:
        _send_declare_ok(channel, name, 0, 1)


def _declare(
    channel: Channel, method: commands.Queue.Declare, name: str, arguments: Table
) -> Queue:
    """Create a queue, or check a declare against the one that exists."""
    vhost, link = channel.vhost, channel.link
    if name == "":
        if type_of(arguments) != CLASSIC:
            raise errors.server_named(type_of(arguments))
        name = link.context.random_name("amq.gen-")
    channel.require(CONFIGURE, "queue", name)
    current = vhost.queues.get(name)
    if current is not None:
        vhost.check_equal_queue(
            current,
            durable=method.durable,
            exclusive=method.exclusive,
            owner=link.id,
            auto_delete=method.auto_delete,
            arguments=arguments,
        )
        channel.hold(current.position)
        if type_of(current.arguments) == CLASSIC:
            current.used()
        return current
    if method.queue and name.startswith("amq."):
        raise errors.reserved_name("queue", name)
    vhost.check_queue_limit(name)
    target = text_of(arguments, "x-dead-letter-exchange")
    if target is not None:
        channel.require(READ, "queue", name)
        channel.require(WRITE, "exchange", target)
    position = vhost.declare_queue(
        name,
        durable=method.durable,
        owner=link.id if method.exclusive else 0,
        auto_delete=method.auto_delete,
        arguments=arguments,
    )
    if method.exclusive:
        queue = link.exclusive_queues[name] = vhost.queues[name]
        queue.siblings = link.exclusive_queues
    channel.hold(position)
    return vhost.queues[name]


def on_queue_bind(channel: Channel, method: base.Frame, arguments: Table) -> None:
    """queue.bind: let a routing key on an exchange reach a queue (spec 1.7.2.3).

    Binding twice is not an error. An empty queue name means the queue that this channel declared
    last, and then an empty routing key its name as well.
    """
    assert isinstance(method, commands.Queue.Bind)
    name, exchange = clean(channel.queue_named(method.queue)), clean(method.exchange)
    key = _key_for(method.queue, method.routing_key, name)
    _check_ends(channel, name, exchange)
    vhost = channel.vhost
    source = vhost.exchange(exchange)
    channel.require_topic(READ, source, key)
    binding = Binding(source, key, arguments, queue=vhost.queue(name, channel.link.id))
    channel.hold(vhost.bind(binding))
    if not method.nowait:
        channel.send(methods.encode(commands.Queue.BindOk()))


def on_queue_unbind(channel: Channel, method: base.Frame, arguments: Table) -> None:
    """queue.unbind: a missing binding is fine, also of a queue locked to others (spec 1.7.2.5)."""
    assert isinstance(method, commands.Queue.Unbind)
    name, exchange = clean(channel.queue_named(method.queue)), clean(method.exchange)
    key = _key_for(method.queue, method.routing_key, name)
    _check_ends(channel, name, exchange)
    vhost = channel.vhost
    if exchange in vhost.exchanges:
        channel.require_topic(READ, vhost.exchanges[exchange], key)
    if vhost.is_bound(exchange, name, key, arguments):
        vhost.queue(name, channel.link.id)  # refuses if it is locked
    channel.hold(vhost.unbind(exchange, True, name, key, arguments))
    channel.send(methods.encode(commands.Queue.UnbindOk()))


def _key_for(queue: str, routing_key: str, name: str) -> str:
    return name if queue == "" and routing_key == "" else routing_key


def _check_ends(channel: Channel, queue: str, exchange: str) -> None:
    """What bind and unbind of queues ask for alike."""
    if exchange == "":
        raise errors.default_exchange()
    channel.require(WRITE, "queue", queue)
    channel.require(READ, "exchange", exchange)


def on_queue_purge(channel: Channel, method: base.Frame, arguments: Table) -> None:
    """queue.purge: ready messages leave, unacked ones stay (spec 1.7.2.7)."""
    assert isinstance(method, commands.Queue.Purge)
    name = clean(channel.queue_named(method.queue))
    channel.require(READ, "queue", name)
    queue = channel.vhost.queue(name, channel.link.id)
    count = queue.purge()
    if queue.durable and count:
        channel.hold(channel.link.context.journal.position)  # they do not come back
    if not method.nowait:
        channel.send(methods.encode(commands.Queue.PurgeOk(message_count=count)))


def on_queue_delete(channel: Channel, method: base.Frame, arguments: Table) -> None:
    """queue.delete: a missing one is fine (spec 1.7.2.9; RabbitMQ: idempotent)."""
    assert isinstance(method, commands.Queue.Delete)
    name = clean(channel.queue_named(method.queue))
    channel.require(CONFIGURE, "queue", name)
    vhost, link = channel.vhost, channel.link
    count = 0
    own: list[Subscription] = []
    if name in vhost.queues:
        queue = vhost.queue(name, link.id)
        if type_of(queue.arguments) != CLASSIC:
            for flag, is_set in (("if-unused", method.if_unused), ("if-empty", method.if_empty)):
                if is_set:
                    raise errors.conditional_delete(flag, name, vhost.name)
        if method.if_empty and queue.backlog.count > 0:
            raise errors.not_empty(name, vhost.name)
        if method.if_unused and queue.consumers:
            raise errors.in_use("queue", name, vhost.name)
        own = channel.subscriptions_of(queue)
        for subscription in own:
            subscription.is_told_later = True
        count, position = channel.delete_queue(queue)
        channel.hold(position)
    else:
        channel.hold(link.context.journal.position)  # its deletion may not be safe yet
    if not method.nowait:
        channel.send(methods.encode(commands.Queue.DeleteOk(message_count=count)))
    for subscription in own:
        subscription.tell()
