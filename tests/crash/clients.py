"""Clients in threads, from one connection until the broker is gone: what they do is seeded."""

import random
import threading
from collections.abc import Callable
from typing import Any

import pika
from pika.adapters.select_connection import SelectConnection
from pika.exceptions import AMQPError, ChannelClosedByBroker

from tests.crash.ledger import Key, Ledger, Transaction, body_of

WORK = ("work-0", "work-1", "work-2", "work-3")
BOTH = "both"  # a fanout exchange to these two
BOTH_QUEUES = ("work-0", "work-3")


def parameters(port: int) -> pika.ConnectionParameters:
    """How to reach the broker."""
    return pika.ConnectionParameters("127.0.0.1", port, heartbeat=0, socket_timeout=20)


def properties(name: str, persistent: bool) -> pika.BasicProperties:
    """What the messages of these tests have."""
    return pika.BasicProperties(message_id=name, delivery_mode=2 if persistent else 1)


class Client(threading.Thread):
    """A thread whose failures, other than the broker's end, are faults in the ledger."""

    def __init__(self, port: int, ledger: Ledger, seed: int, label: str) -> None:
        super().__init__(name=label, daemon=True)
        self.port = port
        self.ledger = ledger
        self.rng = random.Random(seed)
        self.label = label
        self.is_stopping = False

    def run(self) -> None:
        """See Thread."""
        try:
            self.work()
        except ChannelClosedByBroker as error:
            self.ledger.fault("refused", f"{self.label}: {error}")
        except (AMQPError, OSError):
            pass  # the broker is gone
        except Exception as error:
            self.ledger.fault("client", f"{self.label}: {error!r}")

    def work(self) -> None:
        """What the client does."""
        raise NotImplementedError


class AsyncClient(Client):
    """One connection with one channel on pika's own loop."""

    connection: SelectConnection
    channel: Any

    def work(self) -> None:
        """See Client."""
        self.connection = SelectConnection(
            parameters(self.port),
            on_open_callback=lambda c: c.channel(on_open_callback=self._opened),
            on_open_error_callback=lambda c, _: c.ioloop.stop(),
            on_close_callback=lambda c, _: c.ioloop.stop(),
        )
        self.connection.ioloop.start()

    def _opened(self, channel: Any) -> None:
        self.channel = channel
        channel.add_on_close_callback(self._channel_closed)
        self.begin()

    def _channel_closed(self, _: Any, reason: Exception) -> None:
        if isinstance(reason, ChannelClosedByBroker):
            self.ledger.fault("refused", f"{self.label}: {reason}")

    def begin(self) -> None:
        """The channel is open."""
        raise NotImplementedError


class Publisher(AsyncClient):
    """Publishes with confirms, with many of them open at a time."""

    def __init__(self, port: int, ledger: Ledger, seed: int, label: str, is_heavy: bool) -> None:
        super().__init__(port, ledger, seed, label)
        self.is_heavy = is_heavy

    def begin(self) -> None:
        """See AsyncClient."""
        self.number = 0
        self.open: dict[int, list[Key]] = {}
        self.window = 200 if self.is_heavy else self.rng.choice([1, 20, 200])
        self.large = 0.5 if self.is_heavy else self.rng.choice([0.0, 0.05, 0.3])
        self.channel.confirm_delivery(self._answered)
        self._fill()

    def _fill(self) -> None:
        while len(self.open) < self.window and self.channel.is_open and not self.is_stopping:
            self._publish()

    def _publish(self) -> None:
        self.number += 1
        name = f"{self.label}-{self.ledger.epoch}-{self.number}"
        is_large = self.rng.random() < self.large
        size = self.rng.randrange(8000, 60000) if is_large else self.rng.randrange(0, 1500)
        persistent = self.rng.random() < 0.9
        exchange, queue = (BOTH, "") if self.rng.random() < 0.2 else ("", self.rng.choice(WORK))
        keys = [(target, name) for target in (BOTH_QUEUES if exchange else (queue,))]
        self.open[self.number] = keys
        self.ledger.publishing(keys, size, persistent)
        self.channel.basic_publish(
            exchange, queue, body_of(name, size), properties(name, persistent)
        )

    def _answered(self, frame: Any) -> None:
        method = frame.method
        if method.NAME != "Basic.Ack":
            self.ledger.fault("refused", f"{self.label}: {method}")
        first = min(self.open) if method.multiple and self.open else method.delivery_tag
        for tag in range(first, method.delivery_tag + 1):
            self.ledger.confirmed(self.open.pop(tag))
        self._fill()


class Consumer(AsyncClient):
    """Consumes one queue: acks one by one or many at once, requeues, rejects, holds back."""

    def __init__(self, port: int, ledger: Ledger, seed: int, label: str, queue: str) -> None:
        super().__init__(port, ledger, seed, label)
        self.queue = queue

    def begin(self) -> None:
        """See AsyncClient."""
        self.held: dict[int, Key] = {}
        self.prefetch = self.rng.choice([1, 10, 100])
        self.channel.basic_qos(prefetch_count=self.prefetch)
        self.channel.basic_consume(self.queue, self._came)

    def _came(self, channel: Any, method: Any, props: Any, body: bytes) -> None:
        key = (self.queue, props.message_id)
        tag = method.delivery_tag
        self.ledger.delivered(*key, body, method.redelivered)
        if key not in self.ledger.sent:
            return
        self.held[tag] = key
        choice = self.rng.random()
        if choice < 0.04:
            del self.held[tag]
            channel.basic_nack(tag, requeue=True)
        elif choice < 0.08:
            self.ledger.acking([self.held.pop(tag)])
            channel.basic_reject(tag, requeue=False)
        elif choice < 0.7:
            self.ledger.acking([self.held.pop(tag)])
            channel.basic_ack(tag)
        elif choice < 0.8 or len(self.held) >= self.prefetch:
            self.ledger.acking(list(self.held.values()))
            self.held = {}
            channel.basic_ack(tag, multiple=True)


