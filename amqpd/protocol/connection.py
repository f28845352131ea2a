"""One connection's conversation: states, frame-level rules, and the loop that cuts the stream.

| state | meaning | left by |
|---|---|---|
| AWAITING_HEADER | nothing valid has come | the protocol header → STARTING |
| STARTING | connection.start was sent | start-ok → TUNING |
| TUNING | credentials were good, connection.tune was sent | tune-ok → OPENING |
| OPENING | waiting for connection.open | open → RUNNING |
| RUNNING | open-ok was sent; channels exist only here | close, either way |
| CLOSING | we sent connection.close; all but close and close-ok is discarded | close-ok, close |
| DISCARDING | whatever comes is discarded unread; the socket closes after a delay | time |
| CLOSED | nothing more is said; the socket is to be closed | - |

The state table `_ALLOWED` says which method of channel 0 may come in which state; what is not in
it is answered 504 (RabbitMQ: `unexpected method in connection state`). Errors before TUNING are not
told to the peer: the socket closes after a delay (RabbitMQ: silent close).

A whole basic.publish that lies in one read with its header and its one body frame takes a short
way: one slice for its method, one for its content, no copy of anything else.
"""

from typing import Final

from librt.strings import BytesWriter, read_i32_be, read_i64_be
from mypy_extensions import i64, mypyc_attr

from amqpd import errors
from amqpd.errors import AmqpError, FrameError, Refused, SoftError, StreamError
from amqpd.limits import FRAME_MIN_BYTES
from amqpd.protocol.channel import CLOSED as CHANNEL_CLOSED
from amqpd.protocol.channel import CLOSING as CHANNEL_CLOSING
from amqpd.protocol.channel import OPEN as CHANNEL_OPEN
from amqpd.protocol.channel import ChannelConversation, check_room
from amqpd.wire import methods
from amqpd.wire.frames import (
    BODY,
    CLASS_WEIGHT,
    FRAME_END,
    FRAME_OVERHEAD,
    HEADER,
    HEADER_BYTES_MIN,
    HEARTBEAT,
    METHOD,
    PROTOCOL_HEADER,
    PROTOCOL_HEADER_0_9,
    write_method,
)

AWAITING_HEADER: Final = 0
STARTING: Final = 1
TUNING: Final = 2
OPENING: Final = 3
RUNNING: Final = 4
CLOSING: Final = 5
DISCARDING: Final = 6
CLOSED: Final = 7

STATE_NAMES: Final = (
    "pre_init",
    "starting",
    "tuning",
    "opening",
    "running",
    "closing",
    "closed",
    "closed",
)

_ALLOWED: Final = {
    methods.CONNECTION_START_OK: STARTING,
    methods.CONNECTION_TUNE_OK: TUNING,
    methods.CONNECTION_OPEN: OPENING,
    methods.CONNECTION_UPDATE_SECRET: RUNNING,
}

_CLOSE_OK: Final = b"\x00\x0a\x00\x33"
_CHANNEL_CLOSE_OK: Final = b"\x00\x14\x00\x29"
_CHANNEL_OPEN_OK: Final = b"\x00\x14\x00\x0b\x00\x00\x00\x00"


