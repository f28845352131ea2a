"""Users, their passwords, and what they may do (RabbitMQ: access control).

Passwords are kept as RabbitMQ keeps them: base64 of four octets of salt and the digest of salt and
password. So hashes move between the two brokers in definitions.

A permission row belongs to a user in a vhost and holds three patterns: what the user may configure,
write and read. A pattern is searched for anywhere in a resource's name; the empty one fits only the
empty name. Without a row the vhost cannot be opened.

Rule 1: `generation` grows with every change, so an answer may be remembered as long as it stays.
Rule 2: an empty password never logs in, whatever the stored hash says.
Rule 3: a login is refused at the same cost whether the user exists or not.

Deviation: patterns are Python's regular expressions where RabbitMQ's are PCRE. What permissions
are usually made of (classes, anchors, alternatives, repetitions, groups, lookaround) means the same
in both, and `\\w` and its like are ASCII in both. What only PCRE has (POSIX classes, `\\Q...\\E`,
recursion, `(?<name>...)`, verbs) is refused with a ValueError when the row is set.
"""

import base64
import binascii
import hashlib
import hmac
import re
from typing import Final

from amqpd.core.ports import Entropy

CONFIGURE: Final = 0
WRITE: Final = 1
READ: Final = 2

SHA256: Final = "rabbit_password_hashing_sha256"
SHA512: Final = "rabbit_password_hashing_sha512"
MD5: Final = "rabbit_password_hashing_md5"
ALGORITHMS: Final = (SHA256, SHA512, MD5)

_SALT_BYTES: Final = 4

# Python would take `[[:alpha:]]` for something else without a word.
_POSIX_CLASS: Final = re.compile(r"\[[:.=][^]]*[:.=]\]")
# Answers that one pattern remembers; it forgets all of them when it has as many.
_ANSWERS_MAX: Final = 1024


# What a user may be limited in (RabbitMQ: user limits); -1 is no limit.
MAX_CONNECTIONS: Final = "max-connections"
MAX_CHANNELS: Final = "max-channels"


class User:
    """Someone who can log in. `password_hash` is base64; "" cannot log in by password.

    The limits are of connections and channels that are open at the same time (-1 = none).
    """

    def __init__(
        self,
        name: str,
        tags: tuple[str, ...],
        password_hash: str,
        algorithm: str,
        limits: dict[str, int] | None = None,
    ) -> None:
        self.name: Final = name
        self.connection_max: Final = (limits or {}).get(MAX_CONNECTIONS, -1)
        self.channel_max: Final = (limits or {}).get(MAX_CHANNELS, -1)
        self.tags: Final = tags
        self.password_hash: Final = password_hash
        self.algorithm: Final = algorithm


# Whom a login is held against when there is nobody of that name.
_NOBODY: Final = User("", (), base64.b64encode(bytes(_SALT_BYTES + 32)).decode(), SHA256)


class _Pattern:
    """A regular expression over resource names that remembers its answers."""

    def __init__(self, text: str) -> None:
        self.text: Final = text
        self._expression: Final = _compiled(text)
        self._fits_all: Final = text in (".*", "^.*")
        self._answers: dict[str, bool] = {}

    def fits(self, name: str) -> bool:
        if self._fits_all:
            return True
        answer = self._answers.get(name)
        if answer is None:
            answer = self._expression.search(name) is not None
            if len(self._answers) >= _ANSWERS_MAX:
                self._answers = {}
            self._answers[name] = answer
        return answer


class Permission:
    """What one user may do in one vhost: a pattern each for configure, write and read."""

    def __init__(self, user: str, vhost: str, configure: str, write: str, read: str) -> None:
        self.user: Final = user
        self.vhost: Final = vhost
        self._patterns: Final = (_Pattern(configure), _Pattern(write), _Pattern(read))

    def pattern(self, access: int) -> str:
        """Return the pattern for CONFIGURE, WRITE or READ as it was given."""
        return self._patterns[access].text

    def allows(self, access: int, resource: str) -> bool:
        """Say whether a resource's name fits the pattern for this access."""
        return self._patterns[access].fits(resource)


