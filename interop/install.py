"""Installing clients into the cache folder `.interop/`, which git does not see.

Python clients share one virtual environment; any other has a folder of its own and is installed
by its own package manager, as its manifest says. Nothing outside the cache is written, but by
Debian's apt where the manifest asks for packages and we are root.
"""

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

from interop.manifest import ROOT, Client


class NotInstalled(Exception):
    """An installation command failed; the text says which, and how."""


def prepare_cache(cache: Path) -> None:
    """Create the cache folder, with a .gitignore in it that hides all of it."""
    cache.mkdir(parents=True, exist_ok=True)
    (cache / ".gitignore").write_text("*\n", encoding="utf-8")


def install(client: Client) -> str:
    """Install `client`; returns what was done, in a few words.

    Raises NotInstalled if a command fails, or a program that it needs is missing.
    """
    if not client.missing():
        return "ready"
    if client.debian:
        _apt(client)
        if not client.missing():
            return "installed"
    if client.missing().startswith("needs "):
        raise NotInstalled(client.missing())
    prepare_cache(client.cache)
    if client.packages:
        _pip(client)
    for words in client.install:
        (client.cache / client.name).mkdir(parents=True, exist_ok=True)
        _run([client.fill(word) for word in words])
    if client.missing():
        raise NotInstalled(f"the commands ended well, but it is still {client.missing()}")
    return "installed"


def _apt(client: Client) -> None:
    """Install the client's Debian packages if we may; what is missing then is found out later."""
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        return
    if all(_has_debian(package) for package in client.debian):
        return
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *client.debian]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (command, ["apt-get", "update", "-qq"], command):
        ended = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=sys.stderr, env=environment, check=False
        )
        if words is command and ended.returncode == 0:
            return


def _has_debian(package: str) -> bool:
    found = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Status}", package], capture_output=True, check=False
    )
    return found.stdout == b"install ok installed"


def _pip(client: Client) -> None:
    """Install the client's packages into the Python environment of the cache."""
    environment = client.cache / "python"
    if not (environment / "bin" / "python").exists():
        venv.create(environment, with_pip=True)
    _run([str(environment / "bin" / "python"), "-m", "pip", "install", "-q", *client.packages])


def _run(command: Sequence[str]) -> None:
    try:
        ended = subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=False)
    except OSError as error:
        raise NotInstalled(f"{' '.join(command)}: {error}") from error
    if ended.returncode != 0:
        raise NotInstalled(f"{' '.join(command)}: exit code {ended.returncode}")
