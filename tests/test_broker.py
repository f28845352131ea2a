"""The broker's door: what comes in, what is to be done, and that nothing a client says gets out.

What the methods of the protocol do is told by the scenarios. Here are the three groups of calls,
and that the way in which bytes come makes no difference.
"""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pamqp import base, commands

from amqpd.auth import Users
from amqpd.broker import Broker
from amqpd.core.ports import Journal, MemoryJournal
from amqpd.core.timers import Timed
from amqpd.limits import Limits
from amqpd.protocol import connection as states
from amqpd.session.connection import Connection
from amqpd.session.peer import Peer
from tests.peers import codec
from tests.peers.memory import RecordingLog, SeededEntropy

NOW_MS = 5_000_000
Frames = list[tuple[Any, ...]]


class OddJournal(Journal):
    """A journal that tests sync, and that fails once `fails` is set."""

    def __init__(self) -> None:
        super().__init__(is_immediate=False)
        self.segment = 1
        self.fails = False

    def published(self, *fact: Any) -> int:
        """See Journal; all facts are alike here."""
        if self.fails:
            raise RuntimeError("a fault of the broker's own")
        self.position += 1
        return self.position

    def settled(self, *fact: Any) -> None:
        """See Journal."""
        self.published(*fact)

    queue_declared = queue_deleted = published  # type: ignore[assignment]
    exchange_declared = exchange_deleted = bound = unbound = published  # type: ignore[assignment]


class Door:
    """A broker and what is seen from outside."""

    def __init__(self, limits: Limits | None = None, journal: Journal | None = None) -> None:
        entropy = SeededEntropy()
        self.users = Users(entropy)
        for name in ("guest", "other"):
            self.users.add(name, "secret")
            self.users.permit(name, "/", ".*", ".*", ".*")
        self.log = RecordingLog()
        self.now_ms = NOW_MS
        self.journal = journal or MemoryJournal()
        self.broker = Broker(
            limits or Limits(), self.users, self.journal, entropy, self.now_ms, self.log
        )
        self._port = 40000

    def accept(self, loopback: bool = True) -> Connection:
        """Accept a connection that says nothing yet."""
        self._port += 1
        facts = Peer("127.0.0.1", self._port, "127.0.0.1", 5672, loopback=loopback)
        return self.broker.connected(facts, self.now_ms)

    def connect(self, *channels: int, user: str = "guest", **tune: Any) -> Connection:
        """Accept a connection that logs in and opens channels; what it hears is dropped."""
        connection = self.accept()
        self.say(connection, hello(user=user, **tune))
        for number in channels or (1,):
            self.say(connection, codec.method_frame(number, commands.Channel.Open()))
        assert connection.state == states.RUNNING
        self.hear(connection)
        return connection

    def say(self, connection: Connection, *data: bytes) -> None:
        """Let bytes come."""
        for part in data:
            self.broker.receive(connection, part, self.now_ms)

    def hear(self, connection: Connection) -> Frames:
        """End the turn, and return what a connection is told."""
        self.broker.end_turn(self.now_ms)
        self.broker.take_dirty()
        return frames(connection.take())

    def pass_ms(self, ms: int) -> None:
        """Let time pass, deadline by deadline."""
        until = self.now_ms + ms
        while 0 <= self.broker.next_deadline_ms() <= until:
            self.now_ms = max(self.now_ms, self.broker.next_deadline_ms())
            self.broker.due(self.now_ms)
        self.now_ms = until

    def events(self, name: str) -> list[dict[str, object]]:
        """Return what the log has of one kind."""
        return [fields for _, event, fields in self.log.events if event == name]


