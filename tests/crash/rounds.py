"""One data directory through many crashes: work, kill, start again, and an audit now and then."""

import random
import time
from pathlib import Path
from typing import Any

import pika
from pika.exceptions import AMQPError, ChannelClosedByBroker, UnroutableError

from amqpd.server.failpoints import FAILPOINTS
from tests.crash.clients import (
    BOTH,
    BOTH_QUEUES,
    WORK,
    Architect,
    Client,
    Consumer,
    Names,
    Publisher,
    Transactor,
    parameters,
    properties,
)
from tests.crash.ledger import Ledger
from tests.crash.process import BrokerProcess

# Small, so that files roll, pages are written and checkpoints run within a second.
SETTINGS = ("store.segment_bytes=256KiB", "store.waiting_bytes=256KiB", "log.default.level=info")
COUNTS = {"segment-roll": 8, "page-write": 6, "checkpoint-delete": 5}  # need a heavy load
COUNT_MAX = 150
FAILPOINT_PATIENCE_S = 4.0
TRANSACTIONS = ("tx-0-a", "tx-0-b")
BAD_WORDS = ("is damaged", "has failed", "unexpected exception", "Traceback", "last write failed")


class Crashes:
    """The rounds; `ledger` has what came of them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.rng = random.Random(seed)
        self.ledger = Ledger()
        self.names = Names()
        self.hits: dict[str, int] = dict.fromkeys(("timer", *FAILPOINTS), 0)
        self._folder = folder
        self._is_new = True

    def run(self, rounds: int) -> None:
        """Crash so many times; what is left is audited at the end."""
        for number in range(rounds):
            failpoint = ""
            if number % 2:
                name = FAILPOINTS[number // 2 % len(FAILPOINTS)]
                failpoint = f"{name}:{self.rng.randint(1, COUNTS.get(name, COUNT_MAX))}"
            self.round(failpoint, is_audited=number % 4 == 2)
        self.round("", is_audited=True)

    def _start(self, failpoint: str) -> BrokerProcess:
        self.ledger.epoch += 1
        return BrokerProcess(
            self._folder / "data",
            self._folder / "log",
            *SETTINGS,
            environ={"AMQPD_FAILPOINT": failpoint} if failpoint else {},
        )

    def round(self, failpoint: str, *, is_audited: bool) -> None:
        """One life of the broker. Without a failpoint the timer ends it, or the audit."""
        broker = self._start(failpoint)
        try:
            if not broker.is_up():
                if failpoint:
                    self.hits[failpoint.partition(":")[0]] += 1
                else:
                    self.ledger.fault("start", broker.said())
                return
            if not failpoint:
                self._look_around(broker, is_audited)
            if is_audited and self.rng.random() < 0.5:
                if broker.stop() != 0:
                    self.ledger.fault("stop", broker.said())
                self.ledger.finished()
                return
            self._work(broker, failpoint)
        finally:
            broker.kill()
            for words in BAD_WORDS:
                if words in broker.said():
                    self.ledger.fault("log", broker.said())

    def _work(self, broker: BrokerProcess, failpoint: str) -> None:
        clients = self._clients(broker.port, failpoint.partition(":")[0] in COUNTS)
        for client in clients:
            client.start()
        if not failpoint:
            time.sleep(self.rng.uniform(0.05, 1.2))
            self.hits["timer"] += 1
        elif broker.ended_within(FAILPOINT_PATIENCE_S):
            self.hits[failpoint.partition(":")[0]] += 1
        broker.kill()
        for client in clients:
            client.is_stopping = True
            client.join(20)
            if client.is_alive():
                self.ledger.fault("client", f"{client.label} hangs")

    def _clients(self, port: int, is_heavy: bool) -> list[Client]:
        def seed() -> int:
            return self.rng.randrange(1 << 30)

        clients: list[Client] = [
            Publisher(port, self.ledger, seed(), f"publisher-{i}", is_heavy) for i in range(3)
        ]
        for queue in self.rng.sample(WORK, 1 if is_heavy else self.rng.randint(1, 4)):
            clients.append(Consumer(port, self.ledger, seed(), f"consumer-{queue}", queue))
        clients.append(Transactor(port, self.ledger, seed(), "tx-0"))
        clients.append(Architect(port, self.ledger, seed(), self.names))
        return clients

    # -- between two crashes ----------------------------------------------------------------------

    def _look_around(self, broker: BrokerProcess, is_audited: bool) -> None:
        try:
            connection = pika.BlockingConnection(parameters(broker.port))
            if self._is_new:
                self._prepare(connection)
            self._check_names(connection)
            if is_audited:
                for queue in (*WORK, *TRANSACTIONS):
                    self._drain(connection, queue)
                self.ledger.audit()
                self.ledger.count("audits")
            connection.close()
        except (AMQPError, OSError) as error:
            self.ledger.fault("look", repr(error))

    def _prepare(self, connection: Any) -> None:
        channel = connection.channel()
        for queue in (*WORK, *TRANSACTIONS):
            channel.queue_declare(queue, durable=True)
        channel.exchange_declare(BOTH, "fanout", durable=True)
        for queue in BOTH_QUEUES:
            channel.queue_bind(queue, BOTH)
        self._is_new = False

    def _check_names(self, connection: Any) -> None:
        """Compare durable names with what was promised; what was not known is known then."""
        names = self.names
        if _messages(connection, "fleeting") >= 0:
            self.ledger.fault("topology", "a transient queue is there after a restart")
        for queue, count in names.queues.items():
            found = _messages(connection, queue)
            if count is not None and found != count:
                self.ledger.fault("topology", f"{queue}: {found} messages instead of {count}")
            names.queues[queue] = found
        for exchange, there in names.exchanges.items():
            exists = _exchange_exists(connection, exchange)
            if there is not None and exists != there:
                self.ledger.fault("topology", f"exchange {exchange}: {exists} instead of {there}")
            names.exchanges[exchange] = exists
        self._check_bindings(connection)

    def _check_bindings(self, connection: Any) -> None:
        names = self.names
        found: dict[tuple[str, str], bool | None] = {}
        channel = connection.channel()
        channel.confirm_delivery()
        for exchange, exists in names.exchanges.items():
            for queue, count in names.queues.items():
                if not exists or count is None or count < 0:
                    continue
                promised = names.bindings.get((exchange, queue), False)
                try:
                    probe = properties("probe", False)
                    channel.basic_publish(exchange, f"key-{queue}", b"", probe, mandatory=True)
                    channel.queue_purge(queue)
                    names.queues[queue] = 0
                    found[exchange, queue] = True
                except UnroutableError:
                    pass
                is_bound = (exchange, queue) in found
                if promised is not None and promised != is_bound:
                    self.ledger.fault("topology", f"binding {exchange} {queue}: {is_bound}")
        names.bindings = found
        channel.close()

    def _drain(self, connection: Any, queue: str) -> None:
        """Take all that a queue says it has."""
        channel = connection.channel()
        waiting = left = _messages(connection, queue)
        latest: dict[str, list[int]] = {}
        channel.basic_qos(prefetch_count=500)
        if left:
            for method, props, body in channel.consume(queue, inactivity_timeout=15):
                if method is None:
                    self.ledger.fault("lost", f"{queue}: {left} of {waiting} do not come")
                    break
                name = props.message_id
                self.ledger.delivered(queue, name, body, method.redelivered)
                self._check_order(queue, name, latest)
                if (queue, name) in self.ledger.sent:
                    self.ledger.acking([(queue, name)])
                channel.basic_ack(method.delivery_tag)
                left -= 1
                if left == 0:
                    break
            channel.cancel()
        channel.close()
        if _messages(connection, queue) != 0:
            self.ledger.fault("unexpected", f"{queue} has more than it said")

    def _check_order(self, queue: str, name: str, latest: dict[str, list[int]]) -> None:
        words = name.split("-")
        label, place = "-".join(words[:2]), [int(word) for word in words[2:]]
        if place < latest.get(label, [0]):
            self.ledger.fault("unexpected", f"{queue}: {name} behind {latest[label]}")
        latest[label] = place


def _messages(connection: Any, queue: str) -> int:
    """How many messages a queue has; -1 if it does not exist."""
    channel = connection.channel()
    try:
        count = channel.queue_declare(queue, passive=True).method.message_count
    except ChannelClosedByBroker as error:
        assert error.reply_code == 404
        return -1
    channel.close()
    return int(count)


def _exchange_exists(connection: Any, exchange: str) -> bool:
    channel = connection.channel()
    try:
        channel.exchange_declare(exchange, passive=True)
    except ChannelClosedByBroker as error:
        assert error.reply_code == 404
        return False
    channel.close()
    return True
