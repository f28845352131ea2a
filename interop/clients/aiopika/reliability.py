"""Confirms, returns, transactions, acknowledgements, windows, cancel notifications."""

# mypy: disable-error-code="import-untyped, import-not-found"

import asyncio
from typing import Any

import aio_pika
from aiormq.exceptions import PublishError
from pamqp.commands import Basic

from interop.clients.aiopika.session import Inbox, Session, counts, drain, send
from interop.kit.check import WAIT_S, Failed, equal, holds


async def confirms_single(session: Session) -> None:
    """publish returns the confirm."""
    channel = await session.channel()
    queue = await channel.declare_queue(session.case.queue(), durable=True)
    for number in range(5):
        message = aio_pika.Message(b"%d" % number, delivery_mode=1 + number % 2)
        confirm = await channel.default_exchange.publish(message, queue.name)
        holds(isinstance(confirm, Basic.Ack), f"publish {number} got {confirm!r}")
    message = aio_pika.Message(b"dropped")
    nowhere = session.case.name("nowhere")
    confirm = await channel.default_exchange.publish(message, nowhere, mandatory=False)
    holds(isinstance(confirm, Basic.Ack), f"the unroutable publish got {confirm!r}")
    equal(await drain(queue), [b"%d" % number for number in range(5)], "messages")


async def confirms_batch(session: Session) -> None:
    """A hundred publishes in flight."""
    channel = await session.channel()
    queue = await channel.declare_queue(session.case.queue(), durable=True)
    confirms = await asyncio.gather(
        *(
            channel.default_exchange.publish(aio_pika.Message(b"%d" % number), queue.name)
            for number in range(100)
        )
    )
    for number, confirm in enumerate(confirms):
        holds(isinstance(confirm, Basic.Ack), f"publish {number} got {confirm!r}")
    equal(await drain(queue), [b"%d" % number for number in range(100)], "messages")


async def mandatory_return(session: Session) -> None:
    """PublishError is raised only if the return came before the confirm."""
    channel = await session.channel(on_return_raises=True)
    queue = await channel.declare_queue(session.case.queue(), exclusive=True)
    exchange = channel.default_exchange
    await exchange.publish(aio_pika.Message(b"routable"), queue.name, mandatory=True)
    nowhere = session.case.name("nowhere")
    returned: Any
    frame: Any
    try:
        await exchange.publish(aio_pika.Message(b"unroutable"), nowhere, mandatory=True)
    except PublishError as error:
        returned, frame = error.message, error.frame
    else:
        raise Failed("the unroutable message was confirmed without a return before it")
    equal(frame.reply_code, 312, "reply code")
    equal(frame.reply_text, "NO_ROUTE", "reply text")
    equal(frame.routing_key, nowhere, "routing key")
    equal(returned.body, b"unroutable", "body")
    equal(await drain(queue), [b"routable"], "messages")


async def tx_commit(session: Session) -> None:
    """Publishes and an ack, committed."""
    channel = await session.channel(publisher_confirms=False)
    other = await session.channel()
    queue = await channel.declare_queue(session.case.queue(), durable=True)
    await send(other, queue.name, b"before")
    async with channel.transaction():
        message = await queue.get()
        equal(message.body, b"before", "message")
        await send(channel, queue.name, b"one")
        await send(channel, queue.name, b"two")
        await message.ack()
        equal(await queue.get(fail=False), None, "get before the commit")
    await channel.close()
    after = await drain(await other.get_queue(queue.name))
    equal(after, [b"one", b"two"], "messages after the commit")


async def tx_rollback(session: Session) -> None:
    """Publishes and an ack, thrown away."""
    channel = await session.channel(publisher_confirms=False)
    other = await session.channel()
    queue = await channel.declare_queue(session.case.queue(), durable=True)
    await send(other, queue.name, b"before")
    transaction = channel.transaction()
    await transaction.select()
    message = await queue.get()
    await send(channel, queue.name, b"never")
    await message.ack()
    await transaction.rollback()
    equal(await queue.get(fail=False), None, "get after the rollback: the one is still unacked")
    await channel.close()
    again = await (await other.get_queue(queue.name)).get(no_ack=True)
    equal(again.body, b"before", "message after the channel has closed")
    equal(again.redelivered, True, "redelivered")
    equal(await drain(await other.get_queue(queue.name)), [], "messages left")


