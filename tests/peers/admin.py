"""What an administrator does to the broker of a scenario: policies, limits, topic permissions.

Everything is about one vhost of the scenario's own, in which `guest` and `ELSEWHERE` may do
everything; it is deleted in the end, and what was set goes with it.
"""

import json
import subprocess
from collections.abc import Callable
from typing import Any

from tests.peers.accounts import ALL, ELSEWHERE, GUEST

Change = Callable[[Any], object]  # given a Directory


class Admin:
    """The door; see the module."""

    def __init__(self, vhost: str) -> None:
        self.vhost = vhost
        self._limited: list[str] = []

    def begin(self) -> None:
        """Make the vhost."""
        raise NotImplementedError

    def end(self) -> None:
        """Delete the vhost, and lift the limits of users."""
        for user in list(self._limited):  # lifting one notes it again
            self.limit_user(user, {})

    def set_policy(
        self,
        name: str,
        pattern: str,
        definition: dict[str, Any],
        *,
        priority: int = 0,
        apply_to: str = "all",
        operator: bool = False,
    ) -> None:
        """Set a policy."""
        raise NotImplementedError

    def clear_policy(self, name: str, *, operator: bool = False) -> None:
        """Take a policy away."""
        raise NotImplementedError

    def limit_vhost(self, limits: dict[str, int]) -> None:
        """Replace the limits of the vhost."""
        raise NotImplementedError

    def limit_user(self, user: str, limits: dict[str, int]) -> None:
        """Replace the limits of a user."""
        raise NotImplementedError

    def permit_topic(self, user: str, exchange: str, write: str, read: str) -> None:
        """Set a topic permission."""
        raise NotImplementedError

    def delete_vhost(self, vhost: str) -> None:
        """Delete a vhost."""
        raise NotImplementedError


class DirectoryAdmin(Admin):
    """The administrator of amqpd; `change` is how to get at the directory."""

    def __init__(self, vhost: str, change: Callable[[Change], object]) -> None:
        super().__init__(vhost)
        self._change = change

    def begin(self) -> None:
        """See Admin."""
        self._change(lambda d: d.set_vhost(self.vhost))
        for user in (GUEST.name, ELSEWHERE.name):
            self._change(lambda d, user=user: d.set_permissions(user, self.vhost, *ALL))

    def end(self) -> None:
        """See Admin."""
        super().end()
        self.delete_vhost(self.vhost)

    def set_policy(
        self, name: str, pattern: str, definition: dict[str, Any], **options: Any
    ) -> None:
        """See Admin."""
        self._change(lambda d: d.set_policy(self.vhost, name, pattern, definition, **options))

    def clear_policy(self, name: str, *, operator: bool = False) -> None:
        """See Admin."""
        self._change(lambda d: d.clear_policy(self.vhost, name, operator=operator))

    def limit_vhost(self, limits: dict[str, int]) -> None:
        """See Admin."""
        self._change(lambda d: d.set_vhost_limits(self.vhost, limits))

    def limit_user(self, user: str, limits: dict[str, int]) -> None:
        """See Admin."""
        self._limited.append(user)
        self._change(lambda d: d.set_user_limits(user, limits))

    def permit_topic(self, user: str, exchange: str, write: str, read: str) -> None:
        """See Admin."""
        self._change(lambda d: d.set_topic_permissions(user, self.vhost, exchange, write, read))

    def delete_vhost(self, vhost: str) -> None:
        """See Admin."""
        self._change(lambda d: d.delete_vhost(vhost))


class CtlAdmin(Admin):
    """The administrator of a RabbitMQ, by rabbitmqctl."""

    def __init__(self, vhost: str, rabbitmqctl: str) -> None:
        super().__init__(vhost)
        self._rabbitmqctl = rabbitmqctl

    def _call(self, *words: str) -> None:
        subprocess.run((self._rabbitmqctl, "-q", *words), check=True, capture_output=True)

    def begin(self) -> None:
        """See Admin."""
        self._call("add_vhost", self.vhost)
        for user in (GUEST.name, ELSEWHERE.name):
            self._call("set_permissions", "-p", self.vhost, user, *ALL)

    def end(self) -> None:
        """See Admin."""
        super().end()
        self.delete_vhost(self.vhost)

    def set_policy(
        self,
        name: str,
        pattern: str,
        definition: dict[str, Any],
        *,
        priority: int = 0,
        apply_to: str = "all",
        operator: bool = False,
    ) -> None:
        """See Admin."""
        command = "set_operator_policy" if operator else "set_policy"
        options = ["--priority", str(priority), "--apply-to", apply_to]
        self._call(command, "-p", self.vhost, *options, name, pattern, json.dumps(definition))

    def clear_policy(self, name: str, *, operator: bool = False) -> None:
        """See Admin."""
        self._call("clear_operator_policy" if operator else "clear_policy", "-p", self.vhost, name)

    def limit_vhost(self, limits: dict[str, int]) -> None:
        """See Admin."""
        self._call("set_vhost_limits", "-p", self.vhost, json.dumps(limits))

    def limit_user(self, user: str, limits: dict[str, int]) -> None:
        """See Admin."""
        self._limited.append(user)
        self._call("clear_user_limits", user, "all")
        if limits:
            self._call("set_user_limits", user, json.dumps(limits))

    def permit_topic(self, user: str, exchange: str, write: str, read: str) -> None:
        """See Admin."""
        self._call("set_topic_permissions", "-p", self.vhost, user, exchange, write, read)

    def delete_vhost(self, vhost: str) -> None:
        """See Admin."""
        self._call("delete_vhost", vhost)
