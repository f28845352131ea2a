"""A connection without a broker around it: logging in, limits, being alive, alarms, its end."""

from typing import Any

import pytest
from pamqp import base, commands

from amqpd.limits import Limits
from amqpd.protocol import connection as states
from amqpd.session.connection import Connection
from amqpd.session.peer import Peer
from tests.peers import codec
from tests.session.fakes import Bench, Said, link_of, publish, read

START_OK: dict[str, Any] = {"mechanism": "PLAIN", "response": b"\0guest\0guest", "locale": "en_US"}


class Client:
    """A connection and its client's end; `said` takes what the broker has written."""

    def __init__(self, bench: Bench, **peer: Any) -> None:
        facts: dict[str, Any] = {"loopback": True}
        bench._last_link += 1
        self.bench = bench
        self.connection = Connection(
            bench.context,
            Peer("127.0.0.1", 40000, "127.0.0.1", 5672, **(facts | peer)),
            bench._last_link,
            bench.vhost,
            bench.dirty,
        )

    def send(self, method: base.Frame, channel: int = 0) -> None:
        """Send a method."""
        self.connection.receive_bytes(codec.method_frame(channel, method))
        self.connection.resume_consumers()

    def do(self, kind: type[base.Frame], channel: int = 0, **fields: Any) -> Said:
        """Send a method, and take the one thing that is said then."""
        self.send(codec.make(kind, **fields), channel)
        (item,) = self.said()
        return item

    def said(self) -> list[Said]:
        """Take what was written."""
        return read(self.connection.take())

    def greet(self) -> Said:
        """Send the protocol header, and take connection.start."""
        self.connection.receive_bytes(codec.PROTOCOL_HEADER)
        (item,) = self.said()
        return item

    def log_in(self, **fields: Any) -> list[Said]:
        """Greet and send start-ok; return what is said to it."""
        self.greet()
        self.send(codec.make(commands.Connection.StartOk, **(START_OK | fields)))
        return self.said()

    def tune(self, **fields: Any) -> list[Said]:
        """Send tune-ok; return what is said to it."""
        given = {"channel_max": 2047, "frame_max": 131072, "heartbeat": 0}
        self.send(codec.make(commands.Connection.TuneOk, **(given | fields)))
        return self.said()

    def open(self, vhost: str = "/") -> Said:
        """Send connection.open."""
        return self.do(commands.Connection.Open, virtual_host=vhost)

    def channel(self, number: int = 1) -> Any:
        """Open a channel; return the broker's object."""
        assert self.do(commands.Channel.Open, number).name == "Channel.OpenOk"
        return self.connection.channels[number]

    def pass_time(self, now_ms: int) -> None:
        """Let deadlines come."""
        self.bench.context.now_ms = now_ms
        self.bench.context.timers.run(now_ms)


def running(bench: Bench, *, heartbeat: int = 0, **properties: Any) -> Client:
    """Make a client whose vhost is open."""
    client = Client(bench)
    client.log_in(client_properties=properties)
    assert client.tune(heartbeat=heartbeat) == []
    assert client.open().name == "Connection.OpenOk"
    bench.dirty.clear()
    client.connection.is_dirty = False
    return client


@pytest.fixture
def bench() -> Bench:
    """A vhost `/` that guest may open."""
    return Bench()


def assert_closed(item: Said, code: int, text: str) -> None:
    """Assert that something is a connection.close with this code and text."""
    assert item.name == "Connection.Close"
    assert (item.method.reply_code, item.method.reply_text.partition(" - ")[2]) == (code, text)


# -- connection.start ------------------------------------------------------------------------------


def test_start_says_who_the_server_is(bench: Bench) -> None:
    start = Client(bench).greet().method
    properties = start.server_properties
    assert (start.version_major, start.version_minor) == (0, 9)
    assert start.locales == "en_US"
    assert properties["product"] == "RabbitMQ"
    assert properties["version"] == Limits().version
    assert properties["cluster_name"] == Limits().cluster_name
    assert set(properties) == {
        "capabilities",
        "cluster_name",
        "copyright",
        "information",
        "platform",
        "product",
        "version",
    }


