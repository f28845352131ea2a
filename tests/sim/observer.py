"""Everything that the broker says to one connection, checked against the model.

What is written counts as *said* at once, also where a channel's output is held back for a sync; it
has *left* when it is taken for the socket. In between lies the promise: what was said with `needs`
must not leave before the journal is synced up to there.
"""

from collections import defaultdict, deque
from dataclasses import dataclass
from typing import Any

from pamqp import base

from amqpd.session.channel import Channel
from amqpd.session.connection import Connection
from tests.peers import codec
from tests.sim.model import ChannelModel, ConnectionModel, Expected, Model, check_content


@dataclass(eq=False)
class Said:
    """A method, with its content if it has one."""

    method: Any
    properties: bytes = b""
    body: bytes = b""
    body_bytes: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether all of its content is here."""
        return len(self.body) == self.body_bytes

    def __getattr__(self, name: str) -> Any:
        return getattr(self.method, name)


WITH_CONTENT = ("Basic.Deliver", "Basic.Return", "Basic.GetOk")


class Observer:
    """Reads along on one connection of the broker."""

    def __init__(self, model: Model, mine: ConnectionModel, connection: Connection) -> None:
        self.model = model
        self.mine = mine
        self.connection = connection
        self.is_alarmed = False
        self._channels: dict[int, tuple[Channel, ChannelModel]] = {}
        self._lives: dict[int, list[ChannelModel]] = defaultdict(list)
        self._seen = 0  # bytes of the outbox that were read
        self._seen_held: dict[Channel, int] = {}
        self._early: dict[int, deque[codec.Frame]] = defaultdict(deque)  # said, and still held
        self._partial: dict[int, Said] = {}
        self._needs: dict[int, deque[int]] = defaultdict(deque)  # of the frames that are to leave

    # -- said --------------------------------------------------------------------------------------

    def look(self) -> None:
        """Read what the broker has written since the last look."""
        if self.mine.state != "open":  # what is held back will not leave
            self._seen_held.clear()
            self._early.clear()
        data = self.connection.outbox.getvalue()
        for frame in _frames(data[self._seen :]):
            early = self._early[frame.channel]
            if early:
                assert frame == early.popleft(), "held output comes out changed"
            else:
                self._said(frame)
        self._seen = len(data)
        for channel in self.connection.channels.values():
            assert isinstance(channel, Channel)
            self._seen_held.setdefault(channel, 0)
        for channel in list(self._seen_held):
            self._look_behind(channel)

    def _look_behind(self, channel: Channel) -> None:
        """Read what a channel holds back."""
        out = channel.out()
        if out is self.connection.outbox:
            self._seen_held[channel] = 0
            if self.connection.channels.get(channel.number) is not channel:
                del self._seen_held[channel]
            return
        data = out.getvalue()
        for frame in _frames(data[self._seen_held[channel] :]):
            self._said(frame)
            self._early[frame.channel].append(frame)
        self._seen_held[channel] = len(data)

    def opened(self, channel: ChannelModel) -> None:
        """The model has a new channel: its open-ok comes next with its number."""
        self._lives[channel.number].append(channel)

    def _said(self, frame: codec.Frame) -> None:
        self._needs[frame.channel].append(0)
        number = frame.channel
        if frame.kind == codec.METHOD:
            method = codec.decode_method(frame.payload)
            if number == 0:
                self._said_on_zero(method)
            elif method.name in WITH_CONTENT:
                assert number not in self._partial
                self._partial[number] = Said(method, body_bytes=-1)
            else:
                assert number not in self._partial, "a method inside a content"
                self._said_method(self._life(number, method), Said(method))
            return
        assert frame.kind in (codec.HEADER, codec.BODY) and number
        said = self._partial[number]
        if frame.kind == codec.HEADER:
            assert said.body_bytes < 0
            header = codec.decode_header(frame.payload)
            said.properties, said.body_bytes = header.properties, header.body_bytes
        else:
            limit = self.mine.frame_max
            assert not limit or len(frame.payload) + codec.OVERHEAD <= limit
            said.body += frame.payload
        if said.is_whole:
            del self._partial[number]
            self._said_content(self._life(number, said.method), said)

    def _life(self, number: int, method: base.Frame) -> ChannelModel:
        """Return the life of a channel that says this: an ended one until its end is said."""
        lives = self._lives[number]
        while lives and lives[0].state == "closed" and not lives[0].replies:
            lives.pop(0)
        assert lives, f"{vars_of(method)} on channel {number}, which is not open"
        return lives[0]

    def _said_method(self, channel: ChannelModel, said: Said) -> None:
        name = said.method.name
        if name == "Basic.Ack":
            self._said_confirm(channel, said.delivery_tag, said.multiple)
        elif name == "Basic.Cancel":
            assert said.consumer_tag in channel.cancels, f"{said.consumer_tag} is not gone"
            channel.cancels.remove(said.consumer_tag)
        else:
            self._said_reply(channel.replies, channel.number, said)

    def _said_reply(self, replies: deque[Expected], number: int, said: Said) -> None:
        name = said.method.name
        assert replies, f"{name} on channel {number} answers nothing: {vars_of(said.method)}"
        expected = replies.popleft()
        wanted = "Basic.GetOk" if name == "Basic.GetEmpty" else name
        assert wanted == expected.kind, f"{expected.kind} was due, not {vars_of(said.method)}"
        self._needs[number][-1] = expected.needs
        if expected.check is not None:
            expected.check(said)

    def _said_content(self, channel: ChannelModel, said: Said) -> None:
        name = said.method.name
        if name == "Basic.GetOk":
            self._said_reply(channel.replies, channel.number, said)
        elif name == "Basic.Return":
            message = channel.returns.popleft()
            assert (said.reply_code, said.reply_text) == (312, "NO_ROUTE")
            check_content(message, said.method, said.properties, said.body)
        else:
            consumer = channel.consumers.get(said.consumer_tag)
            assert consumer is not None, f"a delivery to {said.consumer_tag}, which is gone"
            assert not self.mine.is_congested, "a delivery to a congested connection"
            self.model.said_delivery(consumer, said.method, said.properties, said.body)

    def _said_confirm(self, channel: ChannelModel, upto: int, multiple: bool) -> None:
        """A confirm: the next publish, or all up to some number, each once and in order."""
        first = channel.confirmed
        assert first < upto <= len(channel.published), f"confirm {upto} after {first}"
        assert multiple or upto == first + 1, f"confirm {upto} leaves {first + 1} out"
        covered = channel.published[first:upto]
        channel.confirmed = upto
        self._needs[channel.number][-1] = max(confirm.needs for confirm in covered)
        open_returns = {id(message) for message in channel.returns}
        for confirm in covered:
            assert id(confirm.message) not in open_returns, "a confirm before its return"

    def _said_on_zero(self, method: base.Frame) -> None:
        if method.name == "Connection.Blocked":
            assert self.is_alarmed
        elif method.name != "Connection.Unblocked":
            self._said_reply(self.mine.replies, 0, Said(method))

    # -- left --------------------------------------------------------------------------------------

    def take(self) -> bytes:
        """Take what the connection's socket gets now; nothing may leave too early."""
        self.look()
        data = self.connection.take()
        assert len(data) == self._seen
        self._seen = 0
        synced = self.model.journal.synced
        for frame in _frames(data):
            needs = self._needs[frame.channel].popleft()
            assert needs <= synced, f"{frame} leaves at {synced}, before {needs} is synced"
        return data

    # -- rest --------------------------------------------------------------------------------------

    def check_rest(self, synced_all: bool) -> None:
        """Assert that the broker owes no answer on this connection but for a sync."""
        assert not self._partial, "half a content"
        assert not self.mine.replies, f"missing on channel 0: {self.mine.replies}"
        for number, lives in self._lives.items():
            for channel in lives:
                assert not channel.replies, f"missing on channel {number}: {channel.replies}"
                assert not channel.cancels, f"not told of the end of {channel.cancels}"
                assert not channel.returns
        if synced_all:
            assert not any(self._early.values()), "held output stays behind its sync"

    def has_room(self, number: int, limit: int) -> bool:
        """Say whether a channel's output is below the bound of a turn (bytes)."""
        channel = self.connection.channels[number]
        assert isinstance(channel, Channel)
        return len(channel.out()) < limit


def vars_of(method: base.Frame) -> str:
    """Describe a method."""
    fields = {name: getattr(method, name) for name in method.__slots__}
    return f"{method.name}({fields})"


def _frames(data: bytes) -> list[codec.Frame]:
    reader = codec.FrameReader()
    reader.feed(data)
    frames = []
    while (frame := reader.next()) is not None:
        frames.append(frame)
    assert not reader.rest, "the broker writes half a frame"
    return frames
