"""Queues, exchanges and bindings."""

# mypy: disable-error-code="import-untyped, import-not-found"

import aio_pika
from aio_pika import ExchangeType

from interop.clients.aiopika.session import Inbox, Session, counts, drain, refused, send
from interop.kit.check import equal, holds


async def basic_get(session: Session) -> None:
    """Three messages one by one, then none."""
    channel = await session.channel()
    queue = await channel.declare_queue(session.case.queue(), exclusive=True)
    equal(await queue.get(fail=False), None, "get from the empty queue")
    for body in (b"one", b"two", b"three"):
        await send(channel, queue.name, body)
    for left, body in ((2, b"one"), (1, b"two"), (0, b"three")):
        message = await queue.get()
        equal(message.body, body, "body")
        equal(message.message_count, left, "messages left")
        equal(message.routing_key, queue.name, "routing key")
        await message.ack()
    equal(await queue.get(fail=False), None, "get after the last")


async def server_named_queue(session: Session) -> None:
    """The broker makes the names."""
    channel = await session.channel()
    queues = [await channel.declare_queue(exclusive=True) for _ in range(2)]
    holds(queues[0].name != queues[1].name, f"two queues have the same name {queues[0].name}")
    for queue in queues:
        name = queue.name
        holds(name.startswith("amq."), f"the generated name {name} does not start with amq.")
        await send(channel, name, name.encode())
        equal(await drain(queue), [name.encode()], "messages")


async def exclusive_queue(session: Session) -> None:
    """Another connection may do nothing with it, until its owner is gone."""
    owner, other = await session.connect(), await session.connect()
    name = session.case.queue()
    await (await owner.channel()).declare_queue(name, exclusive=True)
    async with refused(405):
        await (await other.channel()).declare_queue(name, passive=True)
    async with refused(405):
        await (await other.channel()).declare_queue(name, exclusive=True)
    async with refused(405):
        queue = await (await other.channel()).get_queue(name, ensure=False)
        await queue.consume(Inbox())
    async with refused(405):
        await (await (await other.channel()).get_queue(name, ensure=False)).get()
    await (await owner.channel()).declare_queue(name, passive=True)
    await owner.close()
    async with refused(404):
        await (await other.channel()).declare_queue(name, passive=True)


async def purge_delete_counts(session: Session) -> None:
    """What declare-ok, purge-ok and delete-ok count."""
    channel = await session.channel()
    queue = await channel.declare_queue(session.case.queue(), exclusive=True)
    equal(await counts(channel, queue.name), (0, 0), "counts of the new queue")
    for _ in range(3):
        await send(channel, queue.name, b"x")
    equal(await counts(channel, queue.name), (3, 0), "messages")
    equal((await queue.purge()).message_count, 3, "messages purged")
    equal((await queue.purge()).message_count, 0, "messages purged again")
    tag = await queue.consume(Inbox())
    equal(await counts(channel, queue.name), (0, 1), "consumers")
    await queue.cancel(tag)
    for _ in range(2):
        await send(channel, queue.name, b"x")
    deleted = await queue.delete(if_unused=False, if_empty=False)
    equal(deleted.message_count, 2, "messages deleted")
    deleted = await queue.delete(if_unused=False, if_empty=False)
    equal(deleted.message_count, 0, "messages of the missing queue")


async def exchange_to_exchange(session: Session) -> None:
    """source --(topic pattern)--> destination --> queue."""
    channel = await session.channel()
    source = await channel.declare_exchange(session.case.exchange("source"), ExchangeType.TOPIC)
    destination = await channel.declare_exchange(
        session.case.exchange("destination"), ExchangeType.FANOUT
    )
    queue = await channel.declare_queue(session.case.queue(), exclusive=True)
    await queue.bind(destination)
    await destination.bind(source, "log.*")
    await source.publish(aio_pika.Message(b"crosses"), "log.info")
    await source.publish(aio_pika.Message(b"does not match"), "other", mandatory=False)
    equal(await drain(queue), [b"crosses"], "messages with the binding")
    await destination.unbind(source, "log.*")
    await source.publish(aio_pika.Message(b"late"), "log.info", mandatory=False)
    equal(await drain(queue), [], "messages without the binding")


async def alternate_exchange(session: Session) -> None:
    """What the direct exchange cannot route goes to a fanout."""
    channel = await session.channel()
    alternate = await channel.declare_exchange(
        session.case.exchange("alternate"), ExchangeType.FANOUT
    )
    exchange = await channel.declare_exchange(
        session.case.exchange("main"),
        ExchangeType.DIRECT,
        arguments={"alternate-exchange": alternate.name},
    )
    known = await channel.declare_queue(session.case.queue("known"), exclusive=True)
    unknown = await channel.declare_queue(session.case.queue("unknown"), exclusive=True)
    await known.bind(exchange, "known")
    await unknown.bind(alternate)
    await exchange.publish(aio_pika.Message(b"routed"), "known")
    await exchange.publish(aio_pika.Message(b"unrouted"), "lost")
    equal(await drain(known), [b"routed"], "messages that the exchange routed")
    equal(await drain(unknown), [b"unrouted"], "messages of the alternate exchange")
