"""Changes of a text by place: which of them go together, and the text that they make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ame.migrate.syntax import Tree

__all__ = ["Change", "applied"]


class _Edit(NamedTuple):
    start: int
    end: int
    text: str


@dataclass(slots=True)
class Change:
    """One rewriting: pieces of text that are exchanged, and lines that move to the side, all or none."""

    tree: Tree
    edits: list[_Edit] = field(default_factory=list)
    # Lines that are moved, or whose number changes.
    lines: set[int] = field(default_factory=set)

    def put(self, start: int, end: int, text: str) -> Change:
        """Exchange a piece of the text; an empty piece is a place to insert at."""
        self.edits.append(_Edit(start, end, text))
        first, last = self.tree.line(start), self.tree.line(end)
        if first != last or "\n" in text or "\r" in text:
            self.lines.update(range(first, last + 1))
        return self

    def insert(self, offset: int, text: str) -> Change:
        return self.put(offset, offset, text)

    def join(self, other: Change) -> Change:
        """Both changes as one."""
        self.edits += other.edits
        self.lines |= other.lines
        return self

    def shift(self, first: int, last: int, by: int) -> Change:
        """Move lines to the right, or to the left; both ends belong to the range, and empty lines stay."""
        for line in range(first, last + 1) if by else ():
            start, text = self.tree.line_start(line), self.tree.line_text(line)
            if by > 0 and text:
                self.insert(start, " " * by)
            elif by < 0:
                blanks = len(text) - len(text.lstrip(" "))
                self.put(start, start + min(-by, blanks), "")
        self.lines.update(range(first, last + 1))
        return self


def applied(tree: Tree, changes: Iterable[Change]) -> str:
    """The text with those changes that do not touch each other, the earlier ones first.

    Those that are left out are found again in the new text.
    """
    edits = list(_compatible(changes))
    pieces, position = [], 0
    # Sorting is stable: what one change inserts at one place stays in its order.
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        pieces += [tree.text[position : edit.start], edit.text]
        position = max(position, edit.end)
    return "".join([*pieces, tree.text[position:]])


def _compatible(changes: Iterable[Change]) -> Iterator[_Edit]:
    places: set[int] = set()
    lines: set[int] = set()
    for change in changes:
        touched = {
            place for edit in change.edits for place in range(edit.start, max(edit.end, edit.start + 1))
        }
        moved = set(range(min(change.lines), max(change.lines) + 1)) if change.lines else set()
        if places & touched or lines & moved:
            continue
        places |= touched
        lines |= moved
        yield from change.edits
