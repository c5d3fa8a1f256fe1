"""Hashes that are the same however values are stored, and what is learned from them in bounded memory."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from ame.gate.keys import SKETCH, Repeats, Sketch, combine64, hash64, is_plain

INTEGERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
TEXTS = ["", "a", "ab", "abcdefg", "abcdefgh", "abcdefghi", "a" * 1000, "Zürich", "a\0", "\0", None]


def hashes(values: object, kind: pa.DataType | None = None) -> list[int]:
    return hash64(pa.array(values, kind)).tolist()


@pytest.mark.parametrize("kind", [*INTEGERS, pa.float32(), pa.float64()], ids=str)
def test_equal_numbers_have_equal_hashes_whatever_their_width(kind: pa.DataType) -> None:
    assert hashes([0, 1, 100, None], kind) == hashes([0, 1, 100, None], pa.int64())


def test_hashes_are_the_same_in_every_run() -> None:
    """They identify a holdout for months, so a change of the function loses its ledger."""
    assert hashes([0, 7, -1]) == [16294208416658607535, 7191089600892374487, 16490336266968443936]
    assert hashes(["a", "client-17"]) == [18022369389838354344, 5834881187472424123]
    assert hashes([1.5]) == [13785710891483790364]


def test_only_missing_values_have_the_hash_zero() -> None:
    assert hashes([None, 1], pa.int64())[0] == 0
    assert hashes([None, float("nan")], pa.float64()) == [0, 0]
    assert hashes([None, ""], pa.string())[0] == 0
    assert hashes([None, None]) == [0, 0]
    assert 0 not in hash64(pa.array(np.arange(100_000)))


@pytest.mark.parametrize(
    "kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())], ids=str
)
def test_equal_texts_have_equal_hashes_whatever_holds_them(kind: pa.DataType) -> None:
    text = pa.array(TEXTS, pa.string())
    other = text.dictionary_encode() if pa.types.is_dictionary(kind) else text.cast(kind)

    assert hash64(other).tolist() == hash64(text).tolist()
    assert len(set(hash64(text).tolist())) == len(TEXTS)


@pytest.mark.parametrize(
    "values", [TEXTS, list(range(11)), [x / 7 for x in range(11)]], ids=["text", "int", "float"]
)
def test_a_part_of_a_column_has_the_hashes_of_that_part(values: list[object]) -> None:
    column = pa.array(values)

    for start, length in ((3, 5), (10, 1), (4, 0), (0, 11)):
        assert hash64(column.slice(start, length)).tolist() == hash64(column).tolist()[start : start + length]
    chunks = pa.chunked_array([column.slice(0, 4), column.slice(4)])
    assert hash64(chunks).tolist() == hash64(column).tolist()


def test_a_dictionary_of_which_a_part_is_used() -> None:
    column = (
        pa.array([f"N{code}" for code in range(1000)]).dictionary_encode().take(pa.array([5, None, 7, 5]))
    )

    assert hash64(column).tolist() == hashes(["N5", None, "N7", "N5"])


def test_moments_have_one_hash_in_every_unit() -> None:
    day = dt.date(2026, 11, 21)
    expected = hashes([day], pa.date32())
    for kind in (
        pa.date64(),
        *(pa.timestamp(unit) for unit in ("s", "ms", "us", "ns")),
        pa.timestamp("us", "UTC"),
    ):
        assert hash64(pa.array([day]).cast(pa.timestamp("s")).cast(kind)).tolist() == expected
    nanoseconds = pa.array([0, 1, 999, 1000], pa.int64()).cast(pa.timestamp("ns"))
    assert len(set(hash64(nanoseconds).tolist())) == 4


def test_other_plain_values() -> None:
    assert hashes([Decimal("1.50"), Decimal("1.51")])[0] != hashes([Decimal("1.50"), Decimal("1.51")])[1]
    assert hashes([True, False]) == hashes([1, 0])
    assert len(set(hashes([dt.time(1), dt.time(2)]))) == 2
    assert len(set(hashes([dt.timedelta(1), dt.timedelta(2)]))) == 2
    assert hash64(pa.array([b"ab"], pa.binary(2))).tolist() == hashes([b"ab"], pa.binary())
    assert hashes([-0.0]) == hashes([0])
    assert hashes([2**63 + 1], pa.uint64()) != hashes([1], pa.uint64())
    for kind in (pa.int64(), pa.string(), pa.float64(), pa.null()):
        assert hashes([], kind) == []


@pytest.mark.parametrize("values", [[[1]], [{"a": 1}]], ids=["list", "struct"])
def test_what_is_no_plain_value_is_refused(values: object) -> None:
    column = pa.array(values)

    assert not is_plain(column.type)
    with pytest.raises(TypeError, match="a plain value is needed for a hash, not"):
        hash64(column)


def test_hashes_are_evenly_spread_and_do_not_collide() -> None:
    """Of 400,000 hashes 64 bits long none should be equal (probability 4e-9); each bit is set in half."""
    draw = np.random.default_rng(3)
    for column in (
        pa.array(np.arange(200_000)),
        pa.array(draw.normal(size=200_000)),
        pa.array([f"row {number}" for number in range(200_000)]),
    ):
        found = hash64(column)
        assert np.unique(found).size == 200_000
        for bit in range(64):
            ones = int(np.count_nonzero(found >> np.uint64(bit) & np.uint64(1)))
            assert abs(ones - 100_000) < 5 * np.sqrt(50_000), bit


def test_the_order_of_columns_and_what_is_missing_tells_rows_apart() -> None:
    first, second = hash64(pa.array([1, 2, None, 3])), hash64(pa.array([2, 1, 3, None]))

    combined = combine64([first, second])

    assert len(set(combined.tolist())) == 4
    assert combined[0] != combine64([second, first])[0]
    assert 0 not in combine64([hash64(pa.nulls(2))])
    with pytest.raises(ValueError, match="one column at least"):
        combine64([])


def test_a_sketch_does_not_depend_on_order_or_batches_and_merges() -> None:
    draw = np.random.default_rng(1)
    keys = hash64(pa.array(draw.integers(0, 30_000, 50_000)))
    whole, left, right = Sketch(), Sketch(), Sketch()
    whole.add(keys)
    shuffled = draw.permutation(keys)
    for part in np.array_split(shuffled[:20_000], 7):
        left.add(part)
    for part in np.array_split(shuffled[20_000:], 3):
        right.add(part)
    left.merge(right)

    assert left.hashes == whole.hashes == tuple(np.unique(keys)[:SKETCH].tolist())
    assert (left.sampled, left.repeated) == (whole.sampled, whole.repeated)
    counted = np.isin(keys, np.array(whole.hashes, dtype=np.uint64)).sum()
    assert whole.sampled == counted
    assert whole.repeated == counted - SKETCH


def test_a_small_table_is_in_its_sketch_whole_and_missing_keys_are_passed_over() -> None:
    sketch = Sketch()
    sketch.add(hash64(pa.array([1, 2, 2, None, 3])))
    sketch.add(hash64(pa.array([3, 3, None])))

    assert len(sketch.hashes) == 3
    assert (sketch.sampled, sketch.repeated) == (6, 3)


def test_the_share_of_repeated_rows_is_estimated_from_the_sample() -> None:
    """Every tenth row twice: 1/11 of the rows repeat another; the standard error is .6 %."""
    keys = np.arange(200_000)
    sketch = Sketch()
    sketch.add(hash64(pa.array(np.concatenate([keys, keys[::10]]))))

    assert sketch.repeated / sketch.sampled == pytest.approx(1 / 11, abs=0.025)


@pytest.mark.parametrize("exact", [10**6, 1000], ids=["exact", "counted linearly"])
def test_repeats_are_counted(exact: int) -> None:
    keys = hash64(pa.array(np.arange(100_000)))
    none, some, one = Repeats(exact), Repeats(exact), Repeats(exact)
    for part in np.array_split(keys, 9):
        none.add(part)
        some.add(part)
        one.add(part)
    some.add(keys[:5000])
    one.add(np.repeat(keys[:1], 20_000))
    one.add(np.zeros(5, dtype=np.uint64))

    assert none.rows() == 0
    assert none.is_exact == (exact > 100_000)
    # Linear counting leaves out five standard errors, here of 17 rows each.
    assert 5000 - (0 if none.is_exact else 200) <= some.rows() <= 5000
    assert 20_000 - (0 if none.is_exact else 200) <= one.rows() <= 20_000
