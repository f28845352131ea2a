"""Users: RabbitMQ's hashes, who may log in, and what permissions mean."""

import base64
import hashlib

import pytest

from amqpd.auth import CONFIGURE, MD5, READ, SHA256, SHA512, WRITE, Users
from amqpd.core.ports import Entropy


class Counting(Entropy):
    """Tokens that can be foretold."""

    def __init__(self) -> None:
        self.count = 0

    def token(self, count: int) -> bytes:
        self.count += 1
        return self.count.to_bytes(count, "big")


def users() -> Users:
    """Make a broker's users, none yet."""
    return Users(Counting())


def hashed(kind: str, password: str, salt: bytes = b"salt") -> str:
    """Hash a password the way RabbitMQ's documentation says."""
    return base64.b64encode(salt + hashlib.new(kind, salt + password.encode()).digest()).decode()


def test_a_user_logs_in_with_the_password_and_no_other() -> None:
    known = users()
    known.add("ann", "secret", ("administrator",))
    assert known.authenticate("ann", "secret")
    for name, password in (
        ("ann", "Secret"),
        ("ann", "secret "),
        ("ann", ""),
        ("Ann", "secret"),
        ("", "secret"),
        ("", ""),
    ):
        assert not known.authenticate(name, password)


def test_a_stored_password_is_salted_and_in_rabbitmqs_format() -> None:
    known = users()
    known.add("ann", "secret", ("monitoring",))
    known.add("bob", "secret")
    ann, bob = known.get("ann"), known.get("bob")
    assert ann is not None and bob is not None
    assert ann.password_hash == hashed("sha256", "secret", b"\0\0\0\1")
    assert bob.password_hash == hashed("sha256", "secret", b"\0\0\0\2")
    assert (ann.name, ann.tags, ann.algorithm) == ("ann", ("monitoring",), SHA256)


def test_the_example_of_rabbitmqs_documentation() -> None:
    known = users()
    known.add_hashed("doc", "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR", SHA256, ())
    assert known.authenticate("doc", "test12")
    assert not known.authenticate("doc", "test13")


@pytest.mark.parametrize(
    ("kind", "algorithm"), [("sha256", SHA256), ("sha512", SHA512), ("md5", MD5)]
)
def test_hashes_of_all_three_algorithms(kind: str, algorithm: str) -> None:
    known = users()
    known.add_hashed("ann", hashed(kind, "pässword"), algorithm, ("a", "b"))
    assert known.authenticate("ann", "pässword")
    assert not known.authenticate("ann", "passwort")
    ann = known.get("ann")
    assert ann is not None
    assert (ann.tags, ann.algorithm) == (("a", "b"), algorithm)


@pytest.mark.parametrize(
    ("password_hash", "algorithm"),
    [
        (hashed("sha256", "x"), "sha256"),
        (hashed("sha256", "x"), ""),
        (hashed("sha256", "x"), SHA512),
        (hashed("sha512", "x"), MD5),
        ("not base64!", SHA256),
        ("é", SHA256),
        ("c2FsdA==", SHA256),
        ("kI3G", SHA256),
    ],
)
def test_a_hash_in_another_format_is_refused(password_hash: str, algorithm: str) -> None:
    known = users()
    with pytest.raises(ValueError, match="'ann'"):
        known.add_hashed("ann", password_hash, algorithm, ())
    assert known.get("ann") is None


def test_an_empty_password_or_hash_never_logs_in() -> None:
    known = users()
    known.add("empty", "")
    known.add_hashed("none", "", SHA256, ())
    known.add_hashed("empty hash", hashed("sha256", ""), SHA256, ())
    for name in ("empty", "none", "empty hash", "nobody"):
        assert not known.authenticate(name, "")
        assert not known.authenticate(name, "x")


def test_a_name_that_is_not_utf_8_is_just_another_name() -> None:
    known = users()
    known.add("ann", "secret")
    assert not known.authenticate("ann\udcff", "secret")
    assert not known.authenticate("ann", "secret\udcff")


