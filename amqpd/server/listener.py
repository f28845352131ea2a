"""Listening sockets from addresses.

The sockets are made here and handed to the loop ready, so that what goes wrong is one clear line
naming the address. IPv6 sockets take IPv6 only: "every interface" is two sockets with one port.
"""

import errno
import socket
from typing import Final

from amqpd.server.settings import Listener, SocketSettings
from amqpd.server.startup import StartupError, reason

# Free ports to try that are free for IPv4 and IPv6 alike.
PORT_ATTEMPTS: Final = 20

Address = tuple[socket.AddressFamily, str, int]


def open_sockets(listener: Listener, settings: SocketSettings) -> list[socket.socket]:
    """Bind every address of a listener, to one port. Raises StartupError if one cannot be had."""
    attempts = PORT_ATTEMPTS if listener.port == 0 else 1
    for attempt in range(attempts):
        opened: list[socket.socket] = []
        port = listener.port
        try:
            for family, host, _ in addresses(listener):
                opened.append(_bind(family, host, port, settings))
                port = opened[0].getsockname()[1]
        except OSError as error:
            for other in opened:
                other.close()
            if error.errno == errno.EADDRINUSE and opened and attempt + 1 < attempts:
                continue
            raise StartupError(
                f"cannot listen on {printed(listener.host, port)}: {reason(error)}"
            ) from None
        return opened
    raise AssertionError("the last attempt returns or raises")


def addresses(listener: Listener) -> list[Address]:
    """What a listener's host stands for: numbers as they are, names by the resolver.

    "" is every interface of both families, "localhost" usually 127.0.0.1 and ::1.
    """
    host, port = listener.host, listener.port
    if not 0 <= port <= 65535:
        raise StartupError(f"cannot listen on {printed(host, port)}: a port is 0 to 65535")
    if not host:
        found = [(socket.AF_INET, "0.0.0.0", port)]
        if socket.has_ipv6 and _ipv6_works():
            found.append((socket.AF_INET6, "::", port))
        return found
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        words = reason(error) if isinstance(error, OSError) else "not a host name"
        raise StartupError(f"cannot listen on {printed(host, port)}: {words}") from None
    found = []
    for family, _, _, _, name in infos:
        if family == socket.AF_INET or family == socket.AF_INET6 and _ipv6_works():
            zone = f"%{name[3]}" if len(name) == 4 and name[3] else ""
            address = (family, str(name[0]).partition("%")[0] + zone, port)
            if address not in found:
                found.append(address)
    if not found:
        raise StartupError(f"cannot listen on {printed(host, port)}: no address of this machine")
    return sorted(found)


def printed(host: str, port: int) -> str:
    """Write an address as people do: 127.0.0.1:5672, [::1]:5672."""
    if ":" in host:
        return f"[{host}]:{port}"
    return f"{host or '*'}:{port}"


def _ipv6_works() -> bool:
    """Whether this machine has IPv6; containers often have none."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def _bind(
    family: socket.AddressFamily, host: str, port: int, settings: SocketSettings
) -> socket.socket:
    """Make one listening socket; accepted ones inherit the options."""
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setblocking(False)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if settings.keepalive:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if "%" in host:
            opened.bind(socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)[0][4])
        else:
            opened.bind((host, port))
        # here and not by the loop, so that a port in use (Linux tells some of it only now) is
        # known before anything else has begun
        opened.listen(settings.backlog)
    except OSError:
        opened.close()
        raise
    return opened
