"""Keys of rows and entities as 64-bit hashes, and what is learned from a bounded number of them.

The hashes are the same in every run, on every machine and for every way of storing the same values, so
that two tables can be compared by them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = ["SKETCH", "Repeats", "Sketch", "combine64", "hash64", "is_plain"]

#: How many hashes a sketch keeps.
SKETCH = 2048

Hashes: TypeAlias = NDArray[np.uint64]

_GOLDEN, _FIRST, _SECOND = (
    np.uint64(number) for number in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)
_TEXT = np.uint64(0x2545F4914F6CDD1D)
_S27, _S30, _S31 = np.uint64(27), np.uint64(30), np.uint64(31)
#: By the number of bytes that are left, which of a word's bytes count.
_BYTES = np.array([(1 << (8 * left)) - 1 for left in range(9)], dtype=np.uint64)


def is_plain(kind: pa.DataType) -> bool:
    """Whether `hash64` takes this Arrow type: a number, text, bytes, a truth value, a date or a time."""
    if pa.types.is_dictionary(kind):
        return is_plain(kind.value_type)
    return not pa.types.is_nested(kind) and (pa.types.is_primitive(kind) or _is_text(kind) or _is_odd(kind))


def hash64(array: pa.Array | pa.ChunkedArray) -> Hashes:
    """One hash for each value, shape (n,); 0 for a null and for NaN, and for nothing else.

    Equal values have equal hashes whatever their type's width: int8 to uint64, whole floats, text, large
    text and dictionaries of text, timestamps of every unit (those with a time zone by their moment).

    Raises:
        TypeError: for lists, structs and other types that are no plain value.
    """
    if isinstance(array, pa.ChunkedArray):
        parts = [hash64(chunk) for chunk in array.chunks]
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.uint64)
    if not is_plain(array.type):
        raise TypeError(f"a plain value is needed for a hash, not {array.type}")
    if pa.types.is_dictionary(array.type):
        if len(array.dictionary) > len(array):  # one dictionary of many batches
            return hash64(array.dictionary_decode())
        values = np.append(hash64(array.dictionary), np.uint64(0))
        places = array.indices.cast(pa.int64()).fill_null(len(values) - 1)
        hashes: Hashes = values[places.to_numpy(zero_copy_only=False)]
        return hashes
    if pa.types.is_null(array.type):
        return np.zeros(len(array), dtype=np.uint64)
    hashes = _of_text(array) if _is_text(array.type) or _is_odd(array.type) else _of_numbers(array)
    hashes[hashes == 0] = 1
    missing = pc.is_null(array, nan_is_null=pa.types.is_floating(array.type))
    if missing.true_count:
        hashes[missing.to_numpy(zero_copy_only=False)] = 0
    return hashes


def combine64(columns: Sequence[Hashes]) -> Hashes:
    """One hash for each row of several columns of hashes, in this order; of n rows, shape (n,).

    A null is a value like others here, so the result is never 0.

    Raises:
        ValueError: when there is no column.
    """
    if not columns:
        raise ValueError("a row is told apart by one column at least")
    mixed = np.full(columns[0].shape, len(columns), dtype=np.uint64)
    for column in columns:
        mixed *= _TEXT
        mixed ^= column
        _mix(mixed)
    mixed[mixed == 0] = 1
    return mixed


class Sketch:
    """The `size` smallest different hashes of a table: a fingerprint of which rows it holds.

    Which hashes are kept does not depend on the order of the rows or on how they are cut into batches, and
    two sketches merge into that of both tables together (bottom-k sketch, Broder 1997).

    Attributes:
        size: how many hashes are kept at most.
        repeated: rows whose hash another row before had, among the rows that the kept hashes stand for.
        sampled: how many rows these are; all of them when there were at most `size` different hashes.
    """

    def __init__(self, size: int = SKETCH) -> None:
        self.size = size
        self._hashes: Hashes = np.empty(0, dtype=np.uint64)
        self._rows: NDArray[np.int64] = np.empty(0, dtype=np.int64)

    @property
    def hashes(self) -> tuple[int, ...]:
        """Ascending."""
        return tuple(self._hashes.tolist())

    @property
    def sampled(self) -> int:
        return int(self._rows.sum())

    @property
    def repeated(self) -> int:
        return self.sampled - self._hashes.size

    def add(self, hashes: Hashes) -> None:
        """Take in the hashes of more rows; 0, a missing key, is passed over."""
        if self._hashes.size == self.size:
            hashes = hashes[hashes <= self._hashes[-1]]
        self._join(*np.unique(hashes[hashes != 0], return_counts=True))

    def merge(self, other: Sketch) -> None:
        """Take in the rows of another table's sketch."""
        self._join(other._hashes, other._rows)

    def _join(self, hashes: Hashes, rows: NDArray[np.int64]) -> None:
        # The largest kept hash never grows, so every row of a hash that is kept at the end was counted.
        both, place = np.unique(np.concatenate([self._hashes, hashes]), return_inverse=True)
        weights = np.concatenate([self._rows, rows])
        counts = np.bincount(place, weights=weights, minlength=both.size).astype(np.int64)
        self._hashes, self._rows = both[: self.size], counts[: self.size]


