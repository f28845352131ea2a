"""From the protocol header to connection.open-ok (spec 2.2.4, 4.2.2; RabbitMQ: connections)."""

import re
from typing import Any

import pytest
from pamqp.commands import Connection

from tests.peers import codec
from tests.peers.accounts import ELSEWHERE, NOWHERE, OTHER_VHOST, PASSWORD
from tests.peers.connection import CAPABILITIES
from tests.peers.errors import ConnectionClosed, Disconnected, connection_error
from tests.peers.ways import send

WITHOUT_CLOSE = tuple(set(CAPABILITIES) - {"authentication_failure_close"})
TAIL = codec.HEARTBEAT_FRAME

# -- the protocol header ---------------------------------------------------------------------------

WRONG_HEADERS = [
    b"AMQP\x00\x00\x09\x02",
    b"AMQP\x00\x00\x0a\x01",
    b"AMQP\x01\x01\x09\x09",
    b"AMQP\x02\x01\x00\x00",
    b"amqp\x00\x00\x09\x01",
    b"garbage!",
    b"\x00\x00\x00\x00\x00\x00\x00\x00",
    b"\x16\x03\x01\x00\xa5\x01\x00\x00",  # a TLS client
]


@pytest.mark.parametrize("header", WRONG_HEADERS)
def test_a_wrong_header_is_answered_with_the_right_one(
    peer: Any, way: str, header: bytes
) -> None:
    stranger = peer.stranger()
    send(stranger, header, way, b"more")
    answer = b""
    while data := stranger.link.receive(patient=True):
        answer += data
    assert answer == b"AMQP\x00\x00\x09\x01"


@pytest.mark.parametrize("header", [b"AMQP\x00\x00\x09\x01", b"AMQP\x01\x01\x00\x09"])
def test_the_right_header_is_answered_with_start(peer: Any, way: str, header: bytes) -> None:
    stranger = peer.stranger()
    send(stranger, header, way, TAIL)
    stranger.start = stranger.expect(Connection.Start)
    stranger.log_in().tune_ok().open()


def test_the_whole_handshake_may_come_in_one_piece(peer: Any) -> None:
    stranger = peer.stranger()
    stranger.hold()
    stranger.raw(codec.PROTOCOL_HEADER)
    stranger.start_ok()
    stranger.send(Connection.TuneOk(channel_max=10, frame_max=131072, heartbeat=0))
    stranger.send(Connection.Open())
    stranger.release()
    for kind in (Connection.Start, Connection.Tune, Connection.OpenOk):
        stranger.expect(kind)


@pytest.mark.distances("memory", why="looks into the log")
def test_a_port_probe_is_no_error(peer: Any) -> None:
    for sent in (b"", b"AMQ"):
        stranger = peer.stranger()
        if sent:
            stranger.raw(sent)
        stranger.drop()
    assert not [event for event in peer.log.events if event[0] in ("warning", "error")]


# -- start -----------------------------------------------------------------------------------------


def test_start_says_who_the_server_is(peer: Any) -> None:
    start = peer.greet().start
    assert (start.version_major, start.version_minor) == (0, 9)
    assert {"PLAIN", "AMQPLAIN"} <= set(start.mechanisms.split(" "))
    assert start.locales == "en_US"
    properties = start.server_properties
    assert properties["product"] == "RabbitMQ"
    assert re.fullmatch(r"\d+\.\d+\.\d+", properties["version"])
    for key in ("cluster_name", "copyright", "information", "platform"):
        assert isinstance(properties[key], str) and properties[key]


def test_start_says_what_the_server_can_do(peer: Any) -> None:
    assert peer.greet().start.server_properties["capabilities"] == {
        "publisher_confirms": True,
        "exchange_exchange_bindings": True,
        "basic.nack": True,
        "consumer_cancel_notify": True,
        "connection.blocked": True,
        "consumer_priorities": True,
        "authentication_failure_close": True,
        "per_consumer_qos": True,
        "direct_reply_to": True,
    }


# -- logging in ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", ["PLAIN", "AMQPLAIN"])
def test_a_user_logs_in(peer: Any, mechanism: str) -> None:
    peer.greet().log_in(mechanism=mechanism).tune_ok().open()


@pytest.mark.parametrize("mechanism", ["PLAIN", "AMQPLAIN"])
def test_a_password_may_hold_any_text(peer: Any, mechanism: str) -> None:
    peer.needs_accounts()
    stranger = peer.greet().log_in(ELSEWHERE.name, PASSWORD, mechanism=mechanism)
    stranger.tune_ok().open(OTHER_VHOST)


LOGINS = [("guest", "wrong"), ("guest", ""), ("nobody", "guest"), ("", ""), ("Guest", "guest")]


