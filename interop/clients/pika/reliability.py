"""Confirms, returns, transactions, acknowledgements, windows, cancel notifications."""

# mypy: disable-error-code="import-untyped, import-not-found"

from typing import Any, Final

import pika
from pika.exceptions import UnroutableError

from interop.clients.pika.batch import Batch
from interop.clients.pika.session import Inbox, Session, collect, drain, ready, wait
from interop.kit.check import Failed, equal

NOTHING: Final = (None, None, None)  # what pika's basic_get returns for get-empty


def confirms_single(session: Session) -> None:
    """basic_publish blocks until the confirm."""
    channel = session.channel()
    queue = session.case.queue()
    channel.queue_declare(queue, durable=True)
    channel.confirm_delivery()
    for number in range(5):
        properties = pika.BasicProperties(delivery_mode=1 + number % 2)
        channel.basic_publish("", queue, b"%d" % number, properties)
    channel.basic_publish("", session.case.name("nowhere"), b"dropped")
    equal(drain(channel, queue), [b"%d" % number for number in range(5)], "messages")


def confirms_batch(session: Session) -> None:
    """The select adapter, as the blocking one has one publish in flight at most."""
    channel = session.channel()
    queue = session.case.queue()
    channel.queue_declare(queue, durable=True)
    batch = Batch(session.parameters(), queue, 100)
    batch.run()
    equal(batch.nacked, 0, "nacks")
    equal(batch.confirmed, set(range(1, 101)), "confirmed sequence numbers")
    equal(drain(channel, queue), [b"%d" % number for number in range(1, 101)], "messages")


def mandatory_return(session: Session) -> None:
    """pika raises UnroutableError only if the return came before the confirm."""
    channel = session.channel()
    queue = session.case.queue()
    channel.queue_declare(queue, exclusive=True)
    channel.confirm_delivery()
    channel.basic_publish("", queue, b"routable", mandatory=True)
    try:
        channel.basic_publish("", session.case.name("nowhere"), b"unroutable", mandatory=True)
    except UnroutableError as error:
        (returned,) = error.messages
    else:
        raise Failed("the unroutable message was confirmed without a return before it")
    equal(returned.method.reply_code, 312, "reply code")
    equal(returned.method.reply_text, "NO_ROUTE", "reply text")
    equal(returned.method.routing_key, session.case.name("nowhere"), "routing key")
    equal(returned.body, b"unroutable", "body")
    equal(drain(channel, queue), [b"routable"], "messages")


def tx_commit(session: Session) -> None:
    """Publishes and an ack, committed."""
    channel, other = session.channel(), session.channel()
    queue = session.case.queue()
    channel.queue_declare(queue, durable=True)
    channel.basic_publish("", queue, b"before")
    channel.tx_select()
    method, _, body = channel.basic_get(queue)
    equal(body, b"before", "message")
    channel.basic_publish("", queue, b"one")
    channel.basic_publish("", queue, b"two")
    channel.basic_ack(method.delivery_tag)
    equal(channel.basic_get(queue), NOTHING, "get before the commit")
    channel.tx_commit()
    channel.close()
    equal(drain(other, queue), [b"one", b"two"], "messages after the commit")


def tx_rollback(session: Session) -> None:
    """Publishes and an ack, thrown away."""
    channel, other = session.channel(), session.channel()
    queue = session.case.queue()
    channel.queue_declare(queue, durable=True)
    channel.basic_publish("", queue, b"before")
    channel.tx_select()
    method, _, _ = channel.basic_get(queue)
    channel.basic_publish("", queue, b"never")
    channel.basic_ack(method.delivery_tag)
    channel.tx_rollback()
    equal(channel.basic_get(queue), NOTHING, "get after the rollback: the one is still unacked")
    channel.close()
    again, _, body = other.basic_get(queue, auto_ack=True)
    equal(body, b"before", "message after the channel has closed")
    equal(again.redelivered, True, "redelivered")
    equal(drain(other, queue), [], "messages left")


