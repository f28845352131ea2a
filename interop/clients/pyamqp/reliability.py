"""Confirms, returns, transactions, acknowledgements, windows, cancel notifications."""

# mypy: disable-error-code="import-untyped, import-not-found"

from typing import Any

import amqp

from interop.clients.pyamqp.session import Inbox, Session, collect, drain, ready, send, wait
from interop.kit.check import equal


def confirms_single(session: Session) -> None:
    """With confirm_publish, basic_publish waits for the confirm."""
    channel = session.channel(confirm_publish=True)
    queue = session.case.queue()
    channel.queue_declare(queue, durable=True, auto_delete=False)
    for number in range(5):
        send(channel, queue, b"%d" % number, delivery_mode=1 + number % 2)
    send(channel, session.case.name("nowhere"), b"dropped")
    equal(drain(channel, queue), [b"%d" % number for number in range(5)], "messages")


def confirms_batch(session: Session) -> None:
    """A hundred publishes in flight."""
    channel = session.channel()
    queue = session.case.queue()
    channel.queue_declare(queue, durable=True, auto_delete=False)
    confirmed: set[int] = set()
    nacked: list[int] = []

    def on_ack(tag: int, multiple: bool) -> None:
        confirmed.update(range(1 if multiple else tag, tag + 1))

    channel.confirm_select()
    channel.events["basic_ack"].add(on_ack)
    channel.events["basic_nack"].add(lambda tag, multiple: nacked.append(tag))
    for number in range(1, 101):
        send(channel, queue, b"%d" % number)
    wait(channel, lambda: len(confirmed) >= 100, "a hundred confirms")
    equal(nacked, [], "nacks")
    equal(confirmed, set(range(1, 101)), "confirmed sequence numbers")
    equal(drain(channel, queue), [b"%d" % number for number in range(1, 101)], "messages")


def mandatory_return(session: Session) -> None:
    """The order of return and confirm, as the callbacks see it."""
    channel = session.channel()
    queue = session.case.queue()
    channel.queue_declare(queue, exclusive=True)
    events: list[Any] = []
    channel.confirm_select()
    channel.events["basic_return"].add(lambda *returned: events.append(returned))
    channel.events["basic_ack"].add(lambda tag, multiple: events.append(tag))
    channel.basic_publish(amqp.Message(b"routable"), "", queue, mandatory=True)
    wait(channel, lambda: len(events) >= 1, "the confirm of the routable message")
    nowhere = session.case.name("nowhere")
    channel.basic_publish(amqp.Message(b"unroutable"), "", nowhere, mandatory=True)
    wait(channel, lambda: len(events) >= 3, "return and confirm of the unroutable message")
    equal((events[0], events[2]), (1, 2), "confirms around the return")
    error, exchange, routing_key, message = events[1]
    equal(error.reply_code, 312, "reply code")
    equal(error.reply_text, "NO_ROUTE", "reply text")
    equal((exchange, routing_key), ("", nowhere), "exchange and routing key")
    equal(message.body, b"unroutable", "body")
    equal(drain(channel, queue), [b"routable"], "messages")


def tx_commit(session: Session) -> None:
    """Publishes and an ack, committed."""
    channel, other = session.channel(), session.channel()
    queue = session.case.queue()
    channel.queue_declare(queue, durable=True, auto_delete=False)
    send(channel, queue, b"before")
    channel.tx_select()
    message = channel.basic_get(queue)
    equal(message.body, b"before", "message")
    send(channel, queue, b"one")
    send(channel, queue, b"two")
    channel.basic_ack(message.delivery_tag)
    equal(channel.basic_get(queue), None, "get before the commit")
    channel.tx_commit()
    channel.close()
    equal(drain(other, queue), [b"one", b"two"], "messages after the commit")


