"""Where messages go that a queue does not keep (RabbitMQ: dead letter exchanges)."""

from datetime import datetime
from typing import Any

import pytest
from pamqp.commands import Basic, Queue, Tx

from tests.peers.channel import Channel, Message
from tests.scenarios.things import Cemetery, deaths, let_pass

FIELDS = ["count", "reason", "queue", "time", "exchange", "routing-keys"]


@pytest.fixture
def grave(peer: Any, channel: Channel) -> Cemetery:
    """Where dead letters go."""
    return Cemetery(peer, channel)


@pytest.fixture
def queue(peer: Any, channel: Channel, grave: Cemetery) -> str:
    """A queue whose dead letters go there."""
    return declared(peer, channel, grave.exchange)


def declared(
    peer: Any, channel: Channel, exchange: str, key: str | None = None, **arguments: Any
) -> str:
    """Declare a queue with this dead letter exchange and routing key."""
    table = {name.replace("_", "-"): value for name, value in arguments.items()}
    table["x-dead-letter-exchange"] = exchange
    if key is not None:
        table["x-dead-letter-routing-key"] = key
    name: str = peer.name("q")
    channel.declare(name, arguments=table)
    return name


def reject(channel: Channel, queue: str) -> None:
    """Take the next message of a queue and reject it for good."""
    channel.reject(channel.get(queue).delivery_tag, requeue=False)


def brief(message: Message) -> list[tuple[str, str, int]]:
    """Queue, reason and count of each death."""
    return [(death["queue"], death["reason"], death["count"]) for death in deaths(message)]


def headers(message: Message) -> dict[str, Any]:
    """The headers, decoded."""
    found: Any = message.properties.headers
    return dict(found)


# -- which and how ---------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["reject", "nack", "nack all"])
def test_rejected_messages_are_dead_letters(
    channel: Channel, grave: Cemetery, queue: str, how: str
) -> None:
    channel.publish("", queue, b"1")
    tag = channel.get(queue).delivery_tag
    if how == "reject":
        channel.reject(tag, requeue=False)
    else:
        channel.nack(tag, multiple=how == "nack all", requeue=False)
    assert grave.reasons(1) == [(b"1", "rejected")]
    assert channel.get(queue) is None


def test_rejected_together_they_come_in_order(
    channel: Channel, grave: Cemetery, queue: str
) -> None:
    bodies = [str(number).encode() for number in range(20)]
    for body in bodies:
        channel.publish("", queue, body)
    channel.consume(queue)
    channel.deliveries(20)
    channel.nack(0, multiple=True, requeue=False)
    assert grave.reasons(20) == [(body, "rejected") for body in bodies]


def test_acked_purged_and_deleted_messages_are_not(
    channel: Channel, grave: Cemetery, queue: str
) -> None:
    channel.publish("", queue, b"acked")
    channel.ack(channel.get(queue).delivery_tag)
    channel.publish("", queue, b"taken")
    channel.get(queue, no_ack=True)
    channel.publish("", queue, b"purged")
    assert channel.do(Queue.Purge, queue=queue).message_count == 1
    channel.publish("", queue, b"out")
    out = channel.get(queue)
    channel.publish("", queue, b"deleted")
    assert channel.delete(queue).message_count == 1
    channel.nack(out.delivery_tag, requeue=False)
    channel.sync()
    grave.channel.expect_nothing(grave.queue)


def test_requeued_messages_are_not(channel: Channel, grave: Cemetery, queue: str) -> None:
    channel.publish("", queue, b"1")
    channel.reject(channel.get(queue).delivery_tag, requeue=True)
    assert channel.get(queue).redelivered
    grave.channel.expect_nothing(grave.queue)


def test_rejects_of_a_transaction_are_dead_letters_after_commit(
    channel: Channel, grave: Cemetery, queue: str
) -> None:
    channel.publish("", queue, b"1")
    channel.call(Tx.Select())
    reject(channel, queue)
    channel.sync()
    grave.channel.expect_nothing(grave.queue)
    channel.call(Tx.Commit())
    assert grave.reasons(1) == [(b"1", "rejected")]


