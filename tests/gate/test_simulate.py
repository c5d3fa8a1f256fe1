"""Simulated tests: an exact null, differences as large as they are said to be, and honest rates."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats
from sklearn.metrics import brier_score_loss, f1_score, roc_auc_score

from ame.diagnosis import Refused
from ame.gate.config import ABTest, Margin
from ame.gate.population import population
from ame.gate.result import ABTestResult, MetricResult
from ame.gate.simulate import random_halves_promote, simulate
from ame.gate.simulation import Rate

CONFIG = ABTest(label="late", primary=Margin("brier"))
BY_ENTITY = ABTest(label="late", primary=Margin("brier"), entity="tail")


def scores(n=1500, *, seed=0, gain=0.0, entities=0) -> pa.Table:
    draw = np.random.default_rng(seed)
    entity = draw.integers(0, entities, n) if entities else np.arange(n)
    label = draw.random(n) < 0.3
    shared = draw.normal(size=n)
    common = draw.normal(size=(2, entities or n))[:, entity]  # how well a model does on a whole entity
    columns = {"late": label}
    for model, mu, own in zip(("champion", "challenger"), (1.0, 1.0 + gain), common, strict=True):
        score = mu * label + 0.8 * shared + 0.5 * (2 * label - 1) * own + 0.4 * draw.normal(size=n)
        columns[model] = 1 / (1 + np.exp(1.3 - mu * score))
    if entities:
        columns["tail"] = entity
    return pa.table(columns)


def fake_gate(config: ABTest, table: pa.Table) -> ABTestResult:
    """A paired t-test of the Brier score, by entity where one is named: a small gate that is sound."""
    label, champion, challenger = (
        table[name].to_numpy(zero_copy_only=False).astype(float)
        for name in ("late", "champion", "challenger")
    )
    gained = (champion - label) ** 2 - (challenger - label) ** 2
    difference, n = gained.mean(), gained.size
    sums = gained - difference
    if config.entity is not None:
        _, code = np.unique(table[config.entity].to_numpy(), return_inverse=True)
        sums = np.bincount(code, sums)
    error = np.sqrt(sums @ sums * sums.size / (sums.size - 1)) / n
    z = stats.norm.ppf(1 - config.alpha)
    metric = MetricResult(
        metric="brier",
        champion=0.2,
        challenger=0.2,
        difference=difference,
        std_error=error,
        statistic=difference / error,
        p_value=1.0,
        interval=(0.0, 0.0),
        lower_bound=difference - z * error,
        upper_bound=difference + z * error,
        mde=config.primary.margin + (z + stats.norm.ppf(config.power)) * error,
        rows_needed=None,
        method="paired t",
        role="primary",
        margin=config.primary.margin,
    )
    return ABTestResult(
        decision="promote" if metric.lower_bound > config.primary.margin else "inconclusive",
        why="",
        rows=n,
        positives=int(label.sum()),
        alpha=config.alpha,
        checks=(),
        metrics={"brier": metric},
        config=config,
    )


def run(config=CONFIG, table=None, **asked):
    return simulate(config, scores() if table is None else table, measure=partial(fake_gate, config), **asked)


def binomial_bounds(trials: int, rate: float) -> tuple[float, float]:
    """Counts that are left with probability 1/20,000 at each end."""
    return stats.binom.ppf(5e-5, trials, rate), stats.binom.ppf(1 - 5e-5, trials, rate)


def test_equal_models_are_promoted_at_alpha() -> None:
    found = run(trials=700, rows=500, effects=[])

    low, high = binomial_bounds(700, 0.05)
    assert low <= found.equal.promoted.count <= high
    assert found.equal.difference == 0.0
    assert found.keeps_alpha
    assert sum(found.equal.decisions.values()) == 700


def test_whole_entities_are_swapped_and_drawn() -> None:
    table = scores(3000, entities=60)
    _, high = binomial_bounds(400, 0.065)  # 60 entities and a normal quantile: a little above .05

    named = run(BY_ENTITY, table, trials=400, rows=3000, effects=[])
    # The same drawing of whole entities, put to a gate that takes their rows for independent.
    ignored = simulate(
        BY_ENTITY, table, measure=partial(fake_gate, CONFIG), trials=400, rows=3000, effects=[]
    )

    assert named.equal.promoted.count <= high
    assert ignored.equal.promoted.count > high
    assert not ignored.keeps_alpha


def test_an_entity_drawn_twice_is_two() -> None:
    source = population(BY_ENTITY, scores(200, entities=20))
    drawn = source.draw(np.random.default_rng(0), 400)
    codes = np.bincount(drawn.table["tail"].to_numpy())

    assert codes.size == 40
    assert set(codes) <= set(source.sizes)
    assert drawn.table.column_names == ["late", "tail", "champion", "challenger"]


def test_a_gate_without_a_test_promotes_every_other_equal_model() -> None:
    found = simulate(
        CONFIG,
        scores(),
        trials=400,
        effects=[],
        measure=partial(fake_gate, CONFIG),
        decide=lambda table: (
            "promote" if fake_gate(CONFIG, table).metrics["brier"].difference > 0 else "reject"
        ),
    )

    low, high = binomial_bounds(400, 0.5)
    assert low <= found.equal.promoted.count <= high
    assert not found.keeps_alpha


def test_random_halves_promote_equal_models_half_the_time_and_worse_ones_too() -> None:
    found = run(trials=300, rows=800, effects=[-0.012])

    assert found.equal.halves is not None
    low, high = binomial_bounds(300, 0.5)
    assert low <= found.equal.halves.count <= high
    assert found.effects[0].difference == pytest.approx(-0.012, abs=1e-4)
    assert found.effects[0].promoted.count == 0
    assert found.effects[0].halves.count > 15


def test_power_is_what_normal_theory_says() -> None:
    found = run(trials=300, rows=800, effects=None)

    assert [effect.difference for effect in found.effects] == pytest.approx(
        [-found.mde, found.mde / 2, found.mde, 2 * found.mde], rel=0.02
    )
    for effect in found.effects:
        z = (effect.difference / found.mde) * (stats.norm.ppf(0.95) + stats.norm.ppf(0.8))
        expected = stats.norm.cdf(z - stats.norm.ppf(0.95))
        # The standard error falls a little as helped rows are fewer surprises: .03 beside the binomial.
        assert effect.promoted.rate == pytest.approx(
            expected, abs=0.03 + 4 * np.sqrt(expected * (1 - expected) / 300)
        )


def test_whole_entities_that_gain_widen_the_error_and_the_power_holds_all_the_same() -> None:
    table = scores(1500).append_column("tail", pa.array(np.arange(1500) // 25))

    found = run(BY_ENTITY, table, trials=250, rows=1500, effects=None)

    least = found.effects[2]
    assert least.difference == pytest.approx(found.mde, rel=0.02)
    low, high = binomial_bounds(250, 0.8)
    assert low <= least.promoted.count <= high
    assert least.rows_needed == pytest.approx(1500, rel=0.06)
    # By the error of equal models it would be 0.0093, which is promoted in 55 % of the tests only.
    assert found.mde > 0.0125


def test_rows_needed_reach_the_power() -> None:
    first = run(trials=1, rows=1000, effects=[0.006]).effects[0]

    found = run(trials=250, rows=first.rows_needed, effects=[0.006]).effects[0]

    assert found.promoted.rate == pytest.approx(0.8, abs=0.11)
    assert run(trials=1, rows=100, effects=[-0.01]).effects[0].rows_needed is None


def weighted(metric, drawn, **options):
    label = drawn.positive
    return [metric(label, scores, **options) for scores in drawn.scores]


@pytest.mark.parametrize("share", [-0.6, 0.2, 0.9])
def test_the_true_difference_is_that_of_a_very_large_draw(share: float) -> None:
    """Means and the area are linear in the share; the gate's own number is the limit of its draws."""
    source = population(CONFIG, scores(400))
    drawn = source.draw(np.random.default_rng(1), 200_000, share)
    all_better = source.arranged(1, 1)

    for metric in (roc_auc_score, lambda y, p: -brier_score_loss(y, p)):
        champion, challenger = weighted(metric, drawn)
        best = np.diff(weighted(metric, all_better))[0]
        assert challenger - champion == pytest.approx(share * best, abs=0.005)


