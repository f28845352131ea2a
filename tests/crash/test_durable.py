"""What survives a restart, as RabbitMQ has it (RabbitMQ: durability).

    pytest tests/crash/test_durable.py
    pytest tests/crash/test_durable.py --distance=rabbitmq --amqp-url=URL --restart-command=COMMAND

COMMAND stop|kill restarts that broker, and returns when it answers.
"""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pamqp import commands

from tests.crash.restart import (
    ENDINGS,
    KILL,
    STOP,
    Amqpd,
    ByCommand,
    Halves,
    RestartPeer,
    Scenario,
)
from tests.peers.errors import ChannelClosed
from tests.scenarios.things import exchange_exists, queue_exists

SCENARIOS: list[Scenario] = []

pytestmark = pytest.mark.slow


def scenario(function: Scenario) -> Scenario:
    """Put a scenario on the list."""
    SCENARIOS.append(function)
    return function


def persistent(channel: Any, queue: str, *bodies: bytes, exchange: str = "", **more: Any) -> None:
    """Publish persistent messages, and wait for their confirms."""
    if not channel.published_count:
        channel.confirm()
    before = channel.published_count
    for body in bodies:
        channel.publish(exchange, queue, body, delivery_mode=2, **more)
    last = 0
    while last < before + len(bodies):
        last = max(last, channel.take()[0].delivery_tag)


def opened(peer: Any) -> Any:
    """A channel on a connection of its own."""
    return peer.connect().channel()


# -- messages -------------------------------------------------------------------------------------


@scenario
def a_persistent_message_is_as_it_was(peer: Any) -> Iterator[None]:
    channel, queue, exchange = opened(peer), peer.name("q"), peer.name("x")
    channel.declare(queue, durable=True)
    channel.declare_exchange(exchange, "topic", durable=True)
    channel.bind(queue, exchange, "a.#")
    body = bytes(range(256)) * 2000
    headers = {"text": "ä", "number": -5, "list": [1, True, None], "table": {"deep": b"\xff"}}
    properties = {"content_type": "x/y", "headers": headers, "priority": 3, "message_id": "id"}
    properties |= {"correlation_id": "c", "reply_to": "r", "message_type": "t", "app_id": "a"}
    persistent(channel, "a.b.c", body, exchange=exchange, **properties)
    before = channel.get(queue)
    channel.nack(before.delivery_tag)
    channel.sync()
    yield
    after = opened(peer).get(queue, no_ack=True)
    assert (after.body, after.raw_properties) == (body, before.raw_properties)
    assert (after.exchange, after.routing_key, after.redelivered) == (exchange, "a.b.c", True)


@scenario
def an_empty_message_survives(peer: Any) -> Iterator[None]:
    channel, queue = opened(peer), peer.name("q")
    channel.declare(queue, durable=True)
    persistent(channel, queue, b"", b"x", b"")
    yield
    assert opened(peer).bodies(queue) == [b"", b"x", b""]


@scenario
def transient_messages_are_gone_from_between_persistent_ones(peer: Any) -> Iterator[None]:
    channel, queue = opened(peer), peer.name("q")
    channel.declare(queue, durable=True)
    for number in range(20):
        if number % 3 == 0:
            persistent(channel, queue, b"%d" % number)
        else:
            channel.publish("", queue, b"%d" % number, delivery_mode=number % 3 - 1 or None)
            channel.take()
    yield
    channel = opened(peer)
    assert channel.ready(queue) == 7
    assert channel.bodies(queue) == [b"%d" % number for number in range(0, 20, 3)]


@scenario
def a_message_is_stored_in_its_durable_queues_only(peer: Any) -> Iterator[None]:
    channel, exchange = opened(peer), peer.name("x")
    queues = [peer.name("q") for _ in range(3)]
    channel.declare_exchange(exchange, "fanout", durable=True)
    for queue, durable in zip(queues, (True, False, True), strict=True):
        channel.declare(queue, durable=durable)
        channel.bind(queue, exchange)
    persistent(channel, "", b"one", b"two", exchange=exchange)
    channel.get(queues[0], no_ack=True)
    channel.sync()
    yield
    channel = opened(peer)
    assert not queue_exists(channel, queues[1])
    assert channel.bodies(queues[2]) == [b"one", b"two"]
    left = channel.bodies(queues[0])
    assert left == [b"two"] or (peer.ending == KILL and left == [b"one", b"two"])