def nack_requeue(session: Session) -> None:
    """One comes back to its old place, one does not come back."""
    channel = session.channel()
    queue = _fill(session, channel, [b"one", b"two", b"three"])
    inbox = Inbox()
    channel.basic_qos(prefetch_count=1)
    channel.basic_consume(queue, inbox)
    first = collect(channel, inbox, 1)[0].method
    equal(first.redelivered, False, "redelivered at first")
    channel.basic_nack(first.delivery_tag, requeue=True)
    second = collect(channel, inbox, 2)[1].method
    equal(second.redelivered, True, "redelivered after the requeue")
    channel.basic_reject(second.delivery_tag, requeue=False)
    for number in (3, 4):
        method = collect(channel, inbox, number)[number - 1].method
        equal(method.redelivered, False, "redelivered of a new message")
        channel.basic_ack(method.delivery_tag)
    equal(inbox.bodies, [b"one", b"one", b"two", b"three"], "deliveries")
    equal(ready(channel, queue), 0, "messages left")


def nack_multiple(session: Session) -> None:
    """basic.nack with multiple, both ways."""
    channel = session.channel()
    queue = _fill(session, channel, [b"%d" % number for number in range(1, 7)])
    tags = [channel.basic_get(queue)[0].delivery_tag for _ in range(6)]
    equal(tags, [1, 2, 3, 4, 5, 6], "delivery tags")
    channel.basic_nack(4, multiple=True, requeue=False)
    channel.basic_nack(6, multiple=True, requeue=True)
    _expect_again(channel, queue, [b"5", b"6"])


def unacked_on_close(session: Session) -> None:
    """A channel closes while it holds messages."""
    channel = session.channel()
    queue = _fill(session, channel, [b"one", b"two"])
    holder = channel.connection.channel()
    inbox = Inbox()
    holder.basic_consume(queue, inbox)
    collect(holder, inbox, 2)
    equal(ready(channel, queue), 0, "messages while they are held")
    holder.close()
    _expect_again(channel, queue, [b"one", b"two"])


def qos_global(session: Session) -> None:
    """One window for two consumers."""
    channel = session.channel()
    queue = session.case.queue()
    channel.queue_declare(queue, exclusive=True)
    channel.confirm_delivery()  # so that the queue has counted what was published
    channel.basic_qos(prefetch_count=3, global_qos=True)
    inbox = Inbox()
    channel.basic_consume(queue, inbox)
    channel.basic_consume(queue, inbox)
    for number in range(10):
        channel.basic_publish("", queue, b"%d" % number)
    for acked in range(3):
        collect(channel, inbox, 3 + acked)
        equal(ready(channel, queue), 7 - acked, f"messages not delivered after {acked} acks")
        equal(len(inbox.deliveries), 3 + acked, f"deliveries after {acked} acks")
        channel.basic_ack(inbox.deliveries[acked].method.delivery_tag)


def cancel_notification(session: Session) -> None:
    """The queue is deleted under the consumer."""
    channel, other = session.channel(), session.channel()
    queue = session.case.queue()
    channel.queue_declare(queue, durable=True)
    cancelled: list[Any] = []
    channel.add_on_cancel_callback(cancelled.append)
    tag = channel.basic_consume(queue, Inbox())
    other.queue_delete(queue)
    wait(channel, lambda: bool(cancelled), "basic.cancel")
    equal(cancelled[0].method.consumer_tag, tag, "consumer tag")


def _fill(session: Session, channel: Any, bodies: list[bytes]) -> str:
    """Declare a queue with messages in it. Returns its name."""
    queue = session.case.queue()
    channel.queue_declare(queue, exclusive=True)
    for body in bodies:
        channel.basic_publish("", queue, body)
    return queue


def _expect_again(channel: Any, queue: str, bodies: list[bytes]) -> None:
    """The queue has exactly these messages, all marked as redelivered."""
    for body in bodies:
        method, _, again = channel.basic_get(queue, auto_ack=True)
        equal(again, body, "message that came back")
        equal(method.redelivered, True, "redelivered")
    equal(drain(channel, queue), [], "messages left")