class Transactor(Client):
    """Moves messages from one queue to another in transactions, and adds new ones."""

    def work(self) -> None:
        """See Client."""
        connection = pika.BlockingConnection(parameters(self.port))
        source, target = f"{self.label}-a", f"{self.label}-b"
        number = 0
        while True:
            channel = connection.channel()
            channel.tx_select()
            for _ in range(20):
                number += 1
                if not self._transact(channel, source, target, number):
                    break
            channel.close()

    def _transact(self, channel: Any, source: str, target: str, number: int) -> bool:
        transaction = Transaction(self.ledger.epoch)
        for _ in range(self.rng.randrange(4)):
            method, props, body = channel.basic_get(source)
            if method is None:
                break
            key = (source, props.message_id)
            self.ledger.delivered(*key, body, method.redelivered)
            transaction.acked.append(key)
            channel.basic_ack(method.delivery_tag)
        for place in range(self.rng.randrange(1, 6)):
            name = f"{self.label}-{self.ledger.epoch}-{number}-{place}"
            key = (self.rng.choice([source, target]), name)
            size = self.rng.randrange(3000)
            transaction.published.append(key)
            self.ledger.publishing([key], size, True)
            self.ledger.sent[key].rolled_back = True  # until the commit is on its way
            channel.basic_publish("", key[0], body_of(name, size), properties(name, True))
        if self.rng.random() < 0.1:
            channel.tx_rollback()
            return False
        self.ledger.committing(transaction)
        channel.tx_commit()
        self.ledger.committed(transaction)
        return True


class Names:
    """Durable queues and exchanges: what -ok was promised of each; None = not known."""

    def __init__(self) -> None:
        self.queues: dict[str, int | None] = {f"topo-{i}": -1 for i in range(6)}  # -1 = absent
        self.exchanges: dict[str, bool | None] = {f"topo-{i}": False for i in range(3)}
        self.bindings: dict[tuple[str, str], bool | None] = {}


class Architect(Client):
    """Declares, fills, purges, binds and deletes durable queues and exchanges."""

    def __init__(self, port: int, ledger: Ledger, seed: int, names: Names) -> None:
        super().__init__(port, ledger, seed, "architect")
        self.names = names

    def work(self) -> None:
        """See Client."""
        connection = pika.BlockingConnection(parameters(self.port))
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare("fleeting", durable=False)
        steps: list[Callable[[Any], None]] = [self._queue, self._queue, self._exchange, self._bind]
        while True:
            self.rng.choice(steps)(channel)
            self.ledger.count("definitions")

    def _queue(self, channel: Any) -> None:
        queues = self.names.queues
        name = self.rng.choice(list(queues))
        before = queues[name]
        if before is None:
            return  # until the next audit looks
        queues[name] = None
        if before < 0:
            assert channel.queue_declare(name, durable=True).method.message_count == 0
            queues[name] = 0
            return
        choice = self.rng.random()
        if choice < 0.4:
            channel.basic_publish("", name, b"x", properties("x", True), mandatory=True)
            queues[name] = before + 1
        elif choice < 0.6:
            channel.queue_purge(name)
            queues[name] = 0
        else:
            bindings = [pair for pair in self.names.bindings if pair[1] == name]
            for pair in bindings:
                self.names.bindings[pair] = None
            channel.queue_delete(name)
            queues[name] = -1
            for pair in bindings:
                del self.names.bindings[pair]

    def _exchange(self, channel: Any) -> None:
        exchanges = self.names.exchanges
        name = self.rng.choice(list(exchanges))
        before = exchanges[name]
        if before is None:
            return
        exchanges[name] = None
        if not before:
            channel.exchange_declare(name, "direct", durable=True)
        elif self.rng.random() < 0.3:
            bindings = [pair for pair in self.names.bindings if pair[0] == name]
            for pair in bindings:
                self.names.bindings[pair] = None
            channel.exchange_delete(name)
            for pair in bindings:
                del self.names.bindings[pair]
        else:
            exchanges[name] = True
            return
        exchanges[name] = not before

    def _bind(self, channel: Any) -> None:
        queue = self.rng.choice(list(self.names.queues))
        exchange = self.rng.choice(list(self.names.exchanges))
        count = self.names.queues[queue]
        if count is None or count < 0 or not self.names.exchanges[exchange]:
            return
        bindings = self.names.bindings
        pair = (exchange, queue)
        is_bound = bindings.get(pair, False)
        if is_bound is None:
            return
        bindings[pair] = None
        if is_bound:
            channel.queue_unbind(queue, exchange, f"key-{queue}")
            del bindings[pair]
        else:
            channel.queue_bind(queue, exchange, f"key-{queue}")
            bindings[pair] = True
