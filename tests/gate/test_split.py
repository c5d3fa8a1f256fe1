"""Traffic split between champion and challenger: published cases, independent computation, calibration, and
everything that makes the arms not comparable."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats
from sklearn import metrics as oracle

from ame.diagnosis import Refused
from ame.gate import ABTest, ABTestResult, Margin, MetricResult
from ame.gate.keys import hash64
from ame.gate.ledger import Exhausted
from ame.gate.result import Check, Decision, LedgerUse
from ame.gate.split import measure as measuring
from ame.gate.split import run_split
from ame.gate.split.checks import sample_ratio
from ame.gate.split.judge import judge
from ame.gate.split.reading import Traffic
from ame.gate.split.units import Units

ARMS = ("champion", "challenger")
SOLD = ABTest(label="sold", design="split")
BINARY = ("log_loss", "brier", "accuracy", "f1", "precision", "recall", "roc_auc", "average_precision")
REGRESSION = ("mean", "mae", "mse", "rmse", "r2", "pinball")
SLEEP = (
    (0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0),
    (1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4),
)


def traffic(
    seed: int = 1, n: int = 4000, *, shares: tuple[float, float] = (0.3, 0.3), **more: Any
) -> pa.Table:
    """Independent rows: the share that is sold by arm, and scores that know something of it."""
    draw = np.random.default_rng(seed)
    arm = draw.random(n) < 0.5
    sold = draw.random(n) < np.where(arm, shares[1], shares[0])
    score = 1 / (1 + np.exp(-(draw.normal(size=n) + 1.2 * sold - 1.2)))
    columns = {"sold": sold, "variant": np.where(arm, *ARMS[::-1]), "score": np.round(score, 3)}
    return pa.table({**columns, **{name: make(draw, n) for name, make in more.items()}})


def by_entity(
    draw: np.random.Generator, entities: int, rows: int, effect: float = 0.0, icc: float = 0.5
) -> pa.Table:
    """Whole entities are assigned; rows of one entity sell alike."""
    entity = np.repeat(np.arange(entities), draw.poisson(rows, entities) + 1)
    arm = draw.permutation(np.arange(entities) % 2 == 0)[entity]
    latent = math.sqrt(icc) * draw.normal(size=entities)[entity]
    latent += math.sqrt(1 - icc) * draw.normal(size=entity.size)
    noise = math.sqrt(icc) * draw.normal(size=entities)[entity]
    noise += math.sqrt(1 - icc) * draw.normal(size=entity.size)
    sold = latent + effect * arm > 0.5
    score = 1 / (1 + np.exp(-(noise + sold - 1)))
    variant = np.where(arm, *ARMS[::-1])
    return pa.table({"sold": sold, "variant": variant, "score": score, "client": entity})


def measured(config: ABTest, data: pa.Table) -> dict[str, MetricResult]:
    found = measuring.measure(config, Traffic(config, data))
    assert found is not None
    return judge(config, found.total)


def failed(result: ABTestResult) -> dict[str, str]:
    return {check.name: check.detail for check in result.checks if not check.passed}


def arm_of(data: pa.Table, arm: str) -> tuple[np.ndarray, np.ndarray]:
    part = data.filter(pa.compute.equal(data["variant"], arm))
    return part["sold"].to_numpy(), part["score"].to_numpy()


# Published cases


def test_students_sleep_data_give_welchs_published_test() -> None:
    data = pa.table({"hours": [*SLEEP[0], *SLEEP[1]], "variant": np.repeat(ARMS, 10)})

    found = measured(ABTest(label="hours", design="split", task="regression"), data)["mean"]

    assert found.statistic == pytest.approx(1.8608, abs=5e-5)  # R: t = -1.8608 of group 1 - group 2
    assert found.p_value == pytest.approx(0.07939, abs=5e-6)
    assert found.interval == pytest.approx((-0.2054832, 3.3654832), abs=1e-7)
    assert found.method == "Welch, t with 17.8 df (Satterthwaite)"


def test_the_published_sample_ratio_mismatch() -> None:
    assert sample_ratio(821_588, 815_482, 0.5) == pytest.approx(1.8e-6, rel=0.03)
    assert sample_ratio(300, 100, 0.25) == 1.0
    assert sample_ratio(330, 170, 0.3) == pytest.approx(stats.chisquare([330, 170], [350, 150]).pvalue)


# Independent computation


def test_every_arms_values_are_those_of_scikit_learn() -> None:
    data = traffic()

    found = measured(replace(SOLD, metrics=BINARY), data)

    for arm in ARMS:
        sold, score = arm_of(data, arm)
        said = score >= 0.5
        wanted = {
            "mean": sold.mean(),
            "log_loss": oracle.log_loss(sold, score),
            "brier": oracle.brier_score_loss(sold, score),
            "accuracy": oracle.accuracy_score(sold, said),
            "f1": oracle.f1_score(sold, said),
            "precision": oracle.precision_score(sold, said),
            "recall": oracle.recall_score(sold, said),
            "roc_auc": oracle.roc_auc_score(sold, score),
            "average_precision": oracle.average_precision_score(sold, score),
        }
        assert {name: getattr(found[name], arm) for name in wanted} == pytest.approx(wanted, abs=1e-12)


def test_regression_values_are_those_of_scikit_learn_far_from_zero_too() -> None:
    draw = np.random.default_rng(5)
    truth = 1e6 + draw.normal(size=500)
    data = pa.table({"sold": truth, "score": truth + draw.normal(size=500), "variant": np.resize(ARMS, 500)})
    config = replace(SOLD, task="regression", metrics=REGRESSION, quantile=0.3)

    found = measured(config, data)

    for arm in ARMS:
        y, score = arm_of(data, arm)
        wanted = {
            "mae": oracle.mean_absolute_error(y, score),
            "mse": oracle.mean_squared_error(y, score),
            "rmse": oracle.root_mean_squared_error(y, score),
            "r2": oracle.r2_score(y, score),
            "pinball": oracle.mean_pinball_loss(y, score, alpha=0.3),
        }
        assert {name: getattr(found[name], arm) for name in wanted} == pytest.approx(wanted, rel=1e-9)
    # Less is better, so the sign is that of the improvement.
    assert found["mae"].difference == found["mae"].champion - found["mae"].challenger
    assert found["r2"].difference == found["r2"].challenger - found["r2"].champion


def test_the_mean_is_welchs_test() -> None:
    data = traffic(shares=(0.1, 0.4))
    wanted = stats.ttest_ind(arm_of(data, "challenger")[0], arm_of(data, "champion")[0], equal_var=False)

    found = measured(SOLD, data)["mean"]

    assert (found.statistic, found.p_value) == pytest.approx((wanted.statistic, wanted.pvalue), rel=1e-9)
    low, high = wanted.confidence_interval(0.95)
    assert found.interval == pytest.approx((low, high), rel=1e-9)
    assert found.lower_bound == pytest.approx(wanted.confidence_interval(0.9).low, rel=1e-9)


def test_the_area_under_the_curve_is_delongs_unpaired_test_with_procs_degrees_of_freedom() -> None:
    data = traffic(n=600)
    parts = []
    for arm in ARMS:
        sold, score = arm_of(data, arm)
        over = np.sign(score[sold][:, None] - score[~sold][None, :]) / 2 + 0.5
        variance = over.mean(1).var(ddof=1) / sold.sum() + over.mean(0).var(ddof=1) / (~sold).sum()
        parts.append((over.mean(), variance, sold.size))
    (a, v_a, n_a), (b, v_b, n_b) = parts
    df = (v_a + v_b) ** 2 / (v_a**2 / (n_a - 1) + v_b**2 / (n_b - 1))
    t = (b - a) / math.sqrt(v_a + v_b)

    found = measured(replace(SOLD, metrics=("roc_auc",)), data)["roc_auc"]

    assert (found.statistic, found.p_value) == pytest.approx((t, 2 * stats.t.sf(abs(t), df)), rel=1e-9)
    assert found.method == f"unpaired DeLong, t with {df:,.1f} df (Satterthwaite)"


def test_entities_are_the_units_of_the_delta_method() -> None:
    data = by_entity(np.random.default_rng(3), 300, 8)
    variance, df = 0.0, []
    for arm in ARMS:
        part = data.filter(pa.compute.equal(data["variant"], arm))
        _, client = np.unique(part["client"].to_numpy(), return_inverse=True)
        x, y = np.bincount(client, part["sold"].to_numpy()), np.bincount(client)
        ratio, (xx, xy, yy) = x.sum() / y.sum(), np.cov(x, y)[[0, 0, 1], [0, 1, 1]]
        own = (xx - 2 * ratio * xy + ratio**2 * yy) / (x.size * y.mean() ** 2)  # Deng et al. 2018
        variance += own
        df.append((own, x.size - 1))
    config = replace(SOLD, entity="client")

    found = measured(config, data)["mean"]

    assert found.std_error == pytest.approx(math.sqrt(variance), rel=1e-9)
    assert f"{variance**2 / sum(own**2 / count for own, count in df):,.1f} df" in found.method
    assert found.design_effect == pytest.approx(
        (found.std_error / measured(SOLD, data)["mean"].std_error) ** 2, rel=1e-9
    )
    assert found.design_effect > 3


@pytest.mark.parametrize("clustered", [False, True])
def test_standard_errors_agree_with_leaving_units_out(clustered: bool) -> None:
    data = by_entity(np.random.default_rng(11), 100, 3)
    config = replace(SOLD, metrics=BINARY, threshold=0.45, entity="client" if clustered else None)
    found = measured(config, data)

    for name, value in {
        "f1": lambda y, s: 2 * (y & (s >= 0.45)).sum() / (y.sum() + (s >= 0.45).sum()),
        "precision": lambda y, s: y[s >= 0.45].mean(),
        "recall": lambda y, s: (s[y] >= 0.45).mean(),
        "average_precision": oracle.average_precision_score,
        "roc_auc": oracle.roc_auc_score,
    }.items():
        total = 0.0
        for arm in ARMS:
            part = data.filter(pa.compute.equal(data["variant"], arm))
            y, s = part["sold"].to_numpy(), part["score"].to_numpy()
            unit = part["client"].to_numpy() if clustered else np.arange(y.size)
            units = np.unique(unit)[:: 1 if clustered else 5]
            left = np.array([value(y[unit != u], s[unit != u]) for u in units])
            count = np.unique(unit).size
            total += (count - 1) * float(np.mean((left - value(y, s)) ** 2))
        assert found[name].std_error == pytest.approx(math.sqrt(total), rel=0.12), name


# Calibration: a rate that is truly .05 lies within these bounds but once in 20,000


def within(rate: float, trials: int, share: float = 0.05) -> bool:
    low, high = stats.binom.ppf([2.5e-5, 1 - 2.5e-5], trials, share) / trials
    return bool(low <= rate <= high)


def test_equal_arms_with_clustered_entities_are_called_different_at_the_nominal_rate() -> None:
    trials, draw = 400, np.random.default_rng(20261121)
    config = replace(SOLD, metrics=("roc_auc", "log_loss", "f1"), entity="client")
    p_values: dict[str, list[float]] = {}
    promoted = naive = 0
    for _ in range(trials):
        data = by_entity(draw, 120, 5)
        for name, found in measured(config, data).items():
            p_values.setdefault(name, []).append(found.p_value)
            promoted += name == "mean" and found.lower_bound > 0
        naive += measured(SOLD, data)["mean"].p_value < 0.05

    rates = {name: float(np.mean(np.array(values) < 0.05)) for name, values in p_values.items()}
    assert {name: rate for name, rate in rates.items() if not within(rate, trials)} == {}
    assert within(promoted / trials, trials)
    assert naive / trials > 0.2  # rows taken for units


def test_the_power_is_the_one_that_was_computed() -> None:
    trials, draw = 200, np.random.default_rng(7)
    truth = stats.norm.sf(0.5 - 0.25) - stats.norm.sf(0.5)
    config = replace(SOLD, entity="client")
    found = [measured(config, by_entity(draw, 300, 3, 0.25))["mean"] for _ in range(trials)]

    expected = np.mean([stats.norm.cdf(truth / each.std_error - 1.645) for each in found])
    assert within(float(np.mean([each.lower_bound > 0 for each in found])), trials, expected)
    assert np.std([each.difference for each in found]) == pytest.approx(
        np.mean([each.std_error for each in found]), rel=0.15
    )
    assert np.mean([each.difference for each in found]) == pytest.approx(truth, abs=0.01)


def test_a_fair_split_is_called_a_mismatch_once_in_a_thousand() -> None:
    draw = np.random.default_rng(13)
    challengers = draw.binomial(10_000, 0.3, size=20_000)

    alarms = sum(sample_ratio(10_000 - count, count, 0.3) < 0.001 for count in challengers.tolist())

    assert within(alarms / 20_000, 20_000, 0.001)


# The sample ratio


def test_a_lost_part_of_one_arm_is_always_invalid() -> None:
    draw = np.random.default_rng(17)
    lost = draw.binomial(1_000_000, 48 / 98, size=500)
    assert all(sample_ratio(1_000_000 - count, count, 0.5) < 1e-30 for count in lost.tolist())
    n = 1_000_000
    arm = draw.random(n) < 48 / 98
    variant = pa.DictionaryArray.from_arrays(arm.astype(np.int8), list(ARMS))

    result = run_split(SOLD, pa.table({"sold": draw.random(n) < 0.1 + 0.1 * arm, "variant": variant}))

    assert result.decision == "invalid"
    assert result.metrics == {}
    assert result.why.startswith(
        f"The champion has {n - arm.sum():,} and the challenger {arm.sum():,} rows, where a share of 0.5 for the "
        "challenger makes 500,000 and 500,000 (p = "
    )
    assert "it is no loss of the challenger" in result.why


def test_the_sample_ratio_counts_entities_and_knows_the_promised_share() -> None:
    draw = np.random.default_rng(19)
    client = np.repeat(np.arange(2000), draw.poisson(3, 2000) * np.resize([1, 3], 2000) + 1)
    data = pa.table(
        {"sold": draw.random(client.size) < 0.3, "variant": np.resize(ARMS, 2000)[client], "client": client}
    )
    fair, unfair = replace(SOLD, entity="client"), replace(SOLD, entity="client", share=0.4)

    assert failed(run_split(fair, data)) == {}
    assert list(failed(run_split(unfair, data))) == ["sample ratio"]
    assert list(failed(run_split(SOLD, data))) == ["sample ratio"]  # by rows it is another split


def test_an_entity_that_met_both_models_is_found() -> None:
    data = by_entity(np.random.default_rng(23), 2000, 2).to_pylist()
    clients = list({row["client"]: row for row in data}.values())
    for row in clients[:3]:
        other = ARMS[1 - ARMS.index(row["variant"])]
        data.append({**row, "variant": other})

    result = run_split(replace(SOLD, entity="client"), pa.Table.from_pylist(data))

    assert failed(result) == {
        "one arm each": "3 of 2,000 entities in 'client' (0.15 %) were answered by both models, and 0.1 % may be. "
        "Assign by the entity, for the whole test, or name as the entity what was assigned."
    }


# Bad rows


def test_variants_that_name_no_model_are_counted() -> None:
    data = traffic(n=1000)
    names = data["variant"].to_pylist()
    names[:7], names[7:9], names[9] = ["control"] * 7, ["B"] * 2, None

    result = run_split(SOLD, data.set_column(1, "variant", pa.array(names)))

    assert (result.decision, result.rows) == ("invalid", 1000)
    assert result.why == (
        "10 of 1,000 rows name neither champion nor challenger in 'variant' ('control' 7, 'B' 2, missing 1). "
        "Write 'champion' for the rows that the version in use answered and 'challenger' for those of the new "
        "one, and leave out all others."
    )


@pytest.mark.parametrize("values", [[0, 1], [False, True], [0.0, math.nan], ["Champion", "champion "]])
def test_no_other_words_are_guessed_to_be_variants(values: Sequence[object]) -> None:
    result = run_split(SOLD, pa.table({"sold": [0, 1] * 50, "variant": list(values) * 50}))

    assert list(failed(result)) == ["variant"]
    assert "100 of 100 rows name neither" in result.why


def test_a_table_without_variants_is_refused() -> None:
    with pytest.raises(Refused, match="AME-E505 The table of scores has no column 'variant'"):
        run_split(SOLD, traffic().drop_columns("variant"))
    with pytest.raises(Refused, match="AME-E505 The table of scores has no column 'score'"):
        run_split(replace(SOLD, metrics=("brier",)), traffic().drop_columns("score"))
    with pytest.raises(Refused, match="AME-E508 The A/B test's task is 'multiclass'"):
        run_split(ABTest(label="sold", design="split", task="multiclass"), traffic())


def test_an_arm_without_rows_is_said() -> None:
    data = traffic(n=100)

    result = run_split(SOLD, data.filter(pa.compute.equal(data["variant"], "champion")))

    assert result.why.endswith("was answered by the challenger. Look at how the traffic is split.")


def set_values(data: pa.Table, name: str, values: dict[int, object]) -> pa.Table:
    column = [values.get(at, value) for at, value in enumerate(data[name].to_pylist())]
    return data.set_column(data.column_names.index(name), name, pa.array(column))


@pytest.mark.parametrize(
    ("name", "value", "check", "detail"),
    [
        ("sold", None, "outcome", "1 of 4,000 rows have no outcome in 'sold' (champion "),
        ("sold", 2, "outcome", "1 of 4,000 rows have an outcome in 'sold' other than 0 and 1 (such as 2)."),
        ("score", math.nan, "scores present", "1 of 4,000 rows have no 'score', null or NaN (champion "),
        ("score", None, "scores present", "1 of 4,000 rows have no 'score', null or NaN (champion "),
        ("score", 1.5, "scores are probabilities", "1 scores (champion "),
        ("client", None, "entity present", "1 of 4,000 rows have no client."),
        ("id", None, "duplicates", "1 of 4,000 rows have no id."),
    ],
)
def test_a_bad_value_makes_the_test_invalid(name: str, value: object, check: str, detail: str) -> None:
    data = traffic(id=lambda _, n: np.arange(n), client=lambda _, n: np.arange(n))
    data = set_values(data, "sold", {at: int(sold) for at, sold in enumerate(data["sold"].to_pylist())})
    config = replace(SOLD, metrics=("brier",), entity="client", row="id")
    assert failed(run_split(config, data)) == {}

    result = run_split(config, set_values(data, name, {9: value}))

    assert result.decision == "invalid"
    assert result.metrics == {}
    assert failed(result)[check].startswith(detail)


def test_columns_of_the_wrong_type_are_said() -> None:
    data = traffic(n=50).set_column(0, "sold", pa.array(["yes"] * 50))
    assert run_split(SOLD, data).why == (
        "'sold' holds string: outcomes and scores must be numbers, and the others plain values. Convert the column."
    )
    lists = traffic(n=50).set_column(1, "variant", pa.array([[1]] * 50))
    assert run_split(SOLD, lists).why.startswith("'variant' holds list<")
    empty = run_split(SOLD, traffic().slice(0, 0))
    assert empty.why == "The table has no rows. Log some traffic of both models."


def test_repeated_rows_and_too_many_slices_are_found() -> None:
    data = traffic(id=lambda _, n: np.arange(n) // 2 * 2, city=lambda _, n: np.arange(n) % 101)

    result = run_split(replace(SOLD, row="id", slices=("city",)), data)

    assert failed(result) == {
        "duplicates": "2,000 of 4,000 rows repeat another by 'id', and 1 % may. Log each row once.",
        "slices": "'city': more than 100 different values. Give coarser values as slices.",
    }


def test_too_few_of_the_rarer_outcome_or_of_entities_are_not_compared() -> None:
    few = run_split(SOLD, traffic(n=2000, shares=(0.012, 0.012)))
    assert list(failed(few)) == ["outcomes of both kinds"]
    assert "at least 20 of each are needed in each arm" in few.why
    clients = run_split(replace(SOLD, entity="client"), by_entity(np.random.default_rng(2), 36, 30))
    assert list(failed(clients)) == ["entities"]


def test_huge_whole_numbers_stay_different_entities_and_outcomes() -> None:
    n = 400
    client = np.arange(n) + (1 << 62)  # equal as floats
    hours = (1 << 53) + np.arange(n) % 4 * 2
    data = pa.table({"hours": hours, "variant": np.resize(ARMS, n), "client": client})
    config = ABTest(label="hours", design="split", task="regression", entity="client")

    result = run_split(config, data)

    assert failed(result) == {}
    assert result.metrics["mean"].difference == 2.0
    small = stats.ttest_ind((hours - (1 << 53))[1::2], (hours - (1 << 53))[::2], equal_var=False)
    assert result.metrics["mean"].p_value == pytest.approx(small.pvalue)


def test_numbers_too_large_to_square_have_no_value() -> None:
    data = pa.table({"hours": [1e200, -1e200] * 40, "variant": np.repeat(ARMS, 40)})

    result = run_split(ABTest(label="hours", design="split", task="regression"), data)

    assert result.decision == "invalid"
    assert "too large to square" in result.why


# The decision


def test_promote_reject_and_inconclusive() -> None:
    test = replace(SOLD, primary=Margin("mean", 0.01))
    assert run_split(test, traffic(shares=(0.2, 0.3))).decision == "promote"
    worse = run_split(test, traffic(shares=(0.3, 0.2)))
    assert worse.decision == "reject"
    assert worse.why.startswith(
        "Mean of the outcome fell by 0.0831 (0.2831 -> 0.2000); the one-sided 95 % upper"
    )
    assert run_split(test, traffic(shares=(0.3, 0.3), n=500)).decision == "inconclusive"


def test_a_guardrail_that_is_not_shown_to_hold_keeps_the_challenger_out() -> None:
    data = traffic(shares=(0.2, 0.3), n=8000)
    wide = replace(SOLD, guardrails=(Margin("roc_auc", 0.1),))
    narrow = replace(SOLD, guardrails=(Margin("roc_auc", 0.001),))

    assert run_split(wide, data).decision == "promote"
    assert run_split(narrow, data).decision == "inconclusive"


def test_a_harmed_slice_is_named() -> None:
    draw = np.random.default_rng(29)
    n = 12_000
    arm, shop = draw.random(n) < 0.5, draw.choice(["north", "south", "west"], n)
    sold = draw.random(n) < 0.2 + arm * np.where(shop == "west", -0.1, 0.15)
    data = pa.table({"sold": sold, "variant": np.where(arm, *ARMS[::-1]), "shop": shop})

    result = run_split(replace(SOLD, slices=("shop",)), data)

    assert result.decision == "reject"
    assert result.why.startswith(
        "The challenger harms the slice shop = west (mean of the outcome worse by 0."
    )
    assert [(each.value, each.harmed, each.rows) for each in result.slices] == [
        (name, name == "west", int((shop == name).sum())) for name in ("north", "south", "west")
    ]
    west = stats.ttest_ind(
        sold[arm & (shop == "west")], sold[~arm & (shop == "west")], equal_var=False, alternative="less"
    )
    assert result.slices[2].p_value == pytest.approx(west.pvalue, rel=1e-6)
    assert result.slices[2].adjusted_p_value == pytest.approx(3 * west.pvalue, rel=1e-6)


def test_a_slice_with_one_arm_only_is_too_small() -> None:
    data = traffic(city=lambda _, n: np.where(np.arange(n) < 30, "tiny", "big"))
    one = data.filter(
        pa.compute.or_(pa.compute.equal(data["city"], "big"), pa.compute.equal(data["variant"], "champion"))
    )

    big, tiny = run_split(replace(SOLD, slices=("city",)), one).slices

    assert big.judged
    assert not tiny.judged
    assert tiny.note == (
        "too small to judge: 0 rows in the smaller arm, 0 of the rarer outcome; 200 and 20 are needed in each arm"
    )


def test_a_gain_that_the_mix_of_slices_makes_is_not_promoted() -> None:
    draw = np.random.default_rng(31)
    n = 20_000
    arm = np.arange(n) % 2 == 1
    easy = draw.random(n) < np.where(arm, 0.7, 0.3)  # the challenger got the easy rows
    data = pa.table(
        {
            "sold": draw.random(n) < np.where(easy, 0.5, 0.2),
            "variant": np.where(arm, *ARMS[::-1]),
            "easy": easy,
        }
    )

    result = run_split(replace(SOLD, slices=("easy",)), data)

    assert result.metrics["mean"].lower_bound > 0.05
    assert result.decision == "inconclusive"
    assert "the mix of 'easy' may explain it" in result.why


def test_a_metric_without_a_value_decides_nothing() -> None:
    data = traffic(shares=(0.2, 0.3))
    never = data.set_column(2, "score", pa.array(np.full(data.num_rows, 0.1)))

    reported = run_split(replace(SOLD, metrics=("precision",)), never)
    asked = run_split(replace(SOLD, guardrails=(Margin("precision", 0.1),)), never)

    assert reported.decision == "promote"
    assert math.isnan(reported.metrics["precision"].difference)
    assert asked.decision == "invalid"
    assert "In the champion's arm no row is predicted positive and in the challenger's arm" in asked.why


# The ledger


class Book:
    """A ledger that gives a tenth of alpha, and writes down what it is asked."""

    def __init__(self, left: int = 1) -> None:
        self.left = left
        self.asked: list[tuple[tuple[int, ...], int]] = []
        self.told: list[Decision] = []

    def spend(self, config: ABTest, sketch: tuple[int, ...], rows: int) -> LedgerUse:
        self.asked.append((sketch, rows))
        use = LedgerUse(look=1, looks=10, alpha=config.alpha / 10, total=config.alpha, holdout="h#1", note="")
        if not self.left:
            raise Exhausted(replace(use, look=0, alpha=0.0, note="No look is left."))
        return use

    def ended(self, use: LedgerUse, decision: Decision) -> None:
        self.told += [decision] * use.look


def test_the_ledgers_alpha_is_the_one_that_decides() -> None:
    data, book = by_entity(np.random.default_rng(37), 1000, 3, 0.3), Book()
    config = replace(SOLD, entity="client")

    free, used = run_split(config, data), run_split(config, data, ledger=book)

    assert used.alpha == 0.005
    assert used.config.alpha == 0.05
    assert used.metrics["mean"].lower_bound < free.metrics["mean"].lower_bound
    assert used.metrics["mean"].interval == free.metrics["mean"].interval
    assert book.asked == [(used.sketch, data.num_rows)]
    assert len(used.sketch) == 1000
    assert book.told == [used.decision] == ["promote"]


def test_no_look_is_spent_on_data_that_cannot_answer() -> None:
    data, book = traffic(), Book()

    assert run_split(replace(SOLD, share=0.4), data, ledger=book).decision == "invalid"
    assert book.asked == []


def test_without_a_look_no_number_leaves() -> None:
    result = run_split(SOLD, traffic(shares=(0.2, 0.3)), ledger=Book(left=0))

    assert (result.decision, result.why, result.metrics) == ("invalid", "No look is left.", {})
    assert result.slices == ()


def test_the_checks_against_the_training_count_too() -> None:
    class Training:
        checks = (Check("rows not seen in training", False, "Half of the rows were seen."),)
        drift = ()

    result = run_split(SOLD, traffic(), training=Training())  # type: ignore[arg-type]

    assert (result.decision, result.why) == ("invalid", "Half of the rows were seen.")


# Tables larger than memory


def close(one: MetricResult, other: MetricResult) -> bool:
    names = ("champion", "challenger", "difference", "std_error")
    return all(getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-9) for name in names)


@pytest.mark.parametrize("clustered", [False, True])
def test_reading_in_batches_gives_the_same_numbers(
    clustered: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = by_entity(np.random.default_rng(41), 400, 9)
    slices = pa.array(np.resize(["a", "b", None], data.num_rows))
    data = data.append_column("city", slices)
    config = replace(
        SOLD,
        primary=Margin("roc_auc"),
        metrics=(*BINARY, "mean"),
        slices=("city",),
        entity="client" if clustered else None,
        share=data["variant"].to_pylist().count("challenger") / data.num_rows if not clustered else 0.5,
    )
    whole = run_split(config, data)
    monkeypatch.setattr(measuring, "EXACT_ROWS", 1000)
    path = tmp_path / "traffic.parquet"
    pq.write_table(data, path, row_group_size=500)
    seen: list[float] = []

    streamed = run_split(config, path, progress=lambda _, share: seen.append(share))
    once = run_split(config, iter(data.to_batches(700)))

    assert (whole.engine, streamed.engine) == ("local exact", "local binned")
    assert all(
        close(whole.metrics[name], streamed.metrics[name])
        for name in BINARY
        if name not in {"roc_auc", "average_precision"}
    )
    for name in ("roc_auc", "average_precision"):
        moved = abs(whole.metrics[name].difference - streamed.metrics[name].difference)
        assert moved <= streamed.metrics[name].error_bound + 1e-12
        assert streamed.metrics[name].std_error == pytest.approx(whole.metrics[name].std_error, rel=0.01)
    assert all(close(once.metrics[name], streamed.metrics[name]) for name in config.metrics)
    assert [each.value for each in streamed.slices] == ["a", "b", "(missing)"]
    assert [each.p_value for each in streamed.slices] == pytest.approx(
        [each.p_value for each in whole.slices], abs=0.02
    )
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_more_entities_than_fit_are_summed_in_groups_and_sampled() -> None:
    draw = np.random.default_rng(43)
    data = by_entity(draw, 6000, 2, 0.1)
    config = replace(SOLD, entity="client", metrics=("roc_auc",))
    known = Traffic(config, data)
    sampled = Traffic(config, data)
    sampled.tally.units = Units(1000)

    exact, grouped = (measuring.measure(config, each) for each in (known, sampled))

    assert exact is not None
    assert grouped is not None
    units = sampled.tally.units
    assert (units.share, units.is_exact) == (0.125, False)
    champion, challenger, both = units.counts
    assert both == 0
    assert 600 < champion + challenger <= 1000
    assert sample_ratio(champion, challenger, 0.5) > 1e-4
    for metric in ("mean", "roc_auc"):
        one, other = judge(config, exact.total)[metric], judge(config, grouped.total)[metric]
        assert one.difference == pytest.approx(other.difference, abs=1e-12)
        assert one.std_error == pytest.approx(other.std_error, rel=0.03)


def test_units_do_not_depend_on_how_they_arrive() -> None:
    draw = np.random.default_rng(47)
    hashes = hash64(pa.array(np.arange(5000)))
    rows = draw.integers(0, 5000, 40_000)
    arm = draw.random(40_000) < 0.5
    one, other = Units(700), Units(700)
    one.add(hashes[rows], arm)
    for part in np.array_split(draw.permutation(40_000), 37):
        other.add(hashes[rows[part]], arm[part])

    assert one.counts == other.counts
    assert (one.share, other.share) == (0.125, 0.125)
    few = Units()
    few.add(hashes[rows], arm)
    assert few.counts == tuple(
        np.unique(chosen).size for chosen in (rows[~arm], rows[arm], np.intersect1d(rows[~arm], rows[arm]))
    )


@pytest.mark.parametrize(
    "asked", [{"primary": Margin("accuracy")}, {"entity": "who"}], ids=["rows", "entities"]
)
@pytest.mark.parametrize("ones", [0, 1])
def test_a_slice_with_hardly_any_positive_is_too_small_and_nothing_else(
    ones: int, asked: dict[str, Any]
) -> None:
    draw = np.random.default_rng(ones)
    arm = np.arange(4000) % 2
    small = np.arange(4000) < 60
    sold = (draw.random(4000) < 0.3) & ~small
    sold[np.flatnonzero(small)[:ones]] = True
    rows = pa.table(
        {
            "sold": sold,
            "variant": np.take(ARMS, arm),
            "score": draw.random(4000),
            "who": np.arange(4000) // 4 * 2 + arm,
            "shop": np.where(small, "new", "old"),
        }
    )

    result = run_split(replace(SOLD, slices=("shop",), **asked), rows)

    assert result.decision in {"inconclusive", "reject", "promote"}
    assert {each.value: each.judged for each in result.slices} == {"new": False, "old": True}


def test_a_slice_of_one_entity_is_too_small_for_its_area_and_nothing_else() -> None:
    draw = np.random.default_rng(3)
    arm = np.arange(4000) % 2
    who = np.where(np.arange(4000) < 400, arm, np.arange(4000) // 4 * 2 + arm)
    rows = pa.table(
        {
            "sold": draw.random(4000) < 0.3,
            "variant": np.take(ARMS, arm),
            "score": draw.random(4000),
            "who": who,
            "shop": np.where(who < 2, "one", "many"),
        }
    )

    result = run_split(replace(SOLD, primary=Margin("roc_auc"), entity="who", slices=("shop",)), rows)

    assert {each.value: each.judged for each in result.slices} == {"one": False, "many": True}
