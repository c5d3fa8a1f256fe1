"""Where numbers stand on a picture's axis."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Axis", "axis"]


@dataclass(frozen=True, slots=True)
class Axis:
    """A piece of the number line, drawn from `left` to `right`.

    Attributes:
        low, high: the numbers at its ends; high is above low.
        left, right: where these are drawn, in the picture's own unit.
    """

    low: float
    high: float
    left: float = 2.0
    right: float = 98.0

    def place(self, value: float) -> float:
        """Numbers beyond the ends are drawn at the ends."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(self.left + share * (self.right - self.left), 2)

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high

    def ticks(self, most: int = 4) -> list[tuple[float, str]]:
        """Round numbers within the ends: their places and how they are written, all with equal decimals."""
        step = _round_step((self.high - self.low) / most)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        written = []
        for value in (number * step for number in range(first, last + 1)):
            text = f"{value:,.{digits}f}" if 1e-6 <= step < 1e9 else f"{value:.3g}"
            written.append((self.place(value), text if value else "0"))
        return written


def axis(values: Iterable[float], left: float = 2.0, right: float = 98.0) -> Axis | None:
    """The axis that holds all finite values; None when they do not span any piece of the number line."""
    finite = [value for value in values if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    # A span that rounding alone makes has no ticks and no meaning.
    if high - low <= 1e-12 * max(abs(low), abs(high)):
        return None
    return Axis(low, high, left, right)


def _round_step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * (1 - 1e-9))
