"""What the broker must refuse, and with which reply code."""

# mypy: disable-error-code="import-untyped, import-not-found"

from typing import Any

import amqp

from interop.clients.pyamqp.session import Inbox, Session, refused, send
from interop.kit.check import equal, inequivalent_durable


def passive_declare_missing(session: Session) -> None:
    """404 for both, and the connection goes on."""
    connection = session.connect()
    with refused(404):
        connection.channel().queue_declare(session.case.name("missing"), passive=True)
    with refused(404):
        missing = session.case.name("missing")
        connection.channel().exchange_declare(missing, "direct", passive=True)
    _round_trip(connection.channel())


def precondition_failed(session: Session) -> None:
    """406 with the argument in the text."""
    connection = session.connect()
    queue = session.case.queue()
    connection.channel().queue_declare(queue, durable=True, auto_delete=False)
    with refused(406) as refusal:
        connection.channel().queue_declare(queue, durable=False, auto_delete=False)
    equal(refusal.text, inequivalent_durable(queue, session.case.address.vhost), "reply text")
    connection.channel().queue_declare(queue, durable=True, auto_delete=False)


def publish_missing_exchange(session: Session) -> None:
    """The refusal comes later than the publish; a round trip waits for it."""
    channel = session.channel()
    with refused(404):
        channel.basic_publish(amqp.Message(b"lost"), session.case.name("missing"), "key")
        _round_trip(channel)


def unknown_delivery_tag(session: Session) -> None:
    """The second ack of the same tag."""
    channel = session.channel()
    queue = session.case.queue()
    channel.queue_declare(queue, exclusive=True)
    send(channel, queue, b"once")
    message = channel.basic_get(queue)
    channel.basic_ack(message.delivery_tag)
    with refused(406):
        channel.basic_ack(message.delivery_tag)
        _round_trip(channel)


def reserved_name(session: Session) -> None:
    """amq. is the broker's."""
    connection = session.connect()
    name = f"amq.{session.case.name('mine')}"
    with refused(403):
        connection.channel().queue_declare(name, exclusive=True)
    with refused(403):
        connection.channel().exchange_declare(name, "direct")


def duplicate_consumer_tag(session: Session) -> None:
    """py-amqp leaves it to the broker."""
    channel = session.channel()
    queue = session.case.queue()
    channel.queue_declare(queue, exclusive=True, auto_delete=False)
    channel.basic_consume(queue, consumer_tag="twice", callback=Inbox())
    with refused(530):
        channel.basic_consume(queue, consumer_tag="twice", callback=Inbox())


def wrong_password(session: Session) -> None:
    """403, with AMQPLAIN."""
    with refused(403):
        session.connect(session.case.address.with_password("certainly wrong"))


def missing_vhost(session: Session) -> None:
    """530 at connection.open."""
    with refused(530):
        session.connect(session.case.address.with_vhost(session.case.name("vhost")))


def _round_trip(channel: Any) -> None:
    """Something that waits for an answer, so that what came before it is known."""
    channel.queue_declare("", exclusive=True)
