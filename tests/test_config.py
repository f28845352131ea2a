"""Settings: the file's form, what values may look like, who wins, and what mistakes are told."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from amqpd.config import environment, foreign, keys, values
from amqpd.config.keys import KEYS
from amqpd.config.load import Loaded, load
from amqpd.config.syntax import Assignment, ConfigError, read, split_key
from amqpd.limits import Limits
from amqpd.server.settings import Listener, PermissionSetting, Settings, UserSetting

SAMPLE = Path(__file__).parents[1] / "conf" / "amqpd.conf"
SETTING = re.compile(r"# ([a-zA-Z0-9_.]+) = (.+)")


def loaded(
    tmp_path: Path, text: str = "", environ: Mapping[str, str] | None = None, **options: str
) -> Loaded:
    """What a file, an environment and options (`__` for a dot) amount to together."""
    path = tmp_path / "amqpd.conf"
    path.write_text(text, encoding="utf-8")
    given = [
        Assignment(split_key(k.replace("__", ".")), v, f"option {k}") for k, v in options.items()
    ]
    return load(given, str(path), environ or {})


def settings(tmp_path: Path, text: str = "", **options: str) -> Settings:
    """The settings that a file and options amount to."""
    return loaded(tmp_path, text, {}, **options).settings


def error(tmp_path: Path, text: str, environ: Mapping[str, str] | None = None) -> str:
    """The message about a file, without the folder that it is in."""
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, text, environ)
    message = str(refused.value)
    assert "\n" not in message
    return message.replace(f"{tmp_path}/", "")


def bounds(limits: Limits) -> dict[str, object]:
    """All attributes of the limits, compiled or not."""
    return {n: getattr(limits, n) for n in dir(limits) if not n.startswith("_")}


# The form of the file


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("cluster_name = a", "a"),
        ("cluster_name=a", "a"),
        ("  cluster_name\t=  a b  ", "a b"),
        ("cluster_name = a # why", "a"),
        ("cluster_name = a#b", "a"),
        ("cluster_name = 'a # b '", "a # b "),
        ("cluster_name = 'a' # why", "a"),
        ("cluster_name = '''a'''", "a"),
        ("cluster_name = '''a\nb'''", "a\nb"),
        ("cluster_name = '''\na 'b'\n''' # why", "a 'b'"),
        ("cluster_name = a\r", "a"),
        ("\ufeffcluster_name = a", "a"),
        ("cluster_name = a\ncluster_name = b", "b"),
        ("cluster_name = x = y", "x = y"),
        ("# only a comment\n\ncluster_name = é", "é"),
    ],
)
def test_a_value_is_read_as_rabbitmq_reads_it(tmp_path: Path, line: str, value: str) -> None:
    assert settings(tmp_path, line).limits.cluster_name == value


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("heartbeat", 'amqpd.conf:1: expected "key = value", not "heartbeat"'),
        ("heart beat = 1", 'amqpd.conf:1: expected "key = value", not "heart beat = 1"'),
        ("a..b = 1", 'amqpd.conf:1: expected "key = value", not "a..b = 1"'),
        ("heartbeat =", "amqpd.conf:1: there is no value (write '' for an empty one)"),
        ("heartbeat = # 5", "amqpd.conf:1: there is no value (write '' for an empty one)"),
        ("\nheartbeat = '5", "amqpd.conf:2: the closing ' is missing"),
        ("\nheartbeat = '''5\n\n", "amqpd.conf:2: the closing ''' is missing"),
        ("heartbeat = '5' 6", 'amqpd.conf:1: unexpected "6" behind the closing quote'),
        ("include gone.conf", "amqpd.conf:1: no file gone.conf"),
        ("include amqpd.conf", "amqpd.conf:1: files include each other more than 8 deep"),
        ("data_dir = $(GONE)", "amqpd.conf:1: $(GONE) is no key and no variable"),
        (
            "data_dir = $(cluster_name)\ncluster_name = $(data_dir)",
            "amqpd.conf:1: too many $(...) in data_dir, or they go in a circle",
        ),
        ("data_dir = $(<gone)", "amqpd.conf:1: cannot read gone: No such file or directory"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(tmp_path: Path, line: str, message: str) -> None:
    assert error(tmp_path, line) == message


def test_a_value_may_name_a_variable_a_key_and_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("pa#ss\n", encoding="utf-8")
    text = "default_pass = $(<secret)\ndata_dir = $(HOME)/$(cluster_name)\ncluster_name = c"
    found = loaded(tmp_path, text, {"HOME": "/h"}).settings
    assert found.users[0].password == "pa#ss"
    assert found.data_dir == "/h/c"


def test_files_are_included_in_the_order_of_their_names(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "20.conf").write_text("heartbeat = 20\nchannel_max = 7")
    (tmp_path / "conf.d" / "10.conf").write_text("heartbeat = 10")
    found = settings(tmp_path, "include conf.d/*.conf\nchannel_max = 8\ninclude none.d/*.conf")
    assert (found.limits.heartbeat_s, found.limits.channel_max) == (20, 8)


def test_a_folder_stands_for_its_conf_files(tmp_path: Path) -> None:
    (tmp_path / "10.conf").write_text("heartbeat = 10")
    (tmp_path / "20.conf").write_text("heartbeat = 20")
    (tmp_path / "30.txt").write_text("heartbeat = 30")
    assert [item.text for item in read(tmp_path, {})] == ["10", "20"]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read .*gone: No such file or directory"):
        load([], str(tmp_path / "gone"), {})
    (tmp_path / "latin").write_bytes(b"cluster_name = \xe9")
    with pytest.raises(ConfigError, match="cannot read .*latin: it is not UTF-8 text"):
        load([], str(tmp_path / "latin"), {})


# Values


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0", 0),
        ("131072", 131072),
        ("7B", 7),
        ("1k", 1000),
        ("1KB", 1000),
        ("1 kb", 1000),
        ("1Ki", 1024),
        ("1KiB", 1024),
        ("50MB", 50_000_000),
        ("64MiB", 64 << 20),
        ("2g", 2_000_000_000),
        ("2GIB", 2 << 30),
        ("3TB", 3_000_000_000_000),
        ("1PiB", 1 << 50),
    ],
)
def test_sizes_have_rabbitmqs_units(text: str, count: int) -> None:
    assert values.size(0, 1 << 60)(text) == count


@pytest.mark.parametrize("text", ["", "x", "1.5GB", "-1", "1XB", "10 000", "1e3", "2EB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a size such as"):
        values.size(0, 1 << 60)(text)


@pytest.mark.parametrize(
    ("text", "ms"), [("0", 0), ("250", 250), ("250ms", 250), ("10s", 10_000), ("5 m", 300_000)]
)
def test_a_bare_time_is_milliseconds(text: str, ms: int) -> None:
    assert values.duration_ms(0, 300_000)(text) == ms


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("5672", ("", 5672)),
        ("0", ("", 0)),
        ("127.0.0.1:5673", ("127.0.0.1", 5673)),
        ("[::1]:5672", ("::1", 5672)),
        ("::1:5672", ("::1", 5672)),
        (":::5672", ("::", 5672)),
        ("localhost:1", ("localhost", 1)),
        ("*:1", ("", 1)),
    ],
)
def test_addresses_as_rabbitmq_writes_them(text: str, where: tuple[str, int]) -> None:
    assert values.address(text) == where


@pytest.mark.parametrize("text", ["", "x", "127.0.0.1", "127.0.0.1:", "[::1]", "1:65536", "1:-1"])
def test_an_address_needs_a_port(text: str) -> None:
    with pytest.raises(ValueError, match="a port, address:port"):
        values.address(text)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("heartbeat = soon", "a whole number of seconds from 0 to 65535"),
        ("heartbeat = 65536", "a whole number of seconds from 0 to 65535"),
        ("heartbeat = -1", "a whole number of seconds from 0 to 65535"),
        ("channel_max = ٣", "a whole number from 0 to 65535"),
        ("frame_max = 4095", "0 (no limit) or a size from 4096 bytes"),
        ("max_message_size = 513MiB", "a size from 1 to 536870912 bytes"),
        ("connection_max = 0", "a whole number from 1 to 10000000, or infinity"),
        ("handshake_timeout = 0", "a time from 1ms to 86400000ms, such as 500ms, 10s or 5m"),
        ("ssl_options.verify = yes", "one of verify_none, verify_peer"),
        ("tcp_listen_options.nodelay = yes", "true or false"),
        ("vm_memory_high_watermark.relative = 1.5", "a decimal number from 0 to 1"),
        ("vm_memory_high_watermark.relative = .", "a decimal number from 0 to 1"),
        ("listeners.tcp.1 = here", "a port, address:port or [IPv6 address]:port, such as 127"),
        ("default_permissions.write = (", "a regular expression (missing ), unterminated subpat"),
        ("data_dir = ''", "something that is not empty"),
        ("auth_mechanisms.1 = SCRAM", "one of PLAIN, AMQPLAIN, EXTERNAL, ANONYMOUS"),
        (
            "consumer_timeout = 0",
            "a time from 1ms to 31536000000ms, such as 500ms, 10s or 5m, or undefined",
        ),
        ("rabbitmq_version = 3.12", "one of 3.13, 4.0, 4.3"),
    ],
)
def test_a_bad_value_is_told_with_its_place(tmp_path: Path, line: str, expected: str) -> None:
    key, _, value = line.partition(" = ")
    value = value.strip("'")
    assert error(tmp_path, line).startswith(f'amqpd.conf:1: {key} = "{value}": expected {expected}')


def test_a_bad_password_is_not_shown(tmp_path: Path) -> None:
    message = error(tmp_path, "default_pass = encrypted:c2VjcmV0")
    assert message.startswith("amqpd.conf:1: default_pass: expected a password in the clear")
    assert "c2VjcmV0" not in message


def test_bounds_of_a_sockets_buffers_are_in_order(tmp_path: Path) -> None:
    message = error(tmp_path, "sockets.write_high_bytes = 4096")
    assert "expected write_low_bytes <= write_high_bytes <= write_held_bytes" in message


# Unknown keys


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("hearbeat", "heartbeat"),
        ("default_users.al.pasword", "default_users.al.password"),
        ("ssl_option.certfile", "ssl_options.certfile"),
        ("listener.tcp.default", "listeners.tcp.default"),
        ("cluster_formation.peer_discovery_backed", "cluster_formation.peer_discovery_backend"),
    ],
)
def test_an_unknown_key_is_an_error_with_the_nearest_name(
    tmp_path: Path, key: str, near: str
) -> None:
    message = error(tmp_path, f"\n\n{key} = 1")
    assert message == f'amqpd.conf:3: unknown key "{key}" (did you mean "{near}"?)'


def test_a_key_unlike_any_other_is_just_unknown(tmp_path: Path) -> None:
    assert error(tmp_path, "zzz = 1") == 'amqpd.conf:1: unknown key "zzz"'


def test_rabbitmqs_own_keys_are_named_in_one_warning(tmp_path: Path) -> None:
    found = loaded(tmp_path, "net_ticktime = 60\nheartbeat = 5\nmqtt.listeners.tcp.1 = 1883")
    assert found.settings.limits.heartbeat_s == 5
    (warning,) = found.warnings
    assert warning.replace(f"{tmp_path}/", "") == (
        "known to RabbitMQ and without effect here: "
        "net_ticktime (amqpd.conf:1), mqtt.listeners.tcp.1 (amqpd.conf:3)"
    )


def test_a_newer_rabbitmq_has_other_defaults(tmp_path: Path) -> None:
    found = settings(tmp_path, "rabbitmq_version = 4.3\nmax_message_size = 5MB")
    assert found.profile.name == "4.3"
    assert found.limits.version == "4.3.5"
    assert found.limits.message_bytes_max == 5_000_000
    assert found.limits.mechanisms == ("PLAIN", "AMQPLAIN", "ANONYMOUS")
    found = settings(tmp_path, "rabbitmq_version = 4.0\nproduct.version = 4.1.2")
    assert (found.limits.version, found.limits.message_bytes_max) == ("4.1.2", 16_777_216)


def test_deprecated_features_are_permitted_or_not(tmp_path: Path) -> None:
    lines = "deprecated_features.permit.global_qos = false"
    assert not settings(tmp_path, lines).profile.permits("global_qos")
    lines = "rabbitmq_version = 4.3\ndeprecated_features.permit.transient_nonexcl_queues = true"
    profile = settings(tmp_path, lines).profile
    assert profile.permits("transient_nonexcl_queues")
    assert not profile.permits("global_qos")


@pytest.mark.parametrize(
    ("value", "timeout_ms"), [("5000", 5000), ("1h", 3_600_000), ("undefined", 0), ("false", 0)]
)
def test_the_consumer_timeout(tmp_path: Path, value: str, timeout_ms: int) -> None:
    found = settings(tmp_path, f"consumer_timeout = {value}")
    assert found.limits.consumer_timeout_ms == timeout_ms


def test_keys_with_rabbitmqs_names_are_rabbitmqs() -> None:
    names = {key.name for key in foreign.rabbitmq_keys()}
    ours = {key.name for key in KEYS if key.name not in names}
    own = ("(", "limits.", "sockets.", "watermark.", "vhosts.")
    assert {name for name in ours if not name.startswith(own)} == {
        "data_dir",
        "event_loop",
        "rabbitmq_version",
        "store",
        "store.segment_bytes",
        "store.sync",
        "store.waiting_bytes",
        "default_users.$name.password_hash",
    }


def test_no_key_hides_another() -> None:
    for key in KEYS:
        example = tuple("x" if part.startswith("$") else part for part in key.parts)
        assert [k.name for k in KEYS if k.free_parts(example) is not None] == [key.name]


# Who wins


def test_an_option_wins_over_a_variable_over_the_file_over_the_default(tmp_path: Path) -> None:
    text = "heartbeat = 10\nchannel_max = 10\nconnection_max = 10"
    environ = {"AMQPD_HEARTBEAT": "20", "AMQPD_CHANNEL_MAX": "20"}
    found = loaded(tmp_path, text, environ, heartbeat="30").settings.limits
    assert (found.heartbeat_s, found.channel_max, found.connection_max) == (30, 20, 10)
    assert found.frame_max == Limits().frame_max


def test_nothing_given_is_the_default() -> None:
    found = load([], "", {}).settings
    assert bounds(found.limits) == bounds(Limits())
    assert found == Settings(limits=found.limits, in_memory=False)


def test_both_names_of_a_setting_are_one_setting(tmp_path: Path) -> None:
    found = settings(tmp_path, "channel_max = 1\nmax_channels_per_connection = 2")
    assert found.limits.channel_max == 2


def test_a_variable_of_every_setting(tmp_path: Path) -> None:
    environ = {
        "AMQPD_LISTENERS_TCP_MINE": "1.2.3.4:5",
        "AMQPD_DEFAULT_USERS_Alice_x_PASSWORD": "secret",
        "AMQPD_VM_MEMORY_HIGH_WATERMARK_ABSOLUTE": "1GB",
        "AMQPD_SOCKETS_DRAIN_MS": "7",
        "AMQPD_HEARTBEAT": "",  # as good as none
    }
    found = loaded(tmp_path, "", environ).settings
    assert found.listeners == (Listener("1.2.3.4", 5),)
    assert found.users[1].name == "Alice_x"
    assert found.watermark.memory_absolute == 1_000_000_000
    assert found.sockets.drain_ms == 7
    assert found.limits.heartbeat_s == 60


def test_a_bad_variable_is_named(tmp_path: Path) -> None:
    message = error(tmp_path, "", {"AMQPD_HEARTBEAT": "x"})
    assert message.startswith('environment variable AMQPD_HEARTBEAT: heartbeat = "x": expected')


def test_an_unknown_variable_is_a_warning(tmp_path: Path) -> None:
    environ = {"AMQPD_PORT": "tcp://10.0.0.1:5672", "AMQPD_HARTBEAT": "1", "AMQPD_PURE": "1"}
    found = loaded(tmp_path, "", environ)
    assert found.settings.listeners == Settings().listeners
    assert found.warnings == (
        "AMQPD_HARTBEAT is in the environment and is no setting of amqpd",
        "AMQPD_PORT is in the environment and is no setting of amqpd",
    )


def test_the_variables_of_rabbitmqs_image(tmp_path: Path) -> None:
    (tmp_path / "pass").write_text("from a file\n")
    environ = {
        "RABBITMQ_DEFAULT_USER": "admin",
        "RABBITMQ_DEFAULT_PASS_FILE": str(tmp_path / "pass"),
        "RABBITMQ_DEFAULT_VHOST": "shop",
        "RABBITMQ_NODE_PORT": "5673",
        "RABBITMQ_NODE_IP_ADDRESS": "0.0.0.0",
        "RABBITMQ_NODENAME": "rabbit@x",
    }
    found = loaded(tmp_path, "default_user = other\ndefault_vhost = v", environ).settings
    shop = (PermissionSetting("shop"),)
    assert found.users == (UserSetting("admin", "from a file", ("administrator",), shop),)
    assert found.vhosts == ("shop",)
    assert found.listeners == (Listener("0.0.0.0", 5673),)
    assert found.limits.cluster_name == "rabbit@x"
    environ |= {"AMQPD_PORT": "5674", "RABBITMQ_DEFAULT_PASS": "stronger"}
    found = loaded(tmp_path, "", environ).settings
    assert found.listeners == (Listener("0.0.0.0", 5674),)
    assert found.users[0].password == "stronger"


def test_more_variables_of_rabbitmqs_image(tmp_path: Path) -> None:
    environ = {
        "RABBITMQ_NODENAME": "rabbit",
        "RABBITMQ_LOGS": "broker.log",
        "RABBITMQ_LOG_BASE": "/logs",
        "RABBITMQ_LOG": "debug,+color",
        "RABBITMQ_MNESIA_DIR": "/data",
    }
    found = loaded(tmp_path, "", environ).settings
    assert found.limits.cluster_name.startswith("rabbit@")
    assert (found.log.file, found.log.level) == ("/logs/broker.log", "debug")
    assert found.data_dir == "/data"
    environ["RABBITMQ_LOGS"] = "-"
    found = loaded(tmp_path, "cluster_name = mine\nlog.file = a.log", environ).settings
    assert found.log.file == "" and found.limits.cluster_name == "mine"


def test_definitions_have_several_names(tmp_path: Path) -> None:
    newer = "definitions.import_backend = local_filesystem\ndefinitions.local.path = d"
    for text in ("load_definitions = d", "management.load_definitions = d", newer):
        assert settings(tmp_path, text).definitions == "d"
    found = loaded(tmp_path, "load_definitions = d", {"AMQPD_DEFINITIONS": "e"})
    assert found.settings.definitions == "e"


def test_a_folder_of_files_is_read(tmp_path: Path) -> None:
    (tmp_path / "1.conf").write_text("heartbeat = 3")
    environ = {"RABBITMQ_CONFIG_FILES": str(tmp_path)}
    assert load([], "", environ).settings.limits.heartbeat_s == 3


def test_which_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "broker.conf"
    path.write_text("heartbeat = 3")
    for variable in ("AMQPD_CONFIG", "RABBITMQ_CONFIG_FILE"):
        for name in (str(path), str(tmp_path / "broker")):
            assert environment.config_path({variable: name}) == str(path)
            assert load([], "", {variable: name}).path == str(path)
    other = tmp_path / "other.conf"
    other.write_text("")
    assert load([], str(other), {"AMQPD_CONFIG": str(path)}).path == str(other)


# Listeners


@pytest.mark.parametrize(
    ("text", "listeners"),
    [
        ("", [("127.0.0.1", 5672, False)]),
        ("listeners.tcp.default = 5672", [("", 5672, False)]),
        (
            "listeners.tcp.a = 1.1.1.1:1\nlisteners.tcp.b = [::1]:2",
            [("1.1.1.1", 1, False), ("::1", 2, False)],
        ),
        ("listeners.tcp.a = 1\nlisteners.tcp.b = 1", [("", 1, False)]),
        ("listeners.ssl.a = 5671", [("127.0.0.1", 5672, False), ("", 5671, True)]),
        ("listeners.tcp = none\nlisteners.ssl.a = 5671", [("", 5671, True)]),
        ("listeners.ssl.a = 5671\nlisteners.ssl = none", [("127.0.0.1", 5672, False)]),
    ],
)
def test_listeners(tmp_path: Path, text: str, listeners: list[tuple[str, int, bool]]) -> None:
    assert settings(tmp_path, text).listeners == tuple(Listener(*row) for row in listeners)


def short(tmp_path: Path, text: str, **given: str) -> Settings:
    """The settings of a file and short options such as `port`."""
    options = [
        item for name, value in given.items() for item in environment.shorthand(name, value, name)
    ]
    path = tmp_path / "amqpd.conf"
    path.write_text(text)
    return load(options, str(path), {}).settings


def test_bind_and_port_replace_addresses_and_ports(tmp_path: Path) -> None:
    two = "listeners.tcp.a = 1.1.1.1:1\nlisteners.tcp.b = [::1]:2\nlisteners.ssl.a = 3"
    assert short(tmp_path, two, port="9").listeners == (
        Listener("1.1.1.1", 9),
        Listener("::1", 9),
        Listener("", 3, tls=True),
    )
    assert short(tmp_path, two, bind="*", port="9", tls_port="8").listeners == (
        Listener("", 9),
        Listener("", 8, tls=True),
    )
    assert short(tmp_path, "", bind="127.0.0.1,[::1]").listeners == (
        Listener("127.0.0.1", 5672),
        Listener("::1", 5672),
    )
    assert short(tmp_path, "", tls_port="0").listeners == (
        Listener("127.0.0.1", 5672),
        Listener("127.0.0.1", 0, tls=True),
    )
    assert short(tmp_path, "listeners.tcp = none", port="7").listeners == (Listener(port=7),)


def test_nothing_to_listen_on_is_an_error(tmp_path: Path) -> None:
    assert error(tmp_path, "listeners.tcp = none").startswith("there is nothing to listen on")


# Vhosts, users, permissions


def test_the_first_user_and_its_permissions(tmp_path: Path) -> None:
    text = """
        default_vhost = shop
        vhosts.1 = staging
        default_user = admin
        default_pass = secret
        default_user_tags.monitoring = true
        default_user_tags.management = false
        default_permissions.configure = ''
        default_permissions.write = ^in
    """
    found = settings(tmp_path, text)
    permission = PermissionSetting("shop", "", "^in", ".*")
    assert found.vhosts == ("shop", "staging")
    assert found.users == (UserSetting("admin", "secret", ("monitoring",), (permission,)),)


def test_further_users(tmp_path: Path) -> None:
    text = r"""
        vhosts.1 = staging
        vhosts.2 = /
        default_users.alice.password = secret
        default_users.alice.tags = monitoring, management
        default_users.alice.vhost_pattern = ^sta
        default_users.alice.write = ''
        default_users.b\.ob.password_hash = jzpR
        default_users.cert.read = ^q
    """
    guest, alice, bob, certificate = settings(tmp_path, text).users
    assert guest == Settings().users[0]
    assert (alice.name, alice.password, alice.tags) == (
        "alice",
        "secret",
        ("monitoring", "management"),
    )
    assert alice.permissions == (PermissionSetting("staging", ".*", "", ".*"),)
    assert (bob.name, bob.password, bob.password_hash) == ("b.ob", "", "jzpR")
    assert [row.vhost for row in bob.permissions] == ["/", "staging"]
    assert certificate.permissions[0] == PermissionSetting("/", ".*", ".*", "^q")


def test_users_on_the_command_line_replace_guest(tmp_path: Path) -> None:
    found = short(tmp_path, "vhosts.1 = v", user="al:pa:ss", vhost="w")
    everywhere = tuple(PermissionSetting(vhost) for vhost in ("/", "v", "w"))
    assert found.users == (UserSetting("al", "pa:ss", ("administrator",), everywhere),)
    for wrong in ("al", "al:", ":x"):
        with pytest.raises(ConfigError, match="^user: expected NAME:PASSWORD$"):
            short(tmp_path, "", user=wrong)


@pytest.mark.parametrize(
    ("text", "users"),
    [
        ("", ("guest",)),
        ("loopback_users = none", ()),
        ("loopback_users.guest = false", ()),
        ("loopback_users.alice = true", ("guest", "alice")),
        ("loopback_users.guest = false\nloopback_users.alice = true", ("alice",)),
    ],
)
def test_who_may_only_come_from_this_machine(
    tmp_path: Path, text: str, users: tuple[str, ...]
) -> None:
    assert settings(tmp_path, text).limits.loopback_users == users


# The rest


def test_mechanisms_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    text = "auth_mechanisms.10 = PLAIN\nauth_mechanisms.2 = EXTERNAL"
    assert settings(tmp_path, text).limits.mechanisms == ("EXTERNAL", "PLAIN")


def test_tls_settings(tmp_path: Path) -> None:
    text = """
        ssl_options.certfile = c.pem
        ssl_options.verify = verify_peer
        ssl_options.versions.1 = tlsv1.3
        ssl_options.ciphers.1 = A
        ssl_options.ciphers.2 = B
        ssl_cert_login_from = common_name
        ssl_handshake_timeout = 2s
    """
    tls = settings(tmp_path, text).tls
    assert (tls.certfile, tls.verify, tls.versions, tls.ciphers) == (
        "c.pem",
        True,
        ("tlsv1.3",),
        "A:B",
    )
    assert (tls.cert_login_from, tls.handshake_timeout_ms) == ("common_name", 2000)


def test_an_absolute_watermark_wins(tmp_path: Path) -> None:
    text = "disk_free_limit.relative = 1.5"
    assert settings(tmp_path, text).watermark.disk_free_relative == 1.5
    found = settings(tmp_path, f"{text}\ndisk_free_limit.absolute = 1GB").watermark
    assert (found.disk_free_bytes, found.disk_free_relative) == (1_000_000_000, None)


@pytest.mark.parametrize(
    ("text", "log"),
    [
        ("log.default.level = debug", ("debug", "text", "")),
        ("log.console.level = notice\nlog.default.level = error", ("info", "text", "")),
        ("log.console.formatter = json", ("info", "json", "")),
        ("log.console = false", ("none", "text", "")),
        ("log.file = false", ("info", "text", "")),
        (
            "log.file = a.log\nlog.dir = /l\nlog.file.level = alert",
            ("critical", "text", "/l/a.log"),
        ),
        (
            "log.file = /x/a.log\nlog.dir = /l\nlog.file.formatter = json",
            ("info", "json", "/x/a.log"),
        ),
    ],
)
def test_log_settings(tmp_path: Path, text: str, log: tuple[str, str, str]) -> None:
    found = settings(tmp_path, text).log
    assert (found.level, found.format, found.file) == log


# conf/amqpd.conf


def sample_settings() -> list[tuple[str, str, str]]:
    """Key, value and the paragraph above of every setting in conf/amqpd.conf."""
    found, paragraph = [], ""
    for line in SAMPLE.read_text(encoding="utf-8").splitlines():
        setting = SETTING.fullmatch(line)
        if setting is not None:
            found.append((setting[1], setting[2], paragraph))
        else:
            paragraph = f"{paragraph} {line[1:]}" if line.startswith("# ") else ""
    return found


def test_the_sample_file_sets_nothing_as_it_is() -> None:
    assert read(SAMPLE, {}) == []


def test_the_sample_file_names_every_setting() -> None:
    named = [split_key(key) for key, _, _ in sample_settings()]
    missing = [
        key.name
        for key in KEYS
        if not key.name.startswith("(") and all(key.free_parts(name) is None for name in named)
    ]
    assert missing == []
    aliases = [alias for key in KEYS for alias in key.aliases]
    assert [alias for alias in aliases if alias not in SAMPLE.read_text(encoding="utf-8")] == []


@pytest.mark.parametrize(("key", "value", "paragraph"), sample_settings())
def test_every_line_of_the_sample_file_is_sound(
    tmp_path: Path, key: str, value: str, paragraph: str
) -> None:
    text = f"{key} = {value}"
    if key == "listeners.tcp":
        text += "\nlisteners.ssl.1 = 5671"
    assert loaded(tmp_path, text).warnings == ()
    assert len(paragraph) > 20, "a setting without a word about it"


def test_the_sample_file_tells_the_defaults(tmp_path: Path) -> None:
    lines = [
        f"{key} = {value}"
        for key, value, paragraph in sample_settings()
        if "Default:" not in paragraph and value != "none"
    ]
    assert len(lines) > 50
    found = settings(tmp_path, "\n".join(lines))
    assert bounds(found.limits) == bounds(Limits())
    assert found == Settings(limits=found.limits, in_memory=False)


def test_the_sample_file_names_the_short_options() -> None:
    text = SAMPLE.read_text(encoding="utf-8")
    for name in environment.SHORTHANDS:
        name = "memory" if name == "store" else name  # a switch, named for what it turns on
        assert f"--{name.replace('_', '-')}" in text


def test_levels_are_rabbitmqs() -> None:
    assert set(keys.LEVELS.values()) == {"debug", "info", "warning", "error", "critical", "none"}