def tx_rollback(session: Session) -> None:
    """Publishes and an ack, thrown away."""
    channel, other = session.channel(), session.channel()
    queue = session.case.queue()
    channel.queue_declare(queue, durable=True, auto_delete=False)
    send(channel, queue, b"before")
    channel.tx_select()
    message = channel.basic_get(queue)
    send(channel, queue, b"never")
    channel.basic_ack(message.delivery_tag)
    channel.tx_rollback()
    equal(channel.basic_get(queue), None, "get after the rollback: the one is still unacked")
    channel.close()
    _expect_again(other, queue, [b"before"])


def nack_requeue(session: Session) -> None:
    """With basic.reject, which is all that py-amqp has."""
    channel = session.channel()
    queue = _fill(session, channel, [b"one", b"two", b"three"])
    inbox = Inbox()
    channel.basic_qos(0, 1, False)
    channel.basic_consume(queue, callback=inbox)
    first = collect(channel, inbox, 1)[0]
    equal(first.delivery_info["redelivered"], False, "redelivered at first")
    channel.basic_reject(first.delivery_tag, requeue=True)
    second = collect(channel, inbox, 2)[1]
    equal(second.delivery_info["redelivered"], True, "redelivered after the requeue")
    channel.basic_reject(second.delivery_tag, requeue=False)
    for number in (3, 4):
        message = collect(channel, inbox, number)[number - 1]
        equal(message.delivery_info["redelivered"], False, "redelivered of a new message")
        channel.basic_ack(message.delivery_tag)
    equal(inbox.bodies, [b"one", b"one", b"two", b"three"], "deliveries")
    equal(ready(channel, queue), 0, "messages left")


def unacked_on_close(session: Session) -> None:
    """A channel closes while it holds messages."""
    channel = session.channel()
    queue = _fill(session, channel, [b"one", b"two"])
    holder = channel.connection.channel()
    inbox = Inbox()
    holder.basic_consume(queue, callback=inbox)
    collect(holder, inbox, 2)
    equal(ready(channel, queue), 0, "messages while they are held")
    holder.close()
    _expect_again(channel, queue, [b"one", b"two"])


def qos_global(session: Session) -> None:
    """One window for two consumers."""
    channel = session.channel(confirm_publish=True)
    queue = session.case.queue()
    channel.queue_declare(queue, exclusive=True, auto_delete=False)
    channel.basic_qos(0, 3, True)
    inbox = Inbox()
    channel.basic_consume(queue, callback=inbox)
    channel.basic_consume(queue, callback=inbox)
    for number in range(10):
        send(channel, queue, b"%d" % number)
    for acked in range(3):
        collect(channel, inbox, 3 + acked)
        equal(ready(channel, queue), 7 - acked, f"messages not delivered after {acked} acks")
        equal(len(inbox.messages), 3 + acked, f"deliveries after {acked} acks")
        channel.basic_ack(inbox.messages[acked].delivery_tag)


def cancel_notification(session: Session) -> None:
    """The queue is deleted under the consumer."""
    channel, other = session.channel(), session.channel()
    queue = session.case.queue()
    channel.queue_declare(queue, durable=True, auto_delete=False)
    cancelled: list[str] = []
    tag = channel.basic_consume(queue, callback=Inbox(), on_cancel=cancelled.append)
    other.queue_delete(queue)
    wait(channel, lambda: bool(cancelled), "basic.cancel")
    equal(cancelled, [tag], "consumer tag")


def _fill(session: Session, channel: Any, bodies: list[bytes]) -> str:
    """Declare a queue with messages in it. Returns its name."""
    queue = session.case.queue()
    channel.queue_declare(queue, exclusive=True, auto_delete=False)
    for body in bodies:
        send(channel, queue, body)
    return queue


def _expect_again(channel: Any, queue: str, bodies: list[bytes]) -> None:
    """The queue has exactly these messages, all marked as redelivered."""
    for body in bodies:
        message = channel.basic_get(queue, no_ack=True)
        equal(message.body, body, "message that came back")
        equal(message.delivery_info["redelivered"], True, "redelivered")
    equal(drain(channel, queue), [], "messages left")
