"""Recovery: whatever became of the files, only published messages come back, and nothing raises."""

import errno
import random

import pytest
from pamqp import commands

from amqpd.store.blocks import FutureFormat, Scan
from amqpd.store.pages import NAME as PAGE_NAME
from amqpd.store.recovery import QUARANTINE_NAME, Recovery
from amqpd.store.segments import SEGMENT_NAME
from tests.store.crash_world import BODY
from tests.store.sim_disk import SimDisk
from tests.store.things import Store

SMALL = [b"%04d" % number for number in range(12)]
LONG = [b"%04d" % number + BODY[:150_000] for number in range(40)]
LAST = [b"9%03d" % number for number in range(4)]


def small() -> SimDisk:
    """A directory of a few short messages, some of them settled, in two segments."""
    store = Store(segment_bytes=1000)
    store.declare("q")
    store.declare("r")
    for body in SMALL:
        store.publish("q", body)
        store.flush()
    store.get("q")
    store.get("q")
    store.client.say(1, commands.Queue.Delete, lambda method: None, queue="r")
    store.flush()
    return store.disk


def long() -> SimDisk:
    """A directory with page files, of which something is settled."""
    store = Store()
    store.declare("q")
    for body in LONG:
        store.publish("q", body)
        store.flush()
    for _ in range(20):
        store.get("q")
    store.publish("q", *LAST)
    store.flush()
    return store.disk


@pytest.fixture(scope="module")
def small_disk() -> SimDisk:
    return small()


@pytest.fixture(scope="module")
def long_disk() -> SimDisk:
    return long()


def spoilt(disk: SimDisk, name: str, data: bytes) -> SimDisk:
    """Copy a disk, with another content of one file."""
    made = disk.copy()
    made.put(name, data)
    return made


def check(disk: SimDisk, published: list[bytes], at_least: int = 0) -> Store | None:
    """Recover, drain, and recover again."""
    try:
        store = Store(disk)
    except FutureFormat:
        return None
    back = [body for name in store.queue_names() for body in store.drain(name)]
    assert set(back) <= set(published) and len(set(back)) == len(back)
    assert back == sorted(back)
    assert len(back) >= at_least
    store.broker.validate()
    store.flush()
    assert not store.journal.failed
    Store(disk)
    return store


def files(disk: SimDisk, prefix: str) -> list[str]:
    return [name for name in disk.names() if name.startswith(prefix)]


def test_all_of_it_is_there(small_disk: SimDisk, long_disk: SimDisk) -> None:
    store = check(small_disk.copy(), SMALL, at_least=10)
    assert store is not None and not store.found.damage
    store = check(long_disk.copy(), LONG + LAST, at_least=24)
    assert store is not None and not store.found.damage
    assert len(files(small_disk, SEGMENT_NAME)) > 1 and files(long_disk, PAGE_NAME)


@pytest.mark.parametrize("bit", [0, 7])
def test_a_flipped_bit_anywhere(small_disk: SimDisk, bit: int) -> None:
    for name in small_disk.names():
        data = small_disk.read(name, 0, 1 << 30)
        for place in range(bit % 3, len(data.rstrip(b"\0")) + 2, 3):
            if place >= len(data):
                break
            bad = bytearray(data)
            bad[place] ^= 1 << bit
            check(spoilt(small_disk, name, bytes(bad)), SMALL)


@pytest.mark.parametrize("what", ["cut", "zeros", "garbage"])
def test_a_file_that_is_spoilt_from_somewhere_on(small_disk: SimDisk, what: str) -> None:
    rng = random.Random(what)
    for name in small_disk.names():
        data = small_disk.read(name, 0, 1 << 30)
        for place in range(0, len(data), 7):
            end = min(len(data), place + rng.choice((5, 50, 5000)))
            fill = bytes(end - place) if what == "zeros" else rng.randbytes(end - place)
            bad = data[:place] if what == "cut" else data[:place] + fill + data[end:]
            check(spoilt(small_disk, name, bad), SMALL)


