"""A channel as its consumers see it: delivery tags, the unacked window, and where output goes."""

from typing import Final

from librt.strings import BytesWriter
from mypy_extensions import i64, mypyc_attr

from amqpd.session.link import Link
from amqpd.session.settlement import PromisingChannel
from amqpd.session.unacked import Unacked
from amqpd.wire.frames import write_method


@mypyc_attr(allow_interpreted_subclasses=True)
class DeliveringChannel(PromisingChannel):
    """Counts deliveries, remembers the unacked ones, and holds output back behind a promise.

    `window` is the limit that basic.qos with global set for the whole channel (0 = none).
    """

    def __init__(self, number: int, link: Link) -> None:
        super().__init__(number)
        self.link: Final = link
        self.last_tag: i64 = 0
        self.unacked: Final = Unacked()
        self.window: i64 = 0
        self._held: BytesWriter | None = None
        self._held_until = 0

    def out(self) -> BytesWriter:
        """Where this channel's frames go: the connection's outbox, or behind what is held."""
        held = self._held
        if held is None:
            return self.link.outbox
        return held

    def send(self, payload: bytes) -> None:
        """Send a method frame on this channel."""
        write_method(self.out(), self.number, payload)

    def hold(self, position: int) -> None:
        """Keep all further output back until journal position `position` is synced."""
        settlement = self.link.context.settlement
        if position <= settlement.synced:
            return
        if self._held is None:
            self._held = BytesWriter()
        self._held_until = position
        settlement.hold(self, position)

    def release(self, position: int) -> None:
        """Let the held output go, unless a later promise has joined it meanwhile."""
        held = self._held
        if held is None or position < self._held_until:
            return
        self._held = None
        self.link.outbox.write(held.getvalue())
        self.link.mark_dirty()

    def drop_held(self) -> None:
        """Forget the held output of a channel that has ended: its promises find nobody."""
        self._held = None
