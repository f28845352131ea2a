"""A broker on a simulated disk, a client, and an oracle, through several lives.

`World(seed).run()` does what the seed says; each life ends in a crash, a kill or a clean stop, and
what is then on the disk is recovered twice: by a broker on a copy of the disk, which is compared
with the oracle and drained, and by the one that lives on.
"""

import random
from collections.abc import Callable
from typing import Any

from pamqp import commands

from amqpd.broker import Broker
from amqpd.core.events import EVENTS
from amqpd.core.exchange import Binding
from amqpd.core.vhost import PREDECLARED
from amqpd.store import pages
from amqpd.store.journal import StoreJournal
from amqpd.store.recovery import Recovery
from amqpd.store.restore import mend
from amqpd.store.segments import SEGMENT_NAME
from amqpd.store.volume import Group
from amqpd.wire import tables
from tests.peers import codec
from tests.peers.memory import RecordingLog
from tests.store import oracle
from tests.store.client import NOW_MS, Client, make_broker
from tests.store.crash_definitions import Definer
from tests.store.oracle import Committed, Copy, Found, Oracle, Posted, Thing
from tests.store.sim_disk import Crashed, SimDisk

TOPOLOGY, CONFIRM, TX, CONSUME, GET = 1, 2, 3, 4, 5
POWER, KILL, CLEAN = "power", "kill", "clean"
BODY = random.Random(0).randbytes(300_000)
NUMBER = "x-number"


def nothing(*heard: Any) -> None:
    """Drop a reply."""


class Swarm:
    """What this seed does, and how much of it."""

    def __init__(self, rng: random.Random) -> None:
        self.is_long = rng.random() < 0.4  # bodies and queues that page
        self.lives = rng.choice((1, 2, 2, 3))
        self.steps = rng.choice((10, 30, 60)) if self.is_long else rng.choice((15, 60, 120))
        self.queues = 1 if self.is_long else rng.choice((1, 2, 4))
        self.highest = rng.choice((0, 0, 2))  # priority of queues
        self.quorum = rng.choice((0.0, 0.0, 0.5, 1.0))  # how many of the durable queues are
        self.segment_bytes = rng.choice((20_000, 100_000, 500_000))
        self.slack_bytes = rng.choice((0, 50_000, 1_000_000))
        self.waiting_bytes_max = rng.choice((100_000, 3_000_000))
        self.persistent = rng.choice((0.5, 0.9, 1.0))
        self.lateness = rng.choice((0.1, 0.4, 0.8))
        self.weights = {name: rng.choice((0, 1, 1, 3)) for name in STEPS}
        self.weights["publish"] = rng.choice((2, 4, 8))
        if rng.random() < 0.25:
            self.weights["define"] = 12
        if self.is_long:
            self.weights["publish"] = 8
            self.weights["delete_queue"] = min(self.weights["delete_queue"], 1) * 0.2
            self.weights["purge"] = min(self.weights["purge"], 1) * 0.3


# Held by a transaction: a message, or a delivery with how it is settled and its tag.
Held = Posted | tuple[Copy, str, int]


