"""An open connection and its end: close by either side, secrets, heartbeats, alarms."""

from itertools import pairwise
from typing import Any

import pytest
from pamqp import commands
from pamqp.commands import Basic

from tests.peers import codec
from tests.peers.connection import CAPABILITIES
from tests.peers.errors import ConnectionClosed, Disconnected, connection_error

CLOCK = pytest.mark.distances("memory", "sim", why="moves the clock")
INSIDE = pytest.mark.distances("memory", "sim", why="commands the broker from inside")

# -- close -----------------------------------------------------------------------------------------


def test_a_client_closes(peer: Any) -> None:
    connection = peer.connect()
    connection.channel()
    connection.send(codec.make(commands.Connection.Close, reply_code=200, reply_text="OK"))
    connection.expect(commands.Connection.CloseOk)


@INSIDE
def test_the_socket_is_closed_after_close_ok(peer: Any) -> None:
    connection = peer.connect()
    connection.send(codec.make(commands.Connection.Close, reply_code=200, reply_text="OK"))
    connection.expect(commands.Connection.CloseOk)
    with pytest.raises(Disconnected):
        connection.expect_close()


@pytest.mark.parametrize("code", [0, 200, 320, 541, 65535])
def test_a_client_may_close_for_any_reason(peer: Any, code: int) -> None:
    peer.connect().close(code, "Größe" * 30)


def test_what_follows_a_close_is_discarded(peer: Any) -> None:
    connection, other = peer.connect(), peer.connect().channel()
    channel = connection.channel()
    queue = peer.name("q")
    other.declare(queue)
    connection.hold()
    connection.send(codec.make(commands.Connection.Close, reply_code=200, reply_text="OK"))
    channel.publish("", queue, b"too late")
    channel.send(commands.Queue.Declare(queue="amq.not-allowed"))
    connection.release()
    connection.expect(commands.Connection.CloseOk)
    assert other.bodies(queue) == []


def test_what_precedes_a_close_is_done(peer: Any) -> None:
    connection, other = peer.connect(), peer.connect().channel()
    channel = connection.channel()
    queue = peer.name("q")
    other.declare(queue)
    connection.hold()
    for number in range(100):
        channel.publish("", queue, str(number).encode())
    connection.send(codec.make(commands.Connection.Close, reply_code=200, reply_text="OK"))
    connection.release()
    connection.expect(commands.Connection.CloseOk)
    connection.drop()
    peer.until(lambda: other.ready(queue) == 100)


def test_all_but_close_ok_is_discarded_after_the_servers_close(peer: Any) -> None:
    connection, other = peer.connect(), peer.connect().channel()
    channel = connection.channel()
    queue = peer.name("q")
    other.declare(queue)
    connection.answers_close = False
    connection.hold()
    channel.publish("", queue, immediate=True)
    channel.publish("", queue, b"too late")
    connection.release()
    with pytest.raises(ConnectionClosed):
        channel.expect_close()
    channel.publish("", queue, b"much too late")
    connection.send(commands.Connection.CloseOk())
    connection.expect_end()
    assert other.bodies(queue) == []


def test_a_close_is_answered_after_the_servers_own(peer: Any) -> None:
    connection = peer.connect()
    channel = connection.channel()
    connection.answers_close = False
    channel.publish("", "k", immediate=True)
    with pytest.raises(ConnectionClosed):
        channel.expect_close()
    connection.failure = None
    connection.send(codec.make(commands.Connection.Close, reply_code=200, reply_text="OK"))
    connection.expect(commands.Connection.CloseOk)


@CLOCK
def test_the_server_waits_30_seconds_for_close_ok(peer: Any) -> None:
    connection = peer.connect()
    channel = connection.channel()
    connection.answers_close = False
    channel.publish("", "k", immediate=True)
    with pytest.raises(ConnectionClosed):
        channel.expect_close()
    connection.failure = None
    peer.advance(29_999)
    connection.expect_silence()
    peer.advance(1)
    with pytest.raises(Disconnected):
        connection.expect_close()