def test_adding_again_changes_the_password_and_keeps_permissions() -> None:
    known = users()
    known.add("ann", "one")
    known.permit("ann", "/", ".*", ".*", ".*")
    known.add("ann", "two", ("management",))
    assert known.authenticate("ann", "two")
    assert not known.authenticate("ann", "one")
    assert known.may_open("ann", "/")


def test_topic_permissions_are_of_one_exchange_and_without_them_all_is_allowed() -> None:
    known = users()
    known.add("a.b", "secret")
    assert known.allows_topic("a.b", "/", "x", WRITE, "anything")
    known.permit_topic("a.b", "/", "x", "^{username}[.]", "^({vhost}|{client_id}|)$")
    assert known.allows_topic("a.b", "/", "x", WRITE, "a.b.c")
    assert not known.allows_topic("a.b", "/", "x", WRITE, "axb.c"), "a name is taken literally"
    assert known.allows_topic("a.b", "/", "x", READ, "/")
    assert known.allows_topic("a.b", "/", "x", READ, "{client_id}"), "others stay as they are"
    assert not known.allows_topic("a.b", "/", "x", READ, "k")
    assert known.allows_topic("a.b", "/", "y", READ, "k")
    assert known.allows_topic("a.b", "v", "x", READ, "k")
    generation = known.generation
    known.clear_topic("a.b", "/", "x")
    known.clear_topic("a.b", "/", "x")
    assert known.generation == generation + 1
    assert known.allows_topic("a.b", "/", "x", READ, "k")


def test_topic_permissions_go_with_their_user_and_their_vhost() -> None:
    known = users()
    for name in ("ann", "bob"):
        known.add(name, "secret")
        for vhost in ("/", "v"):
            known.permit_topic(name, vhost, "x", "", "")
    known.delete("ann")
    known.clear_vhost("/")
    assert list(known.topic_permissions) == [("bob", "v", "x")]
    known.clear_all()
    assert not known.topic_permissions and not known.users


def test_the_limits_of_a_user() -> None:
    known = users()
    known.add("ann", "secret")
    assert (known.users["ann"].connection_max, known.users["ann"].channel_max) == (-1, -1)
    hashed = known.users["ann"].password_hash
    known.add_hashed("ann", hashed, SHA256, (), {"max-connections": 0, "max-channels": 2})
    assert (known.users["ann"].connection_max, known.users["ann"].channel_max) == (0, 2)


def test_a_deleted_user_is_gone_with_all_permissions() -> None:
    known = users()
    for name in ("ann", "bob"):
        known.add(name, "secret")
        known.permit(name, "/", ".*", ".*", ".*")
        known.permit(name, "v", ".*", ".*", ".*")
    known.delete("ann")
    known.delete("ann")
    assert known.get("ann") is None
    assert not known.authenticate("ann", "secret")
    assert not known.may_open("ann", "/")
    assert not known.allows("ann", "v", READ, "q")
    assert list(known.permissions) == [("bob", "/"), ("bob", "v")]
    known.add("ann", "secret")
    assert not known.may_open("ann", "/")


def test_only_a_row_opens_a_vhost() -> None:
    known = users()
    known.add("ann", "secret")
    assert not known.may_open("ann", "/")
    known.permit("ann", "/", "", "", "")
    assert known.may_open("ann", "/")
    assert not known.may_open("ann", "other")
    known.clear("ann", "/")
    known.clear("ann", "/")
    assert not known.may_open("ann", "/")
    assert not known.allows("ann", "/", READ, "")


def test_a_row_without_its_user_opens_nothing() -> None:
    known = users()
    known.permit("ann", "/", ".*", ".*", ".*")
    assert not known.may_open("ann", "/")
    assert not known.allows("ann", "/", READ, "q")
    known.add("ann", "secret")
    assert known.may_open("ann", "/")
    assert known.allows("ann", "/", READ, "q")