def hello(
    user: str = "guest",
    frame_max: int = 4096,
    heartbeat: int = 0,
    capabilities: tuple[str, ...] = (),
    vhost: str = "/",
) -> bytes:
    """Encode what a client says until its vhost is open."""
    start = codec.make(
        commands.Connection.StartOk,
        client_properties={"capabilities": {name: True for name in capabilities}},
        mechanism="PLAIN",
        response=f"\0{user}\0secret",
    )
    tune = codec.make(
        commands.Connection.TuneOk, channel_max=2047, frame_max=frame_max, heartbeat=heartbeat
    )
    opening = codec.make(commands.Connection.Open, virtual_host=vhost)
    methods = b"".join(codec.method_frame(0, method) for method in (start, tune, opening))
    return codec.PROTOCOL_HEADER + methods


def frames(data: bytes) -> Frames:
    """Cut what a broker said: (channel, name, fields...) or (channel, kind, payload)."""
    reader = codec.FrameReader()
    reader.feed(data)
    cut: Frames = []
    while (frame := reader.next()) is not None:
        if frame.kind == codec.METHOD:
            method = codec.decode_method(frame.payload)
            cut.append((frame.channel, method.name, *dict(method).values()))
        else:
            cut.append((frame.channel, frame.kind, frame.payload))
    assert reader.rest == b""
    return cut


def names(said: Frames) -> list[Any]:
    """Return only the names of methods and the kinds of other frames."""
    return [frame[1] for frame in said]


def call(channel: int, kind: type[base.Frame], **fields: Any) -> bytes:
    """Encode a method."""
    return codec.method_frame(channel, codec.make(kind, **fields))


def publish(
    channel: int, routing_key: str, body: bytes, frame_max: int = 4096, **more: Any
) -> bytes:
    """Encode a publish to the default exchange, unless another is given."""
    properties = codec.encode_properties(more.pop("properties", {}))
    method = call(channel, commands.Basic.Publish, routing_key=routing_key, **more)
    return method + codec.content_frames(channel, properties, body, frame_max)


DECLARE = call(1, commands.Queue.Declare, queue="q", durable=True)
CONSUME = call(1, commands.Basic.Consume, queue="q", consumer_tag="c", no_ack=True)


@pytest.fixture
def door() -> Door:
    """A broker without a store."""
    return Door()


# -- receive ---------------------------------------------------------------------------------------


def test_a_connection_is_silent_until_its_header_has_come(door: Door) -> None:
    connection = door.accept()
    assert door.broker.connections == {connection.id: connection}
    assert connection.name == "127.0.0.1:40001 -> 127.0.0.1:5672"
    assert door.broker.take_dirty() == []
    assert connection.take() == b""
    door.say(connection, codec.PROTOCOL_HEADER)
    assert names(door.hear(connection)) == ["Connection.Start"]


def test_connections_are_kept_in_the_order_of_their_arrival(door: Door) -> None:
    made = [door.accept() for _ in range(3)]
    assert list(door.broker.connections.values()) == made
    door.broker.closed(made[1], NOW_MS)
    assert list(door.broker.connections.values()) == [made[0], made[2]]
    assert len({connection.id for connection in made}) == 3


def test_a_whole_conversation_may_come_in_one_read(door: Door) -> None:
    connection = door.accept()
    door.say(connection, hello() + call(1, commands.Channel.Open) + DECLARE + CONSUME)
    door.say(connection, publish(1, "q", b"body"))
    assert names(door.hear(connection)) == [
        "Connection.Start",
        "Connection.Tune",
        "Connection.OpenOk",
        "Channel.OpenOk",
        "Queue.DeclareOk",
        "Basic.ConsumeOk",
        "Basic.Deliver",
        codec.HEADER,
        codec.BODY,
    ]
    door.broker.validate()


def test_a_fault_of_the_brokers_own_is_a_541_to_one_client_and_a_trace_in_the_log() -> None:
    journal = OddJournal()
    door = Door(journal=journal)
    healthy, victim = door.connect(), door.connect()
    door.say(healthy, DECLARE)
    door.broker.synced(journal.position, NOW_MS)
    door.hear(healthy)
    journal.fails = True
    door.say(victim, publish(1, "q", b"x", properties={"delivery_mode": 2}))
    text = "INTERNAL_ERROR - the broker failed unexpectedly; see its log"
    assert door.hear(victim) == [(0, "Connection.Close", 541, text, 60, 40)]
    assert victim.close_socket
    (fields,) = door.events("unexpected exception")
    assert fields["connection"] == victim.name
    assert "a fault of the broker's own" in str(fields["trace"])
    journal.fails = False
    door.say(healthy, CONSUME + publish(1, "q", b"y"))
    assert names(door.hear(healthy))[:2] == ["Basic.ConsumeOk", "Basic.Deliver"]
    door.broker.closed(victim, NOW_MS)
    door.broker.validate()


