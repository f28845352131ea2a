"""Sockets and turns: what reaches the broker, when its output leaves, and how sockets end."""

import asyncio
import socket
import struct

from amqpd.server.settings import SocketSettings
from amqpd.server.transport import (
    GONE,
    REST_TURNS_MAX,
    ClientSocket,
    is_loopback,
    now_ms,
)

MIB = 1 << 20


async def read(client: socket.socket, count: int = 65536) -> bytes:
    return await asyncio.get_running_loop().sock_recv(client, count)


async def read_all(client: socket.socket) -> bytes:
    parts = []
    while part := await read(client, MIB):
        parts.append(part)
    return b"".join(parts)


async def send(client: socket.socket, data: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(client, data)


def echo(rig):
    rig.broker.on_receive = rig.broker.say


def test_bytes_reach_the_broker_and_its_answer_the_client(run, rig):
    async def scenario():
        await rig.open()
        echo(rig)
        client, connection = await rig.connect()
        await send(client, b"hello")
        assert await read(client) == b"hello"
        assert connection.received == b"hello"
        client.close()
        await rig.close()

    run(scenario())


def test_the_broker_is_told_both_addresses(run, rig):
    async def scenario():
        await rig.open()
        client, connection = await rig.connect()
        peer = connection.peer
        assert (peer.peer_host, peer.peer_port) == client.getsockname()
        assert (peer.host, peer.port) == client.getpeername()
        assert peer.loopback and not peer.tls and peer.certificate_name == ""
        client.close()
        await rig.close()

    run(scenario())


def test_sockets_that_are_ready_together_share_one_flush(run, rig):
    async def scenario():
        await rig.open()
        echo(rig)
        clients = [(await rig.connect())[0] for _ in range(5)]
        await rig.broker.until(lambda: rig.broker.calls[-1] == "end_turn")
        rig.broker.calls.clear()
        for client in clients:
            client.send(b"x")  # all of them before the loop looks again
        for client in clients:
            assert await read(client) == b"x"
        assert rig.broker.calls == ["receive"] * 5 + ["end_turn"]
        for client in clients:
            client.close()
        await rig.close()

    run(scenario())


def test_a_socket_to_close_gets_its_last_bytes_first(run, rig):
    async def scenario():
        await rig.open()
        client, connection = await rig.connect()
        connection.close_socket = True
        rig.broker.say(connection, b"x" * 3 * MIB)
        rig.turns.schedule()
        assert await read_all(client) == b"x" * 3 * MIB
        assert connection.why == ""
        client.close()
        await rig.turns.emptied()
        await rig.close()

    run(scenario())


def test_last_words_survive_input_that_was_never_read(run, rig):
    async def scenario():
        await rig.open()
        client, connection = await rig.connect()
        connection.reading = False
        rig.broker.touch(connection)
        rig.turns.schedule()
        await rig.broker.until(lambda: rig.broker.calls[-1] == "end_turn")
        sending = asyncio.ensure_future(send(client, b"y" * 8 * MIB))
        connection.close_socket = True
        rig.broker.say(connection, b"last words")
        rig.turns.schedule()
        await sending
        assert await read_all(client) == b"last words"
        assert connection.received == b""
        client.close()
        await rig.turns.emptied()
        await rig.close()

    run(scenario())


def test_what_comes_after_the_end_is_not_handed_on(run, rig):
    async def scenario():
        await rig.open()
        client, connection = await rig.connect()
        connection.close_socket = True
        rig.broker.touch(connection)
        rig.turns.schedule()
        assert await read_all(client) == b""
        await send(client, b"too late")
        client.close()
        await rig.turns.emptied()
        assert connection.received == b""
        await rig.close()

    run(scenario())


def test_a_peer_that_never_reads_is_cut_after_a_bound(run, rig):
    async def scenario():
        await rig.open(SocketSettings(drain_ms=50, linger_ms=600_000))
        client, connection = await rig.connect()
        connection.close_socket = True
        rig.broker.say(connection, b"x" * 32 * MIB)
        rig.turns.schedule()
        await rig.turns.emptied()
        assert connection.why == ""
        client.close()
        await rig.close()

    run(scenario())


def test_a_peer_that_never_closes_its_side_is_cut_after_a_bound(run, rig):
    async def scenario():
        await rig.open(SocketSettings(linger_ms=50, drain_ms=600_000))
        client, connection = await rig.connect()
        connection.close_socket = True
        rig.broker.say(connection, b"bye")
        rig.turns.schedule()
        await rig.turns.emptied()
        client.close()
        await rig.close()

    run(scenario())


def test_a_question_before_the_end_of_input_is_answered(run, rig):
    async def scenario():
        await rig.open()
        echo(rig)
        client, connection = await rig.connect()
        client.send(b"question")
        client.shutdown(socket.SHUT_WR)
        assert await read_all(client) == b"question"
        assert connection.why == GONE
        client.close()
        await rig.turns.emptied()
        await rig.close()

    run(scenario())


def test_a_half_open_peer_that_never_reads_is_cut_after_a_bound(run, rig):
    async def scenario():
        settings = SocketSettings(drain_ms=50, linger_ms=600_000, write_held_bytes=64 * MIB)
        await rig.open(settings)
        client, connection = await rig.connect()
        rig.broker.on_receive = lambda c, _: rig.broker.say(c, b"x" * 32 * MIB)
        client.send(b"question")
        client.shutdown(socket.SHUT_WR)
        await rig.turns.emptied()
        assert connection.why == GONE
        client.close()
        await rig.close()

    run(scenario())


def test_a_reset_is_told_once_and_says_so(run, rig):
    async def scenario():
        await rig.open()
        client, connection = await rig.connect()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        await rig.broker.until(lambda: connection.why is not None)
        assert connection.why == "connection reset by peer"
        await rig.turns.emptied()
        await rig.close()

    run(scenario())


def test_writing_to_a_peer_that_reset_disturbs_nobody(run, rig):
    async def scenario():
        await rig.open()
        echo(rig)
        bystander, _ = await rig.connect()
        client, connection = await rig.connect()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        rig.broker.say(connection, b"x" * MIB)
        rig.turns.schedule()
        await rig.broker.until(lambda: connection.why is not None)
        await send(bystander, b"still here")
        assert await read(bystander) == b"still here"
        assert not rig.log.events
        bystander.close()
        await rig.close()

    run(scenario())


def test_ending_a_peer_that_reset_is_quiet(run, rig):
    async def scenario():
        await rig.open()
        client, connection = await rig.connect()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        connection.close_socket = True
        rig.broker.say(connection, b"bye")
        rig.turns.schedule()
        await rig.turns.emptied()
        assert connection.why is not None
        assert not rig.log.events
        await rig.close()

    run(scenario())


def test_a_probe_that_connects_and_goes_is_closed_without_a_word(run, rig):
    async def scenario():
        await rig.open()
        client, connection = await rig.connect()
        client.close()
        await rig.broker.until(lambda: connection.why is not None)
        assert connection.why == GONE
        assert not rig.log.events
        await rig.turns.emptied()
        await rig.close()

    run(scenario())


def test_a_peer_that_left_before_it_was_accepted_is_never_heard_of(run, rig):
    class GoneTransport(asyncio.Transport):
        aborted = False

        def get_extra_info(self, name, default=None):
            if name == "socket":
                return socket.socket()
            return None if name == "peername" else ("127.0.0.1", 1)

        def abort(self):
            self.aborted = True

    async def scenario():
        await rig.open()
        transport = GoneTransport()
        client = ClientSocket(rig.turns, None)
        client.connection_made(transport)
        client.connection_lost(None)
        assert transport.aborted
        assert rig.broker.calls == []
        await rig.close()

    run(scenario())


def test_a_connection_that_the_broker_does_not_want_read_is_not_read(run, rig):
    async def scenario():
        await rig.open()
        bystander, _ = await rig.connect()
        client, connection = await rig.connect()

        def stop_reading(other, data):
            if other is connection:
                other.reading = False
                rig.broker.touch(other)
            else:
                rig.broker.say(other, data)

        rig.broker.on_receive = stop_reading
        await send(client, b"first")
        await rig.broker.until(lambda: connection.received == b"first")
        await rig.broker.until(lambda: rig.broker.calls[-1] == "end_turn")
        await send(client, b"second")
        for _ in range(3):  # the loop has looked at the sockets in between
            await send(bystander, b"?")
            assert await read(bystander) == b"?"
        assert connection.received == b"first"
        connection.reading = True
        rig.broker.on_receive = lambda *_: None
        rig.broker.touch(connection)
        rig.turns.schedule()
        await rig.broker.until(lambda: connection.received == b"firstsecond")
        client.close()
        bystander.close()
        await rig.close()

    run(scenario())


def test_a_full_buffer_is_told_and_so_is_its_end(run, rig):
    async def scenario():
        await rig.open()
        client, connection = await rig.connect()
        rig.broker.say(connection, b"x" * 16 * MIB)
        rig.turns.schedule()
        await rig.broker.until(lambda: connection.congested_calls == 1)
        assert connection.writable_calls == 0
        left = 16 * MIB
        while left:
            left -= len(await read(client, MIB))
        await rig.broker.until(lambda: connection.writable_calls == 1)
        client.close()
        await rig.close()

    run(scenario())


def test_a_dispatch_that_stopped_at_its_bound_goes_on_in_later_iterations(run, rig):
    async def scenario():
        await rig.open()
        client, connection = await rig.connect()

        def more(other):
            rig.broker.say(other, b"m")
            other.wants_turn = other.writable_calls < 3

        rig.broker.on_writable = more
        connection.wants_turn = True
        rig.broker.calls.clear()
        rig.broker.say(connection, b"m")
        rig.turns.schedule()
        got = b""
        while len(got) < 4:
            got += await read(client)
        assert rig.broker.calls == ["end_turn"] + ["writable", "end_turn"] * 3
        client.close()
        await rig.close()

    run(scenario())


def test_a_congested_connection_is_not_asked_for_more(run, rig):
    async def scenario():
        await rig.open()
        client, connection = await rig.connect()
        connection.wants_turn = True
        rig.broker.say(connection, b"x" * 16 * MIB)
        rig.turns.schedule()
        await rig.broker.until(lambda: connection.congested_calls == 1)
        other, _ = await rig.connect()  # the loop goes round
        assert connection.writable_calls == 0
        client.close()
        other.close()
        await rig.close()

    run(scenario())


def test_who_asks_and_never_reads_the_answers_is_not_read_for_ever(run, rig):
    async def scenario():
        await rig.open(SocketSettings(write_held_bytes=MIB))
        client, connection = await rig.connect()
        rig.broker.on_receive = lambda c, _: rig.broker.say(c, b"a" * 8 * MIB)
        await send(client, b"1")
        await rig.broker.until(lambda: connection.congested_calls == 1)
        side = rig.side(connection)
        assert side._reading is False
        rig.broker.on_receive = lambda *_: None
        await send(client, b"2")
        left = 8 * MIB
        while left:
            left -= len(await read(client, MIB))
        await rig.broker.until(lambda: connection.received == b"12")
        assert side._reading is True
        client.close()
        await rig.close()

    run(scenario())


def test_a_flood_is_read_a_bounded_piece_per_turn(run, rig):
    async def scenario():
        await rig.open()
        client, connection = await rig.connect()
        connection.reading = False
        rig.broker.touch(connection)
        rig.turns.schedule()
        await rig.broker.until(lambda: rig.broker.calls[-1] == "end_turn")
        await send(client, b"x" * MIB)  # lies in the kernel
        rig.broker.calls.clear()
        connection.reading = True
        rig.broker.touch(connection)
        rig.turns.schedule()
        await rig.broker.until(lambda: len(connection.received) == MIB)
        await rig.broker.until(lambda: rig.broker.calls[-1] == "end_turn")
        turns = " ".join(rig.broker.calls).split("end_turn")
        assert rig.broker.calls.count("receive") >= 4
        assert max(turn.count("receive") for turn in turns) == 1
        client.close()
        await rig.close()

    run(scenario())


def test_a_flood_waits_for_consumers_that_could_take_more_but_not_for_ever(run, rig):
    async def scenario():
        await rig.open()
        flooding, producer = await rig.connect()
        _, consumer = await rig.connect()

        def publish(connection, data):
            if not consumer.wants_turn:
                consumer.wants_turn = True
                rig.broker.say(consumer, b"m")

        rig.broker.on_receive = publish
        rig.broker.on_writable = lambda connection: rig.broker.say(connection, b"m")
        sending = asyncio.ensure_future(send(flooding, b"x" * 4 * MIB))
        await rig.broker.until(lambda: len(producer.received) == 4 * MIB)
        await sending
        calls = " ".join(rig.broker.calls).split("receive")[1:-1]
        waits = [between.count("writable") for between in calls]
        assert max(waits) <= REST_TURNS_MAX + 2
        assert max(waits) >= REST_TURNS_MAX
        flooding.close()
        await rig.close()

    run(scenario())


def test_nagle_is_off_unless_wanted(run, rig):
    async def scenario():
        await rig.open(SocketSettings(nodelay=False))
        client, connection = await rig.connect()
        own = rig.side(connection)._transport.get_extra_info("socket")
        assert own.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 0
        client.close()
        await rig.close()

    run(scenario())


def test_a_deadline_is_kept_and_an_earlier_one_comes_first(run, rig):
    async def scenario():
        await rig.open()
        rig.broker.deadline_ms = now_ms() + 3_600_000
        rig.turns.schedule()
        await rig.broker.until(lambda: "end_turn" in rig.broker.calls)
        rig.broker.deadline_ms = now_ms() + 20
        rig.turns.schedule()
        await rig.broker.until(lambda: rig.broker.deadline_ms == -1)
        assert "due" in rig.broker.calls
        await rig.close()

    run(scenario())


def test_a_deadline_that_has_passed_is_due_at_once(run, rig):
    async def scenario():
        await rig.open()
        rig.broker.deadline_ms = now_ms() - 5
        rig.turns.schedule()
        await rig.broker.until(lambda: rig.broker.deadline_ms == -1)
        await rig.close()

    run(scenario())


def test_the_watch_is_called_after_so_many_bytes(run, rig):
    async def scenario():
        await rig.open()
        calls = []
        rig.turns.watch(lambda: calls.append(rig.turns.received_bytes), 1000)
        client, connection = await rig.connect()
        await send(client, b"x" * 999)
        await rig.broker.until(lambda: len(connection.received) == 999)
        await rig.broker.until(lambda: rig.broker.calls[-1] == "end_turn")
        assert calls == []
        await send(client, b"x")
        await rig.broker.until(lambda: len(connection.received) == 1000)
        await rig.broker.until(lambda: rig.broker.calls[-1] == "end_turn")
        await rig.connect()
        assert calls == [1000]
        client.close()
        await rig.close()

    run(scenario())


def test_a_connection_whose_output_fails_costs_no_other_its_own(run, rig):
    async def scenario():
        await rig.open()
        client, connection = await rig.connect()
        bystander, other = await rig.connect()

        def fail():
            raise RuntimeError("broken")

        connection.take = fail
        rig.broker.touch(connection)
        rig.broker.say(other, b"mine")
        rig.turns.schedule()
        assert await read(bystander) == b"mine"
        await rig.broker.until(lambda: connection.why is not None)
        ((level, _, fields),) = rig.log.events
        assert level == "error" and "RuntimeError: broken" in fields["trace"]
        client.close()
        bystander.close()
        await rig.close()

    run(scenario())


def test_turns_are_counted_and_the_longest_is_known(run, rig):
    async def scenario():
        await rig.open()
        client, _ = await rig.connect()
        await rig.connect()
        assert rig.turns.turn_count >= 1
        assert 0 < rig.turns.longest_ns < 20_000_000_000
        client.close()
        await rig.close()

    run(scenario())


def test_a_stop_with_open_sockets_leaves_none(run, rig):
    async def scenario():
        await rig.open()
        pairs = [await rig.connect() for _ in range(3)]
        await rig.close()
        assert not rig.turns.sockets and not rig.turns.clients
        assert all(connection.why is not None for _, connection in pairs)
        for client, _ in pairs:
            client.close()

    run(scenario())


def test_loopback_is_this_machine_in_either_family():
    assert is_loopback("127.0.0.1") and is_loopback("127.8.9.1") and is_loopback("::1")
    assert is_loopback("::ffff:127.0.0.1")
    assert not is_loopback("10.0.0.1") and not is_loopback("::2") and not is_loopback("128.0.0.1")