def test_a_difference_in_f1_is_near_the_cubic() -> None:
    source = population(CONFIG, scores(400))
    f1 = lambda y, p: f1_score(y, p >= 0.4)  # noqa: E731
    one, half, quarter = (
        np.diff(weighted(f1, source.arranged(better, of)))[0] for better, of in ((1, 1), (3, 4), (5, 8))
    )
    cubic = (one - 2 * half) * 4 / 3

    assert quarter == pytest.approx((one - cubic) / 4 + cubic / 64, rel=0.005)


def test_an_arrangement_holds_each_row_with_both_answers() -> None:
    table = scores(50)
    drawn = population(CONFIG, table).arranged(3, 4)

    assert drawn.table.num_rows == 200
    total = drawn.scores.sum(axis=0).reshape(4, 50)
    expected = table["champion"].to_numpy() + table["challenger"].to_numpy()
    np.testing.assert_allclose(total, np.tile(expected, (4, 1)))
    better = np.where(drawn.positive, drawn.scores[1] >= drawn.scores[0], drawn.scores[1] <= drawn.scores[0])
    assert better.sum() == 150


def test_other_tasks_are_helped_by_their_own_measure() -> None:
    number = pa.table({"late": [1.0, 2.0], "champion": [1.1, 4.0], "challenger": [3.0, 2.5]})
    classes = pa.table(
        {"late": ["a", "b"], "champion": [[0.9, 0.1], [0.6, 0.4]], "challenger": [[0.2, 0.8], [0.1, 0.9]]}
    )

    regression = population(ABTest(label="late", task="regression"), number)
    multiclass = population(ABTest(label="late", task="multiclass", classes=("a", "b")), classes)

    assert regression.better.tolist() == multiclass.better.tolist() == [False, True]
    drawn = multiclass.arranged(1, 1)
    assert drawn.positive is None
    assert drawn.table["challenger"].to_pylist() == [[0.9, 0.1], [0.1, 0.9]]
    assert drawn.table["champion"].to_pylist() == [[0.2, 0.8], [0.6, 0.4]]


