"""What a broker may say to a client that says anything: well-formed, in order, documented codes.

Rule 1: whole frames of known types, methods that exist. Rule 2: after connection.close only
connection.close-ok, after that nothing; after channel.close on a channel only channel.close-ok
until it is opened anew. Rule 3: the codes of closes are those that clients know, their texts begin
with the code's name and fit a short string; 541 is for methods that do not exist. Rule 4: contents
come whole, as long as announced, in frames that the client has room for. Rule 5: delivery tags and
confirms of a channel grow.
"""

import struct

from pamqp import commands

from amqpd import errors
from amqpd.wire import methods, tables
from tests.peers import codec

CONNECTION_CODES = {320, 403, 501, 502, 503, 504, 505, 530, 540, 541}
CHANNEL_CODES = {403, 404, 405, 406}
CONTENT_METHODS = {
    commands.Basic.Deliver.index,
    commands.Basic.GetOk.index,
    commands.Basic.Return.index,
}
OPEN, CLOSING, GONE = "open", "closing", "gone"


class _Channel:
    """What a client knows about a channel from what the broker said on it."""

    def __init__(self) -> None:
        self.state = OPEN
        self.is_answered = False  # close-ok was sent, or is about to be
        self.content = False  # a content has begun
        self.missing = -1  # of its body; -1: the header is still to come
        self.last_tag = 0
        self.last_confirmed = 0
        self.delivered: list[int] = []  # tags that may still be acknowledged