def test_start_says_what_the_server_can_do(bench: Bench) -> None:
    capabilities = Client(bench).greet().method.server_properties["capabilities"]
    assert set(capabilities) == {
        "publisher_confirms",
        "exchange_exchange_bindings",
        "basic.nack",
        "consumer_cancel_notify",
        "connection.blocked",
        "consumer_priorities",
        "authentication_failure_close",
        "per_consumer_qos",
        "direct_reply_to",
    }
    assert all(value is True for value in capabilities.values())


@pytest.mark.parametrize(("tls", "offered"), [(False, "PLAIN AMQPLAIN"), (True, None)])
def test_external_is_offered_where_a_certificate_can_come(tls: bool, offered: str | None) -> None:
    bench = Bench(mechanisms=("EXTERNAL", "PLAIN", "AMQPLAIN"))
    mechanisms = Client(bench, tls=tls).greet().method.mechanisms
    assert mechanisms == (offered or "EXTERNAL PLAIN AMQPLAIN")


# -- start-ok --------------------------------------------------------------------------------------


def amqplain(name: str, password: str) -> bytes:
    """Encode an AMQPLAIN response."""
    return codec.encode_table({"LOGIN": name, "PASSWORD": password})[4:]


@pytest.mark.parametrize(
    ("mechanism", "response"),
    [("PLAIN", b"\0guest\0guest"), ("AMQPLAIN", amqplain("guest", "guest"))],
)
def test_good_credentials_lead_to_tune(bench: Bench, mechanism: str, response: bytes) -> None:
    client = Client(bench)
    (item,) = client.log_in(mechanism=mechanism, response=response)
    tune = item.method
    assert (tune.channel_max, tune.frame_max, tune.heartbeat) == (2047, 131072, 60)
    assert (client.connection.user, client.connection.mechanism) == ("guest", mechanism)
    assert client.connection.state == states.TUNING


def test_tune_proposes_what_is_configured() -> None:
    bench = Bench(channel_max=5, frame_max=8192, heartbeat_s=7)
    (item,) = Client(bench).log_in()
    assert (item.method.channel_max, item.method.frame_max, item.method.heartbeat) == (5, 8192, 7)


def test_a_certificate_is_a_login() -> None:
    bench = Bench(mechanisms=("EXTERNAL",))
    client = Client(bench, tls=True, certificate_name="guest")
    (item,) = client.log_in(mechanism="EXTERNAL", response=b"")
    assert item.name == "Connection.Tune"
    assert client.connection.user == "guest"


@pytest.mark.parametrize("name", ["", "stranger"])
def test_a_certificate_must_name_a_user(name: str) -> None:
    bench = Bench(mechanisms=("EXTERNAL",))
    client = Client(bench, tls=True, certificate_name=name)
    assert client.log_in(mechanism="EXTERNAL", response=b"") == []
    assert client.connection.state == states.DISCARDING


def test_a_refused_login_is_told_to_who_asked_for_it(bench: Bench) -> None:
    client = Client(bench)
    asked = {"capabilities": {"authentication_failure_close": True}}
    (item,) = client.log_in(client_properties=asked, response=b"\0guest\0wrong")
    assert_closed(
        item,
        403,
        "Login was refused using authentication mechanism PLAIN."
        " For details see the broker logfile.",
    )
    assert (item.method.class_id, item.method.method_id) == (0, 0)
    assert client.connection.state == states.CLOSING


@pytest.mark.parametrize(
    "fields",
    [
        {"response": b"\0guest\0wrong"},
        {"response": b"\0nobody\0guest"},
        {"response": b"\0guest\0"},
        {"response": b"no zeros"},
        {"mechanism": "EXTERNAL", "response": b""},
        {"mechanism": "MAGIC"},
        {"mechanism": "AMQPLAIN", "response": b"\0guest\0guest"},
    ],
    ids=str,
)
def test_others_hear_nothing_and_are_closed_after_a_while(
    bench: Bench, fields: dict[str, Any]
) -> None:
    client = Client(bench)
    assert client.log_in(**fields) == []
    assert client.connection.state == states.DISCARDING
    client.pass_time(2_999)
    assert not client.connection.close_socket
    client.pass_time(3_000)
    assert client.connection.close_socket
    assert bench.dirty == [client.connection]


def test_a_loopback_user_comes_from_loopback(bench: Bench) -> None:
    client = Client(bench, loopback=False)
    assert client.log_in() == []
    assert client.connection.state == states.DISCARDING
    refused = [fields for _, event, fields in bench.log.events if event == "login refused"]
    assert refused[0]["why"] == "only from loopback"


