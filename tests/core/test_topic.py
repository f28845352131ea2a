"""Topic patterns: examples, any tree against a naive matcher, and bounds on the work."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amqpd.core.topic import TopicTree


def fits(pattern: list[str], key: list[str]) -> bool:
    """Say whether a key fits a pattern, as the definition reads."""
    if not pattern:
        return not key
    if pattern[0] == "#":
        return any(fits(pattern[1:], key[skipped:]) for skipped in range(len(key) + 1))
    return bool(key) and pattern[0] in ("*", key[0]) and fits(pattern[1:], key[1:])


def words(text: str) -> list[str]:
    """Split a pattern or key."""
    return text.split(".") if text else []


def matched(tree: TopicTree, key: str) -> list[object]:
    """Return what a key finds."""
    found: list[object] = []
    tree.match(key, found)
    return found


@pytest.mark.parametrize(
    ("pattern", "fitting", "other"),
    [
        ("a.b.c", ["a.b.c"], ["", "a", "a.b", "a.b.c.d", "a.b.C", "b.a.c", "a.b.c."]),
        ("a", ["a"], ["", "b", "a.", ".a", "a.a"]),
        ("", [""], ["a", ".", "*"]),
        ("#", ["", "a", "a.b", ".", "..."], []),
        ("*", ["a", "*", "#", "é"], ["", ".", "a.b"]),
        ("a.*", ["a.b", "a."], ["a", "a.b.c"]),
        ("a.*.b", ["a.x.b", "a..b"], ["a.b", "a.x.x.b"]),
        ("*.*", ["a.b", "."], ["a", "", "a.b.c", ".."]),
        ("a.#", ["a", "a.b", "a.b.c", "a."], ["", "b", "b.a", "aa"]),
        ("#.b", ["b", "a.b", "b.b", "a.a.b", ".b"], ["", "a", "b.a", "b."]),
        ("a.#.b", ["a.b", "a.x.b", "a.b.b", "a..b", "a.x.y.b"], ["a", "b", "a.b.x", "x.a.b"]),
        ("#.#", ["", "a", "a.b"], []),
        ("#.*", ["a", "a.b", "a.b.c"], [""]),
        ("*.#", ["a", "a.b", "."], [""]),
        ("#.*.#.*", ["a.b", "a.b.c"], ["", "a"]),
        ("a.#.#.b", ["a.b", "a.x.b"], ["a", "b"]),
        ("#.a.#", ["a", "x.a", "a.x", "x.a.x", "a.a"], ["", "x", "x.x"]),
        ("a..b", ["a..b"], ["a.b", "a.x.b"]),
        (".", ["."], ["", "..", "a.b"]),
        ("a*.#b", ["a*.#b"], ["ab.b", "a.b"]),
    ],
)
def test_a_pattern_finds_the_keys_that_fit(
    pattern: str, fitting: list[str], other: list[str]
) -> None:
    tree = TopicTree()
    tree.add(pattern, "value")
    assert [key for key in fitting if matched(tree, key) != ["value"]] == []
    assert [key for key in other if matched(tree, key) != []] == []
    assert [key for key in fitting if not fits(words(pattern), words(key))] == []
    assert [key for key in other if fits(words(pattern), words(key))] == []


def test_values_of_one_pattern_keep_their_order() -> None:
    tree = TopicTree()
    for value in ("first", "second", "third"):
        tree.add("a.*", value)
    assert matched(tree, "a.b") == ["first", "second", "third"]
    tree.remove("a.*", "first")
    tree.add("a.*", "first")
    assert matched(tree, "a.b") == ["second", "third", "first"]


def test_found_is_added_to_and_not_replaced() -> None:
    tree = TopicTree()
    tree.add("#", "here")
    found: list[object] = ["before"]
    tree.match("a", found)
    assert found == ["before", "here"]


def test_a_removed_value_is_not_found_and_its_nodes_are_gone() -> None:
    tree = TopicTree()
    patterns = ["", "a", "a.b", "a.*.c", "a.#.c", "#", "*", "#.#", "*.*.#", "a.b.c.d"]
    for pattern in patterns:
        tree.add(pattern, pattern)
    assert len(tree) == len(patterns)
    for pattern in patterns:
        tree.remove(pattern, pattern)
        assert pattern not in [*matched(tree, "a.b.c.d"), *matched(tree, "a"), *matched(tree, "")]
    assert len(tree) == 0
    assert tree._root.is_empty()


def test_removing_goes_by_identity() -> None:
    one, other = [1], [1]
    tree = TopicTree()
    tree.add("a", one)
    tree.add("a", other)
    tree.remove("a", other)
    assert matched(tree, "a")[0] is one


def test_removing_what_was_never_added_is_a_mistake_of_the_caller() -> None:
    tree = TopicTree()
    tree.add("a.b", "value")
    for pattern, value in (("a", "value"), ("a.b.c", "value"), ("a.b", "other")):
        with pytest.raises(AssertionError):
            tree.remove(pattern, value)
    assert matched(tree, "a.b") == ["value"]


PATTERNS = st.lists(st.sampled_from(["a", "b", "", "*", "#"]), max_size=6).map(".".join)
KEYS = st.lists(st.sampled_from(["a", "b", "", "c", "*", "#"]), max_size=7).map(".".join)


@settings(max_examples=400)
@given(st.lists(PATTERNS, max_size=12), st.lists(KEYS, min_size=1, max_size=6), st.data())
def test_any_tree_finds_what_the_definition_says(
    patterns: list[str], keys: list[str], data: st.DataObject
) -> None:
    tree = TopicTree()
    kept = list(enumerate(patterns))
    values = {number: (number, pattern) for number, pattern in kept}
    for number, pattern in kept:
        tree.add(pattern, values[number])
    for _ in range(2):
        assert len(tree) == len(kept)
        for key in keys:
            found = matched(tree, key)
            assert len(found) == len({id(value) for value in found})
            expected = [
                values[number] for number, pattern in kept if fits(words(pattern), words(key))
            ]
            assert sorted(map(str, found)) == sorted(map(str, expected))
        for number, pattern in data.draw(st.permutations(kept))[: len(kept) // 2]:
            tree.remove(pattern, values[number])
            kept.remove((number, pattern))
    for number, pattern in kept:
        tree.remove(pattern, values[number])
    assert tree._root.is_empty()


def test_many_hashes_do_not_explode() -> None:
    tree = TopicTree()
    for count in range(1, 41):
        tree.add(".".join(["#"] * count), f"{count} bare")
        tree.add(".".join(["#", "a"] * count), f"{count} a")
        tree.add(".".join(["#", "*"] * count), f"{count} star")
    found = matched(tree, ".".join(["a"] * 120))
    assert len(found) == len(set(map(str, found))) == 120
    found = matched(tree, ".".join(["a"] * 119 + ["b"]))
    assert len(found) == 80


def test_the_longest_patterns_and_keys() -> None:
    tree = TopicTree()
    patterns = [".".join([word] * 128) for word in ("a", "*", "#")]
    for pattern in patterns:
        tree.add(pattern, pattern[0])
    assert sorted(map(str, matched(tree, ".".join(["a"] * 128)))) == ["#", "*", "a"]
    assert matched(tree, "a") == ["#"]
    for pattern in patterns:
        tree.remove(pattern, pattern[0])
    assert tree._root.is_empty()
