"""What the process as a whole is tuned for: sockets, memory and garbage of a broker.

Only `run` calls this: a broker embedded in another program leaves the process as it is.
"""

import ctypes
import gc
import resource
import sys
from typing import Final

from amqpd.server.settings import MIB

# mallopt(3). glibc gives the top of the heap back to the kernel, and takes it again page by page,
# with every turn: half the time of the broker at bodies of 1000 bytes, measured.
M_TRIM_THRESHOLD: Final = -1
M_MMAP_THRESHOLD: Final = -3
KEPT_BYTES: Final = 32 * MIB  # free memory at the top of the heap that is kept
MAPPED_BYTES: Final = 4 * MIB  # a block from here on has a mapping of its own, as before

# New objects before the collector looks at them (CPython: 700, 10, 10). A turn makes thousands of
# messages, none of them garbage in cycles: with CPython's numbers, looking is most of the work.
YOUNG_MAX: Final = 50_000
MIDDLE_MAX: Final = 20
OLD_MAX: Final = 10


# How long a thread asks for the interpreter before the running one gives way (CPython: 5 ms). The
# sync thread comes back from the disk every 100 us: with 5 ms, waiting is most of a confirm's time.
SWITCH_S: Final = 0.0001


def allow_many_sockets() -> None:
    """Raise the soft limit of open files to the hard one: every connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):  # macOS: "unlimited" is refused
            pass


def keep_freed_memory() -> None:
    """Have the C library keep what one turn frees for the next; without effect elsewhere."""
    set_option = _libc("mallopt")
    if set_option is not None:
        set_option(M_TRIM_THRESHOLD, KEPT_BYTES)
        set_option(M_MMAP_THRESHOLD, MAPPED_BYTES)


def share_the_interpreter() -> None:
    """Let the sync thread have the interpreter soon: it needs it for microseconds a group."""
    sys.setswitchinterval(SWITCH_S)


def give_memory_back() -> None:
    """Return free memory to the system; RSS, which alarms go by, may not fall otherwise."""
    trim = _libc("malloc_trim")
    if trim is not None:
        trim(0)


def collect_less_often() -> None:
    """Tune the cycle collector, and take what exists at the end of the start out of its view."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_MAX, MIDDLE_MAX, OLD_MAX)


def _libc(name: str) -> "ctypes._NamedFuncPointer | None":
    """A function of glibc, None where the C library is another."""
    if sys.platform != "linux":
        return None
    return getattr(ctypes.CDLL(None), name, None)