def test_another_user_comes_from_anywhere(bench: Bench) -> None:
    bench.users.add("me", "pw")
    (item,) = Client(bench, loopback=False).log_in(response=b"\0me\0pw")
    assert item.name == "Connection.Tune"


def test_a_refused_login_is_logged_without_the_password(bench: Bench) -> None:
    Client(bench).log_in(response=b"\0guest\0secret!")
    assert "login refused" in [event for _, event, _ in bench.log.events]
    assert "secret!" not in str(bench.log.events)


# -- tune-ok ---------------------------------------------------------------------------------------


def tuned(**limits: Any) -> Client:
    """Make a client that has got connection.tune."""
    client = Client(Bench(**limits))
    client.log_in()
    return client


def test_a_client_may_take_less(bench: Bench) -> None:
    client = tuned()
    assert client.tune(channel_max=7, frame_max=4096, heartbeat=9) == []
    connection = client.connection
    assert (connection.channel_max, connection.frame_max, connection.heartbeat_s) == (7, 4096, 9)
    assert connection.state == states.OPENING


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("frame_max", 4095, "lower than the minimum allowed value (4096)"),
        ("frame_max", 131073, "higher than the maximum allowed value (131072)"),
        ("frame_max", 0, "higher than the maximum allowed value (131072)"),
        ("channel_max", 2048, "higher than the maximum allowed value (2047)"),
    ],
)
def test_a_client_may_not_take_more(field: str, value: int, text: str) -> None:
    client = tuned()
    (item,) = client.tune(**{field: value})
    assert_closed(item, 530, f"negotiated {field} = {value} is {text}")
    assert (item.method.class_id, item.method.method_id) == (10, 31)


def test_no_limit_is_fine_where_there_is_none() -> None:
    client = tuned(channel_max=0, frame_max=0)
    assert client.tune(channel_max=0, frame_max=0) == []
    assert client.connection.state == states.OPENING


# -- connection.open -------------------------------------------------------------------------------


def opening(bench: Bench) -> Client:
    """Make a client that may open a vhost."""
    client = Client(bench)
    client.log_in()
    client.tune()
    return client


def test_opening_a_vhost(bench: Bench) -> None:
    client = opening(bench)
    assert client.open().name == "Connection.OpenOk"
    assert client.connection.is_open and client.connection.vhost is bench.vhost
    assert bench.context.open_connections == 1
    assert bench.context.timers.next_ms() == -1  # the handshake's deadline is gone


def test_opening_a_missing_vhost(bench: Bench) -> None:
    item = opening(bench).open("gone")
    assert_closed(item, 530, "vhost gone not found")
    assert (item.method.class_id, item.method.method_id) == (10, 40)
    assert bench.context.open_connections == 0


def test_opening_a_vhost_without_permission(bench: Bench) -> None:
    bench.users.clear("guest", "/")
    assert_closed(opening(bench).open(), 530, "access to vhost '/' refused for user 'guest'")


def test_the_number_of_connections_is_bounded() -> None:
    bench = Bench(connection_max=1)
    first = running(bench)
    text = "connection refused: node connection limit (1) is reached"
    assert_closed(opening(bench).open(), 530, text)
    first.connection.on_end(None)
    assert opening(bench).open().name == "Connection.OpenOk"


def test_who_has_opened_a_vhost_is_logged(bench: Bench) -> None:
    running(bench, product="lib", version="1.2", connection_name="worker")
    fields = {event: fields for _, event, fields in bench.log.events}["connection opened"]
    assert fields["user"] == "guest" and fields["vhost"] == "/"
    assert {"lib", "1.2", "worker"} <= set(fields.values())


# -- channels --------------------------------------------------------------------------------------


def test_channels_are_bounded_by_their_number(bench: Bench) -> None:
    client = opening(bench)
    client.connection.channel_max = 2
    client.open()
    client.channel(7)
    client.channel(9)
    item = client.do(commands.Channel.Open, 11)
    text = "number of channels opened (2) has reached the negotiated channel_max (2)"
    assert_closed(item, 530, text)


