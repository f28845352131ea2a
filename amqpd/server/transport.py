"""Sockets and the broker, joined: what comes in, when output leaves, when a deadline is due.

A *turn* is what one iteration of the event loop does: every socket that has bytes hands them to the
broker as they are, and one flush after all of them collects what the broker has to say. So a
client that sends a thousand messages in one write is answered with one write.

Rules:
1. `ClientSocket.data_received` does nothing per message, copies nothing and logs nothing.
2. The broker is called from here only, and never from within itself: what it does in answer to a
   flush (a consumer that is writable again, say) goes out with the next turn.
3. A client is *attached* while the broker knows its connection, and *detached* from the moment at
   which its end has begun; then it only empties its buffer, for a bounded time.
4. Whatever calls the broker asks for a turn afterwards.
5. A client that sends a lot is read once in a turn, and then waits a few turns for consumers that
   could take more than they got (`rest`): the queues between them stay short.
"""

import asyncio
import socket
import struct
import traceback
from collections.abc import Callable
from time import monotonic_ns
from typing import Final, cast

from amqpd.broker import Broker
from amqpd.core.ports import Log
from amqpd.server.clock import NS_PER_MS, now_ms
from amqpd.server.flusher import Flusher
from amqpd.server.settings import SocketSettings, TlsSettings
from amqpd.server.startup import reason
from amqpd.server.tls import certificate_login
from amqpd.session.connection import Connection
from amqpd.session.peer import Peer

RESET_AT_CLOSE: Final = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: nothing stays in the kernel
# A read of so many bytes is its sender's share of a turn. A full one has 256,000 bytes in uvloop,
# 256 KiB in asyncio, and libuv would do up to 32 of them in one iteration: more output than a turn
# may have, so queues would grow for nothing (measured: 1 GB against 30 MB).
TURN_READ_BYTES: Final = 128 * 1024
# Turns that a flooding publisher may have to wait for consumers that could take more at once.
REST_TURNS_MAX: Final = 4
GONE: Final = "client unexpectedly closed TCP connection"  # RabbitMQ's words


