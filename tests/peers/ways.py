"""A byte-level case three ways: whole, byte by byte, and with a tail of other bytes."""

from tests.peers.connection import Connection

WHOLE = "whole"
BYTEWISE = "byte by byte"
TAIL = "with a tail"
WAYS = (WHOLE, BYTEWISE, TAIL)


def send(connection: Connection, data: bytes, way: str, tail: bytes) -> None:
    """Send `data` in this way; `tail` follows in the same write where the way asks for one."""
    if way == BYTEWISE:
        for octet in data:
            connection.raw(bytes((octet,)))
    else:
        connection.raw(data + tail if way == TAIL else data)
