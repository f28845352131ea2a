"""A server from start to stop, with the real broker and real sockets."""

import asyncio
import gc
import socket
import struct
from concurrent.futures import Future

import pika
import pika.exceptions
import pytest

from amqpd.limits import Limits
from amqpd.server import listener as listening
from amqpd.server.server import Server, SystemEntropy
from amqpd.server.settings import (
    Listener,
    PermissionSetting,
    Settings,
    SocketSettings,
    TlsSettings,
    UserSetting,
    WatermarkSettings,
)
from amqpd.server.startup import StartupError
from amqpd.testing.embedded import EmbeddedBroker

HEADER = b"AMQP\0\0\x09\x01"
QUICK = SocketSettings(shutdown_ms=200, linger_ms=200, drain_ms=200)


@pytest.fixture(params=["asyncio", "uvloop"])
def serve(request, recording_log):
    """Starts brokers with the settings that a test wants, on either loop."""
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    started = []

    def start(**settings) -> EmbeddedBroker:
        settings = {"listeners": (Listener("127.0.0.1", 0),), "sockets": QUICK} | settings
        broker = EmbeddedBroker(Settings(loop=request.param, **settings), recording_log)
        started.append(broker.start())
        return broker

    yield start
    for broker in started:
        broker.stop()


def client(broker: EmbeddedBroker, **parameters) -> pika.BlockingConnection:
    parameters = {"host": broker.host, "port": broker.port} | parameters
    return pika.BlockingConnection(pika.ConnectionParameters(**parameters))


def refusal(settings: Settings, log) -> str:
    async def start() -> None:
        server = Server(settings, log)
        with pytest.raises(StartupError) as refused:
            await server.start()
        await server.stop()
        assert "\n" not in str(refused.value)
        raise refused.value

    with pytest.raises(StartupError) as refused:
        asyncio.run(start())
    return str(refused.value)


def test_messages_pass_and_are_confirmed(serve):
    with client(serve()) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare("q")
        for number in range(100):
            channel.basic_publish("", "q", b"%d" % number)
        got = [channel.basic_get("q", auto_ack=True)[2] for _ in range(100)]
        assert got == [b"%d" % number for number in range(100)]


def test_a_flood_larger_than_all_buffers_arrives_whole(serve):
    broker = serve()
    with client(broker) as producer, client(broker) as consumer:
        receiving = consumer.channel()
        receiving.queue_declare("q")
        got = []
        receiving.basic_consume("q", lambda _c, _m, _p, body: got.append(len(body)), auto_ack=True)
        sending = producer.channel()
        for _ in range(40):
            sending.basic_publish("", "q", b"x" * 1_000_000)
        while len(got) < 40:
            consumer.process_data_events(time_limit=None)
        assert got == [1_000_000] * 40


def test_a_consumer_that_does_not_read_costs_bounded_memory(serve):
    broker = serve()
    with client(broker) as producer, socket.create_connection(("127.0.0.1", broker.port)) as lazy:
        sending = producer.channel()
        sending.queue_declare("q")
        consume(lazy, "q")
        sending.confirm_delivery()
        for _ in range(100):
            sending.basic_publish("", "q", b"x" * 400_000)
        settings = broker.settings.sockets
        buffered = broker.call(
            lambda server: max(
                each._transport.get_write_buffer_size() for each in server.turns.sockets
            )
        )
        assert buffered <= settings.write_high_bytes + 2 * broker.settings.limits.outbox_bytes + (
            1 << 20
        )


def frame(kind: int, channel: int, payload: bytes) -> bytes:
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce"


def method(channel: int, class_id: int, method_id: int, arguments: bytes = b"") -> bytes:
    return frame(1, channel, struct.pack(">HH", class_id, method_id) + arguments)


def shortstr(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()


def read_method(raw: socket.socket) -> tuple[int, int]:
    head = b""
    while len(head) < 7:
        head += raw.recv(7 - len(head))
    left = struct.unpack(">I", head[3:])[0] + 1
    payload = b""
    while len(payload) < left:
        payload += raw.recv(left - len(payload))
    return struct.unpack(">HH", payload[:4])


def log_in(raw: socket.socket) -> None:
    """The handshake, by hand, up to an open channel 1."""
    raw.sendall(HEADER)
    assert read_method(raw) == (10, 10)
    login = b"\0guest\0guest"
    raw.sendall(
        method(
            0,
            10,
            11,
            struct.pack(">I", 0)
            + shortstr("PLAIN")
            + struct.pack(">I", len(login))
            + login
            + shortstr("en_US"),
        )
    )
    assert read_method(raw) == (10, 30)
    raw.sendall(method(0, 10, 31, struct.pack(">HIH", 2047, 131072, 0)))
    raw.sendall(method(0, 10, 40, shortstr("/") + b"\0\0"))
    assert read_method(raw) == (10, 41)
    raw.sendall(method(1, 20, 10, shortstr("")))
    assert read_method(raw) == (20, 11)


def consume(raw: socket.socket, queue: str) -> None:
    log_in(raw)
    arguments = b"\0\0" + shortstr(queue) + shortstr("t") + b"\x02" + struct.pack(">I", 0)
    raw.sendall(method(1, 60, 20, arguments))
    assert read_method(raw) == (60, 21)


def test_a_wrong_header_is_answered_with_ours_and_the_end(serve):
    broker = serve()
    with socket.create_connection(("127.0.0.1", broker.port)) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + b"y" * 500_000)
        got = b""
        while part := raw.recv(100):
            got += part
        assert got == HEADER


