"""Messages, entries and small stores to test with."""

from pamqp import commands

from amqpd.broker import Broker
from amqpd.core.consumer import Entry
from amqpd.core.message import Address, Message
from amqpd.store.journal import StoreJournal
from amqpd.store.recovered import Recovered
from amqpd.store.recovery import Recovery
from amqpd.store.restore import mend
from amqpd.wire.frames import largest_frame
from tests.peers import codec
from tests.peers.memory import RecordingLog
from tests.store.client import FRAME_MAX, NOW_MS, Client, make_broker
from tests.store.sim_disk import SimDisk

PERSISTENT = codec.encode_properties({"delivery_mode": 2})
TRANSIENT = codec.encode_properties({"delivery_mode": 1})


def message(body: bytes = b"body", key: str = "q", persistent: bool = True) -> Message:
    """Make a message as a channel would."""
    head = PERSISTENT if persistent else TRANSIENT
    content = codec.content_frames(1, head, body, FRAME_MAX)
    header_bytes = int.from_bytes(content[3:7], "big") + codec.OVERHEAD
    encoded = codec.encode_shortstr("x") + codec.encode_shortstr(key) + b"\xce"
    largest = largest_frame(content, header_bytes)
    address = Address("x", key, encoded)
    return Message(address, content, header_bytes, len(body), largest, 1, persistent)


def entry(seq: int, body: bytes = b"body", persistent: bool = True) -> Entry:
    """Make an entry of a message of its own."""
    return Entry(message(body, persistent=persistent), seq)


class Store:
    """A broker on a disk, and a client of it."""

    def __init__(self, disk: SimDisk | None = None, **bounds: int) -> None:
        self.disk = disk or SimDisk()
        self.log = RecordingLog()
        bounds = {"segment_bytes": 200_000, "waiting_bytes_max": 100_000} | bounds
        self.journal = StoreJournal(self.disk, self.log, **bounds)
        self.broker: Broker = make_broker(self.journal, self.log)
        self.found: Recovered = Recovery(self.disk).read()
        mend(self.found, self.disk)
        self.broker.restore(self.found)
        self.confirmed = 0
        self.connect()
        self.flush()

    def connect(self) -> None:
        """Go on with a new client."""
        self.client = Client(self.broker)
        self.client.on_confirm = self._confirmed
        self.client.say(2, commands.Confirm.Select, lambda method: None)

    def _confirmed(self, method: commands.Basic.Ack) -> None:
        self.confirmed = method.delivery_tag

    def flush(self) -> None:
        """Run groups until there is none."""
        while (group := self.broker.take_group()) is not None:
            group.run(self.disk, True)
            self.broker.group_done(group, NOW_MS)
        self.client.hear()

    def try_flush(self) -> bool:
        """Run groups as the sync thread does. Returns False if the store failed."""
        try:
            self.flush()
        except OSError as error:
            self.broker.store_failed(str(error))
            self.client.hear()
            return False
        return True

    def declare(self, queue: str, durable: bool = True) -> None:
        """Declare a queue; its -ok comes with the next group."""
        self.client.say(
            1, commands.Queue.Declare, lambda method: None, queue=queue, durable=durable
        )

    def publish(self, queue: str, *bodies: bytes, persistent: bool = True) -> None:
        """Publish with confirms."""
        head = PERSISTENT if persistent else TRANSIENT
        for body in bodies:
            self.client.publish(2, "", queue, head, body)

    def get(self, queue: str, no_ack: bool = True) -> tuple[bytes, bool] | None:
        """Get one message: (body, redelivered)."""
        got: list[tuple[bytes, bool]] = []

        def heard(channel: int, method: commands.Basic.GetOk, head: bytes, body: bytes) -> None:
            if method.name == "Basic.GetOk":
                self.tag = method.delivery_tag
                got.append((body, method.redelivered))

        self.client.say(5, commands.Basic.Get, heard, queue=queue, no_ack=no_ack)
        return got[0] if got else None

    def drain(self, queue: str) -> list[bytes]:
        """Get all."""
        bodies = []
        while (got := self.get(queue)) is not None:
            bodies.append(got[0])
        return bodies

    def stop(self) -> None:
        """Stop in good order."""
        self.broker.closed(self.client.connection, NOW_MS)
        self.broker.stop_store()
        while (group := self.broker.take_group()) is not None:
            group.run(self.disk, True)
            self.broker.group_done(group, NOW_MS)

    def queue_names(self) -> list[str]:
        """Names of all queues."""
        return sorted(self.broker.vhosts["/"].queues)
