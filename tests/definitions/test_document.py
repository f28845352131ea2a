"""The text of a definitions file: what is read, and how a mistake is named."""

import json
from typing import Any

import pytest

from amqpd.definitions.document import BadDefinitions, Row, as_object, read, shown
from amqpd.wire import tables


def row(**values: Any) -> Row:
    """Make a row, with `_` for the dash of its keys."""
    return Row("users", 3, values)


@pytest.mark.parametrize("text", ["", " \n", "{}", "\ufeff{}", '{"users": null, "queues": []}'])
def test_files_without_definitions(text: str) -> None:
    document = read(text.encode())
    assert not any(document.rows.values()) and not document.notes


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"{", "it is no JSON: line 1, column 2: Expecting property name"),
        (b'{\n "users": [}', "it is no JSON: line 2, column 12"),
        (b"[]", "expected an object with sections, not []"),
        (b'{"users": {}}', "users: expected a list, not {}"),
        (b'{"users": [1]}', "users[0]: expected an object, not 1"),
        (b"\xff", "it is no text in UTF-8"),
        (b'{"users": [{"name": "\\ud800"}]}', "it is no text in UTF-8"),
        (b'{"users":' + b"[" * 100_000, "nested too deeply"),
    ],
)
def test_files_that_cannot_be_read(text: bytes, words: str) -> None:
    with pytest.raises(BadDefinitions) as bad:
        read(text)
    assert words in str(bad.value)


def test_rows_keep_their_order_and_sections_that_nobody_knows_are_noted() -> None:
    text = {"users": [{"name": "a"}, {"name": "b"}], "rabbit_version": "3.10.8", "plugins": []}
    document = read(json.dumps(text).encode())
    assert [one.name("name") for one in document.of("users")] == ["a", "b"]
    assert document.notes == ["the section plugins is not known here"]


def test_values_of_a_row() -> None:
    one = row(name="n", durable=True, tags="a, b,", listed=["c"], limits=[["x", 1]], nothing=None)
    assert one.name("name") == "n" and one.text("other", "d") == "d"
    assert one.flag("durable", False) and one.flag("nothing", True)
    assert one.words("tags") == ("a", "b") and one.words("listed") == ("c",)
    assert one.words("nothing") == ()
    assert one.mapping("limits") == {"x": 1} and one.mapping("nothing") == {}
    assert one.arguments() == {}
    assert one.unasked() == []
    assert row(a=1, b=2).unasked() == ["a", "b"]


@pytest.mark.parametrize(
    ("take", "words"),
    [
        (lambda r: r.text("missing"), 'users[3] "n": missing is missing'),
        (lambda r: r.text("number"), 'users[3] "n": number: expected a text, not 1'),
        (lambda r: r.flag("number", True), "number: expected true or false, not 1"),
        (lambda r: r.words("number"), "number: expected a list of texts, not 1"),
        (lambda r: r.words("mixed"), "mixed: expected a list of texts, not one with 2"),
        (lambda r: r.mapping("number"), "number: expected an object, not 1"),
        (lambda r: r.mapping("mixed"), "mixed: expected an object, not"),
        (lambda r: r.name("long"), "long has 300 bytes, more than 255"),
        (lambda r: r.arguments(), "arguments: 9223372036854775808 has more than 64 bits"),
    ],
)
def test_what_is_wrong_with_a_row_is_named_with_its_place(take: Any, words: str) -> None:
    arguments = {"x": 1 << 63}
    one = row(name="n", number=1, mixed=["a", 2], long="x" * 300, arguments=arguments)
    with pytest.raises(BadDefinitions) as bad:
        take(one)
    assert words in str(bad.value)


def test_where_a_row_stands() -> None:
    assert Row("bindings", 0, {"source": "x"}).title == 'bindings[0] "x"'
    assert Row("permissions", 1, {"user": "u", "vhost": "v"}).title == 'permissions[1] "u"'
    assert Row("queues", 2, {}).title == "queues[2]"


def test_arguments_become_fields() -> None:
    one = row(arguments={"x-max-length": 5, "b": True, "s": "é", "l": [1.5, None], "t": {"a": 1}})
    table = one.arguments()
    assert {key: field.tag for key, field in table.items()} == {
        "x-max-length": "l",
        "b": "t",
        "s": "S",
        "l": "A",
        "t": "F",
    }
    data = tables.encode_table(table)
    assert tables.decode_table(data, 0, len(data))[0] == table


def test_objects_and_lists_of_pairs() -> None:
    assert as_object({"a": 1}) == {"a": 1}
    assert as_object([["a", 1], ["b", [2]]]) == {"a": 1, "b": [2]}
    assert as_object([]) == {}
    for other in (1, None, "x", [["a"]], [[1, 2]], ["ab"]):
        assert as_object(other) is None


def test_long_values_are_cut_in_messages() -> None:
    assert shown("x" * 100) == '"' + "x" * 39 + "..."
