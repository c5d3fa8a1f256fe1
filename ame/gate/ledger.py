"""The alpha ledger: it gives each test its look at the holdout, and its part of alpha, once.

A look is spent when it is given, before any number of the test is known, and stays spent whatever becomes
of the test. What is given is computed in `ame.gate.looks`. `FileLedger` keeps the looks in a file, for the
command line; `ame.registry.ledger` keeps them in MLflow.
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from ame.diagnosis import Diagnosis, Refused, Where
from ame.gate.config import ABTest
from ame.gate.epochs import Epoch, Look, Rows
from ame.gate.looks import Exhausted, Standing, alpha_of, next_look, place_of, same_holdout, standing, to_look
from ame.gate.result import Decision, LedgerUse

__all__ = [
    "Epoch",
    "Exhausted",
    "FileLedger",
    "Ledger",
    "Look",
    "Rows",
    "Standing",
    "alpha_of",
    "next_look",
    "same_holdout",
    "standing",
]

_FORMAT = "ame.ledger/1"


class Ledger(Protocol):
    """Gives looks at a model's holdouts. One object is for one test: it knows the decision's key."""

    def spend(self, config: ABTest, sketch: tuple[int, ...], rows: int) -> LedgerUse:
        """Spend a look, or give back the one that was spent for the same decision before.

        Args:
            config: its `alpha` and `looks` are those of the holdout.
            sketch: the smallest 64-bit hashes of the holdout's rows, ascending; empty when they have none.
            rows: how many there are.

        Raises:
            Exhausted: when none is left.
            Refused: when the ledger cannot be used.
        """

    def ended(self, use: LedgerUse, decision: Decision) -> None:
        """Note what came of a look; call it once decided, before anybody is told of the decision.

        A promotion ends the use of the holdout. The same again changes nothing, and neither does another
        decision after the first, but that a promotion always counts. A look of number 0 is passed over.
        """


class FileLedger:
    """A ledger in a JSON file, for any number of processes on one machine.

    A change is written aside, synced and renamed, under a lock that ends with its holder: whatever is killed
    when, the file holds all looks that were given, whole.

    Args:
        path: the file, which the first look makes, with its folder. Beside it stands `.NAME.lock`.
        key: of the decision, see `next_look`; empty for a new look every time.
        holdout: what the holdout is called; without hashes of its rows it is known by that.
        holder: who asks, for people.
        now: gives the time in UTC, ISO 8601.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        key: str = "",
        holdout: str = "",
        holder: str = "",
        now: Callable[[], str] = lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    ) -> None:
        self.path = Path(path)
        self.key = key
        self.holdout = holdout
        self.holder = holder
        self._now = now

    def spend(self, config: ABTest, sketch: tuple[int, ...], rows: int) -> LedgerUse:
        """As `Ledger.spend`.

        Raises:
            Exhausted: when no look is left.
            Refused: AME-E520 when the file is no ledger, AME-E521 when it cannot be read or written.
        """
        with self._locked() as file:
            history = _read(file, self.path)
            use = next_look(config, sketch, history, key=self.key, holdout=self.holdout)
            number, place = place_of(use)
            known = next((epoch.looks for epoch in history if epoch.number == number), ())
            if place > len(known):
                told = Look(key=self.key, holdout=self.holdout, holder=self.holder, at=self._now(), rows=rows)
                look = to_look(use, sketch, history, told)
                added = Epoch(number=number, looks=(*known, look))
                _write(file, [*(epoch for epoch in history if epoch.number != number), added])
            return use

    def ended(self, use: LedgerUse, decision: Decision) -> None:
        """As `Ledger.ended`.

        Raises:
            Refused: AME-E520 when the file does not hold the look, AME-E521 when it cannot be written.
        """
        if not use.look:
            return
        number, place = place_of(use)
        with self._locked() as file:
            history = _read(file, self.path)
            if not any(epoch.number == number and len(epoch.looks) >= place for epoch in history):
                raise Refused(
                    _no_ledger(self.path, f"Look {place} at '{use.holdout}' is not in it any more.")
                )
            told = [
                epoch.with_decision(place, decision) if epoch.number == number else epoch for epoch in history
            ]
            if told != history:
                _write(file, told)

    def epochs(self) -> list[Epoch]:
        """All that is recorded, oldest first.

        Raises:
            Refused: AME-E520 or AME-E521, as `spend` does.
        """
        try:
            return _read(self.path, self.path)
        except OSError as error:
            raise Refused(_cannot(self.path, error)) from error

    @contextmanager
    def _locked(self) -> Iterator[Path]:
        """The file behind links, which no other process changes within the block."""
        try:
            file = self.path.resolve()
            file.parent.mkdir(parents=True, exist_ok=True)
            # Not the file itself, which every change replaces by another.
            lock = os.open(file.with_name(f".{file.name}.lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield file
            finally:
                os.close(lock)
        except OSError as error:
            raise Refused(_cannot(self.path, error)) from error


def _read(file: Path, shown: Path) -> list[Epoch]:
    try:
        text = file.read_bytes()
    except FileNotFoundError:
        return []
    try:
        told = json.loads(text)
        if told["format"] != _FORMAT:
            raise ValueError(f"its format is '{told['format']}' and not '{_FORMAT}'")
        epochs = [Epoch.from_json(each) for each in told["epochs"]]
        if [epoch.number for epoch in epochs] != list(range(1, len(epochs) + 1)):
            raise ValueError("epochs are missing")
    except (
        AttributeError,
        KeyError,
        OverflowError,
        RecursionError,
        TypeError,
        ValueError,
        struct.error,
    ) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise Refused(_no_ledger(shown, f"{reason[:1].upper()}{reason[1:200]}.")) from error
    return epochs


def _write(file: Path, epochs: Sequence[Epoch]) -> None:
    told = {"format": _FORMAT, "epochs": [epoch.to_json() for epoch in epochs]}
    aside = file.with_name(f".{file.name}.new")
    with aside.open("w", encoding="utf-8") as opened:
        json.dump(told, opened, indent=1)
        opened.write("\n")
        opened.flush()
        os.fsync(opened.fileno())
    aside.replace(file)
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _no_ledger(path: Path, why: str) -> Diagnosis:
    return Diagnosis(
        code="AME-E520",
        where=Where(str(path)),
        what="the alpha ledger cannot be used: it is no ledger, or was changed.",
        why=why,
        fix="Restore the file, or name another one and replace the holdout.",
    )


def _cannot(path: Path, error: OSError) -> Diagnosis:
    return Diagnosis(
        code="AME-E521",
        where=Where(str(path)),
        what="the alpha ledger cannot be read or written.",
        why=f"{error.strerror or error}.",
        fix="Name a file in a folder that you may write to.",
    )
