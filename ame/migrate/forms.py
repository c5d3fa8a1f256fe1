"""Rewritings of structure: a key that gets a section around it, one mapping as a list, names as entries.

Each gives its change, or None where it cannot be made. A section in lines stays one, and what stands in
brackets stays there.
"""

from __future__ import annotations

from collections.abc import Callable

from ame.migrate.edits import Change
from ame.migrate.pieces import fits_brackets, last_line
from ame.migrate.syntax import Node, Pair, Tree

__all__ = ["listed_by_name", "nested", "unwrapped", "wrapped"]

#: By how much what stands below something is indented.
_STEP = 2
#: Up to which width of a line what stood on one line stays there.
_WIDEST = 110


def nested(tree: Tree, parent: Node, pair: Pair, path: tuple[str, str], tag: str = "") -> Change | None:
    """`KEY: VALUE` as `OUTER: {INNER: VALUE}`, with a tag before the bracket if there is one.

    Args:
        parent: what holds the pair.
        path: the outer and the inner word.
    """
    key, value = pair
    if tree.colon(pair) is None or key.kind != "scalar":
        return None
    change = Change(tree)
    outer, inner = (f"{key.style}{word}{key.style}" for word in path)
    brackets = len(f"{tag} {{{outer}: {inner}}}") - len(key.text)
    narrow = len(tree.line_text(tree.line(key.start))) + brackets <= _WIDEST
    if parent.flow or (narrow and fits_brackets(tree, value)):
        change.put(key.start, key.end, outer)
        return change.insert(value.start, f"{tag} {{{inner}: ".lstrip()).insert(value.end, "}")
    indent = " " * (tree.column(key.start) + _STEP)
    lead = f"{outer}: {tag}" if tag else f"{outer}:"
    change.put(key.start, key.end, f"{lead}{tree.newline}{indent}{inner}")
    return change.shift(tree.line(key.start) + 1, last_line(tree, pair), _STEP)


def wrapped(tree: Tree, node: Node, colon: int | None) -> Change | None:
    """A value as the only entry of a list; its anchor becomes the list's, its tag stays its own.

    Args:
        colon: of the key that it stands behind; None for an entry of a list.
    """
    change = Change(tree)
    if not node.in_lines:
        start = node.body if node.anchor and not node.tag else node.start
        return change.insert(start, "[").insert(node.end, "]")
    if colon is None or (node.anchor and node.tag):
        return None
    properties = ""
    if node.tag:
        properties = tree.text[node.start : node.body].split(None, 1)[0]
        start = node.start if tree.begins_line(node.start) else colon + 1
        change.put(start, node.start + len(properties), "")
        properties += tree.newline + " " * (tree.column(node.body) + _STEP)
    change.insert(node.body, f"- {properties}")
    return change.shift(tree.line(node.body) + 1, last_line(tree, node.pairs[-1]), _STEP)


def unwrapped(tree: Tree, node: Node) -> Change | None:
    """`{ref: VALUE}` as `VALUE`: an entry of a list without its only key."""
    (pair,) = node.pairs
    key, value = pair
    colon = tree.colon(pair)
    if colon is None or node.anchor:
        return None
    change = Change(tree)
    if not value.in_lines:
        if tree.comments(node.start, value.start) or tree.comments(value.end, node.end):
            return None
        return change.put(node.start, value.start, "").put(value.end, node.end, "")
    first, by = tree.line(value.body), tree.column(key.start) - tree.column(value.body)
    if not tree.comments(colon, value.body):
        change.put(key.start, value.body, "")
        first += 1
    else:
        change.put(key.start, colon + 2, "")
        first = tree.line(colon) + 1
    return change.shift(first, last_line(tree, pair), by)


def listed_by_name(tree: Tree, mapping: Node, is_named: Callable[[Node], bool]) -> Change | None:
    """A mapping of names to mappings as a list of mappings with a `name`.

    Args:
        is_named: whether an entry has no need of its key.
    """
    change = Change(tree)
    if mapping.flow:
        change.put(mapping.body, mapping.body + 1, "[").put(mapping.end - 1, mapping.end, "]")
    for pair in mapping.pairs:
        colon = tree.colon(pair)
        if colon is None or pair.is_merge:
            return None
        name = "" if is_named(pair.value) else f"name: {tree.text[pair.key.start : pair.key.end]}"
        if pair.value.in_lines:
            done = _entry_in_lines(change, pair, colon, name)
        else:
            done = _entry(change, pair, colon, name, dash="" if mapping.flow else "- ")
        if not done:
            return None
    return change


def _entry(change: Change, pair: Pair, colon: int, name: str, dash: str) -> bool:
    """One entry of `listed_by_name` that stands on one line or in brackets; false where it is none."""
    tree, (key, value) = change.tree, pair
    if value.kind not in {"alias", "mapping"} or value.tag:
        return False
    if tree.comments(key.start, value.start):
        change.put(key.start, colon + 1, dash.rstrip())
    else:
        change.put(key.start, value.start, dash)
    if not name:
        return True
    if value.kind == "alias":
        change.insert(value.start, f"{{{name}, <<: ").insert(value.end, "}")
    else:
        change.insert(value.body + 1, f"{name}, " if value.pairs else name)
    return True


def _entry_in_lines(change: Change, pair: Pair, colon: int, name: str) -> bool:
    """One entry of `listed_by_name` that stands in lines; false where it is no mapping."""
    tree, (key, value) = change.tree, pair
    if value.kind != "mapping" or value.tag:
        return False
    column = tree.column(key.start)
    indent = " " * (column + _STEP)
    first = tree.line(colon) + 1
    if value.anchor:
        change.put(key.start, colon + 1, "-")
        if name:
            change.insert(value.body, f"{name}{tree.newline}{indent}")
    elif name:
        change.put(key.start, colon + 1, f"- {name}")
    elif tree.comments(colon, value.body):
        change.put(key.start, colon + 1, "-")
    else:
        change.put(key.start, value.body, "- ")
        first = tree.line(value.body) + 1
    change.shift(first, last_line(tree, pair), column + _STEP - tree.column(value.body))
    return True
