"""A disk in memory that loses what was not synced.

Each file is what was synced plus a list of changes that were not; so is the directory. `crash`
keeps any part of those changes, whole or torn, in any order; `kill` keeps them all, still unsynced.
Every change of the disk is an *operation*; `crash_at` and `fail_at` name one by its number.
"""

import errno
import random
from typing import NamedTuple

from amqpd.store.volume import Disk

SECTOR_BYTES = 512

KEEP_ALL = "all"
KEEP_NONE = "none"
KEEP_PREFIX = "prefix"  # in order, up to some point, the last one torn
KEEP_ANY = "any"
KEEPS = (KEEP_ALL, KEEP_NONE, KEEP_PREFIX, KEEP_ANY)


class Crashed(BaseException):
    """The machine stopped in the middle of an operation; no handler of the broker's sees it."""


class Change(NamedTuple):
    """What happened to a file's content: bytes at an offset, or a new length if `data` is None."""

    offset: int
    data: bytes | None
    is_growth: bool = False  # a reservation: never shortens


class File:
    """Content as the operating system has it, and as the platter has it."""

    def __init__(self) -> None:
        self.content = bytearray()
        self.synced = bytearray()
        self.unsynced: list[Change] = []

    def change(self, change: Change) -> None:
        """Carry out a change, not synced yet."""
        _apply(self.content, change)
        self.unsynced.append(change)

    def sync(self) -> None:
        """Make all changes survive."""
        for change in self.unsynced:
            _apply(self.synced, change)
        self.unsynced = []

    def copy(self) -> "File":
        """Return a file of the same state."""
        made = File()
        made.content, made.synced = bytearray(self.content), bytearray(self.synced)
        made.unsynced = list(self.unsynced)
        return made


def _apply(content: bytearray, change: Change) -> None:
    if change.data is None:
        if len(content) < change.offset:
            content.extend(bytes(change.offset - len(content)))
        elif not change.is_growth:
            del content[change.offset :]
        return
    if len(content) < change.offset:
        content.extend(bytes(change.offset - len(content)))
    content[change.offset : change.offset + len(change.data)] = change.data