def test_a_fault_while_another_one_is_answered_does_not_get_out_either() -> None:
    journal = OddJournal()
    door = Door(journal=journal)
    victim = door.connect()
    door.say(victim, call(1, commands.Queue.Declare, queue="q", durable=True, auto_delete=True))
    door.say(victim, CONSUME)
    journal.fails = True
    door.say(
        victim,
        call(1, commands.Exchange.Declare, exchange="x", exchange_type="fanout", durable=True),
    )
    assert victim.close_socket
    assert len(door.events("unexpected exception")) == 2
    assert victim in door.broker.take_dirty()


def test_a_fault_while_a_consumer_goes_on_is_answered_to_its_connection() -> None:
    journal = OddJournal()
    door = Door(journal=journal)
    consumer = door.connect()
    door.say(consumer, DECLARE + CONSUME)
    door.broker.congested(consumer)
    door.say(consumer, publish(1, "q", b"x", properties={"delivery_mode": 2}))
    journal.fails = True
    door.broker.writable(consumer, NOW_MS)
    assert consumer.close_socket
    assert len(door.events("unexpected exception")) == 1


def test_a_fault_at_the_end_of_a_connection_is_only_logged() -> None:
    journal = OddJournal()
    door = Door(journal=journal)
    victim = door.connect()
    door.say(victim, call(1, commands.Queue.Declare, queue="q", durable=True, auto_delete=True))
    door.say(victim, CONSUME)
    journal.fails = True
    door.broker.closed(victim, NOW_MS)
    assert len(door.events("unexpected exception")) == 1
    assert door.broker.connections == {}


def test_a_congested_consumer_gets_nothing_until_its_socket_is_writable(door: Door) -> None:
    producer, consumer = door.connect(), door.connect()
    door.say(consumer, DECLARE + CONSUME)
    door.hear(consumer)
    door.broker.congested(consumer)
    door.say(producer, publish(1, "q", b"1") + publish(1, "q", b"2"))
    assert door.hear(consumer) == []
    assert not consumer.wants_turn
    door.broker.writable(consumer, NOW_MS)
    assert consumer in door.broker.take_dirty()
    assert names(frames(consumer.take())).count("Basic.Deliver") == 2
    door.broker.validate()


def test_a_turn_puts_no_more_than_its_bound_into_an_outbox() -> None:
    door = Door(Limits(outbox_bytes=1000))
    producer, consumer = door.connect(), door.connect()
    door.say(consumer, DECLARE)
    for _ in range(20):
        door.say(producer, publish(1, "q", b"x" * 100))
    door.say(consumer, CONSUME)
    counts = []
    while True:
        counts.append(names(door.hear(consumer)).count("Basic.Deliver"))
        if not consumer.wants_turn:
            break
        door.broker.writable(consumer, NOW_MS)
    assert sum(counts) == 20
    assert max(counts) < 10


def test_a_socket_that_is_gone_is_told_once(door: Door) -> None:
    connection = door.connect()
    door.broker.closed(connection, NOW_MS)
    door.broker.closed(connection, NOW_MS)
    assert door.broker.connections == {}
    (fields,) = door.events("connection closed")
    assert fields["why"] == "client unexpectedly closed TCP connection"
    door.say(connection, call(2, commands.Channel.Open))
    assert door.hear(connection) == []


def test_why_a_socket_is_gone_is_logged_as_its_owner_says(door: Door) -> None:
    connection = door.connect()
    door.broker.closed(connection, NOW_MS, "connection reset")
    assert door.events("connection closed")[0]["why"] == "connection reset"


