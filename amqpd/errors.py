"""What can go wrong for a client: error classes, reply codes, and every reply text it can see.

A handler raises; the session adds class and method ids and sends the close. The scope of an error
is its class: `SoftError` closes the channel, `HardError` the connection (spec 1.2, RabbitMQ:
reply codes). Texts equal RabbitMQ's to the letter, because clients and people match on them, so
they are built here, by named functions, and nowhere else. A text is cut to the 255 bytes that a
short string can hold, ending in `...` when cut.
"""

from typing import Final

REPLY_SUCCESS: Final = 200
NO_ROUTE: Final = 312
CONNECTION_FORCED: Final = 320
ACCESS_REFUSED: Final = 403
NOT_FOUND: Final = 404
RESOURCE_LOCKED: Final = 405
PRECONDITION_FAILED: Final = 406
FRAME_ERROR: Final = 501
SYNTAX_ERROR: Final = 502
COMMAND_INVALID: Final = 503
CHANNEL_ERROR: Final = 504
UNEXPECTED_FRAME: Final = 505
NOT_ALLOWED: Final = 530
NOT_IMPLEMENTED: Final = 540
INTERNAL_ERROR: Final = 541

NAMES: Final = {
    CONNECTION_FORCED: "CONNECTION_FORCED",
    ACCESS_REFUSED: "ACCESS_REFUSED",
    NOT_FOUND: "NOT_FOUND",
    RESOURCE_LOCKED: "RESOURCE_LOCKED",
    PRECONDITION_FAILED: "PRECONDITION_FAILED",
    FRAME_ERROR: "FRAME_ERROR",
    SYNTAX_ERROR: "SYNTAX_ERROR",
    COMMAND_INVALID: "COMMAND_INVALID",
    CHANNEL_ERROR: "CHANNEL_ERROR",
    UNEXPECTED_FRAME: "UNEXPECTED_FRAME",
    NOT_ALLOWED: "NOT_ALLOWED",
    NOT_IMPLEMENTED: "NOT_IMPLEMENTED",
    INTERNAL_ERROR: "INTERNAL_ERROR",
}

NO_ROUTE_TEXT: Final = "NO_ROUTE"


class AmqpError(Exception):
    """An error with a reply code (spec 1.2) and the reply text that the client gets."""

    def __init__(self, code: int, explanation: str) -> None:
        text = f"{NAMES[code]} - {explanation}" if explanation else NAMES[code]
        super().__init__(text)
        self.code: Final = code
        self.text: Final = text


class SoftError(AmqpError):
    """Closes the channel; the connection goes on (spec 0-9-1, 1.2 "soft-error")."""


class HardError(AmqpError):
    """Closes the connection (spec 0-9-1, 1.2 "hard-error")."""


class StreamError(HardError):
    """A HardError after which the peer's bytes cannot be trusted: they are no longer read."""


class FrameError(StreamError):
    """A StreamError that no method is to blame for: its close bears the ids 0 and 0."""


class Refused(AmqpError):
    """A login that is refused: told by connection.close only to clients that asked for it."""


def cut(text: str) -> bytes:
    """Encode a reply text as the at most 255 bytes of a short string, `...` marking a cut."""
    data = text.encode("utf-8", "surrogateescape")
    if len(data) <= 255:
        return data
    return data[:252].decode("utf-8", "ignore").encode() + b"..."


# -- 404, 405, 403: things that are missing, taken or forbidden ---------------------------------


def no_queue(name: str, vhost: str) -> SoftError:
    """The queue does not exist."""
    return SoftError(NOT_FOUND, f"no queue '{name}' in vhost '{vhost}'")


def no_exchange(name: str, vhost: str) -> SoftError:
    """The exchange does not exist."""
    return SoftError(NOT_FOUND, f"no exchange '{name}' in vhost '{vhost}'")


def no_last_queue() -> SoftError:
    """An empty queue name stands for the last declared queue, and there is none."""
    return SoftError(NOT_FOUND, "no previously declared queue")


def queue_locked(name: str, vhost: str) -> SoftError:
    """The queue is exclusive to another connection."""
    return SoftError(
        RESOURCE_LOCKED,
        f"cannot obtain exclusive access to locked queue '{name}' in vhost '{vhost}'."
        " It could be originally declared on another connection or the exclusive property"
        " value does not match that of the original declaration.",
    )


