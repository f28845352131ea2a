"""A script played on one broker; what came of each step.

After each step the player waits until the broker has no more to say about it, by asking: every
queue how many messages it has, every channel to answer channel.flow, until two rounds in a row
bring nothing new. So what a step brings about is known to be the step's, without waiting for time
to pass - except where messages expire, and the script says `wait`.
"""

import time
from dataclasses import dataclass, field
from typing import Final

from interop.address import Address
from interop.script import special
from interop.script.language import Step, show_said, show_step
from interop.script.names import Names
from interop.script.probe import Probe
from interop.wire.codec import Said, method_frames
from interop.wire.connection import Closing, Connection, Gone, Silence
from interop.wire.handshake import Handshake
from interop.wire.methods import ANSWERS, BY_NAME

ANSWER_S: Final = 10.0
ROUNDS_MAX: Final = 40
SETTLES_IN: Final = 2  # rounds without news
CONFIRM_S: Final = 5.0
CLEAN_S: Final = 3.0  # for each thing that is removed at the end
DROP_S: Final = 0.05  # until a broker has seen that a socket is closed; nobody can be asked
NAMES_IN: Final = ("queue.declare", "queue.bind", "queue.delete", "queue.purge", "basic.get",
                   "basic.consume")  # fmt: skip
# What nothing can come of later than its answer.
AT_ONCE: Final = frozenset(
    {"connect", "open", "heartbeat", "wait", "confirm.select", "tx.select", "exchange.declare",
     "queue.bind", "queue.unbind", "exchange.bind", "exchange.unbind", "basic.get"}
)  # fmt: skip


@dataclass
class Outcome:
    """What came of a step: a line for each thing that was heard, and for each queue's new state."""

    step: Step
    lines: list[str] = field(default_factory=list)

    def text(self) -> str:
        """The step and what came of it."""
        return "\n".join([show_step(self.step), *(f"    {line}" for line in self.lines)])


