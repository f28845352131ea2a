"""A client in one piece: says methods to a broker, and files what it hears."""

from collections import deque
from collections.abc import Callable
from typing import Any

from pamqp import commands

from amqpd.auth import Users
from amqpd.broker import Broker
from amqpd.core.ports import Journal, Log
from amqpd.limits import Limits
from amqpd.session.peer import Peer
from tests.peers import codec
from tests.peers.memory import SeededEntropy

FRAME_MAX = 131072
NOW_MS = 1_000_000
LIMITS = Limits(outbox_bytes=1 << 30, heartbeat_s=0)

Heard = Callable[..., None]


def make_broker(journal: Journal, log: Log) -> Broker:
    """Make a broker that a guest may use."""
    entropy = SeededEntropy()
    users = Users(entropy)
    users.add("guest", "secret")
    users.permit("guest", "/", ".*", ".*", ".*")
    return Broker(LIMITS, users, journal, entropy, NOW_MS, log)


class Client:
    """One connection. `expect` has, per channel, who takes the next reply."""

    def __init__(self, broker: Broker, channels: int = 5) -> None:
        self.broker = broker
        facts = Peer("127.0.0.1", 40000, "127.0.0.1", 5672, loopback=True)
        self.connection = broker.connected(facts, NOW_MS)
        self.expect: dict[int, deque[Heard]] = {n: deque() for n in range(channels + 1)}
        self.on_delivery: Heard = lambda channel, method, head, body: None
        self.on_confirm: Heard = lambda method: None
        self.closed: Any = None  # the close that the broker sent
        self._reader = codec.FrameReader()
        self._content: dict[int, list[Any]] = {}
        start = codec.make(
            commands.Connection.StartOk,
            client_properties={},
            mechanism="PLAIN",
            response="\0guest\0secret",
        )
        tune = codec.make(
            commands.Connection.TuneOk, channel_max=2047, frame_max=FRAME_MAX, heartbeat=0
        )
        opening = codec.make(commands.Connection.Open, virtual_host="/")
        self._receive(
            codec.PROTOCOL_HEADER
            + b"".join(codec.method_frame(0, method) for method in (start, tune, opening))
            + b"".join(
                codec.method_frame(n, commands.Channel.Open()) for n in range(1, channels + 1)
            )
        )

    def _receive(self, data: bytes) -> None:
        self.broker.receive(self.connection, data, NOW_MS)
        self.hear()

    def say(self, channel: int, kind: Any, heard: Heard | None = None, **fields: Any) -> None:
        """Send a method, and hear what the broker says at once; `heard` takes the reply."""
        if heard is not None:
            self.expect[channel].append(heard)
        self._receive(codec.method_frame(channel, codec.make(kind, **fields)))

    def publish(self, channel: int, exchange: str, key: str, head: bytes, body: bytes) -> None:
        """Send a message."""
        method = codec.make(commands.Basic.Publish, exchange=exchange, routing_key=key)
        self._receive(
            codec.method_frame(channel, method)
            + codec.content_frames(channel, head, body, FRAME_MAX)
        )

    def hear(self) -> None:
        """End the turn, and file what came."""
        while True:
            self.broker.end_turn(NOW_MS)
            self.broker.take_dirty()
            data = self.connection.take()
            if not data and not self.connection.wants_turn:
                return
            self._reader.feed(data)
            while (frame := self._reader.next()) is not None:
                self._file(frame)
            if self.connection.wants_turn:
                self.broker.writable(self.connection, NOW_MS)

    def _file(self, frame: codec.Frame) -> None:
        if frame.kind == codec.METHOD:
            method = codec.decode_method(frame.payload)
            if method.name in ("Basic.Deliver", "Basic.GetOk"):
                self._content[frame.channel] = [method]
            else:
                self._file_method(frame.channel, method)
            return
        content = self._content[frame.channel]
        if frame.kind == codec.HEADER:
            header = codec.decode_header(frame.payload)
            content += [header, bytearray()]
        else:
            content[2] += frame.payload
        if len(content[2]) == content[1].body_bytes:
            method, header, body = self._content.pop(frame.channel)
            if method.name == "Basic.GetOk":
                heard = self.expect[frame.channel].popleft()
                heard(frame.channel, method, header.properties, bytes(body))
            else:
                self.on_delivery(frame.channel, method, header.properties, bytes(body))

    def _file_method(self, channel: int, method: Any) -> None:
        if method.name in ("Channel.Close", "Connection.Close"):
            self.closed = method
        elif method.name == "Basic.Ack":
            self.on_confirm(method)
        elif method.name == "Basic.GetEmpty":
            self.expect[channel].popleft()(channel, method, b"", b"")
        elif method.name.endswith("Ok") and self.expect[channel]:
            self.expect[channel].popleft()(method)