def no_get_of_single_active(name: str, vhost: str) -> SoftError:
    """basic.get of a quorum queue with a single active consumer."""
    return SoftError(
        RESOURCE_LOCKED,
        f"cannot obtain access to locked queue '{name}' in vhost '{vhost}'. basic.get operations"
        " are not supported by quorum queues with single active consumer",
    )


def access_denied(verb: str, kind: str, name: str, vhost: str, user: str) -> SoftError:
    """A permission is missing; `verb` is configure, write or read, `kind` queue or exchange."""
    return SoftError(
        ACCESS_REFUSED,
        f"{verb} access to {kind} '{name}' in vhost '{vhost}' refused for user '{user}'",
    )


def topic_denied(verb: str, key: str, exchange: str, vhost: str, user: str) -> SoftError:
    """A topic permission is missing; `verb` is write or read."""
    return SoftError(
        ACCESS_REFUSED,
        f"{verb} access to topic '{key}' in exchange '{exchange}' in vhost '{vhost}'"
        f" refused for user '{user}'",
    )


def exclusive_use(name: str, vhost: str) -> SoftError:
    """An exclusive consumer has the queue, or wants it while others consume."""
    return SoftError(ACCESS_REFUSED, f"queue '{name}' in vhost '{vhost}' in exclusive use")


def reserved_name(kind: str, name: str) -> SoftError:
    """A client may not create names that begin with `amq.`."""
    return SoftError(ACCESS_REFUSED, f"{kind} name '{name}' contains reserved prefix 'amq.*'")


def default_exchange() -> SoftError:
    """The default exchange can be published to and nothing else."""
    return SoftError(ACCESS_REFUSED, "operation not permitted on the default exchange")


def system_exchange(name: str, vhost: str) -> SoftError:
    """The pre-declared exchanges cannot be deleted."""
    return SoftError(
        ACCESS_REFUSED, f"deletion of system exchange '{name}' in vhost '{vhost}' not allowed"
    )


def internal_exchange(name: str, vhost: str) -> SoftError:
    """Clients cannot publish to an internal exchange."""
    return SoftError(
        ACCESS_REFUSED, f"cannot publish to internal exchange '{name}' in vhost '{vhost}'"
    )


# -- 406: preconditions --------------------------------------------------------------------------


def precondition_failed(explanation: str) -> SoftError:
    """A 406 whose explanation the caller's own named function or table built."""
    return SoftError(PRECONDITION_FAILED, explanation)


def inequivalent(
    argument: str, kind: str, name: str, vhost: str, received: str, current: str
) -> SoftError:
    """A declare differs from what exists; `received` and `current` are quoted or described."""
    return SoftError(
        PRECONDITION_FAILED,
        f"inequivalent arg '{argument}' for {kind} '{name}' in vhost '{vhost}':"
        f" received {received} but current is {current}",
    )


def in_use(kind: str, name: str, vhost: str) -> SoftError:
    """A delete with if-unused of something used."""
    return SoftError(PRECONDITION_FAILED, f"{kind} '{name}' in vhost '{vhost}' in use")


def not_empty(name: str, vhost: str) -> SoftError:
    """A delete with if-empty of a queue with ready messages."""
    return SoftError(PRECONDITION_FAILED, f"queue '{name}' in vhost '{vhost}' not empty")


def unknown_delivery_tag(tag: int) -> SoftError:
    """An ack, nack or reject of what is not outstanding."""
    return SoftError(PRECONDITION_FAILED, f"unknown delivery tag {tag}")


def unknown_exchange_type(kind: str) -> SoftError:
    """A declare of a type that does not exist."""
    return SoftError(PRECONDITION_FAILED, f"unknown exchange type '{kind}'")


def invalid_exchange_argument_type(
    type_name: str, argument: str, name: str, vhost: str
) -> SoftError:
    """An exchange argument that must be a long string is something else."""
    return SoftError(
        PRECONDITION_FAILED,
        f"invalid type '{type_name}' for arg '{argument}' in exchange '{name}' in vhost '{vhost}'",
    )


def invalid_queue_argument_type(type_name: str, argument: str, name: str, vhost: str) -> SoftError:
    """A queue argument that must be a long string is something else."""
    return SoftError(
        PRECONDITION_FAILED,
        f"invalid type '{type_name}' for arg '{argument}' in queue '{name}' in vhost '{vhost}'",
    )


def too_many_queues(name: str, vhost: str, maximum: int) -> SoftError:
    """A queue more than the vhost's limit allows."""
    return SoftError(
        PRECONDITION_FAILED,
        f"cannot declare queue '{name}': queue limit in vhost '{vhost}' ({maximum}) is reached",
    )


