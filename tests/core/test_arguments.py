"""Queue arguments: every rule with its text, and what makes two declares differ."""

from collections.abc import Callable

import pytest

from amqpd.core import arguments
from amqpd.core.arguments import TEN_YEARS_MS, ArgumentRules
from amqpd.errors import SoftError
from amqpd.profile import V3_13, profile_of
from amqpd.wire.tables import Field, boolean, longstr, table, timestamp

RULES = ArgumentRules(V3_13)

INTEGER_KEYS = (
    "x-expires",
    "x-message-ttl",
    "x-max-length",
    "x-max-length-bytes",
    "x-max-priority",
    "x-queue-version",
    "x-max-in-memory-length",
    "x-max-in-memory-bytes",
    "x-quorum-initial-group-size",
    "x-initial-cluster-size",
    "x-stream-max-segment-size-bytes",
)
TEXT_KEYS = (
    "x-queue-type",
    "x-dead-letter-routing-key",
    "x-overflow",
    "x-queue-mode",
    "x-queue-master-locator",
    "x-queue-leader-locator",
    "x-dead-letter-strategy",
    "x-max-age",
)
# Who knows the arguments that classic queues do not.
TYPE_OF = {
    "x-queue-leader-locator": "quorum",
    "x-dead-letter-strategy": "quorum",
    "x-max-in-memory-length": "quorum",
    "x-max-in-memory-bytes": "quorum",
    "x-quorum-initial-group-size": "quorum",
    "x-initial-cluster-size": "stream",
    "x-stream-max-segment-size-bytes": "stream",
    "x-max-age": "stream",
}


def refusal(call: Callable[[], None]) -> str:
    """Run something that must be refused with 406; return the text without the code's name."""
    with pytest.raises(SoftError) as refused:
        call()
    assert refused.value.code == 406
    return refused.value.text.removeprefix("PRECONDITION_FAILED - ")


def fault(key: str, field: Field) -> str:
    """Return why a value is refused; "" if it is taken."""
    given = {key: field}
    if key in TYPE_OF:
        given["x-queue-type"] = longstr(TYPE_OF[key])
    if key == "x-dead-letter-routing-key":
        given["x-dead-letter-exchange"] = longstr("x")
    try:
        RULES.check_queue("q", "v", given)
    except SoftError:
        text = refusal(lambda: RULES.check_queue("q", "v", given))
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
        ("x-queue-version", -1, "{value_negative,-1}"),
        ("x-quorum-initial-group-size", 0, "{value_zero,0}"),
        ("x-quorum-initial-group-size", -1, "{value_negative,-1}"),
        ("x-quorum-initial-group-size", 7, ""),
        ("x-initial-cluster-size", 0, "{value_zero,0}"),
        ("x-max-in-memory-length", 0, ""),
        ("x-max-in-memory-bytes", -1, "{value_negative,-1}"),
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
        (
            "x-queue-type",
            ["classic", "quorum", "stream"],
            "foo",
            "\"unsupported queue type 'foo'\"",
        ),
        ("x-queue-mode", ["default", "lazy"], "foo", "\"unsupported queue mode 'foo'\""),
        (
            "x-overflow",
            ["drop-head", "reject-publish", "reject-publish-dlx"],
            "foo",
            "invalid_overflow",
        ),
        (
            "x-queue-leader-locator",
            ["client-local", "balanced", "random", "least-leaders"],
            "min-masters",
            "invalid_queue_locator_arg",
        ),
        (
            "x-dead-letter-strategy",
            ["at-most-once", "at-least-once"],
            "foo",
            "invalid_dlx_strategy",
        ),
        ("x-max-age", ["1Y", "3M", "7D", "12h", "5m", "1s"], "1w", "invalid_max_age"),
        ("x-max-age", ["01s"], "0s", "invalid_max_age"),
        ("x-max-age", ["9" * 5000 + "s"], "D", "invalid_max_age"),
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
    assert refusal(lambda: RULES.check_queue("q", "v", given)) == (
        "invalid type 'signedint' for arg 'x-dead-letter-exchange' in queue 'q' in vhost 'v'"
    )


