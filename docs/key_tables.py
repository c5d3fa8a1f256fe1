"""Write the tables of keys in docs/ame-file.md, which come from the grammar: `python docs/key_tables.py`.

With `--check` it writes nothing, and ends with 1 when they are stale. A table stands between
`<!-- keys: SHAPE -->`, or `<!-- keys: SHAPE: KEY KEY ... -->` for some of its keys, and `<!-- end -->`;
shapes with the same keys share one: `<!-- keys: SHAPE, SHAPE -->`. What stands under a key is told in the
same table, unless it has one of its own, to which there is a link then.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from ame.spec import words
from ame.spec.grammar import (
    Choice,
    Flag,
    Key,
    ListOf,
    MapOf,
    Number,
    OneOf,
    Scalar,
    Shape,
    Tagged,
    Type,
    Whole,
    shapes_below,
)

PAGE = Path(__file__).with_name("ame-file.md")
SHAPES = {shape.name: shape for shape in shapes_below(words.PROJECT)}
_TABLE = re.compile(r"(<!-- keys: (.*?) -->\n).*?(<!-- end -->\n)", re.DOTALL)
_HEADING = re.compile(r"^##+ (.*)$", re.MULTILINE)


class Table(NamedTuple):
    """A table: the shapes that share it, the keys that it shows, and the heading that it stands under."""

    shapes: tuple[Shape, ...]
    keys: tuple[str, ...]
    heading: str


def main(*arguments: str) -> None:
    """Write the page, or check it."""
    page = PAGE.read_text("utf-8")
    if "--check" in arguments:
        sys.exit(f"{PAGE} is stale: python docs/key_tables.py" if fresh(page) != page else 0)
    PAGE.write_text(fresh(page), "utf-8")


def fresh(page: str) -> str:
    """The page with its tables as the grammar has them."""
    homes = {shape.name: table.heading for table in tables(page) for shape in table.shapes}

    def filled(found: re.Match[str]) -> str:
        table = _table(page, found)
        shape = table.shapes[0]
        rows = list(_rows(shape, table.keys, "", {**homes, "": table.heading}))
        if shape.domains:
            rows.append(
                (
                    "`nvidia.com/gpu` and the like",
                    _kind(shape.domains.type),
                    _otherwise(shape.domains),
                    shape.domains.about,
                ),
            )
        lines = "".join(f"| {' | '.join(cells)} |\n" for cells in rows)
        return f"{found[1]}| key | type | default | meaning |\n|---|---|---|---|\n{lines}{found[3]}"

    return _TABLE.sub(filled, page)


def tables(page: str) -> list[Table]:
    """The tables that a page has, in its order."""
    return [_table(page, found) for found in _TABLE.finditer(page)]


def _table(page: str, found: re.Match[str]) -> Table:
    names, _, keys = found[2].partition(": ")
    shapes = tuple(SHAPES[name] for name in names.split(", "))
    heading = _HEADING.findall(page[: found.start()])[-1]
    return Table(shapes, tuple(keys.split()) or tuple(shapes[0].keys), heading)


def _rows(
    shape: Shape, keys: tuple[str, ...], prefix: str, homes: Mapping[str, str]
) -> Iterator[tuple[str, ...]]:
    """Key, type, default and meaning, with those of what stands under each key and is told nowhere else.

    Args:
        homes: the heading of the table of each shape; that of this table under "".
    """
    for word in keys:
        key = shape.keys[word]
        held = list(_held(key.type))
        links = dict.fromkeys(homes[each.name] for _, each in held if each.name in homes)
        links.pop(homes[""], None)
        meaning = _meaning(key, [_link(heading) for heading in links])
        yield f"`{prefix}{word}`", _kind(key.type), _otherwise(key), meaning
        for suffix, each in held:
            if each.name not in homes:
                yield from _rows(each, tuple(each.keys), f"{prefix}{word}{suffix}.", homes)


def _held(of: Type) -> Iterator[tuple[str, Shape]]:
    """The shapes that stand under a key, each with what leads to it: `[]` an entry, `.*` any key."""
    match of:
        case Shape():
            yield "", of
        case ListOf():
            yield from ((f"[]{suffix}", shape) for suffix, shape in _held(of.item))
        case MapOf():
            yield from ((f".*{suffix}", shape) for suffix, shape in _held(of.value))
        case OneOf():
            for kind in of.kinds:
                yield from _held(kind)
        case Tagged():
            yield from (("", shape) for shape in of.shapes)


def _kind(of: Type) -> str:
    """A type in a few words; today's forms only."""
    match of:
        case Scalar():
            said = of.noun
        case Choice():
            said = "word"
        case Whole():
            said = "whole number"
        case Number():
            said = "number"
        case Flag():
            said = "true or false"
        case ListOf():
            said = f"list: {_kind(of.item)}"
        case OneOf():
            said = " or ".join(dict.fromkeys(map(_kind, of.kinds)))
        case Tagged():
            said = "mapping with a tag"
        case _:
            said = "mapping"
    return said


def _otherwise(key: Key) -> str:
    """What holds when the key is not there."""
    if key.required:
        return "required"
    if key.default is None:
        return key.otherwise or "none"
    shown = f"{key.default:g}" if isinstance(key.default, float) else str(key.default)
    return f"`{shown.lower() if isinstance(key.default, bool) else shown}`"


def _meaning(key: Key, links: list[str]) -> str:
    said = [key.about]
    if isinstance(key.type, Whole | Number) and key.type.range:
        said.append(f"{key.type.range[0].upper()}{key.type.range[1:]}.")
    if links:
        said.append(f"See {' and '.join(links)}.")
    return " ".join(said)


def _link(heading: str) -> str:
    anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
    return f"[{heading}](#{anchor})"


if __name__ == "__main__":
    main(*sys.argv[1:])
