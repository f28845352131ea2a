"""`amqpd store check|repair|dump DIR`: a data directory looked at, and mended, without a broker.

Check and dump change nothing. Repair rewrites each damaged file from what is good in it, in a new
file that then takes the old one's place; the bad stretches are kept in quarantine files. What was
in them and nowhere else is lost, and everything that waits counts as redelivered afterwards.

| code | check | repair | dump |
|---|---|---|---|
| 0 | sound | nothing to do, or done | printed |
| 1 | damaged | still damaged | damaged; the good part is printed |
| 2 | could not be read: in use, missing, from a newer version | | |
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from typing import Final

from librt.strings import BytesWriter, read_i32_be, read_i64_be

from amqpd.store import blocks, pages, records
from amqpd.store.blocks import Block, Damage, FutureFormat, Scan
from amqpd.store.disk import LOCK_NAME, InUse, PosixDisk
from amqpd.store.pages import PAGE_HEADER_BYTES, PageFile, PageHeader, StoredPage
from amqpd.store.records import RECORD_HEADER_BYTES, Addresses, Corrupt
from amqpd.store.recovered import Recovered
from amqpd.store.recovery import QUARANTINE_NAME, Recovery
from amqpd.store.restore import mend
from amqpd.store.segments import SEGMENT_NAME
from amqpd.store.volume import Disk
from amqpd.wire import tables

SOUND: Final = 0
DAMAGED: Final = 1
UNREADABLE: Final = 2

Say = Callable[[str], None]

_TEMPORARY: Final = "repaired"
_KINDS: Final = {
    records.SETTLED: "settled",
    records.REDELIVERED: "redelivered",
    records.SNAPSHOT: "snapshot",
    records.SNAPSHOT_END: "snapshot-end",
    records.PAGE_SETTLED: "page-settled",
    records.CLEAN: "clean",
    records.PAGE_FILE: "page-file",
    records.PAGE_FILE_GONE: "page-file-gone",
    records.OLDEST_SEGMENT: "oldest-segment",
    records.UNFINISHED: "unfinished",
}


def check(path: str, say: Say) -> int:
    """Report what a directory holds and what is wrong with it. Returns the exit code."""
    return _guarded(path, say, lambda: _check(path, say))


def repair(path: str, say: Say) -> int:
    """Set damage aside, so that the directory checks clean. Returns the exit code."""
    return _guarded(path, say, lambda: _repair(path, say))


def dump(path: str, say: Say) -> int:
    """Print every record, one a line. Returns the exit code."""
    return _guarded(path, say, lambda: _dump(path, say))


def _guarded(path: str, say: Say, act: Callable[[], int]) -> int:
    """Do it, or say in one line why it cannot be done."""
    try:
        return act()
    except (InUse, FutureFormat) as error:
        say(f"amqpd: {error}" if isinstance(error, InUse) else f"amqpd: {path}: {error}")
    except BrokenPipeError:
        raise  # whoever reads the output has enough
    except OSError as error:
        where = f"{path}/{error.filename}" if error.filename not in (None, path) else path
        say(f"amqpd: {where}: {error.strerror}")
    return UNREADABLE


class Look:
    """A directory that is read only, and that no broker has or takes meanwhile."""

    def __init__(self, path: str) -> None:
        self.disk: Final = PosixDisk(path, read_only=True)
        self._lock = -1
        try:
            self._lock = os.open(os.path.join(path, LOCK_NAME), os.O_RDONLY)
        except OSError:
            return  # no broker was ever here, or nobody may look
        try:
            fcntl.flock(self._lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._lock, 20, 0).decode("ascii", "replace").strip()
            self.close()
            raise InUse(f"{path} is in use by a broker (pid {holder}): stop it first") from None

    def close(self) -> None:
        """Let go."""
        self.disk.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


# -- check ----------------------------------------------------------------------------------------


def _check(path: str, say: Say) -> int:
    look = Look(path)
    try:
        found, damage = _examine(look.disk)
        _report(look.disk, found, say)
    finally:
        look.close()
    return _verdict(path, damage, say)


def _verdict(path: str, damage: list[Damage], say: Say) -> int:
    for item in damage:
        say(f"damage: {os.path.join(path, item.name)}, offset {item.offset}: {item.why}")
    say("damaged: amqpd store repair sets it aside" if damage else "sound")
    return DAMAGED if damage else SOUND


def _examine(disk: Disk) -> tuple[Recovered, list[Damage]]:
    """Read all of a directory: what recovery reads, and the messages of all pages."""
    found = Recovery(disk).read()
    damage = list(found.damage)
    known = {(item.name, item.offset) for item in damage}
    addresses = Addresses()
    for stored in found.pages.values():
        for page in stored:
            item = _page_damage(disk, page, addresses)
            if item is not None and (item.name, item.offset) not in known:
                damage.append(item)
    return found, damage


def _page_damage(disk: Disk, page: StoredPage, addresses: Addresses) -> Damage | None:
    name = page.file.name
    block = blocks.block_at(disk.read(name, page.offset, page.length), 0)
    if block is None:
        return Damage(name, page.offset, f"a damaged page of {page.count} messages")
    try:
        pages.decode_page(block.records, page, addresses, 0)
    except Corrupt as error:
        return Damage(name, page.offset, str(error))
    return None


def _report(disk: Disk, found: Recovered, say: Say) -> None:
    segments = [(number, size) for number, size in found.segments if size]
    size = sum(size for _, size in segments)
    say(f"journal: {len(segments)} segments, {size} bytes, {found.last_group} groups")
    paged = {queue_id: sum(p.count for p in stored) for queue_id, stored in found.pages.items()}
    count = sum(len(stored) for stored in found.pages.values())
    say(f"pages: {count} in {len(found.files)} files, {sum(paged.values())} messages")
    say(f"exchanges: {len(found.exchanges)}, bindings: {len(found.bindings)}")
    say(f"queues: {len(found.queues)}")
    for queue_id, queue in found.queues.items():
        name = tables.text(queue.definition["name"])
        vhost = tables.text(queue.definition["vhost"])
        messages = len(queue.entries) + paged.get(queue_id, 0)
        say(f"  queue '{name}' in vhost '{vhost}': {messages} messages")
    for name, end in found.torn:
        tail = disk.read(name, end, disk.size(name) - end)
        used = len(tail.rstrip(b"\0"))
        if used:
            say(f"torn tail: {name}, offset {end}: {used} bytes of an unfinished write, no damage")
    for name, offset, end, _ in found.holes:
        say(f"torn tail: {name}, offset {offset}: {end - offset} bytes never written, no damage")
    if found.useless:
        say(f"left over, deleted at the next start: {', '.join(found.useless)}")
    quarantined = [name for name in disk.names() if name.startswith(QUARANTINE_NAME)]
    if quarantined:
        say(f"in quarantine: {', '.join(quarantined)}")
    say(f"stopped in good order: {'yes' if found.is_clean else 'no'}")


# -- repair ---------------------------------------------------------------------------------------


def _repair(path: str, say: Say) -> int:
    if not os.path.isdir(path):
        raise FileNotFoundError(2, "No such directory", path)
    disk = PosixDisk(path)
    try:
        _, damage = _examine(disk)
        if not damage:
            say("sound: there is nothing to repair")
            return SOUND
        for name in dict.fromkeys(item.name for item in damage):
            items = [item for item in damage if item.name == name]
            for item in items:
                say(f"damage: {os.path.join(path, name)}, offset {item.offset}: {item.why}")
            _rewrite(disk, name, [item.offset for item in items], say)
        found, _ = _examine(disk)
        mend(found, disk)
        if found.segments:
            _append_repair(disk, found)
        _, left = _examine(disk)
    finally:
        disk.close()
    return _verdict(path, left, say)


def _rewrite(disk: PosixDisk, name: str, offsets: list[int], say: Say) -> None:
    """Replace a file by its header and its good blocks; the rest goes to quarantine."""
    data = disk.read(name, 0, disk.size(name)) if name in disk.names() else b""
    is_segment = name.startswith(SEGMENT_NAME)
    header = _header_for(name, is_segment)
    if data[:8] == header[:8] and data[10 : len(header)] == header[10:]:
        header = data[: len(header)]  # of an older format, perhaps: it stays that
    good: list[Block] = []
    bad: list[tuple[int, int]] = []
    at = 0
    if data[: len(header)] == header:
        at = len(header)
    elif data[len(header) :][: len(blocks.MAGIC)] == blocks.MAGIC:
        bad.append((0, len(header)))
        at = len(header)
    for block in Scan(data).blocks:
        is_nonsense = block.offset in offsets
        if block.offset > at:
            bad.append((at, block.offset))
        if is_nonsense:
            bad.append((block.offset, block.end))
        else:
            good.append(block)
        at = block.end
    if data[at:].strip(b"\0"):
        bad.append((at, len(data)))
    for start, end in bad:
        aside = f"{QUARANTINE_NAME}{name}-{start}"
        _write_file(disk, aside, data[start:end])
        say(f"set aside: {end - start} bytes in {aside}")
    _write_file(disk, _TEMPORARY, header + b"".join(data[b.offset : b.end] for b in good))
    os.replace(os.path.join(disk.path, _TEMPORARY), os.path.join(disk.path, name))
    disk.sync_directory()


def _header_for(name: str, is_segment: bool) -> bytes:
    if is_segment:
        return blocks.file_header(blocks.SEGMENT, int(name.removeprefix(SEGMENT_NAME)))
    number = int(name.removeprefix(pages.NAME).partition("-")[0])
    return blocks.file_header(blocks.PAGE_FILE, number)


def _write_file(disk: PosixDisk, name: str, data: bytes) -> None:
    path = os.path.join(disk.path, name)
    with open(path, "wb", opener=lambda p, flags: os.open(p, flags, 0o640)) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _append_repair(disk: Disk, found: Recovered) -> None:
    """Append how long page files are now, and a fact of no effect.

    After it the clean stop before does not vouch for all any more.
    """
    number, end = found.segments[-1]
    out = BytesWriter()
    records.write_range(out, records.SETTLED, 0, 1, 0)
    for file, queue_id, size in found.short:
        if size > blocks.FILE_HEADER_BYTES:
            records.write_range(out, records.PAGE_FILE, file, queue_id, size)
        else:
            records.write_range(out, records.PAGE_FILE_GONE, file, 0, 0)
    name = f"{SEGMENT_NAME}{number:010d}"
    disk.write(name, end, blocks.seal(out.getvalue(), found.last_group + 1))
    disk.sync(name)


# -- dump -----------------------------------------------------------------------------------------


def _dump(path: str, say: Say) -> int:
    look = Look(path)
    damage: list[Damage] = []
    try:
        names = look.disk.names()
        for name in names:
            if name.startswith((SEGMENT_NAME, pages.NAME)):
                damage += _dump_file(look.disk, name, say)
    finally:
        look.close()
    for item in damage:
        say(f"damage: {os.path.join(path, item.name)}, offset {item.offset}: {item.why}")
    return DAMAGED if damage else SOUND


def _dump_file(disk: Disk, name: str, say: Say) -> list[Damage]:
    data = disk.read(name, 0, disk.size(name))
    is_segment = name.startswith(SEGMENT_NAME)
    kind = blocks.SEGMENT if is_segment else blocks.PAGE_FILE
    number = int.from_bytes(_header_for(name, is_segment)[12:20], "big")
    damage: list[Damage] = []
    try:
        blocks.check_file_header(name, data, kind, number)
    except Damage as error:
        if data:
            damage.append(error)
    scan = Scan(data)
    damage += [Damage(name, start, f"{end - start} bytes are damaged") for start, end in scan.bad]
    lines = _journal_lines if is_segment else _page_lines
    for block in scan.blocks:
        try:
            for line in lines(block, name):
                say(f"{name} {block.offset} group={block.group} {line}")
        except (Corrupt, tables.Malformed) as error:
            damage.append(Damage(name, block.offset, str(error)))
    return damage


def _journal_lines(block: Block, _: str) -> Iterator[str]:
    data, at = block.records, 0
    addresses = Addresses()
    while at < len(data):
        if at + RECORD_HEADER_BYTES > len(data):
            raise Corrupt("a record that ends early")
        kind = data[at]
        start = at + RECORD_HEADER_BYTES
        at = start + int(read_i32_be(data, at + 1))
        if not start <= at <= len(data):
            raise Corrupt("a record that runs past its block")
        if kind == records.PUBLISHED:
            yield _published_line(data, start, at, addresses)
        elif kind == records.DEFINED:
            yield f"defined {_plain(tables.decode_table(data, start, at)[0])}"
        elif kind in (records.SETTLED, records.REDELIVERED, records.PAGE_SETTLED):
            owner, first, last = records.decode_range(data[start:at])
            what = "page-file" if kind == records.PAGE_SETTLED else "queue"
            yield f"{_KINDS[kind]} {what}={owner} first={first} last={last}"
        elif kind in (records.PAGE_FILE, records.PAGE_FILE_GONE, records.OLDEST_SEGMENT):
            number, queue_id, size = records.decode_range(data[start:at])
            more = f" queue={queue_id} bytes={size}" if kind == records.PAGE_FILE else ""
            yield f"{_KINDS[kind]} number={number}{more}"
        else:
            yield _KINDS.get(kind, f"unknown kind {kind}")


def _published_line(data: bytes, start: int, end: int, addresses: Addresses) -> str:
    count = data[start] << 8 | data[start + 1]
    after = start + 2 + 12 * count
    if after > end:
        raise Corrupt("a list of queues that runs past its record")
    places = [
        f"{int(read_i32_be(data, at))}:{int(read_i64_be(data, at + 4))}"
        for at in range(start + 2, after, 12)
    ]
    message, redelivered = records.decode_message(data, after, end, addresses)
    return (
        f"published queue:seq={','.join(places)} exchange={message.address.exchange!r} "
        f"key={message.address.routing_key!r} body_bytes={int(message.body_bytes)} "
        f"persistent={message.persistent} redelivered={redelivered}"
    )


def _page_lines(block: Block, name: str) -> Iterator[str]:
    header = PageHeader(block.records)
    yield (
        f"page queue={header.queue_id} level={header.level} count={header.count} "
        f"persistent={header.persistent}"
    )
    number = int(name.removeprefix(pages.NAME).partition("-")[0])
    file = PageFile(number, header.queue_id, True, header.first_seq)
    page = StoredPage(file, 0, len(block.records), header.count, 0, b"", False)
    assert len(block.records) >= PAGE_HEADER_BYTES
    for entry in pages.decode_page(block.records, page, Addresses(), 0):
        message = entry.message
        yield (
            f"entry seq={int(entry.seq)} exchange={message.address.exchange!r} "
            f"key={message.address.routing_key!r} body_bytes={int(message.body_bytes)} "
            f"persistent={message.persistent} redelivered={entry.redelivered}"
        )


def _plain(table: tables.Table) -> str:
    parts: list[str] = []
    for name, field in table.items():
        value = field.value
        if isinstance(value, dict):
            parts.append(f"{name}={{{_plain(value)}}}")
        elif isinstance(value, list):
            items = [_plain({"": item}).removeprefix("=") for item in value]
            parts.append(f"{name}=[{', '.join(items)}]")
        elif isinstance(value, bytes):
            parts.append(f"{name}={value.decode('utf-8', 'backslashreplace')!r}")
        else:
            parts.append(f"{name}={value!r}")
    return " ".join(parts)
