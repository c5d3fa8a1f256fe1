"""From influence values to standard errors, tests, bounds and power.

Every function takes plain arrays or numbers, so that each can be held against a published case.
`scipy.special` is used rather than `scipy.stats`, which takes ten times as long to import.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, ndtr, ndtri, stdtr, stdtrit

__all__ = [
    "Estimate",
    "clustered_std_error",
    "discordant_estimate",
    "effective_entities",
    "entities_in_smaller_class",
    "mcnemar_mid_p",
    "minimum_detectable_effect",
    "paired_std_error",
    "rows_needed",
]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A difference and what is known of its distribution.

    Attributes:
        difference: the estimate.
        std_error: its standard error.
        df: degrees of freedom of the t distribution; infinite for the normal one.
        shift: added to the difference where intervals are centred elsewhere (Bonett and Price).
    """

    difference: float
    std_error: float
    df: float = math.inf
    shift: float = 0.0

    @property
    def is_exact_tie(self) -> bool:
        """No difference and no variation: on these rows the metric cannot tell the models apart."""
        return self.difference == 0.0 and self.std_error == 0.0

    @property
    def is_degenerate(self) -> bool:
        """A difference without variation, up to rounding: the same on every row, so without an error."""
        return self.difference != 0.0 and self.std_error <= 1e-9 * abs(self.difference)

    @property
    def statistic(self) -> float:
        if self.std_error == 0.0:
            return 0.0 if self.difference == 0.0 else math.nan
        return self.difference / self.std_error

    @property
    def p_value(self) -> float:
        """Two-sided, of no difference; 1 when there is neither difference nor variation."""
        z = -abs(self.statistic)
        return float(2 * (ndtr(z) if math.isinf(self.df) else stdtr(self.df, z)))

    def quantile(self, probability: float) -> float:
        return float(ndtri(probability) if math.isinf(self.df) else stdtrit(self.df, probability))

    def bounds(self, level: float) -> tuple[float, float]:
        """Each bound holds by itself with probability 1 - level; `level=0.025` gives a 95 % interval."""
        centre = self.difference + self.shift
        half = self.quantile(1 - level) * self.std_error
        return centre - half, centre + half


def paired_std_error(influence: NDArray[np.float64], by_class: NDArray[np.bool_] | None = None) -> float:
    """The standard error of the mean of independent influence values with sample variances (ddof 1).

    With `by_class` the rows of each class are a sample of their own, which makes an AUC's influence
    give DeLong's variance: S10/m + S01/k.
    """
    n = influence.size
    squares = float(influence @ influence)
    if by_class is None:
        return math.sqrt(squares * n / (n - 1)) / n
    m = int(np.count_nonzero(by_class))
    k = n - m
    # Multiplying is several times faster than picking rows by a mask.
    positives = influence * by_class
    in_positives = float(positives @ positives)
    in_negatives = max(0.0, squares - in_positives)
    return math.sqrt(in_positives * m / (m - 1) + in_negatives * k / (k - 1)) / n


def clustered_std_error(influence: NDArray[np.float64], entity: NDArray[np.int64], entities: int) -> float:
    """The standard error when rows of one entity depend on each other: the influence is summed by entity.

    Var = G/(G-1) sum_g (sum_{i in g} psi_i)^2 / n^2 for G entities (Obuchowski 1997, Biometrics
    53:567, for the AUC; Liang & Zeger 1986 in general). `entity` holds codes from 0 to `entities` - 1.
    """
    sums = np.bincount(entity, weights=influence, minlength=entities)
    return math.sqrt(float(sums @ sums) * entities / (entities - 1)) / influence.size


def effective_entities(entity: NDArray[np.int64], entities: int) -> float:
    """How many entities of equal size would tell as much: (sum of sizes)^2 / sum of squared sizes."""
    sizes = np.bincount(entity, minlength=entities).astype(np.float64)
    return float(sizes.sum() ** 2 / (sizes @ sizes))


def entities_in_smaller_class(label: NDArray[np.bool_], entity: NDArray[np.int64], entities: int) -> int:
    """The smaller of the numbers of entities that hold a positive row and that hold a negative one."""
    holders = np.zeros((2, entities), dtype=bool)
    holders[0, entity[label]] = True
    holders[1, entity[~label]] = True
    return int(holders.sum(axis=1).min())


def mcnemar_mid_p(only_champion: int, only_challenger: int) -> float:
    """The two-sided mid-p of McNemar's test from the two counts of discordant rows.

    The exact binomial p less the probability of what was seen; 1 - P/2 when the counts are equal, and
    1 when no row is discordant. Fagerland, Lydersen & Laake 2013 (BMC Med Res Meth 13:91) found that
    it keeps its level where the exact test is conservative.
    """
    discordant = only_champion + only_challenger
    if discordant == 0:
        return 1.0
    fewer = min(only_champion, only_challenger)
    through = float(bdtr(fewer, discordant, 0.5))
    before = float(bdtr(fewer - 1, discordant, 0.5)) if fewer else 0.0
    if only_champion == only_challenger:
        return 1.0 - (through - before) / 2
    return through + before


def discordant_estimate(only_champion: int, only_challenger: int, n: int) -> Estimate:
    """The difference in accuracy and its Wald standard error, from the discordant rows of n.

    SE^2 = ((b + c)/n - D^2)/n. With fewer than 25 discordant rows that is too short (with 3 against 0
    it would exclude no difference), so each count gets one more row and n two: Bonett & Price 2012
    (J Educ Behav Stat 37:479).
    """
    difference = (only_challenger - only_champion) / n
    discordant = only_champion + only_challenger
    if discordant >= 25:
        return Estimate(difference, _wald(only_champion, only_challenger, n))
    adjusted = (only_challenger - only_champion) / (n + 2)
    error = _wald(only_champion + 1, only_challenger + 1, n + 2)
    return Estimate(difference, error, shift=adjusted - difference)


def minimum_detectable_effect(estimate: Estimate, alpha: float, power: float, margin: float) -> float:
    """The true difference with which a lower bound exceeds `margin` with probability `power`."""
    return margin + (estimate.quantile(1 - alpha) + estimate.quantile(power)) * estimate.std_error


def rows_needed(estimate: Estimate, rows: int, alpha: float, power: float, distance: float) -> int | None:
    """Rows like these with which a true difference `distance` beyond the margin is found.

    n = (z_{1-alpha} + z_{power})^2 sd^2 / distance^2, where sd^2 = n SE^2 holds the dependence within
    entities. None when the distance is not above 0, as no number of rows would do then.
    """
    if not distance > 0.0:
        return None
    reach = (estimate.quantile(1 - alpha) + estimate.quantile(power)) * estimate.std_error
    return max(1, math.ceil(rows * (reach / distance) ** 2))


def _wald(only_champion: int, only_challenger: int, n: int) -> float:
    difference = (only_challenger - only_champion) / n
    return math.sqrt(max(0.0, (only_champion + only_challenger) / n - difference**2) / n)
