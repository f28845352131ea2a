"""Who may do what: the table of RabbitMQ's access control, row by row, and its texts.

The user `BY_NAME` may configure what has `conf` in its name, write to what has `writ`, read what
has `read`; each resource here is named for what it is to allow.
"""

from typing import Any

import pytest
from pamqp.commands import Basic, Exchange, Queue

from tests.peers.accounts import BY_NAME, ELSEWHERE, NOTHING, OTHER_VHOST
from tests.peers.channel import Channel
from tests.peers.errors import channel_error
from tests.scenarios import texts


@pytest.fixture
def user(peer: Any) -> Channel:
    """A channel of the user whose rights depend on names."""
    return peer.connect(BY_NAME.name).channel()


def refused(peer: Any, verb: str, kind: str, name: str, user: str = BY_NAME.name) -> str:
    """The text of a refusal."""
    return texts.refused(peer.oracle, verb, f"{kind} '{name}'", user)


# -- exchanges -------------------------------------------------------------------------------------


def test_declaring_an_exchange_asks_for_configure(peer: Any, user: Channel) -> None:
    allowed, denied = peer.name("x-conf"), peer.name("x-writ-read")
    user.declare_exchange(allowed)
    with channel_error(403, refused(peer, "configure", "exchange", denied), Exchange.Declare):
        user.declare_exchange(denied)


def test_declaring_what_exists_asks_for_configure_too(
    peer: Any, channel: Channel, user: Channel
) -> None:
    exchange = peer.name("x-writ-read")
    channel.declare_exchange(exchange)
    with channel_error(403, refused(peer, "configure", "exchange", exchange), Exchange.Declare):
        user.declare_exchange(exchange)


def test_a_passive_declare_asks_for_nothing(peer: Any, channel: Channel, user: Channel) -> None:
    exchange, queue = peer.name("x"), peer.name("q")
    channel.declare_exchange(exchange)
    channel.declare(queue)
    user.declare_exchange(exchange, passive=True)
    user.declare(queue, passive=True)


def test_an_alternate_exchange_asks_for_read_and_write(peer: Any, user: Channel) -> None:
    connection = user.connection
    exchange, alternate = peer.name("x-conf-read"), peer.name("alternate-writ")
    user.declare_exchange(exchange, arguments={"alternate-exchange": alternate})
    deaf, mute = peer.name("x-conf"), peer.name("alternate")
    with channel_error(403, refused(peer, "read", "exchange", deaf), Exchange.Declare):
        user.declare_exchange(deaf, arguments={"alternate-exchange": alternate})
    other = peer.name("x-conf-read")
    with channel_error(403, refused(peer, "write", "exchange", mute), Exchange.Declare):
        connection.channel().declare_exchange(other, arguments={"alternate-exchange": mute})


def test_deleting_an_exchange_asks_for_configure(
    peer: Any, channel: Channel, user: Channel
) -> None:
    allowed, denied = peer.name("x-conf"), peer.name("x-writ-read")
    for exchange in (allowed, denied):
        channel.declare_exchange(exchange)
    user.delete_exchange(allowed)
    with channel_error(403, refused(peer, "configure", "exchange", denied), Exchange.Delete):
        user.delete_exchange(denied)


@pytest.mark.parametrize("kind", [Exchange.Bind, Exchange.Unbind])
def test_binding_exchanges_asks_for_write_at_one_end_and_read_at_the_other(
    peer: Any, channel: Channel, user: Channel, kind: Any
) -> None:
    connection = user.connection
    writ, read, neither = peer.name("x-writ"), peer.name("x-read"), peer.name("x-conf")
    for exchange in (writ, read, neither):
        channel.declare_exchange(exchange)
    user.do(kind, destination=writ, source=read, routing_key="k")
    with channel_error(403, refused(peer, "write", "exchange", neither), kind):
        user.do(kind, destination=neither, source=read, routing_key="k")
    with channel_error(403, refused(peer, "read", "exchange", neither), kind):
        connection.channel().do(kind, destination=writ, source=neither, routing_key="k")


# -- queues ----------------------------------------------------------------------------------------


def test_declaring_a_queue_asks_for_configure(peer: Any, user: Channel) -> None:
    allowed, denied = peer.name("q-conf"), peer.name("q-writ-read")
    user.declare(allowed)
    with channel_error(403, refused(peer, "configure", "queue", denied), Queue.Declare):
        user.declare(denied)


def test_a_made_up_name_is_asked_for_like_any_other(peer: Any, user: Channel) -> None:
    with pytest.raises(Exception, match=r"access to queue 'amq\.gen-[^']{22}' in vhost"):
        user.declare("", exclusive=True)


def test_a_dead_letter_exchange_asks_for_read_and_write(peer: Any, user: Channel) -> None:
    connection = user.connection
    queue, exchange = peer.name("q-conf-read"), peer.name("x-writ")
    user.declare(queue, arguments={"x-dead-letter-exchange": exchange})
    deaf, mute = peer.name("q-conf"), peer.name("x")
    with channel_error(403, refused(peer, "read", "queue", deaf), Queue.Declare):
        user.declare(deaf, arguments={"x-dead-letter-exchange": exchange})
    other = peer.name("q-conf-read")
    with channel_error(403, refused(peer, "write", "exchange", mute), Queue.Declare):
        connection.channel().declare(other, arguments={"x-dead-letter-exchange": mute})


