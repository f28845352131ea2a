"""Memory and disk alarms: when publishers have to wait, and when they may go on.

Checked by a timer, and in between after so many received bytes, because a publisher can fill
gigabytes within one period of any timer. An alarm that is raised is lifted only when there is
some room again (`LIFT_SHARE`), so that it does not flicker at the limit.
"""

import os
from collections.abc import Callable
from typing import Final

from amqpd.core.ports import Log
from amqpd.server.process import give_memory_back
from amqpd.server.settings import WatermarkSettings
from amqpd.server.transport import Turns

LIFT_SHARE: Final = 0.05  # of the limit, as distance between raising and lifting
DISK_SHARE: Final = 8  # part of the disk's limit that may be received between two checks
PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


def resident_bytes(proc: str = "/proc") -> int:
    """Resident memory of this process (bytes; 0 where the system does not say)."""
    try:
        with open(f"{proc}/self/statm", "rb") as statm:
            return int(statm.read().split()[1]) * PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return 0


def memory_bytes(proc: str = "/proc", cgroups: str = "/sys/fs/cgroup") -> int:
    """Memory this process may use (bytes): RAM, or less where a cgroup says so."""
    total = os.sysconf("SC_PHYS_PAGES") * PAGE_BYTES
    for path in _limit_files(proc, cgroups):
        try:
            with open(path, encoding="ascii") as limit_file:
                total = min(total, int(limit_file.read()))
        except (OSError, ValueError):  # no such controller here; "max"
            continue
    return total


def _limit_files(proc: str, cgroups: str) -> list[str]:
    """Where limits of this process's cgroup and of those around it may stand."""
    paths = [f"{cgroups}/memory.max", f"{cgroups}/memory/memory.limit_in_bytes"]
    try:
        with open(f"{proc}/self/cgroup", encoding="utf-8") as own:
            lines = own.read().splitlines()
    except OSError:
        return paths
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        base, name = (
            (f"{cgroups}/memory", "memory.limit_in_bytes")
            if controllers
            else (cgroups, "memory.max")
        )
        while group.strip("/"):
            paths.append(f"{base}/{group.strip('/')}/{name}")
            group = group.rpartition("/")[0]
    return paths


def disk_free_bytes(path: str) -> int:
    """Bytes free for this process on the file system where `path` is, or will be; -1 = unknown."""
    place = os.path.abspath(path)
    while not os.path.exists(place) and place != os.path.dirname(place):
        place = os.path.dirname(place)
    try:
        found = os.statvfs(place)
    except OSError:
        return -1
    return found.f_bavail * found.f_frsize


class Watermark:
    """Compares use with the limits and tells the broker of every change.

    `raised` has the resources that are short now: "memory", "disk".
    """

    def __init__(
        self,
        settings: WatermarkSettings,
        data_dir: str,
        turns: Turns,
        log: Log,
        *,
        used: Callable[[], int] = resident_bytes,
        free: Callable[[str], int] = disk_free_bytes,
        total: Callable[[], int] = memory_bytes,
        trim: Callable[[], None] = give_memory_back,
    ) -> None:
        memory = total()
        self.memory_limit_bytes: Final = (
            int(memory * settings.memory_relative)
            if settings.memory_absolute is None
            else settings.memory_absolute
        )
        self.disk_limit_bytes: Final = (
            settings.disk_free_bytes
            if settings.disk_free_relative is None
            else int(memory * settings.disk_free_relative)
        )
        self.raised: set[str] = set()
        self._settings: Final = settings
        self._data_dir: Final = data_dir
        self._turns: Final = turns
        self._log: Final = log
        self._used: Final = used
        self._free: Final = free
        self._trim: Final = trim
        self._timer = turns.loop.call_soon(self._tick)
        turns.watch(self.check, self._received_bytes())

    def _received_bytes(self) -> int:
        """How much may be received between two checks.

        What is received is written up to three times (journal, page, checkpoint), and has to find
        room above the limit of the disk: free space may be at the limit since the last check.
        """
        if self.disk_limit_bytes == 0:
            return self._settings.received_bytes
        return min(self._settings.received_bytes, self.disk_limit_bytes // DISK_SHARE)

    def stop(self) -> None:
        """Check no more."""
        self._timer.cancel()

    def check(self) -> None:
        """Raise or lift what has to be."""
        if "memory" in self.raised:
            self._trim()
        used = self._used()
        limit = self.memory_limit_bytes
        self._decide("memory", used > limit, used <= limit * (1 - LIFT_SHARE), used, limit)
        free = self._free(self._data_dir)
        if free >= 0:
            limit = self.disk_limit_bytes
            self._decide("disk", free < limit, free >= limit * (1 + LIFT_SHARE), free, limit)

    def _decide(self, resource: str, short: bool, ample: bool, now: int, limit: int) -> None:
        """Tell the broker and the log if the alarm of a resource changes."""
        if resource in self.raised:
            if not ample:
                return
            self.raised.discard(resource)
            event = f"{resource} is ample again"
        else:
            if not short:
                return
            self.raised.add(resource)
            event = f"{resource} is short, publishers wait"
        what = "used_bytes" if resource == "memory" else "free_bytes"
        self._log.event("warning", event, {what: now, "limit_bytes": limit})
        self._turns.set_alarm(resource, resource in self.raised)

    def _tick(self) -> None:
        self.check()
        self._timer = self._turns.loop.call_later(self._settings.interval_ms / 1000, self._tick)