@scenario
def order_survives_also_that_of_what_came_back(peer: Any) -> Iterator[None]:
    channel, queue = opened(peer), peer.name("q")
    bodies = [b"%02d" % number for number in range(30)]
    channel.declare(queue, durable=True)
    persistent(channel, queue, *bodies)
    taken = [channel.get(queue) for _ in range(10)]
    for place in (7, 2, 5):
        channel.nack(taken[place].delivery_tag)
    channel.sync()
    yield
    assert opened(peer).bodies(queue) == bodies


@scenario
def what_was_out_unacked_says_redelivered(peer: Any) -> Iterator[None]:
    channel, queue = opened(peer), peer.name("q")
    channel.declare(queue, durable=True)
    persistent(channel, queue, b"1", b"2", b"3", b"4")
    channel.qos(2)
    channel.consume(queue)
    assert [message.body for message in channel.deliveries(2)] == [b"1", b"2"]
    yield
    channel = opened(peer)
    flags = [channel.get(queue, no_ack=True).redelivered for _ in range(4)]
    assert flags[:2] == [True, True]
    if peer.ending == STOP:
        assert flags[2:] == [False, False]


@scenario
def what_was_acked_before_a_stop_does_not_come_back(peer: Any) -> Iterator[None]:
    channel, queue = opened(peer), peer.name("q")
    channel.declare(queue, durable=True)
    persistent(channel, queue, b"1", b"2", b"3", b"4", b"5")
    tags = [channel.get(queue).delivery_tag for _ in range(4)]
    channel.ack(tags[1])
    channel.reject(tags[2], requeue=False)
    channel.nack(tags[3], requeue=False)
    channel.sync()
    yield
    found = opened(peer).bodies(queue)
    assert found == [b"1", b"5"] or (peer.ending == KILL and found == sorted(found))


@scenario
def what_was_purged_before_a_stop_does_not_come_back(peer: Any) -> Iterator[None]:
    channel, queue = opened(peer), peer.name("q")
    channel.declare(queue, durable=True)
    persistent(channel, queue, b"1", b"2")
    channel.do(commands.Queue.Purge, queue=queue)
    persistent(channel, queue, b"3")
    yield
    found = opened(peer).bodies(queue)
    assert found == [b"3"] or (peer.ending == KILL and found[-1] == b"3")


@scenario
def messages_without_confirms_survive_a_stop(peer: Any) -> Iterator[None]:
    channel, queue = opened(peer), peer.name("q")
    channel.declare(queue, durable=True)
    for number in range(50):
        channel.publish("", queue, b"%02d" % number, delivery_mode=2)
    channel.sync()
    yield
    found = opened(peer).bodies(queue)
    assert found == [b"%02d" % number for number in range(len(found))]
    assert len(found) == 50 or peer.ending == KILL


@scenario
def a_transaction_survives_once_it_is_committed(peer: Any) -> Iterator[None]:
    channel, queue, source = opened(peer), peer.name("q"), peer.name("source")
    channel.declare(queue, durable=True)
    channel.declare(source, durable=True)
    persistent(opened(peer), source, b"1", b"2", b"3")
    channel.call(commands.Tx.Select())
    channel.publish("", queue, b"committed", delivery_mode=2)
    channel.ack(channel.get(source).delivery_tag)
    channel.call(commands.Tx.Commit())
    channel.publish("", queue, b"rolled back", delivery_mode=2)
    channel.ack(channel.get(source).delivery_tag)
    channel.call(commands.Tx.Rollback())
    channel.publish("", queue, b"open", delivery_mode=2)
    channel.sync()
    yield
    channel = opened(peer)
    assert channel.bodies(queue) == [b"committed"]
    left = channel.bodies(source)
    if peer.oracle.is_rabbitmq and peer.ending == KILL:
        assert left[-2:] == [b"2", b"3"]  # its commits do not wait for acks to be on disk
    else:
        assert left == [b"2", b"3"]


@scenario
def dead_letters_survive_where_they_lie(peer: Any) -> Iterator[None]:
    channel, queue, grave = opened(peer), peer.name("q"), peer.name("grave")
    channel.declare(grave, durable=True)
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": grave}
    channel.declare(queue, durable=True, arguments=arguments)
    persistent(channel, queue, b"dead", b"alive")
    channel.reject(channel.get(queue).delivery_tag, requeue=False)
    peer.until(lambda: channel.ready(grave) == 1)
    persistent(channel, grave, b"behind")
    yield
    channel = opened(peer)
    dead = channel.get(grave, no_ack=True)
    assert dead.body == b"dead" and dead.properties.headers["x-death"][0]["queue"] == queue
    assert channel.bodies(queue) == [b"alive"] or peer.ending == KILL