def test_a_client_that_took_its_leave_is_not_said_to_have_gone_unexpectedly(door: Door) -> None:
    connection = door.connect()
    door.say(connection, call(0, commands.Connection.Close, reply_code=200))
    assert names(door.hear(connection)) == ["Connection.CloseOk"]
    assert connection.close_socket
    door.broker.closed(connection, NOW_MS)
    assert door.events("connection closed")[0]["why"] == "closed"


def test_a_probe_that_says_nothing_leaves_no_line(door: Door) -> None:
    door.broker.closed(door.accept(), NOW_MS)
    assert door.log.events == []


def test_what_a_lost_connection_had_is_free_or_back(door: Door) -> None:
    connection, other = door.connect(), door.connect()
    door.say(connection, call(1, commands.Queue.Declare, queue="mine", exclusive=True))
    door.say(connection, DECLARE + publish(1, "q", b"x"))
    door.say(connection, call(1, commands.Basic.Consume, queue="q"))
    door.broker.closed(connection, NOW_MS)
    vhost = door.broker.vhosts["/"]
    assert list(vhost.queues) == ["q"]
    assert (vhost.queues["q"].backlog.count, vhost.queues["q"].unacked_count) == (1, 0)
    assert vhost.queues["q"].consumers == []
    door.say(other, call(1, commands.Basic.Get, queue="q"))
    (get_ok, *_) = door.hear(other)
    assert get_ok[:4] == (1, "Basic.GetOk", 1, True)
    door.broker.validate()


# -- time ------------------------------------------------------------------------------------------


def test_there_is_no_deadline_when_nothing_is_to_be_waited_for(door: Door) -> None:
    assert door.broker.next_deadline_ms() == -1
    connection = door.connect()
    assert door.broker.next_deadline_ms() == -1
    door.broker.closed(connection, NOW_MS)
    assert door.broker.next_deadline_ms() == -1


def test_a_handshake_has_ten_seconds(door: Door) -> None:
    connection = door.accept()
    assert door.broker.next_deadline_ms() == NOW_MS + 10_000
    door.say(connection, codec.PROTOCOL_HEADER)
    door.pass_ms(9_999)
    assert not connection.close_socket
    door.pass_ms(1)
    assert connection.close_socket
    assert connection in door.broker.take_dirty()
    assert door.events("handshake timeout")[0]["state"] == "starting"


def test_heartbeats_are_sent_where_half_an_interval_was_silent(door: Door) -> None:
    connection = door.connect(heartbeat=10)
    assert door.broker.next_deadline_ms() == NOW_MS + 5_000
    sent = []
    for _ in range(4):
        door.pass_ms(5_000)
        door.say(connection, codec.HEARTBEAT_FRAME)
        sent.append(connection.take())
    assert sent == [codec.HEARTBEAT_FRAME, b"", codec.HEARTBEAT_FRAME, b""]


def test_a_client_that_falls_silent_is_dropped(door: Door) -> None:
    connection = door.connect(heartbeat=10)
    door.pass_ms(30_000)
    assert connection.close_socket
    assert door.events("missed heartbeats from client")
    door.broker.closed(connection, door.now_ms)
    assert door.broker.next_deadline_ms() == -1


def test_a_client_that_does_not_answer_our_close_is_dropped() -> None:
    door = Door(Limits(closing_ms=700, silent_close_ms=300))
    hard, stream = door.connect(), door.connect()
    door.say(hard, call(1, commands.Channel.Open))
    door.say(stream, codec.frame(9, 0, b""))
    assert names(door.hear(hard)) == names(door.hear(stream)) == ["Connection.Close"]
    door.pass_ms(299)
    assert not stream.close_socket
    door.pass_ms(1)
    assert stream.close_socket and not hard.close_socket
    door.pass_ms(400)
    assert hard.close_socket


# -- journal and turns -----------------------------------------------------------------------------


