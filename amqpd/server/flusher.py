"""The sync thread: one group of the journal is written and synced while the next one gathers.

The loop never waits for the disk. A group that no client waits for (acks, mostly) is not hurried: it
gathers for a moment, so that a confirm does not wait for the sync of an ack before it. A group's end comes back to the loop as a call; a write or sync
that fails is final: the page cache may have dropped what it could not write, so trying again would
prove nothing (RabbitMQ and PostgreSQL learnt that the hard way).
"""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final

from amqpd.broker import Broker
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
        self._is_busy = False
        self._has_failed = False
        self._later: asyncio.TimerHandle | None = None  # what nobody waits for is sent then
        self._why = ""  # what failed, as soon as the thread knows it
        self._thread: Final = threading.Thread(target=self._work, name="amqpd-sync", daemon=True)
        self._thread.start()

    def kick(self) -> None:
        """Send off what has gathered, unless a group is under way; at once if a client waits."""
        if self._is_busy or self._has_failed:
            return
        broker = self._broker
        if broker.is_sync_awaited or broker.unsynced_bytes >= GATHER_BYTES:
            self._send()
        elif self._later is None:  # cheaper than to ask whether there is anything
            self._later = self._loop.call_later(GATHER_S, self._send)

    def _send(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self._is_busy or self._has_failed:
            return
        group = self._broker.take_group()
        if group is not None:
            self._is_busy = True
            self._groups.put(group)

    def _work(self) -> None:
        while True:
            group = self._groups.get()
            if group is None:
                return
            try:
                group.run(self._disk, self._syncing)
            except Exception as error:
                self._why = f"{type(error).__name__}: {error}"
                self._loop.call_soon_threadsafe(self._failed)
                return
            self._loop.call_soon_threadsafe(self._done, group)

    def _done(self, group: Group) -> None:
        self._is_busy = False
        self._broker.group_done(group, self._clock())
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
