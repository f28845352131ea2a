"""A conversation that only takes note of what it is asked to do, and ways to talk to it."""

from typing import Any

from pamqp import base, commands

from amqpd import errors
from amqpd.errors import AmqpError, SoftError
from amqpd.protocol import connection as states
from amqpd.protocol.channel import ChannelConversation
from amqpd.protocol.connection import Conversation
from amqpd.wire import methods
from tests.peers import codec

START_OK = codec.method_frame(0, commands.Connection.StartOk())
TUNE_OK = codec.method_frame(0, commands.Connection.TuneOk(10, 4096, 0))
OPEN = codec.method_frame(0, commands.Connection.Open())
UPDATE_SECRET = codec.method_frame(0, codec.make(commands.Connection.UpdateSecret))
CLOSE = codec.method_frame(0, commands.Connection.Close(200, "bye", 0, 0))
CLOSE_OK = codec.method_frame(0, commands.Connection.CloseOk())

# What brings a conversation into each state, from the first octet on.
WAY_TO = {
    states.AWAITING_HEADER: b"",
    states.STARTING: codec.PROTOCOL_HEADER,
    states.TUNING: codec.PROTOCOL_HEADER + START_OK,
    states.OPENING: codec.PROTOCOL_HEADER + START_OK + TUNE_OK,
    states.RUNNING: codec.PROTOCOL_HEADER + START_OK + TUNE_OK + OPEN,
}

FRAME_MAX = 4096
CHANNEL_OPEN = commands.Channel.Open()

# Methods that the recording channel fails at; all others it takes note of.
SOFT = commands.Tx.Commit()
HARD = commands.Tx.Select()

# The beginning of a frame that means nothing in any state, as long as its end does not come.
HALF_A_FRAME = b"\x01\x00\x09\x00\x00"

WAYS = ("whole", "byte by byte", "with a tail")


class RecordingChannel(ChannelConversation):
    """Notes its commands in the connection's `events`."""

    def __init__(self, number: int, events: list[tuple[Any, ...]]) -> None:
        super().__init__(number)
        self.events = events
        self.body_bytes_max = 1 << 20

    def on_publish(
        self, publish: bytes, content: bytes, header_bytes: int, body_bytes: int, frame_bytes: int
    ) -> None:
        """See ChannelConversation: what came in one piece has not been looked at yet."""
        methods.decode_publish(publish)
        self.on_content_size(body_bytes)
        sizes = (header_bytes, body_bytes, frame_bytes)
        self.events.append(("publish", self.number, publish, content, sizes))

    def on_ack(self, tag: int, multiple: bool) -> None:
        """See ChannelConversation."""
        self.events.append(("ack", self.number, tag, multiple))

    def on_method(self, index: int, payload: bytes) -> None:
        """See ChannelConversation."""
        if index == SOFT.index:
            raise errors.not_transactional()
        if index == HARD.index:
            raise errors.not_implemented("hard")
        self.events.append(("method", self.number, methods.name_of(index), payload))

    def on_content_size(self, body_bytes: int) -> None:
        """See ChannelConversation."""
        if body_bytes > self.body_bytes_max:
            raise errors.message_too_large(body_bytes, self.body_bytes_max)


class Recorder(Conversation):
    """Notes what it is asked to do in `events`, and says yes to every step of the handshake."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[Any, ...]] = []
        self.refuses_channels = False
        self.refusal: AmqpError | None = None  # raised at every method of channel 0

    def on_protocol_header(self) -> None:
        """See Conversation."""
        self.events.append(("header",))

    def on_connection_method(self, index: int, payload: bytes) -> None:
        """See Conversation."""
        self.events.append(("connection", methods.name_of(index), payload))
        if self.refusal is not None:
            raise self.refusal
        if index == methods.CONNECTION_TUNE_OK:
            self.frame_max = FRAME_MAX
        if self.state < states.RUNNING:
            self.state += 1

    def on_channel_open(self, number: int) -> ChannelConversation:
        """See Conversation."""
        if self.refuses_channels:
            raise errors.too_many_channels(len(self.channels), 1)
        self.events.append(("open", number))
        return RecordingChannel(number, self.events)

    def on_channel_end(self, channel: ChannelConversation) -> None:
        """See Conversation."""
        self.events.append(("channel end", channel.number))

    def on_channel_error(self, channel: ChannelConversation, error: SoftError) -> None:
        """See Conversation."""
        self.events.append(("channel error", channel.number, error.code))

    def on_end(self, error: AmqpError | None) -> None:
        """See Conversation."""
        self.events.append(("end", None if error is None else error.text))

    def on_wait(self, state: int, silent: bool) -> None:
        """See Conversation."""
        self.events.append(("wait", states.STATE_NAMES[state], silent))

    def take(self) -> list[Any]:
        """Return the frames that were sent since the last call, methods decoded."""
        reader = codec.FrameReader()
        reader.feed(self.outbox.getvalue())
        self.outbox = type(self.outbox)()
        frames = []
        while (frame := reader.next()) is not None:
            assert frame.kind == codec.METHOD
            frames.append((frame.channel, *described(codec.decode_method(frame.payload))))
        assert reader.rest == b""
        return frames

    def news(self) -> list[tuple[Any, ...]]:
        """Return what was noted since the last call."""
        events, self.events[:] = list(self.events), []
        return events


def described(method: base.Frame) -> tuple[Any, ...]:
    """Return name and fields of a method, in order."""
    return (method.name, *dict(method).values())


def recorder(state: int = states.RUNNING, *channels: int) -> Recorder:
    """Return a recorder in this state, with these channels open and nothing noted."""
    made = Recorder()
    made.receive_bytes(WAY_TO[state])
    for number in channels:
        made.receive_bytes(codec.method_frame(number, CHANNEL_OPEN))
    assert made.state == state
    made.take()
    made.news()
    return made


def say(conversation: Conversation, data: bytes, way: str) -> None:
    """Let bytes come whole, byte by byte, or followed by a part of a frame."""
    if way == "byte by byte":
        for octet in data:
            conversation.receive_bytes(bytes((octet,)))
    elif way == "with a tail":
        conversation.receive_bytes(data + HALF_A_FRAME)
    else:
        conversation.receive_bytes(data)


def header(channel: int, body_bytes: int, properties: bytes = b"\0\0") -> bytes:
    """Encode a content header frame."""
    return codec.frame(codec.HEADER, channel, codec.encode_header(properties, body_bytes))


def body(channel: int, data: bytes) -> bytes:
    """Encode a body frame."""
    return codec.frame(codec.BODY, channel, data)


def publish(channel: int, exchange: str = "exchange", routing_key: str = "key") -> bytes:
    """Encode a basic.publish frame."""
    method = codec.make(commands.Basic.Publish, exchange=exchange, routing_key=routing_key)
    return codec.method_frame(channel, method)


def method(channel: int, command: base.Frame) -> bytes:
    """Encode a method frame."""
    return codec.method_frame(channel, command)
