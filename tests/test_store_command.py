"""`amqpd store`: what it says of a directory, sound or not, and what it mends."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from amqpd.cli import program
from amqpd.store.blocks import FILE_HEADER_BYTES, Scan
from amqpd.store.disk import PosixDisk
from amqpd.store.recovery import Recovery
from amqpd.store.volume import FORMAT
from tests.crash.process import BrokerProcess

pika = pytest.importorskip("pika")

SMALL, LARGE = 200, 120


def amqpd_store(*words: str) -> tuple[int, str]:
    """Run `amqpd store WORDS`. Returns its code and what it says."""
    result = CliRunner().invoke(program, ["store", *words], prog_name="amqpd")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with several segments and pages, of a broker that was stopped."""
    folder = tmp_path_factory.mktemp("stored")
    small = ("store.segment_bytes=64KiB", "store.waiting_bytes=64KiB")
    broker = BrokerProcess(folder / "data", folder / "log", *small)
    try:
        assert broker.is_up(), broker.said()
        fill(broker.port)
        code, said = amqpd_store("check", str(folder / "data"))
        assert (code, said) == (
            2,
            f"amqpd: {folder / 'data'} is in use by a broker (pid {broker.process.pid}): "
            "stop it first\n",
        )
        assert broker.stop() == 0
    finally:
        broker.kill()
    yield folder / "data"


def fill(port: int) -> None:
    """Publish to a short queue and to a long one."""
    connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", port))
    channel = connection.channel()
    channel.confirm_delivery()
    for queue in ("small", "large"):
        channel.queue_declare(queue, durable=True)
    persistent = pika.BasicProperties(delivery_mode=2)
    for number in range(LARGE):
        channel.basic_publish("", "large", bytes([number]) * 50000, persistent)
    for _ in range(SMALL):
        channel.basic_publish("", "small", b"s" * 1000, persistent)
    connection.close()


@pytest.fixture
def data(stored: Path, tmp_path: Path) -> Path:
    """A copy of the directory to do harm to."""
    return Path(shutil.copytree(stored, tmp_path / "data"))


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a directory."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def segments(folder: Path) -> list[Path]:
    """The files of the journal, oldest first."""
    return sorted(folder.glob("journal-*"))


def flip(path: Path, offset: int, bit: int = 0) -> None:
    """Change one bit."""
    content = bytearray(path.read_bytes())
    content[offset] ^= 1 << bit
    path.write_bytes(content)


def messages(folder: Path) -> dict[str, int]:
    """How many messages recovery finds, by queue."""
    disk = PosixDisk(str(folder), read_only=True)
    found = Recovery(disk).read()
    disk.close()
    return {
        str(queue.definition["name"].value, "utf-8"): len(queue.entries)
        + sum(page.count for page in found.pages.get(queue_id, []))
        for queue_id, queue in found.queues.items()
    }


def damaged_then_mended(folder: Path, name: str, offset: int) -> str:
    """Check names the damage, repair sets it aside, and then all is sound."""
    code, said = amqpd_store("check", str(folder))
    assert code == 1 and f"damage: {folder / name}, offset {offset}: " in said, said
    code, mended = amqpd_store("repair", str(folder))
    assert code == 0 and mended.endswith("sound\n"), mended
    code, said = amqpd_store("check", str(folder))
    assert code == 0, said
    assert "in good order: no" in said
    return mended


def test_a_sound_directory_is_told_and_left_alone(data: Path) -> None:
    before = contents(data)
    code, said = amqpd_store("check", str(data))
    assert code == 0
    assert f"queue 'small' in vhost '/': {SMALL} messages" in said
    assert f"queue 'large' in vhost '/': {LARGE} messages" in said
    assert f"journal: {len(segments(data))} segments" in said
    assert "stopped in good order: yes\nsound\n" in said
    assert amqpd_store("repair", str(data)) == (0, "sound: there is nothing to repair\n")
    before.pop("lock")  # has the number of who looked at it last
    after = contents(data)
    after.pop("lock")
    assert after == before


def test_dump_prints_every_message_and_definition(data: Path) -> None:
    before = contents(data)
    code, said = amqpd_store("dump", str(data))
    assert code == 0
    assert said.count("key='small'") >= SMALL
    assert said.count("entry seq=") >= 40
    assert "defined op='queue.declared'" in said and "name='large'" in said
    assert " clean\n" in said
    assert contents(data) == before