def test_a_dead_letter_key_needs_an_exchange() -> None:
    given = {"x-dead-letter-routing-key": longstr("k")}
    assert refusal(lambda: RULES.check_queue("q", "v", given)) == (
        "invalid arg 'x-dead-letter-routing-key' for queue 'q' in vhost 'v':"
        " routing_key_but_no_dlx_defined"
    )


def test_the_queue_type_is_looked_at_first() -> None:
    given = {"x-expires": Field("I", 0), "x-queue-type": longstr("foo")}
    assert "x-queue-type" in refusal(lambda: RULES.check_queue("q", "v", given))


@pytest.mark.parametrize("key", ["x-anything", "x-priority", "", "x-consumer-timeout"])
def test_unknown_arguments_are_taken_as_they_are(key: str) -> None:
    RULES.check_queue("q", "v", {key: Field("V", None)})
    RULES.check_queue_equal("q", "v", {key: longstr("1")}, {})


def test_no_arguments_are_fine() -> None:
    RULES.check_queue("q", "v", {})
    RULES.check_queue_equal("q", "v", {}, {})


# -- what makes two declares differ ----------------------------------------------------------------


def inequality(key: str, received: Field | None, current: Field | None) -> str:
    """Return the end of the text for two declares that differ in one argument."""
    asked = {} if received is None else {key: received}
    held = {} if current is None else {key: current}
    text = refusal(lambda: RULES.check_queue_equal("q", "v", asked, held))
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
        RULES.check_queue_equal("q", "v", asked, held)


def test_a_long_string_equals_a_binary_of_the_same_bytes() -> None:
    key = "x-dead-letter-exchange"
    RULES.check_queue_equal("q", "v", {key: Field("x", b"a")}, {key: longstr("a")})


def test_values_of_different_kinds_differ() -> None:
    assert inequality("x-max-length", Field("d", 10.0), Field("I", 10)).startswith("received '10")
    assert inequality("x-max-length", boolean(True), Field("I", 1)) == (
        "received 'true' but current is '1'"
    )


def test_floats_of_both_widths_are_alike() -> None:
    key = "x-max-length"
    RULES.check_queue_equal("q", "v", {key: Field("f", 1.5)}, {key: Field("d", 1.5)})


@pytest.mark.parametrize("held", [None, longstr("classic")])
def test_no_queue_type_means_classic(held: Field | None) -> None:
    current = {} if held is None else {"x-queue-type": held}
    RULES.check_queue_equal("q", "v", {}, current)
    RULES.check_queue_equal("q", "v", {"x-queue-type": longstr("classic")}, current)


def test_another_queue_type_differs() -> None:
    quorum, classic = longstr("quorum"), longstr("classic")
    assert inequality("x-queue-type", quorum, classic) == (
        "received 'quorum' but current is 'classic'"
    )
    assert inequality("x-queue-type", quorum, None) == (
        "received the value 'quorum' of type 'longstr' but current is none"
    )
    assert inequality("x-queue-type", None, quorum) == (
        "received none but current is the value 'quorum' of type 'longstr'"
    )


def test_a_queue_is_compared_by_what_its_type_knows() -> None:
    limit = {"x-delivery-limit": Field("I", 2)}
    RULES.check_queue_equal("q", "v", limit, {})
    quorum = {"x-queue-type": longstr("quorum")}
    RULES.check_queue_equal("q", "v", quorum | {"x-max-priority": Field("I", 2)}, quorum)
    text = refusal(lambda: RULES.check_queue_equal("q", "v", quorum | limit, quorum))
    assert text.startswith("inequivalent arg 'x-delivery-limit'")