@pytest.mark.parametrize("seed", range(8))
def test_spoilt_page_files(long_disk: SimDisk, seed: int) -> None:
    rng = random.Random(seed)
    for name in files(long_disk, PAGE_NAME):
        data = long_disk.read(name, 0, 1 << 30)
        heads = [place for place in range(len(data)) if data[place : place + 4] == b"AMQB"]
        for _ in range(6):
            bad = bytearray(data)
            head = rng.choice(heads)
            place = rng.choice(
                (rng.randrange(20), head + rng.randrange(60), rng.randrange(len(data)))
            )
            how = rng.choice(("flip", "cut", "zeros"))
            if how == "flip":
                bad[place] ^= 1 << rng.randrange(8)
            elif how == "cut":
                del bad[place:]
            else:
                bad[place : place + 100] = bytes(100)
            check(spoilt(long_disk, name, bytes(bad)), LONG + LAST)


def test_any_file_may_be_missing(small_disk: SimDisk, long_disk: SimDisk) -> None:
    for disk in (small_disk, long_disk):
        for name in disk.names():
            made = disk.copy()
            made.delete(name)
            check(made, SMALL + LONG + LAST)


def test_a_page_file_that_is_missing_or_cut_short_is_told(long_disk: SimDisk) -> None:
    name = files(long_disk, PAGE_NAME)[0]
    data = long_disk.read(name, 0, 1 << 30)
    pages = [place for place in range(len(data)) if data[place : place + 4] == b"AMQB"]
    cuts = {0: 0, 10: 0, pages[0]: pages[0], pages[1]: pages[1], pages[1] + 99: pages[1]}
    for end, offset in cuts.items():
        store = check(spoilt(long_disk, name, data[:end]), LONG + LAST)
        assert store is not None
        assert [(d.name, d.offset) for d in store.found.damage] == [(name, offset)]
        assert "cut short" in store.found.damage[0].why
    gone = long_disk.copy()
    gone.delete(name)
    store = check(gone, LONG + LAST)
    assert store is not None
    assert [str(d) for d in store.found.damage] == [
        f"{name}, offset 0: missing: its messages are lost"
    ]
    assert not Recovery(gone).read().damage, "told once"


def test_a_page_file_that_went_with_its_messages_is_not_missed(long_disk: SimDisk) -> None:
    store = Store(long_disk.copy())
    assert len(store.drain("q")) == 24
    store.flush()
    assert not files(store.disk, PAGE_NAME)
    assert not Recovery(store.disk).read().damage


def test_the_oldest_segment_is_missed(small_disk: SimDisk) -> None:
    disk = small_disk.copy()
    name = files(disk, SEGMENT_NAME)[0]
    disk.delete(name)
    store = check(disk, SMALL)
    assert store is not None
    (damage,) = store.found.damage
    assert (damage.name, damage.offset) == (name, 0) and "missing" in damage.why


def test_any_file_may_be_empty(small_disk: SimDisk, long_disk: SimDisk) -> None:
    for disk in (small_disk, long_disk):
        for name in disk.names():
            check(spoilt(disk, name, b""), SMALL + LONG + LAST)


def test_damage_says_where_and_is_set_aside(small_disk: SimDisk) -> None:
    name = files(small_disk, SEGMENT_NAME)[0]
    data = bytearray(small_disk.read(name, 0, 1 << 30))
    place = data.index(b"0003")
    data[place] ^= 1
    disk = spoilt(small_disk, name, bytes(data))
    store = check(disk, SMALL, at_least=9)
    assert store is not None
    (damage,) = store.found.damage
    assert damage.name == name and damage.offset < place
    assert [n for n in disk.names() if n.startswith(QUARANTINE_NAME)] == [
        f"{QUARANTINE_NAME}{name}-{damage.offset}"
    ]


def test_a_hole_in_the_last_group_is_a_torn_write_and_is_filled() -> None:
    """A disk may write the end of a group before its beginning."""
    store = Store()
    store.declare("q")
    store.publish("q", b"1")
    store.flush()
    store.publish("q", *[b"2%03d" % number + BODY[:3000] for number in range(40)])
    store.flush()
    disk = store.disk
    (name,) = files(disk, SEGMENT_NAME)
    data = bytearray(disk.read(name, 0, 1 << 30))
    scan = Scan(bytes(data))
    first, second, *_ = [block for block in scan.blocks if block.group == scan.blocks[-1].group]
    data[first.offset : second.end - 100] = bytes(second.end - 100 - first.offset)
    torn = spoilt(disk, name, bytes(data))
    store = Store(torn)
    assert not store.found.damage and not store.found.is_clean
    found = store.drain("q")
    assert found[0] == b"1" and 1 < len(found) < 41
    assert len(Scan(torn.read(name, 0, 1 << 30)).bad) == 0
    assert not Recovery(torn).read().damage


