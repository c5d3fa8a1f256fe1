"""Columns of the holdout against the training's: levels by simulation, shifts that matter, odd columns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from scipy.stats import binom, chi2_contingency, ks_2samp

from ame.diagnosis import Refused
from ame.gate.drift import drift
from ame.gate.rows import SAMPLE, open_rows


def most(trials: int, level: float = 0.05) -> int:
    """What a binomial count exceeds with probability 1/20,000."""
    return int(binom.ppf(1 - 5e-5, trials, level))


def test_equal_samples_alarm_at_most_at_the_level() -> None:
    draw, trials = np.random.default_rng(1), 250
    names = [f"x{i}" for i in range(8)]
    any_alarm = drifted = psi_alarms = ks_alarms = category_alarms = 0
    ratios = []
    for _ in range(trials):
        n, m = 800, 2000
        columns = {name: draw.normal(size=n + m) for name in names[:4]}
        columns["x3"] = np.where(draw.random(n + m) < 0.1, np.nan, columns["x3"])
        columns |= {"x4": draw.poisson(2, n + m), "x5": draw.choice(list("abcdefgh"), n + m)}
        columns |= {"x6": draw.zipf(1.5, n + m).astype(str), "x7": draw.random(n + m) < 0.01}
        table = pa.table(columns)
        found = {each.column: each for each in drift(table[:n], table[n:], names)}
        assert list(found) == names
        any_alarm += min(each.adjusted_p_value for each in found.values()) < 0.05
        drifted += any(each.drifted for each in found.values())
        psi_alarms += found["x0"].psi_p_value < 0.05
        ks_alarms += found["x0"].p_value < 0.05
        category_alarms += found["x5"].p_value < 0.05
        ratios.append(found["x0"].psi / found["x0"].psi_floor)
    assert drifted == 0
    assert any_alarm <= most(trials)
    assert ks_alarms <= most(trials)
    for alarms in (psi_alarms, category_alarms):
        assert binom.ppf(2.5e-5, trials, 0.05) <= alarms <= most(trials)
    # E[PSI] = (bins - 1)(1/n + 1/m); the standard deviation of the ratio is sqrt(2 / 9).
    assert np.mean(ratios) == pytest.approx(1, abs=4 * np.sqrt(2 / 9 / trials))


def test_many_rows_with_a_small_shift_do_not_alarm() -> None:
    draw = np.random.default_rng(2)
    training = pa.table({"x": draw.normal(size=200_000)})
    holdout = pa.table({"x": draw.normal(0.03, 1, 200_000)})

    (found,) = drift(holdout, training, ["x"])

    assert found.adjusted_p_value < 0.001
    assert found.psi < 0.01
    assert not found.drifted
    assert found.rows == (SAMPLE, SAMPLE)


@pytest.mark.parametrize(
    "shifted",
    [
        pytest.param(lambda x, _: x + 0.5, id="mean"),
        pytest.param(lambda x, _: x * 2, id="spread"),
        pytest.param(lambda x, draw: np.where(draw.random(x.size) < 0.2, np.nan, x), id="missing"),
        pytest.param(lambda x, _: np.zeros(x.size), id="constant"),
    ],
)
def test_a_shift_that_matters_is_found(
    shifted: Callable[[np.ndarray, np.random.Generator], np.ndarray],
) -> None:
    draw = np.random.default_rng(3)
    training = pa.table({"x": draw.normal(size=5000), "same": draw.normal(size=5000)})
    holdout = pa.table({"x": shifted(draw.normal(size=3000), draw), "same": draw.normal(size=3000)})

    found = drift(holdout, training, ["x", "same"])

    assert [each.drifted for each in found] == [True, False]


@pytest.mark.parametrize("value", [2.0, 4.0])
def test_a_column_with_one_value_drifts_both_ways(value: float) -> None:
    (found,) = drift(pa.table({"x": [value] * 500}), pa.table({"x": [3.0] * 5000}), ["x"])

    assert found.drifted
    assert found.statistic == 1


def test_categories_that_come_or_are_missing_are_found() -> None:
    training = pa.table({"new": ["a", "b"] * 2000, "gone": ["a", "b"] * 2000, "ok": ["a", "b"] * 2000})
    holdout = pa.table(
        {"new": ["a", "b", "c", "b"] * 500, "gone": ["a", None, "a", "b"] * 500, "ok": ["b", "a"] * 1000}
    )

    found = drift(holdout, training, ["new", "gone", "ok"])

    assert [each.drifted for each in found] == [True, True, False]
    assert [each.kind for each in found] == ["category"] * 3


def test_one_missing_value_in_a_small_holdout_is_no_drift() -> None:
    draw = np.random.default_rng(4)
    holdout = pa.table({"x": [None, *draw.normal(size=199)], "c": [None, *["a"] * 199]})
    training = pa.table({"x": draw.normal(size=50_000), "c": ["a"] * 50_000})

    assert [each.p_value > 0.01 for each in drift(holdout, training, ["x", "c"])] == [True, True]


def test_tests_are_those_of_scipy() -> None:
    draw = np.random.default_rng(5)
    here, there = draw.normal(0.1, 1, 900), draw.normal(0, 1, 1100)
    codes = [
        draw.choice(4, size, p=p) for size, p in ((900, [0.4, 0.3, 0.2, 0.1]), (1100, [0.3, 0.3, 0.2, 0.2]))
    ]
    holdout, training = (
        pa.table({"x": x, "c": pa.array([f"k{code}" for code in kind]).dictionary_encode()})
        for x, kind in ((here, codes[0]), (there, codes[1]))
    )
    table = np.stack([np.bincount(each, minlength=4) for each in codes])

    number, category = drift(holdout, training, ["x", "c"])

    ks = ks_2samp(here, there)
    assert number.statistic == pytest.approx(ks.statistic)
    assert number.p_value == pytest.approx(ks.pvalue, rel=0.15)
    chi = chi2_contingency(table, correction=False)
    assert category.p_value == pytest.approx(chi.pvalue)
    assert category.statistic == pytest.approx(np.sqrt(chi.statistic / 2000))


def test_the_index_is_that_of_the_deciles() -> None:
    draw = np.random.default_rng(6)
    there, here = draw.normal(size=10_000), draw.normal(0.3, 1, 10_000)
    edges = np.quantile(there, np.arange(1, 10) / 10)
    p, q = (np.bincount(np.searchsorted(edges, side), minlength=10) / side.size for side in (here, there))

    (found,) = drift(pa.table({"x": here}), pa.table({"x": there}), ["x"])

    assert found.psi == pytest.approx(float(((p - q) * np.log(p / q)).sum()), rel=0.01)
    assert found.psi_floor == pytest.approx(9 * 2 / 10_000)


def test_columns_that_cannot_be_compared_are_left_out() -> None:
    rows = 100
    training = pa.table({"x": range(rows), "only": range(rows), "list": [[1]] * rows, "t": ["1"] * rows})
    holdout = pa.table({"x": [1.5] * rows, "list": [[1]] * rows, "t": range(rows), "nulls": [None] * rows})

    found = drift(holdout, training, ["x", "only", "list", "t", "nulls", "neither", "x"])

    assert [each.column for each in found] == ["x"]


def test_too_few_rows_are_not_compared() -> None:
    assert drift(pa.table({"x": range(19)}), pa.table({"x": range(1000)}), ["x"]) == ()


@pytest.mark.parametrize(
    "column",
    [
        pa.array([None] * 500, pa.float64()),
        pa.array([float("nan")] * 500),
        pa.array([float("inf"), -float("inf")] * 250),
        pa.array([2**63] * 500, pa.uint64()),
        pa.array([True, None] * 250),
        pa.array([None] * 500, pa.string()),
        pa.array([f"id-{i}" for i in range(500)]),
        pa.array(["1.25", "2.50"] * 250).cast(pa.decimal128(5, 2)),
    ],
)
def test_odd_columns_are_like_themselves(column: pa.Array) -> None:
    (found,) = drift(pa.table({"x": column}), pa.table({"x": column}), ["x"])

    assert not found.drifted
    assert found.p_value == 1
    assert found.psi == pytest.approx(0)


def test_files_and_batches_of_any_size_give_the_same_numbers(tmp_path: Path) -> None:
    draw = np.random.default_rng(7)
    rows = 130_000
    training = pa.table({"x": draw.normal(size=rows), "c": draw.choice(["a", "b"], rows)})
    holdout = training.slice(0, 20_000)
    pq.write_table(training, tmp_path / "whole.parquet", row_group_size=7_000)
    (tmp_path / "parts").mkdir()
    for part in range(2):
        pcsv.write_csv(training.slice(part * 65_000, 65_000), tmp_path / "parts" / f"{part}.csv")

    expected = drift(holdout, training, ["x", "c"])

    assert drift(holdout, tmp_path / "whole.parquet", ["x", "c"]) == expected
    assert drift(holdout, str(tmp_path / "parts"), ["x", "c"]) == expected
    assert (
        drift(ds.InMemoryDataset(holdout), ds.InMemoryDataset(training.to_batches(999)), ["x", "c"])
        == expected
    )


@pytest.mark.parametrize("content", [None, b"no parquet"])
def test_what_cannot_be_read_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "rows.parquet"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(Refused) as caught:
        drift(pa.table({"x": [1]}), path, ["x"])

    (diagnosis,) = caught.value.diagnoses
    assert (diagnosis.code, diagnosis.what) == ("AME-E540", "The rows of the training cannot be read.")


def test_a_value_that_is_not_of_its_column_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("x\n" + "1\n" * 3_000_000 + "a word\n")

    with pytest.raises(Refused, match="AME-E540"):
        list(open_rows(path, "the training").batches(["x"]))


def test_a_folder_of_two_kinds_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x\n1\n")
    pq.write_table(pa.table({"x": [1]}), tmp_path / "b.parquet")

    with pytest.raises(Refused, match="AME-E540"):
        open_rows(tmp_path, "the training")