@pytest.mark.parametrize("mechanism", ["PLAIN", "AMQPLAIN"])
@pytest.mark.parametrize(("user", "password"), LOGINS)
def test_a_refused_login_is_told_to_clients_that_understand(
    peer: Any, mechanism: str, user: str, password: str
) -> None:
    stranger = peer.greet()
    text = (
        f"ACCESS_REFUSED - Login was refused using authentication mechanism {mechanism}."
        " For details see the broker logfile."
    )
    with connection_error(403, text, None):
        stranger.log_in(user, password, mechanism=mechanism)
    stranger.expect_end()


@pytest.mark.parametrize("mechanism", ["PLAIN", "AMQPLAIN"])
def test_a_refused_login_is_not_told_to_others(peer: Any, mechanism: str) -> None:
    stranger = peer.greet()
    stranger.start_ok("guest", "wrong", mechanism=mechanism, capabilities=WITHOUT_CLOSE)
    with pytest.raises(Disconnected):
        stranger.expect_close(patient=True)


@pytest.mark.distances("memory", "sim", why="moves the clock")
def test_a_refused_login_that_is_not_told_takes_3_seconds(peer: Any) -> None:
    stranger = peer.greet()
    stranger.start_ok("guest", "wrong", capabilities=WITHOUT_CLOSE)
    peer.advance(2_999)
    stranger.expect_silence()
    peer.advance(1)
    stranger.expect_end()


NO_LOGINS = [
    ("PLAIN", b""),
    ("PLAIN", b"guest"),
    ("PLAIN", b"\0guest"),
    ("PLAIN", b"someone\0guest\0guest"),
    ("PLAIN", b"\0guest\0guest\0more"),
    ("AMQPLAIN", b""),
    ("AMQPLAIN", b"\x05LOGIN"),
    ("AMQPLAIN", codec.encode_table({"LOGIN": "guest"})[4:]),
    ("AMQPLAIN", codec.encode_table({"LOGIN": 1, "PASSWORD": "guest"})[4:]),
    ("NO-SUCH", b"\0guest\0guest"),
    ("", b"\0guest\0guest"),
    ("EXTERNAL", b""),
]


def test_what_is_no_login_ends_in_silence(peer: Any) -> None:
    strangers = []
    for mechanism, response in NO_LOGINS:
        stranger = peer.greet()
        stranger.start_ok(mechanism=mechanism, response=response)
        strangers.append(stranger)
    for stranger in strangers:  # all at once, as each waits for 3 seconds
        with pytest.raises(Disconnected):
            stranger.expect_close(patient=True)


def test_capabilities_that_are_no_table_count_as_none(peer: Any) -> None:
    stranger = peer.greet()
    stranger.start_ok("guest", "wrong", properties={"capabilities": "all"})
    with pytest.raises(Disconnected):
        stranger.expect_close(patient=True)


def test_client_properties_may_hold_anything(peer: Any) -> None:
    properties = {"connection_name": "mine", "a": [1, None, {"b": 2.5}], "c": b"\xff", "": 1}
    peer.connect(properties=properties).channel()


# -- tune ------------------------------------------------------------------------------------------


def test_the_server_proposes_its_limits(peer: Any) -> None:
    tune = peer.greet().log_in().tune
    assert (tune.channel_max, tune.frame_max, tune.heartbeat) == (2047, 131072, 60)


GOOD_TUNES = [(2047, 131072, 60), (1, 4096, 0), (2047, 8192, 1), (100, 131072, 65535)]


@pytest.mark.parametrize(("channel_max", "frame_max", "heartbeat"), GOOD_TUNES)
def test_a_client_may_choose_less(
    peer: Any, channel_max: int, frame_max: int, heartbeat: int
) -> None:
    stranger = peer.greet().log_in()
    stranger.tune_ok(channel_max, frame_max, heartbeat).open()
    stranger.channel()


BAD_TUNES = [
    ("frame_max", 4095, "4095 is lower than the minimum allowed value (4096)"),
    ("frame_max", 1, "1 is lower than the minimum allowed value (4096)"),
    ("frame_max", 131073, "131073 is higher than the maximum allowed value (131072)"),
    ("frame_max", 2**32 - 1, "4294967295 is higher than the maximum allowed value (131072)"),
    ("frame_max", 0, "0 is higher than the maximum allowed value (131072)"),
    ("channel_max", 2048, "2048 is higher than the maximum allowed value (2047)"),
    ("channel_max", 65535, "65535 is higher than the maximum allowed value (2047)"),
    ("channel_max", 0, "0 (no limit) is higher than the maximum allowed value (2047)"),
]


