"""From what recovery found to a broker that goes on with it."""

from typing import Final

from amqpd.core.consumer import Entry
from amqpd.core.exchange import Binding
from amqpd.core.facts import Facts
from amqpd.core.ports import Page
from amqpd.core.queue import Queue
from amqpd.core.quorum_queue import QuorumQueue
from amqpd.core.vhost import QueueIds, VHost
from amqpd.store import blocks
from amqpd.store.journal import StoreJournal
from amqpd.store.pages import StoredPage
from amqpd.store.recovered import Recovered, RecoveredQueue, arguments_of, flag_of
from amqpd.store.recovery import QUARANTINE_NAME
from amqpd.store.segments import segment_name
from amqpd.store.volume import CREATE, DELETE, SYNC, SYNC_DIRECTORY, TRUNCATE, WRITE, Disk, Group
from amqpd.wire import tables
from amqpd.wire.tables import Table


class Restorer:
    """Puts recovered definitions and messages into vhosts; the journal is muted meanwhile."""

    def __init__(
        self,
        found: Recovered,
        journal: StoreJournal,
        vhosts: dict[str, VHost],
        ids: QueueIds,
        facts: Facts,
    ) -> None:
        self._found: Final = found
        self._facts: Final = facts
        self._journal: Final = journal
        self._vhosts: Final = vhosts
        self._ids: Final = ids
        self._queues: dict[int, Queue] = {}

    def vhost_names(self) -> list[str]:
        """The vhosts that recovered things belong to, which must exist before `restore`."""
        names: dict[str, bool] = {}
        for vhost, _ in self._found.exchanges:
            names[vhost] = True
        for queue in self._found.queues.values():
            names[tables.text(queue.definition["vhost"])] = True
        return list(names)

    def restore(self) -> None:
        """Rebuild everything, and let the journal begin its next segment."""
        found, journal = self._found, self._journal
        for number, size in found.segments:
            journal.adopt_segment(number, size)
        journal.begin_files_after(found.last_file)
        for file in found.files.values():
            journal.adopt_file(file)
        self._ids.last = max(self._ids.last, found.last_queue_id)
        for table in found.exchanges.values():
            self._restore_exchange(table)
        for queue_id, queue in found.queues.items():
            self._restore_queue(queue_id, queue)
        for table in found.bindings.values():
            self._restore_binding(table)
        following = found.segments[-1][0] + 1 if found.segments else 1
        journal.attach(self._vhosts, self._ids, self._facts)
        journal.begin_writing(found.last_group, following)
        for queue_id, queue in found.queues.items():
            self._fill(queue_id, queue)

    def _restore_exchange(self, table: Table) -> None:
        vhost = self._vhosts[tables.text(table["vhost"])]
        vhost.declare_exchange(
            tables.text(table["name"]),
            tables.text(table["kind"]),
            durable=True,
            auto_delete=flag_of(table, "auto-delete"),
            internal=flag_of(table, "internal"),
            arguments=arguments_of(table),
        )

    def _restore_queue(self, queue_id: int, recovered: RecoveredQueue) -> None:
        table = recovered.definition
        vhost = self._vhosts[tables.text(table["vhost"])]
        name = tables.text(table["name"])
        if "part" in table:
            exchange = vhost.exchanges.get(tables.text(table["exchange"]))
            part = None
            if exchange is not None:
                part = exchange.restored_part(tables.text(table["part"]), queue_id)
            if part is None:
                return
            queue = part
        else:
            vhost.declare_queue(
                name,
                durable=True,
                owner=0,
                auto_delete=flag_of(table, "auto-delete"),
                arguments=arguments_of(table),
                queue_id=queue_id,
            )
            queue = vhost.queues[name]
        self._queues[queue_id] = queue
        queue.next_seq = recovered.next_seq
        for entry in recovered.entries.values():
            self._journal.keep(entry)

    def _fill(self, queue_id: int, recovered: RecoveredQueue) -> None:
        """Put what waits into a queue, level by level, in order."""
        queue = self._queues.get(queue_id)
        if queue is None:
            self._journal.queue_gone(queue_id)
            return
        backlog = queue.backlog
        entries: dict[int, list[Entry]] = {}
        for entry in sorted(recovered.entries.values(), key=_seq_of):
            if entry.expires_ms:
                entry.expires_ms = max(1, entry.expires_ms - self._journal.wall_offset_ms)
            if entry.reason() and isinstance(queue, QuorumQueue):
                queue.adopt_unplaced(entry)
                continue
            entries.setdefault(backlog.level_of(entry.message), []).append(entry)
        stored: dict[int, list[StoredPage]] = {}
        for page in self._found.pages.get(queue_id, []):
            stored.setdefault(backlog.level_of_page(page), []).append(page)
        for level in sorted(set(entries) | set(stored)):
            self._fill_level(queue, level, entries.get(level, []), stored.get(level, []))
        queue.adopted()

    def _fill_level(
        self, queue: Queue, level: int, entries: list[Entry], stored: list[StoredPage]
    ) -> None:
        """Put what waits into a level of a queue.

        What lies between two pages was in memory, behind pages that had been read: it is paged out
        now, since a backlog has nothing in memory between its pages.
        """
        pages: list[Page] = []
        before: list[Entry] = []
        at = 0
        for page in stored:
            between: list[Entry] = []
            while at < len(entries) and entries[at].seq < page.first_seq:
                between.append(entries[at])
                at += 1
            if not pages:
                before = between
            elif between:
                pages.append(self._journal.page_out(queue.id, True, between, level))
            pages.append(page)
        if stored:
            queue.backlog.adopt(level, before, pages, entries[at:])
        else:
            queue.backlog.adopt(level, entries, pages, [])

    def _restore_binding(self, table: Table) -> None:
        vhost = self._vhosts[tables.text(table["vhost"])]
        source = vhost.exchanges.get(tables.text(table["source"]))
        destination, key = tables.text(table["destination"]), tables.text(table["key"])
        if source is None:
            return
        arguments = arguments_of(table)
        if flag_of(table, "to-queue"):
            queue = vhost.queues.get(destination)
            if queue is not None:
                vhost.bind(Binding(source, key, arguments, queue=queue))
        else:
            exchange = vhost.exchanges.get(destination)
            if exchange is not None:
                vhost.bind(Binding(source, key, arguments, exchange=exchange))


def _seq_of(entry: Entry) -> int:
    return entry.seq


def mend(found: Recovered, disk: Disk) -> None:
    """Cut torn writes off, set damage aside, and delete what nothing needs."""
    group = Group(0, 0)
    for name, offset, end in found.quarantine:
        aside = f"{QUARANTINE_NAME}{name}-{offset}"
        group.add(CREATE, aside)
        group.add(WRITE, aside, 0, disk.read(name, offset, end - offset))
        group.add(SYNC, aside)
    for name, offset, end, torn_group in found.holes:
        group.add(WRITE, name, offset, blocks.filler(end - offset, torn_group))
        group.add(SYNC, name)
    for name, length in found.torn:
        group.add(TRUNCATE, name, length)
        group.add(SYNC, name)
    if found.segments and found.segments[-1][1]:
        # what a killed broker had written is used, and must not be lost to a later power loss
        group.add(SYNC, segment_name(found.segments[-1][0]))
    if found.quarantine:
        group.add(SYNC_DIRECTORY)
    for name in found.useless:
        group.add(DELETE, name)
    group.add(SYNC_DIRECTORY)
    group.run(disk, True)
