"""Limits of vhosts and users: connections, queues, channels (RabbitMQ: vhost and user limits)."""

from typing import Any

import pytest

from tests.peers.accounts import ELSEWHERE
from tests.peers.connection import Connection
from tests.peers.errors import ConnectionClosed
from tests.scenarios.texts import no_queue

USER = ELSEWHERE.name


@pytest.fixture
def connection(peer: Any, admin: Any) -> Connection:
    """An open connection of guest in the administrator's vhost."""
    return peer.connect(vhost=admin.vhost)


def refusal(peer: Any, vhost: str, user: str = "guest") -> str:
    """Try to open a vhost. Returns the text of the refusal."""
    with pytest.raises(ConnectionClosed) as closed:
        peer.connect(user, vhost=vhost)
    assert (closed.value.reply_code, closed.value.class_id, closed.value.method_id) == (530, 10, 40)
    return closed.value.reply_text


def over_vhost(vhost: str, user: str, limit: int) -> str:
    """The text of a vhost with too many connections."""
    return (
        f"NOT_ALLOWED - access to vhost '{vhost}' refused for user '{user}':"
        f" connection limit ({limit}) is reached"
    )


def over_user(limit: int) -> str:
    """The text of a user with too many connections."""
    return (
        f"NOT_ALLOWED - connection refused for user '{USER}':"
        f" user connection limit ({limit}) is reached"
    )


# -- connections -----------------------------------------------------------------------------------


def test_a_vhost_takes_so_many_connections(peer: Any, admin: Any) -> None:
    admin.limit_vhost({"max-connections": 2})
    first = peer.connect(vhost=admin.vhost)
    peer.connect(vhost=admin.vhost)
    assert refusal(peer, admin.vhost) == over_vhost(admin.vhost, "guest", 2)
    assert refusal(peer, admin.vhost, USER) == over_vhost(admin.vhost, USER, 2)
    first.close()

    def is_open() -> bool:
        try:
            peer.connect(vhost=admin.vhost)
        except ConnectionClosed:
            return False
        return True

    peer.until(is_open)
    peer.connect()  # another vhost


def test_a_vhost_that_takes_none(peer: Any, admin: Any) -> None:
    admin.limit_vhost({"max-connections": 0})
    assert refusal(peer, admin.vhost) == over_vhost(admin.vhost, "guest", 0)


def test_minus_one_is_no_limit(peer: Any, admin: Any) -> None:
    admin.limit_vhost({"max-connections": -1, "max-queues": -1})
    channel = peer.connect(vhost=admin.vhost).channel()
    channel.declare("q")


def test_a_lower_limit_leaves_connections_open(peer: Any, admin: Any) -> None:
    connections = [peer.connect(vhost=admin.vhost) for _ in range(2)]
    admin.limit_vhost({"max-connections": 1})
    for connection in connections:
        connection.channel()
    assert refusal(peer, admin.vhost) == over_vhost(admin.vhost, "guest", 1)


def test_a_user_may_have_so_many_connections(peer: Any, admin: Any) -> None:
    admin.limit_user(USER, {"max-connections": 1})
    peer.connect(USER, vhost=admin.vhost)
    assert refusal(peer, admin.vhost, USER) == over_user(1)
    peer.connect(vhost=admin.vhost)
    admin.limit_user(USER, {"max-connections": 0})
    assert refusal(peer, admin.vhost, USER) == over_user(0)
    admin.limit_user(USER, {})
    peer.connect(USER, vhost=admin.vhost)


def test_what_is_said_first(peer: Any, admin: Any) -> None:
    admin.limit_user(USER, {"max-connections": 0})
    assert refusal(peer, "amqpd-nowhere", USER) == "NOT_ALLOWED - vhost amqpd-nowhere not found"
    assert refusal(peer, "/", USER) == over_user(0), "before: may the user open it at all"
    admin.limit_vhost({"max-connections": 0})
    assert refusal(peer, admin.vhost, USER) == over_vhost(admin.vhost, USER, 0)


# -- channels --------------------------------------------------------------------------------------


def test_a_user_may_have_so_many_channels_over_all_connections(peer: Any, admin: Any) -> None:
    admin.limit_user(USER, {"max-channels": 2})
    first = peer.connect(USER, vhost=admin.vhost)
    second = peer.connect(USER, vhost=admin.vhost)
    channel = first.channel()
    second.channel()
    channel.close()
    first.channel()
    limit = "2" if peer.oracle.since(3, 13) else "(2)"
    text = (
        f"NOT_ALLOWED - number of channels opened for user '{USER}'"
        f" has reached the maximum allowed user limit of {limit}"
    )
    with pytest.raises(ConnectionClosed) as closed:
        first.channel()
    assert (closed.value.reply_code, closed.value.reply_text) == (530, text)
    peer.until(lambda: _can_open_channel(second))


def _can_open_channel(connection: Connection) -> bool:
    connection.channel()
    return True


# -- queues ----------------------------------------------------------------------------------------


def over_queues(queue: str, vhost: str, limit: int) -> str:
    """The text of a vhost with too many queues."""
    return (
        f"PRECONDITION_FAILED - cannot declare queue '{queue}':"
        f" queue limit in vhost '{vhost}' ({limit}) is reached"
    )


def test_a_vhost_has_so_many_queues(admin: Any, connection: Connection) -> None:
    admin.limit_vhost({"max-queues": 2})
    channel = connection.channel()
    channel.declare("a")
    channel.declare("b", exclusive=True)
    channel.declare("a")
    for arguments in ({}, {"x-max-length": -1}):
        with pytest.raises(Exception, match="queue limit") as closed:
            connection.channel().declare("c", arguments=arguments)
        assert closed.value.reply_text == over_queues("c", admin.vhost, 2)  # type: ignore[attr-defined]
    with pytest.raises(Exception, match="NOT_FOUND") as missing:
        connection.channel().declare("c", passive=True)
    assert missing.value.reply_text == no_queue("c", admin.vhost)  # type: ignore[attr-defined]
    with pytest.raises(Exception, match="reserved prefix"):
        connection.channel().declare("amq.c")
    channel.delete("a")
    channel.declare("c")


def test_a_vhost_without_queues(admin: Any, connection: Connection) -> None:
    admin.limit_vhost({"max-queues": 0})
    with pytest.raises(Exception, match=r"queue limit in vhost '.*' \(0\) is reached"):
        connection.channel().declare(exclusive=True)


# -- deletion --------------------------------------------------------------------------------------


def test_deleting_a_vhost_closes_its_connections(peer: Any) -> None:
    admin = peer.new_admin()
    admin.begin()
    channel = peer.connect(vhost=admin.vhost).channel()
    channel.declare("q")
    admin.delete_vhost(admin.vhost)
    with pytest.raises(ConnectionClosed) as closed:
        channel.expect_close()
    assert closed.value.reply_code == 320
    assert closed.value.reply_text == f"CONNECTION_FORCED - vhost '{admin.vhost}' is deleted"
