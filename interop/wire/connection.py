"""One connection over a blocking socket: says methods, and collects what comes per channel."""

import select
import socket
import ssl
import struct
import time
from collections import deque
from typing import Final

from interop.address import Address
from interop.wire.codec import (
    BODY,
    HEADER,
    HEARTBEAT,
    METHOD,
    OVERHEAD,
    Said,
    decode_header,
    decode_method,
    frame,
    method_frames,
)
from interop.wire.handshake import Handshake

PROTOCOL_HEADER: Final = b"AMQP\x00\x00\x09\x01"
WAIT_S: Final = 15.0


class Silence(Exception):
    """What had to come did not come in time."""


class Gone(Exception):
    """The broker has closed the socket."""


class Refused(Exception):
    """The broker did not open the connection; `said` has what it said, start and tune included."""

    def __init__(self, said: list[Said]) -> None:
        super().__init__(
            ", ".join(f"{one.name} {one.fields.get('reply-text', '')}" for one in said)
        )
        self.said = said


class Closing(Exception):
    """The broker closes the connection; what it says is on channel 0."""


class Incoming:
    """What came on a connection: (channel, method) in the order in which they were complete.

    A method with content is held back until the last of its body has come.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._partial: dict[int, tuple[Said, int]] = {}

    def receive(self, data: bytes) -> list[tuple[int, Said]]:
        """Take bytes; returns what is complete by them."""
        self._buffer += data
        found: list[tuple[int, Said]] = []
        while len(self._buffer) >= OVERHEAD:
            kind, channel, size = struct.unpack_from(">BHI", self._buffer)
            if self._buffer[:4] == b"AMQP":
                found.append((0, Said("protocol-header", {"bytes": bytes(self._buffer[:8]).hex()})))
                del self._buffer[:8]
                continue
            if len(self._buffer) < size + OVERHEAD:
                break
            payload = bytes(self._buffer[7 : 7 + size])
            del self._buffer[: size + OVERHEAD]
            said = self._frame(kind, channel, payload)
            if said is not None:
                found.append((channel, said))
        return found

    def _frame(self, kind: int, channel: int, payload: bytes) -> Said | None:
        if kind == HEARTBEAT:
            return None
        if kind == METHOD:
            said = decode_method(payload)
            if said.name in ("basic.deliver", "basic.return", "basic.get-ok"):
                self._partial[channel] = (said, -1)
                return None
            return said
        said, missing = self._partial.pop(channel)
        if kind == HEADER:
            missing, said.properties = decode_header(payload)
        else:
            assert kind == BODY
            said.body += payload
            missing -= len(payload)
        if missing > 0:
            self._partial[channel] = (said, missing)
            return None
        return said


class Connection:
    """An open connection. `heard` has what came and has not been taken, per channel."""

    def __init__(self, address: Address, handshake: Handshake | None = None) -> None:
        """Connect and open. Raises OSError, Refused, Silence."""
        self._socket = connect_socket(address)
        self._incoming = Incoming()
        self.heard: dict[int, deque[Said]] = {}
        self.frame_max = 131072
        self.is_closed = False
        self.greeting: list[Said] = []
        self._shake_hands(address, handshake or Handshake())

    def say(self, channel: int, name: str, /, **fields: object) -> None:
        """Send a method without content; underscores in names stand for hyphens."""
        said = Said(name, {key.replace("_", "-"): value for key, value in fields.items()})
        self.send(method_frames(channel, said, self.frame_max))

    def send(self, data: bytes) -> None:
        """Send bytes. A broker that has closed is found out by what is read next."""
        try:
            self._socket.sendall(data)
        except OSError:
            self.is_closed = True

    def take(self, channel: int, within_s: float = WAIT_S) -> Said:
        """The next method on `channel`.

        Raises Silence, Gone if the socket was closed, Closing if channel 0 has something.
        """
        until = time.monotonic() + within_s
        while not self.heard.get(channel):
            if channel and self.heard.get(0):
                raise Closing
            if self.is_closed:
                raise Gone
            left = until - time.monotonic()
            if left <= 0:
                raise Silence(f"nothing on channel {channel} within {within_s:g} s")
            self.read(left)
        return self.heard[channel].popleft()

    def read(self, within_s: float) -> bool:
        """Wait for the broker to say something, and hear it; whether it did."""
        if self.is_closed or not select.select([self._socket], [], [], within_s)[0]:
            # TLS may hold decrypted bytes; this client reads all of them at once below.
            return False
        try:
            data = self._socket.recv(1 << 18)
            while isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
                data += self._socket.recv(1 << 18)
        except OSError:
            data = b""
        if not data:
            self.is_closed = True
            return True
        for channel, said in self._incoming.receive(data):
            self.heard.setdefault(channel, deque()).append(said)
        return True

    def close(self) -> None:
        """Say goodbye if the broker still listens, and close the socket."""
        try:
            if not self.is_closed:
                self.say(0, "connection.close", reply_code=200)
                while self.take(0, 5.0).name not in ("connection.close-ok", "connection.close"):
                    pass
        except (Silence, Gone, Closing):
            pass
        finally:
            self.drop()

    def drop(self) -> None:
        """Close the socket without a word."""
        self.is_closed = True
        self._socket.close()

    def beat(self) -> None:
        """Send a heartbeat."""
        self.send(frame(HEARTBEAT, 0, b""))

    def _shake_hands(self, address: Address, own: Handshake) -> None:
        self.send(PROTOCOL_HEADER)
        self._expect("connection.start")
        self.say(
            0,
            "connection.start-ok",
            client_properties={"connection_name": own.name, "capabilities": own.capabilities},
            mechanism=own.mechanism,
            response=own.answer(address),
            locale="en_US",
        )
        tune = self._expect("connection.tune").fields
        offered = tune["frame-max"]
        assert isinstance(offered, int)
        self.frame_max = min(offered, 131072) or 131072
        if own.frame_max is not None:
            self.frame_max = own.frame_max
        self.say(
            0,
            "connection.tune-ok",
            channel_max=tune["channel-max"] if own.channel_max is None else own.channel_max,
            frame_max=self.frame_max,
            heartbeat=own.heartbeat,
        )
        vhost = address.vhost if own.vhost is None else own.vhost
        self.say(0, "connection.open", virtual_host=vhost)
        self._expect("connection.open-ok")

    def _expect(self, name: str) -> Said:
        """The next step of the handshake; a broker that takes another one has refused."""
        try:
            said = self.take(0)
        except Gone:
            self.drop()
            raise Refused(self.greeting) from None
        except Silence:
            self.drop()
            raise
        self.greeting.append(said)
        if said.name != name:
            if said.name == "connection.close":
                self.say(0, "connection.close-ok")
            self.drop()
            raise Refused(self.greeting)
        return said


def connect_socket(address: Address) -> socket.socket:
    """A socket to the broker, not a word said. Raises OSError."""
    plain = socket.create_connection((address.host, address.port), timeout=WAIT_S)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not address.tls:
        return plain
    return ssl.create_default_context().wrap_socket(plain, server_hostname=address.host)
