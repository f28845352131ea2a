"""The real disk: bytes, names, and the lock that keeps two brokers off one directory."""

import os
from pathlib import Path

import pytest

from amqpd.store.disk import InUse, PosixDisk


def test_bytes_come_back(tmp_path: Path) -> None:
    disk = PosixDisk(str(tmp_path / "made" / "deep"))
    disk.create("f", 1000)
    assert disk.size("f") == 1000
    disk.write("f", 10, b"abc")
    disk.write_synced("f", 13, b"def")
    disk.sync("f")
    disk.sync_directory()
    assert disk.read("f", 10, 6) == b"abcdef"
    disk.truncate("f", 12)
    assert disk.read("f", 10, 100) == b"ab"
    assert disk.read("f", 100, 5) == b""
    disk.will_read("f", 0, 100)
    disk.will_read("missing", 0, 100)
    disk.create("f", 0)
    assert disk.size("f") == 0
    disk.delete("f")
    assert disk.names() == []
    disk.close()


def test_many_files_may_be_in_use(tmp_path: Path) -> None:
    disk = PosixDisk(str(tmp_path))
    names = [f"f{number:03d}" for number in range(150)]
    for name in names:
        disk.create(name, 0)
    for name in names:
        disk.write(name, 0, name.encode())
    assert disk.names() == names
    assert all(disk.read(name, 0, 9) == name.encode() for name in names)
    assert len(os.listdir("/proc/self/fd")) < 140
    disk.close()


def test_a_second_broker_is_told_who_has_it(tmp_path: Path) -> None:
    disk = PosixDisk(str(tmp_path))
    with pytest.raises(InUse, match=f"in use by another broker .pid {os.getpid()}"):
        PosixDisk(str(tmp_path))
    reader = PosixDisk(str(tmp_path), read_only=True)
    assert reader.names() == []
    reader.close()
    disk.close()
    PosixDisk(str(tmp_path)).close()


def test_what_is_missing_is_an_os_error(tmp_path: Path) -> None:
    disk = PosixDisk(str(tmp_path))
    for call in (
        lambda: disk.read("f", 0, 1),
        lambda: disk.size("f"),
        lambda: disk.write("f", 0, b"x"),
        lambda: disk.sync("f"),
        lambda: disk.delete("f"),
    ):
        with pytest.raises(FileNotFoundError):
            call()
    disk.close()
    with pytest.raises(NotADirectoryError):
        (tmp_path / "file").write_bytes(b"")
        PosixDisk(str(tmp_path / "file" / "x"))
