"""The seam to the disk: what the store asks of it, and groups of writes that are made together.

A name is relative to the data directory and has no folders in it. Errors are OSError. What is
written is in the operating system (a killed broker loses nothing of it) but survives a power loss
only after `sync`; a new, deleted or renamed file only after `sync_directory`.
"""

from typing import Final

from mypy_extensions import mypyc_attr

from amqpd.core.ports import Page

FORMAT: Final = 2


@mypyc_attr(allow_interpreted_subclasses=True)
class Disk:
    """A data directory. The default methods are for subclasses to override."""

    def names(self) -> list[str]:
        """Return the names of all files, sorted."""
        raise NotImplementedError

    def size(self, name: str) -> int:
        """Return a file's length (bytes)."""
        raise NotImplementedError

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Return up to `length` bytes from `offset`; fewer at the end of the file."""
        raise NotImplementedError

    def will_read(self, name: str, offset: int, length: int) -> None:
        """Advise that these bytes will be wanted soon."""

    def create(self, name: str, reserved_bytes: int) -> None:
        """Make an empty file, with room reserved for so many bytes."""
        raise NotImplementedError

    def write(self, name: str, offset: int, data: bytes) -> None:
        """Write bytes at an offset."""
        raise NotImplementedError

    def write_synced(self, name: str, offset: int, data: bytes) -> None:
        """Write bytes at an offset, and make the file's content survive a power loss."""
        self.write(name, offset, data)
        self.sync(name)

    def truncate(self, name: str, length: int) -> None:
        """Cut a file."""
        raise NotImplementedError

    def sync(self, name: str) -> None:
        """Make a file's content survive a power loss."""
        raise NotImplementedError

    def sync_directory(self) -> None:
        """Make created, deleted and renamed files survive a power loss."""
        raise NotImplementedError

    def delete(self, name: str) -> None:
        """Remove a file."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of all files and of the directory's lock."""


CREATE: Final = 0
WRITE: Final = 1
SYNC: Final = 2
SYNC_DIRECTORY: Final = 3
DELETE: Final = 4
TRUNCATE: Final = 5
WRITE_SYNCED: Final = 6


class Operation:
    """One step of a group; which fields count depends on `kind`."""

    def __init__(self, kind: int, name: str = "", offset: int = 0, data: bytes = b"") -> None:
        self.kind: Final = kind
        self.name: Final = name
        self.offset: Final = offset
        self.data: Final = data


class Group:
    """Writes that one sync covers; after `run`, all facts up to `position` are safe."""

    def __init__(self, number: int, position: int) -> None:
        self.number: Final = number
        self.position: Final = position
        self.operations: list[Operation] = []
        self.pages: list[Page] = []  # that it writes
        self.opened_segment = 0  # number of the segment that it begins

    def add(self, kind: int, name: str = "", offset: int = 0, data: bytes = b"") -> None:
        """Append a step."""
        self.operations.append(Operation(kind, name, offset, data))

    def run(self, disk: Disk, syncing: bool) -> None:
        """Carry the steps out in order. Raises OSError; the journal is then at its end.

        Without `syncing` nothing is made to survive a power loss.
        """
        for step in self.operations:
            if step.kind == WRITE or (step.kind == WRITE_SYNCED and not syncing):
                disk.write(step.name, step.offset, step.data)
            elif step.kind == WRITE_SYNCED:
                disk.write_synced(step.name, step.offset, step.data)
            elif step.kind == SYNC:
                if syncing:
                    disk.sync(step.name)
            elif step.kind == CREATE:
                disk.create(step.name, step.offset)
            elif step.kind == SYNC_DIRECTORY:
                if syncing:
                    disk.sync_directory()
            elif step.kind == TRUNCATE:
                disk.truncate(step.name, step.offset)
            else:
                assert step.kind == DELETE
                disk.delete(step.name)
