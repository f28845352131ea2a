"""The wire dialogue of a scenario that failed: a proxy between client and broker that listens.

The scenario is played once more through it, and what both sides say is kept, a line each, in the
words of scripts. What comes of a failure that does not come again is that it did not.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Final

from interop.address import Address
from interop.script.language import show_said
from interop.wire.connection import Incoming

LINES_MAX: Final = 120
LINE_MAX: Final = 300


class Dialogue:
    """What was said, in order; the oldest lines give way."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.left_out = 0
        self._connections = 0

    def connection(self) -> int:
        """The number of the next connection."""
        self._connections += 1
        return self._connections

    def note(self, text: str) -> None:
        """Keep a line."""
        self.lines.append(text if len(text) <= LINE_MAX else f"{text[:LINE_MAX]}...")
        if len(self.lines) > LINES_MAX:
            del self.lines[10]  # the beginning says who speaks; then the end is what matters
            self.left_out += 1

    def text(self) -> list[str]:
        """The lines, with a note where some were left out."""
        if not self.left_out:
            return self.lines
        return [*self.lines[:10], f"... {self.left_out} lines ...", *self.lines[10:]]


@contextlib.asynccontextmanager
async def recording(address: Address) -> AsyncIterator[tuple[Address, Dialogue]]:
    """Listen on loopback and pass all on to the broker; gives the address to use instead."""
    dialogue = Dialogue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = dialogue.connection()
        try:
            there = await asyncio.open_connection(address.host, address.port)
        except OSError as error:
            dialogue.note(f"{number} cannot connect: {error}")
            writer.close()
            return
        await asyncio.gather(
            _pass_on(reader, there[1], dialogue, f"{number} >"),
            _pass_on(there[0], writer, dialogue, f"{number} <"),
        )

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield replace(address, host="127.0.0.1", port=port), dialogue
    finally:
        server.close()


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, dialogue: Dialogue, mark: str
) -> None:
    incoming: Incoming | None = Incoming()
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            incoming = _listen(incoming, data, dialogue, mark)
            writer.write(data)
            await writer.drain()
    dialogue.note(f"{mark} end")
    with contextlib.suppress(OSError):
        writer.close()


def _listen(
    incoming: Incoming | None, data: bytes, dialogue: Dialogue, mark: str
) -> Incoming | None:
    """Note what the bytes say; what cannot be understood ends the listening, not the passing."""
    if incoming is None:
        return None
    try:
        for channel, said in incoming.receive(data):
            secret = said.name == "connection.start-ok"
            text = said.name if secret else show_said(said)
            dialogue.note(f"{mark} {channel or ''} {text}".replace("  ", " "))
    except (ValueError, KeyError, IndexError) as error:
        dialogue.note(f"{mark} (not understood: {error!r})")
        return None
    return incoming
