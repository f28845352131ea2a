"""The users and vhosts that scenarios log in as, the same at every distance.

A resource's name says what `BY_NAME` may do with it: `q-conf-read` may be configured and read,
and not written to.
"""

import base64
import hashlib
import json
from dataclasses import dataclass

OTHER_VHOST = "amqpd-scenarios"
PASSWORD = "it's a secret: ä"


@dataclass(frozen=True)
class Account:
    """A user; permissions are (configure, write, read) by vhost."""

    name: str
    password: str
    tags: tuple[str, ...]
    permissions: dict[str, tuple[str, str, str]]


ALL = (".*", ".*", ".*")
GUEST = Account("guest", "guest", ("administrator",), {"/": ALL, OTHER_VHOST: ALL})
BY_NAME = Account("amqpd-by-name", PASSWORD, (), {"/": ("conf", "writ", "read")})
NOTHING = Account("amqpd-nothing", PASSWORD, (), {"/": ("", "", "")})
NOWHERE = Account("amqpd-nowhere", PASSWORD, (), {})
ELSEWHERE = Account("amqpd-elsewhere", PASSWORD, (), {OTHER_VHOST: ALL})
ANYONE = Account("amqpd-anyone", PASSWORD, ("impersonator",), {"/": ALL})
ACCOUNTS = (GUEST, BY_NAME, NOTHING, NOWHERE, ELSEWHERE, ANYONE)
VHOSTS = ("/", OTHER_VHOST)


def account(name: str) -> Account:
    """Return the account of that name."""
    return next(entry for entry in ACCOUNTS if entry.name == name)


def definitions() -> str:
    """All of it but guest, as a definitions file that RabbitMQ imports."""
    users, rows = [], []
    for entry in ACCOUNTS:
        if entry is not GUEST:
            salt = hashlib.sha256(entry.name.encode()).digest()[:4]
            digest = salt + hashlib.sha256(salt + entry.password.encode()).digest()
            users.append(
                {
                    "name": entry.name,
                    "password_hash": base64.b64encode(digest).decode(),
                    "hashing_algorithm": "rabbit_password_hashing_sha256",
                    "tags": ",".join(entry.tags),
                }
            )
        for vhost, (configure, write, read) in entry.permissions.items():
            row = {"user": entry.name, "vhost": vhost}
            rows.append(row | {"configure": configure, "write": write, "read": read})
    return json.dumps(
        {"users": users, "vhosts": [{"name": OTHER_VHOST}], "permissions": rows}, indent=1
    )
