"""From differences and sums of influence to standard errors, tests, bounds and power.

Every function takes plain arrays or numbers, so that each can be held against a published case; which of
them a metric needs is said in `ame.gate.estimates`. `scipy.special` is used rather than `scipy.stats`, which
takes ten times as long to import.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, ndtr, ndtri, stdtr, stdtrit

from ame.gate.metrics import dot

__all__ = [
    "FEW_DISCORDANT",
    "Estimate",
    "clustered_std_error",
    "discordant_estimate",
    "even_groups",
    "holm",
    "mcnemar_mid_p",
    "minimum_detectable_effect",
    "rows_needed",
]


#: With fewer rows than this on which only one model is right Wald's interval is too short.
FEW_DISCORDANT = 25


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


def clustered_std_error(sums: NDArray[np.float64], groups: int, rows: int) -> float:
    """The standard error when rows of one entity depend on each other, from the influence summed by entity.

    Var = G/(G-1) sum_g S_g^2 / n^2 for G entities in n rows (Obuchowski 1997, Biometrics 53:567, for the
    AUC; Liang & Zeger 1986 in general). `sums` has shape (groups,), or more with zeros for entities that
    have no row here. Whole entities may be summed together: that costs degrees of freedom only.
    """
    return math.sqrt(dot(sums, sums) * groups / (groups - 1)) / rows if groups > 1 else math.nan


def even_groups(sums: NDArray[np.float64]) -> float:
    """How many groups with sums of equal variance would tell as much of it: 3 (sum S^2)^2 / sum S^4.

    Satterthwaite's degrees of freedom (1946, Biometrics Bulletin 2:110), (sum v)^2 / sum v^2 for variances
    v, with S^2 for v and S^4 / 3 for v^2, which they are on average when the sums are normal. In 24 groups
    of uneven size the test of equal recalls rejects 5.8 % by it and 7.0 % by 23 degrees of freedom, at 5 %.
    Infinite when all sums are 0.
    """
    largest = float(np.abs(sums).max(initial=0.0))
    if largest == 0.0:
        return math.inf
    squares = np.square(sums / largest)
    return float(3 * squares.sum() ** 2 / dot(squares, squares))


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
    if discordant >= FEW_DISCORDANT:
        return Estimate(difference, _wald(only_champion, only_challenger, n))
    adjusted = (only_challenger - only_champion) / (n + 2)
    error = _wald(only_champion + 1, only_challenger + 1, n + 2)
    return Estimate(difference, error, shift=adjusted - difference)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values (1979, Scand J Stat 6:65), in the order given."""
    adjusted = [0.0] * len(p_values)
    greatest = 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        greatest = max(greatest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = greatest
    return adjusted


def minimum_detectable_effect(estimate: Estimate, alpha: float, power: float, margin: float) -> float:
    """The true difference with which a lower bound exceeds `margin` with probability `power`."""
    return margin + (estimate.quantile(1 - alpha) + estimate.quantile(power)) * estimate.std_error


def rows_needed(estimate: Estimate, rows: int, alpha: float, power: float, distance: float) -> int | None:
    """Rows like these with which a true difference `distance` beyond the margin is found.

    n = (z_{1-alpha} + z_{power})^2 sd^2 / distance^2, where sd^2 = n SE^2 holds the dependence within
    entities. None when the distance is not above 0, as no number of rows would do then, and when it would
    take more than 10^15.
    """
    if not distance > 0.0:
        return None
    reach = (estimate.quantile(1 - alpha) + estimate.quantile(power)) * estimate.std_error
    times = min(reach / distance, 1e15)
    needed = rows * times * times
    return max(1, math.ceil(needed)) if needed <= 1e15 else None


def _wald(only_champion: int, only_challenger: int, n: int) -> float:
    difference = (only_challenger - only_champion) / n
    return math.sqrt(max(0.0, (only_champion + only_challenger) / n - difference**2) / n)
