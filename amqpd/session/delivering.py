"""A channel as its consumers see it: delivery tags, the unacked window, and where output goes."""

from typing import Final

from librt.strings import BytesWriter
from mypy_extensions import i64, mypyc_attr

from amqpd.core.consumer import Entry
from amqpd.core.message import Message
from amqpd.protocol.connection import RUNNING
from amqpd.session.link import Link
from amqpd.session.settlement import PromisingChannel
from amqpd.session.unacked import Unacked
from amqpd.wire.frames import write_content, write_method, write_recut


@mypyc_attr(allow_interpreted_subclasses=True)
class DeliveringChannel(PromisingChannel):
    """Counts deliveries, remembers the unacked ones, and holds output back behind a promise.

    `window` is the limit that basic.qos with global set for the whole channel (0 = none). What a
    transaction holds back until its commit counts as unacked too, in `uncommitted_count`.
    """

    def __init__(self, number: int, link: Link) -> None:
        super().__init__(number)
        self.link: Final = link
        self.last_tag: i64 = 0
        self.unacked: Final = Unacked()
        self.window: i64 = 0
        self.uncommitted_count: i64 = 0
        self._held: BytesWriter | None = None
        self.held_until = 0  # journal position that the held output waits for (0 = nothing held)

    def forget(self, tag: str) -> None:
        """Forget a consumer whose queue is gone: its tag is free again."""
        raise NotImplementedError

    def has_consumers(self) -> bool:
        """Say whether there may be more deliveries without being asked for."""
        raise NotImplementedError

    def on_late(self, entries: list[Entry], timeout_ms: int) -> None:
        """Take back deliveries that have not been acknowledged in time (see `timeouts`)."""
        raise NotImplementedError

    def is_window_full(self) -> bool:
        """Say whether the window that all consumers share lets nothing more out."""
        return self.window != 0 and self.unacked.count + self.uncommitted_count >= self.window

    def out(self) -> BytesWriter:
        """Where this channel's frames go: the connection's outbox, or behind what is held."""
        held = self._held
        if held is None:
            return self.link.outbox
        return held

    def send(self, payload: bytes) -> None:
        """Send a method frame on this channel."""
        write_method(self.out(), self.number, payload)

    def send_content(self, message: Message) -> None:
        """Send a message's content, cut anew if its frames are too large for this client."""
        out, frame_max = self.out(), self.link.frame_max
        if frame_max == 0 or message.frame_bytes <= frame_max:
            write_content(out, self.number, message.content, message.header_bytes)
        else:
            write_recut(out, self.number, message.content, message.header_bytes, frame_max)

    def hold(self, position: int) -> None:
        """Keep all further output back until journal position `position` is synced."""
        settlement = self.link.context.settlement
        if position <= settlement.synced:
            return
        if self._held is None:
            self._held = BytesWriter()
        self.held_until = max(position, self.held_until)
        settlement.hold(self, position)

    def release(self, position: int) -> None:
        """Let the held output go, unless a later promise has joined it meanwhile.

        Also that of a channel which has closed: its -ok's come before the close-ok. Where the
        connection has ended they find nobody.
        """
        held = self._held
        if held is None or position < self.held_until:
            return
        self._held = None
        self.held_until = 0
        if self.link.state == RUNNING:
            self.link.outbox.write(held.getvalue())
            self.link.after_hold()
