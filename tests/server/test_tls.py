"""TLS: names in certificates as RabbitMQ writes them, clear refusals, and logins by certificate."""

import socket
import ssl
from dataclasses import replace

import pika
import pika.exceptions
import pytest

from amqpd.limits import Limits
from amqpd.server.settings import (
    Listener,
    PermissionSetting,
    Settings,
    SocketSettings,
    TlsSettings,
    UserSetting,
)
from amqpd.server.startup import StartupError
from amqpd.server.tls import certificate_login, distinguished_name, server_context
from amqpd.testing.embedded import EmbeddedBroker

SUBJECT = ((("organizationName", "amqpd tests"),), (("commonName", "client"),))
CERTIFICATE = {
    "subject": SUBJECT,
    "subjectAltName": (
        ("DNS", "a.example"),
        ("DNS", "b.example"),
        ("IP Address", "10.0.0.1"),
        ("email", "a@example.org"),
        ("URI", "spiffe://example/a"),
    ),
}


@pytest.mark.parametrize(
    ("subject", "written"),
    [
        ([[("organizationName", "o")], [("commonName", "c")]], "CN=c,O=o"),
        ([[("commonName", "a, b")]], "CN=a\\, b"),
        ([[("commonName", "#1")]], "CN=\\#1"),
        ([[("commonName", " x ")]], "CN=\\ x\\ "),
        ([[("commonName", " ")]], "CN=\\ "),
        ([[("commonName", 'q"+;<>\\')]], 'CN=q\\"\\+\\;\\<\\>\\\\'),
        ([[("commonName", "é")]], "CN=\\C3\\A9"),
        ([[("commonName", "a~b\x01")]], "CN=a\\7Eb\\01"),
        ([[("commonName", "")]], "CN="),
        ([[("commonName", "c"), ("userId", "u")]], "CN=c+UID=u"),
        ([[("1.2.3.4", "v")]], "1.2.3.4=v"),
        (
            [[("countryName", "DE")], [("stateOrProvinceName", "s")], [("localityName", "l")]],
            "L=l,ST=s,C=DE",
        ),
        ([[("domainComponent", "org")], [("emailAddress", "a@b")]], "EMAILADDRESS=a@b,DC=org"),
    ],
)
def test_a_distinguished_name_is_written_as_rabbitmq_writes_it(subject, written):
    assert distinguished_name(subject) == written


def test_a_login_is_the_distinguished_name_by_default():
    assert certificate_login(CERTIFICATE, TlsSettings()) == "CN=client,O=amqpd tests"


def test_a_login_may_be_the_common_name():
    settings = TlsSettings(cert_login_from="common_name")
    assert certificate_login(CERTIFICATE, settings) == "client"


@pytest.mark.parametrize(
    ("kind", "index", "login"),
    [
        ("dns", 0, "a.example"),
        ("dns", 1, "b.example"),
        ("dns", 2, ""),
        ("ip", 0, "10.0.0.1"),
        ("email", 0, "a@example.org"),
        ("uri", 0, "spiffe://example/a"),
        ("other_name", 0, ""),
    ],
)
def test_a_login_may_be_an_alternative_name(kind, index, login):
    settings = TlsSettings(
        cert_login_from="subject_alternative_name",
        cert_login_san_type=kind,
        cert_login_san_index=index,
    )
    assert certificate_login(CERTIFICATE, settings) == login


@pytest.mark.parametrize("certificate", [None, {}])
def test_without_a_certificate_there_is_no_login(certificate):
    assert certificate_login(certificate, TlsSettings()) == ""


def tls(folder, **changes) -> TlsSettings:
    return TlsSettings(str(folder / "server.pem"), str(folder / "server.key"), **changes)


def refusal(settings: TlsSettings) -> str:
    with pytest.raises(StartupError) as refused:
        server_context(settings)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_missing_certificate_is_named():
    assert refusal(TlsSettings()) == "a TLS listener needs ssl_options.certfile"
    missing = TlsSettings("/nowhere/server.pem")
    assert refusal(missing) == "cannot read /nowhere/server.pem: no such file or directory"


def test_a_file_that_is_no_certificate_is_named(certificates, tmp_path):
    path = tmp_path / "text.pem"
    path.write_text("hello")
    assert refusal(TlsSettings(str(path))).startswith(
        f"cannot use the certificate and key in {path}: "
    )


def test_a_key_of_another_certificate_is_refused(certificates):
    settings = replace(tls(certificates), keyfile=str(certificates / "client.key"))
    assert "key values mismatch" in refusal(settings)


def test_an_encrypted_key_needs_its_password(certificates):
    settings = replace(tls(certificates), keyfile=str(certificates / "server-encrypted.key"))
    server_context(replace(settings, password="secret"))
    refusal(replace(settings, password="wrong"))
    refusal(settings)


def test_an_authority_that_is_none_is_named(certificates):
    settings = tls(certificates, cacertfile=str(certificates / "server.key"))
    assert refusal(settings).startswith(f"cannot use the certificates in {settings.cacertfile}: ")


def test_verifying_needs_an_authority(certificates):
    assert "needs ssl_options.cacertfile" in refusal(tls(certificates, verify=True))


