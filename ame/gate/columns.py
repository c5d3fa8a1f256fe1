"""One column of a batch as numpy, with what is wrong in it counted.

Nothing is dropped and nothing is repaired: a value that cannot be used is NaN or code 0 in the array and
one more in the `Tally`, from which `ame.gate.checks` makes sentences.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ame.gate.keys import Hashes, hash64, is_plain
from ame.gate.tally import MAX_SLICE_VALUES, NO_ORDER, Tally

__all__ = [
    "LARGEST",
    "MISSING",
    "binary_labels",
    "class_codes",
    "keys",
    "note_times",
    "numbers",
    "outcomes",
    "plain",
    "probability_rows",
    "slice_codes",
    "text_values",
]

#: The slice of rows without a value.
MISSING = "(missing)"
EMPTY = "(empty)"

#: Numbers of a larger size are no measurements, and their fourth powers are no numbers.
LARGEST = 1e75

Floats = NDArray[np.float64]


def plain(column: pa.Array) -> pa.Array:
    """The values themselves of an extension type or of runs, and of a type that Arrow computes with."""
    while isinstance(column, pa.ExtensionArray):
        column = column.storage
    if isinstance(column, pa.RunEndEncodedArray):
        column = pc.run_end_decode(column)
    return column.cast(pa.float32()) if pa.types.is_float16(column.type) else column


def numbers(name: str, column: pa.Array, tally: Tally) -> Floats:
    """The column as float64 with NaN for null; all NaN, and the type noted, when it holds no numbers."""
    column = plain(column)
    if isinstance(column, pa.DictionaryArray):
        column = column.dictionary_decode()
    if not _is_numeric(column.type):
        if column.null_count < len(column):
            tally.wrong_types[name] = str(column.type)
        return np.full(len(column), np.nan)
    values: Floats = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return values


def binary_labels(name: str, column: pa.Array, tally: Tally) -> NDArray[np.bool_]:
    """True for 1 and false for 0, shape (n,)."""
    values = numbers(name, column, tally)
    missing = np.isnan(values)
    positive: NDArray[np.bool_] = values == 1.0
    other = ~(positive | (values == 0.0) | missing)
    tally.labels_missing += int(np.count_nonzero(missing))
    if other.any():
        tally.note_other(int(np.count_nonzero(other)), np.unique(values[other])[:3].tolist())
    count = int(np.count_nonzero(positive))
    tally.note_classes(np.array([positive.size - count, count]))
    return positive


def outcomes(name: str, column: pa.Array, tally: Tally) -> Floats:
    """Finite numbers of at most `LARGEST` in size, float64, shape (n,)."""
    values = numbers(name, column, tally)
    tally.labels_missing += int(np.count_nonzero(np.isnan(values)))
    beyond = np.abs(values) > LARGEST
    if beyond.any():
        tally.note_other(int(np.count_nonzero(beyond)), np.unique(values[beyond])[:3].tolist())
    return values


def class_codes(
    name: str, column: pa.Array, classes: Sequence[str | int | float | bool], tally: Tally
) -> NDArray[np.int32]:
    """Places in `classes`, by default in 0, 1, 2, ..., int32, shape (n,); to be read after the scores."""
    column = plain(column)
    kind = column.type.value_type if isinstance(column, pa.DictionaryArray) else column.type
    if not (_is_numeric(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        if column.null_count < len(column):
            tally.wrong_types[name] = str(column.type)
        tally.labels_missing += column.null_count
        return np.zeros(len(column), dtype=np.int32)
    encoded = column if isinstance(column, pa.DictionaryArray) else column.dictionary_encode()
    places = {value: code for code, value in enumerate(classes or range(tally.classes))}
    values = encoded.dictionary.to_pylist()
    missing = [value is None or value != value for value in values]  # noqa: PLR0124  NaN
    codes = np.array([places.get(value, -1) for value in values] + [-2], dtype=np.int32)
    codes[:-1][np.array(missing, dtype=bool)] = -2
    found = codes[encoded.indices.cast(pa.int64()).fill_null(len(values)).to_numpy(zero_copy_only=False)]
    tally.labels_missing += int(np.count_nonzero(found == -2))
    other = int(np.count_nonzero(found == -1))
    if other and places:  # without a score the classes are not known yet
        wrong = [value for value, code in zip(values, codes, strict=False) if code == -1]
        tally.note_other(other, wrong)
    known: NDArray[np.int32] = np.maximum(found, 0)
    tally.note_classes(np.bincount(known, minlength=max(len(places), 1)))
    return known


def probability_rows(model: str, column: pa.Array, tally: Tally) -> Floats:
    """Lists of one length as float64, shape (n, classes), with NaN for null."""
    column = plain(column)
    kind = column.type
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    width = max(tally.classes, 1)
    if not is_list or not _is_numeric(kind.value_type):
        if column.null_count < len(column):
            tally.wrong_types[model] = str(kind)
        return np.full((len(column), width), np.nan)
    there = column.is_valid().to_numpy(zero_copy_only=False)
    valid = column.drop_null() if column.null_count else column
    lengths = pc.list_value_length(valid).unique().to_pylist()
    tally.lengths.update(lengths)
    if len(tally.lengths) != 1:
        return np.full((len(column), width), np.nan)
    tally.classes = width = lengths[0] if lengths else width
    values = np.full((len(column), width), np.nan)
    flat = valid.flatten().cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    values[there] = flat.reshape(-1, width)
    return values


def keys(name: str, column: pa.Array, tally: Tally) -> Hashes:
    """Hashes, 0 where the value is missing."""
    column = plain(column)
    if not is_plain(column.type):
        tally.wrong_types[name] = str(column.type)
        return np.zeros(len(column), dtype=np.uint64)
    return hash64(column)


def slice_codes(name: str, column: pa.Array, tally: Tally) -> NDArray[np.int32]:
    """Places in `tally.slice_values[name]`, int32, shape (n,); a text that is new gets the next place."""
    known = tally.slice_values.setdefault(name, [])
    if len(known) > MAX_SLICE_VALUES:
        return np.zeros(len(column), dtype=np.int32)
    try:
        places, texts = text_values(column)
    except (pa.ArrowException, TypeError):
        tally.wrong_types[name] = str(column.type)
        return np.zeros(len(column), dtype=np.int32)
    codes = {text: code for code, text in enumerate(known)}
    new = [place for place, text in enumerate(texts) if text not in codes]
    if len(new) > 1:  # numbered as rows have them first, however rows come in batches
        first = np.full(len(texts), places.size)
        np.minimum.at(first, places, np.arange(places.size))
        new.sort(key=first.__getitem__)
    for place in new:
        codes.setdefault(texts[place], len(codes))
    known[:] = list(codes)
    return np.array([codes[text] for text in texts], dtype=np.int32)[places]


def text_values(column: pa.Array) -> tuple[NDArray[np.intp], list[str]]:
    """Each row's place among a column's different values, and these as texts, a few more than are allowed.

    Raises:
        TypeError, pa.ArrowException: when the values are not plain or not text.
    """
    column = plain(column)
    if not is_plain(column.type):
        raise TypeError(str(column.type))
    if not isinstance(column, pa.DictionaryArray):
        column = column.dictionary_encode()
    values, indices = column.dictionary, column.indices
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
    if indices.null_count:
        values = pa.concat_arrays([values, pa.nulls(1, values.type)])
        indices = indices.cast(pa.int64()).fill_null(len(values) - 1)
    found = indices.to_numpy(zero_copy_only=False)
    # A dictionary may hold values that no row has; one value too many is enough to refuse the column.
    used = np.flatnonzero(np.bincount(found))[: MAX_SLICE_VALUES + 1]
    lookup = np.zeros(len(values), dtype=np.intp)
    lookup[used] = np.arange(used.size)
    texts = values.take(pa.array(used)).cast(pa.string()).to_pylist()
    return lookup[found], [_slice_name(text) for text in texts]


def _slice_name(text: str | None) -> str:
    """What no row says in words, and a text that says just that in quotation marks."""
    if text is None:
        return MISSING
    return f"'{text}'" if text in {MISSING, EMPTY} else text or EMPTY


def note_times(name: str, column: pa.Array, tally: Tally) -> None:
    """Take the first and the last time into the tally; texts must be of the form of ISO 8601."""
    column = plain(column)
    if isinstance(column, pa.DictionaryArray):
        column = column.dictionary_decode()
    kind = column.type
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    if not (text or _is_numeric(kind) or pa.types.is_date(kind) or pa.types.is_timestamp(kind)):
        if column.null_count < len(column):
            tally.wrong_types[name] = str(kind)
        tally.times_missing += column.null_count
        return
    tally.times_missing += pc.is_null(column, nan_is_null=pa.types.is_floating(kind)).true_count
    if pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("us", kind.tz), safe=False)
    try:
        ends = pc.min_max(column).as_py()
        found = [end for end in (*(tally.times or ()), ends["min"], ends["max"]) if end is not None]
        if found:
            tally.times = min(found), max(found)
    except TypeError:
        tally.wrong_types[name] = NO_ORDER
        return
    except (ValueError, OverflowError):
        tally.wrong_types[name] = f"{kind} that cannot be put in order"
        return
    if text and not all(_is_iso(end) for end in found):
        tally.wrong_types[name] = f"{kind} not of the form 2026-11-30"


def _is_iso(text: object) -> bool:
    day = str(text)[:10]
    return len(day) == 10 and day[4] == day[7] == "-" and (day[:4] + day[5:7] + day[8:]).isdigit()


def _is_numeric(kind: pa.DataType) -> bool:
    types = pa.types
    number = types.is_floating(kind) or types.is_integer(kind) or types.is_boolean(kind)
    return bool(number or types.is_decimal(kind))
