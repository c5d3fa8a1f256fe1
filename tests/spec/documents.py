"""ame.yml files that nobody has written, nearly right ones by the grammar.

Keys, choices and bounds are those of `ame.spec.words`. Everything is drawn from a `random.Random`, which
hypothesis can give: then what fails is made smaller.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ame.spec import words
from ame.spec.grammar import (
    Anything,
    Choice,
    Flag,
    ListOf,
    MapOf,
    Number,
    OneOf,
    Shape,
    Tagged,
    Type,
    Whole,
)

__all__ = ["document"]

_NAMES = ("a", "b", "c", "train", "x", "x.a", "holdout", "gpu", "t.1", "A", "no such name", "", "-", "ä")
_REFERENCES = ("a", "b", "x.a", "c", "shared.gpu", "shared.d", "nobody.a", *_NAMES)
_DEEPEST = 8


class _Texts(NamedTuple):
    """What may stand as a scalar: right texts, and others of which most are wrong."""

    right: Sequence[str]
    others: Sequence[str]


def _by_key(table: Mapping[str, tuple[str, ...]]) -> dict[str, _Texts]:
    """By each word of a key, of whose texts the first two are right."""
    return {key: _Texts(texts[:2], texts) for keys, texts in table.items() for key in keys.split()}


# What texts a key takes that has no more said of it than a function that reads it.
_VALUES = _by_key(
    {
        "taskRef fromTemplate templateRef dataSet": ("a", *_REFERENCES),
        "projectid": ("x", "x", *_NAMES),
        "command runcommand": ("python train.py", "x\ny", "", " ", "echo {{ x }}"),
        "pythonVersion": ("3.10", "3.12.1", "3.1", "3", "2.7"),
        "cpu cores": ("1", "2", "500m", "0.5", "0", "-1", "1e3", "1u"),
        "memory storage size sharedMemory": ("4Gi", "10G", "1GB", "4", "0.5m", "9" * 30, "1e999"),
        "nvidia.com/gpu": ("1", "0", "0.5", "x"),
        "gpuProduct": ("NVIDIA-L4", "a", "a b"),
        "schedule": ("0 3 * * *", "*/5 * * * *", "*****", "0 0 31 2 *", "@daily", "a b c d e", "60 * * * *"),
        "timezone": ("UTC", "Europe/Berlin", "Europe/Brlin", "localtime", "../../etc/passwd"),
        "timeout": ("1h", "1h30m", "90", "0s", "99999h"),
        "key": ("MODE", "B", "AME_X", "1A", "PREFECT_X", "MLFLOW_RUN_ID", "a"),
        "path": ("data/x.csv", "d", "../x", "/x", "s3://x", ".", "a\\b", "~/x"),
        "paths": ("data/x.csv", "d", "../x", "/x"),
        "uri": ("s3://bucket/x", "s3a://b-c/x", "s3://u:p@bucket/x", "file:///x", "https://x/y", "s3://b*/x"),
        "table": ("a.b.c", "`a b`.c", "a..b"),
        "archive": ("a.tar.gz", "s3://b/a.zip", "a", "a.zip#x"),
        "label entity row time": ("late", "day", "", " "),
        "metric": ("roc_auc", "log_loss", "auc", "x"),
        "master": ("local", "k8s", "local[4]", "spark://h:7077", "yarn", "sc://x", "localhost"),
    }
)
_NUMBERS = ("0.1", "0.9", "0.02", "1e9", "1e-99", "x", ".5", "+.5e3", "nan", "-1", "0", "1", "1e309")
_TEXTS = (
    *("a", "0", "-1", "1e309", "3.10", "true", "no", "null", "~", "", " ", "x" * 300, "9" * 50, "1.5"),
    *("a: b", "# c", "- d", "*a", "&a", "!a", "{", "]", "@x", "`x`", "%x", "|", "? a", "'", '"', "\\", "$x"),
    *("é", "𝄞", "\u202e", "\ufeff", "\u2028", "\x85", "\t", "\u0301", "a\nb", "{{ x }}", "${X}", "..", "<<"),
    *(
        "0x10",
        "2026-01-01",
        "12:30:45",
        ".inf",
        "=",
        "s3://x:y@z",
        "roc_auc",
        "local",
        "latest",
        "label",
        "late",
    ),
)
_ANY = _Texts(("a", "b"), _TEXTS)
_TAGS = (
    *("!pip", "!custom", "!poetry", "!pipEnv", "!mlflow", "!vault", "!ame", "!VaultSecret", "!x"),
    *("!!str", "!!int", "!!binary", "!!set", "!!omap", "!!null", "!!python/object/apply:os.system", "!"),
    *("!<tag:x>", "!<!pip>", "!a%21b", "!x!y", "!%ed%a0%80", "!!"),
)
_PLAIN = re.compile(r"[\w./~]([\w./ *-]*[\w.*/-])?")
# The user's own keys.
_OWN_KEYS: Mapping[str, Sequence[str]] = {
    "thresholds": ("roc_auc", "log_loss", "a"),
    "labels": ("a", "a/b", "ame-flows/x"),
    "annotations": ("a", "a/b", ""),
    "nodeSelector": ("a", "zone", "-"),
    "conf": ("spark.a", "spark.master", "fs.s3a.secret.key"),
}
_FIRST = (
    ("name",),
    ("name", "tasks"),
    ("name", "tasks", "models"),
    ("name", "models", "tasks", "templates"),
    ("projectid", "tasks", "dataSets"),
    ("name", "dataSets", "tasks", "models"),
    ("models",),
)
_WRONG_KEYS = ("nmae", "Name", "exector", "x", "1", "", "ame", "envkey", "schedul", "ä", "a.b", "<<")


def document(chance: random.Random) -> bytes:
    """A file that follows the grammar of the language, but for what it gets wrong."""
    lines = _Writer(chance).project()
    text = chance.choice(("\n", "\n", "\n", "\n", "\r\n", "\r")).join(lines)
    if chance.random() < 0.03:
        text = (
            chance.choice(("---\n", "%YAML 1.2\n---\n", "\ufeff", "%TAG ! tag:x,1:\n---\n", "# c\n")) + text
        )
    if chance.random() < 0.02:
        text += chance.choice(("\n---\n", "\n...\n", "\n...\nx: y\n", "\n---\nname: y\n", "\n\t", "\0"))
    return text.encode()


class _Writer:
    """Writes sections as lines; each thing is right, unusual, or wrong.

    Attributes:
        slips: how often something is wrong, against the odds below: some files are nearly right.
    """

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.slips = chance.choice((0.0, 0.1, 0.3, 1.0))
        self.extras = (1, 2, 3, 4) if self.slips > 0.2 else (0, 0, 1, 2)
        self.anchors = 0
        self.name = "x"

    def slip(self, odds: float) -> bool:
        return self.chance.random() < odds * self.slips

    def project(self) -> list[str]:
        if self.slip(0.02):
            return self.scalar(self.chance.choice(_TEXTS))
        keys = [*self.chance.choice(_FIRST)]
        return self.mapping(words.PROJECT, 0, keys)

    def mapping(self, shape: Shape, depth: int, first: Sequence[str] = ()) -> list[str]:
        keys = list(first) or [self.key(shape) for _ in range(self.chance.choice(self.extras))]
        if first and self.slip(0.5):
            keys.append(self.key(shape))
        keys += [key for key in self.wanted(shape, keys) if not self.slip(0.2)]
        if not self.slip(0.5):
            keys = list(dict.fromkeys(keys))
        return [line for key in keys for line in self.pair(key, self.type_of(shape, key), depth)] or ["{}"]

    def wanted(self, shape: Shape, keys: Sequence[str]) -> Iterable[str]:
        """The keys without which little of a mapping is read."""
        if not keys or shape is not words.PROJECT:
            yield from shape.required
        for ways in (shape.one_of, shape.any_of):
            if ways and not any(way in keys for way in ways):
                yield self.chance.choice(ways)
        if shape in (words.TASK, words.STEP):
            yield "name"
            if "pipeline" not in keys:
                yield "executor"

    def key(self, shape: Shape) -> str:
        if self.slip(0.3):
            return self.chance.choice(_WRONG_KEYS)
        others = [*shape.older, *shape.withheld, *shape.idle, *shape.dated]
        if others and self.slip(0.4):
            return self.chance.choice(others)
        keys = [*shape.keys, *(["nvidia.com/gpu"] if shape.domains else [])]
        return self.chance.choice(keys)

    def type_of(self, shape: Shape, key: str) -> Type:
        """What a key may hold, also one that means nothing here."""
        meant = shape.older.get(key, key)
        return shape[meant].type if shape.reads(meant) else Anything()

    def pair(self, key: str, kind: Type, depth: int) -> list[str]:
        """A key with its value on the lines below it, or behind it."""
        shown = f"{self.inline(key)}:" if not key or self.slip(0.05) else f"{key}:"
        kind = self.one_of(kind)
        tag = self.tag(kind)
        block = self.below(key, kind, depth)
        lines = self.value(key, kind) if block is None else block
        if tag and self.slip(0.1):
            return [tag, shown, *(f"  {line}" for line in lines)]
        if self.slip(0.02):
            return [f"? {shown[:-1]}", f": {lines[0]}", *(f"  {line}" for line in lines[1:])]
        if block is None:
            return [f"{shown} {tag}{lines[0]}", *lines[1:]]
        indent = " " * self.chance.choice((2, 2, 4, 1))
        if self.slip(0.02):
            indent = self.chance.choice(("", "\t"))
        return [f"{shown} {tag}".rstrip(), *(indent + line for line in lines)]

    def one_of(self, kind: Type) -> Type:
        """One of a type's alternatives, and of a tagged mapping's kinds."""
        while isinstance(kind, OneOf):
            kind = self.chance.choice(kind.older if kind.older and self.slip(0.3) else kind.kinds)
        if isinstance(kind, Tagged):
            word = self.chance.choice(list(kind.kinds))
            return Tagged({word: kind.kinds[word]}, kind.older)
        return kind

    def tag(self, kind: Type) -> str:
        if isinstance(kind, Tagged) and not self.slip(0.3):
            (word,) = kind.kinds
            older = [older for older, meant in kind.older.items() if meant == word]
            return f"!{self.chance.choice([*older, word.upper()]) if self.slip(0.2) else word} "
        return self.chance.choice(_TAGS) + " " if self.slip(0.04) else ""

    def value(self, key: str, kind: Type) -> list[str]:
        """What stands behind a key: a scalar, or a short list or mapping."""
        chance = self.chance
        if key == "<<" or self.slip(0.01):
            return [self.reference()]
        if self.slip(0.03):
            return [chance.choice(("", "{}", "[]", "[a]", "{a: b}", "[[[]]]", "{? [a] : b}", "~"))]
        if isinstance(kind, ListOf):
            return [f"[{', '.join(self.inline(self.text(key, kind.item)) for _ in range(2))}]"]
        return self.scalar(self.text(key, kind))

    def text(self, key: str, kind: Type) -> str:
        if key == "name" and not self.slip(0.5):
            return self.name
        texts = self.texts(key, self.one_of(kind))
        if self.slip(0.2):
            texts = _ANY
        return self.chance.choice(texts.others if self.slip(1.0) else texts.right)

    def texts(self, key: str, kind: Type) -> _Texts:
        match kind:
            case Flag():
                return _Texts(("true", "false"), ("yes", "no", "maybe", "1"))
            case Choice():
                return _Texts(kind.words, (*kind.withheld, "evry", kind.words[0].upper()))
            case Whole():
                ends = [str(end) for end in (kind.low, kind.high) if end is not None] or ["1"]
                beyond = [str(int(end) + step) for end in ends for step in (-1, 1)]
                return _Texts(ends, (*beyond, "1.0", "010", "9" * 20))
            case Number():
                return _Texts(_NUMBERS[:3], _NUMBERS)
            case _:
                return _VALUES.get(key, _ANY)

    def below(self, key: str, kind: Type, depth: int) -> list[str] | None:
        """The mapping or list that belongs below a key; None where something else is to stand there."""
        if depth > _DEEPEST or self.slip(0.1):
            return None
        match kind:
            case Tagged():
                return self.tagged(kind, depth)
            case Shape():
                return self.anchored(self.mapping(kind, depth + 1))
            case MapOf():
                names = self.chance.sample(_OWN_KEYS.get(key, _NAMES[:3]), 2)
                pairs = (self.pair(name, kind.value, depth + 1) for name in names if not self.slip(0.3))
                return [line for pair in pairs for line in pair] or ["{}"]
            case ListOf() if _holds_sections(kind.item):
                return self.items(kind, depth)
        return None

    def tagged(self, kind: Tagged, depth: int) -> list[str]:
        ((word, shape),) = kind.kinds.items()
        lines = self.mapping(shape, depth + 1)
        if self.slip(0.1):
            return [f"{word}:", *(f"  {line}" for line in lines)]
        return self.anchored(lines)

    def items(self, kind: ListOf, depth: int) -> list[str]:
        """A list, sometimes with entries that belong into a mapping of names."""
        lines = []
        outer = self.name
        for name in _NAMES[: self.chance.randrange(1 if depth else 0, 4)]:
            self.name = name
            item = self.one_of(kind.item)
            tag = self.tag(item)
            inside = self.below("", item, depth + 1) or self.scalar(self.text("", item))
            if self.slip(0.05):
                lines += [f"{self.chance.choice(_NAMES[:7])}:", *(f"  {line}" for line in inside)]
            else:
                first = (
                    [f"- {tag}", f"  {inside[0]}"] if tag and ":" in inside[0] else [f"- {tag}{inside[0]}"]
                )
                lines += [*first, *(f"  {line}" for line in inside[1:])]
        self.name = outer
        return lines or [""]

    def anchored(self, lines: list[str]) -> list[str]:
        if not self.slip(0.1):
            return lines
        self.anchors += 1
        return [f"&n{self.anchors}", *lines]

    def reference(self) -> str:
        """An alias, mostly of an anchor that there is."""
        if self.anchors and not self.slip(0.1):
            return f"*n{self.chance.randrange(1, self.anchors + 1)}"
        self.anchors += 1
        name = f"&n{self.anchors}"
        return self.chance.choice(
            (f"{name} {{a: b}}", f"{name} [a]", name, "{name: x}", "*x", f"{name} [*n1]")
        )

    def inline(self, text: str) -> str:
        """A text on one line."""
        lines = self.scalar(text)
        return lines[0] if len(lines) == 1 else "x"

    def scalar(self, text: str) -> list[str]:
        """A text in one of YAML's styles; one line but for the last ones."""
        style = self.chance.randrange(4)
        if (style < 2 and _PLAIN.fullmatch(text)) or self.slip(0.02):
            return text.split("\n")
        if style == 2 and text.isprintable():
            return ["'" + text.replace("'", "''") + "'"]
        if self.slip(0.01):
            return [self.chance.choice((f'"{text}', f"{text} # c", '"\\0"', '"\\ud800"', f"'{text}"))]
        if style == 0 and text.isprintable() and text.strip():
            return ["|", f"  {text}"]
        return ['"' + text.encode("unicode_escape").decode().replace('"', '\\"') + '"']


def _holds_sections(kind: Type) -> bool:
    """Whether entries of a list are mappings or lists, so that each stands on lines of its own."""
    if isinstance(kind, OneOf):
        return any(map(_holds_sections, kind.kinds))
    return isinstance(kind, Shape | ListOf | MapOf | Tagged)