@pytest.mark.parametrize("versions", [(), ("sslv3",), ("tlsv1.2", "tls9")])
def test_unknown_versions_are_refused(certificates, versions):
    assert refusal(tls(certificates, versions=versions)).startswith("ssl_options.versions are ")


def test_unknown_ciphers_are_refused(certificates):
    assert "no usable cipher" in refusal(tls(certificates, ciphers="NONSENSE"))


def test_an_unknown_source_of_logins_is_refused(certificates):
    assert "ssl_cert_login_from" in refusal(tls(certificates, cert_login_from="name"))


def test_the_versions_are_the_oldest_to_the_newest_named(certificates):
    context = server_context(tls(certificates, versions=("tlsv1.3", "tlsv1.2")))
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.maximum_version == ssl.TLSVersion.TLSv1_3


def test_clients_are_asked_for_certificates_as_set(certificates):
    authority = str(certificates / "authority.pem")
    modes = {
        (False, False): ssl.CERT_NONE,
        (True, False): ssl.CERT_OPTIONAL,
        (True, True): ssl.CERT_REQUIRED,
    }
    for (verify, required), mode in modes.items():
        settings = tls(
            certificates, cacertfile=authority, verify=verify, fail_if_no_peer_cert=required
        )
        assert server_context(settings).verify_mode == mode


@pytest.fixture(params=["asyncio", "uvloop"])
def secured(request, certificates, recording_log):
    """A broker with a TLS listener that asks for certificates, and users by certificate."""
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    everything = (PermissionSetting(),)
    settings = Settings(
        listeners=(Listener("127.0.0.1", 0, tls=True),),
        loop=request.param,
        tls=tls(certificates, cacertfile=str(certificates / "authority.pem"), verify=True),
        limits=Limits(mechanisms=("PLAIN", "EXTERNAL")),
        users=(
            UserSetting("guest", "guest", (), everything),
            UserSetting("CN=client,O=amqpd tests", "unused", (), everything),
        ),
        sockets=SocketSettings(shutdown_ms=200),
    )
    with EmbeddedBroker(settings, recording_log) as broker:
        yield broker


def client_context(folder, who: str = "") -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(folder / "authority.pem"))
    if who:
        context.load_cert_chain(str(folder / f"{who}.pem"), str(folder / f"{who}.key"))
    return context


def parameters(broker, folder, who: str, credentials) -> pika.ConnectionParameters:
    return pika.ConnectionParameters(
        "127.0.0.1",
        broker.port,
        credentials=credentials,
        ssl_options=pika.SSLOptions(client_context(folder, who), "localhost"),
    )


def round_trip(connection: pika.BlockingConnection, body: bytes) -> None:
    channel = connection.channel()
    channel.queue_declare("q")
    channel.basic_publish("", "q", body)
    assert channel.basic_get("q", auto_ack=True)[2] == body


def test_messages_large_and_small_pass_over_tls(secured, certificates):
    guest = pika.PlainCredentials("guest", "guest")
    with pika.BlockingConnection(parameters(secured, certificates, "", guest)) as connection:
        round_trip(connection, b"small")
        round_trip(connection, bytes(range(256)) * 40_000)


def test_a_certificate_logs_in_by_external(secured, certificates):
    external = pika.credentials.ExternalCredentials()
    with pika.BlockingConnection(parameters(secured, certificates, "client", external)) as client:
        round_trip(client, b"by certificate")


def test_external_without_a_certificate_is_refused(secured, certificates):
    external = pika.credentials.ExternalCredentials()
    with pytest.raises(pika.exceptions.AMQPConnectionError):
        pika.BlockingConnection(parameters(secured, certificates, "", external))


def test_a_certificate_of_another_authority_gets_no_connection(secured, certificates):
    context = client_context(certificates, "intruder")
    with socket.create_connection(("127.0.0.1", secured.port)) as raw, pytest.raises(OSError):
        with context.wrap_socket(raw, server_hostname="localhost") as secure:
            secure.sendall(b"AMQP\0\0\x09\x01")  # with TLS 1.3 the refusal comes with the answer
            if not secure.recv(8):
                raise OSError("closed")


def test_no_tls_on_a_tls_port_is_closed_and_harms_nobody(secured, certificates, recording_log):
    with socket.create_connection(("127.0.0.1", secured.port)) as raw:
        raw.sendall(b"AMQP\0\0\x09\x01" * 10)
        raw.settimeout(10)
        try:
            while raw.recv(4096):
                pass
        except ConnectionResetError:
            pass
    guest = pika.PlainCredentials("guest", "guest")
    pika.BlockingConnection(parameters(secured, certificates, "", guest)).close()
    assert not [event for event in recording_log.events if "trace" in event[2]]


def test_a_probe_of_a_tls_port_is_no_warning(secured, certificates, recording_log):
    socket.create_connection(("127.0.0.1", secured.port)).close()
    guest = pika.PlainCredentials("guest", "guest")
    pika.BlockingConnection(parameters(secured, certificates, "", guest)).close()
    assert not [e for e in recording_log.events if e[0] in ("warning", "error")]
