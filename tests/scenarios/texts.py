"""Reply texts that several scenarios expect, and those that depend on RabbitMQ's version."""

from tests.peers.peer import Oracle


def no_queue(name: str, vhost: str = "/") -> str:
    """The queue does not exist."""
    return f"NOT_FOUND - no queue '{name}' in vhost '{vhost}'"


def no_exchange(name: str, vhost: str = "/") -> str:
    """The exchange does not exist."""
    return f"NOT_FOUND - no exchange '{name}' in vhost '{vhost}'"


def locked(name: str) -> str:
    """The queue is exclusive to another connection."""
    return (
        f"RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '{name}' in vhost '/'."
        " It could be originally declared on another connection or the exclusive property value"
        " does not match that of the original declaration."
    )


def inequivalent(argument: str, thing: str, received: str, current: str) -> str:
    """A declare differs from what exists; `thing` is "queue 'q'" or "exchange 'x'"."""
    return (
        f"PRECONDITION_FAILED - inequivalent arg '{argument}' for {thing} in vhost '/':"
        f" received {received} but current is {current}"
    )


def refused(oracle: Oracle, verb: str, thing: str, user: str) -> str:
    """A permission is missing; the verb is said since 3.12."""
    said = f"{verb} " if oracle.since(3, 12) else ""
    return f"ACCESS_REFUSED - {said}access to {thing} in vhost '/' refused for user '{user}'"


DEFAULT_EXCHANGE = "ACCESS_REFUSED - operation not permitted on the default exchange"