@pytest.mark.parametrize(("field", "value", "complaint"), BAD_TUNES)
def test_a_client_may_not_choose_more(peer: Any, field: str, value: int, complaint: str) -> None:
    stranger = peer.greet().log_in()
    stranger.tune_ok(**{field: value})
    if peer.oracle.is_rabbitmq:  # which means to say this text, and only logs it
        with pytest.raises(Disconnected):
            stranger.expect_close()
    else:
        text = f"NOT_ALLOWED - negotiated {field} = {complaint}"
        with connection_error(530, text, Connection.TuneOk):
            stranger.expect_close()


# -- open ------------------------------------------------------------------------------------------


def test_a_user_opens_a_vhost(peer: Any) -> None:
    peer.connect(ELSEWHERE.name, vhost=OTHER_VHOST).channel()


@pytest.mark.parametrize("vhost", ["no-such", "", "//", "Größe"])
def test_a_missing_vhost_is_refused(peer: Any, vhost: str) -> None:
    stranger = peer.greet().log_in().tune_ok()
    with connection_error(530, f"NOT_ALLOWED - vhost {vhost} not found", Connection.Open):
        stranger.open(vhost)


@pytest.mark.parametrize("user", [NOWHERE.name, ELSEWHERE.name])
def test_a_vhost_without_permissions_is_refused(peer: Any, user: str) -> None:
    peer.needs_accounts()
    stranger = peer.greet().log_in(user, PASSWORD).tune_ok()
    text = f"NOT_ALLOWED - access to vhost '/' refused for user '{user}'"
    with connection_error(530, text, Connection.Open):
        stranger.open("/")


# -- order -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method",
    [Connection.TuneOk(frame_max=131072), Connection.Open(), Connection.UpdateSecret("a", "b")],
)
def test_a_method_instead_of_start_ok_ends_in_silence(peer: Any, method: Any) -> None:
    stranger = peer.greet()
    stranger.send(method)
    with pytest.raises(Disconnected):
        stranger.expect_close(patient=True)


@pytest.mark.parametrize("method", [Connection.Open(), Connection.UpdateSecret("a", "b")])
def test_a_method_instead_of_tune_ok_is_unexpected(peer: Any, method: Any) -> None:
    stranger = peer.greet().log_in()
    stranger.send(method)
    if peer.oracle.is_rabbitmq:
        with pytest.raises(Disconnected):
            stranger.expect_close()
    else:
        text = "CHANNEL_ERROR - unexpected method in connection state tuning"
        with connection_error(504, text, type(method)):
            stranger.expect_close()


@pytest.mark.parametrize(
    "method", [Connection.TuneOk(frame_max=131072), Connection.UpdateSecret("a", "b")]
)
def test_a_method_instead_of_open_is_unexpected(peer: Any, method: Any) -> None:
    stranger = peer.greet().log_in().tune_ok()
    stranger.send(method)
    text = "CHANNEL_ERROR - unexpected method in connection state opening"
    with connection_error(504, text, type(method)):
        stranger.expect_close()


@pytest.mark.parametrize(
    "method",
    [
        Connection.StartOk(mechanism="PLAIN", response="\0guest\0guest", locale="en_US"),
        Connection.TuneOk(frame_max=131072),
        Connection.Open(),
    ],
)
def test_the_handshake_is_made_once(peer: Any, method: Any) -> None:
    connection = peer.connect()
    connection.send(method)
    text = "CHANNEL_ERROR - unexpected method in connection state running"
    with connection_error(504, text, type(method)):
        connection.expect_close()


def test_a_channel_cannot_be_used_before_open(peer: Any, way: str) -> None:
    stranger = peer.greet().log_in().tune_ok()
    frame = codec.method_frame(1, codec.make(Connection.Open))
    send(stranger, frame, way, TAIL)
    octets = b"\x00\x0a\x00\x28\x01/\x00\x00"
    written = ",".join(str(octet) for octet in octets)
    text = f"UNEXPECTED_FRAME - type 1, all octets = <<{written}>>"
    with connection_error(505, re.compile(re.escape(text) + ".*"), None):
        stranger.expect_close()


# -- time ------------------------------------------------------------------------------------------


@pytest.mark.distances("memory", "sim", why="moves the clock")
@pytest.mark.parametrize("steps", range(5))
def test_a_handshake_may_take_10_seconds(peer: Any, steps: int) -> None:
    stranger = peer.stranger()
    if steps > 0:
        stranger.greet()
    if steps > 1:
        stranger.log_in()
    if steps > 2:
        stranger.tune_ok(heartbeat=0)
    if steps > 3:
        stranger.open()
    peer.advance(9_999)
    stranger.expect_silence()
    peer.advance(1)
    if steps > 3:
        stranger.channel()
    else:
        with pytest.raises(Disconnected):
            stranger.expect_close()


def test_a_login_may_be_followed_by_another(peer: Any) -> None:
    with pytest.raises(ConnectionClosed):
        peer.greet().log_in("guest", "wrong")
    peer.connect().channel()