def invalid_argument(argument: str, name: str, vhost: str, reason: str) -> SoftError:
    """A queue or consumer argument with a bad value; `reason` is an Erlang term."""
    return SoftError(
        PRECONDITION_FAILED,
        f"invalid arg '{argument}' for queue '{name}' in vhost '{vhost}': {reason}",
    )


def argument_of_other_type(argument: str, name: str, vhost: str, queue_type: str) -> SoftError:
    """An argument that queues or consumers of another type know, but not of this one."""
    return SoftError(
        PRECONDITION_FAILED,
        f"invalid arg '{argument}' for queue '{name}' in vhost '{vhost}'"
        f" of queue type rabbit_{queue_type}_queue",
    )


def invalid_property(flag: str, name: str, vhost: str) -> SoftError:
    """A declare asks for what queues of its type cannot be: 'auto-delete' and the like."""
    return SoftError(
        PRECONDITION_FAILED, f"invalid property '{flag}' for queue '{name}' in vhost '{vhost}'"
    )


def server_named(queue_type: str) -> SoftError:
    """Queues of this type must be named by the client."""
    return SoftError(
        PRECONDITION_FAILED,
        f"Cannot declare a server-named queue for type rabbit_{queue_type}_queue",
    )


def delivery_timeout(channel: int, timeout_ms: int) -> SoftError:
    """A delivery has not been acknowledged in time (RabbitMQ: delivery acknowledgement timeout)."""
    return SoftError(
        PRECONDITION_FAILED,
        f"delivery acknowledgement on channel {channel} timed out. Timeout value used:"
        f" {timeout_ms} ms. This timeout value can be configured, see consumers doc guide to"
        " learn more",
    )


def invalid_expiration(value: str, reason: str) -> SoftError:
    """The expiration property is not a decimal number of milliseconds."""
    return SoftError(PRECONDITION_FAILED, f"invalid expiration '{value}': {reason}")


def message_too_large(size: int, maximum: int) -> SoftError:
    """A body over the configured maximum (bytes)."""
    return SoftError(
        PRECONDITION_FAILED,
        f"message size {size} is larger than configured max size {maximum}",
    )


def wrong_user_id(value: str, user: str) -> SoftError:
    """The user-id property names someone else."""
    return SoftError(
        PRECONDITION_FAILED,
        f"user_id property set to '{value}' but authenticated user was '{user}'",
    )


def bad_copies_header(header: str, type_name: str) -> SoftError:
    """CC or BCC is not an array of long strings."""
    return SoftError(
        PRECONDITION_FAILED,
        f'invalid message: {{unacceptable_type_in_header,"{header}",{type_name}}}',
    )


def tx_to_confirm() -> SoftError:
    """confirm.select on a transactional channel."""
    return SoftError(PRECONDITION_FAILED, "cannot switch from tx to confirm mode")


def confirm_to_tx() -> SoftError:
    """tx.select on a channel in confirm mode."""
    return SoftError(PRECONDITION_FAILED, "cannot switch from confirm to tx mode")


def not_transactional() -> SoftError:
    """tx.commit or tx.rollback without tx.select."""
    return SoftError(PRECONDITION_FAILED, "channel is not transactional")


def partial_tx() -> SoftError:
    """tx.commit when a full queue refused one of the publishes."""
    return SoftError(PRECONDITION_FAILED, "partial tx completion")


def reply_consumer_acknowledges() -> SoftError:
    """Direct reply-to with no-ack false."""
    return SoftError(PRECONDITION_FAILED, "reply consumer cannot acknowledge")


def reply_consumer_set() -> SoftError:
    """A second direct reply-to consumer on a channel."""
    return SoftError(PRECONDITION_FAILED, "reply consumer already set")


def no_reply_consumer() -> SoftError:
    """Direct reply-to is asked for where nobody consumes it."""
    return SoftError(PRECONDITION_FAILED, "fast reply consumer does not exist")


# -- 5xx: the connection -------------------------------------------------------------------------


def frame_error(explanation: str) -> FrameError:
    """Bytes that cannot be a frame."""
    return FrameError(FRAME_ERROR, explanation)


def unknown_frame(kind: int, payload: bytes) -> FrameError:
    """A frame of a type that does not exist, or with a payload that its type cannot have."""
    return FrameError(FRAME_ERROR, f"{frame_octets(kind, payload)}: unknown_frame")