@pytest.mark.parametrize(
    ("queue_type", "key"),
    [
        ("classic", "x-delivery-limit"),
        ("classic", "x-queue-leader-locator"),
        ("classic", "x-dead-letter-strategy"),
        ("quorum", "x-max-priority"),
        ("quorum", "x-queue-mode"),
        ("quorum", "x-queue-version"),
        ("quorum", "x-max-age"),
        ("stream", "x-expires"),
        ("stream", "x-max-length"),
        ("stream", "x-delivery-limit"),
    ],
)
def test_an_argument_of_another_type(queue_type: str, key: str) -> None:
    given = {"x-queue-type": longstr(queue_type), key: Field("I", 1)}
    assert refusal(lambda: RULES.check_queue("q", "v", given)) == (
        f"invalid arg '{key}' for queue 'q' in vhost 'v' of queue type rabbit_{queue_type}_queue"
    )


def test_the_delivery_limit_may_be_anything() -> None:
    for value in (Field("I", -5), longstr("foo"), boolean(True)):
        RULES.check_queue("q", "v", {"x-queue-type": longstr("quorum"), "x-delivery-limit": value})


@pytest.mark.parametrize("name", ["4.0", "4.3"])
def test_classic_queues_know_the_leader_locator_since_4_0(name: str) -> None:
    rules = ArgumentRules(profile_of(name))
    rules.check_queue("q", "v", {"x-queue-leader-locator": longstr("balanced")})


def test_what_4_3_has_changed() -> None:
    rules = ArgumentRules(profile_of("4.3"))
    quorum = {"x-queue-type": longstr("quorum")}
    one = Field("I", 1)
    rules.check_queue("q", "v", quorum | {"x-consumer-timeout": one})
    rules.check_queue("q", "v", {"x-queue-mode": longstr("anything")})
    with pytest.raises(SoftError, match="of queue type rabbit_classic_queue"):
        rules.check_queue("q", "v", {"x-consumer-timeout": one})
    with pytest.raises(SoftError, match="unsupported queue version '1'"):
        rules.check_queue("q", "v", {"x-queue-version": one})
    rules.check_consumer("q", "v", "quorum", {"x-consumer-timeout": one})


# -- consumers -------------------------------------------------------------------------------------


def consumer_refusal(queue_type: str, key: str, field: Field) -> str:
    """Return the end of the text for an argument of a consumer that is refused."""
    text = refusal(lambda: RULES.check_consumer("q", "v", queue_type, {key: field}))
    head = f"invalid arg '{key}' for queue 'q' in vhost 'v'"
    assert text.startswith(head)
    return text.removeprefix(head)


def test_arguments_of_consumers() -> None:
    RULES.check_consumer("q", "v", "classic", {})
    known = {"x-priority": Field("l", -5), "x-cancel-on-ha-failover": boolean(True)}
    RULES.check_consumer("q", "v", "classic", known | {"x-anything": longstr("a")})
    one = Field("I", 1)
    assert consumer_refusal("classic", "x-cancel-on-ha-failover", one) == (
        ": {unacceptable_type,signedint}"
    )
    assert consumer_refusal("quorum", "x-cancel-on-ha-failover", boolean(True)) == (
        " of queue type rabbit_quorum_queue"
    )
    assert consumer_refusal("classic", "x-stream-offset", longstr("first")) == (
        " of queue type rabbit_classic_queue"
    )
    assert consumer_refusal("quorum", "x-priority", longstr("a")) == (
        ': "expected integer, got longstr"'
    )
    ArgumentRules(profile_of("4.0")).check_consumer(
        "q", "v", "quorum", {"x-cancel-on-ha-failover": one}
    )


# -- other things that are compared ----------------------------------------------------------------


def test_the_first_difference_is_told() -> None:
    asked = {"x-max-length": Field("I", 1), "x-expires": Field("I", 2)}
    text = refusal(lambda: RULES.check_queue_equal("q", "v", asked, {}))
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
