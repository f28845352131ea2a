"""Every reply text to the letter, as the catalogue of the contract has it, and how it is cut."""

import inspect
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amqpd import errors
from amqpd.errors import (
    NAMES,
    AmqpError,
    FrameError,
    HardError,
    Refused,
    SoftError,
    StreamError,
    cut,
    frame_octets,
    octets,
)

LOCKED = (
    "cannot obtain exclusive access to locked queue 'Q' in vhost 'V'. It could be originally"
    " declared on another connection or the exclusive property value does not match that of the"
    " original declaration."
)

# By builder: the error, its class and code, and the text without the code's name.
CATALOGUE: list[tuple[AmqpError, type[AmqpError], int, str]] = [
    (errors.no_queue("Q", "V"), SoftError, 404, "no queue 'Q' in vhost 'V'"),
    (errors.no_exchange("X", "V"), SoftError, 404, "no exchange 'X' in vhost 'V'"),
    (
        errors.too_many_queues("Q", "V", 3),
        SoftError,
        406,
        "cannot declare queue 'Q': queue limit in vhost 'V' (3) is reached",
    ),
    (errors.no_last_queue(), SoftError, 404, "no previously declared queue"),
    (errors.queue_locked("Q", "V"), SoftError, 405, LOCKED),
    (
        errors.access_denied("configure", "queue", "Q", "V", "U"),
        SoftError,
        403,
        "configure access to queue 'Q' in vhost 'V' refused for user 'U'",
    ),
    (
        errors.access_denied("write", "exchange", "amq.default", "/", "U"),
        SoftError,
        403,
        "write access to exchange 'amq.default' in vhost '/' refused for user 'U'",
    ),
    (
        errors.exclusive_use("Q", "V"),
        SoftError,
        403,
        "queue 'Q' in vhost 'V' in exclusive use",
    ),
    (
        errors.reserved_name("queue", "amq.x"),
        SoftError,
        403,
        "queue name 'amq.x' contains reserved prefix 'amq.*'",
    ),
    (
        errors.reserved_name("exchange", "amq.x"),
        SoftError,
        403,
        "exchange name 'amq.x' contains reserved prefix 'amq.*'",
    ),
    (
        errors.default_exchange(),
        SoftError,
        403,
        "operation not permitted on the default exchange",
    ),
    (
        errors.system_exchange("amq.direct", "/"),
        SoftError,
        403,
        "deletion of system exchange 'amq.direct' in vhost '/' not allowed",
    ),
    (
        errors.internal_exchange("X", "V"),
        SoftError,
        403,
        "cannot publish to internal exchange 'X' in vhost 'V'",
    ),
    (errors.precondition_failed("as told"), SoftError, 406, "as told"),
    (
        errors.inequivalent("durable", "queue", "Q", "V", "'false'", "'true'"),
        SoftError,
        406,
        "inequivalent arg 'durable' for queue 'Q' in vhost 'V':"
        " received 'false' but current is 'true'",
    ),
    (
        errors.inequivalent(
            "x-message-ttl", "queue", "Q", "V", "none", "the value '1000' of type 'signedint'"
        ),
        SoftError,
        406,
        "inequivalent arg 'x-message-ttl' for queue 'Q' in vhost 'V':"
        " received none but current is the value '1000' of type 'signedint'",
    ),
    (
        errors.inequivalent("type", "exchange", "X", "V", "'topic'", "'direct'"),
        SoftError,
        406,
        "inequivalent arg 'type' for exchange 'X' in vhost 'V':"
        " received 'topic' but current is 'direct'",
    ),
    (errors.in_use("queue", "Q", "V"), SoftError, 406, "queue 'Q' in vhost 'V' in use"),
    (errors.in_use("exchange", "X", "V"), SoftError, 406, "exchange 'X' in vhost 'V' in use"),
    (errors.not_empty("Q", "V"), SoftError, 406, "queue 'Q' in vhost 'V' not empty"),
    (errors.unknown_delivery_tag(7), SoftError, 406, "unknown delivery tag 7"),
    (errors.unknown_exchange_type("T"), SoftError, 406, "unknown exchange type 'T'"),
    (
        errors.invalid_exchange_argument_type("signedint", "alternate-exchange", "X", "V"),
        SoftError,
        406,
        "invalid type 'signedint' for arg 'alternate-exchange' in exchange 'X' in vhost 'V'",
    ),
    (
        errors.invalid_queue_argument_type("signedint", "x-dead-letter-exchange", "Q", "V"),
        SoftError,
        406,
        "invalid type 'signedint' for arg 'x-dead-letter-exchange' in queue 'Q' in vhost 'V'",
    ),
    (
        errors.invalid_argument("KEY", "Q", "V", "{value_negative,-1}"),
        SoftError,
        406,
        "invalid arg 'KEY' for queue 'Q' in vhost 'V': {value_negative,-1}",
    ),
    (
        errors.invalid_expiration("abc", "no_integer"),
        SoftError,
        406,
        "invalid expiration 'abc': no_integer",
    ),
    (
        errors.message_too_large(11, 10),
        SoftError,
        406,
        "message size 11 is larger than configured max size 10",
    ),
    (
        errors.wrong_user_id("x", "guest"),
        SoftError,
        406,
        "user_id property set to 'x' but authenticated user was 'guest'",
    ),
    (
        errors.bad_copies_header("CC", "longstr"),
        SoftError,
        406,
        'invalid message: {unacceptable_type_in_header,"CC",longstr}',
    ),
    (errors.tx_to_confirm(), SoftError, 406, "cannot switch from tx to confirm mode"),
    (errors.confirm_to_tx(), SoftError, 406, "cannot switch from confirm to tx mode"),
    (errors.not_transactional(), SoftError, 406, "channel is not transactional"),
    (errors.reply_consumer_acknowledges(), SoftError, 406, "reply consumer cannot acknowledge"),
    (errors.reply_consumer_set(), SoftError, 406, "reply consumer already set"),
    (errors.no_reply_consumer(), SoftError, 406, "fast reply consumer does not exist"),
    (errors.frame_error("as told"), FrameError, 501, "as told"),
    (
        errors.unknown_frame(9, b""),
        FrameError,
        501,
        "type 9, all octets = <<>>: unknown_frame",
    ),
    (errors.undecodable(b"\x01\x02"), StreamError, 501, "cannot decode <<1,2>>"),
    (errors.malformed_text(), FrameError, 501, "Malformed UTF-8 in shortstr"),
    (
        errors.body_too_large(536870913, 536870912),
        StreamError,
        501,
        "content body size 536870913 exceeds maximum allowed size 536870912",
    ),
    (
        errors.body_overrun(),
        StreamError,
        501,
        "content body frame exceeds remaining content size",
    ),
    (errors.unexpected_frame("as told"), FrameError, 505, "as told"),
    (
        errors.unexpected_in_content("content body", "non content body frame"),
        StreamError,
        505,
        "expected content body, got non content body frame instead",
    ),
    (
        errors.unexpected_method("running"),
        HardError,
        504,
        "unexpected method in connection state running",
    ),
    (errors.channel_not_open(), HardError, 504, "expected 'channel.open'"),
    (errors.second_channel_open(), HardError, 504, "second 'channel.open' seen"),
    (errors.unimplemented_method(), HardError, 503, "unimplemented method"),
    (errors.not_implemented("immediate=true"), HardError, 540, "immediate=true"),
    (
        errors.argument_of_other_type("x-max-priority", "Q", "V", "quorum"),
        SoftError,
        406,
        "invalid arg 'x-max-priority' for queue 'Q' in vhost 'V' of queue type rabbit_quorum_queue",
    ),
    (
        errors.invalid_property("non-durable", "Q", "V"),
        SoftError,
        406,
        "invalid property 'non-durable' for queue 'Q' in vhost 'V'",
    ),
    (
        errors.server_named("quorum"),
        SoftError,
        406,
        "Cannot declare a server-named queue for type rabbit_quorum_queue",
    ),
    (
        errors.delivery_timeout(7, 1800000),
        SoftError,
        406,
        "delivery acknowledgement on channel 7 timed out. Timeout value used: 1800000 ms. This"
        " timeout value can be configured, see consumers doc guide to learn more",
    ),
    (
        errors.no_get_of_single_active("Q", "V"),
        SoftError,
        405,
        "cannot obtain access to locked queue 'Q' in vhost 'V'. basic.get operations are not"
        " supported by quorum queues with single active consumer",
    ),
    (
        errors.no_streams("Q", "V"),
        HardError,
        540,
        "queue 'Q' in vhost 'V' is of type 'stream', which this broker does not have",
    ),
    (
        errors.no_global_qos("Q", "V"),
        HardError,
        540,
        "queue 'Q' in vhost 'V' does not support global qos",
    ),
    (
        errors.conditional_delete("if-unused", "Q", "V"),
        HardError,
        540,
        "cannot delete queue 'Q' in vhost 'V'. queue.delete operations with if-unused flag set"
        " are not supported by quorum queues",
    ),
    (
        errors.deprecated("global_qos"),
        HardError,
        541,
        "Feature `global_qos` is deprecated.\nBy default, this feature is not permitted anymore."
        "\nThe feature will be removed from a future major RabbitMQ version, regardless of the"
        " configuration; actual version to be determined.\nTo continue using this feature when it"
        " is not permitted by default, set the following parameter in your configuration:\n"
        '    "deprecated_features.permit.global_qos = true"',
    ),
    (
        errors.consumer_tag_in_use("T"),
        HardError,
        530,
        "attempt to reuse consumer tag 'T'",
    ),
    (
        errors.too_many_consumers(3),
        HardError,
        530,
        "reached maximum (3) of consumers per channel",
    ),
    (
        errors.too_many_channels(5, 5),
        HardError,
        530,
        "number of channels opened (5) has reached the negotiated channel_max (5)",
    ),
    (
        errors.negotiated_too_low("frame_max", 100, 4096),
        HardError,
        530,
        "negotiated frame_max = 100 is lower than the minimum allowed value (4096)",
    ),
    (
        errors.negotiated_too_high("channel_max", 3000, 2047),
        HardError,
        530,
        "negotiated channel_max = 3000 is higher than the maximum allowed value (2047)",
    ),
    (errors.no_vhost("V"), HardError, 530, "vhost V not found"),
    (
        errors.vhost_connection_limit("V", "U", 3),
        HardError,
        530,
        "access to vhost 'V' refused for user 'U': connection limit (3) is reached",
    ),
    (
        errors.user_connection_limit("U", 3),
        HardError,
        530,
        "connection refused for user 'U': user connection limit (3) is reached",
    ),
    (
        errors.user_channel_limit("U", 3),
        HardError,
        530,
        "number of channels opened for user 'U' has reached the maximum allowed user limit of 3",
    ),
    (
        errors.topic_denied("write", "K", "X", "V", "U"),
        SoftError,
        403,
        "write access to topic 'K' in exchange 'X' in vhost 'V' refused for user 'U'",
    ),
    (
        errors.vhost_refused("V", "U"),
        HardError,
        530,
        "access to vhost 'V' refused for user 'U'",
    ),
    (
        errors.node_connection_limit(2),
        HardError,
        530,
        "connection refused: node connection limit (2) is reached",
    ),
    (
        errors.login_refused("PLAIN"),
        Refused,
        403,
        "Login was refused using authentication mechanism PLAIN."
        " For details see the broker logfile.",
    ),
    (
        errors.login_refused_silently("PLAIN"),
        HardError,
        403,
        "Login was refused using authentication mechanism PLAIN.",
    ),
    (errors.unknown_mechanism("M"), HardError, 503, "unknown authentication mechanism 'M'"),
    (errors.bad_response("PLAIN"), HardError, 502, "the PLAIN response is malformed"),
    (errors.partial_tx(), SoftError, 406, "partial tx completion"),
    (
        errors.stumbled(),
        HardError,
        541,
        "the broker failed unexpectedly; see its log",
    ),
    (
        errors.store_failed(),
        HardError,
        541,
        "the message store has failed and takes nothing more; see the broker's log",
    ),
    (errors.unknown_method(), HardError, 541, ""),
]


