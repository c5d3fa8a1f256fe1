"""What is counted while the rows of a paired test are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ame.gate.keys import Repeats, Sketch

__all__ = ["MAX_SLICE_VALUES", "MODELS", "NO_ORDER", "Tally"]

#: The columns with what the two models answered.
MODELS = ("champion", "challenger")

#: What a column of times holds with a text, a number or a moment with a zone in some rows, and not in others.
NO_ORDER = "values that cannot be put in order"

#: More different values than this in a slice column are no slices.
MAX_SLICE_VALUES = 100


@dataclass(slots=True)
class Tally:
    """What was counted while the rows were read.

    Attributes:
        rows: all rows.
        wrong_types: column -> Arrow type, for columns that hold what they must not.
        labels_missing: labels that are null or NaN.
        labels_other: labels that are none of the classes, or not finite.
        label_examples: the three least of the latter, which do not depend on how rows come in batches.
        class_rows: int64, shape (classes,), rows by class; (2,) in a binary test, (0,) in a regression.
        classes: probabilities in a row of multiclass scores; 0 before one was seen and in other tasks.
        lengths: the different numbers of probabilities that were seen in a row.
        unanswered: model -> rows without a score of that model, null or NaN.
        answered_by_one: rows that have a score of one model only.
        not_a_number: of the scores that are missing, how many are NaN.
        out_of_range: model -> scores below 0 or above 1; rows with a negative probability, or not finite
            predictions, in the other tasks.
        not_summing: model -> rows whose probabilities do not sum to 1.
        lowest, highest: model -> the least and the greatest score; of each class in a multiclass test.
        same: whether both models gave every row exactly the same score.
        entities_missing, keys_missing, times_missing: null or NaN.
        times: the first and the last time; None before one was seen.
        time_column: what their column is called.
        slice_values: slice column -> the texts of its codes.
        sketch: of the rows' keys.
        repeats: of the rows' keys; without a key, of all that was read of a row.
        answers: of the champion's scores, where rows have no key.
    """

    rows: int = 0
    wrong_types: dict[str, str] = field(default_factory=dict)
    labels_missing: int = 0
    labels_other: int = 0
    label_examples: tuple[object, ...] = ()
    class_rows: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    classes: int = 0
    lengths: set[int] = field(default_factory=set)
    unanswered: dict[str, int] = field(default_factory=lambda: dict.fromkeys(MODELS, 0))
    answered_by_one: int = 0
    not_a_number: int = 0
    out_of_range: dict[str, int] = field(default_factory=lambda: dict.fromkeys(MODELS, 0))
    not_summing: dict[str, int] = field(default_factory=lambda: dict.fromkeys(MODELS, 0))
    lowest: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    highest: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    same: bool = True
    entities_missing: int = 0
    keys_missing: int = 0
    times_missing: int = 0
    times: tuple[object, object] | None = None
    time_column: str = "time"
    slice_values: dict[str, list[str]] = field(default_factory=dict)
    sketch: Sketch = field(default_factory=Sketch)
    repeats: Repeats = field(default_factory=Repeats)
    answers: Repeats = field(default_factory=Repeats)

    @property
    def sound(self) -> bool:
        """Whether every value of every row so far can be used."""
        counts = (self.labels_missing, self.labels_other, *self.unanswered.values())
        counts += (*self.out_of_range.values(), *self.not_summing.values())
        counts += (self.entities_missing, self.keys_missing, self.times_missing)
        # Labels are places among the classes: with another number of scores they would point beyond.
        other_classes = self.classes and not self.class_rows.size == self.classes > 1
        lists = len(self.lengths) > 1 or other_classes
        return not (self.wrong_types or any(counts) or lists or self.too_many_values)

    @property
    def too_many_values(self) -> list[str]:
        """Slice columns with more than `MAX_SLICE_VALUES` different values."""
        return [name for name, values in self.slice_values.items() if len(values) > MAX_SLICE_VALUES]

    def note_other(self, count: int, examples: Sequence[object]) -> None:
        """Count labels that are none of the classes; the three least are examples enough."""
        self.labels_other += count
        different = dict.fromkeys((*self.label_examples, *examples))
        self.label_examples = tuple(sorted(different, key=_in_order))[:3]

    def note_classes(self, rows: NDArray[np.int64]) -> None:
        """Count rows by class, of as many classes as have been seen."""
        more = max(0, rows.size - self.class_rows.size)
        self.class_rows = np.pad(self.class_rows, (0, more))
        self.class_rows[: rows.size] += rows

    def note_bounds(self, model: str, least: NDArray[np.float64], greatest: NDArray[np.float64]) -> None:
        """Take in the least and the greatest score of more rows."""
        if model in self.lowest and np.shape(self.lowest[model]) == np.shape(least):
            least = np.fmin(self.lowest[model], least)
            greatest = np.fmax(self.highest[model], greatest)
        self.lowest[model], self.highest[model] = least, greatest

    def merge(self, other: Tally) -> dict[str, NDArray[np.intp]]:
        """Take in what was counted of the rows that follow these, by another reader of the same columns.

        For each slice column the places here of the other's values, shape (values,): what is new has got the
        next places, until there are too many.
        """
        self.rows += other.rows
        self.wrong_types |= other.wrong_types
        self.labels_missing += other.labels_missing
        self.note_other(other.labels_other, other.label_examples)
        self.note_classes(other.class_rows)
        self.classes = self.classes or other.classes
        self.lengths |= other.lengths
        for counts, more in (
            (self.unanswered, other.unanswered),
            (self.out_of_range, other.out_of_range),
            (self.not_summing, other.not_summing),
        ):
            for model, count in more.items():
                counts[model] += count
        self.answered_by_one += other.answered_by_one
        self.not_a_number += other.not_a_number
        for model, least in other.lowest.items():
            self.note_bounds(model, least, other.highest[model])
        self.same = self.same and other.same
        self.entities_missing += other.entities_missing
        self.keys_missing += other.keys_missing
        self.times_missing += other.times_missing
        self._merge_times(other)
        self.sketch.merge(other.sketch)
        self.repeats.merge(other.repeats)
        self.answers.merge(other.answers)
        return {name: self._places(name, values) for name, values in other.slice_values.items()}

    def _merge_times(self, other: Tally) -> None:
        every: list[Any] = [*(self.times or ()), *(other.times or ())]
        if every:
            try:
                self.times = min(every), max(every)
            except TypeError:
                self.wrong_types[self.time_column] = NO_ORDER

    def _places(self, name: str, values: Sequence[str]) -> NDArray[np.intp]:
        known = self.slice_values.setdefault(name, [])
        places = {text: code for code, text in enumerate(known)}
        for text in values:
            if len(places) > MAX_SLICE_VALUES:
                break
            places.setdefault(text, len(places))
        known[:] = list(places)
        return np.array([places.get(text, 0) for text in values], dtype=np.intp)


def _in_order(value: object) -> tuple[bool, float, str]:
    """Numbers by their size, before texts."""
    number = float(value) if isinstance(value, int | float) else None
    return (True, 0.0, str(value)) if number is None else (False, number, "")