def test_a_missing_exchange_loses_them(peer: Any, channel: Channel) -> None:
    queue = declared(peer, channel, peer.name("missing"))
    channel.publish("", queue, b"1")
    reject(channel, queue)
    channel.sync()
    assert channel.bodies(queue) == []


def test_the_exchange_may_come_later(peer: Any, channel: Channel) -> None:
    exchange, dead = peer.name("x"), peer.name("dead")
    queue = declared(peer, channel, exchange)
    channel.publish("", queue, b"1")
    message = channel.get(queue)
    channel.declare_exchange(exchange, "fanout")
    channel.declare(dead)
    channel.bind(dead, exchange)
    channel.consume(dead, no_ack=True)
    channel.reject(message.delivery_tag, requeue=False)
    assert channel.delivery().body == b"1"


def test_without_a_queue_they_are_lost(peer: Any, channel: Channel) -> None:
    exchange = peer.name("x")
    channel.declare_exchange(exchange, "fanout")
    queue = declared(peer, channel, exchange)
    channel.publish("", queue, b"1", mandatory=True)
    reject(channel, queue)
    channel.expect_nothing()


def test_an_alternate_exchange_takes_them(peer: Any, channel: Channel, grave: Cemetery) -> None:
    exchange = peer.name("x")
    arguments = {"alternate-exchange": grave.exchange}
    channel.declare_exchange(exchange, "direct", arguments=arguments)
    queue = declared(peer, channel, exchange)
    channel.publish("", queue, b"1")
    reject(channel, queue)
    assert grave.reasons(1) == [(b"1", "rejected")]


def test_every_bound_queue_gets_one(
    peer: Any, channel: Channel, grave: Cemetery, queue: str
) -> None:
    second = peer.name("second")
    channel.declare(second)
    channel.bind(second, grave.exchange)
    channel.publish("", queue, b"1")
    reject(channel, queue)
    assert grave.reasons(1) == [(b"1", "rejected")]
    peer.until(lambda: channel.ready(second) == 1)
    assert channel.bodies(second) == [b"1"]


# -- addresses -------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [None, "other", ""])
def test_a_routing_key_may_replace_its_own(
    peer: Any, channel: Channel, grave: Cemetery, key: str | None
) -> None:
    exchange = peer.name("x")
    channel.declare_exchange(exchange)
    queue = declared(peer, channel, grave.exchange, key)
    channel.bind(queue, exchange, "own")
    channel.publish(exchange, "own", b"1")
    reject(channel, queue)
    dead = grave.channel.delivery()
    assert (dead.exchange, dead.routing_key) == (grave.exchange, "own" if key is None else key)
    (death,) = deaths(dead)
    assert (death["exchange"], death["routing-keys"]) == (exchange, ["own"])


def test_the_default_exchange_leads_to_a_queue(
    peer: Any, channel: Channel, grave: Cemetery
) -> None:
    queue = declared(peer, channel, "", grave.queue)
    channel.publish("", queue, b"1")
    reject(channel, queue)
    dead = grave.channel.delivery()
    assert (dead.exchange, dead.routing_key) == ("", grave.queue)


def test_headers_of_a_dead_letter_are_sorted(
    peer: Any, channel: Channel, grave: Cemetery, queue: str
) -> None:
    channel.publish("", queue, b"1", headers={"z": 1, "a": 2, "x-e": 3})
    reject(channel, queue)
    names = [*headers(grave.channel.delivery())]
    assert names == sorted(names) and len(names) >= 7


def test_copies_are_dead_letters_by_their_keys_too(peer: Any, channel: Channel) -> None:
    exchange, dead = peer.name("x"), peer.name("dead")
    channel.declare_exchange(exchange)
    channel.declare(dead)
    channel.bind(dead, exchange, "copy")
    channel.consume(dead, no_ack=True)
    queue = declared(peer, channel, exchange)
    channel.publish("", queue, b"1", headers={"CC": ["copy"], "BCC": ["blind"]})
    reject(channel, queue)
    message = channel.delivery()
    assert message.routing_key == queue
    assert deaths(message)[0]["routing-keys"] == [queue, "copy"]
    assert "BCC" not in headers(message)


