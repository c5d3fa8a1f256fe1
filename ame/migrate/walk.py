"""Which parts of a file are written as in older releases, found with the grammar, and how each is rewritten.

Spellings, older shapes of values, tags and keys without effect are what `ame.spec.words` says of them.
Only for keys that meant more than another name, which the grammar calls dated, `DATED` says what they are
today.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ame.migrate.commands import EXECUTOR_WORDS, with_executor
from ame.migrate.edits import Change
from ame.migrate.forms import listed_by_name, nested, unwrapped, wrapped
from ame.migrate.pieces import fits_brackets, moved, renamed, tagged, untold, without
from ame.migrate.recurring import with_recurring
from ame.migrate.syntax import Node, Pair, Tree
from ame.spec.grammar import DOMAIN, ListOf, MapOf, OneOf, Scalar, Shape, Tagged, Type
from ame.spec.problems import OlderText, Unreadable
from ame.spec.words import PROJECT

__all__ = ["DATED", "Walk"]

#: By shape and dated key: the words of the section and of the key in it that say the same today; none for
#: what is left out. `..` is the section that holds the one with the key. A section that is not there is made,
#: unless it needs more than that; then the key has no effect.
DATED: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("dataSet", "taskRef"): ("task", "taskRef"),
    ("deployment", "auto_train"): ("..", "training", "onChange"),
    ("executor", "image"): ("..", "kubernetes", "image"),
    ("model", "type"): (),
    ("model", "validationTask"): ("validation", "task"),
    ("task", "image"): ("kubernetes", "image"),
    ("task", "projectid"): (),
}


# With one of these, an empty pipeline says nothing.
_COMMANDED = {"executor", *EXECUTOR_WORDS}


class _Step(NamedTuple):
    """A mapping on the way from the root, with the pair that leads on."""

    node: Node
    pair: Pair
    shape: Shape


class Walk:
    """One look through a file.

    A part that gets another structure is not looked into; that is for the next walk, through the new text.

    Attributes:
        changes: what today's form needs, outer ones first.
        untagged: the executors without a tag, each with the colon before it, by the place of their command.
    """

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.changes: list[Change] = []
        self.untagged: dict[tuple[int, int], tuple[Node, int | None]] = {}
        self._wrapped: set[int] = set()
        self._aliases: list[Node] = []
        self._visit(tree.root, PROJECT, [], None)
        for alias in self._aliases:
            target = tree.target(alias)
            if target.kind == "mapping" and id(target) not in self._wrapped:
                self.changes.append(Change(tree).insert(alias.start, "[").insert(alias.end, "]"))

    def _add(self, change: Change | None) -> None:
        if change is not None:
            self.changes.append(change)

    def _visit(self, node: Node, of: Type, above: list[_Step], colon: int | None) -> None:
        """Look at a value.

        Args:
            above: the sections that it stands in, from the root.
            colon: before it; None for an entry of a list.
        """
        match of:
            case Shape() if node.kind == "mapping":
                self._mapping(node, of, above, colon)
            case ListOf():
                for item in node.items:
                    self._visit(item, of.item, above, None)
            case MapOf():
                for pair in node.pairs:
                    self._visit(pair.value, of.value, above, self.tree.colon(pair))
            case OneOf():
                self._one_of(node, of, above, colon)
            case Tagged():
                self._tagged(node, of, above, colon)
            case Scalar() if node.kind == "scalar" and node.style not in {"|", ">"}:
                try:
                    of.read(node.text)
                except OlderText as older:
                    text = f"{node.style}{older.today}{node.style}"
                    self._add(Change(self.tree).put(node.body, node.end, text))
                except Unreadable:
                    return  # another kind of value may stand here, too

    def _mapping(self, node: Node, shape: Shape, above: list[_Step], colon: int | None) -> None:
        tree = self.tree
        going: list[Pair] = []
        if any(word in shape.dated for word in EXECUTOR_WORDS):
            self._add(with_executor(tree, node, colon))
        for pair in node.pairs:
            if pair.is_merge:
                for source in pair.value.items or [pair.value]:
                    self._visit(source, shape, above, None)
            else:
                going += self._pair(node, pair, shape, above, colon)
        if going:
            self._add(without(tree, node, going, colon))

    def _pair(
        self, node: Node, pair: Pair, shape: Shape, above: list[_Step], colon: int | None
    ) -> list[Pair]:
        """Look at a key and its value; the pair itself when it only has to go."""
        tree, word, value = self.tree, pair.word, pair.value
        meant = word if word in shape.keys else shape.older.get(word, word)
        if meant == "pipeline" and _is_empty(value) and tree.entries(node).keys() & _COMMANDED:
            return [pair]
        if meant != word:
            self._add(renamed(tree, pair.key, meant))
        if meant in shape.keys:
            self._visit(value, shape.keys[meant].type, [*above, _Step(node, pair, shape)], tree.colon(pair))
        elif shape.domains and DOMAIN.fullmatch(meant):
            self._visit(value, shape.domains.type, above, None)
        elif word in shape.dated:
            return [] if word in EXECUTOR_WORDS else self._dated(node, pair, shape, above, colon)
        elif word in shape.idle or (word in shape.withheld and _is_empty(value)):
            return [pair]
        return []

    def _dated(
        self, node: Node, pair: Pair, shape: Shape, above: list[_Step], colon: int | None
    ) -> list[Pair]:
        """Look at a dated key; the pair itself when it only has to go."""
        if pair.word == "recurring_tasks":
            self._add(None if pair.value.is_null else with_recurring(self.tree, node, pair))
            return [pair] if pair.value.is_null else []
        path = DATED.get(("task" if shape.name == "step" else shape.name, pair.word))
        if path == () or pair.value.is_null:
            return [pair]
        match path:
            case ("..", outer, inner):
                owner = above[-1]
                section = owner.shape[outer].type
                made = not (isinstance(section, Shape) and section.required)
                if not made and outer not in self.tree.entries(owner.node):
                    return [pair]
                if made or any(each.word == outer for each in owner.node.pairs):
                    self._add(moved(self.tree, node, pair, owner.node, owner.pair, (outer, inner), colon))
            case (outer, inner):
                if any(each.word == outer for each in node.pairs):
                    self._add(moved(self.tree, node, pair, node, pair, (outer, inner), colon))
                else:
                    self._add(nested(self.tree, node, pair, (outer, inner)))
        return []

    def _one_of(self, node: Node, of: OneOf, above: list[_Step], colon: int | None) -> None:
        kinds, older = list(_flat(of.kinds)), list(_flat(of.older))
        found = self._fitting(node, kinds) if node.kind in {"mapping", "list"} else None
        if found is None and node.kind == "scalar":
            found = next((kind for kind in kinds if isinstance(kind, Scalar)), None)
        if found is not None:
            self._visit(node, found, above, colon)
        elif not any(isinstance(kind, ListOf) for kind in kinds):
            if len(node.pairs) == 1 and any(_is_around(kind, node.pairs[0].word) for kind in older):
                self._add(unwrapped(self.tree, node))
        elif node.kind == "alias":
            if any(isinstance(kind, Shape | Tagged) for kind in older):
                self._aliases.append(node)
        elif node.kind == "scalar":
            if any(isinstance(kind, Scalar) for kind in older) and not node.is_null:
                self._add(wrapped(self.tree, node, colon) if fits_brackets(self.tree, node) else None)
        elif colon is not None:
            self._older(node, older, colon)

    def _older(self, node: Node, older: list[Type], colon: int) -> None:
        """A mapping where a list stands today."""
        by_name = next((kind for kind in older if isinstance(kind, MapOf)), None)
        if by_name is not None:
            self._add(listed_by_name(self.tree, node, lambda entry: self._is_named(entry, by_name)))
        elif older:
            self._wrapped.add(id(node))
            self._add(wrapped(self.tree, node, colon))

    def _tagged(self, node: Node, of: Tagged, above: list[_Step], colon: int | None) -> None:
        tree = self.tree
        if node.tag.startswith("!"):
            kind = _kind(of, node.tag[1:])
            if node.tag != f"!{kind}":
                self._add(tagged(tree, node, f"!{kind}", colon))
            self._visit(node, of.kinds[kind], above, colon)
            return
        if node.kind != "mapping":
            return
        if len(node.pairs) == 1:
            inside = node.pairs[0]
            value, kind = tree.target(inside.value), _kind(of, inside.word)
            if kind and (value.is_null or value.kind == "mapping"):
                self._add(untold(tree, node, f"!{kind}", colon))
                return
        if len(of.shapes) > 1:
            fitting = [kind for kind, shape in of.kinds.items() if self._has_all(node, shape)]
            if len(fitting) == 1:
                self._add(tagged(tree, node, f"!{fitting[0]}", colon))
            return
        command = tree.entries(node).get("command")
        if command is not None:
            self.untagged[command.key.place] = (node, colon)
        self._visit(node, of.shapes[0], above, colon)

    def _fitting(self, node: Node, kinds: list[Type]) -> Type | None:
        """Which of several types a list or mapping is of."""
        if node.kind == "list":
            return next((kind for kind in kinds if isinstance(kind, ListOf)), None)
        shapes = [kind for kind in kinds if isinstance(kind, Shape)]
        needy = (shape for shape in shapes if shape.required and self._has_all(node, shape))
        others = (
            kind for kind in kinds if isinstance(kind, Tagged) or (kind in shapes and not kind.required)
        )
        return next(needy, None) or next(others, None)

    def _has_all(self, node: Node, shape: Shape) -> bool:
        """Whether a mapping has what a shape requires, and nothing that the shape does not know."""
        meant = {shape.older.get(word, word) for word in self.tree.entries(node)}
        return meant.issuperset(shape.required) and all(map(shape.reads, meant))

    def _is_named(self, entry: Node, by_name: MapOf) -> bool:
        target = self.tree.target(entry)
        kind = self._fitting(target, list(_flat((by_name.value,)))) if target.kind == "mapping" else None
        if not isinstance(kind, Shape) or "name" not in kind.keys:
            return kind is not None
        return any(kind.older.get(word, word) == "name" for word in self.tree.entries(target))


def _flat(kinds: Iterable[Type]) -> Iterator[Type]:
    for kind in kinds:
        if isinstance(kind, OneOf):
            yield from _flat(kind.kinds)
        else:
            yield kind


def _kind(of: Tagged, word: str) -> str:
    """The kind that a tag in any capitals means; empty when it is none."""
    word = word.lower()
    return word if word in of.kinds else of.older.get(word, "")


def _is_around(kind: Type, word: str) -> bool:
    """A section that has this key alone, which says nothing."""
    return isinstance(kind, Shape) and [*kind.keys] == [word]


def _is_empty(node: Node) -> bool:
    return node.is_null or (node.kind in {"mapping", "list"} and not node.items and not node.pairs)
