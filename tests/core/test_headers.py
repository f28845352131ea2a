"""Header matching: the four modes, what is equal to what, and the texts of refusals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amqpd.core.headers import compile_match
from amqpd.errors import PRECONDITION_FAILED, SoftError
from amqpd.wire.tables import Decimal, Field, Table, array, boolean, long, longstr, table

VOID = Field("V", None)


def matches(arguments: Table, headers: Table | None, mode: str = "") -> bool:
    """Match once."""
    if mode:
        arguments = {"x-match": longstr(mode), **arguments}
    return compile_match(arguments).matches(headers)


ONE_TWO: Table = {"a": long(1), "b": long(2)}


@pytest.mark.parametrize(
    ("headers", "fits_all", "fits_any"),
    [
        (None, False, False),
        ({}, False, False),
        ({"c": long(1)}, False, False),
        ({"a": long(2), "b": long(1)}, False, False),
        ({"a": long(1)}, False, True),
        ({"b": long(2), "a": long(2)}, False, True),
        ({"a": long(1), "b": long(2)}, True, True),
        ({"a": long(1), "b": long(2), "c": long(3)}, True, True),
    ],
)
def test_all_wants_every_argument_and_any_wants_one(
    headers: Table | None, fits_all: bool, fits_any: bool
) -> None:
    assert matches(ONE_TWO, headers) is fits_all
    for mode in ("all", "all-with-x"):
        assert matches(ONE_TWO, headers, mode) is fits_all
    for mode in ("any", "any-with-x"):
        assert matches(ONE_TWO, headers, mode) is fits_any


@pytest.mark.parametrize("headers", [None, {}, {"a": long(1)}])
def test_without_arguments_all_fits_everything_and_any_nothing(headers: Table | None) -> None:
    assert matches({}, headers)
    for mode in ("all", "all-with-x"):
        assert matches({}, headers, mode)
    for mode in ("any", "any-with-x"):
        assert not matches({}, headers, mode)


def test_names_that_begin_with_x_count_only_with_x() -> None:
    arguments: Table = {"x-a": long(1), "b": long(2)}
    assert matches(arguments, {"b": long(2)}, "all")
    assert not matches(arguments, {"x-a": long(1)}, "any")
    assert not matches(arguments, {"b": long(2)}, "all-with-x")
    assert matches(arguments, {"b": long(2), "x-a": long(1)}, "all-with-x")
    assert matches(arguments, {"x-a": long(1)}, "any-with-x")
    assert matches({"xa": long(1)}, {"xa": long(1)}, "any")


def test_x_match_itself_is_never_looked_at() -> None:
    assert matches({}, {}, "all-with-x")
    assert not matches({}, {"x-match": longstr("any-with-x")}, "any-with-x")


@pytest.mark.parametrize("header", [VOID, long(0), longstr(""), array([]), table({})])
def test_void_asks_for_presence(header: Field) -> None:
    assert matches({"a": VOID}, {"a": header})
    assert not matches({"a": VOID}, {"b": header})
    assert not matches({"a": VOID}, None)


# Values of one group are equal to each other and to nothing else.
GROUPS: list[list[Field]] = [
    [Field(tag, 1) for tag in "IilLsubBT"],
    [Field(tag, 0) for tag in "IilLsubBT"],
    [Field("f", 1.0), Field("d", 1.0)],
    [Field("f", 0.0), Field("d", -0.0)],
    [boolean(True)],
    [boolean(False)],
    [longstr("1"), Field("x", b"1")],
    [longstr(""), Field("x", b"")],
    [longstr("a")],
    [longstr("A")],
    [Field("D", Decimal(0, 1)), Field("D", Decimal(0, 1))],
    [Field("D", Decimal(1, 10))],
    [array([long(1)]), array([long(1)])],
    [array([Field("I", 1)])],
    [table({"a": long(1)}), table({"a": long(1)})],
    [array([])],
    [table({})],
]


@pytest.mark.parametrize("index", range(len(GROUPS)))
def test_values_are_equal_within_their_group_only(index: int) -> None:
    for wanted in GROUPS[index]:
        for other, group in enumerate(GROUPS):
            for header in group:
                assert matches({"k": wanted}, {"k": header}) is (other == index)
        assert not matches({"k": wanted}, {"k": VOID})


@pytest.mark.parametrize(
    ("field", "text"),
    [
        (longstr("foo"), 'value <<"foo">>; expected all, any, all-with-x, or any-with-x'),
        (longstr("All"), 'value <<"All">>; expected all, any, all-with-x, or any-with-x'),
        (longstr(""), "value <<>>; expected all, any, all-with-x, or any-with-x"),
        (Field("I", 1), "type signedint (value 1); expected longstr"),
        (Field("x", b"all"), 'type binary (value <<"all">>); expected longstr'),
        (boolean(True), "type bool (value true); expected longstr"),
        (boolean(False), "type bool (value false); expected longstr"),
        (VOID, "type void (value undefined); expected longstr"),
        (Field("d", 1.5), "type double (value 1.5); expected longstr"),
        (Field("D", Decimal(2, 125)), "type decimal (value {2,125}); expected longstr"),
        (array([]), "type array (value []); expected longstr"),
        (table({}), "type table (value []); expected longstr"),
        (array([VOID]), "type array (value [...]); expected longstr"),
    ],
)
def test_a_wrong_x_match_is_a_406(field: Field, text: str) -> None:
    with pytest.raises(SoftError) as refused:
        compile_match({"x-match": field})
    assert refused.value.code == PRECONDITION_FAILED
    assert refused.value.text == f"PRECONDITION_FAILED - Invalid x-match field {text}"


NAMES = st.sampled_from(["a", "b", "x-a", "x-match"])
VALUES = st.sampled_from([VOID, long(1), Field("b", 1), longstr("1"), boolean(True)])


@given(
    st.dictionaries(NAMES.filter(lambda name: name != "x-match"), VALUES),
    st.dictionaries(NAMES, VALUES),
    st.sampled_from(["all", "any", "all-with-x", "any-with-x"]),
)
def test_any_arguments_match_as_the_definition_says(
    arguments: Table, headers: Table, mode: str
) -> None:
    agreeing = [
        name in headers
        and (
            field.tag == "V"
            or (type(field.value), field.value) == (type(headers[name].value), headers[name].value)
        )
        for name, field in arguments.items()
        if mode.endswith("with-x") or not name.startswith("x-")
    ]
    expected = any(agreeing) if mode.startswith("any") else all(agreeing)
    assert matches(arguments, headers, mode) is expected