def test_a_key_of_the_queue_replaces_copies_too(
    peer: Any, channel: Channel, grave: Cemetery
) -> None:
    exchange, copy = peer.name("x"), peer.name("copy")
    channel.declare_exchange(exchange)
    channel.declare(copy)
    channel.bind(copy, exchange, copy)
    channel.bind(grave.queue, exchange, "k")
    queue = declared(peer, channel, exchange, "k")
    channel.publish("", queue, b"1", headers={"CC": [copy]})
    assert channel.bodies(copy) == [b"1"]
    reject(channel, queue)
    dead = grave.channel.delivery()
    assert deaths(dead)[0]["routing-keys"] == [queue, copy]
    assert "CC" not in headers(dead)
    assert channel.bodies(copy) == []


# -- what they carry -------------------------------------------------------------------------------


def test_the_first_death_is_told_in_full(
    peer: Any, channel: Channel, grave: Cemetery, queue: str
) -> None:
    channel.publish("", queue, b"1")
    reject(channel, queue)
    dead = grave.channel.delivery()
    (death,) = deaths(dead)
    assert isinstance(death.pop("time"), datetime)
    assert death == {
        "count": 1,
        "reason": "rejected",
        "queue": queue,
        "exchange": "",
        "routing-keys": [queue],
    }
    wanted = {"x-first-death-queue": queue, "x-first-death-reason": "rejected"}
    wanted["x-first-death-exchange"] = ""
    if peer.oracle.since(3, 13):
        wanted |= {"x-last-death-queue": queue, "x-last-death-reason": "rejected"}
        wanted["x-last-death-exchange"] = ""
    found = headers(dead)
    del found["x-death"]
    assert found == wanted


def test_the_fields_come_in_rabbitmqs_order(
    peer: Any, channel: Channel, grave: Cemetery, queue: str
) -> None:
    for expiration in (None, "100000"):
        channel.publish("", queue, b"1", expiration=expiration)
        reject(channel, queue)
        fields = list(deaths(grave.channel.delivery())[0])
        extra = ["original-expiration"] if expiration else []
        assert fields == (extra + FIELDS if peer.oracle.since(3, 13) else FIELDS + extra)


def test_expiration_is_taken_out(channel: Channel, grave: Cemetery, queue: str) -> None:
    channel.publish("", queue, b"1", expiration="100000")
    reject(channel, queue)
    dead = grave.channel.delivery()
    assert dead.properties.expiration is None
    assert deaths(dead)[0]["original-expiration"] == "100000"


@pytest.mark.parametrize("spelled", ["007", "+100000", "0100000"])
def test_the_expiration_is_kept_as_it_was_spelled(
    peer: Any, channel: Channel, grave: Cemetery, queue: str, spelled: str
) -> None:
    channel.publish("", queue, b"1", expiration=spelled)
    if int(spelled) > 1000:
        reject(channel, queue)
    else:
        let_pass(peer, channel, int(spelled) + 1)
    assert deaths(grave.channel.delivery())[0]["original-expiration"] == spelled


def test_everything_else_stays(channel: Channel, grave: Cemetery, queue: str) -> None:
    kept: dict[str, Any] = {
        "content_type": "a",
        "content_encoding": "b",
        "delivery_mode": 2,
        "priority": 7,
        "correlation_id": "c",
        "reply_to": "d",
        "message_id": "e",
        "message_type": "f",
        "app_id": "g",
    }
    body = bytes(300_000)
    channel.publish(
        "", queue, body, **kept, timestamp=1577934245, headers={"a": 1, "b": [True, "c"]}
    )
    reject(channel, queue)
    dead = grave.channel.delivery()
    properties = dead.properties
    assert {name: getattr(properties, name) for name in kept} == kept
    assert properties.timestamp == datetime.fromisoformat("2020-01-02T03:04:05+00:00")
    found = headers(dead)
    assert (found["a"], found["b"]) == (1, [True, "c"])
    assert dead.body == body


