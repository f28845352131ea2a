"""The data directory of a server: opened and read at its start, written in order at its stop."""

import asyncio
import os
from collections.abc import Callable
from time import monotonic
from typing import Final

from amqpd.broker import Broker
from amqpd.core.ports import Log
from amqpd.server.clock import now_ms
from amqpd.server.failpoints import FAILPOINT_VARIABLE, FailpointDisk, parse_failpoint
from amqpd.server.flusher import Flusher
from amqpd.server.process import give_memory_back
from amqpd.server.settings import Settings
from amqpd.server.startup import StartupError, reason
from amqpd.store.blocks import FutureFormat
from amqpd.store.disk import InUse, PosixDisk
from amqpd.store.journal import StoreJournal
from amqpd.store.recovered import Recovered
from amqpd.store.recovery import Recovery
from amqpd.store.restore import mend
from amqpd.store.volume import Disk

SLACK_SEGMENTS: Final = 3  # files of the journal allowed beyond twice what is live in it


def _open_disk(path: str) -> Disk:
    """The directory as it is, or one that kills this process where a test wants it."""
    failpoint = os.environ.get(FAILPOINT_VARIABLE, "")
    if not failpoint:
        return PosixDisk(path)
    try:
        name, count = parse_failpoint(failpoint)
    except ValueError as error:
        raise StartupError(f"{FAILPOINT_VARIABLE}: {error}") from None
    return FailpointDisk(PosixDisk(path), name, count)


class DataDirectory:
    """Disk, journal and sync thread of one broker. Raises StartupError in one clear line."""

    def __init__(self, settings: Settings, log: Log) -> None:
        path = settings.data_dir
        self._log: Final = log
        self._syncing: Final = settings.syncing
        self._path: Final = os.path.abspath(path)
        self._flusher: Flusher | None = None
        try:
            self._disk: Final = _open_disk(path)
        except InUse as error:
            raise StartupError(str(error)) from None
        except OSError as error:
            raise StartupError(f"data directory {path}: {reason(error)}") from None
        self.journal: Final = StoreJournal(
            self._disk,
            log,
            segment_bytes=settings.segment_bytes,
            waiting_bytes_max=settings.waiting_bytes,
            slack_bytes=SLACK_SEGMENTS * settings.segment_bytes,
        )

    @property
    def flusher(self) -> Flusher:
        """The sync thread; there from `start` on."""
        assert self._flusher is not None
        return self._flusher

    def start(
        self,
        broker: Broker,
        loop: asyncio.AbstractEventLoop,
        on_done: Callable[[], None],
        prepare: Callable[[], None],
    ) -> None:
        """Read what is there into the broker, and begin to write.

        `prepare` is called in between: what it defines is as safe as the rest at the return.
        """
        began = monotonic()
        try:
            found = Recovery(self._disk).read()
            self._report(found)
            mend(found, self._disk)
            broker.restore(found)
            prepare()
            group = broker.take_group()
            assert group is not None
            group.run(self._disk, self._syncing)
        except StartupError:
            self._disk.close()
            raise
        except (FutureFormat, OSError) as error:
            self._disk.close()
            why = reason(error) if isinstance(error, OSError) else str(error)
            raise StartupError(f"data directory {self._path}: {why}") from None
        broker.group_done(group, now_ms())
        give_memory_back()  # reading a journal takes more than what is kept of it
        fields: dict[str, object] = {
            "queues": len(found.queues),
            "messages": sum(
                int(queue.backlog.count)
                for vhost in broker.vhosts.values()
                for queue in vhost.queues.values()
            ),
            "took_ms": round((monotonic() - began) * 1000),
            "clean": found.is_clean,
        }
        self._log.event("info", "data read", fields)
        self._flusher = Flusher(
            broker, self._disk, loop, syncing=self._syncing, on_done=on_done, clock=now_ms
        )

    def _report(self, found: Recovered) -> None:
        """Name every damage, where it is, and what becomes of it."""
        for damage in found.damage:
            fields: dict[str, object] = {
                "file": os.path.join(self._path, damage.name),
                "offset": damage.offset,
                "why": damage.why,
                "what_now": "set aside in a quarantine file; everything else is used",
            }
            self._log.event("error", "the store is damaged", fields)
        for name, length in found.torn:
            torn: dict[str, object] = {"file": os.path.join(self._path, name), "offset": length}
            self._log.event("debug", "unused room at the end of the journal is cut off", torn)

    def stop(self, broker: Broker) -> None:
        """Write everything, say that all is in order, and let go of the directory."""
        if self._flusher is not None:
            broker.stop_store()
            try:
                self._flusher.stop()
            except OSError as error:
                self._log.event("error", "the last write failed", {"why": str(error)})
        self._disk.close()
