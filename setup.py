"""Builds amqpd: rows 0-4 of the source (see ROWS) compiled by mypyc, or the same code interpreted.

| environment | effect |
|---|---|
| AMQPD_PURE=1 | nothing is compiled |
| AMQPD_REQUIRE_COMPILED=1 | a build that cannot be compiled fails instead of falling back |

Without a C compiler, without Python's headers, or when compiling fails, a note says why and the
package is installed interpreted: it behaves the same and is several times slower.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from glob import glob

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# Everything that runs per message, as one compilation unit: calls between these are C calls.
ROWS = (
    "amqpd/errors.py",
    "amqpd/limits.py",
    "amqpd/profile.py",
    "amqpd/wire/**/*.py",
    "amqpd/protocol/**/*.py",
    "amqpd/core/**/*.py",
    "amqpd/auth.py",
    "amqpd/session/**/*.py",
    "amqpd/store/**/*.py",
    "amqpd/directory.py",
    "amqpd/definitions/**/*.py",
    "amqpd/broker.py",
)
INTERPRETED = ("amqpd/store/disk.py",)


def compiled_sources() -> list[str]:
    """The files that mypyc compiles; package maps (`__init__.py`) hold no code."""
    found = [path for pattern in ROWS for path in sorted(glob(pattern, recursive=True))]
    return [p for p in found if os.path.basename(p) != "__init__.py" and p not in INTERPRETED]


def note(reason: str) -> None:
    """Say loudly that this build is interpreted, or stop if it must not be."""
    if os.environ.get("AMQPD_REQUIRE_COMPILED", "0") not in ("", "0"):
        raise SystemExit(f"amqpd: cannot compile, and AMQPD_REQUIRE_COMPILED is set: {reason}")
    rule = "*" * 78
    print(
        f"\n{rule}\namqpd: NOT COMPILED: {reason}.\n"
        "amqpd: the same code is installed interpreted; it works, several times slower.\n"
        f"{rule}\n",
        file=sys.stderr,
        flush=True,
    )


# What has to compile and link, and what is wrong if it does not.
PROBES = (
    ("int probe;", "no working C compiler (on Debian: apt install gcc libc6-dev)"),
    ("#include <Python.h>", "no header files of Python (on Debian: apt install python3-dev)"),
)


def compiler_problem() -> str:
    """Why nothing can be compiled here; "" if the probes compile and link."""
    from setuptools._distutils.ccompiler import new_compiler
    from setuptools._distutils.sysconfig import customize_compiler, get_python_inc

    includes = [get_python_inc(), get_python_inc(plat_specific=True)]
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "probe.c")
        for text, lack in PROBES:
            with open(source, "w", encoding="ascii") as file:
                file.write(f"{text}\n")
            try:
                compiler = new_compiler()
                customize_compiler(compiler)
                with quiet():
                    objects = compiler.compile([source], folder, include_dirs=includes)
                    compiler.link_shared_object(objects, os.path.join(folder, "probe.so"))
            except Exception as failure:  # whatever the compiler's driver raises
                return f"{lack}: {' '.join(str(failure).split())}"
    return ""


class quiet:
    """Silences the compiler's own output while probing for it."""

    def __enter__(self) -> None:
        self._saved = [(fd, os.dup(fd)) for fd in (1, 2)]
        null = os.open(os.devnull, os.O_WRONLY)
        for fd, _ in self._saved:
            os.dup2(null, fd)
        os.close(null)

    def __exit__(self, *_: object) -> None:
        for fd, saved in self._saved:
            os.dup2(saved, fd)
            os.close(saved)


class BuildOrFallBack(build_ext):
    """Compiles all extension modules, or none of them."""

    def run(self) -> None:
        try:
            super().run()
        except Exception as failure:
            note(f"the C compiler failed ({' '.join(str(failure).split())})")
            for path in self.leftovers():
                os.unlink(path)
            self.extensions = []
            self.distribution.ext_modules = []

    def leftovers(self) -> Iterator[str]:
        """Modules compiled before the one that failed: half of a unit cannot be imported."""
        for extension in self.extensions:
            for path in (
                self.get_ext_fullpath(extension.name),
                os.path.join(self.build_lib, self.get_ext_filename(extension.name)),
            ):
                if os.path.exists(path):
                    yield path


def extensions() -> list[Extension]:
    """The compilation unit, or nothing (with a note) where it cannot be made."""
    if os.environ.get("AMQPD_PURE", "0") not in ("", "0"):
        print("amqpd: AMQPD_PURE is set, nothing is compiled", file=sys.stderr)
        return []
    sources = compiled_sources()
    if not {"build", "build_ext", "bdist_wheel", "editable_wheel"} & set(sys.argv):
        return []  # metadata and source archives need no compiler
    try:
        from mypyc.build import mypycify
    except ImportError:
        note("mypy, which has the compiler mypyc, is not installed")
        return []
    problem = compiler_problem()
    if problem:
        note(problem)
        return []
    try:
        unit = mypycify(sources, opt_level="3", debug_level="0", group_name="amqpd")
    except (Exception, SystemExit) as failure:  # mypyc exits on a type error
        note(f"mypyc refused the source (exit {failure})")
        return []
    for extension in unit:  # a new compiler's new warning is no reason to run interpreted
        extension.extra_compile_args.append("-Wno-error")
    return unit


setup(ext_modules=extensions(), cmdclass={"build_ext": BuildOrFallBack})
