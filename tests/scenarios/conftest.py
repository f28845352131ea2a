"""What most scenarios start with."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.peers.channel import Channel
from tests.peers.connection import Connection
from tests.peers.ways import WAYS


@pytest.fixture
def connection(peer: Any) -> Connection:
    """An open connection of guest."""
    return peer.connect()


@pytest.fixture
def channel(connection: Connection) -> Channel:
    """An open channel, on `connection`."""
    return connection.channel()


@pytest.fixture
def admin(peer: Any) -> Iterator[Any]:
    """An administrator of the broker, with a vhost of its own."""
    made = peer.new_admin()
    made.begin()
    yield made
    made.end()


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    """How a byte-level case is sent."""
    return request.param