@scenario
def priorities_survive(peer: Any) -> Iterator[None]:
    channel, queue = opened(peer), peer.name("q")
    channel.declare(queue, durable=True, arguments={"x-max-priority": 5})
    for number, priority in enumerate((0, 5, 3, 5, 0, 3)):
        persistent(channel, queue, b"%d-%d" % (priority, number), priority=priority)
    yield
    channel = opened(peer)
    assert channel.bodies(queue) == [b"5-1", b"5-3", b"3-2", b"3-5", b"0-0", b"0-4"]


# -- queues ---------------------------------------------------------------------------------------


@scenario
def durable_queues_are_what_they_were(peer: Any) -> Iterator[None]:
    channel, plain, queue = opened(peer), peer.name("plain"), peer.name("q")
    arguments = {"x-max-length": 5, "x-message-ttl": 3600000, "x-own": {"any": [1, "a"]}}
    channel.declare(plain, durable=True)
    channel.declare(queue, durable=True, arguments=arguments)
    yield
    channel = opened(peer)
    channel.declare(plain, durable=True)
    channel.declare(queue, durable=True, arguments=arguments)
    with pytest.raises(ChannelClosed, match="inequivalent arg 'x-max-length'") as refused:
        channel.declare(queue, durable=True, arguments=arguments | {"x-max-length": 6})
    assert refused.value.reply_code == 406
    with pytest.raises(ChannelClosed, match="inequivalent arg 'durable'"):
        opened(peer).declare(plain)


@scenario
def transient_queues_are_gone(peer: Any) -> Iterator[None]:
    channel, queue = opened(peer), peer.name("q")
    channel.declare(queue)
    persistent(channel, queue, b"lost")
    yield
    assert not queue_exists(opened(peer), queue)


@scenario
def exclusive_queues_are_gone_also_durable_ones(peer: Any) -> Iterator[None]:
    channel, plain, durable = opened(peer), peer.name("plain"), peer.name("durable")
    channel.declare(plain, exclusive=True)
    channel.declare(durable, exclusive=True, durable=True)
    persistent(channel, durable, b"lost")
    yield
    channel = opened(peer)
    assert not queue_exists(channel, plain) and not queue_exists(channel, durable)
    channel.declare(durable, durable=True)
    assert channel.bodies(durable) == []


@scenario
def an_auto_delete_queue_that_was_never_consumed_survives(peer: Any) -> Iterator[None]:
    channel, queue = opened(peer), peer.name("q")
    channel.declare(queue, durable=True, auto_delete=True)
    persistent(channel, queue, b"kept")
    yield
    channel = opened(peer)
    channel.declare(queue, durable=True, auto_delete=True)
    tag = channel.consume(queue, no_ack=True)
    assert channel.delivery().body == b"kept"
    channel.cancel(tag)
    assert not queue_exists(channel, queue)


@scenario
def a_deleted_queue_stays_deleted_and_its_name_is_free(peer: Any) -> Iterator[None]:
    channel, gone, again = opened(peer), peer.name("gone"), peer.name("again")
    for queue in (gone, again):
        channel.declare(queue, durable=True)
        persistent(channel, queue, b"old")
        channel.delete(queue)
    channel.declare(again, durable=True)
    persistent(channel, again, b"new")
    yield
    channel = opened(peer)
    assert not queue_exists(channel, gone)
    assert channel.bodies(again) == [b"new"]


@scenario
def names_are_any_text(peer: Any) -> Iterator[None]:
    channel, queue = opened(peer), peer.name("ü € 'quoted' / %2F")
    channel.declare(queue, durable=True)
    persistent(channel, queue, b"here")
    yield
    assert opened(peer).bodies(queue) == [b"here"]


@scenario
def a_queue_named_by_the_broker_survives(peer: Any) -> Iterator[None]:
    channel = opened(peer)
    queue = channel.declare("", durable=True).queue
    persistent(channel, queue, b"here")
    yield
    channel = opened(peer)
    assert channel.bodies(queue) == [b"here"]
    channel.delete(queue)


# -- exchanges and bindings -----------------------------------------------------------------------


@scenario
def durable_exchanges_are_what_they_were(peer: Any) -> Iterator[None]:
    channel = opened(peer)
    kinds = ("direct", "fanout", "topic", "headers")
    names = {kind: peer.name(kind) for kind in kinds}
    internal, transient = peer.name("internal"), peer.name("transient")
    for kind, name in names.items():
        channel.declare_exchange(name, kind, durable=True)
    channel.declare_exchange(internal, "direct", durable=True, internal=True)
    channel.declare_exchange(transient, "direct")
    yield
    channel = opened(peer)
    for kind, name in names.items():
        channel.declare_exchange(name, kind, durable=True)
    channel.declare_exchange(internal, "direct", durable=True, internal=True)
    assert not exchange_exists(channel, transient)
    with pytest.raises(ChannelClosed, match="inequivalent arg 'type'"):
        channel.declare_exchange(names["topic"], "direct", durable=True)


