"""Queues, exchanges and bindings."""

# mypy: disable-error-code="import-untyped, import-not-found"

from interop.clients.pika.session import Inbox, Session, drain, refused
from interop.kit.check import equal, holds


def basic_get(session: Session) -> None:
    """Three messages one by one, then none."""
    channel = session.channel()
    queue = session.case.queue()
    channel.queue_declare(queue, exclusive=True)
    equal(channel.basic_get(queue), (None, None, None), "get from the empty queue")
    for body in (b"one", b"two", b"three"):
        channel.basic_publish("", queue, body)
    for left, body in ((2, b"one"), (1, b"two"), (0, b"three")):
        method, _, seen = channel.basic_get(queue)
        equal(seen, body, "body")
        equal(method.message_count, left, "messages left")
        equal(method.routing_key, queue, "routing key")
        channel.basic_ack(method.delivery_tag)
    equal(channel.basic_get(queue), (None, None, None), "get after the last")


def server_named_queue(session: Session) -> None:
    """The broker makes the names."""
    channel = session.channel()
    names = [channel.queue_declare("", exclusive=True).method.queue for _ in range(2)]
    holds(names[0] != names[1], f"two queues have the same name {names[0]}")
    for name in names:
        holds(name.startswith("amq."), f"the generated name {name} does not start with amq.")
        channel.basic_publish("", name, name.encode())
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
        other.channel().basic_consume(queue, Inbox())
    with refused(405):
        other.channel().basic_get(queue)
    owner.channel().queue_declare(queue, passive=True)
    owner.close()
    with refused(404):
        other.channel().queue_declare(queue, passive=True)


def purge_delete_counts(session: Session) -> None:
    """What declare-ok, purge-ok and delete-ok count."""
    channel = session.channel()
    queue = session.case.queue()
    channel.confirm_delivery()  # RabbitMQ's counts may overtake publishes that are not confirmed
    declared = channel.queue_declare(queue, exclusive=True).method
    equal((declared.message_count, declared.consumer_count), (0, 0), "counts of the new queue")
    for _ in range(3):
        channel.basic_publish("", queue, b"x")
    equal(channel.queue_declare(queue, passive=True).method.message_count, 3, "messages")
    equal(channel.queue_purge(queue).method.message_count, 3, "messages purged")
    equal(channel.queue_purge(queue).method.message_count, 0, "messages purged again")
    tag = channel.basic_consume(queue, Inbox())
    equal(channel.queue_declare(queue, passive=True).method.consumer_count, 1, "consumers")
    channel.basic_cancel(tag)
    for _ in range(2):
        channel.basic_publish("", queue, b"x")
    equal(channel.queue_delete(queue).method.message_count, 2, "messages deleted")
    equal(channel.queue_delete(queue).method.message_count, 0, "messages of the missing queue")


def exchange_to_exchange(session: Session) -> None:
    """source --(topic pattern)--> destination --> queue."""
    channel = session.channel()
    source, destination = session.case.exchange("source"), session.case.exchange("destination")
    queue = session.case.queue()
    channel.exchange_declare(source, "topic")
    channel.exchange_declare(destination, "fanout")
    channel.queue_declare(queue, exclusive=True)
    channel.queue_bind(queue, destination)
    channel.exchange_bind(destination, source, "log.*")
    channel.basic_publish(source, "log.info", b"crosses")
    channel.basic_publish(source, "other", b"does not match")
    equal(drain(channel, queue), [b"crosses"], "messages with the binding")
    channel.exchange_unbind(destination, source, "log.*")
    channel.basic_publish(source, "log.info", b"late")
    equal(drain(channel, queue), [], "messages without the binding")


def alternate_exchange(session: Session) -> None:
    """What the direct exchange cannot route goes to a fanout."""
    channel = session.channel()
    exchange, alternate = session.case.exchange("main"), session.case.exchange("alternate")
    channel.exchange_declare(alternate, "fanout")
    channel.exchange_declare(exchange, "direct", arguments={"alternate-exchange": alternate})
    known, unknown = session.case.queue("known"), session.case.queue("unknown")
    for queue in (known, unknown):
        channel.queue_declare(queue, exclusive=True)
    channel.queue_bind(known, exchange, "known")
    channel.queue_bind(unknown, alternate)
    channel.basic_publish(exchange, "known", b"routed")
    channel.basic_publish(exchange, "lost", b"unrouted")
    equal(drain(channel, known), [b"routed"], "messages that the exchange routed")
    equal(drain(channel, unknown), [b"unrouted"], "messages of the alternate exchange")
