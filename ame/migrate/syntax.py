"""The text of a YAML file with the exact place of everything in it.

The loader's graph (`ame.spec.nodes`) says what a file means. To change a file without touching what stays,
one has to know more: where an alias stands, where a tag ends and its value begins, and on which line the last
word of a section is. It comes from the same parser's events; the text is known to be sound YAML.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

import yaml

__all__ = ["Node", "Pair", "Tree", "parse"]

#: What ends a line in YAML 1.1.
BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_PROPERTIES = re.compile(r"(?:[&!]\S*(?:\s+|#[^\r\n]*(?=[\r\n]))*)+")
_HASH = re.compile(r"(?<![^\s\ufeff])#[^\n\r\x85\u2028\u2029]*")
_HEADER = re.compile(r"[|>][-+0-9]*[ \t]*")
_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULLS = {"", "~", "null", "Null", "NULL"}


@dataclass(slots=True, eq=False)
class Node:
    """A value or a key.

    Attributes:
        start: where it begins, with its anchor and tag.
        body: where it begins without them.
        end: where its last character ends; a section in lines ends with its last value.
        place: line and column of `start`, both from 1, as diagnoses name them.
        text: of a scalar; of an alias, the anchor's name.
        style: of a scalar, the quote, `|` or `>`; else empty.
        flow: of a list or mapping, whether it stands in brackets.
    """

    kind: Literal["scalar", "alias", "list", "mapping"]
    start: int
    body: int
    end: int
    place: tuple[int, int]
    tag: str = ""
    anchor: str = ""
    text: str = ""
    style: str = ""
    flow: bool = False
    items: list[Node] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)

    @property
    def is_null(self) -> bool:
        return self.kind == "scalar" and not self.tag and not self.style and self.text in _NULLS

    @property
    def in_lines(self) -> bool:
        """A list or mapping that is made by indentation."""
        return self.kind in {"list", "mapping"} and not self.flow


class Pair(NamedTuple):
    """A key and its value."""

    key: Node
    value: Node

    @property
    def word(self) -> str:
        return self.key.text if self.key.kind == "scalar" else ""

    @property
    def is_merge(self) -> bool:
        return self.word == "<<" and not self.key.style


class Tree:
    """A whole file.

    Attributes:
        root: its one mapping.
        anchors: what each anchor stands at.
    """

    def __init__(self, text: str, root: Node, anchors: dict[str, Node]) -> None:
        self.text = text
        self.root = root
        self.anchors = anchors
        self._lines = [0, *(found.end() for found in BREAK.finditer(text))]
        first = BREAK.search(text)
        self.newline = first[0] if first and first[0] in {"\n", "\r\n", "\r"} else "\n"

    def target(self, node: Node) -> Node:
        """What an alias stands for; any other node itself."""
        return self.anchors[node.text] if node.kind == "alias" else node

    def line(self, offset: int) -> int:
        """The line of an offset, counted from 0."""
        return bisect_right(self._lines, offset) - 1

    def line_start(self, line: int) -> int:
        """Where a line begins; the end of the text for the line after the last one."""
        return self._lines[line] if line < len(self._lines) else len(self.text)

    def column(self, offset: int) -> int:
        return offset - self._lines[self.line(offset)]

    def line_text(self, line: int) -> str:
        """A line without its end."""
        return BREAK.sub("", self.text[self.line_start(line) : self.line_start(line + 1)])

    def colon(self, pair: Pair) -> int | None:
        """Where the colon after a key is; None for a key that is written with `?` or has none."""
        offset = pair.key.end
        while self.text[offset : offset + 1] in {" ", "\t"}:
            offset += 1
        before = self.text[self.line_start(self.line(pair.key.start)) : pair.key.start]
        return (
            offset
            if self.text[offset : offset + 1] == ":" and not before.rstrip(" \t").endswith("?")
            else None
        )

    def begins_line(self, offset: int) -> bool:
        """Only blanks stand before it on its line."""
        return not self.text[self.line_start(self.line(offset)) : offset].strip(" ")

    def entries(self, mapping: Node) -> dict[str, Pair]:
        """The pairs of a mapping by key, with those that `<<` merges in."""
        found: dict[str, Pair] = {}
        merged: list[Node] = []
        for pair in mapping.pairs:
            if pair.is_merge:
                source = self.target(pair.value)
                merged += source.items if source.kind == "list" else [source]
            else:
                found.setdefault(pair.word, pair)
        for each in map(self.target, merged):
            for word, pair in self.entries(each).items():
                found.setdefault(word, pair)
        return found

    def comments(self, start: int, end: int) -> list[str]:
        """The comments that begin in a part of the text."""
        spans = self._comment_spans
        places = range(bisect_left(spans, (start, 0)), bisect_left(spans, (end, 0)))
        return [self.text[slice(*spans[place])] for place in places]

    def in_comment(self, offset: int) -> bool:
        place = bisect_right(self._comment_spans, (offset, len(self.text))) - 1
        return place >= 0 and offset < self._comment_spans[place][1]

    @cached_property
    def _comment_spans(self) -> list[tuple[int, int]]:
        return list(self._all_comments())

    def _all_comments(self) -> Iterator[tuple[int, int]]:
        position = 0
        for leaf in _leaves(self.root):
            yield from self._hashes(position, leaf.body)
            position = leaf.end
            if leaf.style in {"|", ">"}:
                header = _HEADER.match(self.text, leaf.body)
                line_end = BREAK.search(self.text, leaf.body)
                yield from self._hashes(
                    header.end() if header else leaf.body, line_end.start() if line_end else leaf.end
                )
        yield from self._hashes(position, len(self.text))

    def _hashes(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        while found := _HASH.search(self.text, start, end):
            yield found.span()
            start = found.end()


def parse(text: str) -> Tree:
    """The tree of a text that is sound YAML.

    Raises:
        yaml.YAMLError: it is not.
    """
    anchors: dict[str, Node] = {}
    root: Node | None = None
    # A list or mapping under construction, and the key that waits for its value.
    stack: list[tuple[Node, list[Node]]] = []
    events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
    for event in events:
        end = event.end_mark.index
        if isinstance(event, yaml.CollectionEndEvent):
            node, _ = stack.pop()
            bracketed = node.flow and text[node.body] in "{["
            node.end = end if bracketed else _last(node)
            continue
        if not isinstance(event, yaml.NodeEvent):
            continue
        node = _node(text, event)
        if node.kind == "alias" and node.text not in anchors:
            raise yaml.YAMLError(f"the alias *{node.text} refers to no anchor above it")
        if node.anchor:
            anchors[node.anchor] = node
        if not stack:
            root = node
        else:
            _put(*stack[-1], node)
        if isinstance(event, yaml.CollectionStartEvent):
            stack.append((node, []))
    assert root is not None  # noqa: S101  # an empty file is no project
    return Tree(text, root, anchors)


def _put(parent: Node, waiting: list[Node], node: Node) -> None:
    if parent.kind == "list":
        parent.items.append(node)
    elif waiting:
        parent.pairs.append(Pair(waiting.pop(), node))
    else:
        waiting.append(node)


def _node(text: str, event: Any) -> Node:
    start, end = event.start_mark.index, event.end_mark.index
    place = (event.start_mark.line + 1, event.start_mark.column + 1)
    anchor = event.anchor or ""
    if isinstance(event, yaml.AliasEvent):
        return Node("alias", start, start, end, place, text=anchor)
    # `!` alone says nothing, and the loader takes no notice of it.
    tag = event.tag if event.tag not in (None, "!") else ""
    if isinstance(event, yaml.ScalarEvent):
        properties = _PROPERTIES.match(text, start) if event.anchor or event.tag else None
        body = min(properties.end(), end) if properties else start
        style = event.style or ""
        if start == end:
            # Of nothing in brackets, libyaml says that it stands behind the blanks after the colon.
            behind = start
            while text[start - 1 : start] in {" ", "\t"}:
                start -= 1
            body = end = start
            place = (place[0], place[1] - behind + start)
        if style in {"|", ">"}:
            end = start + len(text[start:end].rstrip())
        return Node("scalar", start, body, end, place, tag, anchor, event.value, style)
    kind: Literal["list", "mapping"] = "list" if isinstance(event, yaml.SequenceStartEvent) else "mapping"
    flow = bool(event.flow_style)
    # `[a: b]` holds a mapping that has no brackets of its own.
    body = end - 1 if flow and start < end else end
    return Node(kind, start, body, end, place, tag, anchor, flow=flow)


def _last(node: Node) -> int:
    """Where the last value of a section in lines ends."""
    if node.kind == "list":
        return node.items[-1].end if node.items else node.body
    return node.pairs[-1].value.end if node.pairs else node.body


def _leaves(node: Node) -> Iterator[Node]:
    """Scalars and aliases in the order of the text."""
    stack = [node]
    while stack:
        node = stack.pop()
        if node.kind in {"scalar", "alias"}:
            yield node
        else:
            below = node.items or [each for pair in node.pairs for each in pair]
            stack.extend(reversed(below))
