"""Is every row of the holdout newer than every row that the training has learned from?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ame.gate.result import Check
from ame.gate.rows import LabelledRows, kind_of

__all__ = ["NEWER", "newer_check"]

NEWER = "holdout newer than training"

_DAY = 86_400_000_000


@dataclass(slots=True)
class _Span:
    """The times of one side.

    Attributes:
        first, last: numbers as they are, times in microseconds since 1970; None before one was seen.
        missing: rows without a time.
        is_time: whether they are times rather than numbers.
        days: whether they name days, without an hour.
    """

    first: float | None = None
    last: float | None = None
    missing: int = 0
    is_time: bool = True
    days: bool = False

    def text(self, value: float) -> str:
        if not self.is_time:
            return f"{value:.15g}"
        moment = str(np.datetime64(int(value), "us")).replace("T", " ")
        return moment[:10] if self.days else moment.removesuffix(".000000")


def newer_check(column: str, holdout: LabelledRows, training: LabelledRows) -> Check:
    """Numbers are held against numbers, dates, times and ISO 8601 texts against each other.

    Times without a zone are taken to be UTC. When one side names days only, both are compared by the day.
    """
    spans = []
    for side in (holdout, training):
        span = _span(column, side)
        if isinstance(span, str):
            return _unknown(span)
        spans.append(span)
    here, there = spans
    if here.is_time != there.is_time:
        return _unknown(f"'{column}' is a number on one side and a time on the other")
    if here.first is None or there.last is None:
        side = holdout if here.first is None else training
        return _unknown(f"no row of {side.name} has a value in '{column}'")
    here.days = there.days = here.is_time and (here.days or there.days)
    first, last = (_whole_day(value) if here.days else value for value in (here.first, there.last))
    found = f"The holdout begins at {here.text(first)}, and the training ends at {there.text(last)}"
    if first <= last:
        return Check(
            NEWER,
            False,
            f"{found}, by '{column}'. Every row of the holdout must be newer than all that the training has "
            "seen: take newer rows, or train again on older ones.",
        )
    for side, span in ((holdout, here), (training, there)):
        if span.missing:
            return _unknown(f"{found}, but {span.missing:,} of the rows of {side.name} have no '{column}'")
    return Check(NEWER, True, f"{found}.")


def _unknown(why: str) -> Check:
    return Check(
        NEWER,
        False,
        f"Nobody knows: {why}. Write both with the time of each row.",
        blocks=False,
    )


def _whole_day(value: float) -> float:
    return value // _DAY * _DAY


def _span(column: str, side: LabelledRows) -> _Span | str:
    """The first and the last time, or why there is none."""
    if column not in side.schema.names:
        return f"{side.name} has no column '{column}'"
    kind = side.schema.field(column).type
    span = _Span(is_time=kind_of(kind) != "number", days=pa.types.is_date(kind))
    text = kind_of(kind) == "category" and not pa.types.is_boolean(kind)
    if not text and kind_of(kind) not in {"number", "time"}:
        return f"'{column}' is {kind} in {side.name}"
    longest = 0
    for batch in side.batches([column]):
        values = batch.column(0)
        if pa.types.is_dictionary(values.type):
            values = values.dictionary_decode()
        if text:
            values = values.cast(pa.string())
        missing = pc.is_null(values, nan_is_null=pa.types.is_floating(values.type)).true_count
        span.missing += missing
        if missing == len(values):
            continue
        if text:
            longest = max(longest, pc.max(pc.utf8_length(values)).as_py())
        comparable = _comparable(values)
        if comparable is None:
            return f"'{column}' in {side.name} holds texts that are not of the form 2026-11-30T08:00"
        ends = pc.min_max(comparable).as_py()
        span.first = ends["min"] if span.first is None else min(span.first, ends["min"])
        span.last = ends["max"] if span.last is None else max(span.last, ends["max"])
    span.days = span.days or (text and longest <= 10)
    return span


def _comparable(values: pa.Array) -> pa.Array | None:
    """Numbers as they are, without NaN; times as microseconds; None for texts that are no times."""
    kind = kind_of(values.type)
    if kind == "number":
        if pa.types.is_integer(values.type):
            return values
        numbers = values.cast(pa.float64(), safe=False)
        return numbers.filter(pc.invert(pc.is_nan(numbers)))
    if kind == "time":
        zone = values.type.tz if pa.types.is_timestamp(values.type) else None
        return values.cast(pa.timestamp("us", zone), safe=False).cast(pa.int64())
    for zone in (None, "UTC"):
        try:
            return values.cast(pa.timestamp("us", zone)).cast(pa.int64())
        except pa.ArrowInvalid:
            continue
    return None
