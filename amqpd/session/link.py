"""What the channels of one connection share: its outbox, its user and vhost, its consumers' credit.

Rule 1: a connection with bytes in its outbox, a socket to close, or a changed `reading` is in the
broker's list of dirty ones, once. Rule 2: a consumer that cannot take more because the connection
has no room is in `stalled` until `writable`; one that got credit back is in `_resuming` until the
end of the read; in neither twice. `has_room` is false while the transport is congested, and once a
turn has put `outbox_bytes` into the outbox: what then waits is in the queues, not in memory of the
connection.
"""

from typing import Final

from librt.strings import BytesWriter
from mypy_extensions import i64, mypyc_attr

from amqpd.core.consumer import Consumer
from amqpd.core.queue import Queue
from amqpd.core.vhost import VHost
from amqpd.protocol.connection import Conversation
from amqpd.session.context import Context
from amqpd.session.peer import Peer


@mypyc_attr(allow_interpreted_subclasses=True)
class Link(Conversation):
    """A connection as its channels see it."""

    def __init__(
        self,
        context: Context,
        peer: Peer,
        connection_id: int,
        vhost: VHost,
        dirty_links: "list[Link]",
    ) -> None:
        super().__init__()
        self.context: Final = context
        self.peer: Final = peer
        self.id: Final = connection_id
        self.name: Final = peer.name
        self.vhost = vhost
        self.user = ""
        self.sent_bytes = 0
        self.reading = True
        self.is_blocked = False  # by an alarm
        self.is_throttled = False  # until the journal has caught up
        self.wants_turn = False
        self.is_dirty = False
        self.congested = False
        self.has_published = False  # since the last look; tells producers from consumers in alarms
        self.notifies_cancel = False
        self._dirty_links: Final = dirty_links
        self.exclusive_queues: Final[dict[str, Queue]] = {}
        self._outbox_bytes: Final[i64] = context.limits.outbox_bytes
        self.stalled: list[Consumer] = []
        self._resuming: list[Consumer] = []

    # -- credit -----------------------------------------------------------------------------------

    def has_room(self, out: BytesWriter, consumer: Consumer) -> bool:
        """Say whether a delivery may be written to `out`; if not, `consumer` is resumed later."""
        if not self.congested and len(out) < self._outbox_bytes:
            return True
        if not self.congested and out is self.outbox:
            self.wants_turn = True  # what is held back goes on after its hold
        if not consumer.will_resume:
            consumer.will_resume = True
            self.stalled.append(consumer)
        return False

    def resume_later(self, consumer: Consumer) -> None:
        """Resume a consumer that got credit back, once all that has been read is handled."""
        if not consumer.is_ready and not consumer.will_resume:
            consumer.will_resume = True
            self._resuming.append(consumer)

    def resume_consumers(self) -> None:
        """Let the consumers that got credit back have their turns."""
        while self._resuming:
            resuming = self._resuming
            self._resuming = []
            for consumer in resuming:
                consumer.will_resume = False
                consumer.resume()

    def resume_stalled(self) -> None:
        """Let the consumers go on that found no room."""
        self.wants_turn = False
        stalled = self.stalled
        self.stalled = []
        for consumer in stalled:
            consumer.will_resume = False
            consumer.resume()

    def after_hold(self) -> None:
        """Go on with consumers that had filled up what was held back and is now written."""
        if self.stalled and not self.congested:
            self.wants_turn = True
        self.mark_dirty()

    # -- collect ----------------------------------------------------------------------------------

    def mark_dirty(self) -> None:
        """Note that the socket's owner has something to do for this connection."""
        if not self.is_dirty:
            self.is_dirty = True
            self._dirty_links.append(self)

    def take(self) -> bytes:
        """Return the bytes to be written now, and forget them."""
        count = len(self.outbox)
        if count == 0:
            return b""
        data = self.outbox.getvalue()
        self.outbox = BytesWriter()
        self.sent_bytes += count
        return data
