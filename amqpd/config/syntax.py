"""The text of a configuration file as assignments, in the form of RabbitMQ's `rabbitmq.conf`.

    key = value                 # a comment, here or on a line of its own
    key.part.part = 'a value with # or spaces at its ends'
    key = '''a value
    of several lines'''
    key = $(NAME)               the value of environment variable NAME, or of the key NAME
    key = $(<path)              the content of a file, without its last newline
    include conf.d/*.conf       further files, in the order of their names

A key is words of letters, digits, `_` and `-`, joined by dots; a dot inside a word is written
`\\.`. The last assignment to a key wins. Paths after `include` and `$(<` start from the folder of
the file they stand in. An unquoted value ends before the first `#`, as it does for RabbitMQ.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# How deep files may include each other; enough for any sane layout, and it ends a circle.
INCLUDE_DEPTH_MAX: Final = 8

# How many replacements one value may need; it ends a circle of keys that name each other.
SUBSTITUTIONS_MAX: Final = 32

_WORD: Final = r"(?:\\\.|[A-Za-z0-9_-])+"
_ASSIGNMENT: Final = re.compile(rf"({_WORD}(?:\.{_WORD})*)\s*=\s*(.*)")
_INCLUDE: Final = re.compile(r"include\s+([^\s#=]+)\s*(?:#.*)?")
_DOT: Final = re.compile(r"(?<!\\)\.")
_NAMED: Final = re.compile(r"\$\(\s*([^<)][^)]*?)\s*\)")
_FILE: Final = re.compile(r"\$\(<(.+)\)")
_TRIPLE: Final = "'''"


class ConfigError(Exception):
    """A setting that cannot be used; the message is one line that says where it stands."""


@dataclass(frozen=True)
class Assignment:
    """One setting as written: its key in parts, its text, and where it stands."""

    key: tuple[str, ...]
    text: str
    origin: str  # "/etc/amqpd/amqpd.conf:12", "option --port", "environment variable AMQPD_PORT"

    @property
    def name(self) -> str:
        """The key as it is written."""
        return ".".join(part.replace(".", "\\.") for part in self.key)


def split_key(name: str) -> tuple[str, ...]:
    """The parts of a key as written, `\\.` being a dot inside a part."""
    return tuple(part.replace("\\.", ".") for part in _DOT.split(name))


def read(path: Path, environ: Mapping[str, str]) -> list[Assignment]:
    """The assignments of a file, or of the `*.conf` files of a folder in the order of their names.

    Raises ConfigError if a file cannot be read or a line not be understood.
    """
    files = sorted(path.glob("*.conf")) if path.is_dir() else [path]
    found = [item for file in files for item in _read_file(file, 0)]
    latest = {item.key: item.text for item in found}
    return [_substitute(item, latest, environ) for item in found]


def _read_file(path: Path, depth: int) -> Iterator[Assignment]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"cannot read {path}: it is not UTF-8 text") from None
    lines = iter(enumerate(text.splitlines(), 1))
    for number, line in lines:
        line = line.strip()
        origin = f"{path}:{number}"
        if not line or line.startswith("#"):
            continue
        if included := _INCLUDE.fullmatch(line):
            yield from _include(included[1], origin, path.parent, depth)
            continue
        assignment = _ASSIGNMENT.fullmatch(line)
        if assignment is None:
            raise ConfigError(f'{origin}: expected "key = value", not "{line}"')
        value = _value(assignment[2], lines, origin)
        if content := _FILE.fullmatch(value):
            value = file_content(path.parent / content[1].strip(), origin)
        yield Assignment(split_key(assignment[1]), value, origin)


def _include(pattern: str, origin: str, folder: Path, depth: int) -> Iterator[Assignment]:
    if depth >= INCLUDE_DEPTH_MAX:
        raise ConfigError(f"{origin}: files include each other more than {INCLUDE_DEPTH_MAX} deep")
    start = Path("/") if pattern.startswith("/") else folder
    files = sorted(start.glob(pattern.lstrip("/")))
    if not files and "*" not in pattern:
        raise ConfigError(f"{origin}: no file {start / pattern}")
    for file in files:
        yield from _read_file(file, depth + 1)


def _value(rest: str, lines: Iterator[tuple[int, str]], origin: str) -> str:
    """The value that starts with `rest`, behind the "="; more lines are taken if it is open."""
    if rest.startswith(_TRIPLE):
        return _several_lines(rest.removeprefix(_TRIPLE), lines, origin)
    if not rest.startswith("'"):
        value = rest.split("#", 1)[0].rstrip()
        if not value:
            raise ConfigError(f"{origin}: there is no value (write '' for an empty one)")
        return value
    value, quote, behind = rest[1:].partition("'")
    if not quote:
        raise ConfigError(f"{origin}: the closing ' is missing")
    _nothing_behind(behind, origin)
    return value


def _several_lines(first: str, lines: Iterator[tuple[int, str]], origin: str) -> str:
    """A value between triple quotes; a line break next to the quotes is not part of it."""
    taken: list[str] = []
    line = first
    while _TRIPLE not in line:
        taken.append(line)
        following = next(lines, None)
        if following is None:
            raise ConfigError(f"{origin}: the closing {_TRIPLE} is missing")
        line = following[1]
    last, _, behind = line.partition(_TRIPLE)
    _nothing_behind(behind, origin)
    return "\n".join([*taken, last]).strip("\n")


def _nothing_behind(text: str, origin: str) -> None:
    text = text.strip()
    if text and not text.startswith("#"):
        raise ConfigError(f'{origin}: unexpected "{text}" behind the closing quote')


def _substitute(
    item: Assignment, latest: Mapping[tuple[str, ...], str], environ: Mapping[str, str]
) -> Assignment:
    """Replace every `$(NAME)` in a value."""
    text = item.text
    for _ in range(SUBSTITUTIONS_MAX):
        found = _NAMED.search(text)
        if found is None:
            break
        value = latest.get(split_key(found[1]), environ.get(found[1]))
        if value is None:
            raise ConfigError(f"{item.origin}: $({found[1]}) is no key and no variable")
        text = text[: found.start()] + value + text[found.end() :]
    else:
        raise ConfigError(f"{item.origin}: too many $(...) in {item.name}, or they go in a circle")
    return item if text is item.text else Assignment(item.key, text, item.origin)


def file_content(path: Path, origin: str) -> str:
    """The text of a file that holds one value, without its last line break."""
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"{origin}: cannot read {path}: {reason}") from None
