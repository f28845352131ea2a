"""Is a group of the journal better synced by the loop itself than by the thread?

The way to the thread and back costs about as much as the sync of a fast disk. It is worth that when
the loop has something else to do meanwhile; where every client waits for its confirm before it
sends the next message, it only makes that confirm late.

Which it is shows in the thread's groups: when one is done, a client waits for the next already, or
none does. After `QUIET_GROUPS` quick ones in a row with nobody waiting, the loop syncs small groups
itself, and every `PROBE_EVERY`th goes to the thread again, to see whether that is still right. A
sync that is not quick ends it at once: the loop has waited for the disk once, for that long.
"""

from typing import Final

from amqpd.store.volume import WRITE_SYNCED, Group

QUIET_GROUPS: Final = 16
PROBE_EVERY: Final = 64
QUICK_NS: Final = 400_000  # a disk whose syncs take longer is not waited for
SMALL_BYTES: Final = 16384


class Shortcut:
    """What the latest groups have shown."""

    def __init__(self) -> None:
        self._quiet_count = 0
        self._here_count = 0

    def is_open(self) -> bool:
        """Say whether the loop is to sync the next group, which a client waits for, if small."""
        if self._quiet_count < QUIET_GROUPS:
            return False
        self._here_count += 1
        return self._here_count % PROBE_EVERY != 0

    def thread_took(self, took_ns: int, is_awaited: bool) -> None:
        """Learn how long the thread had a group, and whether a client waits for the next."""
        if is_awaited or took_ns > QUICK_NS:
            self._quiet_count = 0
        else:
            self._quiet_count += 1

    def loop_took(self, took_ns: int) -> None:
        """Learn how long the loop itself had one."""
        if took_ns > QUICK_NS:
            self._quiet_count = 0


def is_small(group: Group) -> bool:
    """Say whether a group is one write to the journal, and a short one."""
    if len(group.operations) != 1:
        return False
    only = group.operations[0]
    return only.kind == WRITE_SYNCED and len(only.data) <= SMALL_BYTES
