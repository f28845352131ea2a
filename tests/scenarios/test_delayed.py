"""Messages that wait for a time (RabbitMQ: the delayed message exchange plugin).

RabbitMQ 3.10 as it is packaged does not have the plugin; these say what its source does.
"""

from typing import Any

import pytest
from pamqp.commands import Basic, Exchange

from tests.peers.channel import Channel
from tests.peers.codec import Typed
from tests.peers.errors import channel_error
from tests.scenarios.things import let_pass

KIND = "x-delayed-message"
DELAY_MS = 60

pytestmark = pytest.mark.distances("memory", "sim", "socket", why="a plugin that few have")


def delayed(peer: Any, channel: Channel, inner: str = "direct", **arguments: Any) -> str:
    """Declare a delayed message exchange; underscores in arguments stand for dashes."""
    exchange: str = peer.name("x")
    table = {name.replace("_", "-"): value for name, value in arguments.items()}
    channel.declare_exchange(exchange, KIND, arguments={"x-delayed-type": inner, **table})
    return exchange


def bound(peer: Any, channel: Channel, exchange: str, key: str = "k", **fields: Any) -> str:
    """Declare a queue, bound."""
    queue: str = peer.name("q")
    channel.declare(queue)
    channel.bind(queue, exchange, key, **fields)
    return queue


def post(channel: Channel, exchange: str, delay: Any, body: bytes = b"", **fields: Any) -> None:
    """Publish with a delay."""
    headers = {"x-delay": delay, **fields.pop("headers", {})}
    channel.publish(exchange, fields.pop("key", "k"), body, headers=headers, **fields)


def test_a_message_comes_when_its_time_is_over(peer: Any, channel: Channel) -> None:
    exchange = delayed(peer, channel)
    queue = bound(peer, channel, exchange)
    channel.consume(queue, no_ack=True)
    post(channel, exchange, 50_000, b"1")
    channel.expect_nothing(queue)
    post(channel, exchange, DELAY_MS, b"2")
    let_pass(peer, channel, DELAY_MS)
    assert channel.delivery().body == b"2"


def test_time_is_kept_to_the_millisecond(peer: Any, channel: Channel) -> None:
    if peer.distance != "memory":
        pytest.skip("where time is ours")
    exchange = delayed(peer, channel)
    queue = bound(peer, channel, exchange)
    channel.consume(queue, no_ack=True)
    for delay in (1, 2, 1000, 86_400_000, 4_294_967_295):
        post(channel, exchange, Typed("l", delay), b"%d" % delay)
        peer.advance(delay - 1)
        channel.expect_nothing(queue)
        peer.advance(1)
        assert channel.delivery().body == b"%d" % delay


def test_messages_come_in_the_order_of_their_times(peer: Any, channel: Channel) -> None:
    exchange = delayed(peer, channel)
    queue = bound(peer, channel, exchange)
    channel.consume(queue, no_ack=True)
    with peer.one_turn():
        for delay in (90, 30, 60, 30):
            post(channel, exchange, delay, b"%d" % delay)
    let_pass(peer, channel, 90)
    assert [d.body for d in channel.deliveries(4)] == [b"30", b"30", b"60", b"90"]


@pytest.mark.parametrize(
    "delay",
    [
        0,
        -1,
        -50_000,
        Typed("l", 4_294_967_296),
        Typed("t", True),
        Typed("V", None),
        Typed("T", 50_000),
        "soon",
        "",
        "-5",
        "1.5",
        Typed("d", 0.9),
        Typed("d", float("nan")),
        Typed("d", float("inf")),
        Typed("A", []),
    ],
)
def test_what_is_no_delay_is_none(peer: Any, channel: Channel, delay: Any) -> None:
    exchange = delayed(peer, channel)
    queue = bound(peer, channel, exchange)
    channel.consume(queue, no_ack=True)
    post(channel, exchange, delay, b"1")
    channel.sync()
    assert channel.inbox, "it is delivered at once"
    before = channel.delivery().properties.headers
    if isinstance(delay, int | str):
        assert before == {"x-delay": delay}


