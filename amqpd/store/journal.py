"""The journal: facts gathered into groups, in segments, of which the old ones are freed.

`published`, `settled` and the rest append records to the group that gathers; `take_group` seals it
for the thread that writes and syncs, while the next one gathers; `group_done` says that it is safe.

Rule 1: an entry's `segment` names where its message lies: a segment (above 0) or a page file
(below 0). `Segment.live` counts the entries that name it. Rule 2: the oldest segments are deleted
when nothing live names them, after the group that made that so; every segment begins with a
snapshot of all definitions and page files, so nothing else in an older one is needed.
Rule 3: consecutive settles of a queue become one record; the run is written before the group ends.
Rule 4: once a write or sync has failed, nothing is ever promised again: `failed` says why, and
what would have to be stored raises HardError 541. What was stored can still be taken.
"""

from typing import Final

from librt.strings import BytesWriter
from mypy_extensions import i64

from amqpd import errors
from amqpd.core.consumer import Entry
from amqpd.core.facts import Facts
from amqpd.core.message import Message
from amqpd.core.ports import Log, Page
from amqpd.core.vhost import QueueIds, VHost
from amqpd.store import blocks, definitions, pages, records
from amqpd.store.defining import DefinitionJournal
from amqpd.store.pages import PageFile, StoredPage
from amqpd.store.records import Addresses, Corrupt
from amqpd.store.segments import Segment, cost_of
from amqpd.store.volume import (
    CREATE,
    DELETE,
    SYNC,
    SYNC_DIRECTORY,
    TRUNCATE,
    WRITE,
    WRITE_SYNCED,
    Disk,
    Group,
)
from amqpd.wire.tables import Table

SEGMENT_BYTES: Final = 67108864
BLOCK_BYTES: Final = 32768  # records gathered before a block is cut
WAITING_BYTES_MAX: Final = 134217728  # memory of all ready entries, above which long queues page
DISK_SLACK_BYTES: Final = 201326592  # journal allowed beyond twice what is live in it
QUEUES_PER_RECORD: Final = 65535


