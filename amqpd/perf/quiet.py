"""A crowd of quiet connections: small RPC clients, one server for them, and idle ones that listen.

    client ──request──► queue of requests ──► server ──reply──► the client's own queue ──► client

One thread serves all of them from one selector. A request is due at a fixed time; its latency
counts from that time, also when the reply before it was late, so a stall is seen by every request
that it held up. The listeners ask for heartbeats and note the longest silence of the broker.
"""

import heapq
import selectors
import struct
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from amqpd.perf.connection import BrokerError, Connection, describe
from amqpd.perf.encoding import (
    BODY,
    CORRELATION_ID,
    FRAME_OVERHEAD,
    HEADER,
    HEARTBEAT,
    HEARTBEAT_FRAME,
    METHOD,
    REPLY_TO,
    body_frames,
    frame,
    publish,
    shortstr,
    take_shortstr,
)
from amqpd.perf.target import Target

HEARTBEAT_S: Final = 2
LISTENERS: Final = 5
POLL_S: Final = 0.02
LAST_REPLIES_S: Final = 30.0
READ_BYTES: Final = 65536

_BODY: Final = bytes(64)
_PROPERTIES_AT: Final = 14


def request(queue: str, reply_to: str, correlation_id: str) -> bytes:
    """Build the frames of a request."""
    properties = shortstr(correlation_id) + shortstr(reply_to)
    head = struct.pack(">HHQH", 60, 0, len(_BODY), CORRELATION_ID | REPLY_TO)
    return publish(queue) + frame(HEADER, 1, head + properties) + body_frames(_BODY, 4096)


def reply_to_request(header: bytes) -> bytes:
    """Build the frames of the reply to a request with this content header."""
    correlation_id, at = take_shortstr(header, _PROPERTIES_AT)
    reply_to, _ = take_shortstr(header, at)
    head = struct.pack(">HHQH", 60, 0, len(_BODY), CORRELATION_ID)
    properties = shortstr(correlation_id)
    return publish(reply_to) + frame(HEADER, 1, head + properties) + body_frames(_BODY, 4096)


class DeliveryReader:
    """Cuts a stream of deliveries; heartbeats between them are skipped."""

    def __init__(self) -> None:
        self._pending = b""
        self._header = b""
        self._missing_bytes = 0

    def receive(self, data: bytes) -> list[bytes]:
        """Return the content header of each message whose body is complete now.

        Raises BrokerError at a method that is not basic.deliver.
        """
        self._pending += data
        found: list[bytes] = []
        at = 0
        while len(self._pending) - at >= FRAME_OVERHEAD:
            kind, _, length = struct.unpack_from(">BHI", self._pending, at)
            if len(self._pending) - at < length + FRAME_OVERHEAD:
                break
            payload = self._pending[at + 7 : at + 7 + length]
            at += length + FRAME_OVERHEAD
            if kind == METHOD and struct.unpack_from(">HH", payload) != (60, 60):
                raise BrokerError(describe(kind, payload))
            if kind == HEADER:
                self._header = payload
                (self._missing_bytes,) = struct.unpack_from(">Q", payload, 4)
            elif kind == BODY:
                self._missing_bytes -= length
            if kind in (HEADER, BODY) and self._missing_bytes == 0:
                found.append(self._header)
        self._pending = self._pending[at:]
        return found


@dataclass
class CrowdReport:
    """What the crowd saw: latencies of replies, requests without one, the broker's silence."""

    latencies_s: list[float] = field(default_factory=list)
    unanswered: int = 0
    longest_silence_s: float = 0.0


class Client:
    """One quiet connection with its own reply queue. `due` holds when its open requests were due.

    The first of them is under way, the others wait for its reply.
    """

    def __init__(self, target: Target, requests: str, replies: str) -> None:
        self.connection = Connection(target)
        self.connection.declare(replies)
        self.connection.consume(replies, "replies", no_ack=True)
        self.replies: Final = replies
        self.due: deque[float] = deque()
        self._requests: Final = requests
        self._reader = DeliveryReader()
        self._number = 0

    def ask(self, due: float) -> None:
        """Send a request, or keep it until the one before it is answered."""
        self.due.append(due)
        if len(self.due) == 1:
            self._send()

    def receive(self, data: bytes, report: CrowdReport) -> None:
        """Take the reply to the request under way, and send the next if it is due already."""
        for header in self._reader.receive(data):
            if take_shortstr(header, _PROPERTIES_AT)[0] != str(self._number) or not self.due:
                raise BrokerError("a quiet client got a reply to another request")
            report.latencies_s.append(time.perf_counter() - self.due.popleft())
            if self.due:
                self._send()

    def _send(self) -> None:
        self._number += 1
        frames = request(self._requests, self.replies, str(self._number))
        self.connection.socket.sendall(frames)


