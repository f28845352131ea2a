"""The real disk: a data directory of the operating system, locked while it is in use."""

import fcntl
import os
from typing import Final

from amqpd.store.volume import Disk

LOCK_NAME: Final = "lock"
_OPEN_MAX: Final = 64  # files kept open between uses
_RESERVED_SHARE: Final = 8  # of what is free, the part that one file may reserve
_CAN_DSYNC: Final = hasattr(os, "RWF_DSYNC")


class InUse(Exception):
    """Another broker has the data directory."""


class PosixDisk(Disk):
    """A directory; made if it is missing. Raises InUse, or OSError if it cannot be written."""

    def __init__(self, path: str, *, read_only: bool = False) -> None:
        self.path: Final = path
        self._open: dict[str, int] = {}
        self._lock = -1
        if not read_only:
            os.makedirs(path, mode=0o750, exist_ok=True)
        self._directory: Final = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        if not read_only:
            self._take_lock()

    def _take_lock(self) -> None:
        lock = os.open(os.path.join(self.path, LOCK_NAME), os.O_RDWR | os.O_CREAT, 0o640)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(lock, 20, 0).decode("ascii", "replace").strip()
            os.close(lock)
            raise InUse(f"{self.path} is in use by another broker (pid {holder})") from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        self._lock = lock

    def _file(self, name: str, flags: int = os.O_RDWR) -> int:
        opened = self._open.get(name)
        if opened is not None:
            return opened
        if len(self._open) >= _OPEN_MAX:
            oldest = next(iter(self._open))
            os.close(self._open.pop(oldest))
        opened = os.open(name, flags | os.O_CLOEXEC, 0o640, dir_fd=self._directory)
        self._open[name] = opened
        return opened

    def names(self) -> list[str]:
        """See Disk."""
        return sorted(name for name in os.listdir(self._directory) if name != LOCK_NAME)

    def size(self, name: str) -> int:
        """See Disk."""
        return os.stat(name, dir_fd=self._directory).st_size

    def read(self, name: str, offset: int, length: int) -> bytes:
        """See Disk. Opens a file of its own: reads come from another thread than writes."""
        opened = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._directory)
        try:
            parts = []
            while length > 0:
                part = os.pread(opened, length, offset)
                if not part:
                    break
                parts.append(part)
                offset += len(part)
                length -= len(part)
            return parts[0] if len(parts) == 1 else b"".join(parts)
        finally:
            os.close(opened)

    def will_read(self, name: str, offset: int, length: int) -> None:
        """See Disk."""
        try:
            opened = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._directory)
        except OSError:
            return
        try:
            os.posix_fadvise(opened, offset, length, os.POSIX_FADV_WILLNEED)
        except OSError:
            pass  # only advice
        finally:
            os.close(opened)

    def create(self, name: str, reserved_bytes: int) -> None:
        """See Disk."""
        before = self._open.pop(name, None)  # its flags would not empty the file
        if before is not None:
            os.close(before)
        opened = self._file(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        if reserved_bytes:
            self._reserve(opened, reserved_bytes)

    def _reserve(self, opened: int, wanted_bytes: int) -> None:
        """Reserve room while there is plenty of it.

        It only makes writing quicker: on a disk that is nearly full it would raise the alarm, or
        fail, long before there is no room for what is to be written.
        """
        found = os.fstatvfs(opened)
        plenty = found.f_bavail * found.f_frsize // _RESERVED_SHARE
        try:
            os.posix_fallocate(opened, 0, max(1, min(wanted_bytes, plenty)))
        except OSError:
            os.ftruncate(opened, 0)

    def write(self, name: str, offset: int, data: bytes) -> None:
        """See Disk."""
        opened = self._file(name)
        view = memoryview(data)
        while view:
            count = os.pwrite(opened, view, offset)
            offset += count
            view = view[count:]

    def write_synced(self, name: str, offset: int, data: bytes) -> None:
        """See Disk. One system call where the kernel can: the thread waits for its turn once."""
        opened = self._file(name)
        count = os.pwritev(opened, [data], offset, os.RWF_DSYNC) if _CAN_DSYNC else 0
        if count < len(data):
            self.write(name, offset + count, data[count:])
            self.sync(name)

    def truncate(self, name: str, length: int) -> None:
        """See Disk."""
        os.ftruncate(self._file(name), length)

    def sync(self, name: str) -> None:
        """See Disk."""
        os.fdatasync(self._file(name))

    def sync_directory(self) -> None:
        """See Disk."""
        os.fsync(self._directory)

    def delete(self, name: str) -> None:
        """See Disk."""
        opened = self._open.pop(name, None)
        if opened is not None:
            os.close(opened)
        os.unlink(name, dir_fd=self._directory)

    def close(self) -> None:
        """See Disk."""
        for opened in self._open.values():
            os.close(opened)
        self._open.clear()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