def test_a_queue_that_was_made_again_has_one_definition() -> None:
    """Also where the deletion of the former one is lost in a bad stretch."""
    store = Store()
    store.declare("q")
    store.publish("q", b"old")
    store.flush()
    store.client.say(1, commands.Queue.Delete, lambda method: None, queue="q")
    store.flush()
    place = [block for block in Scan(whole(store)).blocks if block.records][-1].offset
    store.declare("q")
    store.publish("q", b"new")
    store.flush()
    data = bytearray(whole(store))
    data[place + 30] ^= 1
    (name,) = files(store.disk, SEGMENT_NAME)
    store = Store(spoilt(store.disk, name, bytes(data)))
    assert [damage.offset for damage in store.found.damage] == [place]
    assert store.drain("q") == [b"new"]


def whole(store: Store) -> bytes:
    """The only segment of a store."""
    (name,) = files(store.disk, SEGMENT_NAME)
    return store.disk.read(name, 0, 1 << 30)


def test_damage_in_one_queue_does_not_stop_the_others(long_disk: SimDisk) -> None:
    store = Store(long_disk.copy())
    store.declare("other")
    store.publish("other", b"fine")
    store.flush()
    disk = store.disk
    name = files(disk, PAGE_NAME)[0]
    data = bytearray(disk.read(name, 0, 1 << 30))
    data[: len(data)] = bytes(len(data))
    store = Store(spoilt(disk, name, bytes(data)))
    assert store.drain("other") == [b"fine"]


def test_a_format_from_the_future_is_refused_and_left_alone(
    small_disk: SimDisk, long_disk: SimDisk
) -> None:
    for disk, prefix in ((small_disk, SEGMENT_NAME), (long_disk, PAGE_NAME)):
        name = files(disk, prefix)[0]
        data = disk.read(name, 0, 1 << 30)
        made = spoilt(disk, name, data[:8] + b"\0\x09" + data[10:])
        with pytest.raises(FutureFormat, match=name):
            Recovery(made).read()
        assert made.operations == 0


def test_what_cannot_be_read_is_an_os_error(small_disk: SimDisk) -> None:
    class Unreadable(SimDisk):
        def read(self, name: str, offset: int, length: int) -> bytes:
            raise OSError(errno.EIO, "injected")

    disk = Unreadable()
    disk.put("journal-0000000001", b"data")
    with pytest.raises(OSError, match="injected"):
        Recovery(disk).read()


def test_strange_files_are_left_alone(small_disk: SimDisk) -> None:
    disk = small_disk.copy()
    strange = ["journal-old", "page-x", "page-1-2-3", "journal-", "notes.txt"]
    for name in strange:
        disk.put(name, b"mine")
    assert check(disk, SMALL, at_least=10) is not None
    assert set(strange) <= set(disk.names())


def test_what_was_delivered_stays_known_over_a_crash_and_a_clean_stop() -> None:
    store = Store()
    store.declare("q")
    for body in LONG[:30]:
        store.publish("q", body)
        store.flush()
    for _ in range(12):
        store.get("q", no_ack=False)
    for _ in range(3):
        store = Store(store.disk)
        store.stop()
    assert Recovery(store.disk).read().is_clean
    store = Store(store.disk)
    flags = [got[1] for got in iter(lambda: store.get("q"), None)]
    assert len(flags) == 30 and all(flags[:12])


def test_a_number_of_a_page_file_is_not_used_twice() -> None:
    store = Store()
    store.declare("q")
    for body in LONG:
        store.publish("q", body)
        store.flush()
    store.declare("pins")  # the oldest segments stay
    store.publish("pins", b"pin")
    for _ in range(15):
        store.get("q")
    store.flush()
    store = Store(store.disk)
    for _ in range(10):
        store.get("q")
    store.flush()  # snapshots say what of the page file is settled
    store.drain("q")
    store.flush()
    store = Store(store.disk)
    store.declare("r")
    for body in LONG:
        store.publish("r", body)
        store.flush()
    store = Store(store.disk)
    assert store.drain("r") == LONG