class _Line:
    """A connection of the script, with what the player must remember of it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.probe = Probe(connection)
        self.open: set[int] = set()
        self.unsettled: dict[int, list[int]] = {}  # delivery tags, per channel
        self.unconfirmed: dict[int, list[int]] = {}  # publish numbers; the key is there if selected
        self.published: dict[int, int] = {}
        self.settled_confirms: dict[int, list[str]] = {}

    def forget(self, channel: int) -> None:
        """The channel is closed."""
        self.open.discard(channel)
        for memory in (self.unsettled, self.unconfirmed, self.published, self.settled_confirms):
            memory.pop(channel, None)


class Player:
    """Plays steps on a broker. Leaves nothing behind once closed."""

    def __init__(self, address: Address, prefix: str) -> None:
        self._address = address
        self._names = Names(prefix, address.vhost)
        self._lines: dict[str, _Line] = {}
        self._watch = _Line(Connection(address, Handshake("interop watch")))
        self._owners: dict[str, str] = {}  # queue → its connection, "" for anybody
        self._exchanges: dict[str, None] = {}
        self._states: dict[str, str] = {}
        self._outcome = Outcome(Step("", 0, ""))

    def play(self, step: Step) -> Outcome:
        """Do one step, and wait until all that comes of it has come."""
        self._outcome = Outcome(step)
        try:
            self._do(step)
            self._settle(step)
        except Silence as silence:
            self._note(f"silence: {silence}")
        except Gone as gone:
            self._note(f"gone: {gone}")
        return self._outcome

    def close(self) -> None:
        """Remove what the script has made, and close all connections."""
        for line in self._lines.values():
            line.connection.drop()
        connection = self._watch.connection
        try:
            connection.say(1, "channel.open")
            for queue in self._owners:
                connection.say(1, "queue.delete", queue=queue)
                if self._until_answer(connection, "queue.delete-ok"):
                    connection.say(1, "channel.open")
            for exchange in self._exchanges:
                connection.say(1, "exchange.delete", exchange=exchange)
                if self._until_answer(connection, "exchange.delete-ok"):
                    connection.say(1, "channel.open")
        except (Silence, Gone, Closing):
            pass
        connection.close()

    @staticmethod
    def _until_answer(connection: Connection, answer: str) -> bool:
        """Wait for it; whether the channel was closed instead."""
        while (said := connection.take(1, CLEAN_S)).name not in (answer, "channel.close"):
            pass
        if said.name == "channel.close":
            connection.say(1, "channel.close-ok")
        return said.name == "channel.close"

    # doing

    def _do(self, step: Step) -> None:
        if step.name == "wait":
            ms = step.fields["ms"]
            assert isinstance(ms, int)
            time.sleep(ms / 1000)
            return
        if step.name == "hello":
            self._outcome.lines += special.hello(self._address, step)
            return
        if step.name == "connect":
            self._connect(step)
            return
        line = self._line(step.connection)
        if step.name == "drop":
            line.connection.drop()
            self._lost(step.connection)
            time.sleep(DROP_S)
        elif step.name == "heartbeat":
            line.connection.beat()
        elif step.name in ("raw", "frame"):
            line.connection.send(special.bytes_of(step))
            if "awaits" in step.fields:
                awaited = str(step.fields["awaits"])
                channel = 0 if awaited.startswith("connection.") else step.channel
                self._hear_answer(step.connection, line, channel, (awaited,))
        else:
            self._say(line, step)

    def _connect(self, step: Step) -> None:
        connection, said = special.connect(self._address, step)
        self._outcome.lines += special.greeting_lines(step, connection, said)
        if connection is not None:
            self._lines[step.connection] = _Line(connection)

    def _line(self, name: str) -> _Line:
        if name not in self._lines:
            self._lines[name] = _Line(Connection(self._address, Handshake(f"interop {name}")))
        return self._lines[name]

    def _say(self, line: _Line, step: Step) -> None:
        channel = step.channel
        if channel and channel not in line.open and step.name != "channel.open":
            line.connection.say(channel, "channel.open")
            self._hear_answer(step.connection, line, channel, ("channel.open-ok",))
        if channel:
            line.open.add(channel)
        if step.name == "open":
            return
        said = self._really(line, step)
        if said is None:
            self._note("nothing to settle")
            return
        self._remember(line, step, said)
        line.connection.send(method_frames(channel, said, line.connection.frame_max))
        answers = ANSWERS[step.name]
        if answers and not said.fields.get("no-wait"):
            self._hear_answer(step.connection, line, channel, answers)
        if step.name == "connection.close":
            self._lost(step.connection)
        elif step.name == "channel.close":
            line.forget(channel)

    def _really(self, line: _Line, step: Step) -> Said | None:
        """What is sent, with real names and tags; None if it speaks of a delivery and none is."""
        said = step.said()
        fields = {name: self._names.real(value) for name, value in said.fields.items()}
        properties = {name: self._names.real(value) for name, value in said.properties.items()}
        tag = fields.get("delivery-tag")
        if tag in ("first", "last"):
            unsettled = line.unsettled.get(step.channel)
            if not unsettled:
                return None
            fields["delivery-tag"] = unsettled[0 if tag == "first" else -1]
        return Said(said.name, fields, properties, said.body)

    def _remember(self, line: _Line, step: Step, said: Said) -> None:
        name, channel = step.name, step.channel
        if name in NAMES_IN and said.fields.get("queue"):
            queue = str(said.fields["queue"])
            if not queue.startswith("amq.rabbitmq.reply-to"):
                self._owners.setdefault(queue, "")
            if name == "queue.declare" and said.fields.get("exclusive"):
                self._owners[queue] = self._owners[queue] or step.connection
        elif name == "exchange.declare":
            exchange = str(said.fields.get("exchange", ""))
            if exchange and not exchange.startswith("amq."):
                self._exchanges[exchange] = None
        elif name == "confirm.select":
            line.unconfirmed.setdefault(channel, [])
        elif name == "basic.publish" and channel in line.unconfirmed:
            line.published[channel] = line.published.get(channel, 0) + 1
            line.unconfirmed[channel].append(line.published[channel])
        elif name in ("basic.ack", "basic.nack", "basic.reject"):
            self._settled(line, channel, said)
        elif name in ("basic.recover", "basic.recover-async"):
            line.unsettled.pop(channel, None)

    @staticmethod
    def _settled(line: _Line, channel: int, said: Said) -> None:
        tags = line.unsettled.get(channel, [])
        tag = said.fields.get("delivery-tag", 0)
        assert isinstance(tag, int)
        if said.fields.get("multiple"):
            line.unsettled[channel] = [one for one in tags if tag and one > tag]
        elif tag in tags:
            tags.remove(tag)

    # hearing

    def _hear_answer(
        self, name: str, line: _Line, channel: int, answers: tuple[str, ...]
    ) -> Said | None:
        """Hear the channel until one of `answers` has come, or it or the connection is closed."""
        until = time.monotonic() + ANSWER_S
        while True:
            for heard_on in (channel, 0):
                queue = line.connection.heard.get(heard_on)
                while queue:
                    said = queue.popleft()
                    self._heard(name, line, heard_on, said)
                    if said.name in answers:
                        return said
                    if name not in self._lines or (channel and channel not in line.open
                                                   and said.name == "channel.close"):  # fmt: skip
                        return None
            if line.connection.is_closed:
                self._note(f"{name} < end of the connection")
                self._lost(name)
                return None
            left = until - time.monotonic()
            if left <= 0:
                self._note(f"{name}{channel or ''} < nothing, where {answers[0]} was due")
                return None
            line.connection.read(left)

    def _heard(self, name: str, line: _Line, channel: int, said: Said) -> None:
        """Note what was heard, and do what a client must do about it."""
        step = self._outcome.step
        if said.name == "queue.declare-ok" and not step.fields.get("queue"):
            self._made_up(step, str(said.fields["queue"]))
        elif said.name == "basic.consume-ok" and not step.fields.get("consumer-tag"):
            self._names.learn(str(said.fields["consumer-tag"]))
        elif said.name in ("basic.ack", "basic.nack"):
            self._confirmed(line, channel, said)
            return
        elif said.name in ("basic.deliver", "basic.get-ok"):
            self._delivered(line, channel, said)
        if said.name == "channel.open-ok" and step.name != "channel.open":
            return
        self._note(f"{name}{channel or ''} < {show_said(self._names.shown(said))}")
        if said.name == "channel.close":
            line.connection.say(channel, "channel.close-ok")
            line.forget(channel)
        elif said.name == "connection.close":
            line.connection.say(0, "connection.close-ok")
            line.connection.drop()
            self._lost(name)

    def _made_up(self, step: Step, queue: str) -> None:
        self._names.learn(queue)
        self._owners[queue] = step.connection if step.fields.get("exclusive") else ""

    @staticmethod
    def _delivered(line: _Line, channel: int, said: Said) -> None:
        tag = said.fields["delivery-tag"]
        assert isinstance(tag, int)
        # Deliveries without acknowledgement are remembered too: settling one is a mistake worth
        # making, and the answer is known.
        line.unsettled.setdefault(channel, []).append(tag)

    @staticmethod
    def _confirmed(line: _Line, channel: int, said: Said) -> None:
        tag = said.fields["delivery-tag"]
        assert isinstance(tag, int)
        waiting = line.unconfirmed.get(channel, [])
        tags = [t for t in waiting if t <= tag] if said.fields.get("multiple") else [tag]
        line.unconfirmed[channel] = [one for one in waiting if one not in tags]
        word = "confirmed" if said.name == "basic.ack" else "refused"
        known = [f"{word} {one}" if one in waiting else f"{word} {one} unasked" for one in tags]
        line.settled_confirms.setdefault(channel, []).extend(known)

    def _lost(self, name: str) -> None:
        self._lines.pop(name, None)
        for queue, owner in self._owners.items():
            if owner == name:
                self._owners[queue] = ""

    def _note(self, text: str) -> None:
        self._outcome.lines.append(text)

    # settling

    def _settle(self, step: Step) -> None:
        """Ask around until nothing is new."""
        until = time.monotonic() + CONFIRM_S
        quiet = 0
        states = self._states
        closed = any(".close " in line for line in self._outcome.lines)
        needed = 1 if step.name in AT_ONCE and not closed else SETTLES_IN + closed
        for _ in range(ROUNDS_MAX):
            heard_before = len(self._outcome.lines)
            # Channels first: what they have passed on is then on its way to the queues, and a
            # question that overtakes it there, as RabbitMQ's does, is asked once more.
            self._ask_channels()
            found = self._ask_queues()
            waits = self._waits_for_confirms() and time.monotonic() < until
            is_quiet = found == states and len(self._outcome.lines) == heard_before and not waits
            quiet = quiet + 1 if is_quiet else 0
            states = found
            if quiet >= needed:
                break
        self._order()
        self._note_states(states)

    def _ask_queues(self) -> dict[str, str]:
        """The state of all queues, from those who may ask."""
        asked: dict[str, list[str]] = {}
        for queue, owner in self._owners.items():
            asked.setdefault(owner, []).append(queue)
        found: dict[str, str] = {}
        for owner, queues in asked.items():
            line = self._lines.get(owner, self._watch)
            try:
                found.update(line.probe.ask(queues))
            except (Closing, Gone):
                self._hear_closing(owner, line)  # they are asked in the next round
        return found

    def _ask_channels(self) -> None:
        """Hear all channels up to the answer to a question that changes nothing."""
        for name, line in list(self._lines.items()):
            channels = sorted(line.open)
            for channel in channels:
                line.connection.say(channel, "channel.flow", active=True)
            for channel in channels:
                if channel in line.open and name in self._lines:
                    self._hear_flow(name, line, channel)
            if not channels and name in self._lines:
                self._hear_closing(name, line)

    def _hear_flow(self, name: str, line: _Line, channel: int) -> None:
        before = len(self._outcome.lines)
        self._hear_answer(name, line, channel, ("channel.flow-ok",))
        mine = f"{name}{channel} < channel.flow-ok active"
        if self._outcome.step.name == "channel.flow" and self._outcome.lines.count(mine) == 1:
            before = len(self._outcome.lines)  # the step's own answer stays
        lines = self._outcome.lines
        lines[before:] = [text for text in lines[before:] if text != mine]

    def _hear_closing(self, name: str, line: _Line) -> None:
        """A connection without a channel may have been closed."""
        line.connection.read(0)
        for said in list(line.connection.heard.pop(0, ())):
            self._heard(name, line, 0, said)
        if line.connection.is_closed and name in self._lines:
            self._note(f"{name} < end of the connection")
            self._lost(name)

    def _waits_for_confirms(self) -> bool:
        return any(any(line.unconfirmed.values()) for line in self._lines.values())

    def _order(self) -> None:
        """Put lines in an order that does not depend on who was faster: by channel."""
        for name, line in self._lines.items():
            for channel, confirms in line.settled_confirms.items():
                for text in sorted(confirms):
                    self._note(f"{name}{channel} < {text}")
            line.settled_confirms.clear()
        self._outcome.lines.sort(key=_place_of)

    def _note_states(self, states: dict[str, str]) -> None:
        for queue, state in states.items():
            if self._states.get(queue) != state:
                shown = self._names.shown(Said("", {"queue": queue})).fields["queue"]
                self._note(f"= {shown} {state}")
        self._states = states


def _place_of(line: str) -> tuple[str, int, str]:
    """Where a line belongs: what a delivery has overtaken, or not, is another process's business,
    so answers come first; and consumers of one queue hear of its end in any order."""
    place = line.split(" ", 1)[0]
    if " < basic.cancel " in line:
        return place, 1, line
    return place, 2 if " < basic.deliver " in line else 0, ""


def play_script(address: Address, prefix: str, steps: list[Step]) -> list[Outcome]:
    """Play a whole script on a broker; stops after a step that broke the dialogue."""
    player = Player(address, prefix)
    try:
        return [player.play(step) for step in steps]
    finally:
        player.close()


assert all(name in BY_NAME for name in NAMES_IN)
