"""What the broker must refuse, and with which reply code."""

# mypy: disable-error-code="import-untyped, import-not-found, attr-defined, no-untyped-call"

from typing import Any

import kombu

from interop.clients.kombu.session import Inbox, Session, declare_queue, refused, send
from interop.kit.check import equal, inequivalent_durable


def passive_declare_missing(session: Session) -> None:
    """404 for both, and the connection goes on."""
    connection = session.connect()
    name = session.case.name("missing")
    with refused(404):
        kombu.Queue(name, channel=connection.channel()).queue_declare(passive=True)
    with refused(404):
        kombu.Exchange(name, channel=connection.channel()).declare(passive=True)
    _round_trip(connection.channel())


def precondition_failed(session: Session) -> None:
    """406 with the argument in the text."""
    connection = session.connect()
    name = session.case.queue()
    declare_queue(connection.channel(), name, durable=True)
    with refused(406) as refusal:
        declare_queue(connection.channel(), name, durable=False)
    equal(refusal.text, inequivalent_durable(name, session.case.address.vhost), "reply text")
    declare_queue(connection.channel(), name, durable=True)


def publish_missing_exchange(session: Session) -> None:
    """The refusal comes later than the publish; a round trip waits for it."""
    channel = session.channel()
    with refused(404):
        missing = session.case.name("missing")
        kombu.Producer(channel).publish(b"lost", exchange=missing, routing_key="key")
        _round_trip(channel)


def unknown_delivery_tag(session: Session) -> None:
    """The second ack of the same tag; kombu's message forbids it, its channel does not."""
    channel = session.channel()
    queue = session.queue(channel)
    send(channel, queue.name, b"once")
    message = queue.get()
    message.ack()
    with refused(406):
        channel.basic_ack(message.delivery_tag)
        _round_trip(channel)


def reserved_name(session: Session) -> None:
    """amq. is the broker's; kombu does not declare such an exchange, its channel does."""
    connection = session.connect()
    name = f"amq.{session.case.name('mine')}"
    with refused(403):
        declare_queue(connection.channel(), name, exclusive=True)
    with refused(403):
        connection.channel().exchange_declare(name, "direct")


def duplicate_consumer_tag(session: Session) -> None:
    """kombu leaves it to the broker."""
    channel = session.channel()
    queue = session.queue(channel)
    queue.consume("twice", callback=Inbox())
    with refused(530):
        queue.consume("twice", callback=Inbox())


def wrong_password(session: Session) -> None:
    """403, with PLAIN."""
    with refused(403):
        session.connect(session.case.address.with_password("certainly wrong"))


def missing_vhost(session: Session) -> None:
    """530 at connection.open."""
    with refused(530):
        session.connect(session.case.address.with_vhost(session.case.name("vhost")))


def _round_trip(channel: Any) -> None:
    """Something that waits for an answer, so that what came before it is known."""
    declare_queue(channel, "", exclusive=True)
