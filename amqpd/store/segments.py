"""Segments: the files of the journal, and how much of each is live."""

from typing import Final

from mypy_extensions import i64

from amqpd.core.message import Message

SEGMENT_NAME: Final = "journal-"


def segment_name(number: int) -> str:
    """Name a segment."""
    return f"{SEGMENT_NAME}{number:010d}"


class Segment:
    """One file of the journal, and how much of it is live."""

    def __init__(self, number: int) -> None:
        self.number: Final = number
        self.name: Final = segment_name(number)
        self.size = 0
        self.live: i64 = 0
        self.live_bytes: i64 = 0


def cost_of(message: Message) -> i64:
    """What a live entry counts for in its segment (bytes)."""
    return len(message.content) + 64