def test_without_a_store_confirms_leave_at_the_end_of_the_turn(door: Door) -> None:
    connection = door.connect()
    door.say(connection, DECLARE + call(1, commands.Confirm.Select))
    door.hear(connection)
    for _ in range(3):
        door.say(connection, publish(1, "q", b"x", properties={"delivery_mode": 2}))
    assert connection.take() == b""
    assert door.hear(connection) == [(1, "Basic.Ack", 3, True)]
    door.say(connection, publish(1, "q", b"x"))
    assert door.hear(connection) == [(1, "Basic.Ack", 4, False)]


def test_confirms_and_oks_wait_until_the_journal_is_synced() -> None:
    journal = OddJournal()
    door = Door(journal=journal)
    connection = door.connect()
    door.say(connection, DECLARE)
    assert door.hear(connection) == []
    door.broker.synced(journal.position, NOW_MS)
    assert connection in door.broker.take_dirty()
    assert names(frames(connection.take())) == ["Queue.DeclareOk"]
    door.say(connection, call(1, commands.Confirm.Select))
    door.hear(connection)
    door.say(connection, publish(1, "q", b"x", properties={"delivery_mode": 2}))
    assert door.hear(connection) == []
    door.broker.synced(journal.position - 1, NOW_MS)
    assert door.hear(connection) == []
    door.broker.synced(journal.position, NOW_MS)
    assert door.hear(connection) == [(1, "Basic.Ack", 1, False)]


@pytest.mark.parametrize("ending", ["close", "error"])
def test_a_number_that_is_opened_again_waits_for_what_was_said_on_it(ending: str) -> None:
    journal = OddJournal()
    door = Door(journal=journal)
    connection = door.connect()
    door.say(connection, DECLARE)
    if ending == "close":
        door.say(connection, call(1, commands.Channel.Close, reply_code=200))
    else:
        door.say(connection, call(1, commands.Tx.Commit) + call(1, commands.Channel.CloseOk))
    door.say(connection, call(1, commands.Channel.Open) + CONSUME)
    assert door.hear(connection) == []
    door.broker.synced(journal.position, NOW_MS)
    said = names(door.hear(connection))
    last = "Channel.CloseOk" if ending == "close" else "Channel.Close"
    assert said == ["Queue.DeclareOk", last, "Channel.OpenOk", "Basic.ConsumeOk"]
    door.say(connection, call(1, commands.Channel.Close) + call(1, commands.Channel.Open))
    assert names(door.hear(connection)) == ["Channel.CloseOk", "Channel.OpenOk"]


def test_connections_with_something_to_do_are_told_once(door: Door) -> None:
    one, two = door.connect(), door.connect()
    flow = call(1, commands.Channel.Flow, active=True)
    door.say(two, flow, flow)
    door.say(one, flow)
    door.say(two, flow)
    assert door.broker.take_dirty() == [two, one]
    assert door.broker.take_dirty() == []
    before = two.sent_bytes
    assert len(frames(two.take())) == 3
    assert two.take() == b""
    assert two.sent_bytes == before + 3 * len(call(1, commands.Channel.FlowOk))


# -- command ---------------------------------------------------------------------------------------


def test_a_broker_is_born_with_one_vhost(door: Door) -> None:
    assert list(door.broker.vhosts) == ["/"]
    other = door.broker.add_vhost("other")
    assert door.broker.add_vhost("other") is other
    door.users.permit("guest", "other", "", "", "")
    connection = door.accept()
    door.say(connection, hello(vhost="other"))
    assert names(door.hear(connection))[-1] == "Connection.OpenOk"
    assert connection.vhost is other


def test_changed_permissions_count_for_routes_that_are_remembered(door: Door) -> None:
    connection = door.connect(user="other")
    door.say(connection, DECLARE + publish(1, "q", b"x"))
    door.users.permit("other", "/", ".*", "", ".*")
    door.broker.permissions_changed()
    door.say(connection, publish(1, "q", b"x"))
    text = (
        "ACCESS_REFUSED - write access to exchange 'amq.default' in vhost '/'"
        " refused for user 'other'"
    )
    assert door.hear(connection)[-1] == (1, "Channel.Close", 403, text, 60, 40)


