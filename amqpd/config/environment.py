"""Environment variables as assignments: AMQPD_* for every setting, and the RABBITMQ_* of its image.

A setting's variable is its key in capitals with `_` for each dot: `AMQPD_HEARTBEAT`,
`AMQPD_LISTENERS_TCP_1`, `AMQPD_DEFAULT_USERS_alice_PASSWORD` (a free part keeps its case). The
short names of the command line have variables too (`SHORTHANDS`). AMQPD_* wins over RABBITMQ_*.

An AMQPD_* variable that is no setting is a warning and not an error: Kubernetes and docker links
put `AMQPD_PORT=tcp://10.0.0.1:5672` and its kin into the environment of every container.
"""

import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from amqpd.config import keys
from amqpd.config.keys import KEYS
from amqpd.config.syntax import Assignment, ConfigError, file_content

PREFIX: Final = "AMQPD_"

# Short name, as in AMQPD_PORT and --port, and the keys that it stands for.
SHORTHANDS: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "bind": (keys.BIND.parts,),
    "port": (keys.PORT.parts,),
    "tls_port": (keys.TLS_PORT.parts,),
    "tls_cert": (keys.CERTFILE.parts,),
    "tls_key": (keys.KEYFILE.parts,),
    "tls_ca": (keys.CACERTFILE.parts,),
    "data_dir": (keys.DATA_DIR.parts,),
    "store": (keys.STORE.parts,),
    "sync": (keys.STORE_SYNC.parts,),
    "user": (keys.USER.parts,),
    "vhost": (keys.VHOSTS.parts,),
    "definitions": (keys.DEFINITIONS.parts,),
    "rabbitmq_version": (keys.RABBITMQ_VERSION.parts,),
    "log_level": (keys.LOG_LEVEL.parts, keys.LOG_CONSOLE_LEVEL.parts, keys.LOG_FILE_LEVEL.parts),
    "log_format": (keys.LOG_CONSOLE_FORMAT.parts, keys.LOG_FILE_FORMAT.parts),
    "log_file": (keys.LOG_FILE.parts,),
    "loop": (keys.EVENT_LOOP.parts,),
}

# Read by setup.py, make and the tests; not settings of the broker.
_NOT_SETTINGS: Final = (
    "AMQPD_CONFIG",
    "AMQPD_PURE",
    "AMQPD_REQUIRE_COMPILED",
    "AMQPD_EXPECT_BUILD",
    "AMQPD_FAILPOINT",
)

_RABBITMQ: Final[dict[str, tuple[str, ...]]] = {
    "RABBITMQ_DEFAULT_VHOST": keys.DEFAULT_VHOST.parts,
    "RABBITMQ_DEFAULT_USER": keys.DEFAULT_USER.parts,
    "RABBITMQ_DEFAULT_PASS": keys.DEFAULT_PASS.parts,
    "RABBITMQ_NODE_PORT": keys.PORT.parts,
    "RABBITMQ_NODE_IP_ADDRESS": keys.BIND.parts,
    "RABBITMQ_LOG_BASE": keys.LOG_DIR.parts,
    "RABBITMQ_MNESIA_DIR": keys.DATA_DIR.parts,
}

# Old variables of RabbitMQ's image that name a file with the value in it.
_RABBITMQ_FILES: Final[dict[str, tuple[str, ...]]] = {
    "RABBITMQ_DEFAULT_USER_FILE": keys.DEFAULT_USER.parts,
    "RABBITMQ_DEFAULT_PASS_FILE": keys.DEFAULT_PASS.parts,
}


def shorthand(name: str, value: str, origin: str) -> list[Assignment]:
    """What a short option such as `port` stands for. Raises ConfigError for a malformed `user`."""
    if name == "user":
        user, _, password = value.partition(":")
        if not user or not password:
            raise ConfigError(f"{origin}: expected NAME:PASSWORD")
        return [Assignment((keys.USER.parts[0], user), password, origin)]
    return [
        Assignment(tuple(value if part.startswith("$") else part for part in key), value, origin)
        for key in SHORTHANDS[name]
    ]


def config_path(environ: Mapping[str, str]) -> str:
    """The configuration file that the environment names, "" for none."""
    path = environ.get("AMQPD_CONFIG", "") or environ.get("RABBITMQ_CONFIG_FILE", "")
    path = path or environ.get("RABBITMQ_CONFIG_FILES", "")  # a folder
    if path and not Path(path).exists() and Path(f"{path}.conf").exists():
        return f"{path}.conf"  # RabbitMQ lets one leave the extension out
    return path


def assignments(environ: Mapping[str, str]) -> tuple[list[Assignment], list[str]]:
    """All settings in the environment, weakest first, and the AMQPD_* variables that are none."""
    found: list[Assignment] = []
    for name, key in _RABBITMQ_FILES.items():
        if name in environ:
            content = file_content(Path(environ[name]), _origin(name))
            found.append(Assignment(key, content, _origin(name)))
    for name, key in _RABBITMQ.items():
        if environ.get(name):
            found.append(Assignment(key, environ[name], _origin(name)))
    found += _of_logs(environ)
    unknown: list[str] = []
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in _NOT_SETTINGS or not environ[name]:
            continue  # an empty variable is as good as none, as docker compose passes them
        meant = _meant(name, environ[name])
        found += meant
        if not meant:
            unknown.append(name)
    return found, unknown


def weakest(environ: Mapping[str, str]) -> list[Assignment]:
    """What counts less than a file: RabbitMQ calls a cluster without a name as it calls its node.

    A host name that is left out is this machine's, up to the first dot.
    """
    name = "RABBITMQ_NODENAME"
    node = environ.get(name, "")
    if node and "@" not in node:
        node = f"{node}@{platform.node().partition('.')[0]}"
    return [Assignment(keys.CLUSTER_NAME.parts, node, _origin(name))] if node else []


def _of_logs(environ: Mapping[str, str]) -> list[Assignment]:
    """RABBITMQ_LOGS: a file, or `-` for the console. RABBITMQ_LOG: a level, among other words."""
    found: list[Assignment] = []
    name = "RABBITMQ_LOGS"
    file = environ.get(name, "")
    if file:
        value = "false" if file in ("-", "-stderr") else file
        found.append(Assignment(keys.LOG_FILE.parts, value, _origin(name)))
    name = "RABBITMQ_LOG"
    for word in environ.get(name, "").split(","):
        if word.strip() in keys.LEVELS:
            found += shorthand("log_level", word.strip(), _origin(name))
    return found


def _meant(name: str, value: str) -> list[Assignment]:
    """The settings that variable `name` stands for; empty if it stands for none."""
    short = name.removeprefix(PREFIX)
    if "://" in value and short.endswith("PORT"):
        return []  # put there by Kubernetes or docker, see above
    if short.lower() in SHORTHANDS:
        return shorthand(short.lower(), value, _origin(name))
    for key in KEYS:
        words = (
            "(.+)" if part.startswith("$") else f"(?i:{re.escape(part.replace('.', '_'))})"
            for part in key.parts
        )
        match = re.fullmatch("_".join(words), short)
        if match is not None:
            free = iter(match.groups())
            parts = tuple(next(free) if p.startswith("$") else p for p in key.parts)
            return [Assignment(parts, value, _origin(name))]
    return []


def _origin(name: str) -> str:
    return f"environment variable {name}"
