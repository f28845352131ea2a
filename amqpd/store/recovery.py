"""Recovery: what a data directory says, read back.

Segments are read in order, each from its first block on; a snapshot replaces all definitions, and
later records change them. Of page files only the page heads are read, so the time this takes grows
with the journal and not with what waits.

| found | what is done |
|---|---|
| nothing good behind the last block of the last segment | a torn write: it is cut off |
| pages of the last group | they may be torn, and the journal has all of it: they are cut off |
| a bad stretch there between good blocks of the last group | the same: it is filled |
| any other bad stretch before a good block | damage: quarantined, reported; the rest is used |
| a segment missing that the journal needs | the same: it is reported, the rest is used |
| a page file missing or shorter than the journal says | the same |
| a bad page head | the file's pages from there on are lost, reported; the file is kept |
| a format from the future | FutureFormat: nothing is touched |

A record that settles an entry may come from a group behind the damage, so nothing comes back that
was settled and is provably so; what was published in a bad stretch is lost and said to be.
Nothing is changed on disk before all has been read; doing it again after a crash gives the same.
"""

from bisect import bisect_right
from typing import Final

from librt.strings import read_i32_be, read_i64_be

from amqpd.core import facts
from amqpd.core.consumer import COUNTS_MAX, Entry
from amqpd.core.message import Message
from amqpd.store import blocks, definitions, pages, records
from amqpd.store.blocks import Damage, Scan
from amqpd.store.pages import PageFile, PageHeader, StoredPage
from amqpd.store.records import Addresses, Corrupt
from amqpd.store.recovered import (
    Recovered,
    RecoveredQueue,
    arguments_of,
    flag_of,
    number_of,
    text_of,
)
from amqpd.store.segments import SEGMENT_NAME, segment_name
from amqpd.store.volume import Disk
from amqpd.wire import tables
from amqpd.wire.tables import Table

QUARANTINE_NAME: Final = "quarantine-"
_HEAD_BYTES: Final = blocks.BLOCK_HEADER_BYTES + pages.PAGE_HEADER_BYTES


