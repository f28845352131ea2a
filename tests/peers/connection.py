"""One client connection: frames to channels, the handshake in single steps, the end."""

import struct
from collections.abc import Mapping
from typing import Any, TypeVar

from pamqp import base, commands

from tests.peers import codec
from tests.peers.channel import Channel
from tests.peers.errors import ChannelClosed, ConnectionClosed, Disconnected, PeerError, Silence
from tests.peers.link import Link

M = TypeVar("M", bound=base.Frame)

CAPABILITIES = (
    "publisher_confirms",
    "exchange_exchange_bindings",
    "basic.nack",
    "consumer_cancel_notify",
    "connection.blocked",
    "authentication_failure_close",
    "per_consumer_qos",
)


class Connection:
    """A connection; `zero` is its channel 0, `channels` has those that were opened.

    `failure` is why nothing more will come: connection.close came, or the end of the stream.
    """

    def __init__(self, link: Link) -> None:
        self.link = link
        self.zero = Channel(self, 0)
        self.channels: dict[int, Channel] = {}
        self.failure: PeerError | None = None
        self.start: commands.Connection.Start
        self.tune: commands.Connection.Tune
        self.frame_max = 4096
        self.channel_max = 0
        self.heartbeat_count = 0
        self.answers_close = True  # False: leave close-ok to the scenario
        self._reader = codec.FrameReader()
        self._held: list[bytes] | None = None

    # -- handshake ---------------------------------------------------------------------------------

    def greet(self) -> "Connection":
        """Send the protocol header and take connection.start."""
        self.raw(codec.PROTOCOL_HEADER)
        self.start = self.zero.expect(commands.Connection.Start)
        return self

    def start_ok(
        self,
        user: str = "guest",
        password: str = "guest",
        *,
        mechanism: str = "PLAIN",
        response: bytes | None = None,
        capabilities: tuple[str, ...] = CAPABILITIES,
        properties: Mapping[str, Any] | None = None,
    ) -> None:
        """Send connection.start-ok; the response is made from user and password if not given."""
        if response is None and mechanism == "AMQPLAIN":
            response = codec.encode_table({"LOGIN": user, "PASSWORD": password})[4:]
        elif response is None:
            response = f"\0{user}\0{password}".encode()
        client = {
            "product": "amqpd's test client",
            "capabilities": {name: True for name in capabilities},
        }
        self.send(
            codec.make(
                commands.Connection.StartOk,
                client_properties=client | dict(properties or {}),
                mechanism=mechanism,
                response=response,
                locale="en_US",
            )
        )

    def log_in(self, user: str = "guest", password: str = "guest", **options: Any) -> "Connection":
        """Send start-ok and take connection.tune."""
        self.start_ok(user, password, **options)
        self.tune = self.zero.expect(commands.Connection.Tune)
        return self

    def tune_ok(
        self,
        channel_max: int | None = None,
        frame_max: int | None = None,
        heartbeat: int = 0,
    ) -> "Connection":
        """Send connection.tune-ok; None stands for what the broker proposed."""
        self.channel_max = self.tune.channel_max if channel_max is None else channel_max
        self.frame_max = self.tune.frame_max if frame_max is None else frame_max
        self.send(
            codec.make(
                commands.Connection.TuneOk,
                channel_max=self.channel_max,
                frame_max=self.frame_max,
                heartbeat=heartbeat,
            )
        )
        return self

    def open(self, vhost: str = "/") -> "Connection":
        """Send connection.open and take open-ok."""
        self.call(codec.make(commands.Connection.Open, virtual_host=vhost))
        return self

    # -- talking -----------------------------------------------------------------------------------

    def raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        if self._held is None:
            self.link.send(data)
        else:
            self._held.append(data)

    def send(self, method: base.Frame, channel: int = 0) -> None:
        """Send a method."""
        self.raw(codec.method_frame(channel, method))

    def call(self, method: base.Frame) -> Any:
        """Send a method on channel 0 and return its reply."""
        return self.zero.call(method)

    def expect(self, kind: type[M]) -> Any:
        """Return what comes next on channel 0, which must be of this kind."""
        return self.zero.expect(kind)

    def hold(self) -> None:
        """Collect what is sent from now on, to send it in one piece."""
        self._held = []

    def release(self) -> None:
        """Send what was collected."""
        held, self._held = self._held, None
        self.link.send(b"".join(held or []))

    def channel(self, number: int = 0) -> Channel:
        """Open a channel: this one, or the first that is free."""
        if number == 0:
            number = next(n for n in range(1, 65536) if n not in self.channels)
        channel = self.channels[number] = Channel(self, number)
        channel.call(commands.Channel.Open())
        return channel

    # -- the end -----------------------------------------------------------------------------------

    def close(self, code: int = 200, text: str = "OK") -> None:
        """Close politely. RabbitMQ leaves closing the socket to the client, so it is done here."""
        self.zero.call(codec.make(commands.Connection.Close, reply_code=code, reply_text=text))
        self.drop()

    def drop(self) -> None:
        """Close the socket without a word."""
        self.link.drop()
        self.failure = self.failure or Disconnected("dropped by the client")

    def expect_end(self) -> None:
        """Wait until the broker has closed the socket."""
        while self.link.receive(patient=True):
            pass

    def expect_close(self, patient: bool = False) -> None:
        """Wait for connection.close, or the end of the stream, and raise it."""
        while self.failure is None:
            self.receive(patient)
        raise self.failure

    def expect_silence(self) -> None:
        """Take all that has come; the broker has nothing more to say (memory and simulation)."""
        try:
            while True:
                self.receive()
        except Silence:
            pass

    # -- receiving ---------------------------------------------------------------------------------

    def receive(self, patient: bool = False) -> None:
        """Take one frame to where it belongs; wait for it if need be.

        Raises what is the matter if there can be no more frames.
        """
        if self.failure is not None:
            raise self.failure
        frame = self._reader.next()
        while frame is None:
            data = self.link.receive(patient)
            if not data:
                self.failure = Disconnected(f"after {self._reader.rest!r}")
                raise self.failure
            self._reader.feed(data)
            frame = self._reader.next()
        self._dispatch(frame)

    def _dispatch(self, frame: codec.Frame) -> None:
        if frame.kind == codec.HEARTBEAT:
            assert frame.channel == 0 and not frame.payload, frame
            self.heartbeat_count += 1
            return
        limit = max(self.frame_max, 4096) if self.frame_max else 0
        assert not limit or len(frame.payload) + codec.OVERHEAD <= limit, "frame over frame_max"
        if frame.channel == 0:
            self.zero.take_frame(frame)
            self._look_at_zero()
            return
        channel = self.channels.get(frame.channel)
        assert channel is not None, f"frame for channel {frame.channel}, which is not open: {frame}"
        channel.take_frame(frame)

    def _look_at_zero(self) -> None:
        last = self.zero.inbox[-1] if self.zero.inbox else None
        if isinstance(last, commands.Connection.Close):
            self.zero.inbox.pop()
            self.failure = ConnectionClosed(
                last.reply_code, last.reply_text, last.class_id, last.method_id
            )
            if self.answers_close:
                self.send(commands.Connection.CloseOk())

    def closed_channel(self, channel: Channel, close: commands.Channel.Close) -> None:
        """Take note that the broker closed a channel, and answer it."""
        channel.failure = ChannelClosed(
            close.reply_code, close.reply_text, close.class_id, close.method_id
        )
        if channel.answers_close:
            channel.confirm_close()


def method_payload(class_id: int, method_id: int, arguments: bytes = b"") -> bytes:
    """Return a method frame's payload that no method class stands for."""
    return struct.pack(">HH", class_id, method_id) + arguments
