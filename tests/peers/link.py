"""The two-way stream of bytes below a connection."""

import socket
import struct

from tests.peers.errors import Silence

PATIENCE_S = 15  # nothing right takes so long; a wrong expectation does
LINGER_RESET = struct.pack("ii", 1, 0)


class Link:
    """A client's end of the stream; distances differ here and nowhere else."""

    def send(self, data: bytes) -> None:
        """Hand bytes to the broker; what it makes of them shows later."""
        raise NotImplementedError

    def receive(self, patient: bool = False) -> bytes:
        """Return some bytes, b"" at the end of the stream.

        Raises Silence if none come. A patient one lets the clock run where a test owns it.
        """
        raise NotImplementedError

    def stop_reading(self) -> None:
        """Leave what the broker sends where it is, as a client that hangs does."""
        raise NotImplementedError

    def resume_reading(self) -> None:
        """Read again."""
        raise NotImplementedError

    def drop(self) -> None:
        """Close the client's end without a word; harmless when closed already."""
        raise NotImplementedError


class SocketLink(Link):
    """A TCP connection."""

    def __init__(self, host: str, port: int, receive_bytes: int = 0) -> None:
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        if receive_bytes:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self._socket.settimeout(PATIENCE_S)
        self._socket.connect((host, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data: bytes) -> None:
        """See Link; the broker may have closed the connection, which shows when reading."""
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def receive(self, patient: bool = False) -> bytes:
        """See Link."""
        try:
            return self._socket.recv(65536)
        except TimeoutError:
            raise Silence(f"nothing in {PATIENCE_S} s") from None
        except ConnectionResetError:
            return b""

    def stop_reading(self) -> None:
        """See Link; the kernel's buffers fill, and then the broker's."""

    def resume_reading(self) -> None:
        """See Link."""

    def drop(self) -> None:
        """See Link."""
        self._socket.close()
