"""The rules of the source that a program can check: rows, purity, lengths, docstrings.

A module imports from lower rows or from its own package (`ROWS`). Rows 0-4 are pure: what time it
is, what is random and what is on a disk comes to them from outside.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "amqpd"

ROWS = {
    "errors": 0,
    "limits": 0,
    "profile": 0,
    "wire": 1,
    "protocol": 2,
    "core": 2,
    "auth": 2,
    "session": 3,
    "store": 3,
    "directory": 3,
    "definitions": 4,
    "broker": 4,
    "server": 5,
    "management": 5,
    "config": 6,
    "perf": 6,
    "testing": 6,
    "store_command": 6,
    "definitions_command": 7,
    "cli": 8,  # the last two start whatever is wanted
    "__main__": 9,
}
PURE_ROWS = range(5)

# Modules that a pure one does not import, and the one file that may.
IMPURE = {
    "asyncio",
    "os",
    "pathlib",
    "socket",
    "ssl",
    "threading",
    "time",
    "random",
    "secrets",
    "uuid",
    "io",
    "select",
    "subprocess",
    "tempfile",
    "datetime",
}
MAY_BE_IMPURE = {"store/disk.py"}

# The seams to the outside, which users need as well as queues: the one import inside a row.
SEAMS = "amqpd.core.ports"

# What `core` may take from `wire`: values that clients gave, and not how they came.
FROM_WIRE_TO_CORE = {"amqpd.wire.properties", "amqpd.wire.tables"}

FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 60

# Paths of somebody's machine; what a program writes to lies in the folder it is told.
WORKPLACE = re.compile(r"/(?:work|root|home/\w+|Users/\w+)/")

FILES = sorted(PACKAGE.rglob("*.py")) if (PACKAGE / "__init__.py").exists() else []
CODE = [path for path in FILES if path.name != "__init__.py"]

pytestmark = pytest.mark.skipif(not FILES, reason="the source is checked where it is, once")


def name(path: Path) -> str:
    """The path inside the package, as test id and in messages."""
    return str(path.relative_to(PACKAGE))


def place(path: Path) -> str:
    """The package or single module that a file belongs to: a key of ROWS."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def is_pure(path: Path) -> bool:
    """The file belongs to rows 0-4, which are compiled and know nothing outside."""
    return ROWS.get(place(path)) in PURE_ROWS and name(path) not in MAY_BE_IMPURE


def tree(path: Path) -> ast.Module:
    """The parsed file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and full name of every import below `node`; `from a import b` gives a.b."""
    for found in ast.walk(node):
        if isinstance(found, ast.Import):
            yield from ((found.lineno, alias.name) for alias in found.names)
        elif isinstance(found, ast.ImportFrom):
            assert found.level == 0, f"line {found.lineno}: imports are absolute"
            assert all(a.name != "*" for a in found.names), f"line {found.lineno}: no stars"
            yield from ((found.lineno, f"{found.module}.{alias.name}") for alias in found.names)


def functions(node: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """All functions and methods below `node`."""
    for found in ast.walk(node):
        if isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef):
            yield found


def each(paths: list[Path]) -> pytest.MarkDecorator:
    """Run a test once per file."""
    return pytest.mark.parametrize("path", paths, ids=[name(path) for path in paths])


def test_every_module_has_a_row() -> None:
    assert {place(path) for path in CODE} <= ROWS.keys()


@each(CODE)
def test_imports_go_down(path: Path) -> None:
    mine = ROWS[place(path)]
    for line, target in imports(tree(path)):
        parts = target.split(".")
        if parts[0] != "amqpd" or len(parts) == 1 or parts[1] == place(path):
            continue
        row = ROWS.get(parts[1])
        if row is None:  # a public name or the version, from amqpd itself
            assert mine > 4, f"{name(path)}:{line} imports {target} from the top"
            continue
        below = row < mine or (row == mine and target.startswith(SEAMS))
        assert below, f"{name(path)}:{line} imports {target}: row {row} from row {mine}"


@each([path for path in CODE if place(path) == "core"])
def test_core_knows_no_frames_and_no_methods(path: Path) -> None:
    for line, target in imports(tree(path)):
        if target.startswith("amqpd.wire"):
            allowed = any(target.startswith(known) for known in FROM_WIRE_TO_CORE)
            assert allowed, f"{name(path)}:{line} imports {target}"


@each([path for path in FILES if is_pure(path)])
def test_rows_0_to_4_are_pure(path: Path) -> None:
    for line, target in imports(tree(path)):
        assert target.split(".")[0] not in IMPURE, f"{name(path)}:{line} imports {target}"


@each([path for path in FILES if is_pure(path)])
def test_rows_0_to_4_import_at_the_top(path: Path) -> None:
    for function in functions(tree(path)):
        for line, target in imports(function):
            pytest.fail(f"{name(path)}:{line} imports {target} inside {function.name}")


@each(FILES)
def test_no_import_is_for_the_type_checker_alone(path: Path) -> None:
    assert "TYPE_CHECKING" not in path.read_text(encoding="utf-8")


@each(FILES)
def test_every_module_says_what_it_owns(path: Path) -> None:
    docstring = ast.get_docstring(tree(path))
    assert docstring, f"{name(path)} has no docstring"
    assert len(docstring.splitlines()[0]) <= 100


@each(FILES)
def test_every_package_has_its_map(path: Path) -> None:
    assert (path.parent / "__init__.py").exists(), f"{name(path)} lies beside no __init__.py"


def is_public(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    """A name without an underscore, and no overload or property setter of one that is told."""
    decorators = {ast.unparse(d).rpartition(".")[2] for d in node.decorator_list}
    return not node.name.startswith("_") and not decorators & {"overload", "setter", "override"}


@each(CODE)
def test_what_is_public_has_a_docstring(path: Path) -> None:
    silent = []
    todo: list[ast.AST] = [tree(path)]
    while todo:
        node = todo.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                if not is_public(child):
                    continue
                if not ast.get_docstring(child):
                    silent.append(f"{child.name}:{child.lineno}")
                if isinstance(child, ast.ClassDef):
                    todo.append(child)
    assert not silent, f"{name(path)}: no docstring: {', '.join(silent)}"


@each(FILES)
def test_files_are_short(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= FILE_LINES_MAX, f"{name(path)} has {lines} lines"


@each(CODE)
def test_functions_are_short(path: Path) -> None:
    for function in functions(tree(path)):
        lines = (function.end_lineno or 0) - function.lineno + 1
        assert lines <= FUNCTION_LINES_MAX, f"{name(path)}: {function.name} has {lines} lines"


def committed() -> list[Path]:
    """The files of the project that people read, wherever they lie."""
    folders = ("amqpd", "tests", "interop", "conf", ".ci")
    kinds = {".py", ".md", ".toml", ".conf", ".service", ".json", ".txt", ".sh", ""}
    found = [p for p in ROOT.iterdir() if p.is_file() and p.suffix in kinds and p.name[0] != "."]
    for folder in folders:
        found += [p for p in (ROOT / folder).rglob("*") if p.is_file() and p.suffix in kinds]
    return [p for p in sorted(found) if "__pycache__" not in p.parts and p != Path(__file__)]


def test_no_file_names_somebodys_machine() -> None:
    named = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for path in committed()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if WORKPLACE.search(line)
    ]
    assert not named, "\n".join(named)


def test_nothing_is_put_off() -> None:
    """A thing to do is an issue, not a comment."""
    marks = re.compile(r"\b(?:TODO|FIXME|XXX)\b")
    left = [name(path) for path in FILES if marks.search(path.read_text(encoding="utf-8"))]
    assert not left
