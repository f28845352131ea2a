"""Queues, exchanges and bindings."""

# mypy: disable-error-code="import-untyped, import-not-found"

import amqp

from interop.clients.pyamqp.session import Inbox, Session, drain, refused, send
from interop.kit.check import equal, holds


def basic_get(session: Session) -> None:
    """Three messages one by one, then none."""
    channel = session.channel()
    queue = session.case.queue()
    channel.queue_declare(queue, exclusive=True)
    equal(channel.basic_get(queue), None, "get from the empty queue")
    for body in (b"one", b"two", b"three"):
        send(channel, queue, body)
    for left, body in ((2, b"one"), (1, b"two"), (0, b"three")):
        message = channel.basic_get(queue)
        equal(message.body, body, "body")
        equal(message.delivery_info["message_count"], left, "messages left")
        equal(message.delivery_info["routing_key"], queue, "routing key")
        channel.basic_ack(message.delivery_tag)
    equal(channel.basic_get(queue), None, "get after the last")


def server_named_queue(session: Session) -> None:
    """The broker makes the names."""
    channel = session.channel()
    names = [channel.queue_declare("", exclusive=True).queue for _ in range(2)]
    holds(names[0] != names[1], f"two queues have the same name {names[0]}")
    for name in names:
        holds(name.startswith("amq."), f"the generated name {name} does not start with amq.")
        send(channel, name, name.encode())
        equal(drain(channel, name), [name.encode()], "messages")


def exclusive_queue(session: Session) -> None:
    """Another connection may do nothing with it, until its owner is gone."""
    owner, other = session.connect(), session.connect()
    queue = session.case.queue()
    owner.channel().queue_declare(queue, exclusive=True)
    with refused(405):
        other.channel().queue_declare(queue, passive=True)
    with refused(405):
        other.channel().queue_declare(queue, exclusive=True)
    with refused(405):
        other.channel().basic_consume(queue, callback=Inbox())
    with refused(405):
        other.channel().basic_get(queue)
    owner.channel().queue_declare(queue, passive=True)
    owner.close()
    with refused(404):
        other.channel().queue_declare(queue, passive=True)


def purge_delete_counts(session: Session) -> None:
    """What declare-ok, purge-ok and delete-ok count."""
    # Confirmed, because RabbitMQ's counts may overtake publishes that are not.
    channel = session.channel(confirm_publish=True)
    queue = session.case.queue()
    declared = channel.queue_declare(queue, exclusive=True, auto_delete=False)
    equal((declared.message_count, declared.consumer_count), (0, 0), "counts of the new queue")
    for _ in range(3):
        send(channel, queue, b"x")
    equal(channel.queue_declare(queue, passive=True).message_count, 3, "messages")
    equal(channel.queue_purge(queue), 3, "messages purged")
    equal(channel.queue_purge(queue), 0, "messages purged again")
    tag = channel.basic_consume(queue, callback=Inbox())
    equal(channel.queue_declare(queue, passive=True).consumer_count, 1, "consumers")
    channel.basic_cancel(tag)
    for _ in range(2):
        send(channel, queue, b"x")
    equal(channel.queue_delete(queue), 2, "messages deleted")
    equal(channel.queue_delete(queue), 0, "messages of the missing queue")


def exchange_to_exchange(session: Session) -> None:
    """source --(topic pattern)--> destination --> queue."""
    channel = session.channel()
    source, destination = session.case.exchange("source"), session.case.exchange("destination")
    queue = session.case.queue()
    channel.exchange_declare(source, "topic", auto_delete=False)
    channel.exchange_declare(destination, "fanout", auto_delete=False)
    channel.queue_declare(queue, exclusive=True)
    channel.queue_bind(queue, destination)
    channel.exchange_bind(destination, source, "log.*")
    channel.basic_publish(amqp.Message(b"crosses"), source, "log.info")
    channel.basic_publish(amqp.Message(b"does not match"), source, "other")
    equal(drain(channel, queue), [b"crosses"], "messages with the binding")
    channel.exchange_unbind(destination, source, "log.*")
    channel.basic_publish(amqp.Message(b"late"), source, "log.info")
    equal(drain(channel, queue), [], "messages without the binding")


def alternate_exchange(session: Session) -> None:
    """What the direct exchange cannot route goes to a fanout."""
    channel = session.channel()
    exchange, alternate = session.case.exchange("main"), session.case.exchange("alternate")
    channel.exchange_declare(alternate, "fanout", auto_delete=False)
    arguments = {"alternate-exchange": alternate}
    channel.exchange_declare(exchange, "direct", auto_delete=False, arguments=arguments)
    known, unknown = session.case.queue("known"), session.case.queue("unknown")
    for queue in (known, unknown):
        channel.queue_declare(queue, exclusive=True)
    channel.queue_bind(known, exchange, "known")
    channel.queue_bind(unknown, alternate)
    channel.basic_publish(amqp.Message(b"routed"), exchange, "known")
    channel.basic_publish(amqp.Message(b"unrouted"), exchange, "lost")
    equal(drain(channel, known), [b"routed"], "messages that the exchange routed")
    equal(drain(channel, unknown), [b"unrouted"], "messages of the alternate exchange")
