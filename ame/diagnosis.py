"""The one type of every refusal: a stable code, where, what, why, and how to fix it.

`Diagnosis` is plain data, so that it can be collected, sorted and printed; `Refused` carries one or
more of them up to the command line, which prints them and exits with 1. Codes are a contract: they
are listed in docs/diagnoses.md and never change their meaning.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Diagnosis", "Refused", "Where", "did_you_mean"]


@dataclass(frozen=True, slots=True, order=True)
class Where:
    """A place in a file.

    Attributes:
        file: the path as the user would type it.
        line: counted from 1, or None when the whole file is meant.
        column: counted from 1, or None.
    """

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        parts = [self.file, self.line, self.column]
        return ":".join(str(part) for part in parts if part is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What is wrong (or, as a warning, worth knowing), and what to do about it.

    Attributes:
        code: stable, for example `AME-E102`; the letter is E for errors and W for warnings.
        what: one sentence.
        where: the place in a file, when there is one.
        why: the reason or the facts that were found, in whole sentences; may be empty.
        fix: what to do, in whole sentences; may be empty.
    """

    code: str
    what: str
    where: Where | None = None
    why: str = ""
    fix: str = ""

    @property
    def is_warning(self) -> bool:
        return self.code.startswith("AME-W")

    def __str__(self) -> str:
        parts = (self.code, str(self.where or ""), self.what, self.why, self.fix)
        return " ".join(part for part in parts if part)

    def to_json(self) -> dict[str, object]:
        where = self.where
        return {
            "code": self.code,
            "file": where.file if where else None,
            "line": where.line if where else None,
            "column": where.column if where else None,
            "what": self.what,
            "why": self.why,
            "fix": self.fix,
        }


class Refused(Exception):
    """Work that was not done, with the diagnoses that say why; its text is one diagnosis a line."""

    def __init__(self, *diagnoses: Diagnosis) -> None:
        super().__init__(*diagnoses)
        self.diagnoses = diagnoses

    def __str__(self) -> str:
        return "\n".join(str(diagnosis) for diagnosis in self.diagnoses)

    def __repr__(self) -> str:
        return f"Refused({', '.join(diagnosis.code for diagnosis in self.diagnoses)})"


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """`Did you mean 'gpu'?` when a known name is near, else an empty string."""
    near = difflib.get_close_matches(wrong, list(known), n=1, cutoff=0.6)
    return f"Did you mean '{near[0]}'?" if near else ""
