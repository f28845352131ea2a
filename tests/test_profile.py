"""Profiles: one per version, and what the configuration permits."""

import pytest

from amqpd.limits import Limits
from amqpd.profile import GLOBAL_QOS, NAMES, TRANSIENT_QUEUES, V3_13, profile_of
from amqpd.server.settings import like_rabbitmq


def test_every_name_has_its_profile() -> None:
    assert [profile_of(name).name for name in NAMES] == list(NAMES)
    with pytest.raises(KeyError):
        profile_of("3.12")


def test_the_oldest_is_what_limits_are_by_default() -> None:
    assert profile_of("3.13") == V3_13
    limits = Limits()
    assert limits.version == V3_13.version
    assert limits.message_bytes_max == V3_13.message_bytes_max
    assert limits.mechanisms == V3_13.mechanisms


def test_permissions_change_a_profile_of_their_own() -> None:
    strict = profile_of("3.13", {GLOBAL_QOS: False})
    assert strict != V3_13 and not strict.permits(GLOBAL_QOS) and V3_13.permits(GLOBAL_QOS)
    lenient = profile_of("4.3", {GLOBAL_QOS: True, "anything": True})
    assert lenient.permits(GLOBAL_QOS) and not lenient.permits(TRANSIENT_QUEUES)


def test_settings_for_embedders() -> None:
    settings = like_rabbitmq("4.3", {TRANSIENT_QUEUES: True})
    assert settings.limits.version == settings.profile.version == "4.3.5"
    assert settings.profile.permits(TRANSIENT_QUEUES)
    assert "ANONYMOUS" in settings.limits.mechanisms
