"""A broker, a client that must not notice anything, and clients that say anything.

After each step: nothing was raised, the broker did not stumble (no trace in its log), its parts are
consistent, and what it said obeys the rules of `listener`. After each conversation nothing is left
of the client that had it, and the healthy client publishes and consumes as ever.
"""

import random
from typing import Any

from pamqp import commands

from amqpd.broker import Broker
from amqpd.core.ports import Journal
from amqpd.limits import Limits
from amqpd.session.channel import Channel as BrokerChannel
from tests.fuzz.listener import Listener
from tests.peers import codec
from tests.peers.channel import Channel
from tests.peers.memory import MemoryLink, MemoryPeer, SeededEntropy

LIMITS: tuple[dict[str, Any], ...] = (
    {},
    {"frame_max": 4096, "message_bytes_max": 5000, "consumer_max_per_channel": 2},
    {"frame_max": 0, "channel_max": 0, "heartbeat_s": 0},
    {"channel_max": 2, "outbox_bytes": 600},
    {"connection_max": 2, "mechanisms": ("PLAIN", "AMQPLAIN", "EXTERNAL")},
)
HEALTHY_QUEUE = "of-the-healthy-client"
HEALTHY_KEY = "healthy.key.that.nobody.guesses"


class LateJournal(Journal):
    """A journal that keeps nothing and is synced when the peer says so."""

    def __init__(self) -> None:
        super().__init__(is_immediate=False)

    def published(self, *fact: Any) -> int:
        """See Journal; all facts are alike here."""
        self.position += 1
        return self.position

    def settled(self, *fact: Any) -> None:
        """See Journal."""
        self.position += 1

    queue_declared = queue_deleted = published  # type: ignore[assignment]
    exchange_declared = exchange_deleted = bound = unbound = published  # type: ignore[assignment]


class LatePeer(MemoryPeer):
    """A broker whose journal is synced late while `is_lazy`, else before the broker rests."""

    def __init__(self, limits: Limits, seed: int) -> None:
        super().__init__(limits, seed)
        self.is_lazy = False
        self._rng = random.Random(seed)
        self._journal = LateJournal()
        self._synced = 0
        users, entropy = self.broker.users, SeededEntropy(seed)
        self.broker = Broker(limits, users, self._journal, entropy, self.now_ms, self.log)

    def _next_turn(self) -> bool:
        again = super()._next_turn()
        position = self._journal.position
        if again or self._synced == position or (self.is_lazy and self._rng.random() < 0.6):
            return again
        self._synced = self._rng.randint(self._synced + 1, position) if self.is_lazy else position
        self.broker.synced(self._synced, self.now_ms)
        return True


class Healthy:
    """A client that publishes with confirms and consumes with acks, two ways each."""

    def __init__(self, peer: MemoryPeer) -> None:
        connection = peer.connect()
        self.connection = connection
        self.producer: Channel = connection.channel()
        self.consumer: Channel = connection.channel()
        self.count = 0
        self.producer.declare(HEALTHY_QUEUE, exclusive=True)
        self.producer.bind(HEALTHY_QUEUE, "amq.topic", "healthy.#")
        self.producer.confirm()
        self.consumer.qos(3)
        self.consumer.consume(HEALTHY_QUEUE)

    def check(self) -> None:
        """Publish a few messages: all are confirmed, and come in order, once, unchanged."""
        bodies = []
        for exchange, key in (("", HEALTHY_QUEUE), ("amq.topic", HEALTHY_KEY)):
            for size in (0, 5, 4500):
                self.count += 1
                bodies.append(self.count.to_bytes(4, "big") + b"x" * size if size else b"")
                self.producer.publish(exchange, key, bodies[-1], delivery_mode=2)
        for body in bodies:
            message = self.consumer.delivery()
            assert message.body == body
            assert not message.redelivered
            self.consumer.ack(message.delivery_tag)
        confirmed = self.count - len(bodies)
        while confirmed < self.count:
            (ack,) = self.producer.take(commands.Basic.Ack)
            assert confirmed < ack.delivery_tag <= self.count
            assert ack.multiple or ack.delivery_tag == confirmed + 1
            confirmed = ack.delivery_tag
        assert self.producer.inbox == self.consumer.inbox == self.connection.zero.inbox == []


class Victim:
    """A client that says anything; `listener` hears the answers."""

    def __init__(self, peer: MemoryPeer) -> None:
        link = peer.link()
        assert isinstance(link, MemoryLink)
        self.link = link
        self.listener = Listener()

    def say(self, data: bytes) -> None:
        """Send bytes, if the broker has not hung up."""
        self.link.send(data)

    def answers(self, rng: random.Random) -> bytes:
        """Return what a sensible client says between two pieces: it opens again, and settles."""
        if self.listener.is_over:
            return b""
        parts = []
        for number in self.listener.closing():
            self.listener.answered(number)
            parts.append(codec.method_frame(number, commands.Channel.CloseOk()))
            parts.append(codec.method_frame(number, commands.Channel.Open()))
        for number, tags in self.listener.delivered():
            if rng.random() < 0.5:
                tag = tags.pop(rng.choice([0, 0, 0, rng.randrange(len(tags))]))
                kind = rng.choice([commands.Basic.Ack] * 3 + [commands.Basic.Reject])
                parts.append(codec.method_frame(number, codec.make(kind, delivery_tag=tag)))
        return b"".join(parts)

    def listen(self) -> None:
        """Take what has come."""
        self.listener.frame_max = self.link.connection.frame_max
        data, self.link.inbox = self.link.inbox, b""
        self.listener.hear(data)


