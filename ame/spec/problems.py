"""The problems of one file, collected on the way so that a user sees all of them at once."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from typing import NoReturn

import yaml

from ame.diagnosis import Diagnosis, Refused, Where, did_you_mean

__all__ = ["OlderText", "Problems", "Unreadable", "cut", "listed", "printable", "shown"]

_SHOWN = 60
_LISTED = 10
# Of one sentence; what it quotes is usually cut before.
_LONGEST = 1000
MOST_ERRORS = 10_000
# Each look for a near name reads all known ones; in a file of ten thousand wrong names the first count.
_MOST_COMPARED = 50_000


class Unreadable(Exception):
    """A value that cannot be read; whoever knows its place turns it into a diagnosis.

    Attributes:
        code: of the diagnosis.
        why: whole sentences.
        fix: whole sentences; may be empty.
        known: what the value may be a misspelling of, for `Problems.near`; where there is no fix.
    """

    def __init__(self, code: str, why: str, fix: str = "", known: Collection[str] = ()) -> None:
        super().__init__(code, why, fix)
        self.code = code
        self.why = why
        self.fix = fix
        self.known = known


class OlderText(Exception):
    """A value in a spelling of older files; whoever knows its place warns of it and goes on.

    Attributes:
        today: the text in today's spelling.
        value: what it says.
    """

    def __init__(self, today: str, value: object) -> None:
        super().__init__(today, value)
        self.today = today
        self.value = value


class Problems:
    """Errors and warnings of one file; one kind of mistake in one place is reported once.

    The same place is read several times when an anchor is used several times.

    Attributes:
        met: how many errors there were, with those that had been reported already.
        end: of the file, once it is known.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self._found: dict[tuple[str, Where], Diagnosis] = {}
        self._compared = 0
        self.met = 0
        self.end: Where | None = None

    def where(self, node: yaml.Node) -> Where:
        mark = node.start_mark
        if self.end is not None and mark.line >= (self.end.line or 0):
            # What is missing where the file ends libyaml puts on a line that is not there.
            return self.end
        return Where(self.file, mark.line + 1, mark.column + 1)

    def add(self, code: str, place: yaml.Node | Where, what: str, why: str = "", fix: str = "") -> None:
        """Notes a problem, unless this place has one of its code.

        Raises:
            Refused: the file has so many that reading on would take longer than mending the first of them.
        """
        where = place if isinstance(place, Where) else self.where(place)
        if (code, where) not in self._found:
            texts = tuple(cut(text, _LONGEST) for text in (what, why, fix))
            diagnosis = Diagnosis(code=code, where=where, what=texts[0], why=texts[1], fix=texts[2])
            self._found[code, where] = diagnosis
        if not code.startswith("AME-W"):
            self.met += 1
            if self.met > MOST_ERRORS:
                self.give_up(
                    Where(self.file),
                    f"the file was read until {MOST_ERRORS:,} mistakes were met.",
                    fix="Mend those that are listed; then the rest is read.",
                )

    def has(self, code: str, where: Where) -> bool:
        """Whether this place has a problem of this code already, so that another would not be noted."""
        return (code, where) in self._found

    def give_up(self, where: Where, what: str, why: str = "", fix: str = "") -> NoReturn:
        """Raises Refused with every error found so far, and with why reading ends here."""
        end = Diagnosis(code="AME-E107", where=where, what=what, why=why, fix=fix)
        raise Refused(*self.errors(), end)

    def adopt(self, diagnosis: Diagnosis) -> None:
        """Add a problem of another file, which this one needs."""
        if diagnosis.where is not None:
            self._found.setdefault((diagnosis.code, diagnosis.where), diagnosis)

    def near(self, wrong: str, known: Collection[str]) -> str:
        """`did_you_mean`, as long as that takes no more than seconds in the whole file."""
        self._compared += len(known)
        if self._compared > _MOST_COMPARED or len(wrong) > _SHOWN:
            return ""
        return did_you_mean(wrong, known)

    def errors(self) -> tuple[Diagnosis, ...]:
        return self._sorted(warnings=False)

    def warnings(self) -> tuple[Diagnosis, ...]:
        return self._sorted(warnings=True)

    def refuse_errors(self) -> None:
        """Raises Refused with every error found so far, by position."""
        if errors := self.errors():
            raise Refused(*errors)

    def _sorted(self, *, warnings: bool) -> tuple[Diagnosis, ...]:
        chosen = (d for d in self._found.values() if d.is_warning is warnings)
        return tuple(sorted(chosen, key=self._position))

    def _position(self, diagnosis: Diagnosis) -> tuple[str, int, int, str]:
        """Those of this file come first."""
        where = diagnosis.where or Where(self.file)
        file = "" if where.file == self.file else where.file
        return (file, where.line or 0, where.column or 0, diagnosis.code)


def shown(text: str) -> str:
    """A piece of the file in quotes: on one line, printable, and not too long."""
    return f"'{cut(text)}'"


def cut(text: str, longest: int = _SHOWN) -> str:
    """A piece of the file on one line, printable, and not too long."""
    return printable(text if len(text) <= longest else text[: longest - 3] + "...")


def printable(text: str) -> str:
    """A text on one line, with escapes for what does not print."""
    return text if text.isprintable() else "".join(map(_printable_character, text))


def _printable_character(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def listed(names: Collection[str], between: str = ", ") -> str:
    """`a, b, c`, cut after ten with the number of those that are left out."""
    rest = len(names) - _LISTED
    text = between.join(islice(names, _LISTED))
    return f"{text} and {rest} more" if rest > 0 else text
