"""Failpoints: places at which a broker kills itself, so that tests crash it exactly there.

AMQPD_FAILPOINT=name:count in the environment makes the process end by SIGKILL when it passes the
named point for the count-th time. Without the variable none of this is in the way of the disk.

| name | where |
|---|---|
| before-write, mid-write, after-write | any write: none, half, or all of its bytes are there |
| before-sync, after-sync | any sync of a file |
| segment-roll | a file of the journal has just been created, and is empty |
| page-write | a page is about to be written |
| checkpoint-delete | a file of the journal is about to be deleted |
"""

import os
import signal
from typing import Final

from amqpd.store.pages import NAME as PAGE_NAME
from amqpd.store.segments import SEGMENT_NAME
from amqpd.store.volume import Disk

FAILPOINT_VARIABLE: Final = "AMQPD_FAILPOINT"
FAILPOINTS: Final = (
    "before-write",
    "mid-write",
    "after-write",
    "before-sync",
    "after-sync",
    "segment-roll",
    "page-write",
    "checkpoint-delete",
)


def parse_failpoint(text: str) -> tuple[str, int]:
    """Read `name:count`. Raises ValueError with what is expected instead."""
    name, _, count = text.partition(":")
    if name not in FAILPOINTS or not count.isascii() or not count.isdigit() or int(count) < 1:
        raise ValueError(f'expected NAME:COUNT, NAME one of {", ".join(FAILPOINTS)}, not "{text}"')
    return name, int(count)


class FailpointDisk(Disk):
    """Another disk, with one failpoint armed."""

    def __init__(self, disk: Disk, name: str, count: int) -> None:
        self._disk: Final = disk
        self._name: Final = name
        self._left = count

    def _is_due(self, name: str) -> bool:
        """Count one passing; say whether it is the last."""
        if name != self._name:
            return False
        self._left -= 1
        return self._left == 0

    def _pass(self, name: str) -> None:
        if self._is_due(name):
            os.kill(os.getpid(), signal.SIGKILL)

    def names(self) -> list[str]:
        """See Disk."""
        return self._disk.names()

    def size(self, name: str) -> int:
        """See Disk."""
        return self._disk.size(name)

    def read(self, name: str, offset: int, length: int) -> bytes:
        """See Disk."""
        return self._disk.read(name, offset, length)

    def will_read(self, name: str, offset: int, length: int) -> None:
        """See Disk."""
        self._disk.will_read(name, offset, length)

    def create(self, name: str, reserved_bytes: int) -> None:
        """See Disk."""
        self._disk.create(name, reserved_bytes)
        if name.startswith(SEGMENT_NAME):
            self._pass("segment-roll")

    def write(self, name: str, offset: int, data: bytes) -> None:
        """See Disk."""
        if name.startswith(PAGE_NAME):
            self._pass("page-write")
        self._pass("before-write")
        if self._is_due("mid-write"):
            self._disk.write(name, offset, data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        self._disk.write(name, offset, data)
        self._pass("after-write")

    def truncate(self, name: str, length: int) -> None:
        """See Disk."""
        self._disk.truncate(name, length)

    def sync(self, name: str) -> None:
        """See Disk."""
        self._pass("before-sync")
        self._disk.sync(name)
        self._pass("after-sync")

    def sync_directory(self) -> None:
        """See Disk."""
        self._disk.sync_directory()

    def delete(self, name: str) -> None:
        """See Disk."""
        if name.startswith(SEGMENT_NAME):
            self._pass("checkpoint-delete")
        self._disk.delete(name)

    def close(self) -> None:
        """See Disk."""
        self._disk.close()