def test_headers_that_were_there_stay_before_it(
    channel: Channel, grave: Cemetery, queue: str
) -> None:
    mine = {"x-death": "none of yours", "k": "v"}
    channel.publish("", queue, b"1", headers=mine)
    reject(channel, queue)
    dead = grave.channel.delivery()
    assert headers(dead)["k"] == "v"
    assert brief(dead) == [(queue, "rejected", 1)]


def test_a_dead_letter_is_not_redelivered(channel: Channel, grave: Cemetery, queue: str) -> None:
    channel.publish("", queue, b"1")
    channel.nack(channel.get(queue).delivery_tag)
    message = channel.get(queue)
    assert message.redelivered
    channel.nack(message.delivery_tag, requeue=False)
    assert not grave.channel.delivery().redelivered


# -- histories -------------------------------------------------------------------------------------


def test_deaths_in_several_queues_are_told_latest_first(
    peer: Any, channel: Channel, grave: Cemetery
) -> None:
    last = declared(peer, channel, grave.exchange)
    middle = declared(peer, channel, "", last, x_message_ttl=10)
    first = declared(peer, channel, "", middle, x_max_length=0)
    channel.consume(last)
    channel.publish("", first, b"1")
    let_pass(peer, channel, 10)
    channel.reject(channel.delivery().delivery_tag, requeue=False)
    dead = grave.channel.delivery()
    wanted = [(last, "rejected", 1), (middle, "expired", 1), (first, "maxlen", 1)]
    deaths_found = brief(dead)
    if not peer.oracle.since(3, 13):  # only the latest has a place of its own
        wanted[1:], deaths_found[1:] = sorted(wanted[1:]), sorted(deaths_found[1:])
    assert deaths_found == wanted
    found = headers(dead)
    assert (found["x-first-death-queue"], found["x-first-death-reason"]) == (first, "maxlen")
    assert found["x-first-death-exchange"] == ""
    if peer.oracle.since(3, 13):
        assert (found["x-last-death-queue"], found["x-last-death-reason"]) == (last, "rejected")
    assert all(death["routing-keys"] == [death["queue"]] for death in deaths(dead))


def test_a_retry_counts_up_and_comes_first(peer: Any, channel: Channel) -> None:
    """Work that is rejected waits in another queue, and comes back: the usual way to retry."""
    exchange = peer.name("work-x")
    channel.declare_exchange(exchange)
    retry = peer.name("retry")
    work = declared(peer, channel, "", retry)
    channel.bind(work, exchange, "job")
    arguments = {"x-dead-letter-exchange": exchange, "x-dead-letter-routing-key": "job"}
    channel.declare(retry, arguments=arguments | {"x-message-ttl": 10})
    channel.consume(work)
    channel.publish(exchange, "job", b"1")
    message = channel.delivery()
    times = None
    for count in range(1, 5):
        channel.reject(message.delivery_tag, requeue=False)
        channel.sync()
        let_pass(peer, channel, 10)
        message = channel.delivery()
        assert brief(message) == [(retry, "expired", count), (work, "rejected", count)]
        assert headers(message)["x-first-death-reason"] == "rejected"
        assert headers(message)["x-first-death-queue"] == work
        found = [death["time"] for death in deaths(message)]
        assert found == (times or found)
        times = found
        assert deaths(message)[1]["exchange"] == exchange


def test_the_original_expiration_is_that_of_the_first_time(
    peer: Any, channel: Channel, grave: Cemetery
) -> None:
    second = declared(peer, channel, grave.exchange)
    first = declared(peer, channel, "", second)
    channel.publish("", first, b"1", expiration="100000")
    reject(channel, first)
    channel.consume(second)
    channel.reject(channel.delivery().delivery_tag, requeue=False)
    latest, oldest = deaths(grave.channel.delivery())
    assert "original-expiration" not in latest
    assert oldest["original-expiration"] == "100000"


# -- cycles ----------------------------------------------------------------------------------------