def test_an_alarm_holds_those_who_publish_and_tells_them(door: Door) -> None:
    able, unable = door.connect(capabilities=("connection.blocked",)), door.connect()
    idle = door.connect(capabilities=("connection.blocked",))
    door.broker.set_alarm("memory", True, NOW_MS)
    door.broker.set_alarm("memory", True, NOW_MS)
    for connection in (able, unable):
        assert connection.reading
        door.say(connection, publish(1, "q", b"x"))
        assert not connection.reading
    door.broker.set_alarm("disk", True, NOW_MS)
    assert door.hear(able) == [(0, "Connection.Blocked", "low on memory")]
    assert door.hear(unable) == door.hear(idle) == []
    door.broker.set_alarm("memory", False, NOW_MS)
    assert not able.reading
    door.broker.set_alarm("disk", False, NOW_MS)
    assert {able, unable} <= set(door.broker.take_dirty())
    assert able.reading and unable.reading and idle.reading
    assert frames(able.take()) == [(0, "Connection.Unblocked")]


def test_a_connection_is_closed_by_command_with_the_whole_text(door: Door) -> None:
    connection = door.connect()
    text = "CONNECTION_FORCED - Closed via management plugin"
    door.broker.close_connection(connection, 320, text, NOW_MS)
    door.broker.close_connection(connection, 320, "once is enough", NOW_MS)
    assert connection in door.broker.take_dirty()
    assert frames(connection.take()) == [(0, "Connection.Close", 320, text, 0, 0)]
    assert not connection.close_socket
    door.say(connection, call(0, commands.Connection.CloseOk))
    assert connection.close_socket


def test_before_the_login_a_connection_is_closed_by_command_without_a_word(door: Door) -> None:
    connection = door.accept()
    door.say(connection, codec.PROTOCOL_HEADER)
    door.hear(connection)
    door.broker.close_connection(connection, 320, "CONNECTION_FORCED - x", NOW_MS)
    assert connection.close_socket
    assert connection.take() == b""


def test_when_the_broker_stops_everybody_is_told(door: Door) -> None:
    connections = [door.connect(), door.connect()]
    stranger = door.accept()
    door.broker.shut_down(NOW_MS)
    text = "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'"
    for connection in connections:
        assert frames(connection.take()) == [(0, "Connection.Close", 320, text, 0, 0)]
    assert stranger.close_socket


# -- contents on their way from one connection to another ------------------------------------------


@pytest.mark.parametrize("channels", [(1, 1), (1, 300), (65535, 2), (256, 255)])
@pytest.mark.parametrize("size", [0, 1, 4088, 4089, 10000])
def test_contents_arrive_on_the_consumers_channel(channels: tuple[int, int], size: int) -> None:
    door = Door(Limits(channel_max=0))
    came_on, goes_on = channels
    producer = door.accept()
    consumer = door.accept()
    tune = hello().replace(b"\x07\xff\x00\x00\x10\x00", b"\0\0\x00\x00\x10\x00")
    for connection, number in ((producer, came_on), (consumer, goes_on)):
        door.say(connection, tune + call(number, commands.Channel.Open))
    door.say(consumer, call(goes_on, commands.Queue.Declare, queue="q"))
    door.say(consumer, call(goes_on, commands.Basic.Consume, queue="q"))
    door.hear(consumer)
    body = bytes(index * 7 & 255 for index in range(size))
    sent = publish(came_on, "q", body, properties={"content_type": "a/b"})
    door.say(producer, sent)
    said = door.hear(consumer)
    assert said[0][1] == "Basic.Deliver"
    assert {frame[0] for frame in said} == {goes_on}
    assert b"".join(frame[2] for frame in said[2:]) == body
    assert said[1][2] == codec.encode_header(codec.encode_properties({"content_type": "a/b"}), size)


