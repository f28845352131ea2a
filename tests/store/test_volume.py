"""Groups: steps are made in order, and the simulated disk keeps and loses what it should."""

import errno
import random

import pytest

from amqpd.store import volume
from amqpd.store.volume import Group
from tests.store.sim_disk import KEEP_ALL, KEEP_NONE, KEEPS, Crashed, SimDisk


def group() -> Group:
    made = Group(1, 10)
    made.add(volume.CREATE, "f", 100)
    made.add(volume.WRITE, "f", 0, b"head")
    made.add(volume.SYNC, "f")
    made.add(volume.SYNC_DIRECTORY)
    made.add(volume.WRITE_SYNCED, "f", 4, b"data")
    made.add(volume.TRUNCATE, "f", 8)
    made.add(volume.DELETE, "old")
    return made


def disk() -> SimDisk:
    made = SimDisk()
    made.put("old", b"old")
    return made


def test_a_group_is_carried_out_in_order() -> None:
    on = disk()
    group().run(on, True)
    kinds = [kind for kind, _ in on.trace]
    assert kinds == [
        "create",
        "write",
        "sync",
        "sync_directory",
        "write",
        "sync",
        "truncate",
        "delete",
    ]
    assert (on.names(), on.read("f", 0, 100)) == (["f"], b"headdata")


def test_without_syncing_nothing_is_synced() -> None:
    on = disk()
    group().run(on, False)
    assert {kind for kind, _ in on.trace} == {"create", "write", "truncate", "delete"}
    assert on.read("f", 0, 100) == b"headdata"


def test_a_failing_step_ends_a_group() -> None:
    on = disk()
    on.fail_at = 5
    with pytest.raises(OSError, match="injected"):
        group().run(on, True)
    assert on.operations == 5 and "old" in on.names()


def test_a_full_disk() -> None:
    on = SimDisk(capacity=50)
    with pytest.raises(OSError, match="no space") as caught:
        group().run(on, True)
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.parametrize("seed", range(30))
def test_what_was_synced_survives_every_crash(seed: int) -> None:
    on = disk()
    on.crash_at = 1 + seed % 8
    with pytest.raises(Crashed):
        group().run(on, True)
    done = on.operations
    on.crash(random.Random(seed), KEEPS[seed % 4])
    if done > 4:
        assert on.read("f", 0, 4) == b"head"
    if done > 6:
        assert on.read("f", 4, 4) == b"data"


def test_a_crash_may_keep_all_or_nothing() -> None:
    for keep, names in ((KEEP_ALL, ["f"]), (KEEP_NONE, ["old"])):
        on = disk()
        on.create("f", 0)
        on.write("f", 0, b"x")
        on.delete("old")
        on.crash(random.Random(0), keep)
        assert on.names() == names


def test_a_killed_process_loses_nothing_but_a_later_crash_may() -> None:
    on = disk()
    on.create("f", 0)
    on.write("f", 0, b"x")
    on.kill()
    assert on.read("f", 0, 9) == b"x"
    copied = on.copy()
    copied.crash(random.Random(0), KEEP_NONE)
    assert copied.names() == ["old"] and on.names() == ["f", "old"]