class Listener:
    """Hears what the broker says to one client; asserts the rules of this module."""

    def __init__(self) -> None:
        self.closes: list[tuple[int, str]] = []  # code and text of each close that came
        self.heard_bytes = 0
        self.frame_max = 0  # of body frames; the owner sets it, 0 = no limit
        self._reader = codec.FrameReader()
        self._channels: dict[int, _Channel] = {}
        self._is_first = True
        self._is_over = False  # nothing may come any more
        self._was_closed = False  # connection.close was heard

    def closing(self) -> list[int]:
        """The channels that the broker closed and that wait for channel.close-ok."""
        return [
            number
            for number, channel in self._channels.items()
            if channel.state == CLOSING and not channel.is_answered
        ]

    def answered(self, number: int) -> None:
        """Learn that channel.close-ok was sent on a channel."""
        self._channels[number].is_answered = True

    def delivered(self) -> list[tuple[int, list[int]]]:
        """Each channel's delivery tags that came on it; the owner takes some to acknowledge."""
        return [
            (n, channel.delivered)
            for n, channel in self._channels.items()
            if channel.state == OPEN and channel.delivered
        ]

    @property
    def is_over(self) -> bool:
        """Whether the broker has closed the connection or let it be closed."""
        return self._is_over or self._was_closed

    def hear(self, data: bytes) -> None:
        """Take what the broker wrote."""
        if not data:
            return
        self.heard_bytes += len(data)
        assert not self._is_over, data
        if self._is_first and data[:4] == b"AMQP":
            assert data == codec.PROTOCOL_HEADER
            self._is_over = True
            return
        self._is_first = False
        self._reader.feed(data)
        while (frame := self._reader.next()) is not None:
            self._hear_frame(frame)
        assert self._reader.rest == b"", "half a frame"

    def _hear_frame(self, frame: codec.Frame) -> None:
        assert not self._is_over, frame
        if frame.kind == codec.HEARTBEAT:
            assert frame.channel == 0 and frame.payload == b"" and not self._was_closed
        elif frame.channel == 0:
            self._hear_zero(frame)
        else:
            assert not self._was_closed, frame
            self._hear_channel(frame)

    def _hear_zero(self, frame: codec.Frame) -> None:
        assert frame.kind == codec.METHOD
        index = methods.index_of(frame.payload)
        assert methods.is_known(index), frame
        if index == methods.CONNECTION_CLOSE_OK:
            self._is_over = True
            return
        assert not self._was_closed, frame
        if index == methods.CONNECTION_CLOSE:
            self._was_closed = True
            code, text = self._hear_close(frame.payload)
            assert code in CONNECTION_CODES, (code, text)
            assert code != 541 or text == "INTERNAL_ERROR", text
        else:
            assert index >> 16 == 10, frame

    def _hear_close(self, payload: bytes) -> tuple[int, str]:
        code, size = struct.unpack_from(">HB", payload, 4)
        text = payload[7 : 7 + size].decode("utf-8", "surrogateescape")
        class_id, method_id = struct.unpack(">HH", payload[7 + size :])
        index = class_id << 16 | method_id
        assert index == 0 or methods.is_known(index)
        assert text == errors.NAMES[code] or text.startswith(f"{errors.NAMES[code]} - "), text
        self.closes.append((code, text))
        return code, text

    def _hear_channel(self, frame: codec.Frame) -> None:
        channel = self._channels.get(frame.channel)
        if frame.kind != codec.METHOD:
            assert channel is not None and channel.state == OPEN and channel.content, frame
            self._hear_content(channel, frame)
            return
        index = methods.index_of(frame.payload)
        assert methods.is_known(index) or frame.payload == methods.ACCESS_REQUEST_OK, frame
        if index == commands.Channel.OpenOk.index:
            assert channel is None or channel.state != OPEN, frame
            self._channels[frame.channel] = _Channel()
            return
        assert channel is not None, frame
        assert not channel.content, f"a method within a content: {frame}"
        if index == methods.CHANNEL_CLOSE_OK:
            assert channel.state != GONE
            channel.state = GONE
            return
        assert channel.state == OPEN, frame
        if index == methods.CHANNEL_CLOSE:
            channel.state = CLOSING
            code, text = self._hear_close(frame.payload)
            assert code in CHANNEL_CODES, (code, text)
        else:
            self._hear_method(channel, index, frame.payload)

    def _hear_method(self, channel: _Channel, index: int, payload: bytes) -> None:
        if index in CONTENT_METHODS:
            channel.content = True
            channel.missing = -1
            if index != commands.Basic.Return.index:
                at = 4 if index == commands.Basic.GetOk.index else 5 + payload[4]
                (tag,) = struct.unpack_from(">Q", payload, at)
                assert tag == channel.last_tag + 1, (tag, channel.last_tag)
                channel.last_tag = tag
                channel.delivered.append(tag)
        elif index == methods.BASIC_ACK:
            (tag,) = struct.unpack_from(">Q", payload, 4)
            assert tag > channel.last_confirmed
            channel.last_confirmed = tag
        elif payload != methods.ACCESS_REQUEST_OK:
            method, _ = methods.decode(payload)
            assert index >> 16 != 10
            assert method.name not in ("Channel.Flow", "Basic.Publish", "Basic.Nack")

    def _hear_content(self, channel: _Channel, frame: codec.Frame) -> None:
        if frame.kind == codec.HEADER:
            assert channel.missing < 0, "two headers"
            head = codec.decode_header(frame.payload)
            channel.missing = head.body_bytes
            assert_properties(head.properties)
        else:
            limit = self.frame_max
            assert not limit or len(frame.payload) + codec.OVERHEAD <= limit
            assert 0 < len(frame.payload) <= channel.missing
            channel.missing -= len(frame.payload)
        if channel.missing == 0:
            channel.content = False


def assert_properties(data: bytes) -> None:
    """Assert that flags and values of a content header fill it, headers in a whole table."""
    (flags,) = struct.unpack_from(">H", data)
    assert flags & 1 == 0, "more flags than properties"
    kinds = "ssToossssLssss"  # of the properties, from the highest flag on
    at = 2
    for place, kind in enumerate(kinds):
        if flags & 0x8000 >> place:
            if kind == "T":
                assert tables.decode_table(data, at, len(data))
                at += 4 + int.from_bytes(data[at : at + 4], "big")
            elif kind == "s":
                at += 1 + data[at]
            else:
                at += 1 if kind == "o" else 8
    assert at == len(data), data
