"""Writes the directories that this format leaves: `python -m tests.store.make_fixtures`.

Only for a new format: a directory that an older version wrote is never written again.
"""

import gzip
import json
import sys
from pathlib import Path

from pamqp import commands

from amqpd.store.volume import FORMAT
from tests.store.client import NOW_MS
from tests.store.sim_disk import SimDisk
from tests.store.things import Store

FOLDER = Path(__file__).parent / "fixtures"
PAD = b"." * 150_000


def nothing(*heard: object) -> None:
    """Drop a reply."""


def fill(clean: bool) -> SimDisk:
    """Make a directory with every kind of record, and pages."""
    store = Store(segment_bytes=400_000)
    say = store.client.say
    say(
        1,
        commands.Exchange.Declare,
        nothing,
        exchange="x",
        exchange_type="topic",
        durable=True,
        arguments={"a": 1},
    )
    for queue in ("short", "long", "gone"):
        store.declare(queue)
    say(
        1,
        commands.Queue.Declare,
        nothing,
        queue="arguments",
        durable=True,
        arguments={"x-max-length": 9, "t": {"s": "x", "n": None, "l": [1, True, 1.5]}},
    )
    say(1, commands.Queue.Bind, nothing, queue="short", exchange="x", routing_key="a.*")
    say(1, commands.Queue.Bind, nothing, queue="arguments", exchange="x", routing_key="a.#")
    store.publish("short", b"zero", b"one", b"two")
    store.publish("short", b"transient", persistent=False)
    store.client.publish(2, "x", "a.b", b"\x10\x00\x02", b"both")
    for number in range(30):
        store.publish("long", b"%02d" % number + PAD)
        store.flush()
    store.get("short")
    store.get("short", no_ack=False)
    for _ in range(12):
        store.get("long")
    say(1, commands.Queue.Delete, nothing, queue="gone")
    define(store)
    store.flush()
    if clean:
        store.stop()
    return store.disk


def define(store: Store) -> None:
    """Make a fact of every kind, and some that go again."""
    directory = store.broker.directory(NOW_MS)
    directory.seeded()
    for vhost in ("kept", "dropped"):
        directory.set_vhost(vhost, {"description": "d", "tags": ["a"], "default_queue_type": "x"})
        directory.set_vhost_limits(vhost, {"max-queues": 7})
        directory.set_policy(vhost, "p", "^q", {"max-length": 3}, priority=2, apply_to="queues")
        directory.set_policy(vhost, "o", ".*", {"expires": 30}, operator=True)
        directory.set_parameter(vhost, "federation-upstream", "f", {"uri": "amqp://x"})
        for user in ("alice", "bob"):
            directory.add_user(user, "secret", ("monitoring", "other"))
            directory.set_permissions(user, vhost, "c", "w", "r")
            directory.set_topic_permissions(user, vhost, "x", "tw", "tr")
    directory.set_user_limits("alice", {"max-channels": 5})
    directory.set_global_parameter("cluster_name", "n")
    directory.delete_vhost("dropped")
    directory.delete_user("bob")


def pack(disk: SimDisk) -> bytes:
    """Pack a directory into one short file."""
    names = {name: disk.read(name, 0, 1 << 30).hex() for name in disk.names()}
    return gzip.compress(json.dumps(names).encode(), mtime=0)


def unpack(path: Path) -> SimDisk:
    """Make a disk of a packed directory."""
    disk = SimDisk()
    for name, data in json.loads(gzip.decompress(path.read_bytes())).items():
        disk.put(name, bytes.fromhex(data))
    return disk


def main() -> None:
    """Write those of this format, unless they are there."""
    FOLDER.mkdir(exist_ok=True)
    for kind in ("clean", "crashed"):
        path = FOLDER / f"format-{FORMAT}-{kind}.json.gz"
        if path.exists():
            sys.exit(f"{path} is there already")
        path.write_bytes(pack(fill(kind == "clean")))


if __name__ == "__main__":
    main()
