"""The broker called directly by a network that a seed rules: bytes split, coalesced and delayed.

Each connection has bytes on the way in both directions. A step picks some of them at random, hands
over a piece of random size, and ends a turn. What one connection sends arrives in order; nothing
holds between two connections unless a reply was waited for.
"""

import random

from amqpd.limits import Limits
from amqpd.profile import Profile
from amqpd.session.connection import Connection as BrokerConnection
from tests.peers.memory import MemoryLink, MemoryPeer

STEPS_MAX = 1_000_000


class SimLink(MemoryLink):
    """A stream with bytes on the way to the client, in `buffered`, and perhaps its end."""

    is_ending = False  # the broker has said its last


class SimPeer(MemoryPeer):
    """A broker of its own behind a network ruled by a seed."""

    distance = "sim"

    links: dict[BrokerConnection, SimLink]  # type: ignore[assignment]

    def __init__(
        self, seed: int, limits: Limits | None = None, profile: Profile | None = None
    ) -> None:
        super().__init__(limits, seed, profile)
        self._random = random.Random(seed)

    def _new_link(self, connection: BrokerConnection) -> SimLink:
        return SimLink(self, connection)

    def sent(self, link: MemoryLink) -> None:
        """See MemoryPeer: the network may carry it soon, or not."""
        if self._random.random() < 0.3:
            self._step()

    def settle(self, link: MemoryLink) -> None:
        """See MemoryPeer: only until this client has something to read."""
        for _ in range(STEPS_MAX):
            if link.inbox or link.is_ended or not self._step():
                return
        raise AssertionError("the broker does not come to rest")

    def run(self) -> None:
        """See MemoryPeer: let everything arrive."""
        for _ in range(STEPS_MAX):
            if not self._step():
                return
        raise AssertionError("the broker does not come to rest")

    def _step(self) -> bool:
        """Run one turn on some of what is on its way. Returns False if nothing was."""
        rng = self._random
        links = list(self.links.values())
        rng.shuffle(links)
        busy = [link for link in links if self._is_busy(link)]
        for index, link in enumerate(busy):
            if index == 0 or rng.random() < 0.6:
                self._carry(link)
        self.broker.end_turn(self.now_ms)
        dirty = self.broker.take_dirty()
        for connection in dirty:
            found = self.links.get(connection)
            if found is not None:
                found.buffered += found.connection.take()
                found.is_ending = found.connection.close_socket
                self._look(found)
        return bool(busy or dirty)

    def _is_busy(self, link: SimLink) -> bool:
        connection = link.connection
        return (
            bool(link.outgoing and connection.reading)
            or bool(link.buffered and link.is_reading)
            or link.is_dropped
            or link.is_ending
            or (connection.wants_turn and not link.is_congested)
        )

    def _carry(self, link: SimLink) -> None:
        """Carry one piece in one direction, or do what else the connection waits for."""
        rng = self._random
        connection = link.connection
        if link.outgoing and connection.reading and rng.random() < 0.7:
            size = self._piece(len(link.outgoing))
            data, link.outgoing = link.outgoing[:size], link.outgoing[size:]
            self.broker.receive(connection, data, self.now_ms)
        elif link.buffered and link.is_reading:
            size = self._piece(len(link.buffered))
            link.inbox += link.buffered[:size]
            link.buffered = link.buffered[size:]
        if connection.wants_turn and not link.is_congested:
            self.broker.writable(connection, self.now_ms)
        self._look(link)
        if link.is_dropped and (not link.outgoing or not connection.reading):
            self._end(link, "client unexpectedly closed TCP connection")

    def _piece(self, most: int) -> int:
        """Choose how many bytes arrive at once: one, a few, many, or all."""
        rng = self._random
        return min(most, rng.choice((1, rng.randint(1, 12), rng.randint(1, 4096), most)))

    def _look(self, link: SimLink) -> None:
        """Tell the broker of the buffer's state where it changed; end a closed connection."""
        if link.is_ended:
            return
        if not link.is_reading and len(link.buffered) > 65536 and not link.is_congested:
            link.is_congested = True
            self.broker.congested(link.connection)
        elif link.is_congested and not link.buffered:
            link.is_congested = False
            self.broker.writable(link.connection, self.now_ms)
        if link.is_ending and not link.buffered:
            self._end(link)
