"""One arm on metrics that are smooth functions of means, with the error of each by the units of the arm.

An arm's metric is M = g(mean of z) over its rows, and row i has the influence psi_i = grad g . (z_i - mean).
The units, not the rows, were assigned at random and are independent of each other, so with
Psi_u = sum of psi_i over the rows of unit u, n rows and G units

    Var(M) = G/(G-1) sum_u Psi_u^2 / n^2,

the delta method for ratios (Deng, Knoblich & Lu 2018, "Applying the Delta Method in Metric Analytics"). With
rows as units and M a mean it is s^2/n, Welch's term for one arm. Every Psi_u is linear in the unit's sums
of z and 1, so that one matrix of products of these sums holds every metric's error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ame.gate.split.smooth import COLUMNS_OF, SMOOTH

__all__ = ["ArmValue", "Columns", "Moments", "columns_of"]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ArmValue:
    """One arm on one metric.

    Attributes:
        value: the metric; NaN when it is undefined.
        variance: of the value, by unit.
        independent: the variance if rows were independent.
        undefined: why there is no value.
        error_bound: by how much binning may have moved the value at most.
    """

    value: float = math.nan
    variance: float = math.nan
    independent: float = math.nan
    undefined: str | None = None
    error_bound: float = 0.0


_ZERO_OR_ONE = frozenset({"right", "hit", "predicted"})


@dataclass(slots=True)
class Columns:
    """Makes the per-row quantities that some metrics need.

    Attributes:
        names: which quantities, in the order of the columns; the outcome is always one.
        binary: whether the outcome is 0 or 1.
        threshold: from which probability on a row is predicted positive.
        quantile: which quantile the score predicts.
        shift: subtracted from each quantity so that sums of squares keep their digits; a typical value,
            taken from the first rows. It is 0 for quantities that are 0 or 1, whose sums are exact.
    """

    names: tuple[str, ...]
    binary: bool
    threshold: float = 0.5
    quantile: float = 0.5
    shift: dict[str, float] = field(default_factory=dict)

    def __call__(self, outcome: Floats, score: Floats | None) -> list[Floats]:
        """Shifted columns of shape (n,), in the order of `names`, and ones after them."""
        if "outcome" not in self.shift:
            self.shift["outcome"] = 0.0 if self.binary else _typical(outcome)
        columns = []
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is undefined, not a warning
            for name in self.names:
                values = self._column(name, outcome, score)
                if name not in self.shift:
                    self.shift[name] = 0.0 if name in _ZERO_OR_ONE else _typical(values)
                columns.append(values - self.shift[name])
        return [*columns, np.ones(outcome.size)]

    def _column(self, name: str, outcome: Floats, score: Floats | None) -> Floats:  # noqa: PLR0911 - a table
        if name == "outcome":
            return outcome
        if name == "outcome_square":
            return _squared(outcome - self.shift["outcome"])
        if score is None:
            raise ValueError(f"'{name}' needs a score")
        match name:
            case "log_loss":
                return _log_loss(outcome, score)
            case "square":
                return _squared(score - outcome)
            case "absolute":
                distance: Floats = np.abs(score - outcome)
                return distance
            case "pinball":
                below = outcome - score
                loss: Floats = np.maximum(self.quantile * below, (self.quantile - 1.0) * below)
                return loss
        predicted = score >= self.threshold
        if name == "predicted":
            return np.where(predicted, 1.0, 0.0)
        positive = outcome == 1.0
        found: Floats = np.where(predicted & positive if name == "hit" else predicted == positive, 1.0, 0.0)
        return found


def columns_of(metrics: Sequence[str]) -> tuple[str, ...]:
    """The quantities that these metrics need, each once, the outcome among them."""
    return tuple(dict.fromkeys(("outcome", *(name for metric in metrics for name in COLUMNS_OF[metric]))))


class Moments:
    """Sums of the columns of one arm, by row and by unit; adding rows in any order gives the same.

    `units` is how many codes of units there are, or None when each row is a unit of its own. The state
    takes 8 bytes for each column and unit.
    """

    __slots__ = ("by_unit", "columns", "products")

    def __init__(self, columns: Columns, units: int | None) -> None:
        self.columns = columns
        width = len(columns.names) + 1
        self.products = np.zeros((width, width))
        self.by_unit = None if units is None else np.zeros((width, units))

    def add(self, columns: list[Floats], unit: NDArray[np.int64] | None) -> None:
        """Add rows: columns from `Columns`, each of shape (n,), and the codes of their units, (n,)."""
        rows = np.stack(columns)
        with np.errstate(over="ignore", invalid="ignore"):
            self.products += rows @ rows.T
        if self.by_unit is not None and unit is not None:
            for sums, column in zip(self.by_unit, columns, strict=True):
                np.add.at(sums, unit, column)

    @property
    def rows(self) -> int:
        return int(self.products[-1, -1])

    @property
    def unit_rows(self) -> Floats:
        """How many rows each unit that was seen has; empty without units."""
        return np.empty(0) if self.by_unit is None else self.by_unit[-1][self.by_unit[-1] > 0]

    @property
    def units(self) -> int:
        return self.rows if self.by_unit is None else self.unit_rows.size

    @property
    def holders(self) -> tuple[int, int]:
        """Of a 0/1 outcome: how many units have a row with 0, and how many one with 1."""
        ones = self.sum("outcome")
        if self.by_unit is None:
            return self.rows - round(ones), round(ones)
        positives = self.by_unit[self.columns.names.index("outcome")]
        return int(np.count_nonzero(self.by_unit[-1] > positives)), int(np.count_nonzero(positives > 0))

    def sum(self, name: str) -> float:
        """The sum of a quantity over the arm's rows."""
        shifted = float(self.products[self.columns.names.index(name), -1])
        return shifted + self.rows * self.columns.shift.get(name, 0.0)

    def value(self, metric: str) -> ArmValue:
        """The arm's value of a metric, and its variance; undefined where it has none or it overflows."""
        if self.units < 2:
            return ArmValue(undefined=f"there are {self.units} units, and a variance needs 2")
        means = {name: self.products[at, -1] / self.rows for at, name in enumerate(self.columns.names)}
        true = {name: float(mean) + self.columns.shift[name] for name, mean in means.items()}
        found = SMOOTH[metric](true, self.columns.shift)
        if isinstance(found, str):
            return ArmValue(undefined=found)
        value, gradient = found
        weights = np.zeros(len(means) + 1)
        for name, slope in gradient.items():
            at = self.columns.names.index(name)
            weights[at] = slope
            weights[-1] -= slope * float(means[name])
        independent = _variance(weights, self.products, self.rows, self.rows)
        variance = independent
        if self.by_unit is not None:
            with np.errstate(over="ignore", invalid="ignore"):
                products = self.by_unit @ self.by_unit.T
            variance = _variance(weights, products, self.units, self.rows)
        if not (math.isfinite(value) and math.isfinite(variance)):
            return ArmValue(undefined="its numbers are too large to square")
        return ArmValue(value, variance, independent)


def _variance(weights: Floats, products: Floats, units: int, rows: int) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        terms = weights[:, None] * products * weights
        total, size = float(terms.sum()), float(np.abs(terms).sum())
    # What rounding leaves of terms that cancel is no variance.
    if abs(total) <= 256 * np.finfo(np.float64).eps * size:
        return 0.0
    return total * units / (units - 1) / rows / rows


def _typical(values: Floats) -> float:
    """The lower median: a value that is really there, so that a constant is shifted to exactly 0."""
    typical = float(np.partition(values, (values.size - 1) // 2)[(values.size - 1) // 2])
    return typical if math.isfinite(typical) else 0.0


def _squared(values: Floats) -> Floats:
    squares: Floats = values * values
    return squares


def _log_loss(outcome: Floats, score: Floats) -> Floats:
    """-log of the probability given to what came true, clipped away from 0 and 1 as scikit-learn does."""
    eps = np.finfo(np.float64).eps
    given = np.where(outcome == 1.0, score, 1.0 - score)
    loss: Floats = -np.log(np.clip(given, eps, 1.0 - eps))
    return loss
