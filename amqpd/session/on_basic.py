"""basic.* but publish and ack, which `channel` has (spec 1.8; RabbitMQ: consumers)."""

from pamqp import base, commands

from amqpd import errors
from amqpd.auth import READ
from amqpd.core.arguments import PRIORITY, QUORUM, type_of
from amqpd.core.queue import REFUSED, Queue
from amqpd.profile import GLOBAL_QOS
from amqpd.session import reply_to, telling
from amqpd.session.channel import Channel
from amqpd.session.counting import counted
from amqpd.session.firehose import trace_delivery
from amqpd.session.on_exchange import clean
from amqpd.session.subscription import Subscription
from amqpd.wire import methods, tables
from amqpd.wire.tables import Table


def on_basic_qos(channel: Channel, method: base.Frame, arguments: Table) -> None:
    """basic.qos: how many deliveries may be unacked (spec 1.8.3.1).

    Deviation: as in RabbitMQ, `global` false sets the limit of each consumer that starts from now
    on, and true one limit that all consumers of the channel share, at once; sizes are refused.
    A limit for each consumer removes the shared one, as in RabbitMQ. From 4.3 on `global` means
    nothing unless the configuration permits it.
    """
    assert isinstance(method, commands.Basic.Qos)
    if method.prefetch_size:
        raise errors.not_implemented(f"prefetch_size!=0 ({method.prefetch_size})")
    if method.global_ and channel.vhost.profile.permits(GLOBAL_QOS):
        channel.set_window(method.prefetch_count)
    else:
        channel.prefetch = method.prefetch_count
        if channel.window:
            channel.set_window(0)
    channel.send(methods.encode(commands.Basic.QosOk()))


def _queue_to_read(channel: Channel, name: str) -> Queue:
    """Look up a queue that the user wants to read from. Raises SoftError 403, 404, 405."""
    name = clean(channel.queue_named(name))
    channel.require(READ, "queue", name)
    return channel.vhost.queue(name, channel.link.id)


def on_basic_consume(channel: Channel, method: base.Frame, arguments: Table) -> None:
    """basic.consume: register a consumer; the -ok comes before its first delivery (spec 1.8.3.3).

    Deviation: as in RabbitMQ, `no-local` is accepted and not honoured.
    """
    assert isinstance(method, commands.Basic.Consume)
    if method.queue == reply_to.PSEUDO_QUEUE:
        reply_to.consume(channel, method)
        return
    channel.queue_named(method.queue)  # an empty name that means none is the first to be refused
    if method.consumer_tag in channel.consumers:
        raise errors.consumer_tag_in_use(method.consumer_tag)
    queue = _queue_to_read(channel, method.queue)
    tag = method.consumer_tag or channel.link.context.random_name("amq.ctag-")
    maximum = channel.link.context.limits.consumer_max_per_channel
    if maximum and len(channel.consumers) >= maximum:
        raise errors.too_many_consumers(maximum)
    vhost = channel.vhost
    queue_type = type_of(queue.arguments)
    vhost.argument_rules.check_consumer(queue.name, vhost.name, queue_type, arguments)
    exclusive = method.exclusive
    if queue_type == QUORUM:
        exclusive = False  # taken and not honoured, as RabbitMQ has it
        if channel.window:
            raise errors.no_global_qos(queue.name, vhost.name)
    is_single = queue.rules is not None and queue.rules.single_active
    if queue.exclusive_consumer or (exclusive and (queue.consumers or is_single)):
        raise errors.exclusive_use(queue.name, vhost.name)
    consumer = Subscription(
        channel,
        queue,
        tag,
        no_ack=method.no_ack,
        exclusive=exclusive,
        priority=_priority(arguments),
        prefetch=channel.prefetch,
        arguments=arguments,
    )
    channel.consumers[tag] = consumer
    if not method.no_ack:
        channel.watch.start()
    queue.add_consumer(consumer)
    telling.consumer_created(consumer)
    if not method.nowait:
        channel.send(b"\x00\x3c\x00\x15" + methods.encode_shortstr(tag))
    consumer.resume()


