"""Scores of tables too large to sort, as codes of bins that the first rows lay out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ame.gate.split.moments import Floats

__all__ = ["BINS", "binned", "edges_of", "mixed"]

#: How many bins there are at most, but for those of single scores.
BINS = 1 << 17


def edges_of(scores: Floats) -> Floats:
    """Edges between bins of about equally many of these scores; every score is one when they are few."""
    if scores.size == 0:
        return scores
    together = np.sort(scores)
    new = np.flatnonzero(together[1:] != together[:-1])
    if new.size + 1 < BINS:
        edges: Floats = together[np.append(0, new + 1)]
        return edges
    return np.unique(together[:: max(1, together.size // (BINS - 1))])


def binned(edges: Floats, score: Floats) -> NDArray[np.int64]:
    """Codes in the order of the scores: an even one for an edge itself, an odd one for what lies above it.

    Scores that occur often are edges, so that their ties stay ties and nothing else is tied with them.
    """
    at = np.searchsorted(edges, score, side="right").astype(np.int64)
    between = score != edges[np.maximum(at - 1, 0)]
    codes: NDArray[np.int64] = 2 * at + between
    return codes


def mixed(codes: int, per_bin: int) -> NDArray[np.bool_]:
    """Which codes of `binned`, with so many of them in one, stand for different scores."""
    odd: NDArray[np.bool_] = np.arange(codes) % 2 == 1
    return odd | (per_bin > 1)
