"""The embedded broker and the pytest plugin."""

import threading

import pika
import pytest

from amqpd.server.settings import Listener, Settings, TlsSettings, UserSetting
from amqpd.server.startup import StartupError
from amqpd.testing.embedded import EmbeddedBroker

pytest_plugins = ["pytester"]


def test_it_takes_pikas_messages_at_its_url():
    with EmbeddedBroker() as broker:
        with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection:
            channel = connection.channel()
            channel.queue_declare("q")
            channel.basic_publish("", "q", b"hello")
            assert channel.basic_get("q")[2] == b"hello"


def test_two_have_two_ports_and_nothing_in_common():
    with EmbeddedBroker() as one, EmbeddedBroker() as other:
        assert one.port != other.port
        with pika.BlockingConnection(pika.URLParameters(one.url)) as connection:
            connection.channel().queue_declare("q")
        assert other.call(lambda server: len(server.broker.vhosts["/"].queues)) == 0


def test_none_of_it_is_left_after_the_block():
    before = threading.active_count()
    with EmbeddedBroker() as broker:
        connection = pika.BlockingConnection(pika.URLParameters(broker.url))
    assert threading.active_count() == before
    with pytest.raises(pika.exceptions.AMQPConnectionError):
        connection.process_data_events(time_limit=None)
    with pytest.raises(pika.exceptions.AMQPConnectionError):
        pika.BlockingConnection(pika.URLParameters(broker.url))


def test_it_can_be_started_again():
    broker = EmbeddedBroker()
    for _ in range(2):
        with broker:
            pika.BlockingConnection(pika.URLParameters(broker.url)).close()


def test_settings_without_listeners_get_a_free_port():
    with EmbeddedBroker(
        Settings(listeners=(), vhosts=("a/b",), users=(UserSetting("u", "p"),))
    ) as b:
        assert b.url == f"amqp://u:p@127.0.0.1:{b.port}/a%2Fb"


def test_what_keeps_it_from_starting_is_raised():
    settings = Settings(listeners=(Listener(tls=True),), tls=TlsSettings("/nowhere.pem"))
    broker = EmbeddedBroker(settings)
    with pytest.raises(StartupError):
        broker.start()
    broker.stop()


def test_what_a_call_raises_reaches_the_caller():
    def fail(server):
        raise KeyError("x")

    with EmbeddedBroker() as broker, pytest.raises(KeyError):
        broker.call(fail)


def test_the_plugin_gives_each_test_a_fresh_broker(pytester):
    pytester.makeconftest("pytest_plugins = ['amqpd.testing.plugin']")
    pytester.makepyfile(
        """
        import pika

        def test_one(amqpd_broker):
            with pika.BlockingConnection(pika.URLParameters(amqpd_broker.url)) as connection:
                connection.channel().queue_declare("q", auto_delete=True)

        def test_two(amqpd_broker):
            assert amqpd_broker.call(lambda server: len(server.broker.vhosts["/"].queues)) == 0
        """
    )
    pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:asyncio").assert_outcomes(
        passed=2
    )
