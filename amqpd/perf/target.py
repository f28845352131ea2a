"""Where a broker is, and as whom to log in."""

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True)
class Target:
    """One broker's address and login."""

    host: str = "127.0.0.1"
    port: int = 5672
    user: str = "guest"
    password: str = "guest"
    vhost: str = "/"


def parse_url(url: str) -> Target:
    """Read `amqp://user:password@host:port/vhost`; every part but the scheme may be left out.

    An empty path means the vhost "/", as pika and most people read it.

    Raises ValueError, with words for a user, if it is not such a URL.
    """
    parts = urlsplit(url)
    if parts.scheme != "amqp":
        raise ValueError(f"{url!r} is not an amqp:// URL")
    try:
        port = parts.port or 5672
    except ValueError:
        raise ValueError(f"{url!r} has a bad port") from None
    return Target(
        parts.hostname or "127.0.0.1",
        port,
        unquote(parts.username or "guest"),
        unquote(parts.password or "guest"),
        unquote(parts.path[1:]) or "/",
    )
