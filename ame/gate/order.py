"""The order of rows by a score or a key, exactly and several times faster than an argsort.

The leading bits of a key and the number of its row are packed into one integer and sorted as such; the rare
keys that agree in the leading bits only are put in order afterwards. Scores order as their bits do, as long
as they are at least 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Dense", "Ranking", "dense", "keys", "rank"]

Keys = NDArray[np.uint64]
Floats = NDArray[np.float64]

#: Rows that are worked on at a time, so that they stay in the processor's cache.
_CHUNK = 1 << 15


class Ranking(NamedTuple):
    """Rows in ascending order of their score.

    Attributes:
        rows: int64, shape (n,), the row at each position.
        label: bool, shape (n,), that row's label.
        ties: bool, shape (n - 1,), whether a position's score equals the next one's.
    """

    rows: NDArray[np.int64]
    label: NDArray[np.bool_]
    ties: NDArray[np.bool_]


class Dense(NamedTuple):
    """Keys as the numbers 0, 1, 2, ... in their order.

    Attributes:
        codes: int64, shape (n,), of each row.
        values: uint64, shape (codes,), the different keys in ascending order.
    """

    codes: NDArray[np.int64]
    values: Keys


def keys(score: Floats) -> Keys:
    """Integers that order as the scores do, which must be at least 0 and finite; shape (n,)."""
    found: Keys = (score + 0.0).view(np.uint64)  # adding 0.0 turns -0.0, whose bits are large, into 0.0
    return found


def rank(label: NDArray[np.bool_], score: Floats) -> Ranking:
    """The rows in ascending order of score; exact for any finite float64 scores that are at least 0."""
    return _order(keys(score), label)


def dense(key: Keys) -> Dense:
    """Each key's place among the different ones."""
    if not key.size:
        return Dense(np.empty(0, dtype=np.int64), key)
    rows, _, ties = _order(key, np.zeros(key.size, dtype=bool))
    new = np.empty(key.size, dtype=bool)
    new[0] = True
    np.logical_not(ties, out=new[1:])
    codes = np.empty(key.size, dtype=np.int64)
    codes[rows] = np.cumsum(new) - 1
    return Dense(codes, key[rows[new]])


def _order(key: Keys, label: NDArray[np.bool_]) -> Ranking:
    n = key.size
    rows = np.empty(n, dtype=np.int64)
    sorted_label = np.empty(n, dtype=np.int8)
    ties = np.empty(max(0, n - 1), dtype=bool)
    if not n:
        return Ranking(rows, sorted_label.view(np.bool_), ties)
    least = key.min()
    below = n.bit_length() + 1  # bits for the row's number and the label
    shift = max(0, int(key.max() - least).bit_length() + below - 64)
    packed = np.empty(n, dtype=np.uint64)
    number = np.arange(0, 2 * min(n, _CHUNK), 2, dtype=np.uint64)
    for start in range(0, n, _CHUNK):
        part = packed[start : start + _CHUNK]
        np.subtract(key[start : start + _CHUNK], least, out=part)
        part >>= np.uint64(shift)
        part <<= np.uint64(below)
        part |= number[: part.size] + np.uint64(2 * start)
        part |= label[start : start + _CHUNK]
    packed.sort()
    mask = np.int64((1 << (below - 1)) - 1)
    for start in range(0, n, _CHUNK):
        part = packed[start : start + _CHUNK + 1]
        leading = part >> np.uint64(below)
        np.equal(leading[1:], leading[:-1], out=ties[start : start + _CHUNK])
        signed = part[:_CHUNK].view(np.int64)
        bit = sorted_label[start : start + _CHUNK]
        bit[:] = signed
        bit &= 1
        into = rows[start : start + _CHUNK]
        np.right_shift(signed, 1, out=into)
        into &= mask
    if shift:
        _resolve(key, rows, sorted_label.view(np.bool_), ties)
    return Ranking(rows, sorted_label.view(np.bool_), ties)


def _resolve(key: Keys, rows: NDArray[np.int64], label: NDArray[np.bool_], ties: NDArray[np.bool_]) -> None:
    """Order, in place, the runs of positions whose keys agree in the leading bits but not in all."""
    left = np.flatnonzero(ties)
    differ = key[rows[left]] != key[rows[left + 1]]
    if not differ.any():
        return
    # Number the runs of consecutive `left` positions, and keep the runs that hold a difference.
    run = np.cumsum(np.diff(left, prepend=left[0]) > 1)
    mixed = np.zeros(run[-1] + 1, dtype=bool)
    mixed[run[differ]] = True
    left = left[mixed[run]]
    positions = np.union1d(left, left + 1)
    # Runs are ordered among themselves, so sorting all their keys at once moves rows in a run only.
    order = np.argsort(key[rows[positions]], kind="stable")
    rows[positions] = rows[positions[order]]
    label[positions] = label[positions[order]]
    ties[left] = key[rows[left]] == key[rows[left + 1]]
