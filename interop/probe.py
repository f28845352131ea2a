"""Is an AMQP broker there, and which one? Asked with one half of a handshake.

The protocol header goes out; the broker's connection.start comes back (spec 1.4.2.1) and names
product and version in its server properties. No client library takes part, so a wrong URL is one
clear line instead of a matrix full of failures.

    ┌──────┬─────────┬──────┬───────┬────────┬───────┬───────┬────────────────────┬─────
    │ type │ channel │ size │ class │ method │ major │ minor │ server-properties  │ ...
    │ 1    │ u16 0   │ u32  │ u16 10│ u16 10 │ u8    │ u8    │ u32 length, fields │
    └──────┴─────────┴──────┴───────┴────────┴───────┴───────┴────────────────────┴─────
"""

import contextlib
import socket
import ssl
from dataclasses import dataclass
from typing import Final

from interop.address import Address

HEADER: Final = b"AMQP\x00\x00\x09\x01"
PROBE_S: Final = 10.0  # slow machines and TLS included; a listening broker answers in milliseconds
_PROPERTIES_AT: Final = 13  # see the box
_FIXED_BYTES: Final = {"t": 1, "b": 1, "B": 1, "s": 2, "u": 2, "I": 4, "i": 4, "f": 4, "D": 5}
_FIXED_BYTES_8: Final = "lLdT"


class NoBroker(Exception):
    """Nobody there, or somebody who does not speak AMQP 0-9-1."""


@dataclass(frozen=True)
class Broker:
    """What a broker says of itself; empty strings if it does not say."""

    product: str
    version: str

    def __str__(self) -> str:
        return f"{self.product} {self.version}".strip() or "unknown broker"


def probe(address: Address) -> Broker:
    """Ask the broker at `address` for its name.

    Raises NoBroker, with the reason, if no connection.start comes back.
    """
    try:
        with contextlib.closing(_connect(address)) as peer:
            peer.sendall(HEADER)
            frame = _read_frame(peer)
    except OSError as error:
        raise NoBroker(f"no broker answers at {address.shown()}: {error}") from error
    if frame[:4] == b"AMQP" or frame[7:11] != b"\x00\x0a\x00\x0a":
        raise NoBroker(f"no AMQP 0-9-1 broker at {address.shown()}: it answered {frame[:16]!r}")
    strings = _strings(frame, _PROPERTIES_AT)
    return Broker(strings.get("product", ""), strings.get("version", ""))


def _connect(address: Address) -> socket.socket:
    peer = socket.create_connection((address.host, address.port), timeout=PROBE_S)
    if not address.tls:
        return peer
    context = ssl.create_default_context()
    context.check_hostname = False  # the name is asked, nothing secret is sent
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(peer)


def _read_frame(peer: socket.socket) -> bytes:
    """Read one frame, or what there is of it when the peer closes."""
    data = b""
    needed = 7
    while len(data) < needed:
        part = peer.recv(65536)
        if not part:
            break
        data += part
        if len(data) >= 7:
            if data[:4] == b"AMQP":
                break
            needed = 7 + int.from_bytes(data[3:7], "big")
    return data


def _strings(data: bytes, at: int) -> dict[str, str]:
    """Read the long strings of the field table at `at`, until a field of unknown type."""
    end = min(at + 4 + int.from_bytes(data[at : at + 4], "big"), len(data))
    at += 4
    found: dict[str, str] = {}
    while at < end:
        name_end = at + 1 + data[at]
        name = data[at + 1 : name_end].decode("utf-8", "replace")
        kind = data[name_end : name_end + 1].decode("latin-1")
        at = name_end + 1
        if kind in "SxFA" and kind:
            bytes_end = at + 4 + int.from_bytes(data[at : at + 4], "big")
            if kind == "S":
                found[name] = data[at + 4 : bytes_end].decode("utf-8", "replace")
            at = bytes_end
        elif kind in _FIXED_BYTES:
            at += _FIXED_BYTES[kind]
        elif kind and kind in _FIXED_BYTES_8:
            at += 8
        elif kind != "V":
            break
    return found
