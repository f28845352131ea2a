"""Facts: one of each key, and what goes with a user or a vhost."""

from amqpd.core import facts
from amqpd.core.facts import Facts, make


def filled() -> Facts:
    """Two users in two vhosts."""
    known = Facts()
    for user in ("a", "b"):
        known.put(facts.user(user, "", "", ("t",), {"max-channels": 1}))
    for vhost in ("v", "w"):
        known.put(make(facts.VHOST, {"name": vhost, "metadata": "{}"}))
        row = {"vhost": vhost, "component": "policy", "name": "p", "value": "1"}
        known.put(make(facts.PARAMETER, row))
        for user in ("a", "b"):
            known.put(make(facts.PERMISSION, {"user": user, "vhost": vhost, "read": ""}))
            row = {"user": user, "vhost": vhost, "exchange": "x"}
            known.put(make(facts.TOPIC_PERMISSION, row))
    known.put(make(facts.GLOBAL_PARAMETER, {"name": "v", "value": "1"}))
    known.put(make(facts.SEEDED, {}))
    return known


def test_a_fact_takes_the_place_of_the_one_with_its_key() -> None:
    known = Facts()
    first = make(facts.PERMISSION, {"user": "u", "vhost": "v", "read": "1"})
    second = make(facts.PERMISSION, {"user": "u", "vhost": "v", "read": "2"})
    assert known.put(first) is None
    assert known.put(second) == first
    assert known.find(facts.PERMISSION, {"vhost": "v", "user": "u"}) == second
    assert known.of(facts.PERMISSION) == [second] and known.of(facts.USER) == []


def test_what_belongs_to_a_user_goes_with_it() -> None:
    known, count = filled(), len(filled().by_key)
    assert known.drop(make(facts.USER, {"name": "a"})) is not None
    assert len(known.by_key) == count - 5
    assert not [key for key in known.by_key if key[2] == "a"]


def test_what_belongs_to_a_vhost_goes_with_it_and_nothing_else_of_its_name() -> None:
    known, count = filled(), len(filled().by_key)
    known.drop(make(facts.VHOST, {"name": "v"}))
    assert len(known.by_key) == count - 6
    assert known.find(facts.GLOBAL_PARAMETER, {"name": "v"}) is not None


def test_dropping_what_is_not_there_is_nothing() -> None:
    known = filled()
    count = len(known.by_key)
    assert known.drop(make(facts.USER, {"name": "c"})) is None
    assert known.drop(make(facts.PERMISSION, {"user": "a", "vhost": "x"})) is None
    assert len(known.by_key) == count
    known.clear()
    assert not known.by_key


def test_reading_a_fact() -> None:
    fact = facts.user("n", "h", "a", ("x", "y"), {"max-channels": 3})
    assert facts.text_of(fact, "hash") == "h" and facts.text_of(fact, "none") == ""
    assert facts.texts_of(fact, "tags") == ("x", "y") and facts.texts_of(fact, "name") == ()
    assert facts.limits_of(fact) == {"max-channels": 3}
    assert facts.limits_of(make(facts.USER, {})) == {}
