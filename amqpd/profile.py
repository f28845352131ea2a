"""Which RabbitMQ this broker is like: everything that a client sees change between its versions.

One `Profile` per version that can be imitated; `profile_of` makes it of the name in the settings.
A new difference is a field here, with one line that says what it means, and its use where the
behaviour is; nothing else asks for a version.

| | 3.13 | 4.0 | 4.3 |
|---|---|---|---|
| largest message | 128 MiB | 16 MiB | 16 MiB |
| deliveries of a quorum queue's message | no limit | 20 | 20 |
| what counts towards them | every return | every return | failures: reject, a lost consumer |
| x-death of a publish | goes on | is the client's own | is the client's own |
| priorities of a quorum queue | none | 2, of which the high one goes first | 32 |
| ANONYMOUS | no | yes | yes |
| transient queues that are not exclusive | yes | yes | with permission |
| basic.qos with global | yes | yes | with permission |
| x-queue-master-locator | yes | yes | with permission |
| no ack in time | closes the channel | closes the channel | cancels, of quorum queues only |
| mirroring (ha-*) in policies | ignored | refused | refused |

delivery-mode has the same meaning in all of them: 2 is persistent and everything else is not.
"""

from typing import Final

NO_LIMIT: Final = -1

# Names of RabbitMQ's deprecated features (`deprecated_features.permit.NAME`) that mean something.
TRANSIENT_QUEUES: Final = "transient_nonexcl_queues"
GLOBAL_QOS: Final = "global_qos"
MASTER_LOCATOR: Final = "queue_master_locator"

# What a plain client is offered, the most wanted first; the configuration may name others.
_MECHANISMS: Final = ("PLAIN", "AMQPLAIN")


class Profile:
    """The behaviour of one version; see the table above.

    `forbidden` names the deprecated features that may not be used: those that need a permission
    which the configuration does not give, and those that it takes away.
    """

    def __init__(
        self,
        name: str,
        version: str,
        *,
        message_bytes_max: int = 16777216,
        delivery_limit: int = 20,
        counts_nacks: bool = True,
        counts_acquisitions: bool = False,
        trusts_deaths: bool = False,
        quorum_priorities: int = 2,
        anonymous: bool = True,
        cancels_late_consumers: bool = False,
        mirrors: bool = False,
        ha_failover: bool = False,
        classic_leader_locator: bool = True,
        queue_versions: tuple[int, ...] = (1, 2),
        checks_queue_mode: bool = True,
        newest_quorum: bool = False,
        forbidden: tuple[str, ...] = (),
    ) -> None:
        self.name: Final = name
        self.version: Final = version  # in server-properties
        self.message_bytes_max: Final = message_bytes_max
        self.delivery_limit: Final = delivery_limit  # of quorum queues that say nothing of it
        self.counts_nacks: Final = counts_nacks  # basic.nack counts towards the delivery limit
        self.counts_acquisitions: Final = counts_acquisitions  # x-acquired-count is told
        self.trusts_deaths: Final = trusts_deaths  # x-death that a client published is gone on with
        self.quorum_priorities: Final = quorum_priorities  # levels of a quorum queue
        self.anonymous: Final = anonymous
        self.cancels_late_consumers: Final = cancels_late_consumers
        self.mirrors: Final = mirrors  # ha-* in policies are known
        self.ha_failover: Final = ha_failover  # x-cancel-on-ha-failover is checked
        self.classic_leader_locator: Final = classic_leader_locator  # classic queues know it
        self.queue_versions: Final = queue_versions  # of classic queues
        self.checks_queue_mode: Final = checks_queue_mode
        self.newest_quorum: Final = newest_quorum  # arguments that quorum queues have since 4.3
        self.forbidden = forbidden

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Profile):
            return NotImplemented
        return self.name == other.name and sorted(self.forbidden) == sorted(other.forbidden)

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """The login mechanisms that are offered where the configuration names none."""
        return (*_MECHANISMS, "ANONYMOUS") if self.anonymous else _MECHANISMS

    def permits(self, feature: str) -> bool:
        """Say whether a deprecated feature may be used."""
        return feature not in self.forbidden


def profile_of(name: str, permissions: dict[str, bool] | None = None) -> Profile:
    """Make the profile of a version, with what the configuration permits and forbids.

    Raises KeyError for a name that is not in NAMES.
    """
    if name == "3.13":
        profile = Profile(
            name,
            "3.13.7",
            message_bytes_max=134217728,
            delivery_limit=NO_LIMIT,
            trusts_deaths=True,
            quorum_priorities=1,
            anonymous=False,
            mirrors=True,
            ha_failover=True,
            classic_leader_locator=False,
        )
    elif name == "4.0":
        profile = Profile(name, "4.0.9")
    elif name == "4.3":
        profile = Profile(
            name,
            "4.3.5",
            counts_nacks=False,
            counts_acquisitions=True,
            quorum_priorities=32,
            cancels_late_consumers=True,
            queue_versions=(2,),
            checks_queue_mode=False,
            newest_quorum=True,
            forbidden=(TRANSIENT_QUEUES, GLOBAL_QOS, MASTER_LOCATOR),
        )
    else:
        raise KeyError(name)
    for feature, is_permitted in (permissions or {}).items():
        profile.forbidden = tuple([known for known in profile.forbidden if known != feature])
        if not is_permitted:
            profile.forbidden = (*profile.forbidden, feature)
    return profile


NAMES: Final = ("3.13", "4.0", "4.3")
V3_13: Final = profile_of("3.13")