@INSIDE
def test_the_broker_closes_a_connection(peer: Any) -> None:
    connection = peer.connect()
    connection.channel()
    text = "CONNECTION_FORCED - Closed via management plugin"
    (inside,) = peer.broker.connections.values()
    peer.broker.close_connection(inside, 320, text, peer.now_ms)
    with connection_error(320, text, None):
        connection.expect_close()
    connection.expect_end()


@INSIDE
def test_a_broker_that_stops_tells_everyone(peer: Any) -> None:
    connections = [peer.connect() for _ in range(3)]
    stranger = peer.greet()
    peer.broker.shut_down(peer.now_ms)
    text = "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'"
    for connection in connections:
        with connection_error(320, text, None):
            connection.expect_close()
        connection.expect_end()
    with pytest.raises(Disconnected):
        stranger.expect_close()
    assert not peer.broker.connections


# -- update-secret ---------------------------------------------------------------------------------


def test_a_new_secret_is_taken(peer: Any) -> None:
    connection = peer.connect()
    connection.call(commands.Connection.UpdateSecret("new", "because"))
    connection.channel()


# -- many connections and channels -----------------------------------------------------------------


def test_connections_do_not_disturb_each_other(peer: Any) -> None:
    first, second = peer.connect(), peer.connect()
    bad = first.channel()
    bad.publish("", "k", immediate=True)
    with pytest.raises(ConnectionClosed):
        bad.expect_close()
    second.channel().sync()


# -- heartbeats ------------------------------------------------------------------------------------


@CLOCK
def test_the_server_says_something_in_every_interval(peer: Any) -> None:
    connection = peer.connect(heartbeat=10)
    heard = [0]
    for second in range(1, 120):
        peer.advance(1_000)
        connection.raw(codec.HEARTBEAT_FRAME)
        before = connection.heartbeat_count
        connection.expect_silence()
        if connection.heartbeat_count > before:
            heard.append(second)
    assert max(later - earlier for earlier, later in pairwise([*heard, 120])) <= 10


@CLOCK
def test_no_heartbeats_are_sent_where_none_were_agreed(peer: Any) -> None:
    connection = peer.connect(heartbeat=0)
    peer.advance(3_600_000)
    connection.expect_silence()
    assert connection.heartbeat_count == 0
    connection.channel()


@CLOCK
def test_a_client_that_says_nothing_is_dropped(peer: Any) -> None:
    connection = peer.connect(heartbeat=10)
    peer.advance(20_000)
    connection.expect_silence()
    peer.advance(10_000)
    with pytest.raises(Disconnected):
        connection.expect_close()


@CLOCK
@pytest.mark.parametrize("what", ["heartbeats", "methods", "single octets"])
def test_a_client_that_says_anything_is_alive(peer: Any, what: str) -> None:
    connection = peer.connect(heartbeat=10)
    channel = connection.channel()
    rest = codec.HEARTBEAT_FRAME * 10
    for index in range(40):
        peer.advance(9_000)
        if what == "heartbeats":
            connection.raw(codec.HEARTBEAT_FRAME)
        elif what == "methods":
            channel.publish("amq.fanout", "")
        else:
            connection.raw(rest[index : index + 1])
    connection.expect_silence()
    if what != "single octets":
        channel.sync()


@CLOCK
def test_a_client_that_only_reads_is_dropped(peer: Any) -> None:
    connection, other = peer.connect(heartbeat=10), peer.connect().channel()
    channel = connection.channel()
    queue = peer.name("q")
    channel.declare(queue)
    channel.consume(queue, no_ack=True)
    with pytest.raises(Disconnected):
        for _ in range(8):
            peer.advance(5_000)
            other.publish("", queue)
            other.sync()
            channel.delivery()


@CLOCK
def test_unacked_messages_of_a_dead_client_are_delivered_again(peer: Any) -> None:
    connection, other = peer.connect(heartbeat=10), peer.connect().channel()
    channel = connection.channel()
    queue = peer.name("q")
    channel.declare(queue)
    channel.publish("", queue, b"1")
    channel.get(queue)
    peer.advance(30_000)
    message = other.get(queue)
    assert (message.body, message.redelivered) == (b"1", True)


# -- alarms ----------------------------------------------------------------------------------------

ALARMS = pytest.mark.distances("memory", "sim", why="raises an alarm")


