"""A channel's consumer of one queue: decides whether it can take more, and writes deliveries.

A basic.get that is to be acknowledged makes one too, unknown to the queue, so that every unacked
entry knows where it goes when it is settled or comes back.
"""

from typing import Final

from librt.strings import write_i64_be
from mypy_extensions import i64

from amqpd.core.consumer import Consumer, Entry
from amqpd.core.queue import Queue
from amqpd.session.counting import counted
from amqpd.session.delivering import DeliveringChannel
from amqpd.session.firehose import trace_delivery
from amqpd.wire import methods
from amqpd.wire.frames import write_content, write_recut
from amqpd.wire.tables import Table


class Subscription(Consumer):
    """A consumer as its channel knows it; `is_active` until it is cancelled by either side."""

    def __init__(
        self,
        channel: DeliveringChannel,
        queue: Queue,
        tag: str,
        *,
        no_ack: bool,
        exclusive: bool = False,
        priority: int = 0,
        prefetch: int = 0,
        arguments: Table | None = None,
    ) -> None:
        super().__init__(
            tag, no_ack=no_ack, exclusive=exclusive, priority=priority, prefetch=prefetch
        )
        self.channel: Final = channel
        self.queue: Final = queue
        self.arguments: Final[Table] = arguments or {}
        self.is_active = True
        self.is_told_later = False  # its own channel deletes the queue: first comes the -ok
        self._head = b""  # deliver frame up to the tag, for addresses of _head_for bytes
        self._head_for: i64 = -1

    def can_take(self) -> bool:
        """See Consumer: credit of its own, of the channel's window, and room in the connection."""
        channel = self.channel
        if self.prefetch and not self.no_ack and self.unacked >= self.prefetch:
            return False
        if channel.window and channel.is_window_full():  # stops those without acks as well
            return False
        return channel.link.has_room(channel.out(), self)

    def deliver(self, entry: Entry) -> None:
        """Write a basic.deliver with the entry's message."""
        channel = self.channel
        message = entry.message
        tag = channel.last_tag + 1
        channel.last_tag = tag
        if not self.no_ack:
            entry.tag = tag
            channel.unacked.add(entry)
        address = message.address.encoded
        size: i64 = len(address)
        if size != self._head_for:
            self._head = methods.deliver_head(channel.number, self.tag, size - 1)
            self._head_for = size
            if channel.link.vhost.is_traced:  # then looked at each time
                self._head_for = -1
                trace_delivery(channel.link, channel.number, self.queue.name, entry)
        out = channel.out()
        out.write(self._head)
        write_i64_be(out, tag)
        if entry.redelivered:
            out.append(1)
            if entry.counts:
                message = counted(entry, self.queue.profile)
        else:
            out.append(0)
        out.write(address)
        link = channel.link
        if link.frame_max == 0 or message.frame_bytes <= link.frame_max:
            write_content(out, channel.number, message.content, message.header_bytes)
        else:
            write_recut(out, channel.number, message.content, message.header_bytes, link.frame_max)
        if not link.is_dirty:
            link.mark_dirty()

    def forget_head(self) -> None:
        """Work out anew how deliveries begin."""
        self._head_for = -1

    def settled(self, entry: Entry) -> None:
        """Let one of its unacked entries leave for good, and take more for it."""
        self.unacked -= 1
        self.queue.settle(entry)
        if not self.is_ready and not self.will_resume and self.is_active:
            self.channel.link.resume_later(self)

    def rejected(self, entry: Entry) -> None:
        """Let one of its unacked entries leave as a dead letter, and take more for it."""
        self.unacked -= 1
        self.queue.reject(entry)
        if not self.is_ready and not self.will_resume and self.is_active:
            self.channel.link.resume_later(self)

    def returned(self) -> None:
        """Note that one of its unacked entries goes back to the queue (which is told apart)."""
        self.unacked -= 1
        if not self.is_ready and not self.will_resume and self.is_active:
            self.channel.link.resume_later(self)

    def resume(self) -> None:
        """See Consumer."""
        if self.is_active and not self.is_ready:
            self.queue.resume(self)

    def cancelled(self) -> None:
        """See Consumer: the queue is gone; tell clients that want to know (RabbitMQ: cancel)."""
        self.is_active = False
        self.channel.forget(self.tag)
        if not self.is_told_later:
            self.tell()

    def tell(self) -> None:
        """Say that nothing more will come, if the client wants to know."""
        if self.channel.link.notifies_cancel:
            tag = methods.encode_shortstr(self.tag)
            self.channel.send(b"\x00\x3c\x00\x1e" + tag + b"\x01")
            self.channel.link.mark_dirty()