@pytest.mark.parametrize(
    ("delay", "after"),
    [
        (DELAY_MS, -DELAY_MS),
        (Typed("b", 60), -60),
        (Typed("B", 60), -60),
        (Typed("s", 60), -60),
        (Typed("u", 60), -60),
        (Typed("i", 60), -60),
        (Typed("l", 60), -60),
        ("60", -60),
        ("+60", -60),
        (Typed("f", 60.5), -60),
        (Typed("d", 60.9), -60),
    ],
)
def test_the_header_is_negative_afterwards(
    peer: Any, channel: Channel, delay: Any, after: int
) -> None:
    exchange = delayed(peer, channel)
    queue = bound(peer, channel, exchange)
    channel.consume(queue, no_ack=True)
    post(channel, exchange, delay, b"1", headers={"other": "stays"}, message_id="m", priority=3)
    channel.sync()
    assert not channel.inbox
    let_pass(peer, channel, DELAY_MS)
    message = channel.delivery()
    assert message.properties.headers == {"x-delay": after, "other": "stays"}
    assert (message.properties.message_id, message.properties.priority) == ("m", 3)
    assert (message.exchange, message.routing_key, message.redelivered) == (exchange, "k", False)


def test_a_very_long_delay_is_negative_too(peer: Any, channel: Channel) -> None:
    if peer.distance != "memory":
        pytest.skip("where time is ours")
    exchange = delayed(peer, channel)
    queue = bound(peer, channel, exchange)
    post(channel, exchange, Typed("l", 3_000_000_000))
    peer.advance(3_000_000_000)
    assert channel.get(queue).properties.headers == {"x-delay": -3_000_000_000}


@pytest.mark.parametrize(
    ("inner", "key", "binding", "arguments", "headers"),
    [
        ("direct", "k", "k", {}, {}),
        ("fanout", "any", "", {}, {}),
        ("topic", "a.b", "a.*", {}, {}),
        ("headers", "", "", {"h": "1"}, {"h": "1"}),
        ("x-consistent-hash", "k", "1", {}, {}),
        ("x-random", "k", "", {}, {}),
    ],
)
def test_it_routes_as_its_other_type(
    peer: Any,
    channel: Channel,
    inner: str,
    key: str,
    binding: str,
    arguments: dict[str, Any],
    headers: dict[str, Any],
) -> None:
    exchange = delayed(peer, channel, inner)
    queue = bound(peer, channel, exchange, binding, arguments=arguments)
    post(channel, exchange, 0, b"now", key=key, headers=headers)
    post(channel, exchange, DELAY_MS, b"later", key=key, headers=headers)
    assert channel.bodies(queue) == [b"now"]
    let_pass(peer, channel, DELAY_MS)
    peer.until(lambda: channel.ready(queue) == 1)
    assert channel.bodies(queue) == [b"later"]


def test_bindings_count_when_the_time_is_over(peer: Any, channel: Channel) -> None:
    exchange = delayed(peer, channel)
    early = bound(peer, channel, exchange)
    post(channel, exchange, DELAY_MS, b"1")
    channel.unbind(early, exchange, "k")
    late = bound(peer, channel, exchange)
    let_pass(peer, channel, DELAY_MS)
    peer.until(lambda: channel.ready(late) == 1)
    assert channel.ready(early) == 0


def test_the_keys_in_cc_and_bcc_count(peer: Any, channel: Channel) -> None:
    exchange = delayed(peer, channel)
    queues = [bound(peer, channel, exchange, key) for key in ("a", "b", "c")]
    headers = {"CC": ["b"], "BCC": ["c"]}
    post(channel, exchange, DELAY_MS, b"1", key="a", headers=headers)
    let_pass(peer, channel, DELAY_MS)
    for queue in queues:
        peer.until(lambda queue=queue: channel.ready(queue) == 1)
        headers = channel.get(queue).properties.headers
        assert headers == {"CC": ["b"], "x-delay": -DELAY_MS}


def test_a_mandatory_message_is_returned_and_comes_all_the_same(
    peer: Any, channel: Channel
) -> None:
    exchange = delayed(peer, channel)
    queue = bound(peer, channel, exchange)
    channel.confirm()
    post(channel, exchange, DELAY_MS, b"1", mandatory=True)
    assert channel.expect(Basic.Return).reply_code == 312
    channel.confirmed()
    let_pass(peer, channel, DELAY_MS)
    peer.until(lambda: channel.ready(queue) == 1)
    post(channel, exchange, 0, b"2", mandatory=True)
    channel.expect(Basic.Ack)
    assert channel.bodies(queue) == [b"1", b"2"]


def test_the_confirm_does_not_wait(peer: Any, channel: Channel) -> None:
    exchange = delayed(peer, channel)
    channel.confirm()
    post(channel, exchange, 86_400_000, b"1", delivery_mode=2)
    channel.confirmed()


def test_a_transaction_holds_it_back(peer: Any, channel: Channel) -> None:
    exchange = delayed(peer, channel)
    queue = bound(peer, channel, exchange)
    probe = channel.connection.channel()
    probe.consume(queue, no_ack=True)
    channel.do(_tx("Select"))
    post(channel, exchange, DELAY_MS, b"rolled back")
    channel.do(_tx("Rollback"))
    post(channel, exchange, DELAY_MS, b"committed")
    channel.do(_tx("Commit"))
    let_pass(peer, channel, DELAY_MS)
    assert probe.delivery().body == b"committed"
    let_pass(peer, channel, DELAY_MS)
    probe.expect_nothing(queue)