def _priority(arguments: Table) -> int:
    """Return the x-priority of a consumer, 0 if not given (RabbitMQ: consumer priorities)."""
    field = arguments.get(PRIORITY)
    priority = tables.integer(field) if field is not None else None
    return priority or 0


def on_basic_cancel(channel: Channel, method: base.Frame, arguments: Table) -> None:
    """basic.cancel: what was delivered stays unacked; an unknown tag is fine (spec 1.8.3.5)."""
    assert isinstance(method, commands.Basic.Cancel)
    tag = method.consumer_tag or ""
    consumer = channel.consumers.get(tag)
    if consumer is not None:
        channel.hold(channel.cancel(consumer))
    if not method.nowait:
        channel.send(b"\x00\x3c\x00\x1f" + methods.encode_shortstr(tag))


def on_basic_cancel_ok(channel: Channel, method: base.Frame, arguments: Table) -> None:
    """basic.cancel-ok: a client's answer to our cancel; the consumer is gone already."""


def on_basic_get(channel: Channel, method: base.Frame, arguments: Table) -> None:
    """basic.get: the oldest ready message, past all prefetch limits (spec 1.8.3.10)."""
    assert isinstance(method, commands.Basic.Get)
    queue = _queue_to_read(channel, method.queue)
    rules = queue.rules
    if rules is not None and rules.is_quorum and rules.single_active:
        raise errors.no_get_of_single_active(queue.name, channel.vhost.name)
    entry = queue.take(method.no_ack)
    if entry is None:
        channel.send(b"\x00\x3c\x00\x48\x00")
        return
    channel.last_tag += 1
    if not method.no_ack:
        entry.tag = channel.last_tag
        entry.consumer = Subscription(channel, queue, "", no_ack=False)
        entry.consumer.unacked = 1
        entry.consumer.is_active = False
        channel.unacked.add(entry)
        channel.watch.start()
    if channel.vhost.is_traced:
        trace_delivery(channel.link, channel.number, queue.name, entry)
    head = entry.message.address.encoded[:-1]
    methods.write_get_ok(
        channel.out(),
        channel.number,
        channel.last_tag,
        entry.redelivered,
        head,
        queue.backlog.count,
    )
    channel.send_content(counted(entry, channel.vhost.profile))


def on_basic_reject(channel: Channel, method: base.Frame, arguments: Table) -> None:
    """basic.reject: one delivery goes back, or away for good (spec 1.8.3.14)."""
    assert isinstance(method, commands.Basic.Reject)
    tag, requeue = method.delivery_tag or 0, method.requeue
    channel.settle_through(tag, False, requeue, not requeue, REFUSED)


def on_basic_nack(channel: Channel, method: base.Frame, arguments: Table) -> None:
    """basic.nack: as reject, also for all deliveries up to a tag (RabbitMQ: nack)."""
    assert isinstance(method, commands.Basic.Nack)
    channel.settle_through(method.delivery_tag, method.multiple, method.requeue, not method.requeue)


def on_basic_recover(channel: Channel, method: base.Frame, arguments: Table) -> None:
    """basic.recover: all that is unacked goes back to its queues (spec 1.8.3.16)."""
    assert isinstance(method, commands.Basic.Recover)
    _check_recover(method.requeue)
    channel.send(methods.encode(commands.Basic.RecoverOk()))
    channel.settle(channel.unacked.take_all(), requeue=True)


def on_basic_recover_async(channel: Channel, method: base.Frame, arguments: Table) -> None:
    """basic.recover-async: as recover, without an answer (spec 1.8.3.15)."""
    assert isinstance(method, commands.Basic.RecoverAsync)
    _check_recover(method.requeue)
    channel.settle(channel.unacked.take_all(), requeue=True)


def _check_recover(requeue: bool) -> None:
    """Deviation: redelivery to the same consumer is refused, as in RabbitMQ."""
    if not requeue:
        raise errors.not_implemented("requeue=false")
