"""What a simulation of the gate found: frozen plain data with a JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scipy.special import betaincinv

__all__ = ["Outcome", "Rate", "Simulation"]


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something happened.

    Attributes:
        count: times.
        trials: of so many.
    """

    count: int
    trials: int

    @property
    def rate(self) -> float:
        return self.count / self.trials

    @property
    def interval(self) -> tuple[float, float]:
        """The exact two-sided 95 % interval of Clopper & Pearson (1934, Biometrika 26:404)."""
        misses = self.trials - self.count
        low = float(betaincinv(self.count, misses + 1, 0.025)) if self.count else 0.0
        high = float(betaincinv(self.count + 1, misses, 0.975)) if misses else 1.0
        return low, high

    def to_json(self) -> dict[str, object]:
        return {"count": self.count, "trials": self.trials, "rate": self.rate, "interval": [*self.interval]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was decided in many drawn tests with one true difference.

    Attributes:
        difference: the true difference of the primary metric, signed so that more is better for the
            challenger.
        share: of the rows (entities) in which the challenger got the better answer, the worse one when it
            is negative; a coin decided in the others.
        decisions: how often each decision was taken.
        promoted: how often the gate promoted.
        halves: how often the comparison of random halves promoted; None outside of binary tests.
        rows_needed: rows with which the primary metric's bound clears its margin with the configured power;
            None when no number of rows would do.
    """

    difference: float
    share: float
    decisions: Mapping[str, int]
    promoted: Rate
    halves: Rate | None
    rows_needed: int | None

    def to_json(self) -> dict[str, object]:
        return {
            "difference": self.difference,
            "share": self.share,
            "decisions": dict(self.decisions),
            "promoted": self.promoted.to_json(),
            "randomHalves": None if self.halves is None else self.halves.to_json(),
            "rowsNeeded": self.rows_needed,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """The errors and the power of a gate on stored scores.

    Attributes:
        metric: the primary one.
        rows: of each drawn test, on average where whole entities are drawn.
        trials: tests drawn for each true difference.
        alpha: the one-sided level of the gate.
        power: the configured one.
        mde: the difference for which the primary metric is promoted with that power, from the standard errors
            of five drawn tests and of the largest possible difference.
        observed: the difference in the stored scores.
        observed_rows_needed: rows like the stored ones with which a difference like that is promoted with
            the configured power; None when no number of rows would do.
        equal: what was decided when the models were equal; its promotions are mistakes.
        effects: what was decided when they were not, in ascending order of the difference.
        seed: of the drawing.
    """

    metric: str
    rows: int
    trials: int
    alpha: float
    power: float
    mde: float
    observed: float
    observed_rows_needed: int | None
    equal: Outcome
    effects: tuple[Outcome, ...] = ()
    seed: int = 0

    @property
    def keeps_alpha(self) -> bool:
        """Whether the false promotions agree with at most alpha."""
        return self.equal.promoted.interval[0] <= self.alpha

    def to_json(self) -> dict[str, object]:
        return {
            "metric": self.metric,
            "rows": self.rows,
            "trials": self.trials,
            "alpha": self.alpha,
            "power": self.power,
            "mde": self.mde,
            "observed": self.observed,
            "observedRowsNeeded": self.observed_rows_needed,
            "keepsAlpha": self.keeps_alpha,
            "equal": self.equal.to_json(),
            "effects": [effect.to_json() for effect in self.effects],
            "seed": self.seed,
        }
