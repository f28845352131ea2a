"""The exchange types of the specification, and the registry that makes one of any by its name.

direct (spec 3.1.3.1), fanout (3.1.3.2), topic (3.1.3.3) and headers (3.1.3.4). The default
exchange is no object: the vhost looks up a queue by the routing key. What plugins add to RabbitMQ
is in modules of its own: `hash_exchanges`, `random_exchanges`, `delayed_exchange`,
`history_exchange`, `unique_exchange`.
"""

from typing import Final

from amqpd import errors
from amqpd.core import plugin_errors
from amqpd.core.delayed_exchange import DELAYED, DelayedExchange
from amqpd.core.exchange import Binding, Exchange, Identity
from amqpd.core.hash_exchanges import ConsistentHashExchange, ModulusHashExchange
from amqpd.core.headers import HeadersMatch, compile_match
from amqpd.core.history_exchange import RecentHistoryExchange
from amqpd.core.random_exchanges import LocalRandomExchange, RandomExchange
from amqpd.core.topic import TopicTree
from amqpd.core.unique_exchange import UniqueExchange
from amqpd.wire import tables
from amqpd.wire.tables import Table


class DirectExchange(Exchange):
    """Reaches what is bound with exactly the routing key (spec 3.1.3.1)."""

    kind = "direct"

    def __init__(
        self,
        vhost: str,
        name: str,
        *,
        durable: bool,
        auto_delete: bool,
        internal: bool,
        arguments: Table,
    ) -> None:
        super().__init__(
            vhost,
            name,
            durable=durable,
            auto_delete=auto_delete,
            internal=internal,
            arguments=arguments,
        )
        self._by_key: Final[dict[str, dict[Identity, Binding]]] = {}

    def add(self, binding: Binding) -> None:
        """See Exchange."""
        self._by_key.setdefault(binding.key, {})[binding.identity] = binding

    def remove(self, binding: Binding) -> None:
        """See Exchange."""
        same_key = self._by_key[binding.key]
        del same_key[binding.identity]
        if not same_key:
            del self._by_key[binding.key]

    def match(self, key: str, headers: Table, found: list[Binding]) -> None:
        """See Exchange."""
        if key in self._by_key:
            found.extend(self._by_key[key].values())


class FanoutExchange(Exchange):
    """Reaches everything bound; the routing key is not looked at (spec 3.1.3.2)."""

    kind = "fanout"

    def add(self, binding: Binding) -> None:
        """See Exchange."""

    def remove(self, binding: Binding) -> None:
        """See Exchange."""

    def match(self, key: str, headers: Table, found: list[Binding]) -> None:
        """See Exchange."""
        found.extend(self.bindings.values())


class TopicExchange(Exchange):
    """Reaches what is bound with a pattern that the routing key fits (spec 3.1.3.3)."""

    kind = "topic"

    def __init__(
        self,
        vhost: str,
        name: str,
        *,
        durable: bool,
        auto_delete: bool,
        internal: bool,
        arguments: Table,
    ) -> None:
        super().__init__(
            vhost,
            name,
            durable=durable,
            auto_delete=auto_delete,
            internal=internal,
            arguments=arguments,
        )
        self._tree: Final = TopicTree()

    def add(self, binding: Binding) -> None:
        """See Exchange."""
        self._tree.add(binding.key, binding)

    def remove(self, binding: Binding) -> None:
        """See Exchange."""
        self._tree.remove(binding.key, binding)

    def match(self, key: str, headers: Table, found: list[Binding]) -> None:
        """See Exchange."""
        values: list[object] = []
        self._tree.match(key, values)
        for value in values:
            assert isinstance(value, Binding)
            found.append(value)


class HeadersExchange(Exchange):
    """Reaches what is bound with arguments that the message's headers fit (spec 3.1.3.4)."""

    kind = "headers"
    needs_headers = True

    def __init__(
        self,
        vhost: str,
        name: str,
        *,
        durable: bool,
        auto_delete: bool,
        internal: bool,
        arguments: Table,
    ) -> None:
        super().__init__(
            vhost,
            name,
            durable=durable,
            auto_delete=auto_delete,
            internal=internal,
            arguments=arguments,
        )
        self._matches: Final[dict[Identity, HeadersMatch]] = {}

    def check(self, binding: Binding) -> None:
        """Refuse an x-match that is none."""
        compile_match(binding.arguments)

    def add(self, binding: Binding) -> None:
        """See Exchange."""
        self._matches[binding.identity] = compile_match(binding.arguments)

    def remove(self, binding: Binding) -> None:
        """See Exchange."""
        del self._matches[binding.identity]

    def match(self, key: str, headers: Table, found: list[Binding]) -> None:
        """See Exchange. O(bindings): every one is looked at."""
        for identity, matcher in self._matches.items():
            if matcher.matches(headers):
                found.append(self.bindings[identity])


TYPES: Final[dict[str, type[Exchange]]] = {
    "direct": DirectExchange,
    "fanout": FanoutExchange,
    "topic": TopicExchange,
    "headers": HeadersExchange,
    "x-consistent-hash": ConsistentHashExchange,
    "x-modulus-hash": ModulusHashExchange,
    "x-random": RandomExchange,
    "x-local-random": LocalRandomExchange,
    "x-recent-history": RecentHistoryExchange,
    "x-message-deduplication": UniqueExchange,
}

# Types of RabbitMQ's plugins that are known here and refused.
_NOT_SUPPORTED: Final = ("x-jms-topic",)


def check_type(kind: str) -> None:
    """Raise SoftError 406 unless there is an exchange type of that name."""
    if kind not in TYPES and kind != DELAYED:
        if kind in _NOT_SUPPORTED:
            raise plugin_errors.no_jms_exchange(kind)
        raise errors.unknown_exchange_type(kind)


def _delayed_type(arguments: Table) -> str:
    """Return the type that a delayed message exchange routes by. Raises SoftError 406."""
    field = arguments.get("x-delayed-type")
    kind = tables.text(field) if field is not None and field.tag == "S" else ""
    if kind not in TYPES:
        raise plugin_errors.no_delayed_type()
    return kind


def make_exchange(
    kind: str,
    vhost: str,
    name: str,
    *,
    durable: bool,
    auto_delete: bool,
    internal: bool,
    arguments: Table,
) -> Exchange:
    """Make an exchange of a type by its name.

    Raises SoftError 406 if there is no such type, or if it does not take the arguments.
    """
    check_type(kind)
    if kind == DELAYED:
        return DelayedExchange(
            vhost,
            name,
            durable=durable,
            auto_delete=auto_delete,
            internal=internal,
            arguments=arguments,
            inner=make_exchange(
                _delayed_type(arguments),
                vhost,
                name,
                durable=durable,
                auto_delete=auto_delete,
                internal=internal,
                arguments=arguments,
            ),
        )
    return TYPES[kind](
        vhost,
        name,
        durable=durable,
        auto_delete=auto_delete,
        internal=internal,
        arguments=arguments,
    )
