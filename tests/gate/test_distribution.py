"""The pictures' distributions against standard errors, an honest bootstrap of rows, and known coverage."""

from __future__ import annotations

import json
import pickle
import time
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

from ame.gate.config import ABTest
from ame.gate.distribution import bootstrap_counts, count_values, distributions, f1_interval
from ame.gate.rank_bootstrap import average_precision, bootstrap_ranks, merge_bins, poisson, roc_auc
from ame.gate.result import Distribution
from ame.gate.summary import GroupSummary, MetricSummary, Summary

CONFIG = ABTest(label="late")
NAMES = ("champion", "challenger", "difference")


def scored(n, *, share=0.3, rho=0.9, gain=0.0, seed=0):
    draw = np.random.default_rng(seed)
    label = draw.random(n) < share
    shared = draw.normal(size=n)
    first, second = (
        mu * label + np.sqrt(rho) * shared + np.sqrt(1 - rho) * draw.normal(size=n)
        for mu in (1.0, 1.0 + gain)
    )
    return label, first, second


def cells_of(label, first, second, threshold=0.8):
    code = 4 * label + 2 * (first >= threshold) + (second >= threshold)
    return np.bincount(code, minlength=8).reshape(2, 2, 2)


def grid_of(label, first, second, bins=256):
    at = [
        np.searchsorted(np.quantile(score, np.linspace(0, 1, bins + 1)[1:-1]), score, side="right")
        for score in (first, second)
    ]
    return np.bincount((label * bins + at[0]) * bins + at[1], minlength=2 * bins * bins).reshape(
        2, bins, bins
    )


