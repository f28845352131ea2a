"""What killing real brokers brought out about page files, made small."""

from pathlib import Path

from librt.strings import BytesWriter

from amqpd.core.facts import Facts
from amqpd.core.ports import Log
from amqpd.core.vhost import QueueIds, VHost
from amqpd.store import blocks, definitions, pages, records
from amqpd.store.disk import PosixDisk
from amqpd.store.journal import StoreJournal
from amqpd.store.recovered import Recovered
from amqpd.store.recovery import Recovery, _settle
from amqpd.store.restore import Restorer
from amqpd.store.segments import segment_name


def directory(path: Path, *settled: tuple[int, int, int]) -> PosixDisk:
    """A directory with one queue, and what a segment says of page files: (number, first, last)."""
    out = BytesWriter()
    records.write_record(out, records.SNAPSHOT, b"")
    definitions.write(out, definitions.queue_declared(1, "/", "q", False, {}, 1))
    for number, first, last in settled:
        records.write_range(out, records.PAGE_SETTLED, number, first, last)
    records.write_record(out, records.SNAPSHOT_END, b"")
    disk = PosixDisk(str(path))
    disk.create(segment_name(1), 0)
    header = blocks.file_header(blocks.SEGMENT, 1)
    disk.write(segment_name(1), 0, header + blocks.seal(out.getvalue(), 1))
    return disk


def restored(disk: PosixDisk, found: Recovered) -> StoreJournal:
    """A journal that goes on from there."""
    journal = StoreJournal(disk, Log())
    ids = QueueIds()
    Restorer(found, journal, {"/": VHost("/", journal, ids)}, ids, Facts()).restore()
    return journal


def test_the_number_of_a_file_that_is_gone_is_not_given_again(tmp_path: Path) -> None:
    """An older segment would settle the messages of the next file of that number."""
    disk = directory(tmp_path, (5, 1, 3))
    found = Recovery(disk).read()
    assert found.last_file == 5 and not found.damage
    journal = restored(disk, found)
    assert journal._file_for(1, True, 1, 0).number == 6
    disk.close()


def test_a_page_file_cut_short_at_its_creation_is_no_damage(tmp_path: Path) -> None:
    disk = directory(tmp_path)
    name = pages.page_file_name(7, 1)
    disk.create(name, 0)
    disk.write(name, 0, blocks.file_header(blocks.PAGE_FILE, 7)[:10])
    found = Recovery(disk).read()
    assert found.damage == [] and found.useless == [name] and found.last_file == 7
    disk.close()


def test_a_file_is_settled_only_where_it_has_something(tmp_path: Path) -> None:
    file = pages.PageFile(1, 1, True, 100)
    file.last_seq = 110
    _settle(file, 1, 104)
    _settle(file, 109, 500)
    assert file.settled_ranges() == [(100, 104), (109, 110)]
    _settle(file, 1, 99)
    assert file.settled_ranges() == [(100, 104), (109, 110)]