def undecodable(arguments: bytes) -> StreamError:
    """Method arguments that do not fill their frame or hold an unknown field type."""
    return StreamError(FRAME_ERROR, f"cannot decode {octets(arguments)}")


def malformed_text() -> FrameError:
    """A short string of a method is not UTF-8."""
    return FrameError(FRAME_ERROR, "Malformed UTF-8 in shortstr")


def body_too_large(size: int, maximum: int) -> StreamError:
    """A content header announces more than the protocol layer can take (bytes)."""
    return StreamError(
        FRAME_ERROR, f"content body size {size} exceeds maximum allowed size {maximum}"
    )


def body_overrun() -> StreamError:
    """Body frames hold more than the content header announced."""
    return StreamError(FRAME_ERROR, "content body frame exceeds remaining content size")


def unexpected_frame(explanation: str) -> FrameError:
    """A frame of a kind that cannot come here."""
    return FrameError(UNEXPECTED_FRAME, explanation)


def unexpected_in_content(expected: str, got: str) -> StreamError:
    """A frame that does not go on with the content that has begun."""
    return StreamError(UNEXPECTED_FRAME, f"expected {expected}, got {got} instead")


def unexpected_method(state: str) -> HardError:
    """A legal method on channel 0 in the wrong state."""
    return HardError(CHANNEL_ERROR, f"unexpected method in connection state {state}")


def channel_not_open() -> HardError:
    """A method on a channel that was never opened."""
    return HardError(CHANNEL_ERROR, "expected 'channel.open'")


def second_channel_open() -> HardError:
    """channel.open on an open channel."""
    return HardError(CHANNEL_ERROR, "second 'channel.open' seen")


def unimplemented_method() -> HardError:
    """A method that only a server may send."""
    return HardError(COMMAND_INVALID, "unimplemented method")


def unknown_method() -> HardError:
    """Class and method id that no method has; RabbitMQ's parser crashes at them."""
    return HardError(INTERNAL_ERROR, "")


def not_implemented(explanation: str) -> HardError:
    """A feature of the protocol that RabbitMQ refuses: immediate, prefetch_size and the like."""
    return HardError(NOT_IMPLEMENTED, explanation)


def no_streams(name: str, vhost: str) -> HardError:
    """Deviation: a queue of a type that RabbitMQ has and this broker does not."""
    return not_implemented(
        f"queue '{name}' in vhost '{vhost}' is of type 'stream', which this broker does not have"
    )


def no_global_qos(name: str, vhost: str) -> HardError:
    """A consumer of a quorum queue on a channel with a limit that its consumers share."""
    return not_implemented(f"queue '{name}' in vhost '{vhost}' does not support global qos")


def conditional_delete(flag: str, name: str, vhost: str) -> HardError:
    """A delete of a quorum queue with a condition; `flag` is if-unused or if-empty."""
    return not_implemented(
        f"cannot delete queue '{name}' in vhost '{vhost}'. queue.delete operations with {flag}"
        " flag set are not supported by quorum queues"
    )


def deprecated(feature: str) -> HardError:
    """A feature that newer versions of RabbitMQ forbid unless the configuration permits it."""
    return HardError(
        INTERNAL_ERROR,
        f"Feature `{feature}` is deprecated.\n"
        "By default, this feature is not permitted anymore.\n"
        "The feature will be removed from a future major RabbitMQ version, regardless of the"
        " configuration; actual version to be determined.\n"
        "To continue using this feature when it is not permitted by default, set the following"
        " parameter in your configuration:\n"
        f'    "deprecated_features.permit.{feature} = true"',
    )


def consumer_tag_in_use(tag: str) -> HardError:
    """A consumer tag used twice on a channel."""
    return HardError(NOT_ALLOWED, f"attempt to reuse consumer tag '{tag}'")


def too_many_consumers(maximum: int) -> HardError:
    """The channel's bound on consumers."""
    return HardError(NOT_ALLOWED, f"reached maximum ({maximum}) of consumers per channel")


def too_many_channels(count: int, maximum: int) -> HardError:
    """More channels than were negotiated."""
    return HardError(
        NOT_ALLOWED,
        f"number of channels opened ({count}) has reached the negotiated channel_max ({maximum})",
    )


def negotiated_too_low(field: str, value: int, minimum: int) -> HardError:
    """A tune-ok value under the minimum."""
    return HardError(
        NOT_ALLOWED,
        f"negotiated {field} = {value} is lower than the minimum allowed value ({minimum})",
    )


