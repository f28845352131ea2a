"""The way of a message through the exchanges of a vhost."""

from mypy_extensions import i64

from amqpd.core.dice import Dice
from amqpd.core.exchange import Binding, Envelope, Exchange, Home
from amqpd.core.ports import Journal
from amqpd.core.queue import Queue
from amqpd.core.timers import Timers
from amqpd.limits import ROUTE_EXCHANGES_MAX
from amqpd.wire.tables import Table


class Router(Home):
    """The exchanges and queues of a vhost, by name, and which of them a message reaches."""

    def __init__(self, journal: Journal, timers: Timers, dice: Dice) -> None:
        super().__init__(journal, timers, dice)
        self.exchanges: dict[str, Exchange] = {}
        self.queues: dict[str, Queue] = {}

    def route(
        self,
        exchange_name: str,
        keys: list[str],
        headers: Table,
        content: bytes = b"",
        header_bytes: i64 = 0,
    ) -> tuple[list[Queue], bool]:
        """Find the queues that a message reaches, each once, in the order of the bindings.

        Returns (queues, whether more than the keys played a part). The exchange must exist.
        Exchange-to-exchange bindings and alternate exchanges are followed breadth first, each
        exchange once, so cycles end (RabbitMQ: e2e, alternate exchanges). What exchanges keep
        themselves comes last.
        """
        found: dict[str, Queue] = {}
        if exchange_name == "":
            for key in keys:
                if key in self.queues:
                    found[key] = self.queues[key]
            return list(found.values()), False
        by_headers = False
        envelope = Envelope(keys, headers, content, header_bytes)
        seen = {exchange_name}
        waiting = [self.exchanges[exchange_name]]
        for exchange in waiting:  # grows while it is walked
            matched: list[Binding] = []
            by_headers = by_headers or exchange.needs_headers
            envelope.is_held = False
            exchange.route(envelope, matched)
            if not matched and exchange.alternate is not None and not envelope.is_held:
                self._follow(exchange.alternate, seen, waiting)
            for binding in matched:
                queue = binding.queue
                if queue is not None:
                    found[queue.name] = queue
                else:
                    assert binding.exchange is not None
                    self._follow(binding.exchange.name, seen, waiting)
        queues = list(found.values())
        if envelope.kept:
            queues.extend(envelope.kept)
        return queues, by_headers

    def _follow(self, name: str, seen: set[str], waiting: list[Exchange]) -> None:
        """Add an exchange to a route's worklist, if it exists and was not there before."""
        if name not in seen and name in self.exchanges and len(seen) < ROUTE_EXCHANGES_MAX:
            seen.add(name)
            waiting.append(self.exchanges[name])
