"""Policies: which of them counts, and how they go together with arguments."""

from typing import Any

import pytest

from amqpd.core.policy import Policies, Policy, effective_definition, merged
from amqpd.core.policy_check import field_of, fields_of
from amqpd.wire import tables


def policy(
    name: str = "p", pattern: str = "^q", apply_to: str = "all", priority: int = 0, **keys: Any
) -> Policy:
    """Make a policy; `max_length=1` is max-length."""
    definition = {key.replace("_", "-"): value for key, value in keys.items()}
    return Policy(name, pattern, apply_to, priority, fields_of(definition))


def plain(table: tables.Table) -> dict[str, Any]:
    """Values without their types."""
    return {
        key: tables.text(field) if field.tag == "S" else field.value for key, field in table.items()
    }


# -- which one -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("apply_to", "fits"),
    [
        ("all", "classic quorum stream exchange"),
        ("queues", "classic quorum stream"),
        ("classic_queues", "classic"),
        ("quorum_queues", "quorum"),
        ("streams", "stream"),
        ("exchanges", "exchange"),
    ],
)
def test_what_a_policy_applies_to(apply_to: str, fits: str) -> None:
    one = policy(apply_to=apply_to, max_length_bytes=1)
    for kind in ("classic", "quorum", "stream"):
        assert one.fits_queue("q", kind) == (kind in fits.split())
    assert one.fits_exchange("q") == ("exchange" in fits.split())


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [("", "q", True), ("b", "abc", True), ("^b", "abc", False), (r"\d$", "q1", True)],
)
def test_a_pattern_is_searched_for_anywhere_and_the_empty_one_fits_all(
    pattern: str, name: str, fits: bool
) -> None:
    assert policy(pattern=pattern).fits_queue(name, "classic") == fits
    assert policy(pattern=pattern).fits_exchange(name) == fits


def test_the_highest_priority_counts_and_of_equals_the_first() -> None:
    policies = Policies()
    assert policies.is_empty
    for one in (policy("low", priority=-1), policy("a", priority=5), policy("b", priority=5)):
        policies.put(one, operator=False)
    policies.put(policy("o", "^x"), operator=True)
    found, operator = policies.for_queue("q", "classic")
    assert found is policies.get("a", operator=False) and operator is None
    assert policies.for_exchange("q") is found
    policies.drop("a", operator=False)
    policies.put(policy("b", "^x", priority=9), operator=False)
    found, _ = policies.for_queue("q", "classic")
    assert found is not None and found.name == "low"
    for name in ("low", "b"):
        policies.drop(name, operator=False)
    assert not policies.is_empty and policies.for_exchange("q") is None
    policies.drop("o", operator=True)
    assert policies.is_empty


@pytest.mark.parametrize(
    ("kind", "key"), [("classic", "delivery_limit"), ("quorum", "ha_mode"), ("stream", "expires")]
)
def test_a_key_that_a_type_does_not_know_keeps_the_policy_off(kind: str, key: str) -> None:
    one = policy(max_length_bytes=1, **{key: 1})
    for other in ("classic", "quorum", "stream"):
        if other == kind:
            assert not one.fits_queue("q", other)
    assert policy(max_length_bytes=1).fits_queue("q", kind)
    assert one.fits_exchange("q")


# -- together --------------------------------------------------------------------------------------


def test_without_policies_the_arguments_are_what_they_were() -> None:
    arguments = fields_of({"x-max-length": 3})
    assert merged(arguments, None, None) is arguments


@pytest.mark.parametrize("key", ["message-ttl", "expires", "max-length", "max-length-bytes"])
@pytest.mark.parametrize(("own", "other"), [(5, 3), (3, 5)])
def test_the_lower_number_counts(key: str, own: int, other: int) -> None:
    arguments = fields_of({f"x-{key}": own})
    one = Policy("p", "", "all", 0, fields_of({key: other}))
    assert plain(merged(arguments, one, None)) == {f"x-{key}": 3}
    assert plain(merged(arguments, None, one)) == {f"x-{key}": 3}
    two = Policy("o", "", "all", 0, fields_of({key: own}))
    assert plain(merged({}, one, two)) == {f"x-{key}": 3}


@pytest.mark.parametrize(
    ("own", "other", "wins"), [(5, 3, 3), (3, 5, 3), (-1, 5, 5), (5, -1, 5), (-1, -2, -1)]
)
def test_no_delivery_limit_loses_against_one(own: int, other: int, wins: int) -> None:
    arguments = fields_of({"x-delivery-limit": own})
    one = Policy("p", "", "all", 0, fields_of({"delivery-limit": other}))
    assert plain(merged(arguments, one, None)) == {"x-delivery-limit": wins}


@pytest.mark.parametrize("key", ["dead-letter-exchange", "dead-letter-routing-key", "overflow"])
def test_an_argument_wins_over_a_policy(key: str) -> None:
    one = Policy("p", "", "all", 0, fields_of({key: "theirs", "max-length": 1}))
    together = merged(fields_of({f"x-{key}": "own"}), one, None)
    assert plain(together) == {f"x-{key}": "own", "x-max-length": 1}
    assert plain(merged({}, one, None)) == {f"x-{key}": "theirs", "x-max-length": 1}


def test_the_overflow_of_a_quorum_queue_is_the_policys() -> None:
    arguments = fields_of({"x-queue-type": "quorum", "x-overflow": "drop-head"})
    together = merged(arguments, policy(overflow="reject-publish"), None)
    assert plain(together)["x-overflow"] == "reject-publish"


def test_an_operator_wins_where_there_is_no_lower() -> None:
    one = policy(overflow="drop-head", max_length=9, expires=4)
    operator = policy(overflow="reject-publish", max_length=7, queue_version=2)
    assert plain(effective_definition(one, operator)) == {
        "overflow": "reject-publish",
        "max-length": 7,
        "expires": 4,
        "queue-version": 2,
    }
    assert effective_definition(one, None) is one.definition
    assert effective_definition(None, operator) is operator.definition
    assert effective_definition(None, None) == {}


def test_an_argument_of_another_type_is_left_to_the_policy() -> None:
    together = merged({"x-max-length": tables.longstr("many")}, policy(max_length=2), None)
    assert together["x-max-length"] == field_of(2)