@ALARMS
def test_a_publisher_is_told_once_that_it_is_blocked(peer: Any) -> None:
    connection, other = peer.connect(), peer.connect().channel()
    channel = connection.channel()
    queue = peer.name("q")
    other.declare(queue)
    peer.set_alarm("memory", True)
    connection.expect_silence()
    channel.publish("", queue, b"1")
    assert connection.expect(commands.Connection.Blocked).reason == "low on memory"
    channel.publish("", queue, b"2")
    connection.expect_silence()
    assert other.bodies(queue) == [b"1"]
    peer.set_alarm("memory", False)
    connection.expect(commands.Connection.Unblocked)
    channel.sync()
    assert other.bodies(queue) == [b"2"]


@ALARMS
def test_a_blocked_publisher_can_still_consume(peer: Any) -> None:
    connection, other = peer.connect(), peer.connect().channel()
    channel = connection.channel()
    queue = peer.name("q")
    channel.declare(queue)
    other.consume(queue)
    consumer = peer.connect().channel()
    peer.set_alarm("disk", True)
    channel.publish("", queue, b"1")
    assert other.delivery().body == b"1"
    other.ack(1)
    consumer.declare(peer.name("q"))
    assert connection.expect(commands.Connection.Blocked).reason == "low on disk"


@ALARMS
def test_both_resources_are_named(peer: Any) -> None:
    connection = peer.connect()
    channel = connection.channel()
    peer.set_alarm("memory", True)
    peer.set_alarm("disk", True)
    channel.publish("amq.fanout", "")
    reason = connection.expect(commands.Connection.Blocked).reason
    assert reason in ("low on memory & disk", "low on disk & memory")
    peer.set_alarm("memory", False)
    connection.expect_silence()
    assert not connection.zero.inbox
    peer.set_alarm("disk", False)
    connection.expect(commands.Connection.Unblocked)


@ALARMS
def test_who_has_not_published_during_the_alarm_hears_nothing(peer: Any) -> None:
    connection = peer.connect()
    channel = connection.channel()
    channel.publish("amq.fanout", "")
    channel.sync()
    peer.set_alarm("memory", True)
    channel.declare(peer.name("q"))
    peer.set_alarm("memory", False)
    connection.expect_silence()
    assert not connection.zero.inbox


@ALARMS
def test_who_cannot_be_told_is_blocked_without_a_word(peer: Any) -> None:
    capabilities = tuple(set(CAPABILITIES) - {"connection.blocked"})
    connection, other = peer.connect(capabilities=capabilities), peer.connect().channel()
    channel = connection.channel()
    queue = peer.name("q")
    other.declare(queue)
    peer.set_alarm("memory", True)
    channel.publish("", queue, b"1")
    connection.expect_silence()
    channel.publish("", queue, b"2")
    connection.expect_silence()
    assert other.bodies(queue) == [b"1"]
    peer.set_alarm("memory", False)
    channel.sync()
    assert not connection.zero.inbox
    assert other.bodies(queue) == [b"2"]


@ALARMS
def test_a_blocked_client_is_not_dropped_for_its_silence(peer: Any) -> None:
    connection = peer.connect(heartbeat=10)
    channel = connection.channel()
    peer.set_alarm("memory", True)
    channel.publish("amq.fanout", "")
    connection.expect(commands.Connection.Blocked)
    peer.advance(120_000)
    assert connection.link.receive()  # heartbeats, at least
    peer.set_alarm("memory", False)
    connection.raw(codec.HEARTBEAT_FRAME)
    connection.expect(commands.Connection.Unblocked)
    channel.sync()


@ALARMS
def test_confirms_reach_a_blocked_publisher(peer: Any) -> None:
    connection = peer.connect()
    channel = connection.channel()
    channel.confirm()
    peer.set_alarm("memory", True)
    channel.publish("amq.fanout", "")
    connection.expect(commands.Connection.Blocked)
    assert channel.expect(Basic.Ack).delivery_tag == 1


def test_a_blocked_from_a_client_is_not_understood(peer: Any) -> None:
    connection = peer.connect()
    connection.send(commands.Connection.Blocked("for fun"))
    with pytest.raises(ConnectionClosed) as caught:
        connection.expect_close()
    assert caught.value.reply_code in (503, 504)
