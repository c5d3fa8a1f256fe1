"""Rows in memory as a source of batches, with the attributes that an engine reads of a `Source`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace

import numpy as np

from ame.gate.table import ScoredRows


class ArraySource:
    """`cuts` are the row numbers at which batches end; by default as many rows as a real batch has."""

    def __init__(
        self,
        label: np.ndarray,
        champion: np.ndarray,
        challenger: np.ndarray,
        *,
        entity: np.ndarray | None = None,
        slices: Mapping[str, Sequence[str]] | None = None,
        cuts: Sequence[int] | None = None,
        known: bool = True,
    ) -> None:
        self.label, self.champion, self.challenger, self.entity = label, champion, challenger, entity
        self.rows = label.size if known else None
        self.tally = SimpleNamespace(sound=True)
        self.slice_values: dict[str, list[str]] = {}
        self._slices: dict[str, np.ndarray] = {}
        self._cuts = sorted({0, label.size, *(range(0, label.size, 1 << 17) if cuts is None else cuts)})
        for name, values in (slices or {}).items():
            texts, first, codes = np.unique(np.asarray(values), return_index=True, return_inverse=True)
            order = np.argsort(np.argsort(first))  # numbered as they appear
            self._slices[name] = order[codes].astype(np.int32)
            self.slice_values[name] = texts[np.argsort(first)].tolist()

    def batches(self) -> Iterator[ScoredRows]:
        for start, end in zip(self._cuts, self._cuts[1:], strict=False):
            part = slice(start, end)
            yield ScoredRows(
                self.label[part],
                self.champion[part],
                self.challenger[part],
                None if self.entity is None else self.entity[part],
                {name: codes[part] for name, codes in self._slices.items()},
            )