def test_expiring_into_its_own_queue_is_the_end(peer: Any, channel: Channel) -> None:
    queue = peer.name("q")
    arguments = {"x-dead-letter-exchange": "", "x-message-ttl": 20}
    channel.declare(queue, arguments=arguments)
    channel.publish("", queue, b"1")
    channel.expect_ready(queue, 1)
    let_pass(peer, channel, 40)
    peer.until(lambda: channel.ready(queue) == 0)
    let_pass(peer, channel, 40)
    assert channel.get(queue) is None


def test_overflowing_into_its_own_queue_is_the_end(peer: Any, channel: Channel) -> None:
    queue = declared(peer, channel, "", x_max_length=1)
    for body in (b"1", b"2", b"3"):
        channel.publish("", queue, body)
    channel.sync()
    assert channel.bodies(queue) == [b"3"]


def test_expiring_around_a_circle_ends_where_it_began(
    peer: Any, channel: Channel, grave: Cemetery
) -> None:
    first, second = peer.name("first"), peer.name("second")
    for name, other in ((first, second), (second, first)):
        arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": other}
        channel.declare(name, arguments=arguments | {"x-message-ttl": 20})
    channel.publish("", first, b"1")
    channel.sync()
    let_pass(peer, channel, 60)
    peer.until(lambda: channel.ready(first) + channel.ready(second) == 0)
    let_pass(peer, channel, 60)
    assert channel.ready(first) + channel.ready(second) == 0


def test_rejecting_into_its_own_queue_goes_on_for_ever(peer: Any, channel: Channel) -> None:
    queue = declared(peer, channel, "")
    channel.consume(queue)
    channel.publish("", queue, b"1")
    for count in range(5):
        message = channel.delivery()
        assert brief(message) == [(queue, "rejected", count)] if count else True
        channel.reject(message.delivery_tag, requeue=False)
    assert channel.delivery().body == b"1"


def test_only_the_queues_of_the_circle_are_left_out(
    peer: Any, channel: Channel, grave: Cemetery
) -> None:
    queue = declared(peer, channel, grave.exchange, x_message_ttl=10)
    channel.bind(queue, grave.exchange)
    channel.publish("", queue, b"1")
    channel.sync()
    let_pass(peer, channel, 10)
    assert grave.reasons(1) == [(b"1", "expired")]
    let_pass(peer, channel, 40)
    grave.channel.expect_nothing(grave.queue)
    assert channel.get(queue) is None


def test_a_dead_letter_may_overflow_in_its_turn(
    peer: Any, channel: Channel, grave: Cemetery
) -> None:
    second = declared(peer, channel, grave.exchange, x_max_length=1)
    first = declared(peer, channel, "", second, x_max_length=1)
    for number in range(4):
        channel.publish("", first, str(number).encode())
    dead = grave.channel.deliveries(2)
    assert [message.body for message in dead] == [b"0", b"1"]
    for message in dead:
        assert brief(message) == [(second, "maxlen", 1), (first, "maxlen", 1)]
    assert channel.bodies(first) == [b"3"]
    assert channel.bodies(second) == [b"2"]


def test_a_refusing_queue_refuses_dead_letters_without_a_word(peer: Any, channel: Channel) -> None:
    full = peer.name("full")
    channel.declare(full, arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
    queue = declared(peer, channel, "", full, x_max_length=1)
    channel.confirm()
    for number in range(4):
        channel.publish("", queue, str(number).encode())
    channel.confirmed()
    channel.expect_nothing()
    other = channel.connection.channel()
    peer.until(lambda: other.ready(full) == 1)
    assert other.bodies(full) == [b"0"]
    assert other.bodies(queue) == [b"3"]


def test_a_dead_letter_is_returned_to_nobody(peer: Any, channel: Channel) -> None:
    queue = declared(peer, channel, "", peer.name("missing"), x_max_length=0)
    channel.publish("", queue, b"1", mandatory=True)
    channel.sync()
    assert not any(isinstance(item, Basic.Return) for item in channel.inbox)
    channel.expect_nothing()
