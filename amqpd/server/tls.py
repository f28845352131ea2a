"""TLS: the context of a listener, and the user name that a client certificate stands for.

A distinguished name is written as RabbitMQ's plugin for certificates writes it: the last attribute
of the certificate first, RFC 4514's escapes, and every octet outside printable ASCII as `\\XX`.
Users are stored under that spelling, so it has to be the same to the letter.
"""

import ssl
from collections.abc import Mapping
from typing import Final

from amqpd.server.settings import TlsSettings
from amqpd.server.startup import StartupError, reason

VERSIONS: Final = {
    "tlsv1": ssl.TLSVersion.TLSv1,
    "tlsv1.1": ssl.TLSVersion.TLSv1_1,
    "tlsv1.2": ssl.TLSVersion.TLSv1_2,
    "tlsv1.3": ssl.TLSVersion.TLSv1_3,
}

# OpenSSL's long names, as ssl.getpeercert() gives them, and RabbitMQ's short ones.
SHORT_NAMES: Final = {
    "surname": "SN",
    "givenName": "GIVENNAME",
    "initials": "INITIALS",
    "generationQualifier": "GENERATIONQUALIFIER",
    "commonName": "CN",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "title": "TITLE",
    "countryName": "C",
    "serialNumber": "SERIALNUMBER",
    "pseudonym": "PSEUDONYM",
    "domainComponent": "DC",
    "emailAddress": "EMAILADDRESS",
    "streetAddress": "STREET",
    "street": "STREET",
    "userId": "UID",
    "UID": "UID",
}

SAN_KINDS: Final = {"dns": "DNS", "ip": "IP Address", "email": "email", "uri": "URI"}
LOGINS: Final = ("distinguished_name", "common_name", "subject_alternative_name")


def server_context(settings: TlsSettings) -> ssl.SSLContext:
    """Make the context of a TLS listener. Raises StartupError, naming the file that is at fault."""
    if not settings.certfile:
        raise StartupError("a TLS listener needs ssl_options.certfile")
    if settings.cert_login_from not in LOGINS:
        raise StartupError(
            f"ssl_cert_login_from is one of {', '.join(LOGINS)}, not '{settings.cert_login_from}'"
        )
    for path in (settings.certfile, settings.keyfile, settings.cacertfile):
        _readable(path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _choose_versions(context, settings)
    try:
        # always a password, so that OpenSSL never asks for one on the terminal
        context.load_cert_chain(
            settings.certfile, settings.keyfile or None, lambda: settings.password
        )
    except (ssl.SSLError, ValueError) as error:
        files = " and ".join(filter(None, (settings.certfile, settings.keyfile)))
        raise StartupError(
            f"cannot use the certificate and key in {files}: {_words(error)}"
        ) from None
    if settings.ciphers:
        try:
            context.set_ciphers(settings.ciphers)
        except ssl.SSLError:
            raise StartupError(
                f"no usable cipher in ssl_options.ciphers '{settings.ciphers}'"
            ) from None
    _ask_for_certificates(context, settings)
    return context


def _readable(path: str) -> None:
    """Raise StartupError if a file that is named cannot be read."""
    if path:
        try:
            with open(path, "rb"):
                pass
        except OSError as error:
            raise StartupError(f"cannot read {path}: {reason(error)}") from None


def _choose_versions(context: ssl.SSLContext, settings: TlsSettings) -> None:
    """Allow the oldest to the newest version that is named."""
    unknown = [version for version in settings.versions if version not in VERSIONS]
    if unknown or not settings.versions:
        raise StartupError(
            f"ssl_options.versions are {', '.join(VERSIONS)}, not '{', '.join(unknown)}'"
        )
    versions = sorted(VERSIONS[version] for version in settings.versions)
    context.minimum_version = versions[0]
    context.maximum_version = versions[-1]


def _ask_for_certificates(context: ssl.SSLContext, settings: TlsSettings) -> None:
    """Set what clients have to show."""
    if settings.cacertfile:
        try:
            context.load_verify_locations(settings.cacertfile)
        except ssl.SSLError as error:
            raise StartupError(
                f"cannot use the certificates in {settings.cacertfile}: {_words(error)}"
            ) from None
    if settings.verify:
        if not settings.cacertfile:
            raise StartupError(
                "ssl_options.verify = verify_peer needs ssl_options.cacertfile to verify against"
            )
        required = settings.fail_if_no_peer_cert
        context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL


def _words(error: Exception) -> str:
    """Say what OpenSSL says, without its numbers and source lines."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.lower().replace("_", " ")
    if isinstance(error, ssl.SSLError):  # [SSL] PEM lib (_ssl.c:4149)
        return "not in PEM format, or the key is not the certificate's"
    return str(error)


def certificate_login(certificate: Mapping[str, object] | None, settings: TlsSettings) -> str:
    """Return the user name in a certificate, as `ssl.getpeercert()` gives it; "" = none."""
    if not certificate:
        return ""
    if settings.cert_login_from == "subject_alternative_name":
        kind = SAN_KINDS.get(settings.cert_login_san_type, "")
        names = [value for name, value in _pairs(certificate, "subjectAltName") if name == kind]
        index = settings.cert_login_san_index
        return names[index] if index < len(names) else ""
    subject = _names(certificate)
    if settings.cert_login_from == "common_name":
        return ",".join(value for rdn in subject for name, value in rdn if name == "commonName")
    return distinguished_name(subject)


def distinguished_name(subject: list[list[tuple[str, str]]]) -> str:
    """Write a subject as RabbitMQ does: `CN=client,O=server` for O=server, CN=client."""
    return ",".join(
        "+".join(f"{SHORT_NAMES.get(name, name)}={_escape(value)}" for name, value in rdn)
        for rdn in reversed(subject)
    )


def _escape(value: str) -> str:
    """Escape a value as RFC 4514 and RabbitMQ do."""
    parts: list[str] = []
    octets = value.encode()
    for index, octet in enumerate(octets):
        char = chr(octet)
        if index == 0 and char in " #" or index == len(octets) - 1 and char == " ":
            parts.append("\\" + char)
        elif char in '"+,;<>\\':
            parts.append("\\" + char)
        elif octet < 32 or octet >= 126:
            parts.append(f"\\{octet:02X}")
        else:
            parts.append(char)
    return "".join(parts)


def _names(certificate: Mapping[str, object]) -> list[list[tuple[str, str]]]:
    """The subject: a list of relative names, each a list of (attribute, value)."""
    subject = certificate.get("subject")
    if not isinstance(subject, tuple):
        return []
    return [[(str(pair[0]), str(pair[1])) for pair in rdn] for rdn in subject]


def _pairs(certificate: Mapping[str, object], field: str) -> list[tuple[str, str]]:
    """A field of (kind, value) pairs."""
    pairs = certificate.get(field)
    if not isinstance(pairs, tuple):
        return []
    return [(str(pair[0]), str(pair[1])) for pair in pairs]