def negotiated_too_high(field: str, value: int, maximum: int) -> HardError:
    """A tune-ok value over what the server proposed."""
    asked = "0 (no limit)" if field == "channel_max" and value == 0 else str(value)
    return HardError(
        NOT_ALLOWED,
        f"negotiated {field} = {asked} is higher than the maximum allowed value ({maximum})",
    )


def no_vhost(name: str) -> HardError:
    """connection.open of a vhost that does not exist."""
    return HardError(NOT_ALLOWED, f"vhost {name} not found")


def vhost_refused(name: str, user: str) -> HardError:
    """connection.open of a vhost in which the user has no permissions."""
    return HardError(NOT_ALLOWED, f"access to vhost '{name}' refused for user '{user}'")


def vhost_connection_limit(name: str, user: str, maximum: int) -> HardError:
    """connection.open over a vhost's limit of connections."""
    return HardError(
        NOT_ALLOWED,
        f"access to vhost '{name}' refused for user '{user}':"
        f" connection limit ({maximum}) is reached",
    )


def user_connection_limit(user: str, maximum: int) -> HardError:
    """connection.open over a user's limit of connections."""
    return HardError(
        NOT_ALLOWED,
        f"connection refused for user '{user}': user connection limit ({maximum}) is reached",
    )


def user_channel_limit(user: str, maximum: int) -> HardError:
    """channel.open over a user's limit of channels."""
    return HardError(
        NOT_ALLOWED,
        f"number of channels opened for user '{user}' has reached the maximum allowed user limit"
        f" of {maximum}",
    )


def node_connection_limit(maximum: int) -> HardError:
    """connection.open over the broker's bound on connections."""
    return HardError(
        NOT_ALLOWED, f"connection refused: node connection limit ({maximum}) is reached"
    )


def login_refused(mechanism: str) -> Refused:
    """Wrong credentials; the same words whatever the reason was."""
    return Refused(
        ACCESS_REFUSED,
        f"Login was refused using authentication mechanism {mechanism}."
        " For details see the broker logfile.",
    )


def login_refused_silently(mechanism: str) -> HardError:
    """The same for a client that did not ask to be told: its socket is closed after a while."""
    return HardError(
        ACCESS_REFUSED, f"Login was refused using authentication mechanism {mechanism}."
    )


def unknown_mechanism(mechanism: str) -> HardError:
    """A login mechanism that is not offered; only the log gets this text."""
    return HardError(COMMAND_INVALID, f"unknown authentication mechanism '{mechanism}'")


def bad_response(mechanism: str) -> HardError:
    """A login response that is not of the mechanism's form; only the log gets this text."""
    return HardError(SYNTAX_ERROR, f"the {mechanism} response is malformed")


def stumbled() -> HardError:
    """The broker itself failed over what a peer sent; its log has the trace."""
    return HardError(INTERNAL_ERROR, "the broker failed unexpectedly; see its log")


def shutdown_text() -> str:
    """The reply text that every client gets when the broker stops."""
    return "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'"


def vhost_deleted_text(name: str) -> str:
    """The reply text that the clients of a vhost get when it is deleted."""
    return f"CONNECTION_FORCED - vhost '{name}' is deleted"


def user_deleted_text(name: str) -> str:
    """The reply text that the clients of a user get who is deleted."""
    return f"CONNECTION_FORCED - user '{name}' is deleted"


def octets(data: bytes) -> str:
    """Write bytes as the Erlang binary that RabbitMQ's texts show: `<<1,2,3>>` or `<<"abc">>`."""
    if data and all(32 <= octet < 127 for octet in data):
        text = data.decode("ascii").replace("\\", "\\\\").replace('"', '\\"')
        return f'<<"{text}">>'
    return "<<" + ",".join(str(octet) for octet in data) + ">>"


def frame_octets(kind: int, payload: bytes) -> str:
    """Describe a frame as RabbitMQ does: its type and up to its first 16 octets."""
    if len(payload) > 16:
        return f"type {kind}, first 16 octets = {octets(payload[:16])}"
    return f"type {kind}, all octets = {octets(payload)}"


def store_failed() -> HardError:
    """The message store could not write or sync: nothing durable can be promised any more."""
    return HardError(
        INTERNAL_ERROR, "the message store has failed and takes nothing more; see the broker's log"
    )
