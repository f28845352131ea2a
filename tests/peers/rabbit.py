"""Any broker by URL: RabbitMQ as the oracle for what scenarios expect."""

import os
import subprocess
import tempfile
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from tests.peers.accounts import ACCOUNTS, GUEST, OTHER_VHOST, definitions
from tests.peers.peer import Oracle
from tests.peers.sockets import SocketPeer


class RabbitPeer(SocketPeer):
    """Any broker, by URL: RabbitMQ as the oracle for what scenarios expect."""

    distance = "rabbitmq"

    def __init__(
        self,
        host: str,
        port: int,
        run: str,
        oracle: Oracle,
        has_accounts: bool,
        rabbitmqctl: str = "",
    ) -> None:
        super().__init__(host, port, run)
        self.oracle = oracle
        self._has_accounts = has_accounts
        self._rabbitmqctl = rabbitmqctl

    def new_admin(self) -> Any:
        """See Peer."""
        from tests.peers.admin import CtlAdmin

        self.needs_accounts()
        return CtlAdmin(self._unique("amqpd-admin", 0), self._rabbitmqctl)

    def connect(self, user: str = "guest", **options: Any) -> Any:
        """See Peer."""
        self.needs_accounts(user != GUEST.name or options.get("vhost", "/") != "/")
        return super().connect(user, **options)

    def needs_accounts(self, needs: bool = True) -> None:
        """Skip a scenario whose users the broker does not have."""
        if needs and not self._has_accounts:
            pytest.skip("needs users and vhosts that only --rabbitmqctl can make")


class RabbitMQ:
    """A broker by URL, prepared for scenarios and cleaned up after them."""

    def __init__(self, url: str, rabbitmqctl: str) -> None:
        parts = urlsplit(url)
        assert (parts.username or "guest", parts.password or "guest") == ("guest", "guest")
        assert unquote(parts.path[1:]) in ("", "/"), "scenarios use the vhost /"
        self.host = parts.hostname or "127.0.0.1"
        self.port = parts.port or 5672
        self.has_accounts = bool(rabbitmqctl)
        self.rabbitmqctl = rabbitmqctl
        self.oracle = self._ask()

    def _ask(self) -> Oracle:
        peer = SocketPeer(self.host, self.port, "")
        properties = peer.greet().start.server_properties
        peer.close()
        major, minor = str(properties["version"]).split(".")[:2]
        is_rabbitmq = str(properties.get("platform", "")).startswith("Erlang")
        return Oracle(is_rabbitmq, (int(major), int(minor)))

    def prepare(self) -> None:
        """Make the scenarios' users and vhosts."""
        if self.has_accounts:
            with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
                os.fchmod(file.fileno(), 0o644)
                file.write(definitions())
                file.flush()
                self._call("import_definitions", file.name)

    def clean(self) -> None:
        """Delete them."""
        if self.has_accounts:
            self._call("delete_vhost", OTHER_VHOST)
            for entry in ACCOUNTS:
                if entry is not GUEST:
                    self._call("delete_user", entry.name)

    def _call(self, *command: str) -> None:
        subprocess.run((self.rabbitmqctl, *command), check=True, capture_output=True)