@scenario
def an_alternate_exchange_still_takes_what_finds_no_queue(peer: Any) -> Iterator[None]:
    channel, main, other, queue = opened(peer), peer.name("x"), peer.name("ae"), peer.name("q")
    channel.declare_exchange(other, "fanout", durable=True)
    arguments = {"alternate-exchange": other}
    channel.declare_exchange(main, "direct", durable=True, arguments=arguments)
    channel.declare(queue, durable=True)
    channel.bind(queue, other)
    yield
    channel = opened(peer)
    persistent(channel, "nowhere", b"found", exchange=main)
    assert channel.bodies(queue) == [b"found"]


@scenario
def bindings_between_durable_things_survive_with_keys_and_arguments(peer: Any) -> Iterator[None]:
    channel, queue = opened(peer), peer.name("q")
    topic, headers, source = peer.name("topic"), peer.name("headers"), peer.name("source")
    channel.declare(queue, durable=True)
    channel.declare_exchange(topic, "topic", durable=True)
    channel.declare_exchange(headers, "headers", durable=True)
    channel.declare_exchange(source, "direct", durable=True)
    channel.bind(queue, topic, "*.kept")
    channel.bind(queue, topic, "unbound")
    channel.unbind(queue, topic, "unbound")
    channel.bind(queue, headers, "", arguments={"x-match": "all", "a": 1, "b": "text"})
    channel.bind_exchange(topic, source, "through.kept")
    yield
    channel = opened(peer)
    persistent(channel, "is.kept", b"topic", exchange=topic)
    persistent(channel, "unbound", b"no", exchange=topic)
    persistent(channel, "", b"headers", exchange=headers, headers={"a": 1, "b": "text"})
    persistent(channel, "", b"no", exchange=headers, headers={"a": 1, "b": "other"})
    persistent(channel, "through.kept", b"through", exchange=source)
    assert channel.bodies(queue) == [b"topic", b"headers", b"through"]


@scenario
def bindings_from_or_to_transient_things_are_gone(peer: Any) -> Iterator[None]:
    channel, queue, fleeting = opened(peer), peer.name("q"), peer.name("fleeting")
    durable, transient = peer.name("durable"), peer.name("transient")
    channel.declare(queue, durable=True)
    channel.declare(fleeting)
    channel.declare_exchange(durable, "fanout", durable=True)
    channel.declare_exchange(transient, "fanout")
    channel.bind(queue, transient)
    channel.bind(fleeting, durable)
    yield
    channel = opened(peer)
    channel.declare(fleeting)
    channel.declare_exchange(transient, "fanout")
    persistent(channel, "", b"a", exchange=durable)
    persistent(channel, "", b"b", exchange=transient)
    assert channel.bodies(queue) == [] and channel.bodies(fleeting) == []


@scenario
def bindings_of_predeclared_exchanges_survive(peer: Any) -> Iterator[None]:
    channel, queue = opened(peer), peer.name("q")
    channel.declare(queue, durable=True)
    channel.bind(queue, "amq.topic", f"{queue}.#")
    yield
    channel = opened(peer)
    persistent(channel, f"{queue}.x", b"here", exchange="amq.topic")
    assert channel.bodies(queue) == [b"here"]


@scenario
def an_auto_delete_exchange_survives_until_its_last_binding_goes(peer: Any) -> Iterator[None]:
    channel, exchange, queue = opened(peer), peer.name("x"), peer.name("q")
    channel.declare_exchange(exchange, "direct", durable=True, auto_delete=True)
    channel.declare(queue, durable=True)
    channel.bind(queue, exchange, "k")
    yield
    channel = opened(peer)
    assert exchange_exists(channel, exchange)
    channel.unbind(queue, exchange, "k")
    assert not exchange_exists(channel, exchange)


@scenario
def a_deleted_exchange_takes_its_bindings_with_it(peer: Any) -> Iterator[None]:
    channel, exchange, queue = opened(peer), peer.name("x"), peer.name("q")
    channel.declare(queue, durable=True)
    channel.declare_exchange(exchange, "fanout", durable=True)
    channel.bind(queue, exchange)
    channel.delete_exchange(exchange)
    channel.declare_exchange(exchange, "fanout", durable=True)
    yield
    channel = opened(peer)
    persistent(channel, "", b"nowhere", exchange=exchange)
    assert channel.bodies(queue) == []


