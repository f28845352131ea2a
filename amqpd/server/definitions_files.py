"""Definitions files: found, read and put into the broker, at the start and at a SIGHUP.

A path is a file or a folder of *.json files, which are taken in the order of their names. All of
them together are one import: if anything is wrong with one of them, nothing of any is used.
"""

import os
from typing import Final

import aiofiles

from amqpd.broker import Broker
from amqpd.core.ports import Log
from amqpd.definitions.document import BadDefinitions, Document, read
from amqpd.definitions.importing import import_all
from amqpd.server.clock import now_ms
from amqpd.server.startup import reason

NOTES_MAX: Final = 100  # lines of the log about what is not used


class Definitions:
    """What was read of a path, not used yet."""

    def __init__(self, path: str, names: list[str], documents: list[Document]) -> None:
        self.path: Final = path
        self.names: Final = names
        self.documents: Final = documents

    def put_into(self, broker: Broker, log: Log) -> None:
        """Import all of it. Raises BadDefinitions, and then nothing has changed."""
        try:
            directory = broker.directory(now_ms())
            import_all(self.documents, directory, broker.vhosts, broker.profile)
        except BadDefinitions as error:
            raise BadDefinitions(f"definitions {self.path}: {error}") from None
        notes = [
            (name, note)
            for name, document in zip(self.names, self.documents, strict=True)
            for note in document.notes
        ]
        for name, note in notes[:NOTES_MAX]:
            log.event(
                "warning", "not all of a definitions file is used", {"file": name, "what": note}
            )
        if len(notes) > NOTES_MAX:
            fields: dict[str, object] = {"more": len(notes) - NOTES_MAX}
            log.event("warning", "not all of a definitions file is used", fields)
        counts: dict[str, object] = {"from": self.path}
        for document in self.documents:
            for section, rows in document.rows.items():
                if rows:
                    before = counts.get(section, 0)
                    assert isinstance(before, int)
                    counts[section] = before + len(rows)
        log.event("info", "definitions imported", counts)


async def read_definitions(path: str) -> Definitions:
    """Read a file or a folder of files. Raises BadDefinitions, which names the file."""
    names = [path]
    try:
        if os.path.isdir(path):
            found = sorted(name for name in os.listdir(path) if name.endswith(".json"))
            names = [os.path.join(path, name) for name in found]
        documents = [await _read_file(name) for name in names]
    except OSError as error:
        where = error.filename or path
        raise BadDefinitions(f"definitions {where}: {reason(error)}") from None
    return Definitions(path, names, documents)


async def _read_file(name: str) -> Document:
    async with aiofiles.open(name, "rb") as file:
        data = await file.read()
    try:
        return read(data)
    except BadDefinitions as error:
        raise BadDefinitions(f"definitions {name}: {error}") from None