class Repeats:
    """How many rows repeat another: exactly up to `exact` rows, beyond by linear counting.

    Linear counting (Whang, Vander-Zanden & Taylor 1990) keeps a table of `_SLOTS` flags, in which a hash
    sets the one that its upper bits name; the number of flags that are not set tells how many different
    hashes there were. It needs 16 MiB, and its standard error is below a thousandth of 100 million rows.

    Attributes:
        exact: up to how many rows the hashes themselves are kept.
    """

    _SLOTS = 1 << 24

    def __init__(self, exact: int = 3_000_000) -> None:
        self.exact = exact
        self._rows = 0
        self._kept: list[Hashes] = []
        self._flags: NDArray[np.bool_] | None = None

    @property
    def is_exact(self) -> bool:
        return self._flags is None

    def add(self, hashes: Hashes) -> None:
        """Take in the hashes of more rows; 0, a missing key, is passed over."""
        hashes = hashes[hashes != 0]
        self._rows += hashes.size
        if self._flags is not None:
            self._flag(self._flags, hashes)
            return
        self._kept.append(hashes)
        if self._rows > self.exact:
            self._estimate()

    def merge(self, other: Repeats) -> None:
        """Take in the rows of another table; a count that is not exact makes the whole an estimate."""
        self._rows += other._rows
        self._kept += other._kept
        if self._flags is not None or other._flags is not None or self._rows > self.exact:
            flags = self._estimate()
            if other._flags is not None:
                flags |= other._flags

    def _estimate(self) -> NDArray[np.bool_]:
        """The flags, which from now on are all that is kept."""
        if self._flags is None:
            self._flags = np.zeros(self._SLOTS, dtype=np.bool_)
        for kept in self._kept:
            self._flag(self._flags, kept)
        self._kept.clear()
        return self._flags

    def __getstate__(self) -> dict[str, Any]:
        flags = None if self._flags is None else np.packbits(self._flags)
        return {"exact": self.exact, "rows": self._rows, "kept": self._kept, "flags": flags}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.exact, self._rows, self._kept = state["exact"], state["rows"], state["kept"]
        flags = state["flags"]
        self._flags = None if flags is None else np.unpackbits(flags).view(np.bool_)

    def rows(self) -> int:
        """Rows whose hash an earlier row had; beyond `exact` rows what is certainly not chance.

        That is the estimate less five of its standard errors: without any repeated row it is 0 but once in
        millions of tables.
        """
        if self._flags is None:
            kept = np.concatenate(self._kept) if self._kept else np.empty(0, dtype=np.uint64)
            return int(kept.size - np.unique(kept).size)
        unset = max(1, self._SLOTS - int(np.count_nonzero(self._flags)))
        different = self._SLOTS * np.log(self._SLOTS / unset)
        load = different / self._SLOTS
        error = np.sqrt(self._SLOTS * (np.exp(load) - load - 1))
        return max(0, int(self._rows - different - 5 * error))

    @classmethod
    def _flag(cls, flags: NDArray[np.bool_], hashes: Hashes) -> None:
        flags[(hashes >> np.uint64(64 - 24)).astype(np.int64)] = True


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    return bool(text or types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))


