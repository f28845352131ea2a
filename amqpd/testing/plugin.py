"""The pytest plugin: a fresh broker per test as the fixture `amqpd_broker`.

# conftest.py
pytest_plugins = ["amqpd.testing.plugin"]

# test_orders.py
def test_an_order_is_published(amqpd_broker):
    connection = pika.BlockingConnection(pika.URLParameters(amqpd_broker.url))
"""

from collections.abc import Iterator

import pytest

from amqpd.testing.embedded import EmbeddedBroker


@pytest.fixture
def amqpd_broker() -> Iterator[EmbeddedBroker]:
    """A broker with nothing in it, on a free port, for one test."""
    with EmbeddedBroker() as broker:
        yield broker