def test_the_three_accesses_are_told_apart() -> None:
    known = users()
    known.add("ann", "secret")
    known.permit("ann", "/", "^c", "^w", "^r")
    allowed = [
        [known.allows("ann", "/", access, name) for name in ("c", "w", "r")]
        for access in (CONFIGURE, WRITE, READ)
    ]
    assert allowed == [[True, False, False], [False, True, False], [False, False, True]]
    row = known.permissions["ann", "/"]
    assert [row.pattern(access) for access in (CONFIGURE, WRITE, READ)] == ["^c", "^w", "^r"]
    assert (row.user, row.vhost) == ("ann", "/")


@pytest.mark.parametrize(
    ("pattern", "fitting", "other"),
    [
        (".*", ["", "a", "é", "\n", "\udcff"], []),
        ("", [""], ["a", " ", "\n"]),
        ("^$", [""], ["a"]),
        ("b", ["b", "abc"], ["", "a", "B"]),
        ("^amq\\.", ["amq.topic"], ["xamq.topic", "amq"]),
        ("^(a|b)$", ["a", "b"], ["ab", ""]),
        ("^(?!secret)", ["open", ""], ["secret", "secret.q"]),
        ("^\\w+$", ["abc_1"], ["é", "a-b"]),
        ("(?i)^x", ["x", "X"], ["y"]),
        ("^[a:]+$", ["a:"], ["b"]),
    ],
)
def test_patterns_are_searched_for(pattern: str, fitting: list[str], other: list[str]) -> None:
    known = users()
    known.add("ann", "secret")
    known.permit("ann", "/", "", pattern, "")
    for _ in range(2):  # the second time from memory
        assert [name for name in fitting if not known.allows("ann", "/", WRITE, name)] == []
        assert [name for name in other if known.allows("ann", "/", WRITE, name)] == []


@pytest.mark.parametrize(
    "pattern", ["*", "(", "[a", "a{2,1}", "(?<n>a)", "(?R)", "\\Qa\\E", "[[:alpha:]]", "(?u)a"]
)
def test_a_pattern_that_is_none_changes_nothing(pattern: str) -> None:
    known = users()
    known.add("ann", "secret")
    known.permit("ann", "/", "a", "b", "c")
    before = known.generation
    for patterns in ((pattern, "", ""), ("", pattern, ""), ("", "", pattern)):
        with pytest.raises(ValueError, match="is no regular expression"):
            known.permit("ann", "/", *patterns)
    assert known.generation == before
    assert known.allows("ann", "/", CONFIGURE, "a")


def test_remembered_answers_are_bounded_and_stay_right() -> None:
    known = users()
    known.add("ann", "secret")
    known.permit("ann", "/", "", "", "7$")
    for number in range(5000):
        assert known.allows("ann", "/", READ, f"q{number}") is (number % 10 == 7)


def test_the_generation_grows_with_every_change() -> None:
    known = users()
    seen = [known.generation]
    known.add("ann", "secret")
    seen.append(known.generation)
    known.add_hashed("bob", "", SHA256, ())
    seen.append(known.generation)
    known.permit("ann", "/", "", "", "")
    seen.append(known.generation)
    known.clear("ann", "/")
    seen.append(known.generation)
    known.permit("ann", "/", "", "", "")
    seen.append(known.generation)
    known.clear_vhost("/")
    seen.append(known.generation)
    known.delete("ann")
    seen.append(known.generation)
    assert seen == sorted(set(seen))
    assert not known.may_open("ann", "/")


def test_a_deleted_vhost_takes_its_rows_along() -> None:
    known = users()
    known.add("ann", "secret")
    known.permit("ann", "/", ".*", ".*", ".*")
    known.permit("ann", "v", ".*", ".*", ".*")
    known.clear_vhost("v")
    assert known.may_open("ann", "/")
    assert not known.may_open("ann", "v")