class Recovery:
    """Reads a data directory. `read` once; then `found` has it all."""

    def __init__(self, disk: Disk) -> None:
        self._disk: Final = disk
        self._addresses: Final = Addresses()
        self.found = Recovered()
        self._known: dict[int, RecoveredQueue] = {}  # queues before the snapshot being read
        self._ids: dict[tuple[str, str], int] = {}  # of queues, by vhost and name
        self._files_of: dict[int, list[PageFile]] = {}
        self._told: dict[int, tuple[int, int]] = {}  # page files of the journal: (queue id, bytes)
        self._ends: dict[int, int] = {}  # the bytes of page files that are there, and good
        self._oldest = 0  # the first segment that is needed, as the journal says
        self._segment = 0

    def read(self) -> Recovered:
        """Read everything. Raises FutureFormat and OSError; damage is in the result."""
        names = self._disk.names()
        numbers = sorted([_number_in(name) for name in names if _is_segment(name)])
        self._read_page_files(names)
        self._read_segments(numbers)
        self._finish()
        return self.found

    # -- segments ---------------------------------------------------------------------------------

    def _read_segments(self, numbers: list[int]) -> None:
        previous = 0
        for number in numbers:
            if previous and number != previous + 1:
                why = "missing: its messages and definitions are lost"
                self._damaged(Damage(segment_name(previous + 1), 0, why))
                for gone in range(previous + 1, number):
                    self.found.segments.append((gone, 0))
            previous = number
            self._read_segment(number, number == numbers[-1])
        if numbers and numbers[0] > self._oldest > 0:
            why = "missing: its messages and definitions are lost"
            self._damaged(Damage(segment_name(self._oldest), 0, why))

    def _damaged(self, damage: Damage) -> None:
        self.found.damage.append(damage)
        self.found.is_clean = False

    def _read_segment(self, number: int, is_last: bool) -> None:
        name = segment_name(number)
        data = self._disk.read(name, 0, self._disk.size(name))
        self._segment = number
        header_is_good = True
        try:
            blocks.check_file_header(name, data, blocks.SEGMENT, number)
        except Damage as damage:
            header_is_good = False
            if not is_last or Scan(data).blocks:
                self._damaged(damage)
        scan = Scan(data)
        if not header_is_good and is_last and not scan.blocks:
            self.found.is_clean = False
            self.found.useless.append(name)  # its creation was cut short
            return
        for start, end in scan.bad:
            torn_group = _torn_group(scan, start) if is_last else 0
            if torn_group:
                self.found.is_clean = False
                self.found.holes.append((name, start, end, torn_group))
            else:
                self._set_aside(Damage(name, start, "damaged"), end)
        if scan.torn:
            self.found.is_clean = False
            if not is_last:
                self._set_aside(Damage(name, scan.end, "damaged"), len(data))
        if is_last and scan.end < len(data):
            self.found.torn.append((name, scan.end))
        for block in scan.blocks:
            self.found.last_group = max(self.found.last_group, block.group)
            self._replay_block(name, block.records, block.offset)
        self.found.segments.append((number, scan.end))

    def _set_aside(self, damage: Damage, end: int) -> None:
        self._damaged(damage)
        self.found.quarantine.append((damage.name, damage.offset, end))

    def _replay_block(self, name: str, data: bytes, offset: int) -> None:
        at = 0
        while at < len(data):
            if at + records.RECORD_HEADER_BYTES > len(data):
                self._damaged(Damage(name, offset, "a record that ends early"))
                return
            kind = data[at]
            length: int = read_i32_be(data, at + 1)
            start = at + records.RECORD_HEADER_BYTES
            at = start + length
            if length < 0 or at > len(data):
                self._damaged(Damage(name, offset, "a record that runs past its block"))
                return
            try:
                self._replay(kind, data, start, at)
            except (Corrupt, tables.Malformed) as error:
                self._damaged(Damage(name, offset, str(error)))

    def _replay(self, kind: int, data: bytes, start: int, end: int) -> None:
        if kind == records.PUBLISHED:
            self._replay_published(data, start, end)
        elif kind == records.SETTLED:
            self._replay_settled(*records.decode_range(data[start:end]))
        elif kind == records.EXPIRES:
            queue_id, seq, wall_ms = records.decode_range(data[start:end])
            queue = self.found.queues.get(queue_id)
            if queue is not None and seq in queue.entries:
                queue.entries[seq].expires_ms = wall_ms  # monotonic from `restore` on
        elif kind == records.RETURNED:
            self._replay_returned(*records.decode_range(data[start:end]))
        elif kind == records.DEFINED:
            table, _ = tables.decode_table(data, start, end)
            self._replay_defined(table)
        elif kind == records.PAGE_SETTLED:
            number, first, last = records.decode_range(data[start:end])
            self.found.last_file = max(self.found.last_file, number)
            file = self.found.files.get(number)
            if file is not None:
                _settle(file, first, last)
        elif kind in (records.PAGE_FILE, records.PAGE_FILE_GONE, records.OLDEST_SEGMENT):
            self._replay_told(kind, *records.decode_range(data[start:end]))
            return  # this may come behind CLEAN
        elif kind == records.REDELIVERED:
            queue_id, first, last = records.decode_range(data[start:end])
            self.found.redelivered.setdefault(queue_id, []).append((first, last))
        elif kind == records.UNFINISHED:
            pass
        elif kind == records.SNAPSHOT:
            self._begin_snapshot()
        elif kind == records.SNAPSHOT_END:
            self._known = {}
        elif kind == records.CLEAN:
            self.found.is_clean = not self.found.damage
            return
        else:
            raise Corrupt(f"a record of unknown kind {kind}")
        if kind != records.REDELIVERED:
            self.found.is_clean = False

    def _replay_told(self, kind: int, number: int, queue_id: int, size: int) -> None:
        if kind == records.OLDEST_SEGMENT:
            self._oldest = number
        elif kind == records.PAGE_FILE:
            self._told[number] = (queue_id, size)
            self.found.last_file = max(self.found.last_file, number)
        else:
            self._told.pop(number, None)

    def _replay_published(self, data: bytes, start: int, end: int) -> None:
        count = data[start] << 8 | data[start + 1]
        at = start + 2 + 12 * count
        message: Message | None = None
        redelivered = False
        for place in range(start + 2, at, 12):
            queue_id: int = read_i32_be(data, place)
            queue = self.found.queues.get(queue_id)
            if queue is None:
                continue
            if message is None:
                message, redelivered = records.decode_message(data, at, end, self._addresses)
            seq: int = read_i64_be(data, place + 4)
            entry = Entry(message, seq)
            entry.redelivered = redelivered
            entry.segment = self._segment
            queue.entries[seq] = entry
            queue.saw(seq)

    def _replay_returned(self, queue_id: int, seq: int, counts: int) -> None:
        """Note how often an entry came back, where the journal has it and where a page does."""
        queue = self.found.queues.get(queue_id)
        if queue is not None and seq in queue.entries:
            queue.entries[seq].counts = counts & COUNTS_MAX
            queue.entries[seq].redelivered = True
        for file in self._files_of.get(queue_id, []):
            if file.first_seq <= seq <= file.last_seq and not file.is_settled(seq):
                file.counts[seq] = counts & COUNTS_MAX

    def _replay_settled(self, queue_id: int, first: int, last: int) -> None:
        queue = self.found.queues.get(queue_id)
        if queue is None:
            return
        queue.saw(last)
        if last - first > len(queue.entries):
            for seq in [seq for seq in queue.entries if first <= seq <= last]:
                del queue.entries[seq]
        else:
            for seq in range(first, last + 1):
                queue.entries.pop(seq, None)
        for file in self._files_of.get(queue_id, []):
            _settle(file, first, last)

    # -- definitions ------------------------------------------------------------------------------

    def _begin_snapshot(self) -> None:
        """What follows, in the same block, is complete: queues that it lacks are gone."""
        self._known = self.found.queues
        self.found.queues = {}
        self.found.exchanges = {}
        self.found.bindings = {}
        self.found.facts.clear()
        self._told = {}
        self._ids = {}

    def _replay_defined(self, table: Table) -> None:
        found = self.found
        op = text_of(table, "op")
        if op == definitions.LAST_QUEUE_ID:
            found.last_queue_id = max(found.last_queue_id, number_of(table, "id"))
        elif op == definitions.QUEUE_DECLARED:
            self._replay_queue_declared(table)
        elif op == definitions.PART_DECLARED:
            self._replay_queue(table)
        elif op == definitions.QUEUE_DELETED:
            queue = found.queues.pop(number_of(table, "id"), None)
            if queue is not None and "part" not in queue.definition:
                vhost, name = text_of(queue.definition, "vhost"), text_of(queue.definition, "name")
                self._drop_bindings(vhost, True, name)
        elif op == definitions.EXCHANGE_DECLARED:
            found.exchanges[text_of(table, "vhost"), text_of(table, "name")] = table
        elif op == definitions.EXCHANGE_DELETED:
            vhost, name = text_of(table, "vhost"), text_of(table, "name")
            found.exchanges.pop((vhost, name), None)
            self._drop_bindings(vhost, False, name)
            self._drop_parts(vhost, name)
        elif op == definitions.BOUND:
            found.bindings[_binding_key(table)] = table
        elif op == definitions.UNBOUND:
            found.bindings.pop(_binding_key(table), None)
        elif op == definitions.FACT:
            found.facts.put({name: table[name] for name in table if name != "op"})
        elif op == definitions.FACT_GONE:
            found.facts.drop(table)
            if text_of(table, "kind") == facts.VHOST:
                self._drop_vhost(text_of(table, "name"))
        else:
            raise Corrupt(f"a definition of unknown kind {op}")

    def _replay_queue_declared(self, table: Table) -> None:
        queue_id = number_of(table, "id")
        name = (text_of(table, "vhost"), text_of(table, "name"))
        other = self._ids.get(name, queue_id)
        if other != queue_id and self.found.queues.pop(other, None) is not None:
            self._drop_bindings(name[0], True, name[1])  # its deletion was in a bad stretch
        self._ids[name] = queue_id
        self._replay_queue(table)

    def _replay_queue(self, table: Table) -> None:
        """Take note of a queue, also of one that is part of an exchange."""
        queue_id = number_of(table, "id")
        self.found.last_queue_id = max(self.found.last_queue_id, queue_id)
        queue = RecoveredQueue(table)
        known = self.found.queues.get(queue_id) or self._known.get(queue_id)
        if known is not None:
            queue.entries = known.entries
            queue.next_seq = max(queue.next_seq, known.next_seq)
        self.found.queues[queue_id] = queue

    def _drop_parts(self, vhost: str, exchange: str) -> None:
        """Forget what a deleted exchange kept; that they went may be in a bad stretch."""
        for queue_id in list(self.found.queues):
            definition = self.found.queues[queue_id].definition
            if "part" in definition and text_of(definition, "vhost") == vhost:
                if text_of(definition, "exchange") == exchange:
                    del self.found.queues[queue_id]

    def _drop_vhost(self, vhost: str) -> None:
        """Forget all that a vhost had which was deleted."""
        found = self.found
        for queue_id in list(found.queues):
            if text_of(found.queues[queue_id].definition, "vhost") == vhost:
                del found.queues[queue_id]
        for place in [place for place in found.exchanges if place[0] == vhost]:
            del found.exchanges[place]
        for key in list(found.bindings):
            if text_of(found.bindings[key], "vhost") == vhost:
                del found.bindings[key]

    def _drop_bindings(self, vhost: str, is_queue: bool, name: str) -> None:
        """Forget the bindings of a queue, or from and to an exchange, that was deleted."""
        doomed: list[bytes] = []
        for key, table in self.found.bindings.items():
            if text_of(table, "vhost") != vhost:
                continue
            leads_here = (
                flag_of(table, "to-queue") == is_queue and text_of(table, "destination") == name
            )
            if leads_here or (not is_queue and text_of(table, "source") == name):
                doomed.append(key)
        for key in doomed:
            del self.found.bindings[key]

    # -- page files -------------------------------------------------------------------------------

    def _read_page_files(self, names: list[str]) -> None:
        for name in names:
            parts = name[len(pages.NAME) :].split("-")
            if not name.startswith(pages.NAME) or len(parts) != 2:
                continue
            if not (parts[0].isdecimal() and parts[1].isdecimal()):
                continue
            number, queue_id = int(parts[0]), int(parts[1])
            self.found.last_file = max(self.found.last_file, number)
            self._read_page_file(name, number, queue_id)

    def _read_page_file(self, name: str, number: int, queue_id: int) -> None:
        """Read the heads of a file's pages."""
        size = self._disk.size(name)
        self._ends[number] = 0
        try:
            header = self._disk.read(name, 0, blocks.FILE_HEADER_BYTES)
            if len(header) < blocks.FILE_HEADER_BYTES:  # its creation was cut short
                self.found.useless.append(name)
                return
            blocks.check_file_header(name, header, blocks.PAGE_FILE, number)
        except Damage as damage:
            self._set_aside(damage, size)
            return
        at = blocks.FILE_HEADER_BYTES
        file: PageFile | None = None
        found: list[StoredPage] = []
        while at < size:
            head = self._disk.read(name, at, _HEAD_BYTES)
            length = int.from_bytes(head[8:12], "big") + blocks.BLOCK_HEADER_BYTES
            if head[:4] != blocks.MAGIC or at + length > size or len(head) < _HEAD_BYTES:
                if head.count(0) != len(head) and head[:4] != blocks.MAGIC:
                    self._set_aside(Damage(name, at, "no page where one should be"), size)
                break  # a torn write otherwise: the journal still has what it held
            page_header = PageHeader(head[blocks.BLOCK_HEADER_BYTES :])
            previous = file.last_seq if file is not None else 0
            if not page_header.is_plausible(queue_id, previous):
                self._set_aside(Damage(name, at, "a page head that makes no sense"), size)
                break
            if file is None:
                file = PageFile(number, queue_id, True, page_header.first_seq, page_header.level)
            file.last_seq = page_header.last_seq
            page = StoredPage(
                file, at, length, page_header.persistent, 0, b"", True, page_header.level
            )
            page.first_seq = page_header.first_seq
            page.last_seq = page_header.last_seq
            page.group = int.from_bytes(head[12:20], "big")
            found.append(page)
            at += length
        self._ends[number] = at
        if file is None:
            self.found.useless.append(name)
            return
        file.size = at
        self.found.files[number] = file
        self._files_of.setdefault(queue_id, []).append(file)
        self.found.pages.setdefault(queue_id, []).extend(found)

    # -- the end ----------------------------------------------------------------------------------

    def _finish(self) -> None:
        """Bring journal and pages together, and sort out what nothing needs."""
        found = self.found
        self._miss_pages()
        self._cut_unsafe_pages()
        for number in list(found.files):
            if found.files[number].queue_id not in found.queues:
                found.useless.append(found.files.pop(number).name)
        for queue_id in list(found.pages):
            queue = found.queues.get(queue_id)
            if queue is None:
                del found.pages[queue_id]
            else:
                found.pages[queue_id] = self._join(found.pages[queue_id], queue)
        for number in list(found.files):
            if found.files[number].live == 0:
                found.useless.append(found.files.pop(number).name)
        self._mark_redelivered()

    def _miss_pages(self) -> None:
        """Tell which page files are not there, or not as long as the journal says."""
        known = {damage.name for damage in self.found.damage}
        for number, (queue_id, size) in self._told.items():
            end = self._ends.get(number, -1)
            if queue_id not in self.found.queues or end >= size:
                continue
            self.found.short.append((number, queue_id, max(end, 0)))
            name = pages.page_file_name(number, queue_id)
            if end < 0:
                self._damaged(Damage(name, 0, "missing: its messages are lost"))
            elif name not in known:
                self._damaged(Damage(name, end, "cut short: the messages behind are lost"))

    def _cut_unsafe_pages(self) -> None:
        """Leave the pages of the last group to the journal, which still has all that they hold.

        They may be torn; and half of a transaction may be on one whose other half, or all of it,
        is missing in the journal. No segment goes before a later group than its pages' is there.
        """
        found = self.found
        for queue_id, stored in found.pages.items():
            kept: list[StoredPage] = []
            cut: dict[int, bool] = {}
            for page in stored:
                file = page.file
                if file.number in cut:
                    continue
                if page.group >= found.last_group:
                    cut[file.number] = True
                    found.torn.append((file.name, page.offset))
                    file.size = page.offset
                else:
                    kept.append(page)
                    file.last_seq = page.last_seq
            found.pages[queue_id] = kept

    def _join(self, stored: list[StoredPage], queue: RecoveredQueue) -> list[StoredPage]:
        """Return the pages of a queue that have something live, in order.

        Entries that a page and the journal both have are left to the page.
        """
        stored.sort(key=_first_seq_of)
        kept: list[StoredPage] = []
        seqs = sorted(queue.entries)
        for page in stored:
            queue.saw(page.last_seq)
            first = bisect_right(seqs, page.first_seq - 1)
            last = bisect_right(seqs, page.last_seq)
            live = self._live_of(page, queue if first < last else None)
            if live is not None:
                kept.append(live)
                live.file.live += live.count
        return kept

    def _live_of(self, page: StoredPage, queue: RecoveredQueue | None) -> StoredPage | None:
        """Return a page as it counts now, None if nothing of it does.

        A page of which nothing is settled is counted by its head alone; others are read, and so are
        those whose entries the journal may have too, for their `queue`: they are left to a page
        only if it is good.
        """
        file = page.file
        count = page.count
        any_settled = file.any_settled(page.first_seq, page.last_seq)
        if any_settled or queue is not None:
            data = self._disk.read(file.name, page.offset, page.length)
            block = blocks.block_at(data, 0)
            if block is None:
                self._damaged(Damage(file.name, page.offset, "a damaged page"))
                file.is_damaged = True
                return None
            if queue is not None:
                for seq in pages.seqs_of(block.records):
                    if not file.is_settled(seq):
                        queue.entries.pop(seq, None)
            if any_settled:
                count = len(pages.decode_page(block.records, page, self._addresses, 0))
        if count == 0:
            return None
        live = StoredPage(file, page.offset, page.length, count, 0, b"", True, page.level)
        live.first_seq = page.first_seq
        live.last_seq = page.last_seq
        return live

    def _mark_redelivered(self) -> None:
        """After a crash everything may have been delivered; after a clean stop it is known what."""
        found = self.found
        if not found.is_clean:
            for queue in found.queues.values():
                for entry in queue.entries.values():
                    entry.redelivered = True
            for file in found.files.values():
                file.all_redelivered = True
            return
        for queue_id, ranges in found.redelivered.items():
            known = found.queues.get(queue_id)
            if known is not None:
                _mark(known.entries, ranges, self._files_of.get(queue_id, []))