def summary_of(metrics, *, rows=1000, clustered=False, cells=None, grid=None):
    total = GroupSummary(rows, rows // 3, rows // 3, metrics, clustered=clustered)
    return Summary("local exact", total, cells=cells, grid=grid)


def metric(champion, challenger, std_error, groups, **more):
    return MetricSummary(champion, challenger, challenger - champion, std_error, groups, **more)


def resample(rows, draws, value, seed=0):
    """The bootstrap as everybody writes it: the metric on rows drawn with replacement."""
    draw = np.random.default_rng(seed)
    n = rows[0].size
    return np.array(
        [value(*(column[picked] for column in rows)) for picked in draw.integers(0, n, (draws, n))]
    )


def binned_delong(label, first, second):
    """Standard error of the difference in AUC, from placements by definition."""
    parts = []
    for score in (first, second):
        above = (score[label][:, None] > score[~label][None, :]) + 0.5 * (
            score[label][:, None] == score[~label][None, :]
        )
        parts.append((above.mean(axis=1), above.mean(axis=0)))
    ten, one = (b - a for a, b in zip(*parts, strict=True))
    return np.sqrt(ten.var(ddof=1) / ten.size + one.var(ddof=1) / one.size)


def test_count_values_are_those_of_scikit_learn() -> None:
    label, first, second = scored(3000)
    values = count_values(cells_of(label, first, second))

    for name, score in (
        ("accuracy", accuracy_score),
        ("f1", f1_score),
        ("precision", precision_score),
        ("recall", recall_score),
    ):
        for found, model in zip(values[name], (first, second), strict=True):
            assert float(found) == pytest.approx(score(label, model >= 0.8), abs=1e-14)


def test_a_ratio_of_nothing_has_no_value() -> None:
    cells = np.array([[[5, 0], [0, 0]], [[3, 0], [0, 0]]])

    values = count_values(cells)

    assert np.isnan(values["precision"]).all()
    assert values["recall"] == (0.0, 0.0)


def test_drawn_counts_have_the_law_of_rows_drawn_with_replacement() -> None:
    label, first, second = scored(1000, gain=0.2)
    f1 = lambda y, c: 2 * (y & c).sum() / (y.sum() + c.sum())  # noqa: E731
    f1_difference = lambda y, a, b: f1(y, b >= 0.8) - f1(y, a >= 0.8)  # noqa: E731
    naive = resample((label, first, second), 1000, f1_difference)

    first_f1, second_f1 = count_values(bootstrap_counts(cells_of(label, first, second), 4000, seed=1))["f1"]

    assert stats.ks_2samp(naive, second_f1 - first_f1).pvalue > 1e-4


def test_f1_interval_takes_milliseconds_at_any_number_of_rows() -> None:
    cells = 10**12 * np.array([[[5, 1], [1, 2]], [[1, 2], [2, 3]]])
    f1_interval(cells)
    began = time.process_time()
    for _ in range(20):
        low, high = f1_interval(cells)

    assert (time.process_time() - began) / 20 < 0.02
    assert -1e-5 < low < high < 1e-5


def test_f1_interval_covers_the_true_difference() -> None:
    """900 samples of one law; .021 is 4.05 binomial errors: a tail of 1/20,000."""
    label, first, second = scored(200_000, gain=0.15, seed=3)
    law = cells_of(label, first, second)
    truth = float(np.subtract(*count_values(law)["f1"][::-1]))
    samples = bootstrap_counts(law // 100, 900, seed=4)

    inside = [low <= truth <= high for low, high in (f1_interval(each, draws=500) for each in samples)]

    assert np.mean(inside) == pytest.approx(0.95, abs=0.03)


@pytest.mark.parametrize("mean", [1, 2, 7, 40, 99, 100, 500, 10**6])
def test_poisson_numbers_have_their_mean_and_variance(mean: int) -> None:
    drawn = poisson(np.full(20, mean), 2000, seed=mean).astype(np.float64).ravel()

    assert drawn.min() >= 0
    assert (drawn == np.rint(drawn)).all()
    assert drawn.mean() == pytest.approx(mean, abs=4.06 * np.sqrt(mean / drawn.size))
    assert drawn.var() == pytest.approx(mean, rel=0.035)


def test_small_poisson_numbers_have_their_law() -> None:
    drawn = poisson(np.full(50, 3), 2000, seed=5).astype(np.int64).ravel()
    seen = np.bincount(drawn, minlength=11)
    expected = stats.poisson.pmf(np.arange(10), 3) * drawn.size

    observed = np.append(seen[:10], seen[10:].sum())
    assert stats.chisquare(observed, np.append(expected, drawn.size - expected.sum())).pvalue > 5e-5


def test_metrics_of_bins_are_those_of_scikit_learn_on_the_bins() -> None:
    label, first, second = scored(2000)
    grid = grid_of(label, first, second, bins=16)
    at = np.repeat(np.tile(np.arange(16), 2), grid.sum(axis=2).ravel())
    truth = np.repeat([0, 1], grid.sum(axis=(1, 2)))

    assert float(roc_auc(grid.sum(axis=2))) == pytest.approx(roc_auc_score(truth, at), abs=1e-13)
    assert float(average_precision(grid.sum(axis=2))) == pytest.approx(
        average_precision_score(truth, at), abs=1e-13
    )


def test_merging_bins_keeps_every_row_in_its_place() -> None:
    grid = np.random.default_rng(0).integers(0, 3, (2, 256, 256))

    merged = merge_bins(grid)

    assert np.count_nonzero(merged) <= 4096
    np.testing.assert_array_equal(
        merged.sum(axis=2), grid.sum(axis=2).reshape(2, merged.shape[1], -1).sum(axis=2)
    )
    np.testing.assert_array_equal(
        merged.sum(axis=1), grid.sum(axis=1).reshape(2, merged.shape[1], -1).sum(axis=2)
    )


def test_resampled_marginals_are_those_of_the_grid_on_average() -> None:
    grid = grid_of(*scored(3000), bins=32)

    champion, challenger, bins = bootstrap_ranks(grid, 2000, seed=0)

    assert bins == 32
    for drawn, mean in ((champion, grid.sum(axis=2)), (challenger, grid.sum(axis=1))):
        assert (np.abs(drawn.mean(axis=0) - mean) <= 5 * np.sqrt(np.maximum(mean, 1) / 2000)).all()


@pytest.mark.parametrize(("n", "share", "rho"), [(3000, 0.3, 0.9), (3000, 0.05, 0.8), (4000, 0.3, 0.99)])
def test_auc_spreads_as_delong_says_around_the_exact_values(n: int, share: float, rho: float) -> None:
    label, first, second = scored(n, share=share, rho=rho, gain=0.1)
    error = binned_delong(label, first, second)
    areas = roc_auc_score(label, first), roc_auc_score(label, second)
    summary = summary_of(
        {"roc_auc": metric(*areas, error, np.zeros(1024))}, grid=grid_of(label, first, second)
    )

    found = distributions(CONFIG, summary)["roc_auc"]

    assert found.method.startswith("Poisson bootstrap")
    low, middle, high = found.quantiles["difference"]
    assert (high - low) / (2 * 1.96 * error) == pytest.approx(1, abs=0.08)
    assert middle == pytest.approx(areas[1] - areas[0], abs=0.15 * error)
    assert found.quantiles["champion"][1] == pytest.approx(areas[0], abs=0.15 * (high - low))


def test_average_precision_spreads_as_rows_drawn_with_replacement() -> None:
    label, first, second = scored(1500, gain=0.1)

    def average(y, score):
        hits = y[np.argsort(-score)]
        return (hits * np.cumsum(hits) / np.arange(1, hits.size + 1)).sum() / hits.sum()

    naive = resample((label, first, second), 1000, lambda y, a, b: average(y, b) - average(y, a))
    values = average_precision_score(label, first), average_precision_score(label, second)
    summary = summary_of(
        {"average_precision": metric(*values, naive.std(), np.zeros(1024))},
        grid=grid_of(label, first, second),
    )

    low, _, high = distributions(CONFIG, summary)["average_precision"].quantiles["difference"]

    # 1,000 draws know their own spread to 2.2 %, and its 95 % width a little worse.
    assert (high - low) / (2 * 1.96 * naive.std()) == pytest.approx(1, abs=0.15)


def test_models_that_the_bins_cannot_tell_apart_are_drawn_from_their_groups() -> None:
    label, first, _ = scored(50_000)
    draw = np.random.default_rng(1)
    second = first + 1e-4 * draw.normal(size=first.size)
    groups = draw.normal(size=1024) * 1e-6 * np.sqrt(50_000)
    error = float(np.sqrt(groups @ groups)) / 50_000
    area = roc_auc_score(label, first)
    grid = grid_of(label, first, second)
    summary = summary_of({"roc_auc": metric(area, area, error, groups)}, rows=50_000, grid=grid)

    found = distributions(CONFIG, summary)["roc_auc"]

    assert found.method == "bootstrap of the influence of 1,024 random groups of rows, 2,000 draws"
    low, _, high = found.quantiles["difference"]
    assert (high - low) / (2 * 1.96 * error) == pytest.approx(1, abs=0.08)


@pytest.mark.parametrize("entities", [30, 400, 5000])
def test_entities_spread_as_their_cluster_robust_error(entities: int) -> None:
    draw = np.random.default_rng(entities)
    groups = draw.normal(size=entities) * 3
    groups -= groups.mean()
    own = draw.normal(size=entities)
    own -= own.mean()
    rows = 10 * entities
    errors = {
        name: np.sqrt(sums @ sums * entities / (entities - 1)) / rows
        for name, sums in (("difference", groups), ("champion", own), ("challenger", own - groups))
    }
    losses = MetricSummary(0.5, 0.4, 0.1, errors["difference"] / 2, groups, champion_groups=own)
    summary = summary_of({"log_loss": losses}, rows=rows, clustered=True, cells=np.ones((2, 2, 2), int))

    found = distributions(CONFIG, summary)["log_loss"]

    assert found.method == f"bootstrap of the influence of {entities:,} entities, 2,000 draws"
    for name, centre in (("champion", 0.5), ("challenger", 0.4), ("difference", 0.1)):
        low, middle, high = found.quantiles[name]
        assert (high - low) / (2 * 1.96 * errors[name]) == pytest.approx(1, abs=0.09), name
        assert middle == pytest.approx(centre, abs=0.15 * errors[name]), name


def test_counts_of_entities_are_not_drawn_as_if_rows_were_independent() -> None:
    cells = cells_of(*scored(1000))
    groups = np.random.default_rng(0).normal(size=50)
    summary = summary_of({"f1": metric(0.5, 0.5, 0.01, groups)}, clustered=True, cells=cells)

    assert "50 entities" in distributions(CONFIG, summary)["f1"].method


def test_a_difference_is_drawn_where_the_champion_s_own_sums_are_missing() -> None:
    groups = np.random.default_rng(0).normal(size=1024)
    found = distributions(CONFIG, summary_of({"mae": metric(2.0, 1.9, 0.1, groups)}))["mae"]

    assert set(found.counts) == {"difference"}


def everything() -> Summary:
    label, first, second = scored(2000, gain=0.1)
    draw = np.random.default_rng(0)
    values = {
        "roc_auc": (0.7, 0.71),
        "log_loss": (0.6, 0.61),
        "accuracy": (0.7, 0.71),
        "f1": (0.5, 0.6),
        "precision": (0.5, 0.5),
        "recall": (0.5, 0.5),
    }
    metrics = {
        name: metric(*pair, 0.01, draw.normal(size=1024), champion_groups=draw.normal(size=1024))
        for name, pair in values.items()
    }
    return summary_of(
        metrics, rows=2000, cells=cells_of(label, first, second), grid=grid_of(label, first, second)
    )


def test_histograms_hold_every_draw_in_60_bins() -> None:
    for name, found in distributions(CONFIG, everything()).items():
        for which in NAMES:
            assert len(found.counts[which]) == 60, name
            assert sum(found.counts[which]) == 2000, name
            edges = np.array(found.edges[which])
            assert (np.diff(edges) > 0).all(), name
            low, middle, high = found.quantiles[which]
            assert edges[0] <= low <= middle <= high <= edges[-1], name


def test_same_summary_gives_the_same_bytes_and_another_seed_other_draws() -> None:
    as_text = lambda found: json.dumps({name: each.to_json() for name, each in found.items()})  # noqa: E731

    assert as_text(distributions(CONFIG, everything())) == as_text(distributions(CONFIG, everything()))
    assert as_text(distributions(CONFIG, everything())) != as_text(
        distributions(CONFIG, everything(), seed=1)
    )


def test_nothing_is_drawn_before_it_is_looked_at() -> None:
    summary = everything()
    began = time.process_time()
    found = [distributions(CONFIG, summary) for _ in range(1000)]

    assert time.process_time() - began < 0.5
    assert found[0] == found[1] == dict(found[2])
    assert pickle.loads(pickle.dumps(found[3]))["f1"] == found[0]["f1"]  # noqa: S301


def test_bins_of_accuracy_hold_equally_many_possible_values() -> None:
    counts = np.array(distributions(CONFIG, everything())["accuracy"].counts["champion"])
    middle = counts[np.cumsum(counts).searchsorted(1000) - 3 :][:7]

    # With 60 even bins over the range, neighbours would hold two and three possible values in turn.
    assert middle.max() / middle.min() < 1.6


def test_equal_models_have_one_value_and_undefined_metrics_none() -> None:
    same = metric(0.7, 0.7, 0.0, np.zeros(1024), champion_groups=np.zeros(1024))
    none = replace(same, undefined="No row is predicted positive.", champion=np.nan, difference=np.nan)

    found = distributions(CONFIG, summary_of({"log_loss": same, "precision": none}))

    assert list(found) == ["log_loss"]
    assert found["log_loss"].quantiles["difference"] == (0.0, 0.0, 0.0)
    assert sum(found["log_loss"].counts["difference"]) == 2000


def test_draws_without_a_value_are_left_out() -> None:
    cells = np.array([[[90, 0], [0, 0]], [[8, 0], [0, 2]]])
    summary = summary_of({"precision": metric(1.0, 1.0, 0.0, np.zeros(1024))}, rows=100, cells=cells)

    found: Distribution = distributions(CONFIG, summary)["precision"]

    # With two predicted positives in 100 rows, 13 % of the draws have none.
    assert sum(found.counts["champion"]) == pytest.approx(2000 * (1 - 0.98**100), abs=61)
