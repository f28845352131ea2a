"""Messaging patterns, as in the tutorials."""

# mypy: disable-error-code="import-untyped, import-not-found"

from collections.abc import Iterable, Mapping
from typing import Any

import aio_pika
from aio_pika import ExchangeType

from interop.clients.aiopika.session import Inbox, Session, counts, drain, send
from interop.kit import samples
from interop.kit.check import equal

REPLY_TO = "amq.rabbitmq.reply-to"


async def hello(session: Session) -> None:
    """Publish to a queue by name; consume; acknowledge."""
    channel = await session.channel()
    queue = await channel.declare_queue(session.case.queue(), exclusive=True)
    await send(channel, queue.name, b"Hello World!")
    inbox = Inbox()
    tag = await queue.consume(inbox)
    message = (await inbox.collect(1))[0]
    equal(message.body, b"Hello World!", "body")
    equal(message.exchange, "", "exchange")
    equal(message.routing_key, queue.name, "routing key")
    equal(message.consumer_tag, tag, "consumer tag")
    equal(message.redelivered, False, "redelivered")
    await message.ack()
    await queue.cancel(tag)
    equal(await drain(queue), [], "messages left")


async def work_queue(session: Session) -> None:
    """Two workers, one of them stuck."""
    boss, stuck, busy = [await session.channel() for _ in range(3)]
    queue = session.case.queue()
    await boss.declare_queue(queue, durable=True)
    held, done = Inbox(), Inbox()

    async def work(message: Any) -> None:
        async with message.process():
            await done(message)

    for channel, worker in ((stuck, held), (busy, work)):
        await channel.set_qos(prefetch_count=1)
        await (await channel.get_queue(queue)).consume(worker)
    tasks = [b"task %d" % number for number in range(10)]
    for task in tasks:
        await send(boss, queue, task, delivery_mode=2)
    await held.collect(1)
    await done.collect(9)
    equal((await counts(boss, queue))[0], 0, "messages left")
    equal(len(held.messages), 1, "tasks of the consumer that does not acknowledge")
    equal(sorted(held.bodies + done.bodies), tasks, "tasks given out")


async def publish_subscribe(session: Session) -> None:
    """Two queues on a fanout exchange."""
    channel = await session.channel()
    exchange = await channel.declare_exchange(session.case.exchange(), ExchangeType.FANOUT)
    queues = []
    for name in ("one", "two"):
        queue = await channel.declare_queue(session.case.queue(name), exclusive=True)
        await queue.bind(exchange)
        queues.append(queue)
    await exchange.publish(aio_pika.Message(b"first"), "")
    await exchange.publish(aio_pika.Message(b"second"), "any.key")
    for queue in queues:
        equal(await drain(queue), [b"first", b"second"], f"messages in {queue.name}")


async def routing(session: Session) -> None:
    """A direct exchange."""
    await _route(session, ExchangeType.DIRECT, samples.DIRECT_BINDINGS, samples.DIRECT_MESSAGES)


async def topics(session: Session) -> None:
    """A topic exchange."""
    await _route(session, ExchangeType.TOPIC, samples.TOPIC_BINDINGS, samples.TOPIC_MESSAGES)


async def headers_exchange(session: Session) -> None:
    """A headers exchange."""
    channel = await session.channel()
    exchange = await channel.declare_exchange(session.case.exchange(), ExchangeType.HEADERS)
    queues = {}
    for name, arguments in samples.HEADER_BINDINGS.items():
        queues[name] = await channel.declare_queue(session.case.queue(name), exclusive=True)
        await queues[name].bind(exchange, "", arguments=arguments)
    for number, (headers, _) in enumerate(samples.HEADER_MESSAGES):
        message = aio_pika.Message(b"%d" % number, headers=headers)
        await exchange.publish(message, "", mandatory=False)
    for name, queue in queues.items():
        expected = [
            b"%d" % number
            for number, (_, reached) in enumerate(samples.HEADER_MESSAGES)
            if name in reached
        ]
        equal(await drain(queue), expected, f"messages of {name}")


async def rpc_reply_queue(session: Session) -> None:
    """Requests answered into the caller's own queue."""
    caller = await session.channel()
    queue = await caller.declare_queue(exclusive=True)
    await _call(session, caller, queue, no_ack=False)


async def rpc_direct_reply_to(session: Session) -> None:
    """Requests answered through the pseudo-queue."""
    caller = await session.channel()
    queue = await caller.get_queue(REPLY_TO, ensure=False)
    for name in await _call(session, caller, queue, no_ack=True):
        equal(name.startswith(f"{REPLY_TO}."), True, f"{name} is a generated reply-to")


async def _call(session: Session, caller: Any, reply_queue: Any, *, no_ack: bool) -> list[str]:
    """Call a server three times. Returns the reply-to names that the server saw."""
    server = await session.channel()
    queue = await server.declare_queue(session.case.queue("requests"), durable=True)
    asked: list[str] = []

    async def serve(message: Any) -> None:
        async with message.process():
            asked.append(message.reply_to)
            await send(
                server,
                message.reply_to,
                message.body.upper(),
                correlation_id=message.correlation_id,
            )

    await queue.consume(serve)
    replies = Inbox()
    await reply_queue.consume(replies, no_ack=no_ack)
    for number in range(3):
        await send(
            caller,
            queue.name,
            b"request %d" % number,
            reply_to=reply_queue.name,
            correlation_id=f"call-{number}",
        )
        reply = (await replies.collect(number + 1))[number]
        equal(reply.body, b"REQUEST %d" % number, "reply")
        equal(reply.correlation_id, f"call-{number}", "correlation-id of the reply")
    return asked


async def _route(
    session: Session,
    kind: ExchangeType,
    bindings: Mapping[str, Iterable[str]],
    messages: Mapping[str, Iterable[str]],
) -> None:
    """Bind, publish a message per routing key, and see which queues it is in."""
    channel = await session.channel()
    exchange = await channel.declare_exchange(session.case.exchange(), kind)
    queues = {}
    for name, keys in bindings.items():
        queues[name] = await channel.declare_queue(session.case.queue(name), exclusive=True)
        for key in keys:
            await queues[name].bind(exchange, key)
    for key in messages:
        await exchange.publish(aio_pika.Message(key.encode()), key, mandatory=False)
    for name, queue in queues.items():
        expected = [key.encode() for key, reached in messages.items() if name in reached]
        equal(await drain(queue), expected, f"messages in {name}")
