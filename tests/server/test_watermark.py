"""Memory and disk alarms: their limits, when they are raised and lifted, whose numbers count."""

import pytest

from amqpd.server import watermark as module
from amqpd.server.settings import WatermarkSettings
from amqpd.server.watermark import Watermark, disk_free_bytes, memory_bytes, resident_bytes

GIB = 1 << 30


class FakeTimer:
    def __init__(self):
        self.cancelled = False

    def cancel(self):
        self.cancelled = True


class FakeLoop:
    """Keeps what is to be called."""

    def __init__(self):
        self.calls = []
        self.timer = FakeTimer()

    def call_soon(self, callback):
        self.calls.append((0, callback))
        return self.timer

    def call_later(self, delay_s, callback):
        self.calls.append((delay_s, callback))
        return self.timer


class FakeTurns:
    def __init__(self):
        self.loop = FakeLoop()
        self.alarms = []
        self.watched = None

    def watch(self, callback, every_bytes):
        self.watched = (callback, every_bytes)

    def set_alarm(self, resource, raised):
        self.alarms.append((resource, raised))


class World:
    """A machine whose memory and disk the test sets."""

    def __init__(self, log, **settings):
        self.used, self.free, self.trims = 0, 100 * GIB, 0
        self.turns = FakeTurns()
        self.watermark = Watermark(
            WatermarkSettings(**settings),
            "data",
            self.turns,
            log,
            used=lambda: self.used,
            free=lambda _: self.free,
            total=lambda: 10 * GIB,
            trim=self.trim,
        )

    def trim(self):
        self.trims += 1

    def check(self, used=None, free=None):
        self.used = self.used if used is None else used
        self.free = self.free if free is None else free
        self.watermark.check()
        alarms, self.turns.alarms = self.turns.alarms, []
        return alarms


@pytest.fixture
def world(recording_log):
    return lambda **settings: World(recording_log, **settings)


def test_the_limit_is_a_share_of_memory_or_absolute(world):
    assert world().watermark.memory_limit_bytes == 4 * GIB
    assert world(memory_relative=0.6).watermark.memory_limit_bytes == 6 * GIB
    assert world(memory_absolute=GIB).watermark.memory_limit_bytes == GIB
    assert world().watermark.disk_limit_bytes == 50_000_000
    assert world(disk_free_relative=1.5).watermark.disk_limit_bytes == 15 * GIB


def test_memory_over_the_limit_raises_and_well_under_it_lifts(world):
    machine = world()
    assert machine.check(used=4 * GIB) == []
    assert machine.check(used=4 * GIB + 1) == [("memory", True)]
    assert machine.check(used=5 * GIB) == []
    assert machine.check(used=4 * GIB - 1) == []
    assert machine.check(used=int(3.8 * GIB)) == [("memory", False)]
    assert machine.check(used=int(3.9 * GIB)) == []


def test_disk_under_the_limit_raises_and_well_over_it_lifts(world):
    machine = world()
    assert machine.check(free=50_000_000) == []
    assert machine.check(free=49_999_999) == [("disk", True)]
    assert machine.check(free=50_000_001) == []
    assert machine.check(free=52_500_000) == [("disk", False)]


def test_both_can_be_short_at_once(world):
    machine = world()
    assert machine.check(used=5 * GIB, free=0) == [("memory", True), ("disk", True)]
    assert machine.watermark.raised == {"memory", "disk"}
    assert machine.check(used=0) == [("memory", False)]


def test_a_limit_of_nothing_stops_all_publishers(world):
    assert world(memory_relative=0.0).check(used=1) == [("memory", True)]


def test_a_disk_that_cannot_be_asked_is_not_short(world):
    assert world().check(free=-1) == []


def test_freed_memory_is_given_back_only_under_the_alarm(world):
    machine = world()
    machine.check(used=1)
    assert machine.trims == 0
    machine.check(used=5 * GIB)
    machine.check()
    assert machine.trims == 1


def test_each_change_is_one_line_with_its_numbers(world, recording_log):
    machine = world()
    machine.check(used=5 * GIB)
    machine.check(used=0)
    assert [(level, fields) for level, _, fields in recording_log.events] == [
        ("warning", {"used_bytes": 5 * GIB, "limit_bytes": 4 * GIB}),
        ("warning", {"used_bytes": 0, "limit_bytes": 4 * GIB}),
    ]


def test_it_is_checked_by_the_clock_and_by_what_comes_in(world):
    machine = world(interval_ms=250, received_bytes=1000)
    loop = machine.turns.loop
    assert machine.turns.watched == (machine.watermark.check, 1000)
    machine.used = 5 * GIB
    loop.calls.pop()[1]()
    assert machine.turns.alarms == [("memory", True)]
    assert loop.calls[-1][0] == 0.25
    machine.watermark.stop()
    assert loop.timer.cancelled


def test_what_comes_in_between_two_checks_finds_room_above_the_disks_limit(world):
    machine = world(disk_free_bytes=80_000_000)
    assert machine.turns.watched == (machine.watermark.check, 10_000_000)
    machine = world(disk_free_bytes=0)
    assert machine.turns.watched == (machine.watermark.check, 64 << 20)


def test_this_process_has_some_memory():
    assert resident_bytes() > 1 << 20
    assert memory_bytes() >= resident_bytes()


def test_memory_that_cannot_be_read_is_0(tmp_path):
    assert resident_bytes(str(tmp_path)) == 0


def cgroups(tmp_path, own, limits):
    """A made-up /proc and /sys/fs/cgroup."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(own)
    for path, limit in limits.items():
        file = tmp_path / "cgroup" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(limit)
    return memory_bytes(str(tmp_path / "proc"), str(tmp_path / "cgroup"))


@pytest.mark.parametrize(
    ("own", "limits", "expected"),
    [
        ("0::/\n", {"memory.max": "1048576\n"}, 1048576),
        ("0::/\n", {"memory.max": "max\n"}, None),
        ("0::/a/b\n", {"a/b/memory.max": "max\n", "a/memory.max": "2097152\n"}, 2097152),
        ("0::/a/b\n", {"a/b/memory.max": "1048576\n", "a/memory.max": "2097152\n"}, 1048576),
        ("4:memory:/x\n", {"memory/x/memory.limit_in_bytes": "1048576\n"}, 1048576),
        ("4:cpu,memory:/\n", {"memory/memory.limit_in_bytes": "1048576\n"}, 1048576),
        ("4:cpu:/x\n", {"memory/x/memory.limit_in_bytes": "1048576\n"}, None),
        ("0::/\n", {"memory.max": "9223372036854771712\n"}, None),
        ("0::/\n", {}, None),
    ],
)
def test_a_cgroup_limit_counts_if_it_is_lower(tmp_path, own, limits, expected):
    everything = cgroups(tmp_path, own, limits)
    assert everything == (expected or memory_bytes("/nowhere", "/nowhere"))


def test_the_disk_is_asked_where_the_folder_will_be(tmp_path):
    assert disk_free_bytes(str(tmp_path / "not" / "yet" / "there")) > 0


def test_a_disk_that_fails_is_unknown(monkeypatch):
    def fail(path):
        raise OSError

    monkeypatch.setattr(module.os, "statvfs", fail)
    assert disk_free_bytes("/") == -1