class World:
    """See the module. With `crash_at` the machine stops in that operation of the first life."""

    def __init__(self, seed: int, crash_at: int = 0, kill: bool = False) -> None:
        self.rng = random.Random(seed)
        self.swarm = Swarm(self.rng)
        self.crash_at = crash_at
        self.is_kill = kill
        self.disk = SimDisk()
        self.oracle = Oracle()
        self.flight: Group | None = None
        self.flight_settles: list[Copy] = []
        self.asked: list[Copy] = []
        self.number = 0
        self.paged = 0
        self.moved = 0
        self.accepting: Callable[[], None] = nothing
        self.counts: dict[str, int] = {}
        self.definer = Definer(self.rng)

    # -- lives -------------------------------------------------------------------------------------

    def run(self) -> None:
        """Live all lives."""
        self.disk.crash_at = self.crash_at
        for life in range(1 if self.crash_at else self.swarm.lives):
            ending = self._live(life)
            self._check(ending)

    def _live(self, life: int) -> str:
        rng = self.rng
        ending = rng.choice((POWER, POWER, POWER, KILL, KILL, CLEAN))
        if self.crash_at:
            ending = KILL if self.is_kill else POWER
        elif rng.random() < 0.3:  # the machine stops before it is up again, or soon
            self.disk.crash_at = self.disk.operations + rng.randint(1, 12)
        try:
            self._start()
            for _ in range(self.swarm.steps):
                self._step()
            if ending == CLEAN:
                self._stop()
            elif self.flight is not None and rng.random() < 0.7:
                operations = len(self.flight.operations)
                self.disk.crash_at = self.disk.operations + rng.randint(1, operations + 1)
                self._land()
        except Crashed:
            if ending == CLEAN:
                ending = POWER
        if ending == POWER:
            self.disk.crash(rng)
        else:
            self.disk.kill()
        self.flight = None
        self.flight_settles, self.asked = [], []
        return ending

    def _start(self) -> None:
        self.broker = self._recover(self.disk)
        self.accepting()
        self.accepting = nothing
        found = {queue.name: queue.backlog.count for queue in self._vhost().queues.values()}
        assert found == self.counts, "a second recovery finds something else"
        self.definer.begin(self.broker)
        self.client = client = Client(self.broker)
        client.on_delivery = self._delivered
        client.on_confirm = self._confirmed
        client.say(CONFIRM, commands.Confirm.Select, nothing)
        client.say(TX, commands.Tx.Select, nothing)
        self.unconfirmed: dict[int, Posted] = {}
        self.published = 0
        self.held: list[Held] = []
        self.acked: list[Copy] = []
        self.outstanding: dict[int, dict[int, Copy]] = {TX: {}, CONSUME: {}, GET: {}}
        self.consuming: dict[str, Thing] = {}
        self.no_ack: set[str] = set()
        self.queues = {q.name: q for q in self.oracle.queues.values()}
        self.exchanges = {x.name: x for x in self.oracle.exchanges.values()}
        self.bindings = {b.number: b for b in self.oracle.bindings.values()}

    def _recover(self, disk: SimDisk) -> Broker:
        """Start a broker as a server does."""
        swarm = self.swarm
        self.log = RecordingLog()
        journal = StoreJournal(
            disk,
            self.log,
            segment_bytes=swarm.segment_bytes,
            waiting_bytes_max=swarm.waiting_bytes_max,
            slack_bytes=swarm.slack_bytes,
        )
        broker = make_broker(journal, self.log)
        found = Recovery(disk).read()
        mend(found, disk)
        broker.restore(found)
        broker.validate()
        group = broker.take_group()
        assert group is not None
        group.run(disk, True)
        broker.group_done(group, NOW_MS)
        self.found = found
        return broker

    def _stop(self) -> None:
        self.broker.closed(self.client.connection, NOW_MS)
        if self.flight is not None:
            self._land()
        self.broker.stop_store()
        while self._take():
            self._land()

    def _vhost(self) -> Any:
        return self.broker.vhosts["/"]

    # -- groups ------------------------------------------------------------------------------------

    def _take(self) -> bool:
        if self.flight is None:
            self.flight = self.broker.take_group()
            if self.flight is not None:
                self.paged += len(self.flight.pages)
                self.flight_settles, self.asked = self.asked, []
        return self.flight is not None

    def _land(self) -> None:
        group = self.flight
        assert group is not None
        group.run(self.disk, True)
        for copy in self.flight_settles:
            copy.settle = oracle.SAFE
        self.flight = None
        self.broker.group_done(group, NOW_MS)
        self.definer.landed(group.position)
        if self.client.connection.id in self.broker.connections:
            self.client.hear()

    # -- steps -------------------------------------------------------------------------------------

    def _step(self) -> None:
        rng = self.rng
        if not self.queues:
            self.declare_queue()
        name = rng.choices(list(STEPS), [self.swarm.weights[name] for name in STEPS])[0]
        STEPS[name](self)
        assert self.client.closed is None, dict(self.client.closed)
        failures = [fields for _, _, fields in self.log.events if "trace" in fields]
        assert not failures, failures[0]["trace"]
        if rng.random() > self.swarm.lateness:
            self._take()
        if self.flight is not None and rng.random() > self.swarm.lateness:
            self._land()
        if rng.random() < 0.1:
            self.broker.validate()

    def _next(self) -> int:
        self.number += 1
        return self.number

    def declare_queue(self) -> None:
        """Declare a queue that is not there."""
        name = f"q{self.rng.randrange(self.swarm.queues)}"
        if name in self.queues:
            return
        queue = Thing(self._next(), name, self.rng.random() < 0.85)
        queue.is_quorum = queue.durable and self.rng.random() < self.swarm.quorum
        queue.highest = 0 if queue.is_quorum else self.swarm.highest
        more: dict[str, Any] = {"x-max-priority": queue.highest} if queue.highest else {}
        if queue.is_quorum:
            more = {"x-queue-type": "quorum", "x-delivery-limit": 10_000}
        self.oracle.queues[queue.number] = self.queues[name] = queue
        self.client.say(
            TOPOLOGY,
            commands.Queue.Declare,
            _moves(queue, oracle.ASKED, oracle.THERE),
            queue=name,
            durable=queue.durable,
            arguments={NUMBER: queue.number, **more},
        )

    def delete_queue(self) -> None:
        """Delete a queue with all that is in it."""
        queue = self._any_queue()
        del self.queues[queue.name]
        self._forget_bindings(queue)
        queue.state = oracle.LEAVING
        for tag in [tag for tag, q in self.consuming.items() if q is queue]:
            del self.consuming[tag]
        self.client.say(
            TOPOLOGY,
            commands.Queue.Delete,
            _moves(queue, oracle.LEAVING, oracle.GONE),
            queue=queue.name,
        )

    def declare_exchange(self) -> None:
        """Declare an exchange that is not there."""
        name = f"x{self.rng.randrange(2)}"
        if name in self.exchanges:
            return
        exchange = Thing(self._next(), name, self.rng.random() < 0.85)
        exchange.kind = self.rng.choice(("fanout", "direct"))
        self.oracle.exchanges[exchange.number] = self.exchanges[name] = exchange
        self.client.say(
            TOPOLOGY,
            commands.Exchange.Declare,
            _moves(exchange, oracle.ASKED, oracle.THERE),
            exchange=name,
            exchange_type=exchange.kind,
            durable=exchange.durable,
            arguments={NUMBER: exchange.number},
        )

    def delete_exchange(self) -> None:
        """Delete an exchange, and its bindings with it."""
        if not self.exchanges or self.rng.random() < 0.5:
            return
        exchange = self.rng.choice(list(self.exchanges.values()))
        del self.exchanges[exchange.name]
        self._forget_bindings(exchange)
        exchange.state = oracle.LEAVING
        self.client.say(
            TOPOLOGY,
            commands.Exchange.Delete,
            _moves(exchange, oracle.LEAVING, oracle.GONE),
            exchange=exchange.name,
        )

    def _forget_bindings(self, end: Thing) -> None:
        for number, bound in list(self.bindings.items()):
            if end in bound.ends:
                del self.bindings[number]

    def bind(self) -> None:
        """Bind a queue."""
        if not self.exchanges:
            return
        exchange = self.rng.choice(list(self.exchanges.values()))
        queue, key = self._any_queue(), self.rng.choice("ab")
        if any(b.ends == (exchange, queue) and b.name == key for b in self.bindings.values()):
            return
        bound = Thing(self._next(), key, exchange.durable and queue.durable, (exchange, queue))
        self.oracle.bindings[bound.number] = self.bindings[bound.number] = bound
        self.client.say(
            TOPOLOGY,
            commands.Queue.Bind,
            _moves(bound, oracle.ASKED, oracle.THERE),
            queue=queue.name,
            exchange=exchange.name,
            routing_key=key,
        )

    def unbind(self) -> None:
        """Unbind a queue."""
        if not self.bindings:
            return
        bound = self.rng.choice(list(self.bindings.values()))
        del self.bindings[bound.number]
        bound.state = oracle.LEAVING
        self.client.say(
            TOPOLOGY,
            commands.Queue.Unbind,
            _moves(bound, oracle.LEAVING, oracle.GONE),
            queue=bound.ends[1].name,
            exchange=bound.ends[0].name,
            routing_key=bound.name,
        )

    def _any_queue(self) -> Thing:
        return self.rng.choice(list(self.queues.values()))

    def _post(self) -> Posted:
        rng = self.rng
        exchange, key = "", self._any_queue().name
        if self.exchanges and rng.random() < 0.4:
            exchange, key = rng.choice(list(self.exchanges)), rng.choice("ab")
        persistent = rng.random() < self.swarm.persistent
        priority = rng.randrange(4) if self.swarm.highest else 0
        head = codec.encode_properties(
            {
                "delivery_mode": 2 if persistent else 1,
                "priority": priority,
                "message_id": f"m{self.number}",
            }
        )
        if self.swarm.is_long:
            size = rng.randint(100_000, 300_000)
        else:
            size = rng.choice((0, 10, 200, 5000, rng.randrange(40_000)))
        body = b"%08d:" % self._next() + BODY[:size]
        return Posted(body, exchange, key, persistent, head, priority)

    def _accept(self, posted: Posted) -> None:
        """Let a message come to where it is routed now."""
        if posted.exchange == "":
            to = [self.queues[posted.key]] if posted.key in self.queues else []
        else:
            exchange = self.exchanges.get(posted.exchange)
            ways = [b for b in self.bindings.values() if b.ends[0] is exchange]
            is_fanout = exchange is not None and exchange.kind == "fanout"
            to = list(dict.fromkeys(b.ends[1] for b in ways if is_fanout or b.name == posted.key))
        for queue in to:
            copy = Copy(posted, queue, self._next())
            posted.copies.append(copy)
            queue.copies.append(copy)

    def publish(self) -> None:
        """Publish messages, mostly with confirms."""
        for _ in range(self.rng.choice((1, 1, 3))):
            posted = self._post()
            self._accept(posted)
            channel = CONFIRM if self.rng.random() < 0.8 else GET
            if channel == CONFIRM:
                self.published += 1
                self.unconfirmed[self.published] = posted
            self.client.publish(channel, posted.exchange, posted.key, posted.head, posted.body)

    def _confirmed(self, method: Any) -> None:
        last = method.delivery_tag
        for number in [n for n in self.unconfirmed if n == last or (method.multiple and n < last)]:
            self.unconfirmed.pop(number).is_safe_now()

    # -- deliveries --------------------------------------------------------------------------------

    def _copy_of(self, queue: Thing, method: Any, head: bytes, body: bytes) -> Copy:
        for copy in queue.copies:
            if copy.posted.body == body:
                break
        else:
            raise AssertionError(f"{body[:10]!r} comes from {queue.name}")
        assert copy.settle == "", f"{body[:10]!r} was settled"
        assert head == copy.posted.head or (queue.is_quorum and oracle.COUNT in head)
        assert method.redelivered or not copy.was_delivered, f"{body[:10]!r} is a redelivery"
        copy.was_delivered = True
        return copy

    def _delivered(self, channel: int, method: Any, head: bytes, body: bytes) -> None:
        copy = self._copy_of(self.consuming[method.consumer_tag], method, head, body)
        if method.consumer_tag in self.no_ack:
            self._settle(copy)
        else:
            self.outstanding[channel][method.delivery_tag] = copy

    def _settle(self, copy: Copy) -> None:
        copy.settle = oracle.ASKED
        self.asked.append(copy)

    def get(self) -> None:
        """Get messages."""
        channel = self.rng.choice((GET, GET, TX))
        if self.client.expect[TX]:
            channel = GET
        queue, no_ack = self._any_queue(), channel == GET and self.rng.random() < 0.3

        def got(channel: int, method: Any, head: bytes, body: bytes) -> None:
            if method.name == "Basic.GetEmpty":
                return
            copy = self._copy_of(queue, method, head, body)
            if no_ack:
                self._settle(copy)
            else:
                self.outstanding[channel][method.delivery_tag] = copy

        for _ in range(self.rng.choice((1, 2, 6))):
            self.client.say(channel, commands.Basic.Get, got, queue=queue.name, no_ack=no_ack)

    def consume(self) -> None:
        """Start or end a consumer."""
        if self.consuming and self.rng.random() < 0.6:
            tag = self.rng.choice(list(self.consuming))
            self.client.say(CONSUME, commands.Basic.Cancel, nothing, consumer_tag=tag)
            del self.consuming[tag]
            return
        tag = f"c{self._next()}"
        self.consuming[tag] = queue = self._any_queue()
        if self.rng.random() < 0.3:
            self.no_ack.add(tag)
        count = self.rng.choice((1, 3, 10))
        self.client.say(CONSUME, commands.Basic.Qos, nothing, prefetch_count=count)
        self.client.say(
            CONSUME,
            commands.Basic.Consume,
            nothing,
            queue=queue.name,
            consumer_tag=tag,
            no_ack=tag in self.no_ack,
        )

    def settle(self) -> None:
        """Ack, reject or requeue deliveries."""
        channel = self.rng.choice((TX, CONSUME, GET))
        outstanding = self.outstanding[channel]
        if not outstanding:
            return
        tag, multiple = self.rng.choice(list(outstanding)), self.rng.random() < 0.3
        taken = [t for t in outstanding if t == tag or (multiple and t < tag)]
        how = self.rng.choice(("ack", "ack", "reject", "requeue"))
        for each in taken:
            copy = outstanding.pop(each)
            if channel == TX:
                self.held.append((copy, how, each))
            elif how != "requeue":
                self._settle(copy)
        fields = {"delivery_tag": tag, "multiple": multiple}
        if how == "ack":
            self.client.say(channel, commands.Basic.Ack, **fields)
        else:
            self.client.say(channel, commands.Basic.Nack, requeue=how == "requeue", **fields)

    def purge(self) -> None:
        """Purge a queue."""
        queue = self._any_queue()
        out = {c for copies in self.outstanding.values() for c in copies.values()}
        out |= {held[0] for held in self.held if isinstance(held, tuple)}
        for copy in queue.copies:
            if copy not in out and not copy.settle:
                self._settle(copy)
        self.client.say(TOPOLOGY, commands.Queue.Purge, nothing, queue=queue.name)

    def tx(self) -> None:
        """Publish in a transaction, or end it."""
        rng = self.rng
        if rng.random() < 0.6:
            for _ in range(rng.choice((1, 2, 5))):
                posted = self._post()
                self._route_tx(posted)
                self.held.append(posted)
                self.client.publish(TX, posted.exchange, posted.key, posted.head, posted.body)
            return
        held, self.held = self.held, []
        if rng.random() < 0.2:
            for copy, _, tag in (one for one in held if isinstance(one, tuple)):
                self.outstanding[TX][tag] = copy
            self.client.say(TX, commands.Tx.Rollback, nothing)
            return
        posts = [one for one in held if isinstance(one, Posted)]
        for posted in posts:
            for copy in posted.copies:
                copy.order = self._next()
                copy.queue.copies.append(copy)
        settled = [one for one in held if isinstance(one, tuple)]
        acked = [copy for copy, how, _ in settled if how != "requeue"]
        commit = Committed(posts, acked)
        self.oracle.committed.append(commit)
        for copy in acked:
            self._settle(copy)

        def done(method: Any) -> None:
            for posted in posts:
                posted.is_safe_now()

        self.client.say(TX, commands.Tx.Commit, done)

    def _route_tx(self, posted: Posted) -> None:
        """Note where a held publish goes: routed now, there at the commit."""
        self._accept(posted)
        for copy in posted.copies:
            copy.queue.copies.remove(copy)

    def define(self) -> None:
        """Change users, vhosts, permissions, parameters or policies."""
        self.definer.change(self.broker)

    # -- after a life ------------------------------------------------------------------------------

    def _check(self, ending: str) -> None:
        """Compare what is on the disk with the oracle, on a copy of it."""
        disk = self.disk.copy()
        broker = self._recover(disk)
        assert not self.found.damage, [str(damage) for damage in self.found.damage]
        assert ending != CLEAN or self.found.is_clean
        self.definer.compare(broker)
        queues = {_number_of(q): q.name for q in broker.vhosts["/"].queues.values()}
        system = {name for name, _, _ in PREDECLARED} | {"", EVENTS}
        exchanges = {
            _number_of(x): x.name
            for x in broker.vhosts["/"].exchanges.values()
            if x.name not in system
        }
        bindings = {_way_of(bound) for bound in broker.vhosts["/"].bindings()}
        self.oracle.compare_things(queues, exchanges, bindings)
        counts = {q.name: int(q.backlog.count) for q in broker.vhosts["/"].queues.values()}
        back = self._drain(broker, disk, queues, ending == CLEAN)
        assert counts == {queues[n]: len(copies) for n, copies in back.items()}, "counts are wrong"
        self.oracle.compare_commits({copy for copies in back.values() for copy in copies})
        self.counts = counts
        self.accepting = lambda: self.oracle.accept(back, set(exchanges), bindings, ending != CLEAN)

    def _drain(
        self, broker: Broker, disk: SimDisk, queues: dict[int, str], was_clean: bool
    ) -> dict[int, list[Copy]]:
        """Take everything, and see the files go."""
        client = Client(broker)
        back: dict[int, list[Copy]] = {}
        for number, name in queues.items():
            found: list[Found] = []
            empty: list[bool] = []

            def got(
                channel: int, method: Any, head: bytes, body: bytes, to: Any = (found, empty)
            ) -> None:
                if method.name == "Basic.GetEmpty":
                    to[1].append(True)
                else:
                    to[0].append(
                        Found(body, method.exchange, method.routing_key, head, method.redelivered)
                    )

            while not empty:
                client.say(GET, commands.Basic.Get, got, queue=name)
            back[number] = self.oracle.compare(number, found, was_clean)
        broker.validate()
        client.say(GET, commands.Basic.Ack, delivery_tag=0, multiple=True)
        for _ in range(8):
            client.hear()
            group = broker.take_group()
            if group is None:
                break
            group.run(disk, True)
            broker.group_done(group, NOW_MS)
        else:
            raise AssertionError("the journal does not come to rest")
        damaged = [fields for level, _, fields in self.log.events if level == "error"]
        assert not damaged, damaged
        left = disk.names()
        assert not [name for name in left if name.startswith(pages.NAME)], left
        assert len([name for name in left if name.startswith(SEGMENT_NAME)]) <= 2, left
        again = Recovery(disk).read()
        waiting = sum(len(queue.entries) for queue in again.queues.values())
        assert waiting == 0 and not again.pages, "what was drained comes back"
        return back


def _moves(thing: Thing, before: str, after: str) -> Callable[[Any], None]:
    def heard(method: Any) -> None:
        if thing.state == before:
            thing.state = after

    return heard


def _number_of(thing: Any) -> int:
    number = tables.integer(thing.arguments[NUMBER])
    assert number is not None
    return number


def _way_of(bound: Binding) -> tuple[int, int, str]:
    return _number_of(bound.source), _number_of(bound.queue), bound.key


STEPS: dict[str, Callable[[World], None]] = {
    "publish": World.publish,
    "get": World.get,
    "consume": World.consume,
    "settle": World.settle,
    "purge": World.purge,
    "tx": World.tx,
    "declare_queue": World.declare_queue,
    "delete_queue": World.delete_queue,
    "declare_exchange": World.declare_exchange,
    "delete_exchange": World.delete_exchange,
    "bind": World.bind,
    "unbind": World.unbind,
    "define": World.define,
}