@pytest.mark.parametrize("kind", [Queue.Bind, Queue.Unbind])
def test_binding_a_queue_asks_for_write_on_it_and_read_on_the_exchange(
    peer: Any, channel: Channel, user: Channel, kind: Any
) -> None:
    connection = user.connection
    writ, neither = peer.name("q-writ"), peer.name("q-conf-read")
    read, mute = peer.name("x-read"), peer.name("x-conf-writ")
    for queue in (writ, neither):
        channel.declare(queue)
    for exchange in (read, mute):
        channel.declare_exchange(exchange)
    user.do(kind, queue=writ, exchange=read, routing_key="k")
    with channel_error(403, refused(peer, "write", "queue", neither), kind):
        user.do(kind, queue=neither, exchange=read, routing_key="k")
    with channel_error(403, refused(peer, "read", "exchange", mute), kind):
        connection.channel().do(kind, queue=writ, exchange=mute, routing_key="k")


READS = [(Queue.Purge, {}), (Basic.Get, {}), (Basic.Consume, {})]


@pytest.mark.parametrize(("kind", "fields"), READS)
def test_taking_messages_asks_for_read(
    peer: Any, channel: Channel, user: Channel, kind: Any, fields: dict[str, Any]
) -> None:
    allowed, denied = peer.name("q-read"), peer.name("q-conf-writ")
    for queue in (allowed, denied):
        channel.declare(queue)
    user.do(kind, queue=allowed, **fields)
    with channel_error(403, refused(peer, "read", "queue", denied), kind):
        user.do(kind, queue=denied, **fields)


def test_deleting_a_queue_asks_for_configure(peer: Any, channel: Channel, user: Channel) -> None:
    allowed, denied = peer.name("q-conf"), peer.name("q-writ-read")
    for queue in (allowed, denied):
        channel.declare(queue)
    user.delete(allowed)
    with channel_error(403, refused(peer, "configure", "queue", denied), Queue.Delete):
        user.delete(denied)


# -- publishing ------------------------------------------------------------------------------------


def test_publishing_asks_for_write(peer: Any, channel: Channel, user: Channel) -> None:
    allowed, denied = peer.name("x-writ"), peer.name("x-conf-read")
    for exchange in (allowed, denied):
        channel.declare_exchange(exchange)
    user.publish(allowed, "k")
    user.sync()
    user.publish(denied, "k")
    with channel_error(403, refused(peer, "write", "exchange", denied), Basic.Publish):
        user.expect_close()


def test_the_default_exchange_is_asked_for_by_a_name_of_its_own(peer: Any, user: Channel) -> None:
    user.publish("", "q-writ")
    with channel_error(403, refused(peer, "write", "exchange", "amq.default"), Basic.Publish):
        user.expect_close()


def test_a_refused_publish_goes_nowhere(peer: Any, channel: Channel, user: Channel) -> None:
    queue = peer.name("q-writ")
    channel.declare(queue)
    user.publish("", queue, b"no")
    with pytest.raises(Exception, match="ACCESS_REFUSED"):
        user.expect_close()
    assert channel.bodies(queue) == []


def test_a_publish_that_was_allowed_once_is_still_looked_at(
    peer: Any, channel: Channel, user: Channel
) -> None:
    exchange = peer.name("x-writ")
    channel.declare_exchange(exchange)
    for _ in range(3):
        user.publish(exchange, "k")
    user.publish("amq.fanout", "k")
    with channel_error(403, refused(peer, "write", "exchange", "amq.fanout"), Basic.Publish):
        user.expect_close()


# -- patterns --------------------------------------------------------------------------------------


def test_the_empty_pattern_allows_nothing(peer: Any, channel: Channel) -> None:
    connection = peer.connect(NOTHING.name)
    queue = peer.name("q")
    channel.declare(queue)
    name = NOTHING.name
    with channel_error(403, refused(peer, "configure", "queue", queue, name), Queue.Declare):
        connection.channel().declare(queue)
    with channel_error(403, refused(peer, "read", "queue", queue, name), Basic.Get):
        connection.channel().get(queue)


def test_a_missing_queue_is_refused_before_it_is_missed(peer: Any, user: Channel) -> None:
    queue = peer.name("q-conf-writ")
    with channel_error(403, refused(peer, "read", "queue", queue), Basic.Get):
        user.get(queue)


def test_a_refusal_leaves_the_connection_open(peer: Any, user: Channel) -> None:
    connection = user.connection
    with pytest.raises(Exception, match="ACCESS_REFUSED"):
        user.declare(peer.name("q"))
    connection.channel().declare(peer.name("q-conf"))


def test_rights_are_of_one_vhost(peer: Any) -> None:
    channel = peer.connect(ELSEWHERE.name, vhost=OTHER_VHOST).channel()
    queue = channel.declare(exclusive=True).queue
    channel.publish("", queue, b"1")
    assert channel.bodies(queue) == [b"1"]