def test_a_close_right_before_the_end_of_input_is_answered(serve):
    broker = serve()
    with socket.create_connection(("127.0.0.1", broker.port)) as raw:
        log_in(raw)
        raw.sendall(method(0, 10, 50, b"\0\xc8" + shortstr("") + b"\0\0\0\0"))
        raw.shutdown(socket.SHUT_WR)
        assert read_method(raw) == (10, 51)
        assert raw.recv(1) == b""


def test_connections_that_vanish_are_forgotten(serve, recording_log):
    broker = serve()
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", broker.port)) as raw:
            log_in(raw)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with client(broker):
        # accepted after the others were reset, so the loop has seen those ends by now
        assert broker.call(lambda server: len(server.broker.connections)) == 1
    closed = [fields for _, event, fields in recording_log.events if event == "connection closed"]
    assert [fields["why"] for fields in closed[:3]] == ["connection reset by peer"] * 3


def test_a_probe_leaves_no_line_above_debug(serve, recording_log):
    broker = serve()
    probes = []
    for linger in (0, 1):  # one leaves, one resets
        with socket.create_connection(("127.0.0.1", broker.port)) as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", linger, 0))
            probes.append("{}:{} ".format(*raw.getsockname()))
    client(broker).close()
    broker.stop()
    lines = [str(event) for event in recording_log.events if event[0] != "debug"]
    assert any("connection accepted" in line for line in lines)
    assert not [line for line in lines for probe in probes if probe in line]


def test_several_listeners_have_a_port_each(serve):
    broker = serve(listeners=(Listener("127.0.0.1", 0), Listener("127.0.0.1", 0)))
    first, second = broker.server.ports
    assert first != second
    for port in (first, second):
        client(broker, port=port).close()


def test_ipv6_and_its_name_of_a_connection(serve):
    if not listening._ipv6_works():
        pytest.skip("no IPv6 here")
    broker = serve(listeners=(Listener("::1", 0),))
    with client(broker):
        names = broker.call(lambda server: [c.name for c in server.broker.connections.values()])
        (name,) = names
        assert name.startswith("[::1]:") and name.endswith(f" -> [::1]:{broker.port}")


def test_one_listener_on_every_interface_answers_in_both_families(serve):
    broker = serve(listeners=(Listener("", 0),))
    hosts = ["127.0.0.1"] + (["::1"] if listening._ipv6_works() else [])
    for host in hosts:
        client(broker, host=host).close()


def test_a_stop_tells_every_client(serve):
    broker = serve()
    connection = client(broker)
    broker.stop()
    with pytest.raises(pika.exceptions.ConnectionClosedByBroker) as closed:
        connection.process_data_events(time_limit=None)
    assert closed.value.reply_code == 320
    assert (
        closed.value.reply_text
        == "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'"
    )


def test_a_stop_does_not_wait_when_all_answer(run, recording_log):
    async def scenario() -> None:
        never = SocketSettings(shutdown_ms=3_600_000)
        settings = Settings(listeners=(Listener("127.0.0.1", 0),), sockets=never)
        server = Server(settings, recording_log)
        await server.start()
        loop = asyncio.get_running_loop()
        with socket.create_connection(("127.0.0.1", server.ports[0])) as raw:

            def answer() -> None:
                log_in(raw)
                stopping.set_result(None)
                assert read_method(raw) == (10, 50)
                raw.sendall(method(0, 10, 51))
                assert raw.recv(1) == b""
                raw.close()

            stopping: Future[None] = Future()
            answering = loop.run_in_executor(None, answer)
            await asyncio.wrap_future(stopping)
            await server.stop()
            await answering
        assert not server.broker.connections

    run(scenario())


def test_a_stop_can_be_cut_short(run, recording_log):
    async def scenario() -> None:
        never = SocketSettings(shutdown_ms=3_600_000)
        settings = Settings(listeners=(Listener("127.0.0.1", 0),), sockets=never)
        server = Server(settings, recording_log)
        await server.start()
        with socket.create_connection(("127.0.0.1", server.ports[0])) as raw:
            await asyncio.get_running_loop().run_in_executor(None, log_in, raw)
            stopping = asyncio.ensure_future(server.stop())
            await asyncio.get_running_loop().run_in_executor(None, read_method, raw)
            server.cut()
            await stopping

    run(scenario())


