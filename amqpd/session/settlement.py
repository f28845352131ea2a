"""When a promise leaves: confirms, and every -ok that says that something durable is safe.

Rule 1: nothing that depends on journal position P is told to a client before `on_synced(P)`.
Rule 2: confirms leave in publishing order, as one cumulative basic.ack per channel and turn; also
transient messages wait behind persistent ones of the same channel. Rule 3: while an -ok waits, all
later output of its channel waits behind it (see `Channel.out`), so replies keep their order.

There is no other way for a confirm to leave, also when nothing is ever written to a disk.
"""

from collections import deque
from typing import Final

from mypy_extensions import i64, mypyc_attr

from amqpd.protocol.channel import ChannelConversation


@mypyc_attr(allow_interpreted_subclasses=True)
class PromisingChannel(ChannelConversation):
    """A channel as settlement sees it.

    `published` numbers its publishes in confirm mode; `position` is the highest journal position
    that any of them needs; `is_touched`: settlement will look at it at the end of the turn.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.published: i64 = 0
        self.position = 0
        self.is_touched = False

    def confirm(self, upto: int) -> None:
        """Tell the client that all publishes up to number `upto` are safe."""
        raise NotImplementedError

    def release(self, position: int) -> None:
        """Let held output go that waited for `position` or less."""
        raise NotImplementedError


class _Waiting:
    """What leaves when `position` is synced: confirms up to `upto`, or held output if that is 0."""

    def __init__(self, position: int, channel: PromisingChannel, upto: int) -> None:
        self.position: Final = position
        self.channel: Final = channel
        self.upto: Final = upto


class Settlement:
    """The one road of confirms. What waits is a FIFO: positions grow, but for an -ok that repeats
    an older promise and then waits a little longer than it must.
    """

    def __init__(self) -> None:
        self.synced = 0
        self._touched: list[PromisingChannel] = []
        self._waiting: deque[_Waiting] = deque()

    @property
    def is_waiting(self) -> bool:
        """Whether a client waits for a sync; good at the end of a turn."""
        return len(self._waiting) > 0

    def touch(self, channel: PromisingChannel) -> None:
        """Note that a channel published something that is to be confirmed."""
        channel.is_touched = True
        self._touched.append(channel)

    def hold(self, channel: PromisingChannel, position: int) -> None:
        """Release the channel's held output when `position` is synced."""
        assert position > self.synced
        self._waiting.append(_Waiting(position, channel, 0))

    def abandon(self) -> list[PromisingChannel]:
        """Give up all promises that wait: the journal failed. Returns the channels that wait."""
        waiting = [waiting.channel for waiting in self._waiting]
        self._waiting.clear()
        return waiting + self._touched

    def end_turn(self) -> None:
        """Confirm what needs no sync any more, and queue what does."""
        if not self._touched:
            return
        touched = self._touched
        self._touched = []
        for channel in touched:
            channel.is_touched = False
            if channel.position <= self.synced:
                channel.confirm(channel.published)
            else:
                waiting = _Waiting(channel.position, channel, int(channel.published))
                self._waiting.append(waiting)

    def on_synced(self, position: int) -> None:
        """Let go of everything that waited for `position` or less."""
        if position > self.synced:
            self.synced = position
        while self._waiting and self._waiting[0].position <= self.synced:
            waiting = self._waiting.popleft()
            if waiting.upto:
                waiting.channel.confirm(waiting.upto)
            else:
                waiting.channel.release(waiting.position)
