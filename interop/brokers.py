"""Brokers of one's own, for as long as something is asked of them.

A broker's name stands for a URL: `rabbitmq` is the RabbitMQ that the machine has installed
(Debian's package rabbitmq-server), `garagemq` that one, and `amqpd` the amqpd that this Python can
import, on a disk. Each runs with ports and a folder of its own, on loopback, and nothing of it is
left at the end.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from interop.address import parse
from interop.probe import NoBroker, probe

RABBITMQ: Final = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server")
START_S: Final = 90.0
STOP_S: Final = 20.0
_RABBITMQ_CONFIG: Final = """listeners.tcp.1 = 127.0.0.1:{port}
disk_free_limit.absolute = 50MB
log.file.level = error
"""
_GARAGEMQ_CONFIG: Final = """proto: amqp-rabbit
users:
  - username: guest
    password: 084e0343a0486ff05530df6c705c8bb4
tcp:
  ip: 127.0.0.1
  port: {port}
  nodelay: true
  readBufSize: 196608
  writeBufSize: 196608
admin:
  ip: 127.0.0.1
  port: {admin}
queue:
  shardSize: 8192
  maxMessagesInRam: 131072
db:
  defaultPath: {folder}/db
  engine: badger
vhost:
  defaultPath: /
security:
  passwordCheck: md5
connection:
  channelsMax: 4096
  frameMaxSize: 65536
"""


class NoBrokerHere(Exception):
    """It is not installed, or did not start; the text says which."""


@dataclass
class Start:
    """How a broker is started: what is run, and with what environment."""

    command: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)


def missing(name: str) -> str:
    """Why the broker of this name cannot be started here; empty if it can."""
    if name == "rabbitmq":
        return "" if _rabbitmq_program() else "rabbitmq-server is not installed"
    if name == "garagemq":
        return "" if shutil.which("garagemq") else "garagemq is not installed"
    return "" if find_spec("amqpd") else "amqpd is not installed"


@contextmanager
def running(name: str) -> Iterator[str]:
    """Start the broker of this name; gives its URL. Raises NoBrokerHere."""
    reason = missing(name)
    if reason:
        raise NoBrokerHere(reason)
    with tempfile.TemporaryDirectory(prefix=f"interop-{name}-") as folder:
        port = _free_port()
        start = BROKERS[name](Path(folder), port)
        console = Path(folder) / "console.log"
        with console.open("w") as output:
            process = subprocess.Popen(
                start.command,
                env={**os.environ, **start.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        url = f"amqp://guest:guest@127.0.0.1:{port}/"
        try:
            _await(name, url, process, console)
            yield url
        finally:
            _stop(process)
            if name == "rabbitmq":
                _stop_epmd(start.environment)


@contextmanager
def located(urls: Sequence[str]) -> Iterator[list[str]]:
    """URLs as they are, and names of brokers as the URLs of those, started. Raises NoBrokerHere."""
    with ExitStack() as stack:
        yield [stack.enter_context(running(url)) if url in BROKERS else url for url in urls]


def _amqpd(folder: Path, port: int) -> Start:
    data = str(folder / "data")
    options = ["--bind", "127.0.0.1", "--port", str(port), "--data-dir", data]
    return Start([sys.executable, "-m", "amqpd", "serve", *options, "--log-level", "error"])


def _rabbitmq(folder: Path, port: int) -> Start:
    (folder / "rabbitmq.conf").write_text(_RABBITMQ_CONFIG.format(port=port))
    (folder / "enabled_plugins").write_text("[].")
    program = _rabbitmq_program()
    assert program is not None
    return Start(
        [program],
        {
            "HOME": str(folder),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(_free_port()),
            "RABBITMQ_NODENAME": f"interop{secrets.token_hex(3)}@localhost",
            "RABBITMQ_DIST_PORT": str(_free_port()),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} "
            "+sbwt none +sbwtdcpu none +sbwtdio none",
        },
    )


def _garagemq(folder: Path, port: int) -> Start:
    config = folder / "config.yaml"
    config.write_text(_GARAGEMQ_CONFIG.format(port=port, admin=_free_port(), folder=folder))
    program = shutil.which("garagemq")
    assert program is not None
    return Start([program, "--config", str(config), "--log-level", "error"])


BROKERS: Final[dict[str, Callable[[Path, int], Start]]] = {
    "amqpd": _amqpd,
    "rabbitmq": _rabbitmq,
    "garagemq": _garagemq,
}


def _rabbitmq_program() -> str | None:
    return next(filter(None, map(shutil.which, RABBITMQ)), None)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _await(name: str, url: str, process: subprocess.Popen[bytes], console: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        try:
            probe(parse(url))
            return
        except NoBroker:
            time.sleep(0.1)
    last = console.read_text(errors="replace").strip()[-400:]
    raise NoBrokerHere(f"{name} did not start: {last}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _stop_epmd(environment: dict[str, str]) -> None:
    """Stop the port mapper that the node has started, which is on a port of its own."""
    installed = (shutil.which("epmd"), *map(str, Path("/usr/lib/erlang").glob("erts-*/bin/epmd")))
    for epmd in filter(None, installed):
        own = {**os.environ, **environment}
        subprocess.run([epmd, "-kill"], env=own, capture_output=True, check=False)
        return
