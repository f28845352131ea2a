"""`client.toml`: how a client is installed and how it is started.

    name = "pika"
    language = "Python"
    start = ["{python}", "-m", "interop.clients.pika"]
    start_limit_s = 30                      # until its first line; more for slow runtimes
    groups = ["tasks"]                      # asked only these groups of scenarios; without it, all
                                            # but the tasks, which need a framework

    [python]                                # a Python client: pip, into .interop/python
    imports = ["pika"]                      # if these import here, nothing is installed
    packages = ["pika>=1.3"]

    [command]                               # any other: the commands of its own package manager
    needs = ["node", "npm"]                 # programs that must be there; else it is skipped
    ready = "{cache}/node_modules/amqplib"  # the path that shows that it is installed
    install = [["npm", "install", "--prefix", "{cache}", "amqplib"]]

    [debian]                                # what a Debian machine installs first, by its root
    packages = ["golang-go"]

A manifest has `[python]`, `[command]`, or neither (always ready). In `start`, `ready`, `install`
and the values of `[env]` these stand for paths: `{python}` the interpreter for this client,
`{folder}` the client's folder, `{cache}` a folder of its own under `.interop/`, `{root}` the
folder that holds `interop/`, which is also where its process starts.
"""

import importlib.util
import shutil
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

CLIENTS: Final = Path(__file__).parent / "clients"
ROOT: Final = Path(__file__).parent.parent
CACHE: Final = ROOT / ".interop"
START_LIMIT_S: Final = 30.0
FRAMEWORKS: Final = "tasks"  # scenarios that only task frameworks can play


class BadManifest(Exception):
    """A client.toml that cannot be read; the text names the file and the field."""


@dataclass(frozen=True)
class Client:
    """One client as its manifest describes it."""

    name: str
    language: str
    folder: Path
    start: tuple[str, ...]
    start_limit_s: float = START_LIMIT_S
    groups: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    ready: str = ""
    install: tuple[tuple[str, ...], ...] = ()
    debian: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    cache: Path = CACHE

    def plays(self, group: str) -> bool:
        """Whether scenarios of this group are asked of it."""
        return group in self.groups if self.groups else group != FRAMEWORKS

    def python(self) -> str:
        """The interpreter: this one if all of `imports` import here, else the cache's."""
        if all(importlib.util.find_spec(name) is not None for name in self.imports):
            return sys.executable
        return str(self.cache / "python" / "bin" / "python")

    def fill(self, text: str) -> str:
        """Put the paths into the placeholders of `text`."""
        for placeholder, value in (
            ("{python}", self.python()),
            ("{folder}", str(self.folder)),
            ("{cache}", str(self.cache / self.name)),
            ("{root}", str(ROOT)),
        ):
            text = text.replace(placeholder, value)
        return text

    def command(self) -> list[str]:
        """The command that starts the client, ready to run."""
        return [self.fill(word) for word in self.start]

    def missing(self) -> str:
        """Why the client cannot run here, or "" if it can."""
        for program in self.needs:
            if shutil.which(program) is None:
                return f"needs {program}, which is not on this machine"
        installed = Path(self.python()).exists() if self.imports else True
        if self.imports and self.python() != sys.executable:
            installed = installed and all(self._in_cache(name) for name in self.imports)
        if self.ready:
            installed = installed and Path(self.fill(self.ready)).exists()
        return "" if installed else f"not installed (python -m interop install {self.name})"

    def _in_cache(self, module: str) -> bool:
        """Whether the cache's interpreter has a top-level module of this name."""
        libraries = (self.cache / "python" / "lib").glob("python*/site-packages")
        return any(
            (library / module).is_dir() or (library / f"{module}.py").exists()
            for library in libraries
        )


def load(folder: Path, cache: Path = CACHE) -> Client:
    """Read the manifest in `folder`.

    Raises BadManifest if it is not TOML, or a field is missing or of the wrong kind.
    """
    path = folder / "client.toml"
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise BadManifest(f"{path}: {error}") from error
    start_limit_s = fields.get("start_limit_s", START_LIMIT_S)
    if not isinstance(start_limit_s, int | float):
        raise BadManifest(f"{path}: start_limit_s must be a number of seconds")
    python = _table(path, fields, "python")
    command = _table(path, fields, "command")
    debian = _table(path, fields, "debian")
    install = command.get("install", [])
    if not isinstance(install, list):
        raise BadManifest(f"{path}: install must be a list of commands")
    return Client(
        name=_text(path, fields, "name"),
        language=_text(path, fields, "language"),
        folder=folder,
        start=_words(path, fields, "start"),
        start_limit_s=float(start_limit_s),
        groups=_words(path, fields, "groups") if "groups" in fields else (),
        imports=_words(path, python, "imports") if python else (),
        packages=_words(path, python, "packages") if python else (),
        needs=_words(path, command, "needs") if "needs" in command else (),
        ready=_text(path, command, "ready") if "ready" in command else "",
        install=tuple(_words(path, {"install": words}, "install") for words in install),
        debian=_words(path, debian, "packages") if debian else (),
        env={name: str(value) for name, value in _table(path, fields, "env").items()},
        cache=cache,
    )


def load_all(clients: Path = CLIENTS, cache: Path = CACHE) -> list[Client]:
    """Read every client under `clients`, in the order of their folders' names."""
    return [load(path.parent, cache) for path in sorted(clients.glob("*/client.toml"))]


def _table(path: Path, fields: dict[str, object], name: str) -> dict[str, object]:
    table = fields.get(name, {})
    if not isinstance(table, dict):
        raise BadManifest(f"{path}: {name} must be a table")
    return table


def _text(path: Path, fields: dict[str, object], name: str) -> str:
    text = fields.get(name)
    if not isinstance(text, str) or not text:
        raise BadManifest(f"{path}: {name} must be a text")
    return text


def _words(path: Path, fields: dict[str, object], name: str) -> tuple[str, ...]:
    words = fields.get(name)
    if not isinstance(words, list) or not words or not all(isinstance(w, str) for w in words):
        raise BadManifest(f"{path}: {name} must be a list of texts")
    return tuple(words)