def _mark(entries: dict[int, Entry], ranges: list[tuple[int, int]], files: list[PageFile]) -> None:
    """Mark as delivered before what is in these ranges; one that is a whole file stays one."""
    for first, last in ranges:
        if last - first > len(entries):
            seqs = [seq for seq in entries if first <= seq <= last]
        else:
            seqs = [seq for seq in range(first, last + 1) if seq in entries]
        for seq in seqs:
            entries[seq].redelivered = True
        for file in files:
            if first <= file.first_seq and last >= file.last_seq:
                file.all_redelivered = True
            else:
                for seq in range(max(first, file.first_seq), min(last, file.last_seq) + 1):
                    file.redelivered[seq] = True


def _settle(file: PageFile, first: int, last: int) -> None:
    """Settle what a file has of a range."""
    for seq in range(max(first, file.first_seq), min(last, file.last_seq) + 1):
        file.settle(seq)


def _torn_group(scan: Scan, bad: int) -> int:
    """Return the last group if a bad stretch may be of it, as all behind it is; else 0."""
    last = scan.blocks[-1].group
    before = 0
    for block in scan.blocks:
        if block.offset < bad:
            before = block.group
        elif block.group != last:
            return 0
    return last if last <= before + 1 else 0


def _first_seq_of(page: StoredPage) -> int:
    return page.first_seq


def _is_segment(name: str) -> bool:
    return name.startswith(SEGMENT_NAME) and name[len(SEGMENT_NAME) :].isdecimal()


def _number_in(name: str) -> int:
    return int(name[len(SEGMENT_NAME) :])


def _binding_key(table: Table) -> bytes:
    """What tells a binding from others: all of its definition but the op, in a fixed order."""
    ordered: Table = {name: table[name] for name in sorted(table) if name != "op"}
    arguments = arguments_of(table)
    ordered["arguments"] = tables.table({name: arguments[name] for name in sorted(arguments)})
    return tables.encode_table(ordered)
