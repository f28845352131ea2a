"""Login responses: what is read, and that everything else is a BadResponse."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amqpd.protocol.sasl import BadResponse, amqplain, external, plain
from amqpd.wire.tables import Field, Table, encode_table, long, longstr


def entries(table: Table) -> bytes:
    """Build the entries of a table without a length ahead."""
    return encode_table(table)[4:]


@pytest.mark.parametrize(
    ("response", "user", "password"),
    [
        (b"\0guest\0secret", "guest", "secret"),
        (b"\0gu\xc3\xa9\0p\xc3\xa4", "gué", "pä"),
        (b"\0\0", "", ""),
        (b"\0guest\0", "guest", ""),
        (b"\0\0x", "", "x"),
        (b"\0a\xff\0b\xfe", "a\udcff", "b\udcfe"),
    ],
)
def test_plain_is_user_and_password(response: bytes, user: str, password: str) -> None:
    assert plain(response) == (user, password)


@pytest.mark.parametrize(
    "response",
    [b"", b"\0", b"\0guest", b"guest\0guest", b"x\0guest\0guest", b"\0a\0b\0", b"\0a\0b\0c"],
)
def test_anything_else_is_no_plain(response: bytes) -> None:
    with pytest.raises(BadResponse) as refused:
        plain(response)
    assert "guest" not in str(refused.value)


@pytest.mark.parametrize(
    "table",
    [
        {"LOGIN": longstr("gué"), "PASSWORD": longstr("pä")},
        {"PASSWORD": longstr("pä"), "other": long(1), "LOGIN": longstr("gué")},
        {"LOGIN": longstr("gué"), "PASSWORD": Field("x", "pä".encode())},
    ],
)
def test_amqplain_is_a_table_with_two_strings(table: Table) -> None:
    assert amqplain(entries(table)) == ("gué", "pä")


def test_of_two_logins_the_first_counts() -> None:
    response = (
        entries({"LOGIN": longstr("first")})
        + entries({"LOGIN": longstr("second")})
        + entries({"PASSWORD": longstr("secret")})
    )
    assert amqplain(response) == ("first", "secret")


WHOLE = entries({"LOGIN": longstr("guest"), "PASSWORD": longstr("secret")})


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"abc",
        struct.pack(">I", len(WHOLE)) + WHOLE,
        WHOLE + b"\0",
        entries({"LOGIN": longstr("guest")}),
        entries({"PASSWORD": longstr("secret")}),
        entries({"LOGIN": longstr("guest"), "PASSWORD": long(1)}),
        entries({"LOGIN": Field("V", None), "PASSWORD": longstr("secret")}),
        entries({"login": longstr("guest"), "password": longstr("secret")}),
    ],
)
def test_anything_else_is_no_amqplain(response: bytes) -> None:
    with pytest.raises(BadResponse) as refused:
        amqplain(response)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("size", range(len(WHOLE)))
def test_no_prefix_of_a_response_is_one(size: int) -> None:
    with pytest.raises(BadResponse):
        amqplain(WHOLE[:size])


@given(st.binary(max_size=40))
def test_any_octets_are_read_or_refused(response: bytes) -> None:
    for read in (plain, amqplain):
        try:
            user, password = read(response)
        except BadResponse:
            continue
        assert isinstance(user, str) and isinstance(password, str)


def test_external_is_whom_the_certificate_names() -> None:
    assert external("CN=ann") == ("CN=ann", True)
    assert external("") == ("", False)