@pytest.mark.parametrize("way", ["deliver", "get"])
@pytest.mark.parametrize("size", [4088, 4089, 10000, 131064])
def test_contents_are_cut_anew_for_a_smaller_frame_max(size: int, way: str) -> None:
    door = Door()
    producer, consumer = door.connect(frame_max=131072), door.connect(7, frame_max=4096)
    declare = call(7, commands.Queue.Declare, queue="q")
    consume = call(7, commands.Basic.Consume, queue="q")
    door.say(consumer, declare + consume if way == "deliver" else declare)
    door.hear(consumer)
    body = bytes(index * 7 & 255 for index in range(size))
    door.say(producer, publish(1, "q", body, frame_max=131072))
    if way == "get":
        door.say(consumer, call(7, commands.Basic.Get, queue="q"))
    _, header, *bodies = door.hear(consumer)
    assert header == (7, codec.HEADER, codec.encode_header(b"\0\0", size))
    assert b"".join(frame[2] for frame in bodies) == body
    assert [len(frame[2]) for frame in bodies[:-1]] == [4088] * (len(bodies) - 1)
    assert {frame[:2] for frame in bodies} == {(7, codec.BODY)}


@pytest.mark.parametrize("way", ["return", "deliver", "get"])
def test_a_frame_that_was_let_pass_over_frame_max_goes_out_in_two(way: str) -> None:
    door = Door()
    connection = door.connect(frame_max=4096)
    door.say(connection, DECLARE + CONSUME if way == "deliver" else DECLARE)
    door.hear(connection)
    body = b"x" * 4096  # with its 8 octets of overhead
    door.say(connection, publish(1, "gone" if way == "return" else "q", body, 0, mandatory=True))
    if way == "get":
        door.say(connection, call(1, commands.Basic.Get, queue="q"))
    assert [len(frame[2]) for frame in door.hear(connection)[2:]] == [4088, 8]


def test_contents_are_not_cut_for_a_larger_frame_max() -> None:
    door = Door()
    producer, consumer = door.connect(frame_max=4096), door.connect(frame_max=131072)
    door.say(consumer, DECLARE + CONSUME)
    door.hear(consumer)
    door.say(producer, publish(1, "q", b"x" * 10000))
    assert [len(frame[2]) for frame in door.hear(consumer)[2:]] == [4088, 4088, 1824]


# -- the way in which bytes come -------------------------------------------------------------------


def heard(pieces: list[bytes], limits: Limits | None = None) -> tuple[bytes, Any]:
    """Return what a client and a consumer beside it hear when bytes come in these reads."""
    door = Door(limits)
    consumer, client = door.connect(), door.connect(1, 2)
    door.say(consumer, DECLARE + CONSUME)
    for piece in pieces:
        door.say(client, piece)
    door.broker.end_turn(NOW_MS)
    door.broker.validate()
    assert not door.events("unexpected exception")
    told = [fields for _, event, fields in door.log.events if "error" in event]
    return client.take() + b"|" + consumer.take(), (client.state, client.close_socket, told)


MIXED = (
    publish(1, "q", b"before confirms")
    + call(1, commands.Confirm.Select)
    + publish(1, "q", b"hello")
    + publish(1, "q", b"")
    + publish(1, "gone", b"returned", mandatory=True)
    + publish(2, "q", b"x" * 200, frame_max=50)
    + publish(1, "k", b"", exchange="amq.topic", mandatory=True)
    + codec.HEARTBEAT_FRAME
    + publish(1, "q", b"ttl", properties={"expiration": "100", "delivery_mode": 2})
    + call(2, commands.Queue.Declare, queue="r", exclusive=True)
    + publish(1, "r", b"1", properties={"headers": {"CC": ["q"], "BCC": ["r"]}})
    + publish(1, "r", b"2", properties={"reply_to": "me", "priority": 3})
    + call(2, commands.Basic.Get, queue="r")
    + call(2, commands.Basic.Ack, delivery_tag=1)
    + publish(2, "q", b"soft", properties={"expiration": "soon"})
    + publish(2, "q", b"discarded")
    + call(2, commands.Channel.CloseOk)
    + call(2, commands.Channel.Open)
    + publish(2, "q", b"again")
    + publish(1, "q", b"hard", immediate=True)
    + publish(1, "q", b"too late")
    + call(0, commands.Connection.CloseOk)
)


