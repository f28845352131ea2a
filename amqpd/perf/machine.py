"""Facts about this machine, this Python and a running process, read from /proc."""

import os
import platform
import re
import resource
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import amqpd


def describe_machine() -> dict[str, str]:
    """Name what a measurement depends on, each fact in a few words."""
    uvloop = installed("uvloop")
    return {
        "machine": f"{_cpu()}, {len(os.sched_getaffinity(0))} cores, {_memory_mib()} MiB",
        "system": f"{platform.system()} {platform.release()}",
        "load": f"{os.getloadavg()[0]:.1f} before the first run",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "build": f"amqpd {amqpd.__version__}, {amqpd.build()}",
        "event loop": f"uvloop {uvloop}" if uvloop else "asyncio",
    }


def installed(package: str) -> str:
    """Return the version of an installed distribution, or "" if there is none."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def filesystem(path: Path) -> str:
    """Name the type of the file system that a path lies on, such as ext4 or tmpfs."""
    kind, best = "unknown", -1
    for line in Path("/proc/mounts").read_text().splitlines():
        _, point, found, *_ = line.split()
        point = point.replace("\\040", " ")
        if path.resolve().is_relative_to(point) and len(point) > best:
            kind, best = found, len(point)
    return kind


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process (bytes). Raises OSError if it is gone."""
    found = re.search(r"^VmRSS:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.M)
    return int(found[1]) * 1024 if found else 0


def written_bytes(pid: int) -> int:
    """Return what a process has sent to storage so far (bytes); 0 where the kernel does not say."""
    try:
        found = re.search(r"^write_bytes: (\d+)$", Path(f"/proc/{pid}/io").read_text(), re.M)
    except OSError:
        return 0
    return int(found[1]) if found else 0


def allow_open_files(count: int) -> None:
    """Raise this process's limit of open files to at least `count`, as far as the system lets it.

    Raises ValueError if that is not far enough. Processes started later inherit it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= count:
        return
    if hard < count:
        raise ValueError(f"{count} open files are needed and the system allows {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def _cpu() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    return found[1].strip() if found else platform.machine()


def _memory_mib() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
