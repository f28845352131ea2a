"""What the broker must refuse, and with which reply code."""

# mypy: disable-error-code="import-untyped, import-not-found"

from typing import Any

from pika import spec
from pika.exceptions import (
    AMQPConnectionError,
    ConnectionClosedByBroker,
    ProbableAccessDeniedError,
    ProbableAuthenticationError,
)

from interop.clients.pika.session import Inbox, Session, refused
from interop.kit.check import Failed, equal, holds, inequivalent_durable


def passive_declare_missing(session: Session) -> None:
    """404 for both, and the connection goes on."""
    connection = session.connect()
    with refused(404):
        connection.channel().queue_declare(session.case.name("missing"), passive=True)
    with refused(404):
        connection.channel().exchange_declare(session.case.name("missing"), passive=True)
    connection.channel().queue_declare("", exclusive=True)


def precondition_failed(session: Session) -> None:
    """406 with the argument in the text."""
    connection = session.connect()
    queue = session.case.queue()
    connection.channel().queue_declare(queue, durable=True)
    with refused(406) as refusal:
        connection.channel().queue_declare(queue, durable=False)
    equal(refusal.text, inequivalent_durable(queue, session.case.address.vhost), "reply text")
    connection.channel().queue_declare(queue, durable=True)


def publish_missing_exchange(session: Session) -> None:
    """The refusal comes later than the publish; a round trip waits for it."""
    channel = session.channel()
    with refused(404):
        channel.basic_publish(session.case.name("missing"), "key", b"lost")
        _round_trip(channel)


def unknown_delivery_tag(session: Session) -> None:
    """The second ack of the same tag."""
    channel = session.channel()
    queue = session.case.queue()
    channel.queue_declare(queue, exclusive=True)
    channel.basic_publish("", queue, b"once")
    method, _, _ = channel.basic_get(queue)
    channel.basic_ack(method.delivery_tag)
    with refused(406):
        channel.basic_ack(method.delivery_tag)
        _round_trip(channel)


def reserved_name(session: Session) -> None:
    """amq. is the broker's."""
    connection = session.connect()
    with refused(403):
        connection.channel().queue_declare(f"amq.{session.case.name('queue')}", exclusive=True)
    with refused(403):
        connection.channel().exchange_declare(f"amq.{session.case.name('exchange')}", "direct")


def internal_exchange(session: Session) -> None:
    """Only other exchanges may publish to it."""
    channel = session.channel()
    exchange = session.case.exchange()
    channel.exchange_declare(exchange, "fanout", internal=True)
    with refused(403):
        channel.basic_publish(exchange, "", b"refused")
        _round_trip(channel)


def duplicate_consumer_tag(session: Session) -> None:
    """pika itself forbids it, so the second consume is sent beneath its bookkeeping."""
    channel = session.channel()
    queue = session.case.queue()
    channel.queue_declare(queue, exclusive=True)
    channel.basic_consume(queue, Inbox(), consumer_tag="twice")
    with refused(530, ConnectionClosedByBroker):
        channel._impl._send_method(spec.Basic.Consume(queue=queue, consumer_tag="twice"))
        _round_trip(channel)


def wrong_password(session: Session) -> None:
    """pika names the login as the probable cause; the broker's own words are inside."""
    address = session.case.address.with_password("certainly wrong")
    try:
        session.connect(address.url())
    except ProbableAuthenticationError as error:
        holds("403" in str(error), f"no reply code 403 in {error}")
    except AMQPConnectionError as error:
        raise Failed(f"expected an authentication error, got {error!r}") from error
    else:
        raise Failed("a wrong password was accepted")


def missing_vhost(session: Session) -> None:
    """pika names the virtual host as the probable cause; the broker's own words are inside."""
    address = session.case.address.with_vhost(session.case.name("vhost"))
    try:
        session.connect(address.url())
    except ProbableAccessDeniedError as error:
        holds("530" in str(error), f"no reply code 530 in {error}")
    else:
        raise Failed("a virtual host that does not exist was opened")


def _round_trip(channel: Any) -> None:
    """Something that waits for an answer, so that what came before it is known."""
    channel.queue_declare("", exclusive=True)
