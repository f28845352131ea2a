"""Confirms, returns, acknowledgements, windows, cancel notifications."""

# mypy: disable-error-code="import-untyped, import-not-found, attr-defined, no-untyped-call"

from typing import Any

import kombu

from interop.clients.kombu.session import (
    Inbox,
    Session,
    body_of,
    collect,
    counts,
    declare_queue,
    drain,
    send,
    wait,
)
from interop.kit.check import equal


def confirms_single(session: Session) -> None:
    """With the confirm_publish option, publish waits for the confirm."""
    channel = session.channel(confirms=True)
    queue = declare_queue(channel, session.case.queue(), durable=True)
    for number in range(5):
        send(channel, queue.name, b"%d" % number, delivery_mode=1 + number % 2)
    send(channel, session.case.name("nowhere"), b"dropped")
    equal(drain(queue), [b"%d" % number for number in range(5)], "messages")


def mandatory_return(session: Session) -> None:
    """publish waits for the confirm, so a return that comes in time is before it."""
    channel = session.channel(confirms=True)
    queue = session.queue(channel)
    returned: list[Any] = []
    producer = kombu.Producer(channel, on_return=lambda *parts: returned.append(parts))
    producer.publish(b"routable", routing_key=queue.name, mandatory=True)
    equal(returned, [], "returns of the routable message")
    nowhere = session.case.name("nowhere")
    producer.publish(b"unroutable", routing_key=nowhere, mandatory=True)
    equal(len(returned), 1, "returns before the confirm")
    error, exchange, routing_key, message = returned[0]
    equal(error.reply_code, 312, "reply code")
    equal(error.reply_text, "NO_ROUTE", "reply text")
    equal((exchange, routing_key), ("", nowhere), "exchange and routing key")
    equal(body_of(message), b"unroutable", "body")
    equal(drain(queue), [b"routable"], "messages")


def nack_requeue(session: Session) -> None:
    """message.requeue and message.reject, which are basic.reject."""
    channel = session.channel()
    queue = session.queue(channel)
    for body in (b"one", b"two", b"three"):
        send(channel, queue.name, body)
    inbox = Inbox()
    kombu.Consumer(channel, [queue], on_message=inbox, prefetch_count=1).consume()
    first = collect(channel, inbox, 1)[0]
    equal(first.delivery_info["redelivered"], False, "redelivered at first")
    first.requeue()
    second = collect(channel, inbox, 2)[1]
    equal(second.delivery_info["redelivered"], True, "redelivered after the requeue")
    second.reject()
    for number in (3, 4):
        message = collect(channel, inbox, number)[number - 1]
        equal(message.delivery_info["redelivered"], False, "redelivered of a new message")
        message.ack()
    equal(inbox.bodies, [b"one", b"one", b"two", b"three"], "deliveries")
    equal(counts(queue)[0], 0, "messages left")


def unacked_on_close(session: Session) -> None:
    """A channel closes while it holds messages."""
    channel = session.channel()
    queue = declare_queue(channel, session.case.queue(), durable=True)
    for body in (b"one", b"two"):
        send(channel, queue.name, body)
    holder = channel.connection.channel()
    inbox = Inbox()
    kombu.Consumer(holder, [queue], on_message=inbox, auto_declare=False).consume()
    collect(holder, inbox, 2)
    equal(counts(queue)[0], 0, "messages while they are held")
    holder.close()
    for body in (b"one", b"two"):
        message = queue.get(no_ack=True)
        equal(body_of(message), body, "message that came back")
        equal(message.delivery_info["redelivered"], True, "redelivered")
    equal(drain(queue), [], "messages left")


def qos_global(session: Session) -> None:
    """One window for two consumers, as Celery's workers ask for it."""
    channel = session.channel(confirms=True)
    queue = session.queue(channel)
    inbox = Inbox()
    consumers = [kombu.Consumer(channel, [queue], on_message=inbox) for _ in range(2)]
    consumers[0].qos(prefetch_count=3, apply_global=True)
    for consumer in consumers:
        consumer.consume()
    for number in range(10):
        send(channel, queue.name, b"%d" % number)
    for acked in range(3):
        collect(channel, inbox, 3 + acked)
        equal(counts(queue)[0], 7 - acked, f"messages not delivered after {acked} acks")
        equal(len(inbox.messages), 3 + acked, f"deliveries after {acked} acks")
        inbox.messages[acked].ack()


def cancel_notification(session: Session) -> None:
    """The queue is deleted under the consumer."""
    channel, other = session.channel(), session.channel()
    queue = declare_queue(channel, session.case.queue(), durable=True)
    cancelled: list[str] = []
    tag = queue.consume(callback=Inbox(), on_cancel=cancelled.append)
    queue(other).delete()
    wait(channel, lambda: bool(cancelled), "basic.cancel")
    equal(cancelled, [tag], "consumer tag")
