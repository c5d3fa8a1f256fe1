"""Small rewritings: another word, another tag, a key that goes, a key that moves to another section.

Each gives its change, or None where it cannot be made. Comments stay, those of what goes too.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from ame.migrate.edits import Change
from ame.migrate.syntax import BREAK, Node, Pair, Tree

__all__ = ["fits_brackets", "last_line", "moved", "renamed", "tagged", "untold", "without"]

_UNFIT = re.compile(r"[\[\]{},]|:$")


def fits_brackets(tree: Tree, value: Node) -> bool:
    """Whether a value can stand in brackets, on one line, as it stands now."""
    text = tree.text[value.start : value.end]
    if value.in_lines or value.style in {"|", ">"} or BREAK.search(text):
        return False
    return value.kind != "scalar" or bool(value.style) or not _UNFIT.search(text)


def last_line(tree: Tree, pair: Pair) -> int:
    """The last line of a pair in lines, with the comments below it that are indented more than its key."""
    column = tree.column(pair.key.start)
    last = line = tree.line(max(pair.value.end - 1, pair.key.start))
    while tree.line_start(line + 1) < len(tree.text):
        line += 1
        text = tree.line_text(line).lstrip(" ")
        if text and (text[0] != "#" or len(tree.line_text(line)) - len(text) <= column):
            break
        if text:
            last = line
    return last


def renamed(tree: Tree, key: Node, word: str) -> Change | None:
    """Another word for a key, in the quotes that it has."""
    if key.kind != "scalar" or key.style in {"|", ">"}:
        return None
    return Change(tree).put(key.body, key.end, f"{key.style}{word}{key.style}")


def tagged(tree: Tree, node: Node, tag: str, colon: int | None) -> Change | None:
    """A mapping, or nothing, with this tag instead of the one that it has, or with a first one.

    Args:
        colon: of the key that it stands behind; None for an entry of a list.
    """
    change = Change(tree)
    if node.tag:
        written = re.compile(r"!\S*").search(tree.text, node.start, node.body)
        return change.put(*written.span(), tag) if written else None
    if not node.in_lines or node.start < node.body:
        return change.insert(node.start, f"{tag} ")
    if colon is not None:
        return change.insert(colon + 1, f" {tag}")
    return change.insert(node.start, f"{tag}{tree.newline}{' ' * tree.column(node.body)}")


def untold(tree: Tree, outer: Node, tag: str, colon: int | None) -> Change | None:
    """`{pip: {...}}` as `!pip {...}`: the only key of a mapping becomes its tag.

    Args:
        colon: as for `tagged`.
    """
    (inside,) = outer.pairs
    key, inner = inside
    between = tree.colon(inside)
    if between is None or inner.kind == "alias" or (outer.anchor and inner.anchor):
        return None
    change = Change(tree)
    if outer.flow:
        change.put(*_to_left(tree, inner.end, outer.end), "")
    elif inner.in_lines:
        if tree.begins_line(key.start) and colon is not None:
            change.insert(colon + 1, f" {tag}")
            cut(change, key.start, between + 1)
        else:
            change.put(key.start, between + 1, tag)
        by = tree.column(key.start) - tree.column(inner.body)
        return change.shift(tree.line(between) + 1, last_line(tree, inside), by)
    start, mark = outer.body if outer.flow else key.start, tag
    if colon is not None and outer.start == outer.body and not tree.comments(colon, inner.start):
        start, mark = colon + 1, f" {tag}"
    if tree.comments(start, inner.start) or tree.comments(inner.end, outer.end):
        return None
    if inner.is_null:
        return change.put(start, inner.end, f"{mark} {{}}")
    return change.put(start, inner.start, f"{mark} ")


def without(tree: Tree, mapping: Node, going: Collection[Pair], colon: int | None) -> Change:
    """A mapping without some of its pairs.

    Args:
        colon: as for `tagged`.
    """
    change = Change(tree)
    if len(going) == len(mapping.pairs) and not mapping.flow:
        _emptied(change, mapping, colon)
        return change
    places = [place for place, pair in enumerate(mapping.pairs) if pair in going]
    for place in places:
        if place - 1 not in places:
            last = next(each for each in range(place, len(mapping.pairs)) if each + 1 not in places)
            (_out_of_brackets if mapping.flow else _out_of_lines)(change, mapping.pairs, place, last)
    return change


def moved(
    tree: Tree, mapping: Node, pair: Pair, owner: Node, beside: Pair, path: tuple[str, str], colon: int | None
) -> Change | None:
    """A pair that goes to another section, under another name; the section is made where it is missing.

    Args:
        mapping: what holds the pair.
        owner: what holds the section, or shall hold it.
        beside: the pair of `owner` below which a new section comes.
        path: the words of the section and of the key in it.
        colon: of the key that `mapping` stands behind.
    """
    if not fits_brackets(tree, pair.value):
        return None
    outer, inner = path
    change = without(tree, mapping, [pair], colon)
    said = f"{inner}: {tree.text[pair.value.start : pair.value.end]}"
    section = next((each for each in owner.pairs if each.word == outer), None)
    if section is None:
        return _added(change, owner, beside, f"{outer}: {{{said}}}")
    value, there = section.value, tree.colon(section)
    if value.is_null and there is not None:
        return change.put(there + 1, max(value.end, there + 1), f" {{{said}}}")
    if value.kind != "mapping":
        return None
    if not value.pairs:
        return change.insert(value.body + 1, said)
    return _added(change, value, value.pairs[-1], said)


def cut(change: Change, start: int, end: int) -> None:
    """Take a piece out, with its line when nothing else stands there; its comments stay as lines."""
    tree = change.tree
    begins = tree.begins_line(start)
    after = BREAK.search(tree.text, end)
    line_end = after.start() if after else len(tree.text)
    rest = tree.text[end:line_end]
    comments = tree.comments(start, end)
    if comments:
        indent = f"{tree.newline}{' ' * tree.column(start)}"
        change.put(start, line_end, indent.join([*comments, rest.lstrip()]).rstrip())
    elif begins and not rest.strip():
        change.put(tree.line_start(tree.line(start)), after.end() if after else line_end, "")
    elif not rest.strip():
        change.put(*_to_left(tree, start, line_end), "")
    else:
        change.put(start, line_end - len(rest.lstrip()), "")


def _to_left(tree: Tree, start: int, end: int) -> tuple[int, int]:
    """A piece with the blanks before it on its line."""
    line_start = tree.line_start(tree.line(start))
    return line_start + len(tree.text[line_start:start].rstrip(" \t")), end


def _out_of_brackets(change: Change, pairs: Sequence[Pair], first: int, last: int) -> None:
    """Take neighbours out of a mapping in brackets, with the commas on one side of them."""
    tree = change.tree
    start, end = pairs[first].key.start, pairs[last].value.end
    if first:
        start = pairs[first - 1].value.end
    elif last + 1 < len(pairs):
        end = pairs[last + 1].key.start
    if not tree.comments(start, end):
        change.put(start, end, "")
        return
    for place in range(first, last + 1):
        key, value = pairs[place]
        kept = (f"{comment}{tree.newline}" for comment in tree.comments(key.start, value.end))
        change.put(key.start, value.end, "".join(kept))
        gap = range(0)
        if first:
            gap = range(pairs[place - 1].value.end, key.start)
        elif place + 1 < len(pairs):
            gap = range(value.end, pairs[place + 1].key.start)
        comma = next((at for at in gap if tree.text[at] == "," and not tree.in_comment(at)), None)
        if comma is not None:
            change.put(comma, comma + 1, "")


def _emptied(change: Change, mapping: Node, colon: int | None) -> None:
    tree, pairs = change.tree, mapping.pairs
    first, *others = pairs
    indent = f"{tree.newline}{' ' * tree.column(mapping.body)}"
    start, text = mapping.body, indent.join([*tree.comments(mapping.body, first.value.end), "{}"])
    if colon is not None and mapping.start == mapping.body and not tree.comments(colon, first.value.end):
        start, text = colon + 1, " {}"
    change.put(start, first.value.end, text)
    for pair in others:
        cut(change, pair.key.start, pair.value.end)


def _out_of_lines(change: Change, pairs: Sequence[Pair], first: int, last: int) -> None:
    """Take neighbours out of a mapping in lines."""
    tree, start = change.tree, pairs[first].key.start
    if not tree.begins_line(start) and last + 1 < len(pairs):
        following = pairs[last + 1].key.start
        if not tree.comments(start, following):
            # The next key comes up to the dash.
            change.put(start, following, "")
            return
    for pair in pairs[first : last + 1]:
        cut(change, pair.key.start, pair.value.end)


def _added(change: Change, mapping: Node, beside: Pair, text: str) -> Change:
    """A further pair in a mapping, behind another one."""
    tree = change.tree
    if mapping.flow:
        return change.insert(beside.value.end, f", {text}")
    line, indent = last_line(tree, beside) + 1, " " * tree.column(beside.key.start)
    offset = tree.line_start(line)
    if tree.line(offset) < line:
        # The last line has no end.
        return change.insert(offset, f"{tree.newline}{indent}{text}")
    return change.insert(offset, f"{indent}{text}{tree.newline}")
