"""Which topic patterns does a routing key fit? (spec 3.1.3.3)

A pattern is words between dots; the word `*` stands for exactly one word, `#` for any number of
words, none included. Words may be empty (`a..b` has three). The empty key and the empty pattern
have no words at all: the empty key fits the patterns of `#`s only, and the empty one.

The patterns form a tree with a branch per word. A key is matched word by word, and after each word
the *live* nodes are those that the words so far lead to. A node behind a `#` stays live for all
the words that follow.

Rule 1: a node is live at most once per word, so a match costs O(words × live nodes) at worst, and
nothing for patterns that do not fit the key's first words.
Rule 2: nothing recurses; patterns and keys come from clients.
Rule 3: every node but the root has values or nodes below it.

Deviation: none. RabbitMQ 4.3 refuses patterns with more than two `#`; by rule 1 there is no need.
"""

from typing import Final

from mypy_extensions import i64


class _Node:
    """What some words lead to: `values` are those of the pattern that ends here.

    `step` is the last step of a match in which a node behind a `#` was found live.
    """

    def __init__(self, behind_hash: bool) -> None:
        self.behind_hash: Final = behind_hash
        self.words: dict[str, _Node] | None = None
        self.star: _Node | None = None
        self.hash: _Node | None = None
        self.values: Final[list[object]] = []
        self.step: i64 = 0

    def child(self, word: str) -> "_Node | None":
        """Return the node that a word of a pattern leads to."""
        if word == "*":
            return self.star
        if word == "#":
            return self.hash
        words = self.words
        return None if words is None else words.get(word)

    def grow(self, word: str) -> "_Node":
        """Return the node that a word of a pattern leads to, new if need be."""
        node = self.child(word)
        if node is not None:
            return node
        node = _Node(word == "#")
        if word == "*":
            self.star = node
        elif word == "#":
            self.hash = node
        elif self.words is None:
            self.words = {word: node}
        else:
            self.words[word] = node
        return node

    def cut(self, word: str) -> None:
        """Drop the node that a word of a pattern leads to."""
        if word == "*":
            self.star = None
        elif word == "#":
            self.hash = None
        else:
            assert self.words is not None
            del self.words[word]
            if not self.words:
                self.words = None

    def is_empty(self) -> bool:
        """Say whether no pattern ends here or passes through here."""
        return not self.values and self.words is None and self.star is None and self.hash is None


class TopicTree:
    """Values by topic pattern. A value is found once for each of its patterns that fit."""

    def __init__(self) -> None:
        self._root: Final = _Node(False)
        self._count = 0
        self._step: i64 = 0

    def __len__(self) -> int:
        return self._count

    def add(self, pattern: str, value: object) -> None:
        """Let keys that fit `pattern` find `value`, after the values it has already."""
        node = self._root
        for word in _words(pattern):
            node = node.grow(word)
        node.values.append(value)
        self._count += 1

    def remove(self, pattern: str, value: object) -> None:
        """Take away a value that was added with this pattern.

        O(words + values of this pattern).
        """
        words = _words(pattern)
        path = [self._root]
        for word in words:
            node = path[-1].child(word)
            assert node is not None, f"nothing was added with the pattern {pattern!r}"
            path.append(node)
        _take(path[-1].values, value)
        self._count -= 1
        depth = len(words)
        while depth > 0 and path[depth].is_empty():
            path[depth - 1].cut(words[depth - 1])
            depth -= 1

    def match(self, key: str, found: list[object]) -> None:
        """Append the values of all patterns that `key` fits; see the module for the cost."""
        live: list[_Node] = []
        self._step += 1
        self._enter(live, self._root)
        for word in _words(key):
            self._step += 1
            following: list[_Node] = []
            for node in live:
                if node.behind_hash and node.step != self._step:
                    self._enter(following, node)
                words = node.words
                if words is not None:
                    exact = words.get(word)
                    if exact is not None:
                        self._enter(following, exact)
                if node.star is not None:
                    self._enter(following, node.star)
            if not following:
                return
            live = following
        for node in live:
            if node.values:
                found.extend(node.values)

    def _enter(self, live: list[_Node], node: _Node) -> None:
        """Make a node live, and what `#`s for no words lead on to from it."""
        live.append(node)
        if node.behind_hash:
            node.step = self._step
        following = node.hash
        while following is not None and following.step != self._step:
            following.step = self._step
            live.append(following)
            following = following.hash


def _words(text: str) -> list[str]:
    return text.split(".") if text else []


def _take(values: list[object], value: object) -> None:
    """Remove one object from a list by identity."""
    for index in range(len(values)):
        if values[index] is value:
            del values[index]
            return
    raise AssertionError("the value was not added with this pattern")