class Arena:
    """One broker with limits of its own; conversations are held in it one after another."""

    def __init__(self, limits: Limits, seed: int = 0) -> None:
        self.peer = LatePeer(limits, seed)
        self.healthy = Healthy(self.peer)
        self.victims: list[Victim] = []
        self._seen_events = 0
        self._is_alarmed = False

    def enter(self) -> Victim:
        """Let another client connect."""
        victim = Victim(self.peer)
        self.victims.append(victim)
        return victim

    def look(self) -> None:
        """Assert what must hold after each step."""
        for level, event, fields in self.peer.log.events[self._seen_events :]:
            assert "trace" not in fields, fields["trace"]
            assert event != "unexpected exception", (level, fields)
        self._seen_events = len(self.peer.log.events)
        self.peer.broker.validate()
        for victim in self.victims:
            victim.listen()

    def set_alarm(self, raised: bool) -> None:
        """Raise or lift the memory alarm; while it is raised the healthy client is held as well."""
        self._is_alarmed = raised
        self.peer.set_alarm("memory", raised)

    def clear(self) -> None:
        """Hang up for all clients, and assert that nothing is left of them."""
        self.peer.is_lazy = False
        self.set_alarm(False)
        ids = [victim.link.connection.id for victim in self.victims]
        for victim in self.victims:
            victim.link.resume_reading()
            victim.link.drop()
        self.peer.run()
        self.look()
        self._assert_released(ids)
        self.victims.clear()
        self.healthy.check()
        self.look()

    def _assert_released(self, ids: list[int]) -> None:
        broker = self.peer.broker
        mine = self.healthy.connection
        assert len(broker.connections) == len(self.peer.links) == 1, broker.connections
        assert broker._context.open_connections == 1
        (left,) = broker.connections.values()
        assert left.channels.keys() == mine.channels.keys()
        windows: dict[int, int] = {}
        for channel in left.channels.values():
            assert isinstance(channel, BrokerChannel)
            assert channel.unacked.count == 0
            windows[channel.number] = len(channel.consumers)
        assert sum(windows.values()) == 1
        for vhost in broker.vhosts.values():
            for queue in vhost.queues.values():
                assert queue.owner in (0, left.id)
                assert len(queue.consumers) == (1 if queue.name == HEALTHY_QUEUE else 0)
                assert queue.unacked_count == 0
                assert not queue.auto_delete or not queue.name.startswith("amq.rabbitmq.reply-to")
        for victim_id in ids:
            assert victim_id not in broker.connections

    def close(self) -> None:
        """End the broker's life; it must have been well to the end."""
        self.clear()
        self.peer.close()


class _Speech:
    """What one client has still to say, in reads of its own width."""

    def __init__(self, victim: Victim, pieces: list[bytes], rng: random.Random) -> None:
        self.victim = victim
        self._pieces = pieces[::-1]
        self._data = b""
        self._rng = rng
        self._width = rng.choice([1, 20, 200, 2000, 100000, 100000])

    def go_on(self) -> bool:
        """Say a little more. Returns whether there is still something to say."""
        rng = self._rng
        if not self._data:
            if rng.random() < 0.8:
                self._data = self.victim.answers(rng)
            for _ in range(rng.choice([1, 1, 2, 5, 20])):
                if self._pieces:
                    self._data += self._pieces.pop()
        size = max(rng.randrange(1, self._width + 1), len(self._data) // 100)
        self.victim.say(self._data[:size])
        self._data = self._data[size:]
        return not self.victim.link.is_ended and bool(self._data or self._pieces)


def hold(arena: Arena, conversations: list[list[bytes]], rng: random.Random) -> None:
    """Hold conversations at the same time, their bytes cut and mixed at random, and more."""
    arena.peer.is_lazy = rng.random() < 0.7
    speeches = [_Speech(arena.enter(), pieces, rng) for pieces in conversations]
    while speeches:
        speech = rng.choice(speeches)
        if not speech.go_on():
            speeches.remove(speech)
        disturb(arena, speech.victim, rng)
        arena.look()
    if rng.random() < 0.1:
        arena.peer.advance(rng.choice([500, 3000, 10000, 130000]))
        arena.look()
    arena.clear()


def disturb(arena: Arena, victim: Victim, rng: random.Random) -> None:
    """Let something happen around the conversations, now and then."""
    chance = rng.random()
    if chance < 0.02:
        victim.link.stop_reading()
    elif chance < 0.06:
        victim.link.resume_reading()
    elif chance < 0.07:
        arena.set_alarm(True)
    elif chance < 0.11:
        arena.set_alarm(False)
    elif chance < 0.12:
        arena.peer.advance(rng.choice([1, 500, 30000]))
    elif chance < 0.13:
        victim.link.drop()
    elif chance < 0.133:
        connection, now_ms = victim.link.connection, arena.peer.now_ms
        arena.peer.broker.close_connection(connection, 320, "CONNECTION_FORCED - enough", now_ms)
        arena.peer.run()
