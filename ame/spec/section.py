"""One mapping of the file under reading: its keys checked once, its values read by their types.

Nothing is ignored: a key is known, an older spelling (warned about), a word of the language that this
release does not carry out, or an error. Values that cannot be read become a problem and None; nobody
sees the None, because a file with problems gives no project.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import yaml

from ame.diagnosis import Where
from ame.spec.entries import Entry, is_list, mapping_entries, text_of, wrong_kind
from ame.spec.nodes import is_null
from ame.spec.problems import Problems, Unreadable, shown
from ame.spec.scalars import read_boolean, read_integer, read_number

__all__ = ["Section", "Shape"]

T = TypeVar("T")

_DOMAIN = re.compile(r"[a-z0-9.-]{1,253}/[A-Za-z0-9._-]{1,63}")


@dataclass(frozen=True, slots=True)
class Shape:
    """The keys that one kind of mapping may have.

    Attributes:
        known: the keys that are read.
        older: older spellings, each with the key that is meant.
        withheld: words of the language that this release does not carry out, each with what can be
            done instead (a whole sentence, or nothing).
        idle: keys that are read and have no effect, each with the reason.
        dated: keys of older releases that mean more than another name; their reader warns.
        domains: names of extended resources, such as nvidia.com/gpu, are keys too.
    """

    known: frozenset[str]
    older: Mapping[str, str] = field(default_factory=dict)
    withheld: Mapping[str, str] = field(default_factory=dict)
    idle: Mapping[str, str] = field(default_factory=dict)
    dated: frozenset[str] = frozenset()
    domains: bool = False


class Section:
    """A mapping with a shape, and the words by which a diagnosis names it.

    Attributes:
        owner: for example "task 'train'".
        withheld: whether a key was given that this release does not carry out.
        sound: a mapping, or nothing, stands there; what else stands there is reported already.
        entries: by key, older spellings already under the key that is meant.
    """

    __slots__ = ("entries", "node", "owner", "problems", "sound", "withheld")

    def __init__(self, problems: Problems, node: yaml.Node, shape: Shape, owner: str) -> None:
        self.problems = problems
        self.node = node
        self.owner = owner
        self.entries: dict[str, Entry] = {}
        self.withheld = False
        self.sound = isinstance(node, yaml.MappingNode) or is_null(node)
        known = shape.known
        for word, entry in mapping_entries(problems, node, owner):
            if word in known and word not in self.entries:
                self.entries[word] = entry
            else:
                self._unusual(word, entry, shape)

    def _unusual(self, word: str, entry: Entry, shape: Shape) -> None:
        problems = self.problems
        meant = shape.older.get(word, word)
        if meant in self.entries:
            first = shown(str(self.entries[meant].key.value))
            problems.add(
                "AME-E110",
                entry.key,
                f"{self.owner} has both {first} and {shown(word)}, which mean the same.",
                fix=f"Keep {shown(meant)}.",
            )
        elif meant in shape.known or meant in shape.dated or _is_domain(shape, meant):
            self.entries[meant] = entry
            if meant != word:
                what = f"{shown(word)} is an older spelling."
                problems.add("AME-W101", entry.key, what, fix=f"Write {shown(meant)}.")
        elif word in shape.idle or (word in shape.withheld and _is_empty(entry.value)):
            why = shape.idle.get(word, "It is empty.")
            problems.add("AME-W104", entry.key, f"{shown(word)} of {self.owner} has no effect.", why=why)
        elif word in shape.withheld:
            self.withheld = True
            self.withhold(entry.key, shown(word), shape.withheld[word])
        else:
            problems.add(
                "AME-E109",
                entry.key,
                f"{self.owner} has the unknown key {shown(word)}.",
                why=f"Known keys: {', '.join(sorted(shape.known))}.",
                fix=problems.near(word, shape.known),
            )

    def __contains__(self, key: str) -> bool:
        return key in self.entries

    def given(self, key: str) -> bool:
        """The key is there and has a value."""
        entry = self.entries.get(key)
        return entry is not None and not is_null(entry.value)

    def where(self, key: str | None = None) -> Where:
        """The place of a key, or of the mapping itself."""
        entry = self.entries.get(key) if key else None
        return self.problems.where(entry.key if entry else self.node)

    def error(self, code: str, key: str | None, what: str, why: str = "", fix: str = "") -> None:
        """A problem at a key, or at the mapping itself."""
        self.problems.add(code, self.where(key), what, why, fix)

    def withhold(self, node: yaml.Node, word: str, instead: str) -> None:
        """The problem that a known word is not carried out by this release."""
        what = f"{word} of {self.owner} is part of the language, but this release does not carry it out."
        self.problems.add("AME-E111", node, what, fix=instead)

    def require(self, *keys: str) -> bool:
        """Reports the keys that have no value, in one problem; true when all have one."""
        missing = [f"'{key}'" for key in keys if not self.given(key)]
        if missing and self.sound:
            self.error("AME-E113", None, f"{self.owner} lacks {' and '.join(missing)}.")
        return not missing

    def text(self, key: str) -> str | None:
        """The text of a scalar; None when it is not given or, with a problem, no scalar."""
        entry = self.entries.get(key)
        if entry is None or is_null(entry.value):
            return None
        return text_of(self.problems, entry.value, f"'{key}' of {self.owner}")

    def read(self, key: str, reader: Callable[[str], T]) -> T | None:
        """The value that `reader` makes of a scalar's text."""
        text = self.text(key)
        return None if text is None else self.interpret(self.entries[key].value, f"'{key}'", text, reader)

    def interpret(self, node: yaml.Node, name: str, text: str, reader: Callable[[str], T]) -> T | None:
        """`reader` applied to a text, its refusal reported at the node under a name."""
        try:
            return reader(text)
        except Unreadable as error:
            what = f"{name} of {self.owner} is {shown(text)}."
            self.problems.add(error.code, node, what, error.why, error.fix)
            return None

    def boolean(self, key: str, *, default: bool) -> bool:
        value = self.read(key, read_boolean)
        return default if value is None else value

    def integer(self, key: str, *, low: int, high: int, default: int) -> int:
        value = self.read(key, read_integer)
        if value is None or low <= value <= high:
            return default if value is None else value
        self._out_of_range(key, f"It must be from {low} to {high:,}.")
        return default

    def number(
        self,
        key: str,
        *,
        above: float | None = None,
        below: float | None = None,
        least: float | None = None,
        most: float | None = None,
        default: float = 0.0,
    ) -> float:
        """A finite number, within bounds of which `above` and `below` do not belong to the range."""
        value = self.read(key, read_number)
        if value is None:
            return default
        bounds = (
            ("above", above, above is not None and value <= above),
            ("at least", least, least is not None and value < least),
            ("below", below, below is not None and value >= below),
            ("at most", most, most is not None and value > most),
        )
        if any(broken for _, _, broken in bounds):
            words = " and ".join(f"{word} {bound:g}" for word, bound, _ in bounds if bound is not None)
            self._out_of_range(key, f"It must be {words}.")
        return value

    def choice(
        self, key: str, options: Iterable[str], *, withheld: Mapping[str, str] | None = None
    ) -> str | None:
        """One of some words; words of the language that are not carried out are told from unknown ones."""
        text = self.text(key)
        known = list(options)
        if text is None or text in known:
            return text
        value = self.entries[key].value
        if withheld and text in withheld:
            self.withhold(value, f"'{key}: {text}'", withheld[text])
        else:
            self.problems.add(
                "AME-E117",
                value,
                f"'{key}' of {self.owner} is {shown(text)}.",
                why=f"It is one of {', '.join(known)}.",
                fix=self.problems.near(text, known),
            )
        return None

    def section(self, key: str, shape: Shape, owner: str | None = None) -> Section | None:
        """The mapping under a key; an empty one when nothing stands there, None when the key is absent."""
        entry = self.entries.get(key)
        if entry is None:
            return None
        return Section(self.problems, entry.value, shape, owner or f"'{key}' of {self.owner}")

    def items(self, key: str) -> list[yaml.Node]:
        """The entries of a list; none when nothing stands there."""
        entry = self.entries.get(key)
        if entry is None or is_null(entry.value):
            return []
        node = entry.value
        if is_list(node):
            return list(node.value)
        wrong_kind(self.problems, node, f"'{key}' of {self.owner}", "a list")
        return []

    def texts(self, key: str) -> list[tuple[str, yaml.Node]]:
        """The entries of a list of texts, none of them twice."""
        found: dict[str, yaml.Node] = {}
        for node in self.items(key):
            name = f"an entry of '{key}' of {self.owner}"
            text = text_of(self.problems, node, name)
            if text is None:
                continue
            if text in found:
                what = f"'{key}' of {self.owner} names {shown(text)} twice."
                self.problems.add("AME-E115", node, what)
            elif not text.strip():
                self.problems.add("AME-E116", node, f"{name} is blank.")
            else:
                found[text] = node
        return list(found.items())

    def _out_of_range(self, key: str, why: str) -> None:
        node = self.entries[key].value
        self.problems.add("AME-E116", node, f"'{key}' of {self.owner} is {shown(str(node.value))}.", why=why)


def _is_domain(shape: Shape, word: str) -> bool:
    return shape.domains and _DOMAIN.fullmatch(word) is not None


def _is_empty(node: yaml.Node) -> bool:
    return is_null(node) or (not isinstance(node, yaml.ScalarNode) and not node.value)
