"""What the grammar of the AME file is made of: kinds of mappings, their keys, and what a key may hold.

`ame.spec.words` says with it, once, all that can be said about a key by itself. The readers take types,
bounds, choices and defaults from there, `ame.spec.schema` makes the JSON Schema of it, and
docs/key_tables.py the tables of docs/ame-file.md. What concerns several keys, or other parts of the file, is
the readers' own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ame.spec.kinds import Choice, Flag, Number, Scalar, Whole

__all__ = [
    "DOMAIN",
    "Anything",
    "Choice",
    "Flag",
    "Key",
    "ListOf",
    "MapOf",
    "Number",
    "OneOf",
    "Scalar",
    "Shape",
    "Tagged",
    "Type",
    "Whole",
    "shapes_below",
]

#: The names of extended resources.
DOMAIN = re.compile(r"[a-z0-9.-]{1,253}/[A-Za-z0-9._-]{1,63}")


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list.

    Attributes:
        needs: keys that each entry must have although its shape can do without them elsewhere.
    """

    item: Type
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MapOf:
    """A mapping whose keys are the user's own.

    Attributes:
        key: what a key must be; None: any text.
        reserved: beginnings that no key may have.
    """

    value: Type
    key: Scalar | None = None
    reserved: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of several types, which the kind of the YAML node or the keys of a mapping tell apart.

    Attributes:
        older: further types, which files of older releases have and which are warned of.
    """

    kinds: tuple[Type, ...]
    older: tuple[Type, ...] = ()


@dataclass(frozen=True, slots=True)
class Tagged:
    """A mapping whose tag says its kind: `!pip {...}`, which `{pip: {...}}` says too.

    A tag is known in any capitals; other ones than those here are an older spelling.

    Attributes:
        kinds: what stands behind each tag.
        older: older tags in small letters, each with the one that is meant.
    """

    kinds: Mapping[str, Shape]
    older: Mapping[str, str] = field(default_factory=dict)

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """What stands behind the tags, each shape once."""
        return tuple({shape.name: shape for shape in self.kinds.values()}.values())


@dataclass(frozen=True, slots=True)
class Anything:
    """Mappings, lists and texts that are passed on as they are."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a mapping.

    Attributes:
        about: what it is for, in one or two sentences.
        default: the value that holds when none is given; None: there is no such value.
        otherwise: where there is none, what holds then, in words for the documentation.
        required: a value must be given.
        nullable: nothing behind the key is as if the key were not there, or an empty mapping or list. Not so
            for a mapping that needs something in it.
    """

    type: Type
    about: str = ""
    default: Any = None
    otherwise: str = ""
    required: bool = False
    nullable: bool = True


@dataclass(frozen=True, slots=True)
class Shape:
    """The keys that one kind of mapping may have.

    Attributes:
        name: one word for it, by which the JSON Schema and the documentation know it.
        about: what it describes, in a sentence.
        keys: those of today.
        older: older spellings, each with the key that is meant.
        dated: keys of older releases that mean more than another name; their reader warns.
        idle: keys that are read and have no effect, each with the reason.
        withheld: words of the language that this release does not carry out, each with what can be
            done instead (a whole sentence, or nothing).
        domains: what names of extended resources, such as nvidia.com/gpu, hold where they are keys too.
        strays: keys that are let through to the reader, which refuses them in better words.
        one_of: keys of which exactly one must be given.
        any_of: keys of which at least one must be given.
        required: the keys that must be given.
    """

    name: str
    about: str
    keys: Mapping[str, Key]
    older: Mapping[str, str] = field(default_factory=dict)
    dated: Mapping[str, Key] = field(default_factory=dict)
    idle: Mapping[str, str] = field(default_factory=dict)
    withheld: Mapping[str, str] = field(default_factory=dict)
    domains: Key | None = None
    strays: re.Pattern[str] | None = None
    one_of: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    required: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        required = tuple(word for word, key in self.keys.items() if key.required)
        object.__setattr__(self, "required", required)

    def __getitem__(self, word: str) -> Key:
        """What is said about a key that `reads` knows."""
        found = self.keys.get(word) or self.dated.get(word) or self.domains
        if found is None:
            raise KeyError(word)
        return found

    def default(self, word: str) -> Any:
        """What holds where this key has no value."""
        return self[word].default

    def homes(self, word: str) -> list[str]:
        """The keys whose own mapping knows a word that this one does not."""
        return [
            key for key, said in self.keys.items() if any(word in each.keys for each in _mappings(said.type))
        ]

    def reads(self, word: str) -> bool:
        """Whether a reader gets to see this key."""
        return (
            word in self.keys
            or word in self.dated
            or (self.domains is not None and DOMAIN.fullmatch(word) is not None)
            or (self.strays is not None and self.strays.fullmatch(word) is not None)
        )


Type: TypeAlias = (
    "Scalar | Whole | Number | Flag | Choice | ListOf | MapOf | OneOf | Tagged | Anything | Shape"
)


def shapes_below(root: Shape) -> list[Shape]:
    """A shape and all that stand under its keys, each once, in the order of the file."""
    found: dict[str, Shape] = {}
    todo: list[Type] = [root]
    while todo:
        current = todo.pop()
        if isinstance(current, Shape):
            if current.name in found:
                continue
            found[current.name] = current
        todo.extend(reversed(tuple(_parts(current))))
    return list(found.values())


def _mappings(of: Type) -> Iterator[Shape]:
    """The kinds of mappings that may stand right there."""
    match of:
        case Shape():
            yield of
        case OneOf():
            for kind in of.kinds:
                yield from _mappings(kind)
        case Tagged():
            yield from of.shapes


def _parts(of: Type) -> Iterator[Type]:
    """The types that a type is made of."""
    match of:
        case ListOf():
            yield of.item
        case MapOf():
            yield of.value
        case OneOf():
            yield from (*of.kinds, *of.older)
        case Tagged():
            yield from of.shapes
        case Shape():
            yield from (key.type for key in (*of.keys.values(), *of.dated.values()))
