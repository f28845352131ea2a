"""Definitions files of a server: at the start, from a folder, and again at a SIGHUP."""

import asyncio
import json
import signal
from pathlib import Path

import pytest

from amqpd.definitions.document import BadDefinitions
from amqpd.server.definitions_files import NOTES_MAX, read_definitions
from amqpd.server.server import Server
from amqpd.server.settings import Settings
from amqpd.server.startup import StartupError
from amqpd.testing.embedded import SOCKETS, EmbeddedBroker
from tests.crash.process import BrokerProcess
from tests.peers.memory import RecordingLog

HASH = "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR"


def write(path: Path, *users: str, vhost: str = "v", **more: object) -> Path:
    """Write definitions of users who may do everything in a vhost."""
    rows = [{"name": user, "password_hash": HASH, "tags": []} for user in users]
    may = {"vhost": vhost, "configure": ".*", "write": ".*", "read": ".*"}
    permissions = [{"user": user, **may} for user in users]
    whole = {"users": rows, "vhosts": [{"name": vhost}], "permissions": permissions, **more}
    path.write_text(json.dumps(whole))
    return path


def broker(path: Path, data: Path | None = None, log: RecordingLog | None = None) -> EmbeddedBroker:
    """A broker with definitions."""
    settings = Settings(
        listeners=(),
        sockets=SOCKETS,
        data_dir=str(data or ""),
        in_memory=data is None,
        definitions=str(path),
    )
    return EmbeddedBroker(settings, log)


def names(server: Server) -> tuple[list[str], list[str]]:
    """Users and vhosts."""
    return sorted(server.broker.users.users), sorted(server.broker.vhosts)


def test_with_definitions_there_is_nothing_else(tmp_path: Path) -> None:
    with broker(write(tmp_path / "d.json", "u")) as started:
        assert started.call(names) == (["u"], ["v"])
        assert started.call(lambda s: s.broker.users.authenticate("u", "test12"))


def test_they_are_imported_at_every_start_and_delete_nothing(tmp_path: Path) -> None:
    path, data = write(tmp_path / "d.json", "one"), tmp_path / "data"
    with broker(path, data):
        pass
    write(path, "two", vhost="w")
    with broker(path, data) as again:
        assert again.call(names) == (["one", "two"], ["v", "w"])


def test_files_of_a_folder_are_taken_by_name(tmp_path: Path) -> None:
    write(tmp_path / "2.json", "a", queues=[{"name": "q", "vhost": "first"}])
    write(tmp_path / "1.json", "b", vhost="first")
    (tmp_path / "other.txt").write_text("{")
    with broker(tmp_path) as started:
        assert started.call(names) == (["a", "b"], ["first", "v"])


def test_a_mistake_in_one_file_keeps_the_server_from_starting(tmp_path: Path) -> None:
    write(tmp_path / "1.json", "a")
    write(tmp_path / "2.json", "b", queues=[{"name": "q", "vhost": "none"}])
    data = tmp_path / "data"
    words = "definitions .*: queues\\[0\\] \"q\": Virtual host 'none' does not exist"
    with pytest.raises(StartupError, match=words):
        broker(tmp_path, data).start()
    with pytest.raises(StartupError, match="it is no JSON"):
        (tmp_path / "2.json").write_text("{")
        broker(tmp_path, data).start()
    (tmp_path / "2.json").unlink()
    with broker(tmp_path, data) as started:
        assert started.call(names) == (["a"], ["v"])


def test_what_is_not_used_is_named_in_the_log(tmp_path: Path) -> None:
    log = RecordingLog()
    path = write(tmp_path / "d.json", "u", odd=1)
    with broker(path, log=log):
        pass
    unused = [fields for _, event, fields in log.events if event.startswith("not all")]
    assert unused == [{"file": str(path), "what": "the section odd is not known here"}]
    imported = [fields for _, event, fields in log.events if event == "definitions imported"]
    assert imported == [{"from": str(path), "users": 1, "vhosts": 1, "permissions": 1}]


def test_the_log_is_not_flooded(tmp_path: Path) -> None:
    log = RecordingLog()
    queues = [{"name": f"amq.{n}", "vhost": "v"} for n in range(NOTES_MAX + 5)]
    with broker(write(tmp_path / "d.json", "u", queues=queues), log=log):
        pass
    unused = [fields for _, event, fields in log.events if event.startswith("not all")]
    assert len(unused) == NOTES_MAX + 1 and unused[-1] == {"more": 5}


def test_nobody_to_log_in_is_said(tmp_path: Path) -> None:
    log = RecordingLog()
    with broker(write(tmp_path / "d.json"), log=log):
        pass
    assert ("warning", "nobody can log in: there are no users", {}) in log.events


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadDefinitions, match="no such file"):
        asyncio.run(read_definitions(str(tmp_path / "none")))


@pytest.mark.parametrize("good", [True, False])
def test_reloading(tmp_path: Path, good: bool) -> None:
    log = RecordingLog()
    path = write(tmp_path / "d.json", "one")
    with broker(path, tmp_path / "data", log) as started:
        write(path, "one", "two", **({} if good else {"queues": [{"name": "q"}]}))

        async def reload(server: Server) -> None:
            await server.reload_definitions()

        server = started.server
        assert started._loop is not None
        asyncio.run_coroutine_threadsafe(reload(server), started._loop).result()
        assert started.call(names) == (["one", "two"] if good else ["one"], ["v"])
    why = [fields["why"] for level, _, fields in log.events if level == "error"]
    assert bool(why) != good


def test_a_sighup_imports_again(tmp_path: Path) -> None:
    path, log = write(tmp_path / "d.json", "one"), tmp_path / "log"
    process = BrokerProcess(tmp_path / "data", log, f"load_definitions={path}")
    try:
        assert process.is_up()
        write(path, "one", "two")
        process.process.send_signal(signal.SIGHUP)
        assert process.wait_for("users=2")
        assert process.stop() == 0
    finally:
        process.kill()
