"""Bounds that are set otherwise than by default, and logins from elsewhere (in memory only)."""

from typing import Any

import pytest
from pamqp import commands
from pamqp.commands import Basic

from amqpd.limits import Limits
from tests.peers.accounts import BY_NAME, PASSWORD
from tests.peers.channel import Channel
from tests.peers.errors import Disconnected, channel_error, connection_error

pytestmark = pytest.mark.distances("memory", "sim", why="sets the broker's limits")

REFUSED = (
    "ACCESS_REFUSED - Login was refused using authentication mechanism {}."
    " For details see the broker logfile."
)


@pytest.fixture
def limits(request: pytest.FixtureRequest) -> Limits:
    """The limits that a scenario asks for."""
    mark = request.node.get_closest_marker("limits")
    return Limits(**mark.kwargs) if mark else Limits()


@pytest.mark.limits(message_bytes_max=1000)
def test_a_body_over_the_maximum_is_refused(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue)
    channel.publish("", queue, bytes(1000))
    channel.publish("", queue, bytes(1001))
    text = "PRECONDITION_FAILED - message size 1001 is larger than configured max size 1000"
    with channel_error(406, text, Basic.Publish):
        channel.expect_close()
    assert channel.connection.channel().bodies(queue) == [bytes(1000)]


@pytest.mark.limits(message_bytes_max=200_000)
def test_a_body_over_the_maximum_is_refused_in_several_frames(channel: Channel) -> None:
    connection = channel.connection
    channel.publish("amq.fanout", "", bytes(200_001))
    text = "PRECONDITION_FAILED - message size 200001 is larger than configured max size 200000"
    with channel_error(406, text, Basic.Publish):
        channel.expect_close()
    connection.channel().sync()


@pytest.mark.limits(connection_max=2)
def test_more_connections_than_allowed_are_refused(peer: Any) -> None:
    first, second = peer.connect(), peer.connect()
    third = peer.greet().log_in().tune_ok()
    text = "NOT_ALLOWED - connection refused: node connection limit (2) is reached"
    with connection_error(530, text, commands.Connection.Open):
        third.open()
    first.close()
    peer.connect().channel()
    second.channel()


@pytest.mark.limits(consumer_max_per_channel=2)
def test_more_consumers_than_allowed_are_refused(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    channel.declare(queue)
    tags = [channel.consume(queue) for _ in range(2)]
    channel.cancel(tags[0])
    channel.consume(queue)
    text = "NOT_ALLOWED - reached maximum (2) of consumers per channel"
    with connection_error(530, text, Basic.Consume):
        channel.consume(queue)


@pytest.mark.limits(channel_max=0, frame_max=0, heartbeat_s=0)
def test_zero_proposes_no_limits(peer: Any) -> None:
    connection = peer.greet().log_in()
    tune = connection.tune
    assert (tune.channel_max, tune.frame_max, tune.heartbeat) == (0, 0, 0)
    channel = connection.tune_ok().open().channel(65535)
    queue = channel.declare(exclusive=True).queue
    channel.publish("", queue, bytes(1_000_000))
    message = channel.get(queue, no_ack=True)
    assert (len(message.body), message.frame_bytes) == (1_000_000, [1_000_000])


@pytest.mark.limits(channel_max=0, frame_max=0)
def test_a_client_may_choose_limits_where_the_server_has_none(peer: Any) -> None:
    channel = peer.connect(channel_max=5, frame_max=4096).channel()
    queue = channel.declare(exclusive=True).queue
    channel.publish("", queue, bytes(10_000))
    assert max(channel.get(queue, no_ack=True).frame_bytes) == 4088


@pytest.mark.limits(frame_max=4096, channel_max=10, heartbeat_s=5)
def test_a_client_may_not_choose_more_than_is_proposed(peer: Any) -> None:
    stranger = peer.greet().log_in()
    tune = stranger.tune
    assert (tune.channel_max, tune.frame_max, tune.heartbeat) == (10, 4096, 5)
    stranger.tune_ok(frame_max=4097)
    text = "negotiated frame_max = 4097 is higher than the maximum allowed value (4096)"
    with connection_error(530, f"NOT_ALLOWED - {text}", commands.Connection.TuneOk):
        stranger.expect_close()


@pytest.mark.limits(handshake_timeout_ms=100)
def test_a_handshake_may_take_as_long_as_is_set(peer: Any) -> None:
    stranger = peer.greet()
    peer.advance(100)
    with pytest.raises(Disconnected):
        stranger.expect_close()


# -- logins from elsewhere -------------------------------------------------------------------------


def test_guest_logs_in_from_loopback_only(peer: Any) -> None:
    with connection_error(403, REFUSED.format("PLAIN"), None):
        peer.stranger_from("192.0.2.7").greet().log_in()
    peer.stranger_from("192.0.2.7", loopback=True).greet().log_in().tune_ok().open()


def test_other_users_log_in_from_anywhere(peer: Any) -> None:
    stranger = peer.stranger_from("192.0.2.7").greet()
    stranger.log_in(BY_NAME.name, PASSWORD).tune_ok().open().channel()


@pytest.mark.limits(loopback_users=())
def test_guest_may_be_let_in_from_anywhere(peer: Any) -> None:
    peer.stranger_from("2001:db8::7").greet().log_in().tune_ok().open().channel()


@pytest.mark.limits(mechanisms=("PLAIN", "EXTERNAL"))
def test_a_certificate_logs_in_over_tls(peer: Any) -> None:
    stranger = peer.stranger_from("192.0.2.7", certificate_name=BY_NAME.name).greet()
    assert stranger.start.mechanisms.split(" ") == ["PLAIN", "EXTERNAL"]
    stranger.log_in(mechanism="EXTERNAL", response=b"").tune_ok().open()


@pytest.mark.limits(mechanisms=("PLAIN", "EXTERNAL"))
@pytest.mark.parametrize("name", ["", "CN=nobody"])
def test_a_certificate_of_nobody_is_refused(peer: Any, name: str) -> None:
    stranger = peer.stranger_from("192.0.2.7", certificate_name=name).greet()
    with connection_error(403, REFUSED.format("EXTERNAL"), None):
        stranger.log_in(mechanism="EXTERNAL", response=b"")


@pytest.mark.limits(mechanisms=("PLAIN", "EXTERNAL"))
def test_external_is_not_offered_without_tls(peer: Any) -> None:
    stranger = peer.greet()
    assert stranger.start.mechanisms == "PLAIN"
    stranger.start_ok(mechanism="EXTERNAL", response=b"")
    with pytest.raises(Disconnected):
        stranger.expect_close(patient=True)


@pytest.mark.limits(mechanisms=("PLAIN",))
def test_a_mechanism_that_is_not_offered_is_not_taken(peer: Any) -> None:
    stranger = peer.greet()
    stranger.start_ok(mechanism="AMQPLAIN")
    with pytest.raises(Disconnected):
        stranger.expect_close(patient=True)
