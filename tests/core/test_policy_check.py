"""What a policy may hold, with RabbitMQ's words for what it may not."""

from typing import Any

import pytest

from amqpd.core.policy_check import definition_fault, erlang, fault_of, field_of, policy_of
from amqpd.wire import tables

GOOD: dict[str, Any] = {
    "alternate-exchange": "x",
    "consumer-timeout": 60000,
    "dead-letter-exchange": "",
    "dead-letter-routing-key": "k",
    "message-ttl": 0,
    "expires": 1,
    "max-length": 0,
    "max-length-bytes": 0,
    "overflow": "reject-publish-dlx",
    "delivery-limit": -1,
    "queue-mode": "lazy",
    "queue-version": 2,
    "ha-mode": "exactly",
    "ha-params": 2,
    "federation-upstream-set": "all",
}


def test_all_that_is_good() -> None:
    assert definition_fault(GOOD, operator=False) == ""
    whole = {"pattern": ".*", "definition": GOOD, "priority": 3, "apply-to": "queues"}
    assert fault_of(whole, operator=False) == ""
    made = policy_of("p", whole)
    assert (made.priority, made.apply_to, set(made.definition)) == (3, "queues", set(GOOD))
    short = {"pattern": ".*", "definition": {"max-length": 1}}
    assert fault_of(short, operator=True) == ""
    assert (policy_of("p", short).priority, policy_of("p", short).apply_to) == (0, "all")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("message-ttl", -1, "-1 is not a valid message TTL"),
        ("message-ttl", True, "true is not a valid message TTL"),
        ("message-ttl", "1", '<<"1">> is not a valid message TTL'),
        ("message-ttl", 1 << 63, f"{1 << 63} is not a valid message TTL"),
        ("expires", 0, "0 is not a valid queue expiry"),
        ("max-length", 1.5, "1.5 is not a valid maximum length"),
        ("max-length-bytes", None, "undefined is not a valid maximum length in bytes"),
        ("alternate-exchange", 1, "1 is not a valid alternate exchange name"),
        ("dead-letter-exchange", 1, "1 is not a valid dead letter exchange name"),
        ("dead-letter-routing-key", [], "[] is not a valid dead letter routing key"),
        ("overflow", "drop", '<<"drop">> is not a valid overflow value'),
        ("queue-mode", "x", '<<"x">> is not a valid queue-mode value'),
        ("delivery-limit", "x", '<<"x">> is not a valid delivery limit'),
        ("foo", 1, '[{<<"foo">>,1}] are not recognised policy settings'),
    ],
)
def test_what_is_wrong_is_said_in_rabbitmqs_words(key: str, value: Any, words: str) -> None:
    assert definition_fault({key: value}, operator=False) == words


def test_an_operator_policy_only_restricts() -> None:
    fault = definition_fault({"dead-letter-exchange": "x"}, operator=True)
    assert fault == '[{<<"dead-letter-exchange">>,<<"x">>}] are not recognised policy settings'
    assert definition_fault({"max-length": 1, "overflow": "drop-head"}, operator=True) == ""


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (1, "1 is no policy"),
        ({"pattern": "", "definition": {}}, "no policy provided"),
        ({"pattern": "", "definition": 3}, "definition must be a dictionary: 3"),
        ({"definition": {"expires": 1}}, "pattern should be a binary but was undefined"),
        ({"pattern": "", "priority": "1"}, 'priority should be a number, actually was <<"1">>'),
        ({"pattern": "", "apply-to": "x"}, "apply-to 'x' unrecognised; should be one of: "),
        (
            {"pattern": "", "definition": {"expires": 1}, "more": 1},
            'Unrecognised terms [{<<"more">>,1}] in policy',
        ),
    ],
)
def test_a_policy_as_a_whole(value: Any, words: str) -> None:
    assert fault_of(value, operator=False).startswith(words)


def test_json_to_fields_and_to_erlang() -> None:
    value = {"n": None, "b": True, "i": 1, "f": 1.5, "s": 'a"\\', "l": [1, {"x": 2}]}
    field = field_of(value)
    assert isinstance(field.value, dict)
    tags = {key: item.tag for key, item in field.value.items()}
    assert tags == {"n": "V", "b": "t", "i": "l", "f": "d", "s": "S", "l": "A"}
    assert tables.encode_table({"v": field})
    assert erlang(value) == (
        '#{<<"n">> => undefined,<<"b">> => true,<<"i">> => 1,<<"f">> => 1.5,'
        '<<"s">> => <<"a\\"\\\\">>,<<"l">> => [1,#{<<"x">> => 2}]}'
    )
    with pytest.raises(ValueError, match="more than 64 bits"):
        field_of(1 << 63)
