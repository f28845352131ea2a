"""Topic permissions: which routing keys of a topic exchange a user may write and read."""

from typing import Any

import pytest
from pamqp.commands import Basic, Exchange, Queue

from tests.peers.accounts import ELSEWHERE
from tests.peers.channel import Channel
from tests.peers.errors import channel_error

USER = ELSEWHERE.name


@pytest.fixture
def channel(peer: Any, admin: Any) -> Channel:
    """A channel of the user, with a topic exchange and a queue; two permissions with variables."""
    channel: Channel = peer.connect(USER, vhost=admin.vhost).channel()
    channel.declare_exchange("t", "topic")
    channel.declare("q")
    admin.permit_topic(USER, "t", "^{username}[.]", "^{vhost}[.]")
    return channel


def refused(peer: Any, admin: Any, verb: str, key: str) -> str:
    """The text of a refusal; the verb is said since 3.12."""
    said = f"{verb} " if peer.oracle.since(3, 12) else ""
    return (
        f"ACCESS_REFUSED - {said}access to topic '{key}' in exchange 't' in vhost '{admin.vhost}'"
        f" refused for user '{USER}'"
    )


def test_publishing_asks_for_write(peer: Any, admin: Any, channel: Channel) -> None:
    channel.publish("t", f"{USER}.a")
    channel.sync()
    channel.publish("t", "other")
    with channel_error(403, refused(peer, admin, "write", "other"), Basic.Publish):
        channel.expect_close()


def test_copies_are_asked_for_too(peer: Any, admin: Any, channel: Channel) -> None:
    if not peer.oracle.since(3, 13):
        pytest.skip("since 3.13")
    properties = {"headers": {"CC": [f"{USER}.b", "other"]}}
    channel.publish("t", f"{USER}.a", **properties)
    with channel_error(403, refused(peer, admin, "write", "other"), Basic.Publish):
        channel.expect_close()


@pytest.mark.parametrize("kind", [Queue.Bind, Queue.Unbind])
def test_binding_a_queue_asks_for_read(peer: Any, admin: Any, channel: Channel, kind: Any) -> None:
    channel.do(kind, queue="q", exchange="t", routing_key=f"{admin.vhost}.#")
    with channel_error(403, refused(peer, admin, "read", "other"), kind):
        channel.do(kind, queue="q", exchange="t", routing_key="other")


@pytest.mark.parametrize("kind", [Exchange.Bind, Exchange.Unbind])
def test_binding_an_exchange_asks_for_read(
    peer: Any, admin: Any, channel: Channel, kind: Any
) -> None:
    ends = {"source": "t", "destination": "amq.fanout"}
    channel.do(kind, **ends, routing_key=f"{admin.vhost}.#")
    with channel_error(403, refused(peer, admin, "read", "other"), kind):
        channel.do(kind, **ends, routing_key="other")


def test_it_is_asked_for_before_the_queue_is_missed(
    peer: Any, admin: Any, channel: Channel
) -> None:
    with channel_error(403, refused(peer, admin, "read", "other"), Queue.Bind):
        channel.do(Queue.Bind, queue="none", exchange="t", routing_key="other")


def test_other_exchanges_and_other_users_are_free(peer: Any, admin: Any, channel: Channel) -> None:
    channel.declare_exchange("u", "topic")
    admin.permit_topic(USER, "d", "", "")
    channel.declare_exchange("d", "direct")
    for exchange in ("u", "d", "amq.topic"):
        channel.bind("q", exchange, "other")
        channel.publish(exchange, "other", b"1")
    channel.sync()
    other = peer.connect(vhost=admin.vhost).channel()
    other.publish("t", "other")
    other.sync()
    assert len(channel.bodies("q")) == 3


def test_the_empty_pattern_fits_the_empty_key_alone(
    peer: Any, admin: Any, channel: Channel
) -> None:
    admin.permit_topic(USER, "t", "", "")
    channel.bind("q", "t", "")
    channel.publish("t", "", b"1")
    channel.sync()
    assert channel.bodies("q") == [b"1"]
    channel.publish("t", "x")
    with channel_error(403, refused(peer, admin, "write", "x"), Basic.Publish):
        channel.expect_close()


def test_a_permission_that_changes_counts_for_keys_that_were_allowed(
    peer: Any, admin: Any, channel: Channel
) -> None:
    if peer.oracle.is_rabbitmq:
        pytest.skip("RabbitMQ remembers the answer for a while")
    for _ in range(2):
        channel.publish("t", f"{USER}.a")
    channel.sync()
    admin.permit_topic(USER, "t", "^b", "")
    channel.publish("t", f"{USER}.a")
    with channel_error(403, refused(peer, admin, "write", f"{USER}.a"), Basic.Publish):
        channel.expect_close()