class TopicPermission:
    """What routing keys of one topic exchange a user may write and read (RabbitMQ: topic
    authorisation). `{username}` and `{vhost}` in a pattern stand for those of the connection.
    """

    def __init__(self, user: str, vhost: str, exchange: str, write: str, read: str) -> None:
        self.user: Final = user
        self.vhost: Final = vhost
        self.exchange: Final = exchange
        self.write: Final = write
        self.read: Final = read
        self._write: Final = _Pattern(_expanded(write, user, vhost))
        self._read: Final = _Pattern(_expanded(read, user, vhost))

    def allows(self, access: int, routing_key: str) -> bool:
        """Say whether a routing key fits the pattern for WRITE or READ."""
        assert access != CONFIGURE
        return (self._write if access == WRITE else self._read).fits(routing_key)


class Users:
    """All users of a broker and their permissions."""

    def __init__(self, entropy: Entropy) -> None:
        self.generation = 0
        self.users: Final[dict[str, User]] = {}
        self.permissions: Final[dict[tuple[str, str], Permission]] = {}
        self.topic_permissions: Final[dict[tuple[str, str, str], TopicPermission]] = {}
        self._entropy: Final = entropy

    # -- users ------------------------------------------------------------------------------------

    def add(self, name: str, password: str, tags: tuple[str, ...] = ()) -> None:
        """Add a user, or change the password and tags of one; permissions stay."""
        self._put(User(name, tags, self.hashed(password), SHA256))

    def hashed(self, password: str) -> str:
        """Make the hash of a password, with a salt of its own and SHA256."""
        salt = self._entropy.token(_SALT_BYTES)
        assert len(salt) == _SALT_BYTES
        return base64.b64encode(salt + _digest(SHA256, salt, password)).decode()

    def add_hashed(
        self,
        name: str,
        password_hash: str,
        algorithm: str,
        tags: tuple[str, ...],
        limits: dict[str, int] | None = None,
    ) -> None:
        """Add a user, or change one, by a hash from RabbitMQ's definitions ("" = no password).

        Raises ValueError if the algorithm is unknown or the hash is not in RabbitMQ's format.
        """
        check_hash(name, password_hash, algorithm)
        self._put(User(name, tags, password_hash, algorithm, limits))

    def _put(self, user: User) -> None:
        self.users[user.name] = user
        self.generation += 1

    def delete(self, name: str) -> None:
        """Forget a user and the user's permissions. Unknown names are ignored. O(permissions)."""
        if self.users.pop(name, None) is None:
            return
        for key in list(self.permissions):
            if key[0] == name:
                del self.permissions[key]
        for topic_key in list(self.topic_permissions):
            if topic_key[0] == name:
                del self.topic_permissions[topic_key]
        self.generation += 1

    def get(self, name: str) -> User | None:
        """Return a user by name."""
        return self.users.get(name)

    def authenticate(self, name: str, password: str) -> bool:
        """Say whether this is the user's password; see rules 2 and 3."""
        user = self.users.get(name)
        may_log_in = user is not None and user.password_hash != "" and password != ""
        if user is None or not user.password_hash:
            user = _NOBODY
        salted = _salted(user.password_hash, user.algorithm)
        assert salted is not None
        salt, digest = salted
        agrees = hmac.compare_digest(_digest(user.algorithm, salt, password), digest)
        return agrees and may_log_in

    # -- permissions ------------------------------------------------------------------------------

    def permit(self, name: str, vhost: str, configure: str, write: str, read: str) -> None:
        """Set a user's permissions in a vhost. The user need not exist yet.

        Raises ValueError if a pattern is no regular expression; nothing has changed then.
        """
        self.permissions[name, vhost] = Permission(name, vhost, configure, write, read)
        self.generation += 1

    def clear(self, name: str, vhost: str) -> None:
        """Take away a user's permissions in a vhost, if there are any."""
        if self.permissions.pop((name, vhost), None) is not None:
            self.generation += 1

    def clear_vhost(self, vhost: str) -> None:
        """Take away everyone's permissions in a vhost that is deleted. O(permissions)."""
        for key in list(self.permissions):
            if key[1] == vhost:
                del self.permissions[key]
        for topic_key in list(self.topic_permissions):
            if topic_key[1] == vhost:
                del self.topic_permissions[topic_key]
        self.generation += 1

    def permit_topic(self, name: str, vhost: str, exchange: str, write: str, read: str) -> None:
        """Set what routing keys of a topic exchange a user may write and read.

        Raises ValueError if a pattern is no regular expression; nothing has changed then.
        """
        row = TopicPermission(name, vhost, exchange, write, read)
        self.topic_permissions[name, vhost, exchange] = row
        self.generation += 1

    def clear_topic(self, name: str, vhost: str, exchange: str) -> None:
        """Take away what `permit_topic` set, if anything: all routing keys are allowed again."""
        if self.topic_permissions.pop((name, vhost, exchange), None) is not None:
            self.generation += 1

    def allows_topic(
        self, name: str, vhost: str, exchange: str, access: int, routing_key: str
    ) -> bool:
        """Say whether the user may WRITE or READ this routing key; without a row, any."""
        if not self.topic_permissions:
            return True
        row = self.topic_permissions.get((name, vhost, exchange))
        return row is None or row.allows(access, routing_key)

    def clear_all(self) -> None:
        """Forget all users and permissions."""
        self.users.clear()
        self.permissions.clear()
        self.topic_permissions.clear()
        self.generation += 1

    def may_open(self, name: str, vhost: str) -> bool:
        """Say whether the user has permissions in the vhost, be they ever so small."""
        return name in self.users and (name, vhost) in self.permissions

    def allows(self, name: str, vhost: str, access: int, resource: str) -> bool:
        """Say whether the user may configure, write or read a resource by its name."""
        permission = self.permissions.get((name, vhost))
        return permission is not None and name in self.users and permission.allows(access, resource)