@pytest.mark.parametrize(
    ("error", "kind", "code", "text"), CATALOGUE, ids=[row[3][:40] for row in CATALOGUE]
)
def test_a_text_is_to_the_letter(
    error: AmqpError, kind: type[AmqpError], code: int, text: str
) -> None:
    assert type(error) is kind
    assert error.code == code
    assert error.text in (f"{NAMES[code]} - {text}", f"{NAMES[code]}{text}")
    assert str(error) == error.text


def test_every_builder_is_in_the_catalogue() -> None:
    """A new error comes with a line in this file."""
    here = Path(__file__).read_text(encoding="utf-8")
    made = {type(row[0]) for row in CATALOGUE}
    assert made == {SoftError, HardError, StreamError, FrameError, Refused}
    for name in dir(errors):
        builder = getattr(errors, name)
        is_ours = callable(builder) and getattr(builder, "__module__", "") == errors.__name__
        if is_ours and not inspect.isclass(builder):
            assert f"{name}(" in here, f"{name} is not tested"


def test_which_errors_close_what() -> None:
    assert issubclass(FrameError, StreamError) and issubclass(StreamError, HardError)
    assert not issubclass(HardError, SoftError) and not issubclass(SoftError, HardError)
    assert not issubclass(Refused, HardError)
    soft = {row[2] for row in CATALOGUE if row[1] is SoftError}
    assert soft == {403, 404, 405, 406}
    hard = {row[2] for row in CATALOGUE if issubclass(row[1], HardError)}
    assert hard == {403, 501, 502, 503, 504, 505, 530, 540, 541}


