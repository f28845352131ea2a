"""What a broker did instead of answering, and what a scenario expects of it."""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from pamqp import base


class PeerError(Exception):
    """The broker did not do what was waited for."""


class Closed(PeerError):
    """A close method came; its four fields are here."""

    def __init__(
        self,
        reply_code: int | None,
        reply_text: str,
        class_id: int | None,
        method_id: int | None,
    ) -> None:
        super().__init__(f"{reply_code} {reply_text} ({class_id},{method_id})")
        self.reply_code = reply_code
        self.reply_text = reply_text
        self.class_id = class_id
        self.method_id = method_id


class ChannelClosed(Closed):
    """channel.close came from the broker."""


class ConnectionClosed(Closed):
    """connection.close came from the broker."""


class Disconnected(PeerError):
    """The broker closed the socket without a connection.close."""


class Silence(PeerError):
    """The broker has nothing to say: in memory for good, over a socket for too long."""


def channel_error(
    code: int, text: str | re.Pattern[str], method: type[base.Frame] | None
) -> AbstractContextManager[None]:
    """Expect channel.close with this code, this text, and the ids of this method."""
    return _closes(ChannelClosed, code, text, method)


def connection_error(
    code: int, text: str | re.Pattern[str], method: type[base.Frame] | None
) -> AbstractContextManager[None]:
    """Expect connection.close with this code, this text, and the ids of this method."""
    return _closes(ConnectionClosed, code, text, method)


@contextmanager
def _closes(
    kind: type[Closed],
    code: int,
    text: str | re.Pattern[str],
    method: type[base.Frame] | None,
) -> Iterator[None]:
    with pytest.raises(kind) as caught:
        yield
    closed = caught.value
    index = method.index if method is not None else 0
    assert closed.reply_code == code, closed
    if isinstance(text, str):
        assert closed.reply_text == text
    else:
        assert text.fullmatch(closed.reply_text), closed
    assert (closed.class_id, closed.method_id) == (index >> 16, index & 0xFFFF), closed