class Turns:
    """Ends each iteration of the loop: flushes clients, keeps the broker's deadline, counts.

    `clients` has the attached sockets by their connection, `sockets` has every open one.
    """

    def __init__(
        self, broker: Broker, loop: asyncio.AbstractEventLoop, sockets: SocketSettings, log: Log
    ) -> None:
        self.broker: Final = broker
        self.loop: Final = loop
        self.settings: Final = sockets
        self.log: Final = log
        self.clients: dict[Connection, ClientSocket] = {}
        self.sockets: set[ClientSocket] = set()
        self.received_bytes = 0
        self.turn_count = 0
        self.longest_ns = 0
        self._began_ns = 0
        self._scheduled = False
        self._rest_turns = 0
        self._rested: list[ClientSocket] = []
        self._again: list[ClientSocket] = []
        self._ended: list[ClientSocket] = []
        self._deadline_ms = -1
        self._timer: asyncio.TimerHandle | None = None
        self._emptied: asyncio.Future[None] | None = None
        self.flusher: Flusher | None = None
        self._watch: Callable[[], None] | None = None
        self._watch_bytes = 0
        self._watch_at = 0

    @property
    def longest_ms(self) -> int:
        """How long the longest turn took so far: the most that a client had to wait for others."""
        return self.longest_ns // NS_PER_MS

    def schedule(self) -> None:
        """Ask for a flush at the end of this iteration of the loop."""
        if not self._scheduled:
            self._scheduled = True
            self._began_ns = monotonic_ns()
            self.loop.call_soon(self._run)

    def watch(self, callback: Callable[[], None], every_bytes: int) -> None:
        """Have `callback` called each time that so many bytes more have been received."""
        self._watch = callback
        self._watch_bytes = every_bytes
        self._watch_at = self.received_bytes + every_bytes

    def set_alarm(self, resource: str, raised: bool) -> None:
        """Pass on that "memory" or "disk" is short, or no longer."""
        self.broker.set_alarm(resource, raised, now_ms())
        self.schedule()

    def shut_down(self) -> None:
        """Have every client told to close, because the server stops."""
        self.broker.shut_down(now_ms())
        self.schedule()

    def abort(self) -> None:
        """Cut every socket that is still open."""
        for client in list(self.sockets):
            client.abort()

    def stop(self) -> None:
        """Set no more timers; the sockets are gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def emptied(self) -> None:
        """Return when no socket is open any more."""
        if self.sockets:
            self._emptied = self.loop.create_future()
            await self._emptied

    def rest(self, client: "ClientSocket") -> None:
        """Let the client, which has had its share of this turn, be read again in the next."""
        self._rested.append(client)

    def again(self, client: "ClientSocket") -> None:
        """Let the client's connection go on delivering in the next iteration."""
        self._again.append(client)

    def end(self, client: "ClientSocket") -> None:
        """The peer has closed its side: answer what it asked before, then end the client."""
        self._ended.append(client)
        self.schedule()

    def lost(self, client: "ClientSocket") -> None:
        """Forget a client whose socket is closed."""
        self.sockets.discard(client)
        if not self.sockets and self._emptied is not None and not self._emptied.done():
            self._emptied.set_result(None)

    def _run(self) -> None:
        self._scheduled = False
        now = now_ms()
        broker = self.broker
        if self._again:
            waiting, self._again = self._again, []
            for client in waiting:
                client.go_on(now)
        broker.end_turn(now)
        self._flush()
        if self.flusher is not None and self.flusher.kick():
            self._flush()
        if self._rested and (not self._again or self._rest_turns >= REST_TURNS_MAX):
            self._rest_turns = 0
            rested, self._rested = self._rested, []
            for client in rested:
                client.wake()
        elif self._rested:
            self._rest_turns += 1
        if self._ended:
            ended, self._ended = self._ended, []
            for client in ended:
                client.finish(GONE)
        if self._watch is not None and self.received_bytes >= self._watch_at:
            self._watch_at = self.received_bytes + self._watch_bytes
            self._watch()
        self._keep_deadline()
        self.turn_count += 1
        took_ns = monotonic_ns() - self._began_ns
        if took_ns > self.longest_ns:
            self.longest_ns = took_ns

    def _flush(self) -> None:
        """Let every client write what the broker has for it."""
        for connection in self.broker.take_dirty():
            attached = self.clients.get(connection)
            if attached is not None:
                try:
                    attached.flush(connection)
                except Exception as error:  # of this one; the others still get theirs
                    self._complain(error)
                    attached.abort()

    def _complain(self, error: Exception) -> None:
        trace = "".join(traceback.format_exception(error))
        self.log.event("error", "cannot write to a connection", {"trace": trace})

    def _keep_deadline(self) -> None:
        """Have the timer fire no later than the broker's next deadline.

        A timer that fires too early costs nothing, so one that is set is moved forward only.
        """
        deadline = self.broker.next_deadline_ms()
        if deadline < 0 or (self._timer is not None and self._deadline_ms <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._deadline_ms = deadline
        self._timer = self.loop.call_later(max(deadline - now_ms(), 1) / 1000, self._due)

    def _due(self) -> None:
        self._timer = None
        self.broker.due(now_ms())
        self.schedule()


class ClientSocket(asyncio.Protocol):
    """One client's socket.

    `_connection` is the broker's side of it while the client is attached, None before and after.
    """

    def __init__(self, turns: Turns, tls: TlsSettings | None) -> None:
        self._turns: Final = turns
        self._tls: Final = tls
        self._transport: asyncio.Transport  # from connection_made on
        self._connection: Connection | None = None
        self._congested = False  # the buffer is over its high-water mark
        self._held = False  # not read because it does not read
        self._reading = True  # as the broker wants it
        self._resting = False  # has had its share of this turn
        self._peer_ended = False
        self._timer: asyncio.TimerHandle | None = None

    # 1. receive

    def connection_made(self, base: asyncio.BaseTransport) -> None:
        """Introduce the peer to the broker; one that is gone already is never heard of."""
        transport = cast(asyncio.Transport, base)  # uvloop's are, but do not inherit from it
        turns = self._turns
        turns.sockets.add(self)
        self._transport = transport
        peer = transport.get_extra_info("peername")
        own = transport.get_extra_info("sockname")
        if not peer or not own:
            self.abort()
            return
        settings = turns.settings
        if not settings.nodelay:  # the loops set it on every socket
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
        transport.set_write_buffer_limits(settings.write_high_bytes, settings.write_low_bytes)
        name = ""
        if self._tls is not None:
            name = certificate_login(transport.get_extra_info("peercert"), self._tls)
        facts = Peer(
            peer[0],
            peer[1],
            own[0],
            own[1],
            loopback=is_loopback(peer[0]),
            tls=self._tls is not None,
            certificate_name=name,
        )
        connection = turns.broker.connected(facts, now_ms())
        self._connection = connection
        turns.clients[connection] = self
        turns.schedule()

    def data_received(self, data: bytes) -> None:
        """Hand on what was read, as it is; what comes after the end is discarded."""
        connection = self._connection
        if connection is not None:
            turns = self._turns
            turns.received_bytes += len(data)
            turns.broker.receive(connection, data, now_ms())
            turns.schedule()
            if len(data) >= TURN_READ_BYTES and self._reading:
                self._transport.pause_reading()
                self._resting = True
                turns.rest(self)

    def eof_received(self) -> bool:
        """The peer has closed its side. Returns whether ours stays open for this turn's output."""
        self._peer_ended = True
        if self._connection is None or self._tls is not None:
            return False
        self._turns.end(self)
        return True

    def pause_writing(self) -> None:
        """The buffer is over its high-water mark: no more deliveries."""
        self._congested = True
        if self._connection is not None:
            self._turns.broker.congested(self._connection)

    def resume_writing(self) -> None:
        """The buffer has drained."""
        self._congested = False
        self._held = False
        connection = self._connection
        if connection is not None:
            self._keep_reading(connection)
            self._turns.broker.writable(connection, now_ms())
            self._turns.schedule()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed, by whichever side."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._turns.lost(self)
        self._detach(reason(exc) if isinstance(exc, OSError) else GONE)

    # 2. command

    def go_on(self, now: int) -> None:
        """Have the broker deliver more, after a dispatch that stopped at its bound."""
        if self._connection is not None and not self._congested:
            self._turns.broker.writable(self._connection, now)

    def wake(self) -> None:
        """Read on in the new turn."""
        self._resting = False
        if self._reading and not self._transport.is_closing():
            self._transport.resume_reading()

    def flush(self, connection: Connection) -> None:
        """Write what the broker has for the peer, and do what it wants done with the socket."""
        transport = self._transport
        data = connection.take()
        if data:
            transport.write(data)
        if connection.close_socket:
            self.finish("")
            return
        if self._congested:
            self._held = transport.get_write_buffer_size() > self._turns.settings.write_held_bytes
        elif connection.wants_turn:
            self._turns.again(self)
            self._turns.schedule()
        if connection.reading is not self._reading or self._held:
            self._keep_reading(connection)

    def finish(self, why: str) -> None:
        """End the client: let the last bytes go out, then close, both within bounds.

        On plain TCP our side is closed first and the peer is read, and not heard, until it closes
        its own: closing a socket that has unread bytes sends a reset, which can overtake the
        reply that says what was wrong.
        """
        transport = self._transport
        if not self._detach(why):
            return
        settings = self._turns.settings
        drained = transport.get_write_buffer_size() == 0
        bound_ms = settings.linger_ms if drained else settings.drain_ms
        if self._peer_ended or self._tls is not None:
            transport.close()
        else:
            try:
                transport.resume_reading()
                transport.write_eof()
            except OSError:  # reset meanwhile
                self.abort()
                return
        self._timer = self._turns.loop.call_later(bound_ms / 1000, self.abort)

    def abort(self) -> None:
        """Cut the socket; bytes not sent are lost."""
        transport = self._transport
        try:
            transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE
            )
        except OSError:  # closed meanwhile
            pass
        transport.abort()

    # 3. private

    def _detach(self, why: str) -> bool:
        """Take leave of the broker. Returns False if that was done before."""
        connection = self._connection
        if connection is None:
            return False
        self._connection = None
        turns = self._turns
        del turns.clients[connection]
        turns.broker.closed(connection, now_ms(), why)
        turns.schedule()
        return True

    def _keep_reading(self, connection: Connection) -> None:
        """Read the socket, or leave it, as the broker and a peer that never reads demand."""
        reading = connection.reading and not self._held
        transport = self._transport
        if reading is self._reading or transport.is_closing():
            return
        self._reading = reading
        if reading:
            transport.resume_reading()
        else:
            transport.pause_reading()


def is_loopback(host: str) -> bool:
    """Whether an address, in numbers, is this machine's own."""
    return host == "::1" or host.startswith(("127.", "::ffff:127."))
