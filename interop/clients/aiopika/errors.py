"""What the broker must refuse, and with which reply code."""

# mypy: disable-error-code="import-untyped, import-not-found"

from typing import Any

import aio_pika
from aiormq.exceptions import AMQPConnectionError, InvalidFrameError, ProbableAuthenticationError
from pamqp.commands import Basic

from interop.clients.aiopika.session import Inbox, Session, refused, send
from interop.kit.check import Failed, equal, holds, inequivalent_durable


async def passive_declare_missing(session: Session) -> None:
    """404 for both, and the connection goes on."""
    connection = await session.connect()
    async with refused(404):
        await (await connection.channel()).get_queue(session.case.name("missing"))
    async with refused(404):
        await (await connection.channel()).get_exchange(session.case.name("missing"))
    await (await connection.channel()).declare_queue(exclusive=True)


async def precondition_failed(session: Session) -> None:
    """406 with the argument in the text."""
    connection = await session.connect()
    queue = session.case.queue()
    await (await connection.channel()).declare_queue(queue, durable=True)
    async with refused(406) as refusal:
        await (await connection.channel()).declare_queue(queue, durable=False)
    equal(refusal.text, inequivalent_durable(queue, session.case.address.vhost), "reply text")
    await (await connection.channel()).declare_queue(queue, durable=True)


async def publish_missing_exchange(session: Session) -> None:
    """The publish waits for its confirm and gets the refusal."""
    channel = await session.channel()
    exchange = await channel.get_exchange(session.case.name("missing"), ensure=False)
    async with refused(404):
        await exchange.publish(aio_pika.Message(b"lost"), "key")


async def unknown_delivery_tag(session: Session) -> None:
    """The second ack of the same tag; aio-pika forbids it, the channel beneath does not."""
    channel = await session.channel()
    queue = await channel.declare_queue(session.case.queue(), exclusive=True)
    await send(channel, queue.name, b"once")
    message = await queue.get()
    await message.ack()
    underlay = await channel.get_underlay_channel()
    async with refused(406):
        await underlay.basic_ack(message.delivery_tag)
        await _round_trip(channel)


async def reserved_name(session: Session) -> None:
    """amq. is the broker's."""
    connection = await session.connect()
    name = f"amq.{session.case.name('mine')}"
    async with refused(403):
        await (await connection.channel()).declare_queue(name, exclusive=True)
    async with refused(403):
        await (await connection.channel()).declare_exchange(name)


async def internal_exchange(session: Session) -> None:
    """aio-pika minds what it declared itself, so the publish goes through a bare name."""
    channel = await session.channel()
    declared = await channel.declare_exchange(session.case.exchange(), internal=True)
    exchange = await channel.get_exchange(declared.name, ensure=False)
    async with refused(403):
        await exchange.publish(aio_pika.Message(b"refused"), "")


async def duplicate_consumer_tag(session: Session) -> None:
    """aiormq itself forbids it, so the second consume is sent as a bare method."""
    channel = await session.channel()
    queue = await channel.declare_queue(session.case.queue(), exclusive=True)
    await queue.consume(Inbox(), consumer_tag="twice")
    underlay = await channel.get_underlay_channel()
    async with refused(530):
        await underlay.rpc(Basic.Consume(queue=queue.name, consumer_tag="twice"))


async def wrong_password(session: Session) -> None:
    """aiormq names the login as the probable cause; the broker's own words are inside."""
    address = session.case.address.with_password("certainly wrong")
    try:
        await session.connect(address.url())
    except ProbableAuthenticationError as error:
        holds("ACCESS_REFUSED" in str(error), f"no ACCESS_REFUSED in {error!r}")
    except AMQPConnectionError as error:
        raise Failed(f"expected an authentication error, got {error!r}") from error
    else:
        raise Failed("a wrong password was accepted")


async def missing_vhost(session: Session) -> None:
    """aiormq tells only that a connection.close came instead of open-ok, not its 530."""
    address = session.case.address.with_vhost(session.case.name("vhost"))
    try:
        await session.connect(address.url())
    except InvalidFrameError as error:
        holds("Connection.Close" in str(error), f"no connection.close in {error!r}")
    else:
        raise Failed("a virtual host that does not exist was opened")


async def _round_trip(channel: Any) -> None:
    """Something that waits for an answer, so that what came before it is known."""
    await channel.declare_queue(exclusive=True)
