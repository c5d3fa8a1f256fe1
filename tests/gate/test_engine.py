"""One engine, two ways: exact in memory, or two readings with bins. They must tell the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve, roc_curve

from ame.gate.config import ABTest
from ame.gate.delong import paired_delong
from ame.gate.engines import binned
from ame.gate.engines.local import measure
from ame.gate.summary import GroupSummary, Summary
from tests.gate.sources import ArraySource

BINARY = ("roc_auc", "average_precision", "log_loss", "brier", "accuracy", "f1", "precision", "recall")
MULTICLASS = ("log_loss", "roc_auc_ovr", "f1_macro", "accuracy")
REGRESSION = ("mae", "mse", "rmse", "r2", "pinball")
RANKED = {"roc_auc", "average_precision", "roc_auc_ovr"}


def config(task: str = "binary", **more: Any) -> ABTest:
    names = {"binary": BINARY, "multiclass": MULTICLASS, "regression": REGRESSION}[task]
    first = more.pop("primary", names[0])
    return ABTest(label="y", task=task, primary={"metric": first}, metrics=names, **more)


def scores(n: int, task: str = "binary", seed: int = 1, digits: int | None = None) -> tuple[np.ndarray, ...]:
    draw = np.random.default_rng(seed)
    if task == "binary":
        label = draw.random(n) < 0.2
        shared = draw.normal(size=n)
        found = [1 / (1 + np.exp(1 - shared - 0.4 * draw.normal(size=n) - k * label)) for k in (1.0, 1.1)]
        return label, *(found if digits is None else [each.round(digits) for each in found])
    if task == "multiclass":
        label = draw.integers(0, 4, n).astype(np.int32)
        both = []
        for gain in (0.5, 0.6):
            score = draw.gamma(1.0, size=(n, 4))
            score[np.arange(n), label] += gain
            both.append(score / score.sum(axis=1, keepdims=True))
        return label, *both
    label = draw.normal(50.0, 5.0, n)
    return label, label + draw.normal(0.1, 2.0, n), label + draw.normal(0.0, 1.9, n)


def hashes(codes: np.ndarray) -> np.ndarray:
    """splitmix64 of the codes."""
    state = (codes.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state = (state ^ (state >> np.uint64(shift))) * np.uint64(factor)
    return state ^ (state >> np.uint64(31))


def sliced(n: int, seed: int = 4) -> dict[str, list[str]]:
    draw = np.random.default_rng(seed)
    return {
        "city": draw.choice(["oslo", "rome", "lima"], n, p=[0.7, 0.29, 0.01]).tolist(),
        "hour": draw.integers(0, 20, n).astype(str).tolist(),
    }


def assert_same_sizes(first: GroupSummary, second: GroupSummary) -> None:
    for name in ("rows", "positives", "fewest", "discordant", "clustered"):
        assert getattr(first, name) == getattr(second, name), name


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("entities", [0, 400])
def test_bins_tell_what_sorting_tells(task: str, entities: int) -> None:
    n = 30_000
    entity = hashes(np.random.default_rng(2).integers(0, entities, n)) if entities else None
    source = ArraySource(*scores(n, task), entity=entity, slices=sliced(n))
    asked = config(task, entity="e" if entities else None, slices=("city", "hour"), min_slice_positives=20)

    exact, coarse = measure(asked, source), measure(asked, source, exact_rows=10_000)

    assert (exact.engine, coarse.engine) == ("local exact", "local binned")
    groups = [(exact.total, coarse.total)]
    for column, values in exact.slices.items():
        assert list(values) == list(coarse.slices[column]) == source.slice_values[column]
        groups += [(group, coarse.slices[column][value]) for value, group in values.items()]
    for first, second in groups:
        assert_same_sizes(first, second)
        assert first.metrics.keys() == second.metrics.keys()
        for name, metric in first.metrics.items():
            other = second.metrics[name]
            if name in RANKED:
                assert abs(metric.difference - other.difference) <= other.error_bound + 1e-12
                assert other.error_bound < 0.2 * metric.std_error
                share = 1e-3 if first is exact.total else 1e-2  # a slice has fewer bins
                assert abs(metric.difference - other.difference) < share * metric.std_error
                assert other.std_error == pytest.approx(metric.std_error, rel=1e-3)
            else:
                assert other.error_bound == 0.0
                for field in ("champion", "challenger", "difference", "std_error"):
                    assert getattr(other, field) == pytest.approx(getattr(metric, field), rel=1e-9, abs=1e-12)
    if task == "binary":
        assert np.array_equal(exact.cells, coarse.cells)
        assert np.abs(exact.grid.sum(axis=(0, 1)) - coarse.grid.sum(axis=(0, 1))).max() < 40
        for model, reliability in exact.reliability.items():
            other = coarse.reliability[model]
            assert reliability.spiegelhalter == pytest.approx(other.spiegelhalter, rel=1e-9)
            assert reliability.variance == pytest.approx(other.variance, rel=1e-12)
            assert reliability.predicted.sum() == pytest.approx(other.predicted.sum(), rel=1e-12)


def test_scores_with_few_values_have_no_error_of_binning() -> None:
    """Ties are no error when all scores of a bin are the same, as those of a small tree are."""
    label, champion, challenger = scores(20_000, digits=2)
    source = ArraySource(label, champion, challenger, slices={"half": ["a", "b"] * 10_000})
    asked = config(slices=("half",))

    exact, coarse = measure(asked, source), measure(asked, source, exact_rows=1000)

    for first, second in (
        (exact.total, coarse.total),
        (exact.slices["half"]["a"], coarse.slices["half"]["a"]),
    ):
        for name in RANKED & set(first.metrics):
            assert second.metrics[name].error_bound == 0.0
            assert second.metrics[name].difference == pytest.approx(first.metrics[name].difference, abs=1e-12)
            assert second.metrics[name].std_error == pytest.approx(first.metrics[name].std_error, rel=1e-9)


@pytest.mark.parametrize("exact_rows", [10**9, 1000])
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_however_rows_come_in_batches_the_numbers_are_the_same(task: str, exact_rows: int) -> None:
    n = 8_000
    draw = np.random.default_rng(8)
    entity = hashes(draw.integers(0, 3000, n))
    asked = config(task, entity="e", slices=("city", "hour"))
    found: list[Summary] = []
    for cuts, known in (([], True), ([1, 2, *sorted(draw.integers(0, n, 37)), n - 1], False)):
        source = ArraySource(*scores(n, task), entity=entity, slices=sliced(n), cuts=cuts, known=known)
        found.append(measure(asked, source, exact_rows=exact_rows))

    for other in found[1:]:
        groups = [(found[0].total, other.total)]
        groups += [
            (group, other.slices[column][value])
            for column, values in found[0].slices.items()
            for value, group in values.items()
        ]
        for first, second in groups:
            assert_same_sizes(first, second)
            assert (first.entities, first.effective_entities) == (second.entities, second.effective_entities)
            for name, metric in first.metrics.items():
                for field in ("champion", "challenger", "difference", "std_error", "error_bound"):
                    expected = getattr(metric, field)
                    assert getattr(second.metrics[name], field) == pytest.approx(
                        expected, rel=1e-10, abs=1e-12
                    )
                assert second.metrics[name].groups == pytest.approx(metric.groups, rel=1e-9, abs=1e-8)
        if task == "binary":
            assert np.array_equal(found[0].grid, other.grid)
            assert np.array_equal(found[0].cells, other.cells)


def test_sums_by_entity_follow_the_cluster_formula() -> None:
    """In the binned engine they are sums by bucket, whose standard error scatters by 2 to 3 %."""
    n = 24_000
    codes = np.random.default_rng(3).integers(0, 2000, n)
    source = ArraySource(*scores(n), entity=hashes(codes))
    alone = ArraySource(*scores(n), entity=np.arange(1, n + 1, dtype=np.uint64))
    asked = config(entity="e")

    rows, exact = measure(asked, alone), measure(asked, source)
    coarse = measure(asked, source, exact_rows=1000)

    assert (exact.total.entities, exact.total.fewest_entities) == (
        2000,
        min(np.unique(codes[source.label]).size, np.unique(codes[~source.label]).size),
    )
    sizes = np.bincount(codes)
    assert exact.total.effective_entities == pytest.approx(n * n / (sizes @ sizes))
    assert coarse.total.entities == np.unique(hashes(codes) % np.uint64(1024)).size
    for name, metric in exact.total.metrics.items():
        psi = rows.total.metrics[name].groups
        expected = np.sort(np.bincount(codes, weights=psi))
        assert np.sort(metric.groups) == pytest.approx(expected, abs=1e-7)
        buckets = (hashes(codes) % np.uint64(1024)).astype(int)
        expected = np.bincount(buckets, weights=psi, minlength=1024)[np.bincount(buckets, minlength=1024) > 0]
        assert coarse.total.metrics[name].groups == pytest.approx(
            expected, abs=0.5 if name in RANKED else 1e-7
        )


def test_a_slice_is_measured_as_its_rows_alone_are() -> None:
    n = 12_000
    label, champion, challenger = scores(n, digits=3)
    slices = sliced(n)
    entity = hashes(np.random.default_rng(3).integers(0, 500, n))
    asked = config(entity="e", slices=("city",), min_slice_rows=200, min_slice_positives=20)

    found = measure(asked, ArraySource(label, champion, challenger, entity=entity, slices=slices)).slices[
        "city"
    ]

    mask = np.array(slices["city"]) == "rome"
    alone = measure(
        config(entity="e"), ArraySource(label[mask], champion[mask], challenger[mask], entity=entity[mask])
    ).total
    rome = found["rome"]
    assert (rome.rows, rome.positives, rome.entities, rome.fewest_entities, rome.discordant) == (
        alone.rows,
        alone.positives,
        alone.entities,
        alone.fewest_entities,
        alone.discordant,
    )
    assert list(rome.metrics) == ["roc_auc"]
    for field in ("champion", "challenger", "difference", "std_error"):
        expected = getattr(alone.metrics["roc_auc"], field)
        assert getattr(rome.metrics["roc_auc"], field) == pytest.approx(expected, rel=1e-12)
    assert np.sort(rome.metrics["roc_auc"].groups) == pytest.approx(np.sort(alone.metrics["roc_auc"].groups))
    lima = found["lima"]
    assert lima.rows < 200
    assert lima.positives > 0
    assert not lima.metrics


@pytest.mark.parametrize("exact_rows", [10**9, 1000])
def test_slices_may_turn_up_late_and_be_many(exact_rows: int) -> None:
    """The first batches hold one value only; later there are more than there was room for."""
    n = 30_000
    values = np.where(np.arange(n) < 10_000, 0, np.arange(n) % 90).astype(str)
    source = ArraySource(*scores(n), slices={"late": values}, cuts=range(0, n, 5000))

    found = measure(config(slices=("late",)), source, exact_rows=exact_rows).slices["late"]

    label, champion, challenger = scores(n)
    assert len(found) == 90
    for value in ("0", "7", "89"):
        rows = values == value
        areas = paired_delong(label[rows], champion[rows], challenger[rows])
        metric = found[value].metrics["roc_auc"]
        assert found[value].rows == rows.sum()
        assert metric.champion == pytest.approx(areas.champion, abs=1e-3)
        assert abs(metric.difference - (areas.challenger - areas.champion)) <= metric.error_bound + 1e-12
        assert metric.std_error == pytest.approx(areas.std_error, rel=0.01)


def test_scores_that_differ_in_the_last_bit_are_told_apart() -> None:
    draw = np.random.default_rng(6)
    label = draw.random(2000) < 0.4
    champion = np.full(2000, 0.5)
    challenger = np.where(label, np.nextafter(0.5, 1.0), 0.5)

    metric = measure(config(), ArraySource(label, champion, challenger)).total.metrics["roc_auc"]
    coarse = measure(config(), ArraySource(label, champion, challenger), exact_rows=10).total.metrics[
        "roc_auc"
    ]

    assert (metric.champion, metric.challenger) == (0.5, 1.0)
    assert coarse.error_bound >= 0.5  # bins cannot tell them apart, and say so


@pytest.mark.parametrize("exact_rows", [10**9, 100])
@pytest.mark.parametrize("case", ["one row", "one class", "constant", "zeros and ones", "same"])
def test_degenerate_rows_have_a_summary(case: str, exact_rows: int) -> None:
    draw = np.random.default_rng(1)
    n = 1 if case == "one row" else 500
    label = draw.random(n) < (0.0 if case == "one class" else 0.4)
    champion, challenger = draw.random(n), draw.random(n)
    if case == "constant":
        champion = challenger = np.full(n, 0.25)
    elif case == "zeros and ones":
        champion, challenger = champion.round(), np.where(draw.random(n) < 0.5, -0.0, 1.0)
    elif case == "same":
        challenger = champion.copy()
    source = ArraySource(label, champion, challenger, slices={"s": ["x"] * n})

    with np.errstate(all="raise", under="ignore"):
        found = measure(config(slices=("s",)), source, exact_rows=exact_rows)

    assert found.total.rows == n
    assert found.same == (case in {"constant", "same"})
    for metric in found.total.metrics.values():
        assert metric.undefined is not None or np.isfinite(metric.difference)
    if found.same:
        assert all(m.undefined or m.difference == m.std_error == 0.0 for m in found.total.metrics.values())


@pytest.mark.parametrize("exact_rows", [10**9, 100])
def test_unusable_rows_are_read_to_the_end_and_not_measured(exact_rows: int) -> None:
    read = []

    class Broken(ArraySource):
        def batches(self):  # type: ignore[no-untyped-def]
            for batch in super().batches():
                read.append(batch.label.size)
                self.tally.sound = len(read) < 3
                yield batch

    source = Broken(*scores(1000), cuts=range(0, 1000, 200))

    found = measure(config(), source, exact_rows=exact_rows)

    assert sum(read) == 1000
    assert found.total.rows == 0
    assert not found.total.metrics


def test_no_rows_have_an_empty_summary() -> None:
    found = measure(config(), ArraySource(*(each[:0] for each in scores(5))))

    assert (found.total.rows, found.total.metrics) == (0, {})


def test_curves_lie_on_scikit_learns() -> None:
    label, champion, challenger = scores(5000, digits=3)

    curves = measure(config(), ArraySource(label, champion, challenger)).curves

    for model, score in (("champion", champion), ("challenger", challenger)):
        false, true, _ = roc_curve(label, score, drop_intermediate=False)
        roc, pr = curves[model]["roc"], curves[model]["pr"]
        assert {*zip(*roc, strict=True)} <= {*zip(false, true, strict=True)}
        assert roc[:, 0].tolist() == [0, 0]
        assert roc[:, -1].tolist() == [1, 1]
        precision, recall, _ = precision_recall_curve(label, score)
        assert {*zip(*pr, strict=True)} <= {*zip(recall, precision, strict=True)}
        assert max(roc.shape[1], pr.shape[1]) <= 500


def test_calibration_sums_are_those_of_the_rows() -> None:
    label, champion, challenger = scores(4000)

    found = measure(config(), ArraySource(label, champion, challenger))

    reliability = found.reliability["challenger"]
    y, p = label, challenger
    assert reliability.rows.sum() == 4000
    assert reliability.rows.size == 256
    assert np.ptp(reliability.rows) <= 1
    assert reliability.positives.sum() == label.sum()
    assert np.all(np.diff(reliability.predicted / reliability.rows) > 0)
    expected = ((y - p) * (1 - 2 * p)).sum(), ((1 - 2 * p) ** 2 * p * (1 - p)).sum()
    assert reliability.spiegelhalter == pytest.approx(expected, rel=1e-9)
    assert reliability.variance == pytest.approx((p * (1 - p)).sum(), rel=1e-12)


def test_residuals_of_every_row_are_in_the_histogram() -> None:
    label, champion, challenger = scores(3000, "regression")
    champion[0] = 1e9

    curves = measure(config("regression"), ArraySource(label, champion, challenger)).curves

    for model in ("champion", "challenger"):
        centres, counts = curves[model]["residuals"]
        assert counts.sum() == 3000
        assert abs(centres).max() < 100


def test_a_million_rows_in_two_readings() -> None:
    label, champion, challenger = scores(1_000_000)
    shares = []

    found = measure(
        config(primary="roc_auc"),
        ArraySource(label, champion, challenger),
        lambda _words, share: shares.append(share),
        exact_rows=binned.PILOT,
    )

    metric = found.total.metrics["roc_auc"]
    areas = paired_delong(label, champion, challenger)
    assert metric.difference == pytest.approx(areas.challenger - areas.champion, abs=1e-3 * areas.std_error)
    assert metric.std_error == pytest.approx(areas.std_error, rel=1e-4)
    assert metric.error_bound < 0.05 * metric.std_error
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


@pytest.mark.parametrize("exact_rows", [10**9, 10])
@pytest.mark.parametrize("size", [2.0**62, 1e160, 1.7e308])
def test_huge_numbers_are_measured_or_said_to_be_too_large(size: float, exact_rows: int) -> None:
    label = np.tile([size, -size], 50)
    source = ArraySource(label, np.ones(100), np.full(100, 0.4))

    found = measure(config("regression"), source, exact_rows=exact_rows)

    for metric in found.total.metrics.values():
        if metric.undefined is None:
            assert np.isfinite([metric.champion, metric.difference, metric.std_error]).all()
    assert (found.total.metrics["mse"].undefined is None) == (size < 1e100)
    assert found.curves["champion"]["residuals"][1].sum() == 100
