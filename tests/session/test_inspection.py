"""Properties that mean something to the broker: expiration, CC and BCC, user-id, reply-to."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import commands

from amqpd.core.arguments import TEN_YEARS_MS
from amqpd.errors import SoftError, StreamError
from amqpd.session import inspection
from amqpd.wire import properties, tables
from amqpd.wire.tables import Field, Table
from tests.peers import codec
from tests.session.fakes import Bench, link_of, publish, refusal

ALL: dict[str, Any] = {
    "content_type": "text/plain",
    "content_encoding": "utf-8",
    "headers": {"a": 1, "b": "two"},
    "delivery_mode": 2,
    "priority": 3,
    "correlation_id": "c" * 40,
    "reply_to": "reply",
    "expiration": "60000",
    "message_id": "m",
    "timestamp": 1_700_000_000,
    "message_type": "t",
    "user_id": "guest",
    "app_id": "",
    "cluster_id": "k",
}


@pytest.fixture
def bench() -> Bench:
    """A vhost with queues q, cc and bcc."""
    made = Bench()
    for name in ("q", "cc", "bcc"):
        made.queue(name)
    return made


def waiting(bench: Bench) -> dict[str, int]:
    """How many messages wait in the queues that have any."""
    counts = {name: int(queue.backlog.count) for name, queue in bench.vhost.queues.items()}
    return {name: count for name, count in counts.items() if count}


def kept(bench: Bench, queue: str = "q") -> tuple[commands.Basic.Properties, bytes]:
    """Return properties and body of the oldest message of a queue."""
    message = bench.vhost.queues[queue].backlog.peek().message
    reader = codec.FrameReader()
    reader.feed(message.content)
    header, body = reader.next(), reader.next()
    assert header is not None and len(header.payload) + codec.OVERHEAD == message.header_bytes
    return (
        codec.decode_properties(codec.decode_header(header.payload).properties),
        body.payload if body is not None else b"",
    )


# -- what is let through ---------------------------------------------------------------------------


def test_all_properties_pass_unchanged(bench: Bench) -> None:
    publish(bench.channel(), body=b"hello", **ALL)
    found, body = kept(bench)
    assert body == b"hello"
    assert (found.content_type, found.priority, found.headers) == (
        "text/plain",
        3,
        {"a": 1, "b": "two"},
    )
    message = bench.vhost.queues["q"].backlog.peek().message
    assert message.persistent
    assert codec.encode_properties(ALL) in message.content


@pytest.mark.parametrize("name", sorted(ALL))
def test_each_property_alone_passes(bench: Bench, name: str) -> None:
    given_one = {name: ALL[name]}
    publish(bench.channel(), **given_one)
    message = bench.vhost.queues["q"].backlog.peek().message
    assert codec.encode_properties(given_one) in message.content
    assert message.persistent == (name == "delivery_mode")


@pytest.mark.parametrize(
    "encoded",
    [
        b"\x80\x00\x05abc",  # a content type that runs past the header
        b"\x80\x00",  # one that is not there at all
        b"\x20\x00\x00\x00\x00\x05\x01aZ\x00\x00",  # headers with an unknown tag
        b"\x20\x00\x00\x00\x00\x10\x01a",  # headers that run past the header
        b"\x10\x00",  # no octet for the delivery mode
        b"\x00\x40\x00\x00",  # half a timestamp
    ],
)
def test_properties_that_cannot_be_read_are_a_501(bench: Bench, encoded: bytes) -> None:
    method = codec.make(commands.Basic.Publish, routing_key="q")
    content = codec.content_frames(1, encoded, b"", 4096)
    channel = bench.channel()
    text = refusal(
        lambda: channel.on_publish(codec.encode_method(method), content, len(content), 0, 0),
        StreamError,
        501,
    )
    assert text.startswith("cannot decode <<")
    assert waiting(bench) == {}


# -- expiration ------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["1", "60000", "+5", "007", str(TEN_YEARS_MS)])
def test_an_expiration_is_a_number(bench: Bench, value: str) -> None:
    publish(bench.channel(), expiration=value)
    assert kept(bench)[0].expiration == value


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "no_integer"),
        ("abc", "no_integer"),
        ("-", "no_integer"),
        ("+", "no_integer"),
        (" 1", "no_integer"),
        ("1.5", '{leftover_string,".5"}'),
        ("10 ", '{leftover_string," "}'),
        ("1e3", '{leftover_string,"e3"}'),
        ("-1", "{value_negative,-1}"),
        (str(TEN_YEARS_MS + 1), "{value_too_large,315360000001}"),
        ("٣", "no_integer"),  # a digit elsewhere
    ],
)
def test_any_other_expiration_is_a_406(bench: Bench, value: str, reason: str) -> None:
    channel = bench.channel()
    text = refusal(lambda: publish(channel, expiration=value), SoftError, 406)
    assert text == f"invalid expiration '{value}': {reason}"
    assert waiting(bench) == {}


@given(st.binary(max_size=255))
def test_any_expiration_is_taken_or_refused(value: bytes) -> None:
    try:
        inspection.check_expiration(value)
    except SoftError as error:
        assert error.code == 406
    else:
        assert 0 <= int(value) <= TEN_YEARS_MS


# -- CC and BCC ------------------------------------------------------------------------------------


def test_copies_go_to_further_keys(bench: Bench) -> None:
    publish(bench.channel(), headers={"CC": ["cc", "missing"], "BCC": ["bcc"], "other": "kept"})
    assert waiting(bench) == {"q": 1, "cc": 1, "bcc": 1}


def test_a_queue_gets_one_copy(bench: Bench) -> None:
    publish(bench.channel(), headers={"CC": ["q", "cc", "cc"], "BCC": ["cc"]})
    assert waiting(bench) == {"q": 1, "cc": 1}


def test_copies_work_through_any_exchange(bench: Bench) -> None:
    bench.bind("amq.topic", bench.vhost.queues["cc"], "a.*")
    publish(bench.channel(), "amq.topic", "nothing", headers={"CC": ["a.b"]})
    assert waiting(bench) == {"cc": 1}


def test_a_copy_keeps_the_key_it_was_published_with(bench: Bench) -> None:
    publish(bench.channel(), key="nowhere", headers={"CC": ["cc"]})
    message = bench.vhost.queues["cc"].backlog.peek().message
    assert message.address.routing_key == "nowhere"


def test_cc_stays_visible_and_bcc_does_not(bench: Bench) -> None:
    publish(
        bench.channel(),
        body=b"hello",
        content_type="t",
        message_id="m",
        headers={"CC": ["cc"], "BCC": ["bcc"], "other": 5},
    )
    for queue in ("q", "cc", "bcc"):
        found, body = kept(bench, queue)
        assert found.headers == {"CC": ["cc"], "other": 5}
        assert (found.content_type, found.message_id, body) == ("t", "m", b"hello")


def test_headers_with_bcc_alone_stay_as_an_empty_table(bench: Bench) -> None:
    publish(bench.channel(), headers={"BCC": ["bcc"]}, priority=1)
    found, body = kept(bench)
    assert (found.headers, found.priority, body) == ({}, 1, b"body")


def test_a_delivery_after_bcc_was_taken_out_is_whole(bench: Bench) -> None:
    channel = bench.channel(number=2)
    bench.consume(channel, bench.vhost.queues["q"])
    publish(bench.channel(), body=bytes(9000), headers={"BCC": ["bcc"], "a": "b"})
    (item,) = link_of(channel).said()
    assert len(item.body) == 9000
    assert codec.decode_properties(item.properties).headers == {"a": "b"}


@pytest.mark.parametrize("header", ["CC", "BCC"])
@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("cc", "longstr"),
        (5, "signedint"),
        ({"a": "b"}, "table"),
        (None, "void"),
    ],
)
def test_copies_must_be_an_array(
    bench: Bench, header: str, value: Any, name: str
) -> None:
    channel = bench.channel()
    text = refusal(lambda: publish(channel, headers={header: value}), SoftError, 406)
    assert text == f'invalid message: {{unacceptable_type_in_header,"{header}",{name}}}'
    assert waiting(bench) == {}


def test_an_empty_array_copies_nothing(bench: Bench) -> None:
    publish(bench.channel(), headers={"CC": [], "BCC": []})
    assert waiting(bench) == {"q": 1}


# -- user-id ---------------------------------------------------------------------------------------


def test_a_user_may_give_its_own_name(bench: Bench) -> None:
    publish(bench.channel(), user_id="guest")
    assert kept(bench)[0].user_id == "guest"


def test_no_other_name(bench: Bench) -> None:
    channel = bench.channel()
    text = refusal(lambda: publish(channel, user_id="root"), SoftError, 406)
    assert text == "user_id property set to 'root' but authenticated user was 'guest'"
    text = refusal(lambda: publish(channel, user_id=""), SoftError, 406)
    assert text == "user_id property set to '' but authenticated user was 'guest'"


def test_but_an_impersonator_may(bench: Bench) -> None:
    bench.users.add("actor", "pw", ("impersonator",))
    bench.users.permit("actor", "/", ".*", ".*", ".*")
    channel = bench.channel()
    link_of(channel).user = "actor"
    publish(channel, user_id="root")
    assert kept(bench)[0].user_id == "root"


# -- direct reply-to -------------------------------------------------------------------------------


def test_reply_to_is_a_name_like_any_other(bench: Bench) -> None:
    publish(bench.channel(), reply_to="my.queue")
    assert kept(bench)[0].reply_to == "my.queue"


def test_direct_reply_to_needs_a_consumer(bench: Bench) -> None:
    channel = bench.channel()
    text = refusal(lambda: publish(channel, reply_to="amq.rabbitmq.reply-to"), SoftError, 406)
    assert text == "fast reply consumer does not exist"


def test_direct_reply_to_becomes_the_name_made_for_the_channel(bench: Bench) -> None:
    channel = bench.channel()
    channel.reply_queue = "amq.rabbitmq.reply-to.made-for-it"
    publish(
        channel,
        body=b"ask",
        content_type="t",
        correlation_id="7",
        reply_to="amq.rabbitmq.reply-to",
        headers={"a": "b"},
    )
    found, body = kept(bench)
    assert found.reply_to == "amq.rabbitmq.reply-to.made-for-it"
    assert (found.content_type, found.correlation_id, found.headers) == ("t", "7", {"a": "b"})
    assert body == b"ask"


# -- contents with a property replaced -------------------------------------------------------------


def header_of(fields: dict[str, Any]) -> bytes:
    """Encode a content header frame."""
    return codec.content_frames(1, codec.encode_properties(fields), b"", 4096)


@given(st.sets(st.sampled_from(sorted(ALL))), st.text(max_size=60))
def test_replacing_reply_to_leaves_the_rest(names: set[str], value: str) -> None:
    value = value.encode("utf-8", "ignore").decode()[:60]
    fields = {name: ALL[name] for name in names} | {"reply_to": "old"}
    content = header_of(fields)
    encoded = bytes((len(value.encode()),)) + value.encode()
    changed, header_bytes = properties.with_value(
        content, properties.REPLY_TO, encoded, len(content)
    )
    assert changed == header_of(fields | {"reply_to": value})
    assert header_bytes == len(changed)


@given(st.sets(st.sampled_from(sorted(ALL))), st.dictionaries(st.text("ab", max_size=3), st.text()))
def test_replacing_headers_leaves_the_rest(names: set[str], headers: dict[str, str]) -> None:
    fields = {name: ALL[name] for name in names} | {"headers": {"old": "one"}}
    content = header_of(fields)
    table: Table = {
        name: Field("S", value.encode("utf-8", "ignore")) for name, value in headers.items()
    }
    if table:
        encoded = tables.encode_table(table)
        changed, header_bytes = properties.with_value(
            content, properties.HEADERS, encoded, len(content)
        )
    else:
        changed, header_bytes = properties.without(content, properties.HEADERS, len(content))
    due = {name: value.encode("utf-8", "ignore").decode() for name, value in headers.items()}
    expected = dict(fields)
    if due:
        expected["headers"] = due
    else:
        del expected["headers"]
    assert changed == header_of(expected)
    assert header_bytes == len(changed)


def test_the_body_behind_the_header_stays() -> None:
    encoded = codec.encode_properties({"headers": {"a": "b"}})
    content = codec.content_frames(1, encoded, b"body", 4096)
    header_bytes = len(content) - 12
    encoded = tables.encode_table({"c": tables.boolean(True)})
    changed, after = properties.with_value(content, properties.HEADERS, encoded, header_bytes)
    assert changed[after:] == content[header_bytes:]
    assert properties.headers(changed, after) == {"c": tables.boolean(True)}
