"""Queue arguments: every rule with its text, and what makes two declares differ."""

from collections.abc import Callable

import pytest

from amqpd.core import arguments
from amqpd.core.arguments import TEN_YEARS_MS
from amqpd.errors import SoftError
from amqpd.wire.tables import Field, boolean, longstr, table, timestamp

INTEGER_KEYS = (
    "x-expires",
    "x-message-ttl",
    "x-max-length",
    "x-max-length-bytes",
    "x-max-priority",
    "x-queue-version",
)
TEXT_KEYS = (
    "x-queue-type",
    "x-dead-letter-routing-key",
    "x-overflow",
    "x-queue-mode",
    "x-queue-master-locator",
    "x-queue-leader-locator",
)


def refusal(call: Callable[[], None]) -> str:
    """Run something that must be refused with 406; return the text without the code's name."""
    with pytest.raises(SoftError) as refused:
        call()
    assert refused.value.code == 406
    return refused.value.text.removeprefix("PRECONDITION_FAILED - ")


def fault(key: str, field: Field) -> str:
    """Return why a value is refused; "" if it is taken."""
    given = {key: field}
    if key == "x-dead-letter-routing-key":
        given["x-dead-letter-exchange"] = longstr("x")
    try:
        arguments.check_queue("q", "v", given)
    except SoftError:
        text = refusal(lambda: arguments.check_queue("q", "v", given))
        head = f"invalid arg '{key}' for queue 'q' in vhost 'v': "
        assert text.startswith(head)
        return text.removeprefix(head)
    return ""


@pytest.mark.parametrize("key", INTEGER_KEYS)
def test_an_integer_must_be_one(key: str) -> None:
    assert fault(key, longstr("1")) == '"expected integer, got longstr"'
    assert fault(key, boolean(True)) == '"expected integer, got bool"'
    assert fault(key, Field("d", 1.0)) == '"expected integer, got double"'
    assert fault(key, timestamp(1)) == '"expected integer, got timestamp"'
    assert fault(key, Field("V", None)) == '"expected integer, got void"'


@pytest.mark.parametrize("key", INTEGER_KEYS)
@pytest.mark.parametrize("tag", "bBsuIil")
def test_an_integer_may_have_any_width(key: str, tag: str) -> None:
    assert fault(key, Field(tag, 2)) == ""


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("x-message-ttl", -1, "{value_negative,-1}"),
        ("x-message-ttl", 0, ""),
        ("x-message-ttl", TEN_YEARS_MS, ""),
        ("x-message-ttl", TEN_YEARS_MS + 1, "{value_too_large,315360000001}"),
        ("x-expires", -1, "{value_negative,-1}"),
        ("x-expires", 0, "{value_zero,0}"),
        ("x-expires", 1, ""),
        ("x-expires", TEN_YEARS_MS, ""),
        ("x-expires", TEN_YEARS_MS + 1, "{value_too_large,315360000001}"),
        ("x-max-length", -5, "{value_negative,-5}"),
        ("x-max-length", 0, ""),
        ("x-max-length", 1 << 62, ""),
        ("x-max-length-bytes", -1, "{value_negative,-1}"),
        ("x-max-length-bytes", 0, ""),
        ("x-max-priority", -1, "{value_negative,-1}"),
        ("x-max-priority", 0, ""),
        ("x-max-priority", 255, ""),
        ("x-max-priority", 256, "{max_value_exceeded,256}"),
        ("x-queue-version", 0, "\"unsupported queue version '0'\""),
        ("x-queue-version", 1, ""),
        ("x-queue-version", 2, ""),
        ("x-queue-version", 3, "\"unsupported queue version '3'\""),
        ("x-queue-version", -1, "\"unsupported queue version '-1'\""),
    ],
)
def test_bounds_of_integers(key: str, value: int, reason: str) -> None:
    assert fault(key, Field("l", value)) == reason


@pytest.mark.parametrize("key", TEXT_KEYS)
def test_a_text_must_be_a_long_string(key: str) -> None:
    assert fault(key, Field("I", 1)) == "{unacceptable_type,signedint}"
    assert fault(key, Field("x", b"classic")) == "{unacceptable_type,binary}"
    assert fault(key, table({})) == "{unacceptable_type,table}"


@pytest.mark.parametrize(
    ("key", "good", "bad", "reason"),
    [
        ("x-queue-type", ["classic"], "foo", "\"unsupported queue type 'foo'\""),
        ("x-queue-mode", ["default", "lazy"], "foo", "\"unsupported queue mode 'foo'\""),
        (
            "x-overflow",
            ["drop-head", "reject-publish", "reject-publish-dlx"],
            "foo",
            "invalid_overflow",
        ),
        (
            "x-queue-leader-locator",
            ["client-local", "balanced", "random", "least-leaders", "min-masters"],
            "foo",
            "invalid_queue_locator_arg",
        ),
        ("x-queue-master-locator", ["min-masters", "anything"], None, ""),
        ("x-dead-letter-routing-key", ["", "any.thing"], None, ""),
    ],
)
def test_choices_of_texts(key: str, good: list[str], bad: str | None, reason: str) -> None:
    for value in good:
        assert fault(key, longstr(value)) == ""
    if bad is not None:
        assert fault(key, longstr(bad)) == reason


def test_single_active_consumer_must_be_a_bool() -> None:
    key = "x-single-active-consumer"
    assert fault(key, boolean(True)) == fault(key, boolean(False)) == ""
    assert fault(key, longstr("true")) == "{unacceptable_type,longstr}"
    assert fault(key, Field("I", 1)) == "{unacceptable_type,signedint}"


