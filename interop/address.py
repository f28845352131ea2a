"""AMQP URLs: `amqp://user:password@host:port/vhost`, `amqps://` for TLS.

An empty or missing vhost means "/", which the canonical form spells `%2F`, because clients
read a bare trailing slash in two ways.
"""

from dataclasses import dataclass, replace
from urllib.parse import quote, unquote, urlsplit


@dataclass(frozen=True)
class Address:
    """Where a broker is, and as whom to log in."""

    host: str
    port: int
    user: str
    password: str
    vhost: str
    tls: bool

    def with_password(self, password: str) -> "Address":
        """The same place with another password."""
        return replace(self, password=password)

    def with_vhost(self, vhost: str) -> "Address":
        """The same broker, another virtual host."""
        return replace(self, vhost=vhost)

    def url(self) -> str:
        """The canonical URL, password included."""
        login = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}"
        return f"{self._scheme()}://{login}@{self._place()}/{quote(self.vhost, safe='')}"

    def shown(self) -> str:
        """The URL without the password, for people and reports."""
        vhost = "" if self.vhost == "/" else quote(self.vhost, safe="")
        return f"{self._scheme()}://{quote(self.user, safe='')}@{self._place()}/{vhost}"

    def _scheme(self) -> str:
        return "amqps" if self.tls else "amqp"

    def _place(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse(url: str) -> Address:
    """Read an AMQP URL; what it leaves out is guest, guest, 127.0.0.1, 5672 (TLS: 5671), "/".

    Raises ValueError, worded for people, if it is not one.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("amqp", "amqps"):
        raise ValueError(f"not an AMQP URL (amqp://user:password@host:port/vhost): {url}")
    tls = parts.scheme == "amqps"
    return Address(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or (5671 if tls else 5672),
        user=unquote(parts.username) if parts.username is not None else "guest",
        password=unquote(parts.password) if parts.password is not None else "guest",
        vhost=unquote(parts.path[1:]) or "/",
        tls=tls,
    )