def test_a_torn_tail_is_no_damage(data: Path) -> None:
    with segments(data)[-1].open("ab") as last:
        end = last.tell()
        last.write(b"AMQB torn" + bytes(100))
    code, said = amqpd_store("check", str(data))
    assert code == 0
    assert f"torn tail: {segments(data)[-1].name}, offset {end}: 9 bytes" in said


def test_a_flipped_bit_in_the_journal(data: Path) -> None:
    path = segments(data)[-1]
    block = Scan(path.read_bytes()).blocks[3]
    flip(path, block.offset + 30)
    mended = damaged_then_mended(data, path.name, block.offset)
    aside = data / f"quarantine-{path.name}-{block.offset}"
    assert aside.stat().st_size == block.end - block.offset
    assert aside.name in mended
    assert messages(data)["large"] == LARGE


def test_a_flipped_bit_in_a_page(data: Path) -> None:
    path = sorted(data.glob("page-*"))[0]
    flip(path, FILE_HEADER_BYTES + 5000)
    damaged_then_mended(data, path.name, FILE_HEADER_BYTES)
    left = messages(data)
    assert left["small"] == SMALL and LARGE - 30 <= left["large"] < LARGE


def test_a_flipped_bit_in_a_page_files_header_loses_nothing(data: Path) -> None:
    path = sorted(data.glob("page-*"))[0]
    flip(path, 0)
    damaged_then_mended(data, path.name, 0)
    assert messages(data) == {"small": SMALL, "large": LARGE}


def test_a_flipped_bit_in_the_header_of_the_last_segment_loses_nothing(data: Path) -> None:
    path = segments(data)[-1]
    flip(path, 2)
    damaged_then_mended(data, path.name, 0)
    assert messages(data) == {"small": SMALL, "large": LARGE}


@pytest.mark.parametrize("harm", ["missing", "empty"])
def test_a_missing_or_empty_segment(data: Path, harm: str) -> None:
    path = segments(data)[1]
    if harm == "missing":
        path.unlink()
    else:
        path.write_bytes(b"")
    damaged_then_mended(data, path.name, 0)


@pytest.mark.parametrize("seed", range(20))
def test_repair_mends_any_flipped_bits(data: Path, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(rng.randint(1, 4)):
        path = rng.choice([*segments(data), *data.glob("page-*")])
        at = rng.randrange(12, path.stat().st_size)  # before it stands the format
        flip(path, at, rng.randrange(8))
    code, said = amqpd_store("check", str(data))
    assert code == 1 or "torn tail" in said, f"seed={seed}: {said}"
    assert amqpd_store("dump", str(data))[0] in (0, 1)
    code, said = amqpd_store("repair", str(data))
    assert code == 0, f"seed={seed}: {said}"
    code, said = amqpd_store("check", str(data))
    assert code == 0, f"seed={seed}: {said}"


def test_a_newer_format_is_left_alone(data: Path) -> None:
    flip(segments(data)[0], 8)
    before = contents(data)
    for word in ("check", "dump", "repair"):
        code, said = amqpd_store(word, str(data))
        assert code == 2
        assert said.startswith(f"amqpd: {data}: {segments(data)[0].name} has format {256 + FORMAT}")
    before.pop("lock")
    assert before.items() <= contents(data).items()


@pytest.mark.parametrize("word", ["check", "repair", "dump"])
def test_a_directory_that_is_not_there_is_one_line(tmp_path: Path, word: str) -> None:
    code, said = amqpd_store(word, str(tmp_path / "gone"))
    assert code == 2
    assert said.count("\n") == 1 and f"{tmp_path / 'gone'}: No such" in said
    assert not (tmp_path / "gone").exists()


def test_a_repaired_directory_serves(data: Path, tmp_path: Path) -> None:
    path = segments(data)[-1]
    block = Scan(path.read_bytes()).blocks[2]
    flip(path, block.offset + 25)
    assert amqpd_store("repair", str(data))[0] == 0
    left = messages(data)
    broker = BrokerProcess(data, tmp_path / "log")
    try:
        assert broker.is_up(), broker.said()
        connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", broker.port))
        channel = connection.channel()
        for queue, count in left.items():
            assert channel.queue_declare(queue, passive=True).method.message_count == count
        method, _, body = channel.basic_get("large", auto_ack=True)
        assert method.redelivered and body == bytes(50000)
        connection.close()
        assert broker.stop() == 0
        assert "is damaged" not in broker.said()
    finally:
        broker.kill()
