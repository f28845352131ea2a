"""The sync thread: groups go one by one, and after a failure none goes any more."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from amqpd.server.flusher import GATHER_BYTES, GATHER_S, Flusher
from amqpd.server.shortcut import QUIET_GROUPS
from amqpd.store.volume import WRITE_SYNCED, Disk, Group


class FailingDisk(Disk):
    """Syncs so many times, then never again."""

    def __init__(self, good: int) -> None:
        super().__init__()
        self.good = good
        self.syncs = 0

    def write_synced(self, name: str, offset: int, data: bytes) -> None:
        """See Disk."""
        self.syncs += 1
        if self.syncs > self.good:
            raise OSError(5, "Input/output error")


class GroupsBroker:
    """Has some groups to write, and writes down what it is told."""

    def __init__(self, groups: int) -> None:
        self.left = groups
        self.told: list[str] = []
        self.is_sync_awaited = True
        self.unsynced_bytes = 0

    def take_group(self) -> Group | None:
        """The next group, of one step."""
        if self.left == 0:
            return None
        self.left -= 1
        group = Group(1, 1)
        group.add(WRITE_SYNCED, "file", 0, b"data")
        return group

    def group_done(self, group: Group, now_ms: int) -> None:
        """See Broker."""
        self.told.append("done")

    def store_failed(self, why: str) -> None:
        """See Broker."""
        self.told.append(why)


def open_shortcut(flusher: Flusher) -> None:
    """Let it look as if every client waited for its confirms."""
    for _ in range(QUIET_GROUPS):
        flusher._shortcut.thread_took(1, False)


FAILED = "OSError: [Errno 5] Input/output error"


@pytest.fixture
def made() -> Iterator[Callable[..., Flusher]]:
    """Makes flushers on a loop that does not run meanwhile."""

    def make(broker: GroupsBroker, disk: FailingDisk) -> Flusher:
        return Flusher(
            broker,  # type: ignore[arg-type]
            disk,
            loop,
            syncing=True,
            on_done=lambda: None,
            clock=lambda: 0,
        )

    loop = asyncio.new_event_loop()
    yield make
    loop.run_until_complete(asyncio.sleep(0))  # the late calls of the thread
    loop.close()


def test_a_stop_writes_what_is_left(made: Callable[..., Flusher]) -> None:
    broker, disk = GroupsBroker(3), FailingDisk(3)
    flusher = made(broker, disk)
    flusher.kick()
    flusher.kick()  # one at a time
    flusher.stop()
    assert disk.syncs == 3 and broker.left == 0


def test_a_stop_writes_nothing_after_a_failure_that_the_loop_has_not_heard_of(
    made: Callable[..., Flusher],
) -> None:
    broker, disk = GroupsBroker(3), FailingDisk(0)
    flusher = made(broker, disk)
    flusher.kick()
    flusher.stop()
    assert disk.syncs == 1 and broker.left == 2
    assert broker.told == [FAILED]


def test_a_failure_in_the_last_groups_is_told(made: Callable[..., Flusher]) -> None:
    broker, disk = GroupsBroker(3), FailingDisk(1)
    flusher = made(broker, disk)
    flusher.kick()
    with pytest.raises(OSError, match="Input/output error"):
        flusher.stop()
    assert disk.syncs == 2


def test_what_nobody_waits_for_gathers_until_somebody_does(made: Callable[..., Flusher]) -> None:
    broker, disk = GroupsBroker(1), FailingDisk(1)
    broker.is_sync_awaited = False
    flusher = made(broker, disk)
    flusher.kick()
    assert broker.left == 1
    broker.is_sync_awaited = True
    flusher.kick()
    assert broker.left == 0
    flusher.stop()
    assert disk.syncs == 1


def test_what_nobody_waits_for_is_sent_when_it_is_much(made: Callable[..., Flusher]) -> None:
    broker = GroupsBroker(1)
    broker.is_sync_awaited = False
    broker.unsynced_bytes = GATHER_BYTES
    flusher = made(broker, FailingDisk(1))
    flusher.kick()
    assert broker.left == 0
    flusher.stop()


def test_what_nobody_waits_for_is_sent_after_a_moment(made: Callable[..., Flusher]) -> None:
    broker, disk = GroupsBroker(2), FailingDisk(2)
    broker.is_sync_awaited = False
    flusher = made(broker, disk)
    flusher.kick()
    flusher._loop.call_later(2 * GATHER_S, flusher._loop.stop)
    flusher._loop.run_forever()
    assert broker.left < 2
    flusher.stop()
    assert disk.syncs == 2


def test_the_loop_syncs_itself_when_that_is_the_quickest_way(made: Callable[..., Flusher]) -> None:
    broker, disk = GroupsBroker(3), FailingDisk(3)
    flusher = made(broker, disk)
    open_shortcut(flusher)
    assert flusher.kick()
    assert (disk.syncs, broker.told) == (1, ["done"])
    broker.is_sync_awaited = False
    broker.unsynced_bytes = GATHER_BYTES
    assert not flusher.kick()  # nobody waits: that is for the thread
    flusher.stop()
    assert disk.syncs == 3


def test_a_failure_in_the_loop_is_final_too(made: Callable[..., Flusher]) -> None:
    broker, disk = GroupsBroker(3), FailingDisk(0)
    flusher = made(broker, disk)
    open_shortcut(flusher)
    assert not flusher.kick()
    assert broker.told == [FAILED]
    assert not flusher.kick()
    flusher.stop()
    assert (disk.syncs, broker.left) == (1, 2)