@mypyc_attr(allow_interpreted_subclasses=True)
class Conversation:
    """A connection as the bytes see it; a subclass gives the methods their meaning."""

    def __init__(self) -> None:
        self.state = AWAITING_HEADER
        self.outbox = BytesWriter()
        self.channels: dict[int, ChannelConversation] = {}
        self.frame_max = FRAME_MIN_BYTES  # of the peer's frames; 0 = no limit
        self.channel_max = 0
        self.received_bytes = 0
        self.close_socket = False
        self._rest = b""  # what one read left of a frame of which the end has not come,
        self._pile: BytesWriter | None = None  # and more of it, while that is not enough
        self._lacking: i64 = 0  # octets to its end (0 = not known)
        self._next: i64 = 0  # where to go on after an error
        self._number = 0  # of the channel whose frame is being handled
        self._index = 0  # of the method being handled, unless an open channel knows it

    # -- what a subclass does ---------------------------------------------------------------------

    def on_protocol_header(self) -> None:
        """The protocol header was right: send connection.start."""
        raise NotImplementedError

    def on_connection_method(self, index: int, payload: bytes) -> None:
        """Carry out a method of channel 0 that the state table allows."""
        raise NotImplementedError

    def on_channel_open(self, number: int) -> ChannelConversation:
        """Make a channel; raise HardError if there may be no more."""
        raise NotImplementedError

    def on_channel_end(self, channel: ChannelConversation) -> None:
        """Let go of all that a channel has, because it closes by either side."""
        raise NotImplementedError

    def on_channel_error(self, channel: ChannelConversation, error: SoftError) -> None:
        """Take note of an error that closes a channel."""
        raise NotImplementedError

    def send_on(self, channel: ChannelConversation, payload: bytes) -> None:
        """Send a method that begins or ends a channel, behind all that was said on its number."""
        write_method(self.outbox, channel.number, payload)

    def on_end(self, error: AmqpError | None) -> None:
        """Let go of all that the connection has: the peer closed it, or `error` does."""
        raise NotImplementedError

    def on_wait(self, state: int, silent: bool) -> None:
        """Bound the time until the socket is closed, in CLOSING or DISCARDING."""
        raise NotImplementedError

    # -- receive ----------------------------------------------------------------------------------

    def receive_bytes(self, data: bytes) -> None:
        """Take bytes from the peer; every error that a peer can cause is dealt with here."""
        self.received_bytes += len(data)
        if self.state >= DISCARDING:
            return
        if self._rest:
            if len(data) < self._lacking:
                self._pile_up(data)
                return
            data = self._take_rest() + data
        if self.state == AWAITING_HEADER:
            data = self._take_protocol_header(data)
        self._next = 0
        while self.state < DISCARDING and data:
            try:
                self._frames(data)
                return
            except AmqpError as error:
                self._answer(error)

    def _take_protocol_header(self, data: bytes) -> bytes:
        """Look at the first octets. Returns what follows the header, b"" if it is not whole.

        What cannot be the beginning of a right header is answered with the server's own at once
        (spec 4.2.2), and the socket closes.
        """
        header = data[:8]
        if header == PROTOCOL_HEADER or header == PROTOCOL_HEADER_0_9:
            self.state = STARTING
            self.on_protocol_header()
            return data[8:]
        if len(header) < 8:
            self._rest = data
            return b""
        self.outbox.write(PROTOCOL_HEADER)
        self.state = CLOSED
        self.close_socket = True
        self.on_end(None)
        return b""

    def _frames(self, data: bytes) -> None:
        """Cut frames from `data` at `_next` on and handle them; keep an unfinished one.

        Raises what the frames lead to; `_next` is then behind the frame that did it.
        """
        at = self._next
        end: i64 = len(data)
        while end - at >= FRAME_OVERHEAD:
            size: int = read_i32_be(data, at + 3)
            stop: i64 = at + 7 + size  # of the end octet
            if stop >= end or size < 0:
                break
            self._next = stop + 1
            kind = data[at]
            if data[stop] != FRAME_END or (size > self.frame_max and self.frame_max):
                self._check_size(kind, size)
                raise errors.frame_error(
                    f"{errors.frame_octets(kind, data[at + 7 : stop])}:"
                    f" {{invalid_frame_end_marker,{data[stop]}}}"
                )
            number = data[at + 1] << 8 | data[at + 2]
            self._number = number
            channel = self.channels.get(number) if number else None
            if channel is None or channel.state != CHANNEL_OPEN or self.state != RUNNING:
                self._receive_elsewhere(kind, number, channel, data[at : stop + 1])
            elif kind == METHOD and size >= 9:
                index: int = read_i32_be(data, at + 7)
                if index == methods.BASIC_PUBLISH:
                    if not self._short_publish(channel, data, at, stop, end):
                        channel.receive(METHOD, data[at : stop + 1])
                elif (
                    index == methods.BASIC_ACK
                    and size == 13
                    and data[at + 11] < 128  # no tag of ours has its highest bit set
                    and channel.expects_method
                ):
                    channel.index = methods.BASIC_ACK
                    channel.on_ack(read_i64_be(data, at + 11), data[at + 19] & 1 != 0)
                else:
                    channel.receive(METHOD, data[at : stop + 1])
            elif kind == METHOD or kind == HEADER or kind == BODY:
                channel.receive(kind, data[at : stop + 1])
            else:
                self._refuse_kind(kind, number, data[at : stop + 1])
            if self.state >= DISCARDING:
                return
            at = self._next
        if at < end:
            self._keep_rest(data, at)

    def _keep_rest(self, data: bytes, at: i64) -> None:
        """Keep the frame that begins at `at` until its end comes. Raises StreamError 501."""
        here: i64 = len(data) - at
        self._lacking = 0
        if here >= FRAME_OVERHEAD - 1:  # its size is there
            size: int = read_i32_be(data, at + 3)
            self._check_size(data[at], size)
            self._lacking = size + FRAME_OVERHEAD - here
        self._rest = data[at:] if at else data

    def _pile_up(self, data: bytes) -> None:
        """Keep a read that does not end the frame; not joined each time, or it would be O(n²)."""
        if self._pile is None:
            self._pile = BytesWriter()
            self._pile.write(self._rest)
        self._pile.write(data)
        self._lacking -= len(data)

    def _take_rest(self) -> bytes:
        """Return what was kept of an unfinished frame, and forget it."""
        rest = self._rest if self._pile is None else self._pile.getvalue()
        self._rest = b""
        self._pile = None
        return rest

    def _short_publish(
        self, channel: ChannelConversation, data: bytes, at: i64, stop: i64, end: i64
    ) -> bool:
        """Carry out a basic.publish whose content lies behind it: one header, one body at most.

        `at` is where its frame begins, `stop` its end octet, `end` the length of `data`. Returns
        False, having done nothing, if anything about it is not as usual; the long way decides.
        """
        head = stop + 1
        if end - head < HEADER_BYTES_MIN + FRAME_OVERHEAD or not channel.expects_method:
            return False
        high, low = data[at + 1], data[at + 2]
        size: int = read_i32_be(data, head + 3)
        body: i64 = head + size + FRAME_OVERHEAD
        if (
            data[head] != HEADER
            or data[head + 1] != high
            or data[head + 2] != low
            or size < HEADER_BYTES_MIN
            or body > end
            or data[body - 1] != FRAME_END
            or read_i32_be(data, head + 7) != CLASS_WEIGHT
            or (size > self.frame_max and self.frame_max)
        ):
            return False
        body_bytes: i64 = read_i64_be(data, head + 11)
        done = body
        if body_bytes:
            done = body + body_bytes + FRAME_OVERHEAD
            if (
                body_bytes < 0
                or body_bytes > 0x7FFFFFFF
                or done > end
                or data[body] != BODY
                or data[body + 1] != high
                or data[body + 2] != low
                or read_i32_be(data, body + 3) != body_bytes
                or data[done - 1] != FRAME_END
                or (body_bytes > self.frame_max and self.frame_max)
            ):
                return False
        self._next = done
        channel.index = methods.BASIC_PUBLISH
        channel.on_publish(
            data[at + 7 : stop], data[head:done], body - head, body_bytes, done - body
        )
        return True

    def _check_size(self, kind: int, size: int) -> None:
        """Raise StreamError 501 for a frame over frame_max, before waiting for its end.

        As RabbitMQ does, the 8 octets of overhead are let pass on top. Without a limit, 31 bits are
        the limit.
        """
        length = size & 0xFFFFFFFF
        highest = self.frame_max or 0x7FFFFFFF
        if length > highest:
            raise errors.frame_error(
                f"type {kind}, all octets = <<>>: "
                f"{{frame_too_large,{length},{highest - FRAME_OVERHEAD}}}"
            )

    def _refuse_kind(self, kind: int, number: int, frame: bytes) -> None:
        """Raise for a frame of an unknown type, or a heartbeat where none may be."""
        if kind == HEARTBEAT and len(frame) == FRAME_OVERHEAD and number:
            raise errors.unexpected_frame(errors.frame_octets(kind, b""))
        raise errors.unknown_frame(kind, frame[7:-1])

    # -- frames that are not those of an open channel ----------------------------------------------

    def _receive_elsewhere(
        self, kind: int, number: int, channel: ChannelConversation | None, frame: bytes
    ) -> None:
        """Take a frame of channel 0, of a channel that is not open, or while not running."""
        if kind not in (METHOD, HEADER, BODY):
            if kind == HEARTBEAT and number == 0 and len(frame) == FRAME_OVERHEAD:
                return
            if self.state == CLOSING:
                return
            self._refuse_kind(kind, number, frame)
        index = methods.index_of(frame[7:-1]) if kind == METHOD else 0
        if self.state == CLOSING:
            if number == 0:
                self._receive_while_closing(index)
            return
        check_room(kind, frame)
        self._index = index if methods.is_known(index) else 0
        if number == 0:
            if kind != METHOD:
                raise errors.unexpected_frame(errors.frame_octets(kind, frame[7:-1]))
            self._receive_on_zero(index, frame[7:-1])
        elif self.state != RUNNING:
            raise errors.unexpected_frame(errors.frame_octets(kind, frame[7:-1]))
        elif channel is None:
            self._receive_unopened(kind, number, index)
        else:
            self._receive_on_closing(channel, index)

    def _receive_while_closing(self, index: int) -> None:
        if index == methods.CONNECTION_CLOSE:
            write_method(self.outbox, 0, _CLOSE_OK)
        if index == methods.CONNECTION_CLOSE or index == methods.CONNECTION_CLOSE_OK:
            self.state = CLOSED
            self.close_socket = True

    def _receive_on_zero(self, index: int, payload: bytes) -> None:
        if self._index == 0:
            raise errors.unknown_method()
        if index == methods.CONNECTION_CLOSE and self.state >= TUNING:
            self.on_end(None)
            write_method(self.outbox, 0, _CLOSE_OK)
            self.state = CLOSED
            self.close_socket = True
            return
        if _ALLOWED.get(index, -1) != self.state:
            raise errors.unexpected_method(STATE_NAMES[self.state])
        self.on_connection_method(index, payload)

    def _receive_unopened(self, kind: int, number: int, index: int) -> None:
        if kind != METHOD:
            raise errors.unexpected_frame("expected method frame, got non method frame instead")
        if self._index == 0:
            raise errors.unknown_method()
        if index == methods.CHANNEL_CLOSE_OK:
            return  # the answer to our close, after the peer's own close freed the number
        if index != methods.CHANNEL_OPEN:
            raise errors.channel_not_open()
        channel = self.channels[number] = self.on_channel_open(number)
        self.send_on(channel, _CHANNEL_OPEN_OK)

    def _receive_on_closing(self, channel: ChannelConversation, index: int) -> None:
        """Discard what comes for a channel that we closed, until the peer knows it."""
        if index == methods.CHANNEL_CLOSE:
            self.send_on(channel, _CHANNEL_CLOSE_OK)
        if index == methods.CHANNEL_CLOSE or index == methods.CHANNEL_CLOSE_OK:
            channel.state = CHANNEL_CLOSED
            del self.channels[channel.number]

    # -- command: ends ----------------------------------------------------------------------------

    def end_channel(self, channel: ChannelConversation) -> None:
        """Carry out channel.close of the peer."""
        self.on_channel_end(channel)
        channel.state = CHANNEL_CLOSED
        del self.channels[channel.number]
        self.send_on(channel, _CHANNEL_CLOSE_OK)

    def _answer(self, error: AmqpError) -> None:
        """Close what an error closes: its channel, or the connection."""
        if isinstance(error, SoftError):
            self._close_channel(error)
        else:
            self.fail(error)

    def _close_channel(self, error: SoftError) -> None:
        """Answer a SoftError: channel.close on its channel, after which the rest is discarded."""
        channel = self.channels.get(self._number)
        if channel is None:
            self.fail(error)  # raised on channel 0
            return
        self.fail_channel(channel, error)

    def fail_channel(self, channel: ChannelConversation, error: SoftError) -> None:
        """Close a channel for an error; what still comes for it is discarded."""
        self.on_channel_error(channel, error)
        channel.forget_content()
        self.on_channel_end(channel)
        channel.state = CHANNEL_CLOSING
        self.send_on(
            channel,
            methods.close_payload(methods.CHANNEL_CLOSE, error.code, error.text, channel.index),
        )

    def fail(self, error: AmqpError) -> None:
        """Close the connection for an error of what just came.

        In the handshake the peer is told nothing but a refused login that it asked to be told, and
        while we wait for close-ok it has been told already.
        """
        channel = self.channels.get(self._number) if self._number else None
        failed = channel.index if channel is not None else self._index
        if isinstance(error, (FrameError, Refused)):
            failed = 0
        self._index = failed
        self.on_end(error)
        if self.state == CLOSING or (self.state < TUNING and not isinstance(error, Refused)):
            self.state = DISCARDING
            self.on_wait(self.state, True)
            return
        self.send_close(error.code, error.text, failed)
        if isinstance(error, StreamError):
            self.state = DISCARDING
        if isinstance(error, (StreamError, Refused)):
            self.on_wait(self.state, True)

    def send_close(self, code: int, text: str, failed: int = 0) -> None:
        """Send connection.close and wait for close-ok; all else is discarded from now on."""
        write_method(
            self.outbox, 0, methods.close_payload(methods.CONNECTION_CLOSE, code, text, failed)
        )
        self.state = CLOSING
        self.on_wait(self.state, False)
