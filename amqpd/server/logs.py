"""The log: structlog on standard output or in a file, and what the broker's events look like there.

    2026-01-31T12:00:00.000000Z [info] connection accepted connection="127.0.0.1:5000 -> ..."

One line per event, whatever a client sends: a value that is not plain printable text is quoted and
its control characters are escaped, so that a user name cannot forge a line. The exception is a
trace, which follows its line. A log that cannot be written never stops the broker.
"""

import sys
from typing import Final, TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from amqpd.core.ports import Log
from amqpd.server.settings import LogSettings
from amqpd.server.startup import StartupError, reason

LEVELS: Final = {
    "debug": 10,
    "info": 20,
    "warning": 30,
    "error": 40,
    "critical": 50,
    "none": 100,
}
TRACE: Final = "trace"  # the field that may have several lines


class Sink:
    """Where lines go; structlog calls it by the level's name."""

    def __init__(self, path: str, fallback: TextIO) -> None:
        self._path: Final = path
        self._fallback: Final = fallback
        self._stream = self._open()

    def _open(self) -> TextIO:
        if not self._path:
            return self._fallback
        try:
            # a line at a time, so that nothing is lost when the process is killed
            return open(self._path, "a", buffering=1, encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise StartupError(f"cannot write the log to {self._path}: {reason(error)}") from None

    def reopen(self) -> None:
        """Open the file anew, after it was moved away. Raises StartupError, keeping the old one."""
        if self._path:
            old, self._stream = self._stream, self._open()
            old.close()

    def close(self) -> None:
        """Close the file, where there is one."""
        if self._path:
            self._stream.close()

    def write(self, line: str) -> None:
        """Write a line, if that can be done."""
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except UnicodeEncodeError:
            self.write(line.encode("ascii", "backslashreplace").decode())
        except (OSError, ValueError):  # disk full, reader gone; closed
            pass

    msg = debug = info = warning = error = critical = write


def plain(value: object) -> str:
    """Write a value as `key=value` needs it: one word, or quoted."""
    text = value if isinstance(value, str) else str(value)
    if text and text.isprintable() and not any(char in ' ="\\' for char in text):
        return text
    escaped = [
        "\\" + char
        if char in '"\\'
        else char
        if char.isprintable()
        else char.encode("unicode_escape", "backslashreplace").decode()
        for char in text
    ]
    return f'"{"".join(escaped)}"'


def render_text(_: WrappedLogger, __: str, event: EventDict) -> str:
    """Write an event as one line of text, its trace below it."""
    head = f"{event.pop('timestamp')} [{event.pop('level')}] {event.pop('event')}"
    trace = event.pop(TRACE, None)
    line = " ".join([head, *(f"{key}={plain(value)}" for key, value in event.items())])
    return f"{line}\n{str(trace).rstrip()}" if trace else line


def in_order(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Put what every line has in front."""
    front = {key: event.pop(key) for key in ("timestamp", "level", "event")}
    return {**front, **event}


class Logs(Log):
    """Writes events of the broker and of the server."""

    def __init__(self, settings: LogSettings, stream: TextIO | None = None) -> None:
        super().__init__()
        if settings.level not in LEVELS:
            raise StartupError(f"a log level is one of {', '.join(LEVELS)}, not '{settings.level}'")
        if settings.format not in ("text", "json"):
            raise StartupError(f"the log format is text or json, not '{settings.format}'")
        self._level: Final = LEVELS[settings.level]
        self._sink: Final = Sink(settings.file, stream or sys.stdout)
        self._logger: Final = self._make(settings.format)

    def _make(self, form: str) -> FilteringBoundLogger:
        """Build the structlog logger; nothing global is configured."""
        last: Processor = (
            structlog.processors.JSONRenderer(ensure_ascii=False) if form == "json" else render_text
        )
        return structlog.wrap_logger(  # type: ignore[no-any-return]
            self._sink,
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                in_order,
                last,
            ],
            wrapper_class=structlog.make_filtering_bound_logger(min(self._level, 50)),
            cache_logger_on_first_use=True,
        ).bind()

    def event(self, level: str, event: str, fields: dict[str, object]) -> None:
        """Write an event, if its level is logged. Keys of structlog's own get an underscore."""
        number = LEVELS[level]
        if number >= self._level:
            safe = {
                key + "_" if key in ("event", "level", "timestamp") else key: value
                for key, value in fields.items()
            }
            self._logger.log(number, event, **safe)

    def reopen(self) -> None:
        """Open the log file anew, so that it can be rotated."""
        try:
            self._sink.reopen()
        except StartupError as error:
            self.event("error", str(error), {})

    def close(self) -> None:
        """Close the log file."""
        self._sink.close()
