"""Deliveries that are not acknowledged in time (RabbitMQ: delivery acknowledgement timeout).

Nothing is noted per delivery. A channel that may have any is looked at every `tick_ms`, and the
highest delivery tag of each look is remembered with its time, as long as something up to it is
unacked: whatever bears a tag up to that one was delivered by then. So a delivery is found out
between its timeout and one tick later, as in RabbitMQ, and never before.

Up to 4.2 the oldest delivery of a channel counts, with the timeout of its queue; from 4.3 on every
delivery of a quorum queue, and no other (see `profile`).
"""

from typing import Final

from amqpd.core.arguments import timeout_of
from amqpd.core.consumer import Entry
from amqpd.core.timers import NEVER, Timed
from amqpd.session.delivering import DeliveringChannel
from amqpd.session.subscription import Subscription


class DeliveryWatch(Timed):
    """The deadline at which a channel's deliveries are looked at."""

    def __init__(self, channel: DeliveringChannel) -> None:
        super().__init__()
        self._channel: Final = channel
        limits = channel.link.context.limits
        self._timeout_ms: Final = limits.consumer_timeout_ms
        self._tick_ms: Final = limits.channel_tick_ms
        self._marks: list[tuple[int, int]] = []  # (delivery tag, when it was the highest)

    def start(self) -> None:
        """Look at deliveries from now on, unless that is done already."""
        if self.deadline_ms == NEVER:
            timers = self._channel.link.context.timers
            timers.set(self, timers.now_ms + self._tick_ms)

    def stop(self) -> None:
        """Look at deliveries no more: the channel has ended."""
        self.deadline_ms = NEVER

    def on_deadline(self, now_ms: int) -> None:
        """See Timed."""
        channel = self._channel
        oldest = channel.unacked.oldest()
        while self._marks and (oldest is None or self._marks[0][0] < oldest.tag):
            del self._marks[0]
        if oldest is not None and (not self._marks or self._marks[-1][0] < channel.last_tag):
            self._marks.append((int(channel.last_tag), now_ms))
        next_ms = now_ms + self._tick_ms
        if oldest is not None:
            if channel.link.vhost.profile.cancels_late_consumers:
                late = [entry for entry in channel.unacked.all() if self._is_late(entry, now_ms)]
                if late:
                    channel.on_late(late, -1)  # RabbitMQ names no timeout there
            elif self._is_late(oldest, now_ms):
                channel.on_late([oldest], self.timeout_ms(oldest))
            else:
                timeout_ms = self.timeout_ms(oldest)
                if timeout_ms:
                    next_ms = min(next_ms, max(now_ms + 1, self._marks[0][1] + timeout_ms))
        if channel.state == 0 and (channel.unacked.count or channel.has_consumers()):
            channel.link.context.timers.set(self, next_ms)

    def timeout_ms(self, entry: Entry) -> int:
        """Return how long a delivery may take (ms, 0 = as long as it likes)."""
        consumer = entry.consumer
        assert isinstance(consumer, Subscription)
        queue = consumer.queue
        if queue.profile.cancels_late_consumers:
            if queue.rules is None or not queue.rules.is_quorum:
                return 0
            own = timeout_of(consumer.arguments)
            if own >= 0:
                return own
        own = timeout_of(queue.effective)
        return self._timeout_ms if own < 0 else own

    def _is_late(self, entry: Entry, now_ms: int) -> bool:
        """Say whether a delivery has certainly been out for longer than it may."""
        timeout_ms = self.timeout_ms(entry)
        if timeout_ms == 0:
            return False
        for tag, seen_ms in self._marks:
            if tag >= entry.tag:
                return now_ms - seen_ms >= timeout_ms
        return False