def test_the_dead_letter_exchange_has_a_type_error_of_its_own() -> None:
    given = {"x-dead-letter-exchange": Field("I", 1)}
    assert refusal(lambda: arguments.check_queue("q", "v", given)) == (
        "invalid type 'signedint' for arg 'x-dead-letter-exchange' in queue 'q' in vhost 'v'"
    )


def test_a_dead_letter_key_needs_an_exchange() -> None:
    given = {"x-dead-letter-routing-key": longstr("k")}
    assert refusal(lambda: arguments.check_queue("q", "v", given)) == (
        "invalid arg 'x-dead-letter-routing-key' for queue 'q' in vhost 'v':"
        " routing_key_but_no_dlx_defined"
    )


def test_the_queue_type_is_looked_at_first() -> None:
    given = {"x-expires": Field("I", 0), "x-queue-type": longstr("foo")}
    assert "x-queue-type" in refusal(lambda: arguments.check_queue("q", "v", given))


@pytest.mark.parametrize("key", ["x-anything", "x-priority", "", "x-delivery-limit"])
def test_unknown_arguments_are_taken_as_they_are(key: str) -> None:
    arguments.check_queue("q", "v", {key: Field("V", None)})
    arguments.check_queue_equal("q", "v", {key: longstr("1")}, {})


def test_no_arguments_are_fine() -> None:
    arguments.check_queue("q", "v", {})
    arguments.check_queue_equal("q", "v", {}, {})


# -- what makes two declares differ ----------------------------------------------------------------


def inequality(key: str, received: Field | None, current: Field | None) -> str:
    """Return the end of the text for two declares that differ in one argument."""
    asked = {} if received is None else {key: received}
    held = {} if current is None else {key: current}
    text = refusal(lambda: arguments.check_queue_equal("q", "v", asked, held))
    head = f"inequivalent arg '{key}' for queue 'q' in vhost 'v': "
    assert text.startswith(head)
    return text.removeprefix(head)


def test_values_that_differ() -> None:
    assert inequality("x-max-length", Field("I", 20), Field("I", 10)) == (
        "received '20' but current is '10'"
    )
    assert inequality("x-overflow", longstr("drop-head"), longstr("reject-publish")) == (
        "received 'drop-head' but current is 'reject-publish'"
    )
    assert inequality("x-single-active-consumer", boolean(False), boolean(True)) == (
        "received 'false' but current is 'true'"
    )


def test_an_argument_that_only_the_queue_has() -> None:
    assert inequality("x-message-ttl", None, Field("I", 1000)) == (
        "received none but current is the value '1000' of type 'signedint'"
    )
    assert inequality("x-dead-letter-exchange", None, longstr("x")) == (
        "received none but current is the value 'x' of type 'longstr'"
    )


def test_an_argument_that_only_the_declare_has() -> None:
    assert inequality("x-message-ttl", Field("l", 1000), None) == (
        "received the value '1000' of type 'long' but current is none"
    )
    assert inequality("x-single-active-consumer", boolean(True), None) == (
        "received the value 'true' of type 'bool' but current is none"
    )


def test_the_width_of_an_integer_makes_no_difference() -> None:
    for tag in "bBsuIil":
        asked, held = {"x-max-length": Field(tag, 10)}, {"x-max-length": Field("l", 10)}
        arguments.check_queue_equal("q", "v", asked, held)


def test_a_long_string_equals_a_binary_of_the_same_bytes() -> None:
    key = "x-dead-letter-exchange"
    arguments.check_queue_equal("q", "v", {key: Field("x", b"a")}, {key: longstr("a")})


def test_values_of_different_kinds_differ() -> None:
    assert inequality("x-max-length", Field("d", 10.0), Field("I", 10)).startswith("received '10")
    assert inequality("x-max-length", boolean(True), Field("I", 1)) == (
        "received 'true' but current is '1'"
    )


def test_floats_of_both_widths_are_alike() -> None:
    key = "x-max-length"
    arguments.check_queue_equal("q", "v", {key: Field("f", 1.5)}, {key: Field("d", 1.5)})


@pytest.mark.parametrize("held", [None, longstr("classic")])
def test_no_queue_type_means_classic(held: Field | None) -> None:
    current = {} if held is None else {"x-queue-type": held}
    arguments.check_queue_equal("q", "v", {}, current)
    arguments.check_queue_equal("q", "v", {"x-queue-type": longstr("classic")}, current)


@pytest.mark.parametrize("held", [None, longstr("classic")])
def test_another_queue_type_differs(held: Field | None) -> None:
    assert inequality("x-queue-type", longstr("quorum"), held) == (
        "received 'quorum' but current is 'classic'"
    )


def test_the_first_difference_is_told() -> None:
    asked = {"x-max-length": Field("I", 1), "x-expires": Field("I", 2)}
    text = refusal(lambda: arguments.check_queue_equal("q", "v", asked, {}))
    assert text.startswith("inequivalent arg 'x-expires'")


def test_exchanges_are_compared_with_the_same_words() -> None:
    text = refusal(
        lambda: arguments.check_equal(
            "alternate-exchange", "exchange", "x", "v", longstr("a"), longstr("b")
        )
    )
    assert text == (
        "inequivalent arg 'alternate-exchange' for exchange 'x' in vhost 'v':"
        " received 'a' but current is 'b'"
    )
