"""One client: what it makes up next, and what it knows from what it has read.

It works ahead of the answers, knows of closed channels and of new deliveries only when it has read
of them, and now and then makes a mistake on purpose.
"""

import random
from collections import deque
from typing import Any

from pamqp import commands

from tests.peers import codec
from tests.sim.commands import Command
from tests.sim.model import MessageModel
from tests.sim.swarm import ROUTING_KEYS, Swarm

Basic, Queue, Exchange, Tx = commands.Basic, commands.Queue, commands.Exchange, commands.Tx
Outgoing = tuple[bytes, int, Command | None]  # a frame, its channel, the command that it completes

PENDING_MAX = 12  # frames of a channel that wait to be sent


class ClientChannel:
    """A channel as its client sees it. `state`: opening, open, closing, closed."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.state = "opening"
        self.tags: list[int] = []  # of deliveries to be acked
        self.settled: list[int] = []  # in the open transaction
        self.consumers: list[str] = []
        self.no_ack: set[str] = set()
        self.gets: deque[bool] = deque()  # no-ack of each basic.get without an answer
        self.mode = ""  # "", "confirm" or "tx"
        self.outgoing: deque[tuple[bytes, Command | None]] = deque()


class Numbers:
    """Gives every message of a run a number, and every consumer a tag."""

    def __init__(self) -> None:
        self.last = 0

    def next(self) -> int:
        """Return a number that was not there before."""
        self.last += 1
        return self.last


class Client:
    """A client and its one connection."""

    def __init__(self, rng: random.Random, swarm: Swarm, numbers: Numbers, index: int) -> None:
        self._random = rng
        self._swarm = swarm
        self._numbers = numbers
        self.index = index
        self.frame_max = rng.choice((4096, 4096, 131072))
        self.notifies = rng.random() < 0.8
        self.has_own = False  # has declared its exclusive queue
        self.state = "open"  # then closing, closed
        self.channels: dict[int, ClientChannel] = {}
        self.zero: deque[tuple[bytes, Command | None]] = deque()
        self._reader = codec.FrameReader()
        self._method: Any = None  # of the content that is being read
        self._missing = -1

    # -- commands ----------------------------------------------------------------------------------

    def act(self) -> None:
        """Make up the next command."""
        rng = self._random
        if self.state != "open":
            return
        number = rng.randint(1, self._swarm.channel_count)
        channel = self.channels.get(number)
        if channel is None or (channel.state == "closed" and not channel.outgoing):
            channel = self.channels[number] = ClientChannel(number)
            self._send(channel, codec.make(commands.Channel.Open))
        elif channel.state == "open" and len(channel.outgoing) < PENDING_MAX:
            possible = [name for name in self._swarm.weights if self._makes_sense(channel, name)]
            chosen = self._swarm.choose(rng, possible)
            if chosen is not None:
                getattr(self, f"_{chosen}")(channel)

    def _makes_sense(self, channel: ClientChannel, name: str) -> bool:
        if name in ("ack", "ack_multiple", "nack", "reject"):
            return bool(channel.tags)
        if name in ("commit", "rollback"):
            return channel.mode == "tx"
        if name in ("confirm", "tx"):
            return channel.mode == ""
        if name == "cancel":
            return bool(channel.consumers)
        return name != "consume" or len(channel.consumers) < 3

    def _send(self, channel: ClientChannel, method: Any) -> None:
        frame = codec.method_frame(channel.number, method)
        channel.outgoing.append((frame, Command(method)))

    def send_all(self, methods: list[Any]) -> None:
        """Open channel 1 and send these on it."""
        channel = self.channels[1] = ClientChannel(1)
        self._send(channel, codec.make(commands.Channel.Open))
        for method in methods:
            self._send(channel, method)

    def send_on(self, number: int, method: Any) -> None:
        """Send this on an open channel."""
        self._send(self.channels[number], method)

    def _publish(self, channel: ClientChannel) -> None:
        rng, swarm = self._random, self._swarm
        exchange, key = rng.choice(["", *swarm.exchanges]), rng.choice(ROUTING_KEYS)
        if exchange == "" or rng.random() < 0.3:
            exchange, key = "", rng.choice([*swarm.queues, self.own_queue, "nowhere"])
        fields: dict[str, Any] = {}
        persistent = rng.random() < swarm.persistent_chance
        if persistent or rng.random() < 0.3:
            fields["delivery_mode"] = 2 if persistent else 1
        headers: dict[str, Any] = {}
        if rng.random() < 0.3:
            headers["h"] = rng.choice(("1", "2"))
        if rng.random() < 0.1:
            headers["CC"] = [rng.choice([*ROUTING_KEYS, *swarm.queues])]
        if headers:
            fields["headers"] = headers
        if rng.random() < 0.2:
            fields["message_id"] = "m" * rng.randint(0, 50)
        number = self._numbers.next()
        size = rng.randint(4000, 20000) if rng.random() < swarm.big_chance else rng.randint(8, 60)
        body = b"%08d" % number + bytes((number % 251,)) * (size - 8)
        method = codec.make(
            Basic.Publish, exchange=exchange, routing_key=key, mandatory=rng.random() < 0.3
        )
        properties = codec.encode_properties(fields)
        keys = [key, *headers.get("CC", [])]
        message = MessageModel(
            number, exchange, keys, headers, persistent, method.mandatory, properties, body
        )
        frames = [codec.method_frame(channel.number, method)]
        content = codec.FrameReader()
        content.feed(codec.content_frames(channel.number, properties, body, self.frame_max))
        while (frame := content.next()) is not None:
            frames.append(codec.frame(*frame))
        channel.outgoing += [(data, None) for data in frames[:-1]]
        channel.outgoing.append((frames[-1], Command(method, message)))

    def _one(self, channel: ClientChannel) -> int:
        """Take one delivery to settle, mostly the oldest."""
        rng = self._random
        tag = channel.tags.pop(0 if rng.random() < 0.7 else rng.randrange(len(channel.tags)))
        channel.settled.append(tag)
        return tag

    def _many(self, channel: ClientChannel) -> int:
        """Take all deliveries up to one."""
        tag = self._random.choice(channel.tags)
        channel.settled += [mine for mine in channel.tags if mine <= tag]
        channel.tags = [mine for mine in channel.tags if mine > tag]
        return tag

    def _ack(self, channel: ClientChannel) -> None:
        tag = self._one(channel)
        self._send(channel, codec.make(Basic.Ack, delivery_tag=tag, multiple=False))

    def _ack_multiple(self, channel: ClientChannel) -> None:
        tag = self._many(channel)
        self._send(channel, codec.make(Basic.Ack, delivery_tag=tag, multiple=True))

    def _ack_all(self, channel: ClientChannel) -> None:
        channel.settled += channel.tags
        channel.tags = []
        if self._random.random() < 0.5:
            self._send(channel, codec.make(Basic.Ack, delivery_tag=0, multiple=True))
        else:
            nack = codec.make(Basic.Nack, delivery_tag=0, multiple=True, requeue=True)
            self._send(channel, nack)

    def _nack(self, channel: ClientChannel) -> None:
        multiple = self._random.random() < 0.4
        tag = self._many(channel) if multiple else self._one(channel)
        requeue = self._random.random() < 0.7
        nack = codec.make(Basic.Nack, delivery_tag=tag, multiple=multiple, requeue=requeue)
        self._send(channel, nack)

    def _reject(self, channel: ClientChannel) -> None:
        tag = self._one(channel)
        requeue = self._random.random() < 0.7
        self._send(channel, codec.make(Basic.Reject, delivery_tag=tag, requeue=requeue))

    def _recover(self, channel: ClientChannel) -> None:
        self._send(channel, codec.make(Basic.Recover, requeue=True))

    @property
    def own_queue(self) -> str:
        """The exclusive queue that only this client may use."""
        return f"own{self.index}"

    def _some_queue(self) -> str:
        rng = self._random
        if self.has_own and rng.random() < 0.15:
            return self.own_queue
        if rng.random() < 0.01:
            return f"own{rng.randrange(self._swarm.client_count)}"
        return rng.choice(list(self._swarm.queues))

    def _consume(self, channel: ClientChannel) -> None:
        rng = self._random
        tag = f"c{self._numbers.next()}"
        no_ack = rng.random() < 0.2
        channel.consumers.append(tag)
        if no_ack:
            channel.no_ack.add(tag)
        method = codec.make(
            Basic.Consume,
            queue=self._some_queue(),
            consumer_tag=tag,
            no_ack=no_ack,
            exclusive=rng.random() < 0.03,
            arguments={"x-priority": rng.randint(-1, 1)} if rng.random() < 0.2 else {},
        )
        self._send(channel, method)

    def _cancel(self, channel: ClientChannel) -> None:
        tag = channel.consumers.pop(self._random.randrange(len(channel.consumers)))
        self._send(channel, codec.make(Basic.Cancel, consumer_tag=tag))

    def _get(self, channel: ClientChannel) -> None:
        no_ack = self._random.random() < 0.3
        channel.gets.append(no_ack)
        self._send(channel, codec.make(Basic.Get, queue=self._some_queue(), no_ack=no_ack))

    def _qos(self, channel: ClientChannel) -> None:
        count = self._random.choice((0, 1, 2, 5))
        self._send(channel, codec.make(Basic.Qos, prefetch_count=count, global_=False))

    def _window(self, channel: ClientChannel) -> None:
        count = self._random.choice((0, 1, 3))
        self._send(channel, codec.make(Basic.Qos, prefetch_count=count, global_=True))

    def _confirm(self, channel: ClientChannel) -> None:
        channel.mode = "confirm"
        self._send(channel, codec.make(commands.Confirm.Select))

    def _tx(self, channel: ClientChannel) -> None:
        channel.mode = "tx"
        channel.settled = []
        self._send(channel, codec.make(Tx.Select))

    def _commit(self, channel: ClientChannel) -> None:
        channel.settled = []
        self._send(channel, codec.make(Tx.Commit))

    def _rollback(self, channel: ClientChannel) -> None:
        channel.tags = sorted(channel.tags + channel.settled)
        channel.settled = []
        self._send(channel, codec.make(Tx.Rollback))

    def _declare(self, channel: ClientChannel) -> None:
        rng = self._random
        name = self._some_queue()
        if not self.has_own and rng.random() < 0.1:
            self.has_own, name = True, self.own_queue
        if name.startswith("own"):
            options = {"exclusive": True, "durable": rng.random() < 0.5, "auto_delete": False}
        else:
            options = dict(self._swarm.queues[name])
        if rng.random() < 0.01:
            options["auto_delete"] = not options["auto_delete"]
        passive = rng.random() < 0.05
        self._send(channel, codec.make(Queue.Declare, queue=name, passive=passive, **options))

    def _delete(self, channel: ClientChannel) -> None:
        rng = self._random
        method = codec.make(
            Queue.Delete,
            queue=self._some_queue(),
            if_unused=rng.random() < 0.2,
            if_empty=rng.random() < 0.2,
        )
        self._send(channel, method)
        self._repeat(method)

    def _repeat(self, method: Any) -> None:
        """Now and then, ask for the same on another channel before there is an answer."""
        rng = self._random
        able = [channel for channel in self.channels.values() if channel.state == "open"]
        if able and rng.random() < 0.5:
            self._send(rng.choice(able), method)

    def _purge(self, channel: ClientChannel) -> None:
        self._send(channel, codec.make(Queue.Purge, queue=self._some_queue()))

    def _some_exchange(self) -> str:
        return self._random.choice(list(self._swarm.exchanges))

    def _declare_exchange(self, channel: ClientChannel) -> None:
        rng = self._random
        name = self._some_exchange()
        options = dict(self._swarm.exchanges[name])
        if rng.random() < 0.01:
            options["durable"] = not options["durable"]
        passive = rng.random() < 0.05
        method = codec.make(Exchange.Declare, exchange=name, passive=passive, **options)
        self._send(channel, method)

    def _delete_exchange(self, channel: ClientChannel) -> None:
        rng, name = self._random, self._some_exchange()
        method = codec.make(Exchange.Delete, exchange=name, if_unused=rng.random() < 0.3)
        self._send(channel, method)
        self._repeat(method)

    def _queue_ends(self) -> dict[str, Any]:
        exchange = self._some_exchange()
        key, arguments = self._swarm.key_for(self._random, exchange)
        ends = {"queue": self._some_queue(), "exchange": exchange}
        return ends | {"routing_key": key, "arguments": arguments}

    def _bind(self, channel: ClientChannel) -> None:
        self._send(channel, codec.make(Queue.Bind, **self._queue_ends()))

    def _unbind(self, channel: ClientChannel) -> None:
        self._send(channel, codec.make(Queue.Unbind, **self._queue_ends()))

    def _exchange_ends(self) -> dict[str, Any]:
        source = self._some_exchange()
        key, arguments = self._swarm.key_for(self._random, source)
        ends = {"destination": self._some_exchange(), "source": source}
        return ends | {"routing_key": key, "arguments": arguments}

    def _bind_exchange(self, channel: ClientChannel) -> None:
        self._send(channel, codec.make(Exchange.Bind, **self._exchange_ends()))

    def _unbind_exchange(self, channel: ClientChannel) -> None:
        self._send(channel, codec.make(Exchange.Unbind, **self._exchange_ends()))

    def _close_channel(self, channel: ClientChannel) -> None:
        channel.state = "closing"
        self._send(channel, codec.make(commands.Channel.Close, reply_code=200))

    def _mistake(self, channel: ClientChannel) -> None:
        """Do what the broker must refuse: unknown tags, used names, wrong modes, missing things."""
        rng = self._random
        wrong = [
            codec.make(Basic.Ack, delivery_tag=rng.randint(0, 3), multiple=False),
            codec.make(Basic.Reject, delivery_tag=1_000_000, requeue=True),
            codec.make(Basic.Get, queue="missing"),
            codec.make(Tx.Commit if channel.mode != "tx" else commands.Confirm.Select),
            codec.make(Exchange.Declare, exchange="missing", passive=True),
        ]
        if channel.consumers and rng.random() < 0.2:
            queue, tag = self._some_queue(), channel.consumers[0]
            wrong = [codec.make(Basic.Consume, queue=queue, consumer_tag=tag)]
        chosen = rng.choice(wrong)
        if chosen.name == "Basic.Get":
            channel.gets.append(False)
        self._send(channel, chosen)

    def _close(self, channel: ClientChannel) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Send connection.close behind what was sent, and let go of what was not."""
        self.state = "closing"
        method = codec.make(commands.Connection.Close, reply_code=200)
        self.zero.append((codec.method_frame(0, method), Command(method)))

    # -- network -----------------------------------------------------------------------------------

    def outgoing(self) -> list[Outgoing]:
        """Take the frames that go out next: mostly a whole command, sometimes a part of one."""
        rng = self._random
        busy = [channel for channel in self.channels.values() if channel.outgoing]
        if not busy:
            return self._take_zero()
        channel = rng.choice(busy)
        taken: list[Outgoing] = []
        while channel.outgoing:
            frame, command = channel.outgoing.popleft()
            taken.append((frame, channel.number, command))
            if command is not None or rng.random() < self._swarm.mix_chance:
                break
        return taken

    def has_outgoing(self) -> bool:
        """Say whether something waits to be sent."""
        return bool(self.zero) or any(c.outgoing for c in self.channels.values())

    def _take_zero(self) -> list[Outgoing]:
        if not self.zero:
            return []
        frame, command = self.zero.popleft()
        return [(frame, 0, command)]

    def receive(self, data: bytes) -> None:
        """Read what the broker has sent."""
        self._reader.feed(data)
        while (frame := self._reader.next()) is not None:
            if frame.kind == codec.METHOD:
                self._read(frame.channel, codec.decode_method(frame.payload))

    def _read(self, number: int, method: Any) -> None:
        if number == 0:
            if method.name == "Connection.Close":
                self.state = "closing"
                self.channels.clear()
                self.zero.clear()
                answer = codec.make(commands.Connection.CloseOk)
                self.zero.append((codec.method_frame(0, answer), Command(answer)))
            return
        channel = self.channels.get(number)
        if channel is None:
            return
        if method.name == "Channel.OpenOk":
            channel.state = "open"
        elif method.name == "Channel.CloseOk":
            channel.state = "closed"
        elif method.name == "Channel.Close":
            self._send(channel, codec.make(commands.Channel.CloseOk))
            if channel.state == "open":
                channel.state = "closed"
        elif method.name == "Basic.Deliver" and method.consumer_tag not in channel.no_ack:
            channel.tags.append(method.delivery_tag)
        elif method.name in ("Basic.GetOk", "Basic.GetEmpty"):
            if not channel.gets.popleft() and method.name == "Basic.GetOk":
                channel.tags.append(method.delivery_tag)
        elif method.name == "Basic.Cancel" and method.consumer_tag in channel.consumers:
            channel.consumers.remove(method.consumer_tag)
        elif method.name == "Basic.RecoverOk":
            channel.tags = []