async def nack_requeue(session: Session) -> None:
    """One comes back to its old place, one does not come back."""
    channel = await session.channel()
    queue = await _fill(session, channel, [b"one", b"two", b"three"])
    inbox = Inbox()
    await channel.set_qos(prefetch_count=1)
    await queue.consume(inbox)
    first = (await inbox.collect(1))[0]
    equal(first.redelivered, False, "redelivered at first")
    await first.nack(requeue=True)
    second = (await inbox.collect(2))[1]
    equal(second.redelivered, True, "redelivered after the requeue")
    await second.reject(requeue=False)
    for number in (3, 4):
        message = (await inbox.collect(number))[number - 1]
        equal(message.redelivered, False, "redelivered of a new message")
        await message.ack()
    equal(inbox.bodies, [b"one", b"one", b"two", b"three"], "deliveries")
    equal((await counts(channel, queue.name))[0], 0, "messages left")


async def nack_multiple(session: Session) -> None:
    """basic.nack with multiple, both ways."""
    channel = await session.channel()
    queue = await _fill(session, channel, [b"%d" % number for number in range(1, 7)])
    messages = [await queue.get() for _ in range(6)]
    equal([m.delivery_tag for m in messages], [1, 2, 3, 4, 5, 6], "delivery tags")
    await messages[3].nack(multiple=True, requeue=False)
    await messages[5].nack(multiple=True, requeue=True)
    await _expect_again(queue, [b"5", b"6"])


async def unacked_on_close(session: Session) -> None:
    """A channel closes while it holds messages."""
    connection = await session.connect()
    channel, holder = await connection.channel(), await connection.channel()
    queue = await _fill(session, channel, [b"one", b"two"])
    inbox = Inbox()
    await (await holder.get_queue(queue.name)).consume(inbox)
    await inbox.collect(2)
    equal((await counts(channel, queue.name))[0], 0, "messages while they are held")
    await holder.close()
    await _expect_again(queue, [b"one", b"two"])


async def qos_global(session: Session) -> None:
    """One window for two consumers."""
    channel = await session.channel()
    queue = await channel.declare_queue(session.case.queue(), exclusive=True)
    await channel.set_qos(prefetch_count=3, global_=True)
    inbox = Inbox()
    await queue.consume(inbox)
    await queue.consume(inbox)
    for number in range(10):
        await send(channel, queue.name, b"%d" % number)
    for acked in range(3):
        await inbox.collect(3 + acked)
        left, _ = await counts(channel, queue.name)
        equal(left, 7 - acked, f"messages not delivered after {acked} acks")
        equal(len(inbox.messages), 3 + acked, f"deliveries after {acked} acks")
        await inbox.messages[acked].ack()


async def cancel_notification(session: Session) -> None:
    """The queue is deleted under the consumer; aiormq's channel tells."""
    channel, other = await session.channel(), await session.channel()
    queue = await channel.declare_queue(session.case.queue(), durable=True)
    cancelled: asyncio.Queue[str] = asyncio.Queue()

    async def on_cancel(frame: Any) -> None:
        cancelled.put_nowait(frame.consumer_tag)

    tag = await queue.consume(Inbox())
    underlay = await channel.get_underlay_channel()
    underlay.on_consumer_cancel_callbacks.add(on_cancel)
    await other.queue_delete(queue.name)
    async with asyncio.timeout(WAIT_S):
        equal(await cancelled.get(), tag, "consumer tag")


async def _fill(session: Session, channel: Any, bodies: list[bytes]) -> Any:
    """Declare a queue with messages in it."""
    queue = await channel.declare_queue(session.case.queue(), exclusive=True)
    for body in bodies:
        await send(channel, queue.name, body)
    return queue


async def _expect_again(queue: Any, bodies: list[bytes]) -> None:
    """The queue has exactly these messages, all marked as redelivered."""
    for body in bodies:
        message = await queue.get(no_ack=True)
        equal(message.body, body, "message that came back")
        equal(message.redelivered, True, "redelivered")
    equal(await drain(queue), [], "messages left")
