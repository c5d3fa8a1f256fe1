"""Scores as bins that ascend with them, without sorting: for rows too many to keep.

A bin is some leading bits of float32(score) below one half and of float32(1 - score) above, so that bins
are finest at 0 and at 1, as probabilities need it. How many bits depends on where the scores are: a sample
of them shares out the bins, and a part of the bins is shared out evenly whatever the sample says. Scores of
one bin count as ties; `ame.gate.metrics.ranks` bounds what that can change.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MIN_BITS", "Coder", "random_group"]

#: The fewest bits that a `Coder` takes.
MIN_BITS = 13

_HALF = int(np.float32(0.5).view(np.int32))
_CELL_BITS = 19
_BLOCK = 1 << 17
_CHUNK = 1 << 14  # rows at a time, which stay in the processor's cache
_CELLS = (2 * _HALF >> _CELL_BITS) + 1


class Coder:
    """Gives each score in [0, 1] its bin.

    Attributes:
        bits: there are at most 2 ** bits bins.
    """

    def __init__(self, sample: NDArray[np.float64], bits: int) -> None:
        """`sample` is not empty, and `bits` at least `MIN_BITS`."""
        self.bits = bits
        seen = np.bincount(_ordinal(sample) >> _CELL_BITS, minlength=_CELLS)
        # Average precision looks at the highest scores: a share of the bins is even in the logarithm of the
        # rank.
        rank = np.log1p(np.append(np.cumsum(seen[::-1])[::-1], 0))
        weight = 0.4 * seen / sample.size - 0.3 * np.diff(rank) / rank[0]
        weight += 0.15 * _widths() + 0.15 / _CELLS
        own = np.floor(np.log2(weight * ((1 << bits) - _CELLS))).clip(0, _CELL_BITS).astype(np.int32)
        self._shift = _CELL_BITS - own
        self._first = np.concatenate([[0], np.cumsum(1 << own)[:-1]]).astype(np.intp)

        self._low: NDArray[np.float64] = np.full(1 << bits, np.inf)
        self._high: NDArray[np.float64] = np.full(1 << bits, -np.inf)

    def __call__(self, score: NDArray[np.float64]) -> NDArray[np.intp]:
        """The bins, shape of `score`, from 0 to 2 ** bits - 1."""
        codes = np.empty(score.size, dtype=np.intp)
        for start in range(0, score.size, _CHUNK):
            ordinal = _ordinal(score[start : start + _CHUNK])
            cell = (ordinal >> _CELL_BITS).astype(np.intp)
            ordinal &= (1 << _CELL_BITS) - 1
            ordinal >>= self._shift.take(cell)
            np.add(self._first.take(cell), ordinal, out=codes[start : start + _CHUNK])
        return codes

    def note(self, score: NDArray[np.float64], codes: NDArray[np.intp]) -> None:
        """Remember which scores share a bin."""
        np.minimum.at(self._low, codes, score)
        np.maximum.at(self._high, codes, score)

    def merge(self, other: Coder) -> None:
        """Remember what another reading has noted, with a coder of the same bins."""
        np.minimum(self._low, other._low, out=self._low)
        np.maximum(self._high, other._high, out=self._high)

    def __getstate__(self) -> dict[str, Any]:
        """Of a bin whose scores differ it is enough to know that they do."""
        same, mixed = self._low == self._high, self._low < self._high
        noted = (np.packbits(same), np.packbits(mixed), self._low[same])
        return {"bits": self.bits, "shift": self._shift, "first": self._first, "noted": noted}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.bits, self._shift, self._first = state["bits"], state["shift"], state["first"]
        same, mixed = (np.unpackbits(each).view(np.bool_) for each in state["noted"][:2])
        self._low, self._high = np.full(same.size, np.inf), np.full(same.size, -np.inf)
        self._low[same] = self._high[same] = state["noted"][2]
        self._low[mixed], self._high[mixed] = 0.0, 1.0

    def mixed(self, bits: int) -> NDArray[np.bool_]:
        """Which bins hold scores that differ, if there are 2 ** bits bins only, neighbours put together."""
        low = self._low.reshape(1 << bits, -1).min(axis=1)
        mixed: NDArray[np.bool_] = low < self._high.reshape(1 << bits, -1).max(axis=1)
        return mixed

    def forget(self) -> None:
        """Give the memory of `note` back."""
        self._low = self._high = np.empty(0)


def random_group(start: int, rows: int, groups: int) -> NDArray[np.intp]:
    """A group for each of `rows` rows from number `start` on, by a hash of the number.

    `groups` is a power of two. However the rows come in batches, each has the same group.
    """
    found = np.empty(rows, dtype=np.intp)
    done = 0
    while done < rows:
        block, place = divmod(start + done, _BLOCK)
        hashed = _hashed_block()[place : place + rows - done]
        into = found[done : done + hashed.size]
        np.bitwise_xor(hashed, _splitmix(np.array([_BLOCK + block], dtype=np.uint64))[0], out=into)
        into &= groups - 1
        done += hashed.size
    return found


@cache
def _hashed_block() -> NDArray[np.intp]:
    """A hash of each number of a block; the blocks differ by the hash of theirs."""
    return _splitmix(np.arange(_BLOCK, dtype=np.uint64))


def _splitmix(number: NDArray[np.uint64]) -> NDArray[np.intp]:
    """The lower bits of splitmix64 (Steele, Lea & Flood 2014), which are never negative."""
    state = number + np.uint64(1)
    state *= np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state ^= state >> np.uint64(shift)
        state *= np.uint64(factor)
    state ^= state >> np.uint64(31)
    return (state & np.uint64(0xFFFFFFFF)).astype(np.intp)


def _ordinal(score: NDArray[np.float64]) -> NDArray[np.int32]:
    """Integers from 0 to 2 * _HALF that never descend with the score."""
    smaller = np.minimum(score, 1.0 - score).astype(np.float32)
    smaller += np.float32(0.0)  # -0.0, whose bits are negative, becomes 0.0
    near = smaller.view(np.int32)
    near -= _HALF
    mirrored = (score >= 0.5).astype(np.int32)
    mirrored *= -2
    mirrored += 1
    near *= mirrored
    near += _HALF
    return near


def _widths() -> NDArray[np.float64]:
    """How much of [0, 1] each cell covers."""
    edges = np.minimum(np.arange(_CELLS + 1, dtype=np.int64) << _CELL_BITS, 2 * _HALF)
    below = np.minimum(edges, 2 * _HALF - edges).astype(np.int32).view(np.float32).astype(np.float64)
    return np.diff(np.where(edges < _HALF, below, 1.0 - below))
