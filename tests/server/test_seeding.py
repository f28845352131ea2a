"""The users and vhosts of the settings are made where nothing has been made yet, and only there."""

from pathlib import Path

import pytest

from amqpd.server.clock import now_ms
from amqpd.server.server import Server
from amqpd.server.settings import PermissionSetting, Settings, UserSetting
from amqpd.server.startup import StartupError
from amqpd.testing.embedded import SOCKETS, EmbeddedBroker
from tests.peers.memory import RecordingLog

OWNER = UserSetting("owner", "secret", ("administrator",), (PermissionSetting("v"),))


def broker(
    path: Path,
    *users: UserSetting,
    vhosts: tuple[str, ...] = ("v",),
    log: RecordingLog | None = None,
) -> EmbeddedBroker:
    """A broker on a directory, not started."""
    settings = Settings(
        listeners=(),
        sockets=SOCKETS,
        data_dir=str(path),
        in_memory=False,
        vhosts=vhosts,
        users=users or (OWNER,),
    )
    return EmbeddedBroker(settings, log)


def names(server: Server) -> tuple[list[str], list[str]]:
    """Users and vhosts."""
    return sorted(server.broker.users.users), sorted(server.broker.vhosts)


def test_a_new_directory_gets_what_the_settings_say_and_no_more(tmp_path: Path) -> None:
    with broker(tmp_path / "data") as first:
        assert first.call(names) == (["owner"], ["v"])
        assert first.call(lambda s: s.broker.users.authenticate("owner", "secret"))
        assert first.call(lambda s: s.broker.users.may_open("owner", "v"))


def test_a_restart_keeps_what_was_changed(tmp_path: Path) -> None:
    with broker(tmp_path / "data") as first:
        first.call(lambda s: s.broker.directory(now_ms()).add_user("other", "x"))
        first.call(lambda s: s.broker.directory(now_ms()).delete_user("owner"))
        first.call(lambda s: s.broker.directory(now_ms()).set_vhost("w"))
        first.call(lambda s: s.broker.directory(now_ms()).delete_vhost("v"))
    for _ in range(2):
        with broker(tmp_path / "data") as again:
            assert again.call(names) == (["other"], ["w"])


def test_what_of_the_settings_is_not_there_is_named(tmp_path: Path) -> None:
    with broker(tmp_path / "data"):
        pass
    log, users = RecordingLog(), (OWNER, UserSetting("late", "x"))
    with broker(tmp_path / "data", *users, vhosts=("v", "w"), log=log) as late:
        assert late.call(names) == (["owner"], ["v"])
    missing = [(event, fields) for _, event, fields in log.events if "is not made" in event]
    why = "the data directory has its own by now"
    assert missing == [
        ("a user of the configuration is not made", {"user": "late", "why": why}),
        ("a vhost of the configuration is not made", {"vhost": "w", "why": why}),
    ]


def test_a_user_that_cannot_be_made_keeps_the_directory_new(tmp_path: Path) -> None:
    bad = UserSetting("bad", password_hash="?")
    with pytest.raises(StartupError, match="^user 'bad': the password hash"):
        broker(tmp_path / "data", OWNER, bad).start()
    with broker(tmp_path / "data", UserSetting("good", "x")) as again:
        assert again.call(names) == (["good"], ["v"])