def test_what_comes_of_bytes_does_not_depend_on_where_they_are_split() -> None:
    whole = heard([MIXED])
    assert whole[0].count(b"soft") == 0
    for at in range(1, len(MIXED)):
        assert heard([MIXED[:at], MIXED[at:]]) == whole, at
    assert heard([MIXED[at : at + 1] for at in range(len(MIXED))]) == whole


PROPERTIES = st.one_of(
    st.just({}),
    st.sampled_from([{"delivery_mode": mode} for mode in (0, 1, 2, 3)]),
    st.sampled_from(
        [
            {"expiration": "5"},
            {"expiration": "x", "delivery_mode": 2},
            {"user_id": "guest"},
            {"user_id": "other"},
            {"headers": {"CC": ["q", "gone"]}},
            {"headers": {"BCC": ["q"]}, "delivery_mode": 2},
            {"headers": {"CC": "q"}},
            {"reply_to": "amq.rabbitmq.reply-to"},
            {"content_type": "a/b", "delivery_mode": 2, "priority": 7},
        ]
    ),
)
PUBLISHES = st.builds(
    lambda channel, exchange, key, body, mandatory, immediate, properties, frame_max: publish(
        channel,
        key,
        body,
        frame_max,
        exchange=exchange,
        mandatory=mandatory,
        immediate=immediate,
        properties=properties,
    ),
    st.integers(1, 3),
    st.sampled_from(["", "", "amq.fanout", "amq.headers", "gone", "amq.rabbitmq.trace"]),
    st.sampled_from(["q", "gone", "é", ""]),
    st.sampled_from([b"", b"x", b"body", b"y" * 60, b"z" * 61]),
    st.booleans(),
    st.sampled_from([False] * 15 + [True]),
    PROPERTIES,
    st.sampled_from([4096, 4096, 40]),
)
CHANGES = st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=2)


@settings(max_examples=200)
@given(
    st.lists(PUBLISHES, min_size=1, max_size=6),
    CHANGES,
    st.lists(st.integers(0, 1 << 16), max_size=5),
)
def test_a_publish_in_one_piece_is_a_publish_in_many(
    publishes: list[bytes], changes: list[tuple[int, int]], cuts: list[int]
) -> None:
    data = bytearray(call(1, commands.Confirm.Select) + b"".join(publishes))
    for place, octet in changes:
        data[place % len(data)] = octet
    limits = Limits(message_bytes_max=60)
    whole = heard([bytes(data)], limits)
    places = sorted({0, len(data), *(cut % len(data) for cut in cuts)})
    pieces = [bytes(data[at:to]) for at, to in zip(places, places[1:], strict=False)]
    assert heard(pieces, limits) == whole
    assert heard([bytes((octet,)) for octet in data], limits) == whole


class _Wish(Timed):
    """A deadline that is noted, or fails."""

    def __init__(self, done: list[str], name: str, fails: bool) -> None:
        super().__init__()
        self.done, self.name, self.fails = done, name, fails

    def on_deadline(self, now_ms: int) -> None:
        """See Timed."""
        if self.fails:
            raise RuntimeError("a fault of the broker's own")
        self.done.append(self.name)


def test_a_deadline_that_fails_leaves_the_others(door: Door) -> None:
    done: list[str] = []
    timers = door.broker._context.timers
    for name, fails in (("first", False), ("second", True), ("third", False)):
        timers.set(_Wish(done, name, fails), NOW_MS + 5)
    door.broker.due(NOW_MS + 5)
    assert done == ["first", "third"]
    (fields,) = door.events("unexpected exception")
    assert "a fault of the broker's own" in str(fields["trace"])