def check_hash(name: str, password_hash: str, algorithm: str) -> None:
    """Raise ValueError if an algorithm is unknown or a hash is not in RabbitMQ's format."""
    if algorithm not in ALGORITHMS:
        raise ValueError(f"unknown password hashing algorithm {algorithm!r} of user {name!r}")
    if password_hash and _salted(password_hash, algorithm) is None:
        raise ValueError(
            f"the password hash of user {name!r} is not base64 of a 4-octet salt and a digest"
        )


def _expanded(pattern: str, user: str, vhost: str) -> str:
    """Put in what variables stand for, literally (RabbitMQ: other names stay as they are)."""
    return pattern.replace("{username}", re.escape(user)).replace("{vhost}", re.escape(vhost))


def check_pattern(text: str) -> None:
    """Raise ValueError if a text is no regular expression that can be used here."""
    _compiled(text)


def _compiled(text: str) -> re.Pattern[str]:
    if _POSIX_CLASS.search(text) is not None:
        raise ValueError(f"{text!r} is no regular expression of Python's: it has a POSIX class")
    try:
        return re.compile(text or r"\A\Z", re.ASCII)
    except (re.error, ValueError, RecursionError, OverflowError) as fault:
        raise ValueError(f"{text!r} is no regular expression: {fault}") from None


def _digest(algorithm: str, salt: bytes, password: str) -> bytes:
    data = salt + password.encode("utf-8", "surrogateescape")
    if algorithm == SHA256:
        return hashlib.sha256(data).digest()
    if algorithm == SHA512:
        return hashlib.sha512(data).digest()
    assert algorithm == MD5
    return hashlib.md5(data, usedforsecurity=False).digest()


def _salted(password_hash: str, algorithm: str) -> tuple[bytes, bytes] | None:
    """Cut a hash into salt and digest; None if it is not in RabbitMQ's format."""
    try:
        data = base64.b64decode(password_hash, validate=True)
    except (binascii.Error, ValueError):
        return None
    digest = data[_SALT_BYTES:]
    if len(digest) != len(_digest(algorithm, b"", "")):
        return None
    return data[:_SALT_BYTES], digest
