"""Which units each arm has: all of them while they fit into memory, else a random share of them.

A unit is in the share when its hash is small enough, whatever arm it is in and however many rows it has, so
that the share is a sample of units and what is counted in it can be tested as such.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_UNITS", "UNIT_BUCKETS", "Units"]

#: How many units are known one by one; of more than these a random share is.
MAX_UNITS = 1 << 20

#: With more units than `MAX_UNITS`, sums are kept by this many random groups of whole units.
UNIT_BUCKETS = 1 << 16

_CHAMPION, _CHALLENGER = np.uint8(1), np.uint8(2)


class Units:
    """The units of both arms, by the 64-bit hashes of their names.

    Attributes:
        share: of all units, the share that is known: 1, 1/2, 1/4, ...
    """

    __slots__ = ("_arms", "_hashes", "_new", "_waiting", "limit", "share")

    def __init__(self, limit: int = MAX_UNITS) -> None:
        self.limit = limit
        self.share = 1.0
        self._hashes = np.empty(0, dtype=np.uint64)
        self._arms = np.empty(0, dtype=np.uint8)
        self._new: list[tuple[NDArray[np.uint64], NDArray[np.uint8]]] = []
        self._waiting = 0

    @property
    def is_exact(self) -> bool:
        """Whether every unit is known."""
        self._settle()
        return self.share == 1.0

    @property
    def counts(self) -> tuple[int, int, int]:
        """Of the known units: how many the champion has, how many the challenger, how many both."""
        self._settle()
        champion, challenger = self._arms & _CHAMPION != 0, self._arms & _CHALLENGER != 0
        return (
            int(np.count_nonzero(champion)),
            int(np.count_nonzero(challenger)),
            int(np.count_nonzero(champion & challenger)),
        )

    @property
    def codes(self) -> int:
        """How many codes `code` gives."""
        return self._hashes.size if self.is_exact else UNIT_BUCKETS

    def add(self, hashes: NDArray[np.uint64], challenger: NDArray[np.bool_]) -> None:
        """Take in rows by the hash of their unit and by their arm; a hash of 0 is a missing unit."""
        known = hashes != 0
        if self.share < 1.0:
            known &= hashes <= self._most
        hashes, challenger = hashes[known], challenger[known]
        seen = [np.unique(hashes[challenger == arm]) for arm in (False, True)]
        arms = [np.full(each.size, arm) for each, arm in zip(seen, (_CHAMPION, _CHALLENGER), strict=True)]
        self._new.append((np.concatenate(seen), np.concatenate(arms)))
        self._waiting += seen[0].size + seen[1].size
        if self._waiting > self.limit // 2:
            self._settle()

    def code(self, hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
        """A number from 0 to `codes` - 1 for each row, equal for rows of one unit; no unit may be missing."""
        if self.is_exact:
            return np.searchsorted(self._hashes, hashes).astype(np.int64)
        return (hashes % np.uint64(UNIT_BUCKETS)).astype(np.int64)

    @property
    def _most(self) -> np.uint64:
        return np.uint64(int(self.share * 2**64) - 1)

    def _settle(self) -> None:
        if not self._new:
            return
        hashes = np.concatenate([self._hashes, *(each for each, _ in self._new)])
        arms = np.concatenate([self._arms, *(each for _, each in self._new)])
        self._new.clear()
        self._waiting = 0
        order = np.argsort(hashes, kind="stable")
        hashes, arms = hashes[order], arms[order]
        first = np.flatnonzero(np.diff(hashes, prepend=~hashes[:1]) != 0)
        self._hashes = hashes[first]
        self._arms = np.bitwise_or.reduceat(arms, first) if first.size else arms[:0]
        while self._hashes.size > self.limit:
            self.share /= 2
            kept = int(np.searchsorted(self._hashes, self._most, side="right"))
            self._hashes, self._arms = self._hashes[:kept], self._arms[:kept]