class SimDisk(Disk):
    """See the module. `operations` counts changes; `trace` has (kind, name) of each."""

    def __init__(self, capacity: int = 0) -> None:
        super().__init__()
        self.capacity = capacity  # bytes; 0 = no limit
        self.operations = 0
        self.crash_at = 0  # number of the operation in which the machine stops; 0 = never
        self.fail_at = 0  # number of the first operation that fails
        self.fails_for_good = True
        self.fail_code = errno.EIO
        self.trace: list[tuple[str, str]] = []
        self._tear = random.Random(0)
        self._files: dict[str, File] = {}
        self._synced: dict[str, File] = {}
        self._renames: list[tuple[str, File | None]] = []  # of the directory, not synced

    # -- Disk --------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """See Disk."""
        return sorted(self._files)

    def size(self, name: str) -> int:
        """See Disk."""
        return len(self._get(name).content)

    def read(self, name: str, offset: int, length: int) -> bytes:
        """See Disk."""
        return bytes(self._get(name).content[offset : offset + length])

    def create(self, name: str, reserved_bytes: int) -> None:
        """See Disk."""
        self._begin("create", name)
        self._room(reserved_bytes)
        file = self._files.get(name)
        if file is None:
            file = self._files[name] = File()
            self._renames.append((name, file))
        else:
            file.change(Change(0, None))
        if reserved_bytes:
            file.change(Change(reserved_bytes, None, True))
        self._end()

    def write(self, name: str, offset: int, data: bytes) -> None:
        """See Disk."""
        file = self._get(name)
        try:
            self._begin("write", name)
            self._room(offset + len(data) - len(file.content))
        except OSError:
            file.change(Change(offset, data[: self._tear.randrange(len(data) + 1)]))
            raise
        if self.operations == self.crash_at and self._tear.random() < 0.7:
            data = data[: self._tear.randrange(len(data) + 1)]  # a killed writer got this far
        file.change(Change(offset, bytes(data)))
        self._end()

    def truncate(self, name: str, length: int) -> None:
        """See Disk."""
        file = self._get(name)
        self._begin("truncate", name)
        file.change(Change(length, None))
        self._end()

    def sync(self, name: str) -> None:
        """See Disk."""
        file = self._get(name)
        self._begin("sync", name)
        self._end()
        file.sync()

    def sync_directory(self) -> None:
        """See Disk."""
        self._begin("sync_directory", "")
        self._end()
        self._synced = dict(self._files)
        self._renames = []

    def delete(self, name: str) -> None:
        """See Disk."""
        self._get(name)
        self._begin("delete", name)
        del self._files[name]
        self._renames.append((name, None))
        self._end()

    # -- faults ------------------------------------------------------------------------------------

    def crash(self, rng: random.Random, keep: str = "") -> None:
        """Lose power: any part of what was not synced is gone. The disk can be used again."""
        keep = keep or rng.choice(KEEPS)
        for name, file in _kept(rng, keep, self._renames):
            if file is None:
                self._synced.pop(name, None)
            else:
                self._synced[name] = file
        self._renames = []
        self._files = dict(self._synced)
        for file in self._files.values():
            for change in _torn(rng, keep, file.unsynced):
                _apply(file.synced, change)
            file.unsynced = []
            file.content = bytearray(file.synced)
        self.crash_at = self.fail_at = 0

    def kill(self) -> None:
        """Lose the process only: all that was written is there, but not safe from a crash."""
        self.crash_at = self.fail_at = 0

    def copy(self) -> "SimDisk":
        """Return a disk of the same state without faults."""
        made = SimDisk(self.capacity)
        copies: dict[int, File] = {}
        for file in [*self._files.values(), *self._synced.values()]:
            copies.setdefault(id(file), file.copy())
        for _, renamed in self._renames:
            if renamed is not None:
                copies.setdefault(id(renamed), renamed.copy())
        made._files = {name: copies[id(file)] for name, file in self._files.items()}
        made._synced = {name: copies[id(file)] for name, file in self._synced.items()}
        made._renames = [
            (name, copies[id(file)] if file is not None else None) for name, file in self._renames
        ]
        return made

    def put(self, name: str, data: bytes) -> None:
        """Place a file, synced, for a test."""
        file = self._files[name] = self._synced[name] = File()
        file.content, file.synced = bytearray(data), bytearray(data)

    def used_bytes(self) -> int:
        """Return what all files take."""
        return sum(len(file.content) for file in self._files.values())

    # -- inside ------------------------------------------------------------------------------------

    def _get(self, name: str) -> File:
        file = self._files.get(name)
        if file is None:
            raise FileNotFoundError(errno.ENOENT, "no such file", name)
        return file

    def _begin(self, kind: str, name: str) -> None:
        self.operations += 1
        self.trace.append((kind, name))
        number = self.operations
        if self.fail_at and (
            number == self.fail_at or (self.fails_for_good and number > self.fail_at)
        ):
            raise OSError(self.fail_code, "injected", name)

    def _end(self) -> None:
        if self.operations == self.crash_at:
            raise Crashed(f"operation {self.operations}")

    def _room(self, more: int) -> None:
        if self.capacity and more > 0 and self.used_bytes() + more > self.capacity:
            raise OSError(errno.ENOSPC, "no space left on device")


def _kept(
    rng: random.Random, keep: str, renames: list[tuple[str, File | None]]
) -> list[tuple[str, File | None]]:
    if keep == KEEP_ALL:
        return renames
    if keep == KEEP_NONE:
        return []
    if keep == KEEP_PREFIX:
        return renames[: rng.randrange(len(renames) + 1)]
    return [rename for rename in renames if rng.random() < 0.5]


def _torn(rng: random.Random, keep: str, changes: list[Change]) -> list[Change]:
    """Return what is left of unsynced changes."""
    if keep == KEEP_ALL:
        return changes
    if keep == KEEP_NONE:
        return []
    if keep == KEEP_PREFIX:
        count = rng.randrange(len(changes) + 1)
        left = changes[:count]
        if count < len(changes) and (data := changes[count].data):
            left.append(Change(changes[count].offset, data[: rng.randrange(len(data))]))
        return left
    left = []
    for change in changes:
        fate = rng.random()
        if fate < 0.4 or (fate < 0.7 and not change.data):
            left.append(change)
        elif fate < 0.7:
            left += _some_sectors(rng, change)
    return left


def _some_sectors(rng: random.Random, change: Change) -> list[Change]:
    """Return any of the sectors that a write covers."""
    assert change.data is not None
    left = []
    at, end = change.offset, change.offset + len(change.data)
    run = rng.choice((1, 8, 64)) * SECTOR_BYTES
    while at < end:
        until = min(end, (at // run + 1) * run)
        if rng.random() < 0.5:
            left.append(Change(at, change.data[at - change.offset : until - change.offset]))
        at = until
    return left
