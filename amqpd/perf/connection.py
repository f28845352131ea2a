"""One blocking connection with channel 1 open.

It takes what a load generator needs and no more: one request at a time, its reply, and then the
bare socket for whoever measures.
"""

import socket
import struct
from typing import Final

from amqpd.perf.encoding import (
    FRAME_OVERHEAD,
    HEARTBEAT,
    METHOD,
    PROTOCOL_HEADER,
    longstr,
    method,
    shortstr,
    take_shortstr,
    take_table,
)
from amqpd.perf.target import Target

HANDSHAKE_TIMEOUT_S: Final = 30.0

MethodId = tuple[int, int]


class BrokerError(Exception):
    """The broker refused something, closed the connection, or said what nobody asked for."""


class Connection:
    """A connection that is open, with channel 1 open, from the end of its constructor on.

    `pending` holds the bytes that came after the last reply. `server_properties` is what the broker
    says about itself. Raises BrokerError or OSError if it cannot be opened.
    """

    def __init__(self, target: Target, heartbeat_s: int = 0) -> None:
        self.pending = b""
        self.socket = socket.create_connection((target.host, target.port), HANDSHAKE_TIMEOUT_S)
        try:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open(target, heartbeat_s)
            self.socket.settimeout(None)
        except BaseException:
            self.socket.close()
            raise

    def _open(self, target: Target, heartbeat_s: int) -> None:
        self.socket.sendall(PROTOCOL_HEADER)
        start = self.expect((10, 10))
        self.server_properties, _ = take_table(start, 6)
        capabilities = shortstr("basic.nack") + b"t\x01" + shortstr("publisher_confirms") + b"t\x01"
        properties = shortstr("capabilities") + b"F" + longstr(capabilities)
        login = b"\0" + target.user.encode() + b"\0" + target.password.encode()
        start_ok = longstr(properties) + shortstr("PLAIN") + longstr(login) + shortstr("en_US")
        self.send((10, 11), start_ok, channel=0)
        channel_max, frame_max, _ = struct.unpack(">HIH", self.expect((10, 30))[4:12])
        self.frame_max: int = frame_max or 131072
        tune_ok = struct.pack(">HIH", channel_max, self.frame_max, heartbeat_s)
        self.send((10, 31), tune_ok, channel=0)
        self.send((10, 40), shortstr(target.vhost) + b"\0\0", channel=0)
        self.expect((10, 41))
        self.call((20, 10), (20, 11), shortstr(""))

    def send(self, request: MethodId, arguments: bytes = b"", channel: int = 1) -> None:
        """Write one method frame."""
        self.socket.sendall(method(channel, *request, arguments))

    def call(self, request: MethodId, reply: MethodId, arguments: bytes = b"") -> bytes:
        """Write one method on channel 1 and return the payload of its reply."""
        self.send(request, arguments)
        return self.expect(reply)

    def expect(self, reply: MethodId) -> bytes:
        """Read up to the named method and return its payload, class and method id first.

        Raises BrokerError if another method comes, with the broker's reason if it is a close.
        """
        while True:
            kind, payload = self.read_frame()
            if kind == HEARTBEAT:
                continue
            if kind == METHOD and struct.unpack_from(">HH", payload) == reply:
                return payload
            raise BrokerError(describe(kind, payload))

    def read_frame(self) -> tuple[int, bytes]:
        """Read one frame. Returns (kind, payload)."""
        while True:
            if len(self.pending) >= FRAME_OVERHEAD:
                kind, _, length = struct.unpack_from(">BHI", self.pending)
                if len(self.pending) >= length + FRAME_OVERHEAD:
                    payload = self.pending[7 : 7 + length]
                    self.pending = self.pending[length + FRAME_OVERHEAD :]
                    return kind, payload
            data = self.socket.recv(65536)
            if not data:
                raise BrokerError("the broker closed the connection")
            self.pending += data

    def declare(self, queue: str, durable: bool = False, arguments: bytes = b"") -> None:
        """Declare a queue; `arguments` is the inside of an encoded table."""
        flags = bytes([2 if durable else 0])
        self.call((50, 10), (50, 11), b"\0\0" + shortstr(queue) + flags + longstr(arguments))

    def length(self, queue: str) -> int:
        """Ask how many messages wait in a queue."""
        answer = self.call((50, 10), (50, 11), b"\0\0" + shortstr(queue) + b"\1" + longstr(b""))
        (count,) = struct.unpack_from(">I", answer, 4 + 1 + answer[4])
        return int(count)

    def consume(self, queue: str, consumer_tag: str, no_ack: bool) -> None:
        """Start a consumer; the deliveries that came with consume-ok are in `pending`."""
        names = shortstr(queue) + shortstr(consumer_tag)
        flags = bytes([2 if no_ack else 0])
        self.call((60, 20), (60, 21), b"\0\0" + names + flags + longstr(b""))

    def delete(self, queue: str) -> None:
        """Delete a queue with all that is in it."""
        self.call((50, 40), (50, 41), b"\0\0" + shortstr(queue) + b"\0")

    def close(self) -> None:
        """Say goodbye and close the socket; a broker that is gone already is no error."""
        try:
            self.socket.settimeout(1)
            self.send((10, 50), b"\0\xc8" + shortstr("") + b"\0\0\0\0", channel=0)
            self.socket.recv(1000)
        except OSError:
            pass
        self.socket.close()


def describe(kind: int, payload: bytes) -> str:
    """Put an unexpected frame into words; of a close, the broker's own."""
    if kind != METHOD:
        return f"unexpected frame of kind {kind}"
    class_id, method_id = struct.unpack_from(">HH", payload)
    if (class_id, method_id) in ((10, 50), (20, 40)):
        (code,) = struct.unpack_from(">H", payload, 4)
        return f"the broker closed with {code}: {take_shortstr(payload, 6)[0]}"
    if (class_id, method_id) == (60, 50):
        return "a message came back: basic.return"
    return f"unexpected method {class_id}.{method_id}"


def identify(server_properties: dict[str, object]) -> str:
    """Name a broker by what it says about itself, as in "RabbitMQ 3.10.8"."""
    product = server_properties.get("product", "unnamed broker")
    return f"{product} {server_properties.get('version', '')}".strip()
