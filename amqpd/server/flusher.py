"""The sync thread: one group of the journal is written and synced while the next one gathers.

The loop does not wait for the disk, but where that is the quickest way (see `shortcut`). A group
that no client waits for (acks, mostly) is not hurried: it gathers for a moment, so that a confirm
does not wait for the sync of an ack before it.

A group's end comes back to the loop as a call; a write or sync that fails is final: the page cache
may have dropped what it could not write, so trying again would prove nothing (RabbitMQ and
PostgreSQL learnt that the hard way).
"""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from time import monotonic_ns
from typing import Final

from amqpd.broker import Broker
from amqpd.server.shortcut import Shortcut, is_small
from amqpd.store.volume import Disk, Group

GATHER_S: Final = 0.005  # for so long, what nobody waits for
GATHER_BYTES: Final = 65536  # and so much of it, at most


class Flusher:
    """Runs groups on a disk in a thread of its own; `kick` at the end of every turn."""

    def __init__(
        self,
        broker: Broker,
        disk: Disk,
        loop: asyncio.AbstractEventLoop,
        *,
        syncing: bool,
        on_done: Callable[[], None],
        clock: Callable[[], int],
    ) -> None:
        self._broker: Final = broker
        self._disk: Final = disk
        self._loop: Final = loop
        self._syncing: Final = syncing
        self._on_done: Final = on_done
        self._clock: Final = clock
        self._groups: Final[SimpleQueue[Group | None]] = SimpleQueue()
        self._shortcut: Final = Shortcut()
        self._is_busy = False
        self._has_failed = False
        self._took_ns = 0  # by the thread, for its latest group
        self._later: asyncio.TimerHandle | None = None  # what nobody waits for is sent then
        self._why = ""  # what failed, as soon as the thread knows it
        self._thread: Final = threading.Thread(target=self._work, name="amqpd-sync", daemon=True)
        self._thread.start()

    def kick(self) -> bool:
        """Send off what has gathered, unless a group is under way; at once if a client waits.

        Returns whether it is safe already.
        """
        if self._is_busy or self._has_failed:
            return False
        broker = self._broker
        if broker.is_sync_awaited:
            return self._send(self._shortcut.is_open())
        if broker.unsynced_bytes >= GATHER_BYTES:
            return self._send()
        if self._later is None:  # cheaper than to ask whether there is anything
            self._later = self._loop.call_later(GATHER_S, self._send)
        return False

    def _send(self, may_be_here: bool = False) -> bool:
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self._is_busy or self._has_failed:
            return False
        group = self._broker.take_group()
        if group is None:
            return False
        self._is_busy = True
        if not may_be_here or not is_small(group):
            self._groups.put(group)
            return False
        began_ns = monotonic_ns()
        try:
            group.run(self._disk, self._syncing)
        except Exception as error:
            self._why = _words(error)
            self._failed()
            return False
        self._shortcut.loop_took(monotonic_ns() - began_ns)
        self._is_busy = False
        self._broker.group_done(group, self._clock())
        return True

    def _work(self) -> None:
        while True:
            group = self._groups.get()
            if group is None:
                return
            began_ns = monotonic_ns()
            try:
                group.run(self._disk, self._syncing)
            except Exception as error:
                self._why = _words(error)
                self._loop.call_soon_threadsafe(self._failed)
                return
            self._took_ns = monotonic_ns() - began_ns
            self._loop.call_soon_threadsafe(self._done, group)

    def _done(self, group: Group) -> None:
        self._is_busy = False
        self._broker.group_done(group, self._clock())
        self._shortcut.thread_took(self._took_ns, self._broker.is_sync_awaited)
        self.kick()
        self._on_done()

    def _failed(self) -> None:
        if self._has_failed:
            return
        self._has_failed = True
        self._is_busy = False
        self._broker.store_failed(self._why)
        self._on_done()

    def stop(self) -> None:
        """End the thread after its current group, then write the last groups here."""
        self._groups.put(None)
        self._thread.join()
        if self._why:
            self._failed()  # its call may be late
        self._is_busy = True  # a late call of the thread starts nothing any more
        if self._has_failed:
            return
        while True:
            group = self._broker.take_group()
            if group is None:
                return
            group.run(self._disk, self._syncing)
            self._broker.group_done(group, self._clock())


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