def _is_odd(kind: pa.DataType) -> bool:
    """Types whose values are read as their bytes or their text."""
    return bool(pa.types.is_fixed_size_binary(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind))


def _mix(values: Hashes) -> None:
    """The finishing step of splitmix64 (Steele, Lea & Flood 2014), in place: one to one, all bits mixed."""
    values ^= values >> _S30
    values *= _FIRST
    values ^= values >> _S27
    values *= _SECOND
    values ^= values >> _S31


def _of_numbers(array: pa.Array) -> Hashes:
    kind = array.type
    if pa.types.is_floating(kind):
        floats = array.cast(pa.float64()).fill_null(0.0).to_numpy(zero_copy_only=False)
        whole = (np.floor(floats) == floats) & (np.abs(floats) < 2.0**53)
        numbers = np.where(whole, floats, 0.0).astype(np.int64).view(np.uint64)
        parts = np.ascontiguousarray(np.where(whole, 0.0, floats)).view(np.uint64)
        mixed = numbers + _GOLDEN * (parts + np.uint64(1))
    elif pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        micros, rest = _micros(array)
        mixed = micros.view(np.uint64) + _GOLDEN * (rest.astype(np.uint64) + np.uint64(1))
    else:
        mixed = _integers(array) + _GOLDEN
    _mix(mixed)
    return mixed


def _integers(array: pa.Array) -> Hashes:
    kind = array.type
    if pa.types.is_boolean(kind):
        array = array.cast(pa.uint8())
    elif not pa.types.is_integer(kind):  # times of day and durations
        array = array.view(pa.int32() if kind.bit_width == 32 else pa.int64())
    numbers = array.fill_null(0).to_numpy(zero_copy_only=False)
    if numbers.dtype == np.uint64:
        return np.array(numbers)
    signed: NDArray[np.int64] = numbers.astype(np.int64)
    return signed.view(np.uint64)


def _micros(array: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Microseconds since 1970, and what is beyond them in nanoseconds."""
    kind = array.type
    if pa.types.is_date32(kind):
        ticks, per_second = array.view(pa.int32()).cast(pa.int64()), 0
    else:
        ticks = array.view(pa.int64())
        unit = "ms" if pa.types.is_date64(kind) else kind.unit
        per_second = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}[unit]
    numbers = ticks.fill_null(0).to_numpy(zero_copy_only=False)
    if per_second == 1_000_000_000:
        return numbers // 1_000, numbers % 1_000
    scale = 86_400_000_000 if per_second == 0 else 1_000_000 // per_second
    return numbers * scale, np.zeros(numbers.size, dtype=np.int64)


def _of_text(array: pa.Array) -> Hashes:
    """Eight bytes at a time of all texts that are long enough, after the length."""
    if not _is_text(array.type) and not pa.types.is_fixed_size_binary(array.type):
        array = array.cast(pa.string())  # decimals
    array = array.cast(pa.binary()).cast(pa.large_binary())
    if not len(array):
        return np.empty(0, dtype=np.uint64)
    _, offsets, data = array.buffers()
    ends = np.frombuffer(offsets, dtype=np.int64)[array.offset : array.offset + len(array) + 1]
    first, last = int(ends[0]), int(ends[-1])
    padded = np.zeros(last - first + 8, dtype=np.uint8)
    if last > first:
        padded[:-8] = np.frombuffer(data, dtype=np.uint8)[first:last]
    words = np.ndarray((padded.size - 7,), dtype=np.dtype("<u8"), buffer=padded, strides=(1,))
    starts, left = ends[:-1] - first, np.diff(ends)
    hashes = left.astype(np.uint64) * _TEXT + _FIRST
    _mix(hashes)
    rows: NDArray[np.intp] | slice = slice(None)
    while (more := left > 0).any():
        kept = np.flatnonzero(more)
        rows = kept if isinstance(rows, slice) else rows[kept]
        starts, left = starts[kept], left[kept]
        mixed = hashes[rows] * _TEXT
        mixed ^= words[starts] & _BYTES[np.minimum(left, 8)]
        _mix(mixed)
        hashes[rows] = mixed
        starts, left = starts + 8, left - 8
    return hashes


if sys.byteorder != "little":  # pragma: no cover
    raise ImportError("hashes of text are defined for machines that store the lowest byte first")