def test_random_halves_promote_nothing_where_a_half_has_one_class() -> None:
    table = pa.table({"late": [True, True], "champion": [0.1, 0.2], "challenger": [0.3, 0.4]})
    drawn = population(CONFIG, table).arranged(1, 1)

    assert not random_halves_promote(np.random.default_rng(0), drawn)


@pytest.mark.parametrize(
    ("count", "trials", "low", "high"),
    [(0, 10, 0.0, 0.3085), (10, 10, 0.6915, 1.0), (7, 21, 0.1459, 0.5697)],
)
def test_intervals_are_those_of_clopper_and_pearson(count, trials, low, high) -> None:
    found = Rate(count, trials).interval
    exact = stats.binomtest(count, trials).proportion_ci(method="exact")

    assert found == pytest.approx((low, high), abs=5e-5)
    assert found == pytest.approx((exact.low, exact.high), abs=1e-12)


def test_same_seed_gives_the_same_bytes_from_a_table_or_a_file(tmp_path) -> None:
    table = scores(300).append_column("more", pa.array(["x"] * 300))
    pq.write_table(table, tmp_path / "scores.parquet")
    as_text = lambda found: json.dumps(found.to_json())  # noqa: E731

    first = as_text(run(table=table, trials=20))

    assert as_text(run(table=tmp_path / "scores.parquet", trials=20)) == first
    assert as_text(run(table=table, trials=20, seed=1)) != first


def test_progress_goes_to_the_end() -> None:
    seen: list[float] = []
    run(trials=3, rows=50, effects=[0.001], progress=lambda _words, share: seen.append(share))

    assert seen == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1.0])


def diagnosis(**asked) -> str:
    with pytest.raises(Refused) as refused:
        run(**asked)
    return str(refused.value)


def test_what_cannot_be_simulated_is_refused(tmp_path) -> None:
    assert diagnosis(trials=0, rows=1) == (
        "AME-E530 The simulation's rows is 1, which must be at least 2. Change the number.\n"
        "AME-E530 The simulation's trials is 0, which must be at least 1. Change the number."
    )
    assert diagnosis(config=ABTest(label="late", design="split")).startswith(
        "AME-E530 Only a paired test can be simulated from its scores."
    )
    missing = tmp_path / "none.parquet"
    assert diagnosis(table=missing).startswith(f"AME-E504 {missing} The table of scores cannot be read.")
    with pytest.raises(Refused, match="AME-E531 The stored scores are not those of a multiclass test"):
        population(ABTest(label="late", task="multiclass"), scores(20))


def test_scores_whose_own_test_has_no_numbers_are_refused() -> None:
    def invalid(_table: pa.Table) -> ABTestResult:
        return ABTestResult(
            decision="invalid",
            why="3 labels are missing.",
            rows=3,
            positives=0,
            alpha=0.05,
            checks=(),
            metrics={},
            config=CONFIG,
        )

    with pytest.raises(Refused) as refused:
        simulate(CONFIG, scores(), measure=invalid)

    assert str(refused.value) == (
        "AME-E530 The stored scores cannot be simulated from: the test on them has no numbers. "
        "3 labels are missing. Give the scores of a paired test that passed its checks."
    )


def test_the_real_gate_promotes_equal_models_at_most_at_alpha_and_its_mde_with_its_power() -> None:
    table = scores(2000)
    config = ABTest(label="late", primary=Margin("roc_auc", 0.002), guardrails=(Margin("brier", 0.01),))

    found = simulate(config, table, rows=600, trials=100)

    assert found.equal.promoted.count <= binomial_bounds(100, 0.05)[1]
    harm, half, mde, double = (effect.promoted.count for effect in found.effects)
    assert harm <= 1
    assert half < mde < double
    low, high = binomial_bounds(100, 0.8)
    assert low <= mde <= high
    assert "invalid" not in found.equal.decisions