def test_a_number_can_be_used_again(bench: Bench) -> None:
    client = running(bench)
    first = client.channel(3)
    assert client.do(commands.Channel.Close, 3, reply_code=200).name == "Channel.CloseOk"
    assert client.channel(3) is not first


def test_an_error_closes_the_channel_and_is_logged(bench: Bench) -> None:
    client = running(bench)
    client.channel()
    item = client.do(commands.Queue.Declare, 1, queue="gone", passive=True)
    assert (item.name, item.method.reply_code) == ("Channel.Close", 404)
    assert (item.method.class_id, item.method.method_id) == (50, 10)
    level, event, fields = bench.log.events[-1]
    assert (level, event) == ("error", "channel closed by an error")
    assert (fields["channel"], fields["code"]) == (1, 404)
    assert fields["method"] == "queue.declare"


def test_a_secret_is_taken_and_not_looked_at(bench: Bench) -> None:
    client = running(bench)
    item = client.do(commands.Connection.UpdateSecret, new_secret="s", reason="r")
    assert item.name == "Connection.UpdateSecretOk"


# -- being alive -----------------------------------------------------------------------------------


def test_a_handshake_has_its_time(bench: Bench) -> None:
    client = Client(bench)
    client.greet()
    client.pass_time(9_999)
    assert not client.connection.close_socket
    client.pass_time(10_000)
    assert client.connection.close_socket
    assert client.connection.state == states.CLOSED
    assert bench.log.events[-1][1] == "handshake timeout"


def test_who_says_nothing_leaves_no_line(bench: Bench) -> None:
    client = Client(bench)
    client.pass_time(10_000)
    client.connection.log_end("closed")
    assert client.connection.close_socket
    assert bench.log.events == []


def test_without_heartbeats_there_is_no_deadline(bench: Bench) -> None:
    running(bench)
    assert bench.context.timers.next_ms() == -1


def test_heartbeats_go_out_each_half_interval(bench: Bench) -> None:
    client = running(bench, heartbeat=10)
    assert bench.context.timers.next_ms() == 5_000
    client.pass_time(5_000)
    assert client.connection.take() == codec.HEARTBEAT_FRAME
    assert bench.dirty == [client.connection]
    assert bench.context.timers.next_ms() == 10_000


def test_a_congested_socket_gets_no_heartbeat(bench: Bench) -> None:
    client = running(bench, heartbeat=10)
    client.connection.congested = True
    client.pass_time(5_000)
    assert client.connection.take() == b""


def test_a_silent_client_is_dropped(bench: Bench) -> None:
    client = running(bench, heartbeat=10)
    bench.queue("q")
    client.channel()
    for now_ms in range(5_000, 35_000, 5_000):
        client.pass_time(now_ms)
    assert client.connection.close_socket
    assert client.connection.channels == {}
    assert "missed heartbeats from client" in [event for _, event, _ in bench.log.events]


def test_a_talking_client_is_not(bench: Bench) -> None:
    client = running(bench, heartbeat=10)
    for now_ms in range(5_000, 100_000, 5_000):
        client.connection.receive_bytes(codec.HEARTBEAT_FRAME)
        client.pass_time(now_ms)
    assert not client.connection.close_socket


# -- alarms ----------------------------------------------------------------------------------------


def alarm(bench: Bench, client: Client, raised: bool) -> list[str]:
    """Raise or lift an alarm; return the names of what is said to the client."""
    bench.context.alarms["memory"] = raised
    bench.context.is_alarmed = raised
    client.connection.on_alarm()
    return [item.name for item in client.said()]


def test_a_publisher_is_blocked_and_told(bench: Bench) -> None:
    client = running(bench, capabilities={"connection.blocked": True})
    client.connection.has_published = True
    assert alarm(bench, client, True) == ["Connection.Blocked"]
    assert not client.connection.reading
    assert alarm(bench, client, True) == []
    assert alarm(bench, client, False) == ["Connection.Unblocked"]
    assert client.connection.reading and not client.connection.has_published


def test_a_publisher_that_cannot_be_told_is_blocked_all_the_same(bench: Bench) -> None:
    client = running(bench)
    client.connection.has_published = True
    assert alarm(bench, client, True) == []
    assert not client.connection.reading
    assert bench.dirty == [client.connection]
    assert alarm(bench, client, False) == []
    assert client.connection.reading


