"""`amqpd export-definitions` and `amqpd import-definitions`, on a directory that no broker has.

With a running broker neither works: its directory is locked, and what it knows is newer than what
could be read. A running broker imports the files of its `load_definitions` at a SIGHUP.
"""

import asyncio
import os
import sys
from collections.abc import Callable
from typing import Final

from amqpd.auth import Users
from amqpd.broker import Broker
from amqpd.core.ports import Entropy, Log
from amqpd.definitions.document import EXCHANGES, QUEUES, BadDefinitions
from amqpd.definitions.exporting import as_text, export
from amqpd.limits import Limits
from amqpd.profile import Profile
from amqpd.server.clock import now_ms, wall_ms
from amqpd.server.data import DataDirectory
from amqpd.server.definitions_files import read_definitions
from amqpd.server.seeding import seed
from amqpd.server.settings import Settings
from amqpd.server.startup import StartupError, reason
from amqpd.store.blocks import FutureFormat
from amqpd.store.disk import InUse
from amqpd.store.journal import StoreJournal
from amqpd.store.recovery import Recovery
from amqpd.store_command import Look

DONE: Final = 0
FAILED: Final = 1

Say = Callable[[str], None]


class _SystemEntropy(Entropy):
    """Salts for passwords."""

    def token(self, count: int) -> bytes:
        """See Entropy."""
        return os.urandom(count)


class _Notes(Log):
    """Says what matters to whoever runs the command."""

    def __init__(self, say: Say) -> None:
        super().__init__()
        self._say: Final = say

    def event(self, level: str, event: str, fields: dict[str, object]) -> None:
        """See Log."""
        if level in ("warning", "error") or event == "definitions imported":
            self._say(" ".join([f"{event}:", *(f"{key}={value}" for key, value in fields.items())]))


def _broker(journal: StoreJournal, log: Log, profile: Profile) -> Broker:
    entropy = _SystemEntropy()
    return Broker(
        Limits(), Users(entropy), journal, entropy, now_ms(), log, wall_ms(), profile=profile
    )


def export_definitions(settings: Settings, target: str, say: Say) -> int:
    """Write what a data directory defines to a file ("-" = standard output). Changes nothing."""
    directory = settings.data_dir
    try:
        look = Look(directory)
        try:
            found = Recovery(look.disk).read()
            for queue in found.queues.values():
                queue.entries = {}
            found.pages = {}
            found.files = {}
            broker = _broker(StoreJournal(look.disk, Log()), _Notes(say), settings.profile)
            broker.restore(found)
        finally:
            look.close()
        for damage in found.damage:
            say(f"damage: {damage}")
        if not found.facts.by_key:
            say("the directory knows of no users and vhosts: no broker of this version has had it")
        known = broker.directory(now_ms()).facts
        text = as_text(export(known, broker.vhosts, broker.profile.version))
        if target == "-":
            sys.stdout.write(text)
        else:
            with open(target, "w", encoding="utf-8") as file:
                file.write(text)
    except (InUse, FutureFormat) as error:
        say(f"amqpd: {error}")
        return FAILED
    except OSError as error:
        say(f"amqpd: {error.filename or directory}: {reason(error)}")
        return FAILED
    return FAILED if found.damage else DONE


def import_definitions(settings: Settings, path: str, say: Say) -> int:
    """Put definitions into a data directory, as a broker with these settings would at its start."""
    return asyncio.run(_import(settings, path, say))


async def _import(settings: Settings, path: str, say: Say) -> int:
    log = _Notes(say)
    try:
        definitions = await read_definitions(path)
        store = DataDirectory(settings, log)
        broker = _broker(store.journal, log, settings.profile)

        def prepare() -> None:
            if not broker.directory(now_ms()).is_seeded:
                seed(broker, settings, Log())
            try:
                definitions.put_into(broker, log)
            except BadDefinitions as error:
                raise StartupError(str(error)) from None

        store.start(broker, asyncio.get_running_loop(), lambda: None, prepare)
        store.stop(broker)
    except (BadDefinitions, StartupError) as error:
        say(f"amqpd: {error}")
        return FAILED
    transient = sum(
        row.values.get("durable") is False
        for document in definitions.documents
        for row in (*document.of(QUEUES), *document.of(EXCHANGES))
    )
    if transient:
        say(f"{transient} queues and exchanges are transient: there is no broker that has them now")
    return DONE
