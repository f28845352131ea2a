"""One channel's conversation: which frame may come next, and contents put together.

| state | meaning | left by |
|---|---|---|
| OPEN | methods are carried out | channel.close either way |
| CLOSING | we sent channel.close; all but close and close-ok is discarded | close-ok, close |
| CLOSED | the number is free again; the object is in no collection | - |

While OPEN it also waits for one kind of frame: a METHOD; after basic.publish a HEADER; after a
header with a body size the BODY frames until that many octets have come (spec 4.2.6).
"""

from typing import Final

from librt.strings import read_i32_be, read_i64_be
from mypy_extensions import i64, mypyc_attr

from amqpd import errors
from amqpd.limits import CONTENT_BYTES_MAX
from amqpd.wire import methods
from amqpd.wire.frames import (
    BODY,
    CLASS_WEIGHT,
    FRAME_OVERHEAD,
    HEADER,
    HEADER_BYTES_MIN,
    METHOD,
)

OPEN: Final = 0
CLOSING: Final = 1
CLOSED: Final = 2

_CONTENT_HEADER: Final = "content header for class 60"


@mypyc_attr(allow_interpreted_subclasses=True)
class ChannelConversation:
    """A channel as the frames see it; a subclass gives the commands their meaning."""

    def __init__(self, number: int) -> None:
        self.number: Final = number
        self.state = OPEN
        self.index = 0  # of the method being carried out, for the close that an error leads to
        self._expected = METHOD
        self._publish = b""
        self._parts: list[bytes] = []
        self._header_bytes: i64 = 0
        self._body_bytes: i64 = 0
        self._missing: i64 = 0  # body octets still to come
        self._frame_bytes: i64 = 0  # largest body frame so far

    @property
    def expects_method(self) -> bool:
        """Whether a method may come now (and no header or body)."""
        return self._expected == METHOD

    # -- what a subclass does ---------------------------------------------------------------------

    def on_publish(
        self, publish: bytes, content: bytes, header_bytes: i64, body_bytes: i64, frame_bytes: i64
    ) -> None:
        """Carry out basic.publish (method payload) with its content (frames as they came).

        `header_bytes` is the length of the header frame, `frame_bytes` of the largest body frame.
        What came in one piece has neither been decoded nor been through `on_content_size`.
        """
        raise NotImplementedError

    def on_ack(self, tag: i64, multiple: bool) -> None:
        """Carry out basic.ack."""
        raise NotImplementedError

    def on_method(self, index: int, payload: bytes) -> None:
        """Carry out any other method of an open channel."""
        raise NotImplementedError

    def on_content_size(self, body_bytes: i64) -> None:
        """Refuse a content by the size that its header announces, before its body comes."""

    # -- frames -----------------------------------------------------------------------------------

    def receive(self, kind: int, frame: bytes) -> None:
        """Take one whole frame of an open channel.

        Raises StreamError 505 if it cannot come here, 501 if it cannot be read, HardError 541 if
        there is no such method, and whatever the method that it completes raises.
        """
        if self._expected == METHOD:
            self._receive_method(kind, frame)
        elif self._expected == HEADER:
            self._receive_header(kind, frame)
        else:
            self._receive_body(kind, frame)

    def _receive_method(self, kind: int, frame: bytes) -> None:
        check_room(kind, frame)
        if kind != METHOD:
            raise errors.unexpected_frame("expected method frame, got non method frame instead")
        payload = frame[7:-1]
        index = methods.index_of(payload)
        self.index = index if methods.is_known(index) else 0
        if self.index == 0:
            raise errors.unknown_method()
        if index == methods.BASIC_PUBLISH:
            methods.decode_publish(payload)  # a bad one is refused before its content comes
            self._publish = payload
            self._expected = HEADER
        elif index == methods.BASIC_ACK:
            tag, bits = methods.decode_settle(payload)
            if tag > 0x7FFFFFFFFFFFFFFF:
                raise errors.unknown_delivery_tag(tag)  # none ever gets that high
            self.on_ack(tag, bits & 1 != 0)
        else:
            self.on_method(index, payload)

    def _receive_header(self, kind: int, frame: bytes) -> None:
        check_room(kind, frame)
        if kind != HEADER:
            raise errors.unexpected_in_content(_CONTENT_HEADER, "non content header frame")
        first: int = read_i32_be(frame, 7)
        if first != CLASS_WEIGHT:
            got = f"one for class {first >> 16 & 0xFFFF}"
            if first >> 16 == 60:
                got = "non content header frame"  # RabbitMQ knows no weight but 0
            raise errors.unexpected_in_content(_CONTENT_HEADER, got)
        size: int = read_i64_be(frame, 11)
        size &= 0xFFFFFFFFFFFFFFFF
        if size > CONTENT_BYTES_MAX:
            raise errors.body_too_large(size, CONTENT_BYTES_MAX)
        self.on_content_size(size)
        self._parts = [frame]
        self._header_bytes = len(frame)
        self._body_bytes = size
        self._missing = size
        self._frame_bytes = 0
        self._expected = BODY
        if size == 0:
            self._complete()

    def _receive_body(self, kind: int, frame: bytes) -> None:
        if kind != BODY:
            check_room(kind, frame)
            raise errors.unexpected_in_content("content body", "non content body frame")
        size: i64 = len(frame)
        self._missing -= size - FRAME_OVERHEAD
        if self._missing < 0:
            raise errors.body_overrun()
        if size == FRAME_OVERHEAD:
            return  # an empty body frame says nothing
        self._parts.append(frame)
        if size > self._frame_bytes:
            self._frame_bytes = size
        if self._missing == 0:
            self._complete()

    def _complete(self) -> None:
        content = b"".join(self._parts)
        self.forget_content()
        self.on_publish(
            self._publish, content, self._header_bytes, self._body_bytes, self._frame_bytes
        )

    def forget_content(self) -> None:
        """Drop a content that is only partly there, as when the channel fails."""
        self._parts = []
        self._expected = METHOD


def check_room(kind: int, frame: bytes) -> None:
    """Raise FrameError 501 for a frame too short to be what it says, wherever it comes."""
    size = len(frame) - FRAME_OVERHEAD
    if (kind == METHOD and size < 4) or (kind == HEADER and size < HEADER_BYTES_MIN):
        raise errors.unknown_frame(kind, frame[7:-1])
