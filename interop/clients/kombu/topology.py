"""Queues, exchanges and bindings."""

# mypy: disable-error-code="import-untyped, import-not-found, attr-defined, no-untyped-call"

import kombu

from interop.clients.kombu.session import (
    Inbox,
    Session,
    body_of,
    counts,
    declare_queue,
    drain,
    refused,
    send,
)
from interop.kit.check import equal, holds


def basic_get(session: Session) -> None:
    """Three messages one by one, then none."""
    channel = session.channel()
    queue = session.queue(channel)
    equal(queue.get(), None, "get from the empty queue")
    for body in (b"one", b"two", b"three"):
        send(channel, queue.name, body)
    for left, body in ((2, b"one"), (1, b"two"), (0, b"three")):
        message = queue.get()
        equal(body_of(message), body, "body")
        equal(message.delivery_info["message_count"], left, "messages left")
        equal(message.delivery_info["routing_key"], queue.name, "routing key")
        message.ack()
    equal(queue.get(), None, "get after the last")


def server_named_queue(session: Session) -> None:
    """The broker makes the names."""
    channel = session.channel()
    queues = [declare_queue(channel, "", exclusive=True) for _ in range(2)]
    holds(queues[0].name != queues[1].name, f"two queues have the same name {queues[0].name}")
    for queue in queues:
        name = queue.name
        holds(name.startswith("amq."), f"the generated name {name} does not start with amq.")
        send(channel, name, name.encode())
        equal(drain(queue), [name.encode()], "messages")


def exclusive_queue(session: Session) -> None:
    """Another connection may do nothing with it, until its owner is gone."""
    owner, other = session.connect(), session.connect()
    queue = session.queue(owner.channel())
    with refused(405):
        queue(other.channel()).queue_declare(passive=True)
    with refused(405):
        queue(other.channel()).declare()
    with refused(405):
        queue(other.channel()).consume(callback=Inbox())
    with refused(405):
        queue(other.channel()).get()
    queue.queue_declare(passive=True)
    owner.release()
    with refused(404):
        queue(other.channel()).queue_declare(passive=True)


def purge_delete_counts(session: Session) -> None:
    """What declare-ok, purge-ok and delete-ok count."""
    # Confirmed, because RabbitMQ's counts may overtake publishes that are not.
    channel = session.channel(confirms=True)
    queue = declare_queue(channel, session.case.queue(), durable=True)
    equal(counts(queue), (0, 0), "counts of the new queue")
    for _ in range(3):
        send(channel, queue.name, b"x")
    equal(counts(queue), (3, 0), "messages")
    equal(queue.purge(), 3, "messages purged")
    equal(queue.purge(), 0, "messages purged again")
    tag = queue.consume(callback=Inbox())
    equal(counts(queue), (0, 1), "consumers")
    queue.cancel(tag)
    for _ in range(2):
        send(channel, queue.name, b"x")
    equal(queue.delete(), 2, "messages deleted")
    equal(queue.delete(), 0, "messages of the missing queue")


def exchange_to_exchange(session: Session) -> None:
    """source --(topic pattern)--> destination --> queue."""
    channel = session.channel()
    source = session.exchange(channel, "topic", "source")
    destination = session.exchange(channel, "fanout", "destination")
    queue = session.queue(channel, exchange=destination)
    producer = kombu.Producer(channel, source)
    destination.bind_to(source, "log.*")
    producer.publish(b"crosses", routing_key="log.info")
    producer.publish(b"does not match", routing_key="other")
    equal(drain(queue), [b"crosses"], "messages with the binding")
    destination.unbind_from(source, "log.*")
    producer.publish(b"late", routing_key="log.info")
    equal(drain(queue), [], "messages without the binding")


def alternate_exchange(session: Session) -> None:
    """What the direct exchange cannot route goes to a fanout."""
    channel = session.channel()
    alternate = session.exchange(channel, "fanout", "alternate")
    arguments = {"alternate-exchange": alternate.name}
    exchange = session.exchange(channel, "direct", "main", arguments=arguments)
    known = session.queue(channel, "known", exchange=exchange, routing_key="known")
    unknown = session.queue(channel, "unknown", exchange=alternate)
    producer = kombu.Producer(channel, exchange)
    producer.publish(b"routed", routing_key="known")
    producer.publish(b"unrouted", routing_key="lost")
    equal(drain(known), [b"routed"], "messages that the exchange routed")
    equal(drain(unknown), [b"unrouted"], "messages of the alternate exchange")
