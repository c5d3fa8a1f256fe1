"""One mapping of the file under reading: its keys checked once, its values read as the grammar says.

Nothing is ignored: a key is known, an older spelling (warned about), a word of the language that this
release does not carry out, or an error. Values that cannot be read become a problem and None; nobody
sees the None, because a file with problems gives no project.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import yaml

from ame.diagnosis import Where
from ame.spec.entries import Entry, is_list, mapping_entries, text_of, wrong_kind
from ame.spec.grammar import Choice, ListOf, OneOf, Scalar, Shape, Type
from ame.spec.nodes import is_null
from ame.spec.problems import OlderText, Problems, Unreadable, shown

__all__ = ["Section"]

T = TypeVar("T")


class Section:
    """A mapping with a shape, and the words by which a diagnosis names it.

    Attributes:
        owner: for example "task 'train'".
        withheld: the keys given that this release does not carry out.
        sound: a mapping, or nothing, stands there; what else stands there is reported already.
        shape: what the grammar says about it.
        entries: by key, older spellings already under the key that is meant.
    """

    __slots__ = ("entries", "node", "owner", "problems", "shape", "sound", "withheld")

    def __init__(self, problems: Problems, node: yaml.Node, shape: Shape, owner: str) -> None:
        self.problems = problems
        self.node = node
        self.shape = shape
        self.owner = owner
        self.entries: dict[str, Entry] = {}
        self.withheld: tuple[str, ...] = ()
        self.sound = isinstance(node, yaml.MappingNode) or is_null(node)
        known = shape.keys
        for word, entry in mapping_entries(problems, node, owner):
            if word in known and word not in self.entries:
                self.entries[word] = entry
            else:
                self._unusual(word, entry)

    def _unusual(self, word: str, entry: Entry) -> None:
        problems, shape = self.problems, self.shape
        meant = shape.older.get(word, word)
        if meant in self.entries:
            first = shown(str(self.entries[meant].key.value))
            problems.add(
                "AME-E110",
                entry.key,
                f"{self.owner} has both {first} and {shown(word)}, which mean the same.",
                fix=f"Keep {shown(meant)}.",
            )
        elif shape.reads(meant):
            self.entries[meant] = entry
            if meant != word:
                what = f"{shown(word)} is an older spelling."
                problems.add("AME-W101", entry.key, what, fix=f"Write {shown(meant)}.")
        elif word in shape.idle or (word in shape.withheld and _is_empty(entry.value)):
            why = shape.idle.get(word, "It is empty.")
            problems.add("AME-W104", entry.key, f"{shown(word)} of {self.owner} has no effect.", why=why)
        elif word in shape.withheld:
            self.withheld += (word,)
            self.withhold(entry.key, shown(word), shape.withheld[word])
        else:
            problems.add(
                "AME-E109",
                entry.key,
                f"{self.owner} has the unknown key {shown(word)}.",
                why=f"Known keys: {', '.join(sorted(shape.keys))}.",
                fix=_home(shape, word) or problems.near(word, shape.keys),
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
        """Reports the keys that have no value, in one problem; true when all have one.

        Args:
            keys: without any, those that the grammar requires.
        """
        missing = [f"'{key}'" for key in keys or self.shape.required if not self.given(key)]
        if missing and self.sound:
            self.error("AME-E113", None, f"{self.owner} lacks {' and '.join(missing)}.")
        return not missing

    def default(self, key: str) -> Any:
        """What holds when a key has no value."""
        return self.shape[key].default

    def raw(self, key: str) -> str | None:
        """A scalar's text as it stands; None when it is not given or, with a problem, no scalar."""
        entry = self.entries.get(key)
        if entry is None or is_null(entry.value):
            return None
        return text_of(self.problems, entry.value, f"'{key}' of {self.owner}")

    def read(self, key: str) -> Any:
        """A scalar's value as its key reads it; None when it is not given or, with a problem, unreadable."""
        if key not in self.entries or (text := self.raw(key)) is None:
            return None
        reader = _alternative(self.shape[key].type, Scalar).read
        return self.interpret(self.entries[key].value, f"'{key}'", text, reader)

    def interpret(self, node: yaml.Node, name: str, text: str, reader: Callable[[str], T]) -> T | None:
        """`reader` applied to a text, its refusal reported at the node under a name."""
        try:
            return reader(text)
        except OlderText as older:
            what = f"{shown(text)} is an older spelling."
            self.problems.add("AME-W101", node, what, fix=f"Write {shown(older.today)}.")
            return cast(T, older.value)
        except Unreadable as error:
            what = f"{name} of {self.owner} is {shown(text)}."
            fix = error.fix or self.problems.near(text, error.known)
            self.problems.add(error.code, node, what, error.why, fix)
            return None

    def text(self, key: str) -> str | None:
        """The value of a key that reads texts; None as in `read`."""
        value: str | None = self.read(key)
        return value

    def integer(self, key: str) -> int:
        """The value of a `Whole`, or its default; 0 where there is none."""
        value: int | None = self.read(key)
        return (self.shape[key].default or 0) if value is None else value

    def number(self, key: str) -> float:
        """The value of a `Number`, or its default; 0 where there is none."""
        value: float | None = self.read(key)
        return (self.shape[key].default or 0.0) if value is None else value

    def boolean(self, key: str) -> bool:
        """The value of a `Flag`, or its default."""
        value = self.read(key)
        return bool(self.default(key) if value is None else value)

    def choice(self, key: str) -> str | None:
        """The word under a key of a `Choice`, or its default; None, with a problem, for any other.

        Words of the language that are not carried out are told from unknown ones.
        """
        if not self.given(key):
            return cast("str | None", self.default(key))
        text = self.raw(key)
        choice = cast(Choice, self.shape[key].type)
        if text is None or text in choice.words:
            return text
        value = self.entries[key].value
        if text in choice.withheld:
            self.withhold(value, f"'{key}: {text}'", choice.withheld[text])
        else:
            self.problems.add(
                "AME-E117",
                value,
                f"'{key}' of {self.owner} is {shown(text)}.",
                why=f"It is one of {', '.join(choice.words)}.",
                fix=self.problems.near(text, choice.words),
            )
        return None

    def section(self, key: str, owner: str | None = None) -> Section | None:
        """The mapping under a key; an empty one when nothing stands there, None when the key is absent."""
        entry = self.entries.get(key)
        if entry is None:
            return None
        shape = _alternative(self.shape[key].type, Shape)
        return Section(self.problems, entry.value, shape, owner or f"'{key}' of {self.owner}")

    def items(self, key: str) -> list[yaml.Node]:
        """The entries of a list, without those, which are problems, that hold nothing; none for no list."""
        entry = self.entries.get(key)
        if entry is None or is_null(entry.value):
            return []
        node = entry.value
        if is_list(node):
            return [each for each in node.value if not self._holds_nothing(key, each)]
        left_out = isinstance(node, yaml.ScalarNode) and node.value == "..."
        fix = (
            "'...' stands for what an example leaves out: write it, or leave the key out." if left_out else ""
        )
        wrong_kind(self.problems, node, f"'{key}' of {self.owner}", "a list", fix)
        return []

    def items_or_one(self, key: str, form: str) -> list[yaml.Node]:
        """The entries of a list, or, with a warning, the one that stands there as in older files.

        Args:
            form: how an entry of the list is written.
        """
        entry = self.entries.get(key)
        if entry is None or is_null(entry.value) or isinstance(entry.value, yaml.SequenceNode):
            return self.items(key)
        what = f"'{key}' of {self.owner} is no list, which is an older form."
        self.error("AME-W102", key, what, fix=f"Write a list: `{form}`.")
        return [entry.value]

    def _holds_nothing(self, key: str, node: yaml.Node) -> bool:
        if not is_null(node):
            return False
        what = f"an entry of '{key}' of {self.owner} is empty."
        self.problems.add("AME-E113", node, what, fix="Leave it out, or write what is meant.")
        return True

    def texts(self, key: str) -> list[tuple[str, yaml.Node]]:
        """The entries of a list of texts, none of them twice, as its key reads them."""
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
        item = _alternative(self.shape[key].type, ListOf).item
        if not isinstance(item, Scalar):
            return list(found.items())
        read = (
            (self.interpret(node, f"an entry of '{key}'", text, item.read), node)
            for text, node in found.items()
        )
        return [(text, node) for text, node in read if text is not None]


def _alternative(of_key: Type, kind: type[T]) -> T:
    """A key's type, or that of its alternatives which is of this kind.

    Any other type that reads texts will do for a `Scalar`.
    """
    if isinstance(of_key, OneOf):
        return next(each for each in (*of_key.kinds, *of_key.older) if isinstance(each, kind))
    return cast(T, of_key)


def _home(shape: Shape, word: str) -> str:
    homes = [f"'{key}'" for key in shape.homes(word)]
    return f"It belongs under {' or '.join(homes)}." if homes else ""


def _is_empty(node: yaml.Node) -> bool:
    return is_null(node) or (not isinstance(node, yaml.ScalarNode) and not node.value)
