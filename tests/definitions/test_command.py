"""`amqpd import-definitions` and `amqpd export-definitions`, and what they say."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from amqpd.cli import program
from amqpd.server.settings import Settings
from amqpd.testing.embedded import SOCKETS, EmbeddedBroker
from tests.definitions.test_importing import RABBITMQ


def amqpd(*words: str) -> tuple[int, str, str]:
    """Run the program. Returns its code, and what it says on both ways."""
    result = CliRunner().invoke(program, [str(word) for word in words], prog_name="amqpd")
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Where a data directory is to be."""
    return tmp_path / "data"


def broker(data: Path, definitions: str = "") -> EmbeddedBroker:
    """A broker on that directory, not started."""
    settings = Settings(
        listeners=(),
        sockets=SOCKETS,
        data_dir=str(data),
        in_memory=False,
        definitions=definitions,
    )
    return EmbeddedBroker(settings)


def test_what_is_imported_is_exported(data: Path, tmp_path: Path) -> None:
    code, out, said = amqpd("import-definitions", str(RABBITMQ), "--data-dir", str(data))
    assert (code, out) == (0, "") and "definitions imported: " in said and "users=2" in said
    assert "2 queues and exchanges are transient" in said
    code, out, said = amqpd("export-definitions", "--data-dir", str(data))
    assert (code, said) == (0, "")
    target = tmp_path / "out.json"
    assert amqpd("export-definitions", "--data-dir", str(data), str(target)) == (0, "", "")
    assert target.read_text(encoding="utf-8") == out
    found = json.loads(out)
    assert [queue["name"] for queue in found["queues"]] == ["q1", "qq"]
    assert [user["name"] for user in found["users"]] == ["guest", "bob"]
    with broker(data) as started:
        assert started.call(lambda s: s.broker.users.authenticate("bob", "pw"))
        assert set(started.call(lambda s: s.broker.vhosts["v é"].queues)) == {"q1", "qq"}


def test_an_import_keeps_what_is_there(data: Path) -> None:
    with broker(data) as first:
        first.call(
            lambda s: s.broker.vhosts["/"].declare_queue(
                "q", durable=True, owner=0, auto_delete=False, arguments={}
            )
        )
    assert amqpd("import-definitions", str(RABBITMQ), "--data-dir", str(data))[0] == 0
    with broker(data) as again:
        assert set(again.call(lambda s: s.broker.vhosts["/"].queues)) == {"q"}


def test_a_bad_file_is_named_and_changes_nothing(data: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text('{"vhosts": [{"name": "v"}], "users": [{"name": "u", "password_hash": "?"}]}')
    code, out, said = amqpd("import-definitions", str(bad), "--data-dir", str(data))
    assert (code, out) == (1, "")
    assert said.startswith(f'amqpd: definitions {bad}: users[0] "u": the password hash of')
    bad.write_text("{")
    code, _, said = amqpd("import-definitions", str(bad), "--data-dir", str(data))
    assert code == 1 and said.startswith(f"amqpd: definitions {bad}: it is no JSON: line 1, col")
    code, _, said = amqpd("import-definitions", str(tmp_path / "no"), "--data-dir", str(data))
    assert (code, said) == (1, f"amqpd: definitions {tmp_path / 'no'}: no such file or directory\n")
    with broker(data) as started:
        assert set(started.call(lambda s: s.broker.vhosts)) == {"/"}


def test_a_directory_that_a_broker_has_is_left_alone(data: Path) -> None:
    with broker(data):
        for words in (("export-definitions",), ("import-definitions", str(RABBITMQ))):
            code, out, said = amqpd(*words, "--data-dir", str(data))
            assert (code, out) == (1, "")
            assert said.startswith("amqpd: ") and "is in use by" in said and said.count("\n") == 1


def test_there_must_be_a_directory_to_export(tmp_path: Path) -> None:
    code, out, said = amqpd("export-definitions", "--data-dir", str(tmp_path / "no"))
    assert (code, out) == (1, "") and said.startswith(f"amqpd: {tmp_path / 'no'}")
