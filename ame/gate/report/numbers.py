"""Numbers as the page writes them: as precise as their error, told apart, and never `nan`."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ame.gate.wording import LABELS

__all__ = ["NONE", "Scale", "capital", "metric_name", "p_value", "percent", "scale", "shortened"]

#: Stands where a number does not exist; the text beside it says why.
NONE = "none"
_MOST_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Scale:
    """How the numbers of one line are written.

    Attributes:
        digits: after the point; None for numbers too large or too small to be written out.
    """

    digits: int | None

    def plain(self, value: float) -> str:
        if not math.isfinite(value):
            return _unbounded(value)
        text = f"{value:.4g}" if self.digits is None else f"{value:,.{self.digits}f}"
        return text.removeprefix("-") if _is_zero(text) else text

    def plus(self, value: float) -> str:
        """With its sign, so that a gain and a loss are never mixed up."""
        text = self.plain(value)
        return text if not math.isfinite(value) or text.startswith("-") or _is_zero(text) else f"+{text}"

    def interval(self, bounds: tuple[float, float]) -> str:
        if any(math.isnan(bound) for bound in bounds):
            return NONE
        return f"{self.plus(bounds[0])} to {self.plus(bounds[1])}"


def scale(size: float, error: float, *different: float) -> Scale:
    """Two significant digits of the `error`, and as many more as tell the `different` numbers apart.

    `size` is the largest number of the line: below 10 it gets at least 4 decimals, as the metrics between
    0 and 1 have everywhere.
    """
    largest = max((abs(each) for each in (size, *different) if math.isfinite(each)), default=0.0)
    digits = 4 if largest < 10 else 0
    if math.isfinite(error) and error > 0:
        digits = max(digits, 1 - math.floor(math.log10(error)))
    apart = {each for each in different if math.isfinite(each)}
    while digits <= _MOST_DIGITS and len({f"{each:.{digits}f}" for each in apart}) < len(apart):
        digits += 1
    return Scale(None if largest >= 1e12 or digits > _MOST_DIGITS else digits)


def p_value(p: float) -> str:
    if math.isnan(p):
        return NONE
    return "<0.0001" if p < 1e-4 else f"{p:.4f}"


def percent(share: float) -> str:
    return NONE if math.isnan(share) else f"{100 * share:.0f} %"


def metric_name(metric: str, *, start: bool = False) -> str:
    """What the metric is called; with `start` as the first word of a sentence."""
    name = LABELS.get(metric, metric.replace("_", " "))
    return capital(name) if start else name


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def shortened(text: str, most: int = 60) -> str:
    """On one line, and cut where it is too long to be read in a table or a legend."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}\u2026"


def _unbounded(value: float) -> str:
    if math.isnan(value):
        return NONE
    return "no lower limit" if value < 0 else "no upper limit"


def _is_zero(text: str) -> bool:
    return float(text.replace(",", "")) == 0.0
