"""The records of an alpha ledger: looks at a holdout, and the epochs that they make up.

What a look may spend is computed in `ame.gate.looks`; where the records are kept is a ledger's business.
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from ame.gate.result import Decision

__all__ = ["SKETCH", "Epoch", "Look", "Rows"]

#: A sketch with fewer hashes holds those of all rows; as in `ame.gate.keys`, which needs numpy and pyarrow.
SKETCH = 2048
_ALL = 2**64
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Rows:
    """A sample of rows by their hashes: all of those that are less than `below`, and no others.

    Attributes:
        hashes: 64-bit, different, ascending.
        below: 2^64 when these are all rows.
    """

    hashes: tuple[int, ...] = ()
    below: int = _ALL

    @classmethod
    def of(cls, sketch: Sequence[int]) -> Rows:
        """The rows of a sketch: the smallest hashes, ascending; all of them when fewer than SKETCH."""
        full = len(sketch) >= SKETCH
        return cls(tuple(map(int, sketch)), int(sketch[-1]) + 1 if full else _ALL)

    @classmethod
    def union(cls, parts: Iterable[Rows]) -> Rows:
        """The rows of all parts, as far down as each of them tells."""
        known = list(parts)
        below = min((part.below for part in known), default=_ALL)
        hashes = {each for part in known for each in part.hashes if each < below}
        return cls(tuple(sorted(hashes)), below)

    def beyond(self, known: Rows) -> Rows:
        """What has to be kept of these rows beside the `known` ones, for the union of both."""
        below = min(self.below, known.below)
        old = set(known.hashes)
        return Rows(tuple(each for each in self.hashes if each < below and each not in old), below)

    def to_text(self) -> str:
        return base64.b64encode(struct.pack(f"<{len(self.hashes)}Q", *self.hashes)).decode()

    @classmethod
    def from_text(cls, text: str, below: int) -> Rows:
        """Raises ValueError or struct.error when it is no such text."""
        packed = base64.b64decode(text, validate=True)
        return cls(struct.unpack(f"<{len(packed) // 8}Q", packed), below)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look at a holdout, spent whether or not a decision came of it.

    Attributes:
        key: of the decision that it was spent for, or empty; a look with the same key is this one.
        holdout: what the holdout was called.
        holder: who spent it.
        at: when, UTC, ISO 8601.
        rows: how many there were.
        flow_run: the Prefect run that spent it, or empty.
        number: from 1 in its epoch; 0 before it has a place there.
        alpha: what it may spend, one-sided.
        total: alpha of the whole epoch, as it was configured then.
        looks: how many were planned then, None for any number.
        sketch: the hashes that its rows added to those of the looks before; None when rows had no hashes.
        decision: that came of it; None while, or because, there was none.
    """

    key: str
    holdout: str
    holder: str
    at: str
    rows: int
    flow_run: str = ""
    number: int = 0
    alpha: float = 0.0
    total: float = 0.0
    looks: int | None = None
    sketch: Rows | None = None
    decision: Decision | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "look": self.number,
            "key": self.key,
            "holdout": self.holdout,
            "holder": self.holder,
            "flowRun": self.flow_run,
            "at": self.at,
            "alpha": self.alpha,
            "total": self.total,
            "looks": self.looks,
            "rows": self.rows,
            "sketch": None if self.sketch is None else self.sketch.to_text(),
            "below": None if self.sketch is None else str(self.sketch.below),
            "decision": self.decision,
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Look:
        """Raises KeyError, TypeError, ValueError or struct.error when it is no such JSON."""
        texts = {name: told[name] for name in ("key", "holdout", "holder", "at")} | {
            "flow_run": told["flowRun"]
        }
        alpha, total, looks, decision = told["alpha"], told["total"], told["looks"], told.get("decision")
        if not all(isinstance(text, str) for text in texts.values()):
            raise TypeError("a text is none")
        if not 0 < alpha <= total < 0.5 or not (looks is None or (isinstance(looks, int) and looks >= 1)):
            raise ValueError(f"alpha {alpha} of {total} in {looks} looks")
        if decision is not None and decision not in get_args(Decision):
            raise ValueError(f"decision {decision}")
        sketch = None if told["sketch"] is None else Rows.from_text(told["sketch"], int(told["below"]))
        return cls(
            number=int(told["look"]),
            **texts,
            alpha=float(alpha),
            total=float(total),
            looks=looks,
            rows=int(told["rows"]),
            sketch=sketch,
            decision=decision,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """All looks at one holdout, oldest first.

    Attributes:
        number: from 1 among the epochs of a model.
        looks: numbered from 1 without gaps, at least one.
        promoted: the number of the look that promoted a model and so ended the epoch, or None.
    """

    number: int
    looks: tuple[Look, ...]
    promoted: int | None = None

    @property
    def name(self) -> str:
        """For people and for `LedgerUse.holdout`: the holdout's name and the epoch's number."""
        return f"{self.looks[0].holdout or 'holdout'}#{self.number}"

    @property
    def rows(self) -> Rows:
        """Those of all looks, as far as they had hashes."""
        return Rows.union(look.sketch for look in self.looks if look.sketch is not None)

    def remaining(self, total: float) -> float:
        """What is left of alpha, 0 when nothing but rounding errors is."""
        left = total - math.fsum(look.alpha for look in self.looks)
        return left if left > total * _ROUNDING else 0.0

    def to_json(self) -> dict[str, Any]:
        return {
            "epoch": self.number,
            "promoted": self.promoted,
            "looks": [look.to_json() for look in self.looks],
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Epoch:
        """Raises what `Look.from_json` does."""
        looks = tuple(Look.from_json(each) for each in told["looks"])
        promoted = told["promoted"]
        if not looks or [look.number for look in looks] != list(range(1, len(looks) + 1)):
            raise ValueError("looks are missing")
        if promoted is not None and not 1 <= promoted <= len(looks):
            raise ValueError(f"look {promoted} promoted")
        return cls(number=int(told["epoch"]), looks=looks, promoted=promoted)

    def with_decision(self, number: int, decision: Decision) -> Epoch:
        """With what came of a look; the first decision stays, and a promotion ends the epoch in any case."""
        looks = tuple(
            replace(look, decision=look.decision or decision) if look.number == number else look
            for look in self.looks
        )
        promoted = number if decision == "promote" and self.promoted is None else self.promoted
        return replace(self, looks=looks, promoted=promoted)
