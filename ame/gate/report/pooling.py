"""Fewer bins of a reliability diagram, for the eye."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ame.gate.summary import Reliability

__all__ = ["pooled"]


def pooled(each: Reliability, bins: int = 10) -> tuple[NDArray[np.float64], ...]:
    """Fewer bins of about equally many rows: mean score, share of positives, and its interval's two ends.

    Each array has shape (up to `bins`,). The interval is Wilson's 95 % interval (1927, JASA 22:209), as if
    rows were independent.
    """
    through = np.cumsum(each.rows)
    total = int(through[-1])
    centre = through - each.rows / 2
    pool = np.minimum((bins * centre / max(total, 1)).astype(np.int64), bins - 1)
    rows = np.bincount(pool, weights=each.rows, minlength=bins)
    used = rows > 0
    n = rows[used]
    predicted = np.bincount(pool, weights=each.predicted, minlength=bins)[used] / n
    observed = np.bincount(pool, weights=each.positives, minlength=bins)[used] / n
    z = 1.959963984540054
    middle = (n * observed + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * np.sqrt(n * observed * (1 - observed) + z * z / 4)
    return predicted, observed, middle - half, middle + half