class Server:
    """Answers every request, in one write per read."""

    def __init__(self, target: Target, requests: str) -> None:
        self.connection = Connection(target)
        self.connection.consume(requests, "requests", no_ack=True)
        self._reader = DeliveryReader()

    def receive(self, data: bytes, report: CrowdReport) -> None:
        """Reply to the requests that are complete now."""
        replies = b"".join(map(reply_to_request, self._reader.receive(data)))
        if replies:
            self.connection.socket.sendall(replies)


class Listener:
    """A connection that does nothing but heartbeats, and notes how long the broker was silent."""

    def __init__(self, target: Target) -> None:
        self.connection = Connection(target, HEARTBEAT_S)
        self._heard = time.perf_counter()
        self._beaten = self._heard

    def begin(self) -> None:
        """Start counting the silence from now."""
        self._heard = time.perf_counter()

    def beat(self, now: float) -> None:
        """Send a heartbeat if one is due."""
        if now - self._beaten >= HEARTBEAT_S / 2:
            self._beaten = now
            self.connection.socket.sendall(HEARTBEAT_FRAME)

    def receive(self, data: bytes, report: CrowdReport) -> None:
        """Note the time. Raises BrokerError at anything but heartbeats."""
        if data[0] != HEARTBEAT:
            raise BrokerError("a listener got something that is no heartbeat")
        self.end(report)

    def end(self, report: CrowdReport) -> None:
        """Count the silence up to now."""
        now = time.perf_counter()
        report.longest_silence_s = max(report.longest_silence_s, now - self._heard)
        self._heard = now


Member = Client | Server | Listener


class Crowd:
    """All quiet connections. Use as a context manager: leaving it deletes the crowd's queues."""

    def __init__(self, target: Target, clients: int, interval_s: float, name: str) -> None:
        self._interval_s: Final = interval_s
        self._requests: Final = f"{name}-requests"
        self._control = Connection(target)
        self._control.declare(self._requests)
        self._clients = [
            Client(target, self._requests, f"{name}-replies-{k}") for k in range(clients)
        ]
        self._listeners = [Listener(target) for _ in range(LISTENERS)]
        self._members: list[Member] = [
            Server(target, self._requests),
            *self._clients,
            *self._listeners,
        ]
        self._selector = selectors.DefaultSelector()
        for member in self._members:
            self._selector.register(member.connection.socket, selectors.EVENT_READ, member)

    def __enter__(self) -> "Crowd":
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()
        for member in self._members:
            member.connection.close()
        try:
            for queue in [self._requests, *(client.replies for client in self._clients)]:
                self._control.delete(queue)
        except (BrokerError, OSError):
            pass  # the broker is gone; what ended the measurement is told already
        self._control.close()

    def run(self, is_over: Callable[[], bool]) -> CrowdReport:
        """Ask and answer until `is_over` says so, then wait for the replies under way.

        Raises BrokerError if the broker closes one of the connections.
        """
        report, now = CrowdReport(), time.perf_counter()
        step = self._interval_s / max(1, len(self._clients))
        agenda = [(now + k * step, k) for k in range(len(self._clients))]
        for listener in self._listeners:
            listener.begin()
        look_again = 0.0
        while now < look_again or not is_over():
            look_again = now + POLL_S if now >= look_again else look_again
            while agenda and agenda[0][0] <= now:
                due, k = agenda[0]
                self._clients[k].ask(due)
                heapq.heapreplace(agenda, (due + self._interval_s, k))
            self._turn(report, agenda[0][0] if agenda else now + POLL_S)
            now = time.perf_counter()
        for listener in self._listeners:
            listener.end(report)
        deadline = now + LAST_REPLIES_S
        while any(client.due for client in self._clients) and time.perf_counter() < deadline:
            self._turn(report, time.perf_counter() + POLL_S)
        report.unanswered = sum(len(client.due) for client in self._clients)
        return report

    def _turn(self, report: CrowdReport, until: float) -> None:
        """Wait for input, at most until then, and take it."""
        now = time.perf_counter()
        for listener in self._listeners:
            listener.beat(now)
        for key, _ in self._selector.select(min(POLL_S, max(0.0, until - now))):
            member: Member = key.data
            data = member.connection.socket.recv(READ_BYTES)
            if not data:
                raise BrokerError("the broker closed a quiet connection")
            member.receive(data, report)