def test_users_vhosts_and_permissions_are_as_set(serve):
    users = (
        UserSetting("a", "secret", ("monitoring",), (PermissionSetting("/", "^x", "", ""),)),
        UserSetting(
            "b",
            "",
            (),
            (PermissionSetting("v"),),
            password_hash="kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR",
        ),
    )
    broker = serve(users=users, vhosts=("/", "v"))
    login = pika.PlainCredentials("a", "secret")
    with client(broker, credentials=login) as connection:
        channel = connection.channel()
        channel.queue_declare("x1")
        with pytest.raises(pika.exceptions.ChannelClosedByBroker) as refused:
            channel.queue_declare("y1")
        assert refused.value.reply_code == 403
    with pytest.raises(pika.exceptions.AMQPConnectionError):
        client(broker, credentials=login, virtual_host="v")
    with client(broker, credentials=pika.PlainCredentials("b", "test12"), virtual_host="v"):
        pass
    with pytest.raises(pika.exceptions.AMQPConnectionError):
        client(broker)  # guest is not among the users


def test_an_alarm_reaches_publishers_and_is_lifted(serve):
    broker = serve()
    with client(broker) as connection:
        told = []
        connection.add_on_connection_blocked_callback(lambda _c, m: told.append(m.method.reason))
        connection.add_on_connection_unblocked_callback(lambda _c, _m: told.append("unblocked"))
        broker.call(lambda server: server.turns.set_alarm("memory", True))
        connection.channel().basic_publish("", "nowhere", b"x")
        while not told:
            connection.process_data_events(time_limit=None)
        broker.call(lambda server: server.turns.set_alarm("memory", False))
        while len(told) < 2:
            connection.process_data_events(time_limit=None)
        assert told == ["low on memory", "unblocked"]


def test_the_watermark_of_the_settings_raises_the_alarm(serve):
    broker = serve(watermark=WatermarkSettings(memory_absolute=1))
    assert "memory" in broker.call(lambda server: server.watermark.raised)
    assert broker.call(lambda server: server.watermark.memory_limit_bytes) == 1


def test_a_taken_port_closes_what_was_opened_before(recording_log):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        listeners = (Listener("127.0.0.1", 0), Listener("127.0.0.1", port))
        words = refusal(Settings(listeners=listeners), recording_log)
        assert words == f"cannot listen on 127.0.0.1:{port}: address already in use"
    gc.collect()
    ((_, event, _),) = recording_log.events
    opened = int(event.rpartition(":")[2])
    with socket.socket() as again:
        again.bind(("127.0.0.1", opened))


def test_a_certificate_that_cannot_be_read_is_one_clear_line(recording_log):
    settings = Settings(
        listeners=(Listener("127.0.0.1", 0, tls=True),), tls=TlsSettings("/nowhere.pem")
    )
    words = refusal(settings, recording_log)
    assert words == "cannot read /nowhere.pem: no such file or directory"


@pytest.mark.parametrize(
    "user",
    [
        UserSetting("u", password_hash="not base64"),
        UserSetting("u", password_hash="kI3GCqW5JLMJ", hash_algorithm="rot13"),
        UserSetting("u", "p", permissions=(PermissionSetting("/", "("),)),
    ],
)
def test_a_user_that_cannot_be_is_one_clear_line(user, recording_log):
    settings = Settings(listeners=(Listener("127.0.0.1", 0),), users=(user,))
    assert refusal(settings, recording_log).startswith("user 'u': ")


def test_complaints_of_the_loop_are_logged_once_a_second(run, recording_log):
    async def scenario() -> None:
        server = Server(Settings(listeners=(Listener("127.0.0.1", 0),)), recording_log)
        await server.start()
        recording_log.events.clear()
        loop = asyncio.get_running_loop()
        for _ in range(50):
            loop.call_exception_handler({"message": "full", "exception": OSError(24, "files")})
        loop.call_exception_handler({"message": "gone", "exception": ConnectionResetError()})
        loop.call_exception_handler({"message": "bug", "exception": ValueError("x")})
        loop.call_exception_handler({"message": "odd"})
        levels = [(level, event) for level, event, _ in recording_log.events]
        assert levels == [
            ("warning", "full"),
            ("debug", "gone"),
            ("error", "bug"),
            ("error", "odd"),
        ]
        assert "ValueError: x" in str(recording_log.events[2][2]["trace"])
        await server.stop()

    run(scenario())


def test_randomness_is_the_systems():
    entropy = SystemEntropy()
    assert len(entropy.token(16)) == 16 and entropy.token(16) != entropy.token(16)


def test_a_connection_limit_is_kept(serve):
    broker = serve(limits=Limits(connection_max=1))
    with client(broker):
        with pytest.raises(pika.exceptions.AMQPConnectionError):
            client(broker)
    client(broker).close()
