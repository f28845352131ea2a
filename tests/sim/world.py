"""Clock, network and faults around a broker, all from one seed: `World(seed).run()`.

Phase one: clients act, bytes travel in pieces, syncs come late, sockets fill up, connections break.
After each call into the broker it is validated and compared with the model. Phase two: the faults
stop, everything arrives, all clients go, and one last consumer must find exactly what is left.
"""

import random
from collections import deque

from pamqp import commands

from amqpd.auth import Users
from amqpd.broker import Broker
from amqpd.core.ports import Entropy, Log
from amqpd.limits import Limits
from amqpd.session.peer import Peer
from tests.peers import codec
from tests.sim import commands as effects
from tests.sim.client import Client, Numbers, Outgoing
from tests.sim.facts import LateJournal, Recovered
from tests.sim.model import SETTLED, ChannelModel, ConnectionModel, ConsumerModel, Expected, Model
from tests.sim.observer import Observer
from tests.sim.swarm import Swarm

STEPS = 1000
TRANSIT_HIGH_BYTES = 3000
REST_TURNS_MAX = 5000


class SeededEntropy(Entropy):
    """Octets from the run's seed."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self._random = rng

    def token(self, count: int) -> bytes:
        """See Entropy."""
        return self._random.randbytes(count)


class StrictLog(Log):
    """Remembers the traces of what went wrong inside the broker."""

    def __init__(self) -> None:
        super().__init__()
        self.traces: list[object] = []

    def event(self, level: str, event: str, fields: dict[str, object]) -> None:
        """See Log."""
        if "trace" in fields:
            self.traces.append(fields["trace"])


class Session:
    """One connection from its client to the broker, and the network between them."""

    def __init__(self, client: Client, mine: ConnectionModel, observer: Observer) -> None:
        self.client = client
        self.mine = mine
        self.observer = observer
        self.connection = observer.connection
        self.wire: deque[Outgoing] = deque()  # on the way to the broker
        self.transit = b""  # on the way to the client
        self.is_over = False  # the broker's end is closed


class World:
    """A broker, its clients, and all that can happen to them."""

    def __init__(self, seed: int) -> None:
        self.random = rng = random.Random(seed)
        self.swarm = Swarm(rng)
        self.now_ms = 1_000_000
        self.journal = LateJournal(is_immediate=self.swarm.is_immediate)
        self.log = StrictLog()
        entropy = SeededEntropy(rng)
        users = Users(entropy)
        users.add("guest", "guest")
        users.permit("guest", "/", ".*", ".*", ".*")
        self.limits = Limits(outbox_bytes=self.swarm.outbox_bytes)
        self.broker = Broker(self.limits, users, self.journal, entropy, self.now_ms, self.log)
        self.model = Model(self.journal)
        self.numbers = Numbers()
        self.sessions: list[Session] = []
        self.is_alarmed = False
        self._port = 40000

    def run(self) -> None:
        """Run both phases."""
        self.sessions = [self.connect(index) for index in range(self.swarm.client_count)]
        self.sessions[0].client.send_all(self.swarm.set_up())
        for _ in range(STEPS):
            self.step()
        self.recover()

    # -- phase one ---------------------------------------------------------------------------------

    def step(self) -> None:
        """Let some things happen."""
        rng, swarm = self.random, self.swarm
        self.now_ms += rng.choice((0, 0, 1, 20))
        session = rng.choice(self.sessions)
        for _ in range(rng.randint(0, 4)):
            session.client.act()
        if rng.random() < 0.7:
            self.carry(rng.choice(self.sessions))
        if rng.random() < swarm.sync_chance:
            self.sync(rng.randint(self.journal.synced, self.journal.position))
        if rng.random() < swarm.turn_chance:
            self.end_turn()
        session = rng.choice(self.sessions)
        if rng.random() >= swarm.slow_reader_chance:
            self.read(session)
        self.let_write(rng.choice(self.sessions))
        self.break_something()
        for index, old in enumerate(self.sessions):
            if old.is_over and rng.random() < 0.2:
                self.sessions[index] = self.connect(old.client.index)

    def break_something(self) -> None:
        """Have an accident, now and then."""
        rng, swarm = self.random, self.swarm
        session = rng.choice(self.sessions)
        if session.is_over:
            return
        if rng.random() < swarm.drop_chance:
            self.drop(session)
        elif rng.random() < swarm.drop_chance / 3 and session.mine.state == "open":
            self.model.close_connection(session.mine, 320)
            text = "CONNECTION_FORCED - Closed via management plugin"
            self.broker.close_connection(session.connection, 320, text, self.now_ms)
            self.look()
        elif rng.random() < swarm.congest_chance:
            self.broker.congested(session.connection)
            session.mine.is_congested = True
            self.look()
        elif rng.random() < swarm.alarm_chance:
            self.alarm(not self.is_alarmed)
        elif rng.random() < 0.005:
            self.now_ms += 40_000
        if 0 <= self.broker.next_deadline_ms() <= self.now_ms:
            self.broker.due(self.now_ms)
            self.look()

    def alarm(self, raised: bool) -> None:
        """Raise or lift the memory alarm."""
        self.is_alarmed = raised
        for session in self.sessions:
            session.observer.is_alarmed = raised
        self.broker.set_alarm("memory", raised, self.now_ms)
        self.look()

    # -- connections -------------------------------------------------------------------------------

    def connect(self, index: int) -> Session:
        """Connect a new client, up to open-ok."""
        client = Client(self.random, self.swarm, self.numbers, index)
        self._port += 1
        peer = Peer("127.0.0.1", self._port, "127.0.0.1", 5672, loopback=True)
        connection = self.broker.connected(peer, self.now_ms)
        mine = ConnectionModel(peer.name, client.frame_max, client.notifies)
        for kind in ("Connection.Start", "Connection.Tune", "Connection.OpenOk"):
            mine.replies.append(Expected(kind))
        self.model.connections.append(mine)
        observer = Observer(self.model, mine, connection)
        observer.is_alarmed = self.is_alarmed
        capabilities = {"consumer_cancel_notify": client.notifies, "connection.blocked": True}
        start_ok = codec.make(
            commands.Connection.StartOk,
            client_properties={"capabilities": capabilities},
            mechanism="PLAIN",
            response=b"\0guest\0guest",
            locale="en_US",
        )
        tune_ok = codec.make(
            commands.Connection.TuneOk,
            channel_max=100,
            frame_max=client.frame_max,
            heartbeat=0,
        )
        opened = codec.make(commands.Connection.Open, virtual_host="/")
        hello = codec.PROTOCOL_HEADER
        hello += b"".join(codec.method_frame(0, method) for method in (start_ok, tune_ok, opened))
        self.broker.receive(connection, hello, self.now_ms)
        observer.look()
        return Session(client, mine, observer)

    def drop(self, session: Session) -> None:
        """A client's socket breaks, with all that was on its way."""
        if session.mine.state == "open":
            self.model.end_connection(session.mine)
        self._close(session, "client unexpectedly closed TCP connection")

    def _close(self, session: Session, why: str = "") -> None:
        """Close the broker's end of a connection that has ended for the model."""
        session.mine.state = "closed"
        session.is_over = True
        self.broker.closed(session.connection, self.now_ms, why)
        self.look()

    # -- network -----------------------------------------------------------------------------------

    def carry(self, session: Session) -> None:
        """Hand the broker some of what a client has sent."""
        rng, connection = self.random, session.connection
        if session.is_over or connection.close_socket:
            return
        if not connection.reading:
            assert self.is_alarmed
            return
        while len(session.wire) < 2 * self.swarm.batch_max:
            taken = session.client.outgoing()
            if not taken:
                break
            session.wire += taken
        data = b""
        done: list[effects.Command] = []
        limit = rng.randint(1, self.swarm.batch_max)
        while session.wire and len(done) < limit:
            frame, number, command = session.wire[0]
            alone = command is not None and self._travels_alone(session, number, command)
            if alone and done:
                break
            session.wire.popleft()
            data += frame
            if command is not None:
                done.append(command)
                self._arrive(session, number, command, alone or limit == 1)
                if alone:
                    break
        if session.wire and rng.random() < self.swarm.split_chance:
            frame, number, command = session.wire[0]
            cut = rng.randrange(len(frame))
            data += frame[:cut]
            session.wire[0] = (frame[cut:], number, command)
        if data:
            self.broker.receive(connection, data, self.now_ms)
            exactly = len(done) == 1 and done[0].method.name not in effects.IN_STEPS
            self.look(exactly and session.mine.state == "open")

    def _travels_alone(self, session: Session, number: int, command: effects.Command) -> bool:
        if number == 0:
            return True
        channel = session.mine.channels.get(number)
        return channel is not None and effects.travels_alone(self.model, channel, command)

    def _arrive(
        self, session: Session, number: int, command: effects.Command, alone: bool
    ) -> None:
        """Tell the model of a command that the broker is about to get."""
        mine, name = session.mine, command.method.name
        if mine.state != "open":
            if mine.state == "closing" and name in ("Connection.Close", "Connection.CloseOk"):
                mine.state = "closed"
                if name == "Connection.Close":
                    mine.replies.append(Expected("Connection.CloseOk"))
        elif name == "Connection.Close":
            self.model.end_connection(mine)
            mine.state = "closed"
            mine.replies.append(Expected("Connection.CloseOk"))
        elif name == "Channel.Open":
            assert number not in mine.channels
            channel = mine.channels[number] = ChannelModel(mine, number)
            channel.expect("Channel.OpenOk")
            session.observer.opened(channel)
        elif number in mine.channels:
            effects.apply(self.model, mine.channels[number], command, alone)
        else:
            assert name == "Channel.CloseOk"  # it crossed with the peer's own close

    def end_turn(self) -> None:
        """End the broker's turn, and take what it has for the sockets."""
        if self.journal.is_immediate:
            self.journal.synced = self.journal.position
        self.broker.end_turn(self.now_ms)
        self.look()
        dirty = set(self.broker.take_dirty())
        for session in self.sessions:
            connection = session.connection
            if session.is_over:
                continue
            assert connection in dirty or not len(connection.outbox), "output, and nobody knows"
            session.transit += session.observer.take()
            if connection.close_socket:
                assert connection in dirty
                self._close(session)
            elif len(session.transit) > TRANSIT_HIGH_BYTES and not session.mine.is_congested:
                self.broker.congested(connection)
                session.mine.is_congested = True
        self._check_confirms()

    def read(self, session: Session) -> None:
        """Let a client read some of what is on its way."""
        rng = self.random
        size = len(session.transit)
        if rng.random() < 0.3 and size:
            size = rng.randint(1, size)
        data, session.transit = session.transit[:size], session.transit[size:]
        session.client.receive(data)

    def let_write(self, session: Session) -> None:
        """Tell the broker that a socket takes bytes again, or that a new turn has begun."""
        if session.is_over:
            return
        mine, connection = session.mine, session.connection
        drained = mine.is_congested and not session.transit
        if drained or (connection.wants_turn and not mine.is_congested):
            mine.is_congested = False
            self.broker.writable(connection, self.now_ms)
            self.look(exactly=True)

    def sync(self, position: int) -> None:
        """The journal is safe up to a position."""
        if self.journal.is_immediate:
            return
        self.journal.synced = position
        self.broker.synced(position, self.now_ms)
        self.look()

    # -- checks ------------------------------------------------------------------------------------

    def look(self, exactly: bool = False) -> None:
        """Compare the broker with the model, after each call."""
        for fill_in in self.model.after:
            fill_in()
        self.model.after.clear()
        assert not self.log.traces, self.log.traces[0]
        for session in self.sessions:
            if not session.is_over:
                session.observer.look()
        self.model.look(exactly)
        self.broker.validate()
        synced_all = self.journal.synced == self.journal.position
        for session in self.sessions:
            if not session.is_over:
                session.observer.check_rest(synced_all)
        self._check_queues()
        if self.random.random() < 0.03:
            self.check_journal()

    def _check_queues(self) -> None:
        """The broker counts what the model counts, and nobody waits who could be served."""
        known = self.broker.vhosts["/"].queues
        assert set(known) == set(self.model.queues)
        exchanges = self.broker.vhosts["/"].exchanges
        declared = {name for name in exchanges if not name.startswith("amq.")}
        assert declared == set(self.model.topology.exchanges)
        for name, queue in self.model.queues.items():
            real = known[name]
            assert real.backlog.count == len(queue.ready), f"{name}: ready"
            assert real.unacked_count == queue.out_count, f"{name}: unacked"
            assert len(real.consumers) == len(queue.consumers), f"{name}: consumers"
            if queue.ready:
                for consumer in queue.consumers:
                    assert not self._could_take(consumer), f"{consumer.tag} waits for nothing"

    def _could_take(self, consumer: ConsumerModel) -> bool:
        mine = consumer.channel.connection
        session = next(session for session in self.sessions if session.mine is mine)
        if mine.is_congested or session.connection.wants_turn or not consumer.has_credit():
            return False
        limit = self.limits.outbox_bytes
        return session.observer.has_room(consumer.channel.number, limit)

    def _check_confirms(self) -> None:
        """At the end of a turn, with everything synced, no confirm is owed."""
        if self.journal.synced < self.journal.position:
            return
        for session in self.sessions:
            for channel in session.mine.channels.values():
                owed = len(channel.published) - channel.confirmed
                assert channel.state != "open" or not owed, f"{owed} confirms are missing"

    def check_journal(self) -> None:
        """A recovery from all of the log would find exactly what the model has."""
        found = Recovered(self.journal.facts)
        due: dict[str, dict[int, int]] = {}
        for queue in self.model.queues.values():
            if queue.durable:
                due[queue.name] = {
                    entry.index: entry.message.number
                    for entry in queue.entries.values()
                    if entry.message.persistent and entry.state != SETTLED
                }
        assert found.contents() == due
        exchanges = self.model.topology.exchanges
        assert set(found.exchanges) == {name for name, x in exchanges.items() if x.durable}
        rows = {
            (source, *row)
            for source, exchange in exchanges.items()
            for row in exchange.rows
            if self.model.topology.is_durable(source, row)
        }
        assert found.bindings == rows

    # -- phase two ---------------------------------------------------------------------------------

    def recover(self) -> None:
        """Stop the faults, let everything arrive, and see that nothing is missing."""
        self.swarm.slow_reader_chance = 0
        self.alarm(False)
        self._rest()
        self.check_journal()
        for session in self.sessions:
            session.client.close()
        self._rest()
        assert all(session.is_over for session in self.sessions)
        assert not self.broker.connections
        self._drain()
        self.check_journal()
        assert not any(Recovered(self.journal.facts).contents().values())

    def _drain(self) -> None:
        """One consumer takes and acks all that is left."""
        self.swarm.batch_max = 1
        last = self.connect(99)
        self.sessions = [last]
        consumes = [
            codec.make(commands.Basic.Consume, queue=name, consumer_tag=f"last-{name}")
            for name in self.model.queues
        ]
        last.client.send_all(consumes)
        self._rest()
        last.client.send_on(1, codec.make(commands.Basic.Ack, delivery_tag=0, multiple=True))
        self._rest()
        assert not any(queue.entries for queue in self.model.queues.values())
        last.client.close()
        self._rest()

    def _rest(self) -> None:
        """Let everything arrive that is on its way."""
        for _ in range(REST_TURNS_MAX):
            before = (self.journal.position, self.model.delivered_count)
            for session in self.sessions:
                self.carry(session)
            self.sync(self.journal.position)
            self.end_turn()
            for session in self.sessions:
                session.client.receive(session.transit)
                session.transit = b""
                self.let_write(session)
            is_busy = any(
                not session.is_over
                and (
                    session.wire
                    or session.client.has_outgoing()
                    or session.connection.wants_turn
                    or session.connection.close_socket
                    or len(session.connection.outbox)
                )
                for session in self.sessions
            )
            if not is_busy and before == (self.journal.position, self.model.delivered_count):
                return
        raise AssertionError("the broker does not come to rest")