class StoreJournal(DefinitionJournal):
    """The journal of a data directory. `recovery` makes one that goes on from what it found."""

    def __init__(
        self,
        disk: Disk,
        log: Log,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        waiting_bytes_max: int = WAITING_BYTES_MAX,
        slack_bytes: int = DISK_SLACK_BYTES,
    ) -> None:
        super().__init__(is_immediate=False)
        self.waiting_bytes_max = waiting_bytes_max
        self.failed = ""
        self.is_muted = True  # while recovery rebuilds what the journal already says
        self._disk: Final = disk
        self._log: Final = log
        self._vhosts: dict[str, VHost] = {}
        self._queue_ids = QueueIds()
        self._facts = Facts()
        self._segment_bytes: Final = segment_bytes
        self._slack_bytes: Final = slack_bytes
        self._segments: list[Segment] = []
        self._first: i64 = 0  # number of _segments[0]
        self._told_first: i64 = 0  # the same as the records have it
        self._written: list[tuple[PageFile, int]] = []  # by the last group: (file, its bytes)
        self._out = BytesWriter()
        self._in_flight_bytes = 0  # taken with a group that is not done
        self._cuts: list[int] = []
        self._cut_at: i64 = BLOCK_BYTES
        self._together = 0  # how deep in begin and end
        self._is_stopping = False
        self._is_new = False  # the current segment has no file yet
        self._run_queue = 0
        self._run_first: i64 = 0
        self._run_last: i64 = -1
        self._group_number = 0
        self._safe_segment = 0  # newest one whose snapshot is synced
        self._page_writes: list[StoredPage] = []
        self._new_files: list[PageFile] = []
        self._deletes: list[str] = []
        self._dead: list[tuple[int, str]] = []  # (group to be safe first, segment)
        self._files: dict[int, PageFile] = {}
        self._files_of: dict[int, list[PageFile]] = {}
        self._last_file = 0
        self._addresses: Final = Addresses()

    # -- recovery hands over ----------------------------------------------------------------------

    def attach(self, vhosts: dict[str, VHost], queue_ids: QueueIds, facts: Facts) -> None:
        """Learn of what snapshots are to be made."""
        self._vhosts = vhosts
        self._queue_ids = queue_ids
        self._facts = facts

    def adopt_segment(self, number: int, size: int) -> Segment:
        """Take over an old segment, in growing order of numbers."""
        segment = Segment(number)
        segment.size = size
        if not self._segments:
            self._first = number
        assert number == self._first + len(self._segments)
        self._segments.append(segment)
        return segment

    def adopt_file(self, file: PageFile) -> None:
        """Take over an old page file; no more pages go to it."""
        file.told_bytes = file.size
        self._files[file.number] = file
        self._files_of.setdefault(file.queue_id, []).append(file)

    def begin_files_after(self, number: int) -> None:
        """Give new page files higher numbers: older segments may tell what of those is settled."""
        self._last_file = number

    def keep(self, entry: Entry) -> None:
        """Count a recovered entry as live in the segment or page file that it names."""
        if entry.segment > 0:
            segment = self._segments[entry.segment - self._first]
            segment.live += 1
            segment.live_bytes += cost_of(entry.message)

    def begin_writing(self, group_number: int, number: int) -> None:
        """Start a fresh segment behind the adopted ones; appends are taken from now on."""
        self._group_number = group_number
        self.is_muted = False
        if not self._segments:
            self._first = number
        self._segments.append(Segment(number))
        self.segment = number
        self._is_new = True

    # -- appends ----------------------------------------------------------------------------------

    def _require(self) -> None:
        if self.failed:
            raise errors.store_failed()

    def _appended(self) -> int:
        size = len(self._out)
        if size >= self._cut_at and self._together == 0:
            self._cuts.append(int(size))
            self._cut_at = size + BLOCK_BYTES
        self.position += 1
        return self.position

    def published(self, message: Message, queue_ids: list[int], seqs: list[int]) -> int:
        """See Journal."""
        if self.failed:
            raise errors.store_failed()
        count = len(queue_ids)
        segment = self._segments[-1]
        segment.live += count
        segment.live_bytes += count * cost_of(message)
        if count <= QUEUES_PER_RECORD:
            records.write_published(self._out, message, False, queue_ids, seqs)
        else:
            for start in range(0, count, QUEUES_PER_RECORD):
                end = start + QUEUES_PER_RECORD
                records.write_published(
                    self._out, message, False, queue_ids[start:end], seqs[start:end]
                )
        return self._appended()

    def expires(self, queue_id: int, entry: Entry) -> None:
        """See Journal."""
        wall_ms = entry.expires_ms + self.wall_offset_ms
        records.write_range(self._out, records.EXPIRES, queue_id, entry.seq, wall_ms)
        self._appended()

    def returned(self, queue_id: int, entry: Entry) -> None:
        """See Journal. An entry of a page that is to leave for another queue is appended whole."""
        if self.failed:
            return
        if entry.segment > 0 or entry.reason() == 0:
            if entry.segment < 0:
                self._files[-entry.segment].counts[int(entry.seq)] = int(entry.counts)
            self._end_run()
            self._write_returned(queue_id, entry)
            return
        self.begin()
        records.write_published(self._out, entry.message, True, [queue_id], [int(entry.seq)])
        self._leave_old_place(entry)
        segment = self._segments[-1]
        segment.live += 1
        segment.live_bytes += cost_of(entry.message)
        entry.segment = segment.number
        self._appended()
        if entry.expires_ms:
            self.expires(queue_id, entry)
        self._write_returned(queue_id, entry)
        self.end()

    def _write_returned(self, queue_id: int, entry: Entry) -> None:
        counts: i64 = int(entry.counts)
        records.write_range(self._out, records.RETURNED, queue_id, entry.seq, counts)
        self._appended()

    def settled(self, queue_id: int, entry: Entry) -> None:
        """See Journal."""
        number = entry.segment
        if number > 0:
            segment = self._segments[number - self._first]
            segment.live -= 1
            segment.live_bytes -= cost_of(entry.message)
        else:
            file = self._files.get(-number)
            if file is None:
                return  # its queue is gone, and the file with it
            file.live -= 1
            if not file.durable or not entry.message.persistent:
                self._free_file(file)
                return
            file.settle(entry.seq)
        entry.segment = 0
        seq = entry.seq
        if self.failed:
            pass  # it will come again after the restart; nothing gathers that cannot be written
        elif queue_id == self._run_queue and seq == self._run_last + 1:
            self._run_last = seq
        else:
            self._end_run()
            self._run_queue = queue_id
            self._run_first = seq
            self._run_last = seq
            self.position += 1
        if number < 0:
            file = self._files[-number]
            self._free_file(file)

    def _end_run(self) -> None:
        if self._run_last >= self._run_first:
            records.write_range(
                self._out, records.SETTLED, self._run_queue, self._run_first, self._run_last
            )
            self._run_first = 0
            self._run_last = -1
            self._run_queue = 0
            self._appended()

    def begin(self) -> None:
        """See Journal: what is together is one block, good as a whole or not at all."""
        self._together += 1
        if self._together == 1:
            self._end_run()
            self._cut()

    def end(self) -> None:
        """See Journal."""
        assert self._together > 0
        if self._together == 1:
            self._end_run()
            self._cut()
        self._together -= 1

    def _cut(self) -> None:
        size = len(self._out)
        if size and (not self._cuts or self._cuts[-1] != size):
            self._cuts.append(int(size))
        self._cut_at = size + BLOCK_BYTES

    def define(self, table: Table) -> int:
        """See DefinitionJournal."""
        self._end_run()
        if self.is_muted:
            return 0
        self._require()
        definitions.write(self._out, table)
        return self._appended()

    # -- pages ------------------------------------------------------------------------------------

    def page_out(self, queue_id: int, durable: bool, entries: list[Entry], level: int) -> Page:
        """See Journal. The segments that had the entries are not needed for them any more."""
        file = self._file_for(queue_id, durable, entries[0].seq, level)
        block = blocks.seal(
            pages.encode_page(queue_id, entries, self.wall_offset_ms, level), self._group_number + 1
        )
        body_bytes = 0
        for entry in entries:
            body_bytes += int(entry.message.body_bytes)
            self._leave_old_place(entry)
        page = StoredPage(
            file, file.size, len(block), len(entries), body_bytes, block, False, level
        )
        file.size += len(block)
        file.live += len(entries)
        self._page_writes.append(page)
        return page

    def _leave_old_place(self, entry: Entry) -> None:
        """Take an entry that a new page has off what had it before."""
        if entry.segment > 0:
            segment = self._segments[entry.segment - self._first]
            segment.live -= 1
            segment.live_bytes -= cost_of(entry.message)
        elif entry.segment < 0:
            old = self._files[-entry.segment]
            old.live -= 1
            if old.durable and entry.message.persistent:
                old.settle(entry.seq)
                seq = entry.seq
                records.write_range(self._out, records.PAGE_SETTLED, old.number, seq, seq)
                self._appended()
            self._free_file(old)

    def _file_for(self, queue_id: int, durable: bool, first_seq: i64, level: int) -> PageFile:
        """Return the file that takes the next page of a level of a queue."""
        files = self._files_of.setdefault(queue_id, [])
        own = [file for file in files if file.level == level]
        if own and own[-1].size < pages.PAGE_FILE_BYTES and own[-1].is_taking:
            return own[-1]
        self._last_file += 1
        file = PageFile(self._last_file, queue_id, durable, int(first_seq), level)
        file.is_taking = True
        self._files[file.number] = file
        files.append(file)
        self._new_files.append(file)
        return file

    def page_in(self, page: Page) -> list[Entry]:
        """See Journal."""
        assert isinstance(page, StoredPage)
        data, file = page.data, page.file
        try:
            if not data:
                data = self._disk.read(file.name, page.offset, page.length)
                self._disk.will_read(file.name, page.offset + page.length, 4 * page.length)
            block = blocks.block_at(data, 0)
            if block is None:
                raise Corrupt("the checksum is wrong")
            return pages.decode_page(block.records, page, self._addresses, self.wall_offset_ms)
        except (OSError, Corrupt) as error:
            self._log.event(
                "error",
                "a page of waiting messages is damaged and left out",
                {
                    "file": file.name,
                    "offset": page.offset,
                    "queue_id": file.queue_id,
                    "messages": page.count,
                    "why": str(error),
                },
            )
            file.live -= page.count
            file.is_damaged = True  # kept for `amqpd store repair`
            return []

    def page_dropped(self, queue_id: int, page: Page) -> None:
        """See Journal: settles what the page still has."""
        assert isinstance(page, StoredPage)
        for entry in self.page_in(page):
            self.settled(queue_id, entry)

    def queue_gone(self, queue_id: int) -> None:
        """See Journal."""
        for file in self._files_of.pop(queue_id, []):
            del self._files[file.number]
            self._drop(file)

    def _free_file(self, file: PageFile) -> None:
        """Delete a page file that has nothing live any more."""
        if file.live > 0 or file.is_damaged or file.number not in self._files:
            return
        del self._files[file.number]
        self._files_of[file.queue_id].remove(file)
        if file.told_bytes:
            records.write_range(self._out, records.PAGE_FILE_GONE, file.number, 0, 0)
        self._drop(file)

    def _drop(self, file: PageFile) -> None:
        """Delete a file, or do not even write it."""
        self._page_writes = [page for page in self._page_writes if page.file is not file]
        if file in self._new_files:
            self._new_files.remove(file)
        elif not file.is_damaged:
            self._deletes.append(file.name)

    # -- groups -----------------------------------------------------------------------------------

    @property
    def unsynced_bytes(self) -> int:
        """How much has been appended that is not safe yet."""
        return int(len(self._out)) + self._in_flight_bytes

    def take_group(self) -> Group | None:
        """Return what gathered since the last call, to be run on the disk; None if nothing did."""
        self._end_run()
        size = len(self._out)
        if self.failed:
            return None
        if size == 0 and not self._page_writes and not self._deletes and not self._is_new:
            if not self._dead:
                return None
        self._group_number += 1
        group = Group(self._group_number, self.position)
        self._tell_files()
        self._add_pages(group)
        self._add_records(group, size > 0)
        for name in self._deletes:
            group.add(DELETE, name)
        if self._deletes:
            group.add(SYNC_DIRECTORY)
            self._deletes = []
        while self._dead and self._dead[0][0] < group.number:
            group.add(DELETE, self._dead[0][1])
            group.add(SYNC_DIRECTORY)  # in order: no settle may go before its publish
            del self._dead[0]
        return group

    def _tell_files(self) -> None:
        """Append what is safe of page files by now, and which segments are needed."""
        for file, size in self._written:
            if file.durable and file.number in self._files:
                file.told_bytes = size
                records.write_range(self._out, *file.told())
        if self._first != self._told_first:
            self._told_first = self._first
            records.write_range(self._out, records.OLDEST_SEGMENT, int(self._first), 0, 0)

    def _add_pages(self, group: Group) -> None:
        touched: dict[int, PageFile] = {}
        for file in self._new_files:
            group.add(CREATE, file.name)
            header = blocks.file_header(blocks.PAGE_FILE, file.number)
            group.add(WRITE, file.name, 0, header)
        for page in self._page_writes:
            group.add(WRITE, page.file.name, page.offset, page.data)
            touched[page.file.number] = page.file
        for file in touched.values():
            group.add(SYNC, file.name)
        self._written = [(file, file.size) for file in touched.values()]
        if self._new_files:
            group.add(SYNC_DIRECTORY)
        group.pages = list(self._page_writes)
        self._new_files = []
        self._page_writes = []

    def _add_records(self, group: Group, is_asked: bool) -> None:
        """Append the gathered records, and go on in a new segment if this one is full.

        But not for records that nobody asked for: a new segment is a reason to write such again.
        """
        segment = self._segments[-1]
        if self._is_new:
            self._is_new = False
            self._open_segment(group, segment)
            group.add(SYNC, segment.name)
            group.add(SYNC_DIRECTORY)
        # also an empty block: recovery is to know that all before this group is safe
        data = self._sealed(group.number)
        group.add(WRITE_SYNCED, segment.name, segment.size, data)
        segment.size += len(data)
        is_full = segment.size >= self._segment_bytes and is_asked
        if is_full and not self._is_stopping:
            following = Segment(segment.number + 1)
            self._segments.append(following)
            self.segment = following.number
            self._open_segment(group, following)
            group.add(SYNC, following.name)
            group.add(SYNC_DIRECTORY)
        elif self._is_stopping:
            group.add(TRUNCATE, segment.name, segment.size)  # the reserved room is quick to read

    def _sealed(self, number: int) -> bytes:
        """Take the gathered records as sealed blocks."""
        data = self._out.getvalue()
        self._out = BytesWriter()
        self._in_flight_bytes += len(data)
        self._cut_at = BLOCK_BYTES
        cuts = self._cuts
        self._cuts = []
        return blocks.seal_all(data, cuts, number)

    def _open_segment(self, group: Group, segment: Segment) -> None:
        """Create a segment with a snapshot of everything that is not a message at its head."""
        out = BytesWriter()
        definitions.write_snapshot(out, self._vhosts, self._queue_ids.last, self._facts)
        records.write_range(out, records.OLDEST_SEGMENT, int(self._first), 0, 0)
        for file in self._files.values():
            if file.durable:
                if file.told_bytes:
                    records.write_range(out, *file.told())
                for first, last in file.settled_ranges():
                    records.write_range(out, records.PAGE_SETTLED, file.number, first, last)
                for seq, counts in file.counts.items():
                    records.write_range(out, records.RETURNED, file.queue_id, seq, counts)
        records.write_record(out, records.SNAPSHOT_END, b"")
        head = blocks.file_header(blocks.SEGMENT, segment.number)
        data = head + blocks.seal(out.getvalue(), group.number)
        group.add(CREATE, segment.name, self._segment_bytes)
        group.add(WRITE, segment.name, 0, data)
        segment.size = len(data)
        group.opened_segment = segment.number

    def group_done(self, group: Group) -> None:
        """Learn that a group is safe: pages can be read back from disk, old segments may go."""
        self._in_flight_bytes = 0
        self.safe_position = group.position
        for page in group.pages:
            assert isinstance(page, StoredPage)
            page.data = b""
        if group.opened_segment:
            self._safe_segment = group.opened_segment
        # pages that gather now are all that has what they took from a segment, but only once the
        # journal says, by the block of their group, that they are safe
        safe_group = self._group_number + (1 if self._page_writes else 0)
        while len(self._segments) > 1:
            oldest = self._segments[0]
            if oldest.live > 0 or oldest.number >= self._safe_segment:
                break
            if oldest.size:  # 0: it was missing at the start
                self._dead.append((safe_group, oldest.name))
            del self._segments[0]
            self._first += 1

    # -- checkpoint -------------------------------------------------------------------------------

    def segment_to_free(self) -> int:
        """Number of the oldest segment if it should be emptied now, 0 if there is no need."""
        if len(self._segments) < 3 or self.failed:
            return 0
        total = 0
        live = 0
        for segment in self._segments:
            total += segment.size
            live += int(segment.live_bytes)
        return self._segments[0].number if total > 2 * live + self._slack_bytes else 0

    def move(self, queue_id: int, entry: Entry) -> None:
        """Append a live entry again, so that the old segment that has it can go."""
        old = self._segments[entry.segment - self._first]
        old.live -= 1
        old.live_bytes -= cost_of(entry.message)
        current = self._segments[-1]
        current.live += 1
        current.live_bytes += cost_of(entry.message)
        entry.segment = current.number
        records.write_published(
            self._out, entry.message, entry.redelivered, [queue_id], [int(entry.seq)]
        )
        self._appended()
        if entry.expires_ms:
            self.expires(queue_id, entry)
        if entry.counts:
            self._write_returned(queue_id, entry)

    # -- stop -------------------------------------------------------------------------------------

    def stop_cleanly(self) -> None:
        """Append, as the last facts, who was delivered before, and that all is in order."""
        if self.failed:
            return
        self._end_run()
        for vhost in self._vhosts.values():
            for queue in vhost.queues.values():
                if queue.durable:
                    for entry in queue.backlog.in_memory():
                        if entry.redelivered and entry.segment:
                            seq = entry.seq
                            self._redelivered(queue.id, seq, seq)
        for file in self._files.values():
            if file.all_redelivered:
                self._redelivered(file.queue_id, file.first_seq, file.last_seq)
            for seq in file.redelivered:
                self._redelivered(file.queue_id, seq, seq)
        for page in self._page_writes:  # recovery leaves the pages of the last group
            for entry in self.page_in(page):
                if entry.redelivered:
                    self._redelivered(page.file.queue_id, entry.seq, entry.seq)
        self._is_stopping = True
        records.write_record(self._out, records.CLEAN, b"")
        self._appended()

    def _redelivered(self, queue_id: int, first: i64, last: i64) -> None:
        records.write_range(self._out, records.REDELIVERED, queue_id, first, last)

    def fail(self, why: str) -> None:
        """Learn that a write or sync failed: nothing can be promised any more."""
        if not self.failed:
            self.failed = why