def test_names_of_the_codes() -> None:
    assert NAMES == {
        320: "CONNECTION_FORCED",
        403: "ACCESS_REFUSED",
        404: "NOT_FOUND",
        405: "RESOURCE_LOCKED",
        406: "PRECONDITION_FAILED",
        501: "FRAME_ERROR",
        502: "SYNTAX_ERROR",
        503: "COMMAND_INVALID",
        504: "CHANNEL_ERROR",
        505: "UNEXPECTED_FRAME",
        530: "NOT_ALLOWED",
        540: "NOT_IMPLEMENTED",
        541: "INTERNAL_ERROR",
    }
    assert (errors.REPLY_SUCCESS, errors.NO_ROUTE, errors.NO_ROUTE_TEXT) == (200, 312, "NO_ROUTE")


def test_what_every_client_hears_at_shutdown() -> None:
    assert errors.vhost_deleted_text("v") == "CONNECTION_FORCED - vhost 'v' is deleted"
    assert errors.user_deleted_text("u") == "CONNECTION_FORCED - user 'u' is deleted"
    assert errors.shutdown_text() == (
        "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'"
    )


# -- cutting ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 1, 254, 255])
def test_a_text_that_fits_is_not_cut(length: int) -> None:
    assert cut("x" * length) == b"x" * length


