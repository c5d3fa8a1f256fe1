"""The kinds of scalars that a key may hold, each with the way from a text to its value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ame.spec.problems import Unreadable
from ame.spec.scalars import read_boolean, read_integer, read_number

__all__ = ["Choice", "Flag", "Number", "Scalar", "Whole", "any_case", "literally"]


def any_case(word: str) -> str:
    """A pattern of a word in small and capital letters, for JSON Schema, whose patterns have no flags."""
    return "".join(f"[{letter}{letter.upper()}]" if letter.isalpha() else letter for letter in word)


def literally(text: str) -> str:
    """A pattern of a text without signs but dots; `re.escape` escapes what JavaScript does not."""
    return text.replace(".", r"\.")


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number; both bounds belong to the range, and None is no bound."""

    low: int | None = None
    high: int | None = None

    @property
    def range(self) -> str:
        """The bounds in words, nothing without any: `from 0 to 1,000`."""
        if self.low is not None and self.high is not None:
            return f"from {self.low} to {self.high:,}"
        return "" if self.low is None else f"at least {self.low:,}"

    def read(self, text: str) -> int:
        """The number that a text says.

        Raises:
            Unreadable: AME-E116.
        """
        value = read_integer(text)
        too_low = self.low is not None and value < self.low
        if too_low or (self.high is not None and value > self.high):
            raise Unreadable("AME-E116", f"It must be {self.range}.")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A finite number; `above` and `below` do not belong to the range, and None is no bound."""

    above: float | None = None
    least: float | None = None
    below: float | None = None
    most: float | None = None

    @property
    def range(self) -> str:
        """The bounds in words, nothing without any: `above 0 and at most 1`."""
        bounds = (
            ("above", self.above),
            ("at least", self.least),
            ("below", self.below),
            ("at most", self.most),
        )
        return " and ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)

    def read(self, text: str) -> float:
        """The number that a text says.

        Raises:
            Unreadable: AME-E116.
        """
        value = read_number(text)
        if (
            (self.above is not None and value <= self.above)
            or (self.least is not None and value < self.least)
            or (self.below is not None and value >= self.below)
            or (self.most is not None and value > self.most)
        ):
            raise Unreadable("AME-E116", f"It must be {self.range}.")
        return value


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    def read(self, text: str) -> bool:
        """What a text says.

        Raises:
            Unreadable: AME-E116.
        """
        return read_boolean(text)


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text that a function reads.

    Attributes:
        read: gives a text's value, or raises `Unreadable`.
        pattern: a regular expression, of Python and of JavaScript alike, that every readable text matches as
            a whole; empty: any text. It may match more than is readable.
        number: what a text must be that YAML takes for a number when it has no quotes; None: such a text is
            never readable.
        boolean: whether what YAML takes for true or false is a readable text.
        noun: what such a text is, for the documentation.
    """

    read: Callable[[str], Any]
    pattern: str = ""
    number: Whole | Number | None = None
    boolean: bool = False
    noun: str = "text"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some words.

    Attributes:
        withheld: words of the language that this release does not carry out, each with what can be done
            instead, in whole sentences.
    """

    words: tuple[str, ...]
    withheld: Mapping[str, str] = field(default_factory=dict)
