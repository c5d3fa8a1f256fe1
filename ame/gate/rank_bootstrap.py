"""The bootstrap of rank metrics on a grid of score bins, in a time that does not depend on the rows.

Each occupied cell (label, the champion's bin, the challenger's) is drawn a Poisson number of times with its
rows as the mean (Hanley & MacGibbon 2006, Comput Methods Programs Biomed 83:57); what a metric of ranks
needs of the draw are the sums by bin, for each model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import pdtr

__all__ = ["RANKS", "average_precision", "bootstrap_ranks", "merge_bins", "poisson", "roc_auc"]

#: Occupied cells of a grid that are drawn; while there are more, neighbouring bins are merged.
CELLS = 4096
#: Means from here on are drawn from the normal distribution, rounded.
NORMAL_FROM = 100
LEVELS = 1 << 16

Floats: TypeAlias = NDArray[np.float64]
Counts: TypeAlias = "NDArray[np.int64] | NDArray[np.float64]"


def bootstrap_ranks(grid: NDArray[np.int64], draws: int, seed: int = 0) -> tuple[Floats, Floats, int]:
    """Rows by class and score bin, of the champion and of the challenger, in each Poisson resample.

    `grid` has shape (2, bins, bins): rows by label and each model's bin. Both results are float64, shape
    (draws, 2, bins), their bins in ascending order of the score; the third is how many bins are left:
    with more than 4,096 occupied cells neighbours are merged.
    """
    merged = merge_bins(grid)
    bins = merged.shape[1]
    label, first, second = np.nonzero(merged)
    weights = poisson(merged[label, first, second], draws, seed)
    # Cells come in the order of the champion's bin; a stable sort puts them in the challenger's.
    order = np.lexsort((second, label))
    champion = _by_bin(weights, label * bins + first, 2 * bins)
    challenger = _by_bin(weights[order], (label * bins + second)[order], 2 * bins)
    return champion.reshape(draws, 2, bins), challenger.reshape(draws, 2, bins), bins


def merge_bins(grid: NDArray[np.int64]) -> NDArray[np.int64]:
    """The grid with neighbouring bins put together until at most 4,096 cells hold rows."""
    while np.count_nonzero(grid) > CELLS and grid.shape[1] % 2 == 0:
        half = grid.shape[1] // 2
        grid = grid.reshape(2, half, 2, half, 2).sum(axis=(2, 4))
    return grid


def roc_auc(bins: Counts) -> Floats:
    """The area under the ROC curve from rows by class and bin, shape (..., 2, bins); ties count by half."""
    negatives, positives = bins[..., 0, :].astype(np.float64), bins[..., 1, :].astype(np.float64)
    lower = np.cumsum(negatives, axis=-1) - negatives / 2
    return _ratio((positives * lower).sum(axis=-1), negatives.sum(axis=-1) * positives.sum(axis=-1))


def average_precision(bins: Counts) -> Floats:
    """Average precision from the same, a bin being one step of the threshold."""
    positives = bins[..., 1, :].astype(np.float64)
    found = np.cumsum(positives[..., ::-1], axis=-1)[..., ::-1]
    predicted = np.cumsum(bins.sum(axis=-2)[..., ::-1], axis=-1)[..., ::-1]
    total = (positives * found / np.maximum(predicted, 1)).sum(axis=-1)
    return _ratio(total, positives.sum(axis=-1))


#: Metrics that can be had from rows by class and score bin.
RANKS: Mapping[str, Callable[[Counts], Floats]] = {
    "roc_auc": roc_auc,
    "average_precision": average_precision,
}


def poisson(means: NDArray[np.int64], draws: int, seed: int) -> NDArray[np.float32]:
    """Poisson numbers, float32, shape (means, draws): each row has its own mean.

    Means up to 99 are drawn by looking up 16 random bits in a table of their quantiles, so that what is
    rarer than 1 in 65,536 is cut off; larger ones are normal numbers, rounded.
    """
    random = np.random.default_rng(seed)
    drawn = np.empty((means.size, draws), dtype=np.float32)
    for mean in np.unique(means[means < NORMAL_FROM]):
        same = np.flatnonzero(means == mean)
        drawn[same] = _quantiles(int(mean))[random.integers(0, LEVELS, (same.size, draws), dtype=np.uint16)]
    for cell in np.flatnonzero(means >= NORMAL_FROM):
        noise = random.standard_normal(draws, dtype=np.float32)
        drawn[cell] = np.maximum(np.rint(means[cell] + np.sqrt(means[cell]) * noise), 0)
    return drawn


def _quantiles(mean: int) -> NDArray[np.float32]:
    """The Poisson number at each of 65,536 even levels of probability, ascending, float32."""
    numbers = np.arange(mean + 12 * int(np.sqrt(mean)) + 20)
    first = np.rint(LEVELS * pdtr(numbers, mean)).astype(np.int64)
    return np.repeat(numbers, np.diff(first, prepend=0)).astype(np.float32)


def _by_bin(weights: NDArray[np.float32], bin_of: NDArray[np.int64], bins: int) -> Floats:
    """Sums over the cells of each bin: shape (cells, draws) to (draws, bins); `bin_of` ascends."""
    summed = np.zeros((bins, weights.shape[1]), dtype=np.float32)
    starts = np.searchsorted(bin_of, np.arange(bins + 1))
    for each in np.unique(bin_of):
        block = weights[starts[each] : starts[each + 1]]
        # A product with ones is several times faster than a sum along the first axis.
        summed[each] = np.ones(block.shape[0], dtype=np.float32) @ block
    return summed.T.astype(np.float64, order="C")


def _ratio(over: Floats, under: Floats) -> Floats:
    missing: Floats = np.full(np.shape(over), np.nan)
    return np.divide(over, under, out=missing, where=under > 0)