@pytest.mark.parametrize("length", [256, 257, 1000])
def test_a_long_text_is_cut_to_255_bytes(length: int) -> None:
    assert cut("x" * length) == b"x" * 252 + b"..."


@pytest.mark.parametrize("shift", range(4))
def test_a_cut_does_not_split_a_character(shift: int) -> None:
    data = cut("x" * shift + "é" * 200)
    assert len(data) <= 255
    text = data.decode("utf-8")
    assert text.endswith("...")
    assert len(data) >= 252


def test_a_long_name_makes_a_text_that_is_cut() -> None:
    text = errors.no_queue("q" * 255, "/").text
    assert cut(text) == text.encode()[:252] + b"..."


@given(st.text())
def test_any_text_fits_a_short_string(text: str) -> None:
    data = cut(text.encode("utf-8", "replace").decode())
    assert len(data) <= 255
    data.decode("utf-8")


def test_names_that_are_not_utf_8_go_out_as_they_came() -> None:
    assert cut(b"'\xff'".decode("utf-8", "surrogateescape")) == b"'\xff'"


# -- octets ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "<<>>"),
        (b"\x00", "<<0>>"),
        (b"\x01\x02\xff", "<<1,2,255>>"),
        (b"abc", '<<"abc">>'),
        (b"a b~", '<<"a b~">>'),
        (b"abc\n", "<<97,98,99,10>>"),
        (b"\x7f", "<<127>>"),
        (b'say "hi"', '<<"say \\"hi\\"">>'),
        (b"back\\slash", '<<"back\\\\slash">>'),
        ("é".encode(), "<<195,169>>"),
    ],
)
def test_octets_are_written_as_erlang_does(data: bytes, text: str) -> None:
    assert octets(data) == text


def test_a_frame_is_described_by_its_first_octets() -> None:
    assert frame_octets(9, b"") == "type 9, all octets = <<>>"
    assert frame_octets(1, bytes(16)) == "type 1, all octets = <<" + ",".join("0" * 16) + ">>"
    described = frame_octets(3, bytes(17))
    assert described == "type 3, first 16 octets = <<" + ",".join("0" * 16) + ">>"