def test_who_only_consumes_is_not_blocked(bench: Bench) -> None:
    client = running(bench, capabilities={"connection.blocked": True})
    assert alarm(bench, client, True) == []
    assert client.connection.reading and bench.dirty == []


# -- end -------------------------------------------------------------------------------------------


def test_the_end_gives_back_and_deletes_what_was_its_own(bench: Bench) -> None:
    client = running(bench)
    channel = client.channel()
    queue = bench.queue("q")
    client.do(commands.Queue.Declare, 1, queue="mine", exclusive=True)
    bench.consume(channel, queue)
    publish(bench.channel())
    client.said()
    client.send(codec.make(commands.Connection.Close, reply_code=200))
    (item,) = client.said()
    assert item.name == "Connection.CloseOk"
    assert (queue.backlog.count, queue.consumers) == (1, [])
    assert "mine" not in bench.vhost.queues
    assert client.connection.close_socket and not client.connection.is_open
    assert bench.context.open_connections == 0
    bench.vhost.validate()


def test_no_channel_takes_what_another_one_gives_back(bench: Bench) -> None:
    """A consumer without acks on the second would lose it."""
    client = running(bench)
    queue = bench.queue("q")
    first, second = client.channel(1), client.channel(2)
    bench.consume(first, queue)
    publish(bench.channel())
    bench.consume(second, queue, no_ack=True)
    client.said()
    client.connection.on_end(None)
    assert queue.backlog.count == 1
    assert client.said() == []


def test_the_end_comes_once(bench: Bench) -> None:
    client = running(bench)
    client.connection.on_end(None)
    client.connection.on_end(None)
    assert bench.context.open_connections == 0


def test_what_waits_for_room_is_let_go(bench: Bench) -> None:
    client = running(bench)
    channel, queue = client.channel(), bench.queue("q")
    client.connection.congested = True
    bench.consume(channel, queue)
    publish(bench.channel())
    assert len(client.connection.stalled) == 1
    client.connection.on_end(None)
    client.connection.resume_stalled()
    assert queue.backlog.count == 1


def test_an_error_is_logged_with_its_method(bench: Bench) -> None:
    client = running(bench)
    client.channel()
    item = client.do(commands.Basic.Qos, 1, prefetch_size=1)
    assert_closed(item, 540, "prefetch_size!=0 (1)")
    events = {event: fields for _, event, fields in bench.log.events}
    assert events["connection closed by an error"]["code"] == 540


def test_our_close_waits_for_its_answer(bench: Bench) -> None:
    client = running(bench)
    client.channel()
    client.do(commands.Basic.Qos, 1, prefetch_size=1)
    client.pass_time(29_999)
    assert not client.connection.close_socket
    client.pass_time(30_000)
    assert client.connection.close_socket


def test_its_answer_closes_the_socket(bench: Bench) -> None:
    client = running(bench)
    client.channel()
    client.do(commands.Basic.Qos, 1, prefetch_size=1)
    client.send(codec.make(commands.Connection.CloseOk))
    assert client.connection.close_socket
    assert client.connection.state == states.CLOSED


def test_a_blocked_client_is_read_again_for_its_close_ok(bench: Bench) -> None:
    client = running(bench)
    client.connection.has_published = True
    alarm(bench, client, True)
    client.connection.on_wait(states.CLOSING, False)
    assert client.connection.reading


def test_the_end_is_logged_with_its_reason(bench: Bench) -> None:
    client = running(bench)
    client.connection.log_end("gone fishing")
    level, event, fields = bench.log.events[-1]
    assert (level, event, fields["why"]) == ("info", "connection closed", "gone fishing")
    assert fields["connection"] == "127.0.0.1:40000 -> 127.0.0.1:5672"


def test_a_connection_validates_its_channels(bench: Bench) -> None:
    client = running(bench)
    channel = client.channel()
    bench.consume(channel, bench.queue("q"))
    client.connection.validate()
    channel.consumers["other"] = channel.consumers["c"]
    with pytest.raises(AssertionError):
        client.connection.validate()


def test_links_of_tests_are_like_connections(bench: Bench) -> None:
    """The stand-in that other tests use has what a connection has."""
    link = link_of(bench.channel())
    client = running(bench)
    for name in ("context", "vhost", "user", "state", "reading", "congested", "outbox"):
        assert type(getattr(link, name)) is type(getattr(client.connection, name))