def _tx(name: str) -> Any:
    from pamqp import commands

    return getattr(commands.Tx, name)


def test_an_alternate_exchange_is_asked_when_the_time_is_over(peer: Any, channel: Channel) -> None:
    other = peer.name("alternate")
    channel.declare_exchange(other, "fanout")
    lost = bound(peer, channel, other)
    exchange = delayed(peer, channel, alternate_exchange=other)
    post(channel, exchange, DELAY_MS, b"1", key="nowhere")
    channel.sync()
    assert channel.ready(lost) == 0
    let_pass(peer, channel, DELAY_MS)
    peer.until(lambda: channel.ready(lost) == 1)


def test_an_exchange_may_lead_to_it(peer: Any, channel: Channel) -> None:
    source = peer.name("source")
    channel.declare_exchange(source, "fanout")
    at_once = bound(peer, channel, source)
    exchange = delayed(peer, channel, "fanout")
    channel.bind_exchange(exchange, source)
    queue = bound(peer, channel, exchange)
    post(channel, source, DELAY_MS, b"1", mandatory=True)
    channel.expect_ready(at_once, 1)
    assert channel.get(at_once).properties.headers == {"x-delay": DELAY_MS}
    assert channel.ready(queue) == 0
    let_pass(peer, channel, DELAY_MS)
    peer.until(lambda: channel.ready(queue) == 1)


def test_it_delays_once_however_many_are_on_the_way(peer: Any, channel: Channel) -> None:
    first, second = delayed(peer, channel, "fanout"), delayed(peer, channel, "fanout")
    channel.bind_exchange(second, first)
    queue = bound(peer, channel, second)
    post(channel, first, DELAY_MS, b"1")
    let_pass(peer, channel, DELAY_MS)
    peer.until(lambda: channel.ready(queue) == 1)


def test_what_waits_goes_with_the_exchange(peer: Any, channel: Channel) -> None:
    exchange = delayed(peer, channel)
    post(channel, exchange, DELAY_MS, b"1")
    channel.delete_exchange(exchange)
    channel.declare_exchange(exchange, KIND, arguments={"x-delayed-type": "direct"})
    queue = bound(peer, channel, exchange)
    let_pass(peer, channel, 2 * DELAY_MS)
    channel.sync()
    assert channel.ready(queue) == 0


def test_the_last_unbind_ends_one_that_deletes_itself(peer: Any, channel: Channel) -> None:
    exchange = peer.name("x")
    arguments = {"x-delayed-type": "direct"}
    channel.declare_exchange(exchange, KIND, auto_delete=True, arguments=arguments)
    queue = bound(peer, channel, exchange)
    post(channel, exchange, DELAY_MS, b"1")
    channel.unbind(queue, exchange, "k")
    let_pass(peer, channel, 2 * DELAY_MS)
    with channel_error(404, f"NOT_FOUND - no exchange '{exchange}' in vhost '/'", Exchange.Declare):
        channel.declare_exchange(exchange, passive=True)


def test_expiration_counts_from_when_it_is_due(peer: Any, channel: Channel) -> None:
    exchange = delayed(peer, channel)
    queue = bound(peer, channel, exchange)
    post(channel, exchange, DELAY_MS, b"1", expiration="50000")
    let_pass(peer, channel, DELAY_MS)
    peer.until(lambda: channel.ready(queue) == 1)
    assert channel.get(queue).properties.expiration == "50000"


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"x-delayed-type": "x-nope"},
        {"x-delayed-type": ""},
        {"x-delayed-type": KIND},
        {"x-delayed-type": 1},
        {"x-delayed-type": Typed("t", True)},
    ],
)
def test_the_other_type_must_exist(peer: Any, channel: Channel, arguments: dict[str, Any]) -> None:
    text = (
        "PRECONDITION_FAILED - Invalid argument, 'x-delayed-type' must be an existing exchange type"
    )
    with channel_error(406, text, Exchange.Declare):
        channel.declare_exchange(peer.name("x"), KIND, arguments=arguments)


def test_arguments_of_the_other_type_are_checked(peer: Any, channel: Channel) -> None:
    arguments = {"x-delayed-type": "x-consistent-hash", "hash-property": "app_id"}
    with channel_error(406, "PRECONDITION_FAILED - Unsupported property: app_id", Exchange.Declare):
        channel.declare_exchange(peer.name("x"), KIND, arguments=arguments)