# -- what RabbitMQ has as plugins ------------------------------------------------------------------


@scenario
def hashed_keys_go_the_same_way(peer: Any) -> Iterator[None]:
    if peer.oracle.is_rabbitmq:
        yield
        return
    channel, exchange = opened(peer), peer.name("x")
    arguments = {"hash-header": "h"}
    channel.declare_exchange(exchange, "x-consistent-hash", durable=True, arguments=arguments)
    queues = [peer.name("q") for _ in range(4)]
    for weight, queue in enumerate(queues, 1):
        channel.declare(queue, durable=True)
        channel.bind(queue, exchange, str(weight))
    ways = _ways(channel, exchange, queues)
    assert all(ways)
    yield
    assert _ways(opened(peer), exchange, queues) == ways


def _ways(channel: Any, exchange: str, queues: list[str]) -> list[list[bytes]]:
    for n in range(60):
        persistent(channel, "", b"%d" % n, exchange=exchange, headers={"h": str(n)})
    return [channel.bodies(queue) for queue in queues]


@scenario
def delayed_messages_wait_on(peer: Any) -> Iterator[None]:
    if peer.oracle.is_rabbitmq:
        yield
        return
    channel, exchange, queue = opened(peer), peer.name("x"), peer.name("q")
    arguments = {"x-delayed-type": "fanout"}
    channel.declare_exchange(exchange, "x-delayed-message", durable=True, arguments=arguments)
    channel.declare(queue, durable=True)
    channel.bind(queue, exchange)
    for delay_ms in (3_600_000, 1, 1_500):
        body, headers = b"%d" % delay_ms, {"x-delay": delay_ms}
        persistent(channel, "k", body, exchange=exchange, headers=headers)
    yield
    channel = opened(peer)
    channel.consume(queue, no_ack=True)
    assert [message.body for message in channel.deliveries(2)] == [b"1", b"1500"]
    channel.expect_nothing(queue)


@scenario
def what_an_exchange_remembers_is_remembered(peer: Any) -> Iterator[None]:
    if peer.oracle.is_rabbitmq:  # it forgets
        yield
        return
    channel, exchange, queue = opened(peer), peer.name("x"), peer.name("q")
    arguments = {"x-recent-history-length": 3}
    channel.declare_exchange(exchange, "x-recent-history", durable=True, arguments=arguments)
    other = opened(peer)
    other.publish(exchange, "k", b"transient")
    other.sync()
    persistent(channel, "k", *[b"%d" % n for n in range(10)], exchange=exchange)
    yield
    channel = opened(peer)
    persistent(channel, "k", b"10", exchange=exchange)
    channel.declare(queue, durable=True)
    channel.bind(queue, exchange)
    assert channel.bodies(queue) == [b"8", b"9", b"10"]


# -- the restart ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def restartable(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """The broker that is restarted."""
    if request.config.getoption("--distance") == "rabbitmq":
        command = request.config.getoption("--restart-command")
        if not command:
            pytest.skip("needs --restart-command")
        made: Any = ByCommand(request.getfixturevalue("rabbitmq"), command)
    else:
        made = Amqpd(tmp_path_factory.mktemp("durable"))
    yield made
    made.close()


@pytest.fixture(scope="module", params=ENDINGS)
def halves(request: pytest.FixtureRequest, restartable: Any) -> Iterator[Halves]:
    """All scenarios, with their first halves and the restart behind them."""
    made = Halves(restartable, request.param, secrets.token_hex(3), SCENARIOS)
    yield made
    made.close()


@pytest.mark.parametrize("played", SCENARIOS, ids=lambda played: played.__name__)
def test_after_a_restart(halves: Halves, played: Scenario) -> None:
    halves.finish(played)


def test_another_restart_changes_nothing(tmp_path: Path) -> None:
    """What is not touched meanwhile is the same after any number of restarts."""
    broker = Amqpd(tmp_path)
    try:
        peer = RestartPeer(broker, "again", STOP)
        channel, queue = opened(peer), peer.name("q")
        channel.declare(queue, durable=True)
        persistent(channel, queue, *[b"%03d" % number for number in range(200)])
        channel.get(queue)
        for ending in (KILL, STOP, STOP, KILL, KILL, STOP):
            broker.restart(ending)
            peer.moved(broker)
            assert opened(peer).ready(queue) == 200
        channel = opened(peer)
        assert channel.get(queue).redelivered
        assert len(channel.bodies(queue)) == 199
    finally:
        broker.close()
