"""The configuration: what is wrong with it, and that reading it costs nothing."""

from __future__ import annotations

import subprocess
import sys

import pyarrow as pa
import pytest

import ame.gate
from ame.diagnosis import Refused
from ame.gate import ABTest, Margin, run_ab_test
from ame.gate.config import problems


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            ABTest(label="late", primary=Margin("roc_auk"), metrics=("f2", "rmse")),
            (
                "AME-E501 The A/B test names the metric 'roc_auk', which does not exist. Known metrics: "
                "roc_auc, average_precision, log_loss, brier, accuracy, f1, precision, recall. Did you mean "
                "'roc_auc'?\n"
                "AME-E501 The A/B test names the metric 'f2', which does not exist. Known metrics: roc_auc, "
                "average_precision, log_loss, brier, accuracy, f1, precision, recall.\n"
                "AME-E507 The A/B test names the metric 'rmse', which a binary test of the paired design "
                "does not have. It has: roc_auc, average_precision, log_loss, brier, accuracy, f1, "
                "precision, recall. Name another metric, or set the task."
            ),
        ),
        (
            ABTest(label="late", task="binry", design="split", primary=Margin("roc_auc", -1)),
            (
                "AME-E508 The A/B test's task is 'binry', which does not exist. Known: binary, multiclass, "
                "regression. Did you mean 'binary'?"
            ),
        ),
        (
            ABTest(label="late", task="regression", primary=Margin("mean")),
            (
                "AME-E507 The A/B test names the metric 'mean', which a regression test of the paired design "
                "does not have. It has: mae, mse, rmse, r2, pinball. Name another metric, or set the task."
            ),
        ),
        (
            ABTest(label="late", task="multiclass", classes=("a", "b", "a")),
            (
                "AME-E509 The A/B test's classes are a, b, a, which cannot be. 'a' is there more than once. "
                "Name each class once, in the order of the scores."
            ),
        ),
        (
            ABTest(label="late", classes=("a", "b")),
            (
                "AME-E509 The A/B test's classes are a, b, which cannot be. Only a multiclass test has them. "
                "Name each class once, in the order of the scores."
            ),
        ),
        (
            ABTest(label="late", guardrails=(Margin("roc_auc", 0.1),)),
            (
                "AME-E502 The A/B test gives the metric 'roc_auc' more than one margin. Name it once, as the "
                "primary metric or as a guardrail."
            ),
        ),
        (
            ABTest(
                label="late",
                primary=Margin("roc_auc", -0.1),
                guardrails=(Margin("brier", float("nan")),),
                alpha=0.5,
                power=1.0,
                threshold=0.0,
                min_positives=1,
            ),
            (
                "AME-E503 The A/B test's alpha is 0.5, which must be above 0 and below 0.5. Change the "
                "number.\nAME-E503 The A/B test's power is 1.0, which must be at least 0.5 and below 1. "
                "Change the number.\nAME-E503 The A/B test's threshold is 0.0, which must be above 0 and at "
                "most 1. Change the number.\nAME-E503 The A/B test's min_positives is 1, which must be at "
                "least 2. Change the number.\nAME-E503 The A/B test's margin of roc_auc is -0.1, which must "
                "be at least 0 and finite. Change the number.\n"
                "AME-E503 The A/B test's margin of brier is nan, which must be at least 0 and finite. Change "
                "the number."
            ),
        ),
        (
            ABTest(label="champion", entity="challenger", row="id", time="champion", slices=("late", "id")),
            "\n".join(
                f"AME-E506 The A/B test uses the column '{column}' for two things. The label, the entity, the "
                "row and 'champion' and 'challenger' are columns of their own, and neither the label nor a "
                "score is a time or makes slices. Name another column, or rename the one in the data."
                for column in ("champion", "challenger")
            ),
        ),
    ],
)
def test_all_problems_are_refused_at_once(config: ABTest, message: str) -> None:
    with pytest.raises(Refused) as refused:
        run_ab_test(config, pa.table({}))

    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"quantile": 1.0}, "quantile is 1.0, which must be above 0 and below 1"),
        ({"share": 0.0}, "share is 0.0, which must be above 0 and below 1"),
        ({"sample_ratio_alpha": 0.0}, "sample_ratio_alpha is 0.0, which must be above 0 and below 1"),
        ({"max_duplicates": 1.1}, "max_duplicates is 1.1, which must be at least 0 and at most 1"),
        ({"max_overlap": float("nan")}, "max_overlap is nan, which must be at least 0 and at most 1"),
        ({"min_slice_rows": 1}, "min_slice_rows is 1, which must be at least 2"),
        ({"min_slice_positives": 0}, "min_slice_positives is 0, which must be at least 2"),
        ({"looks": 0}, "looks is 0, which must be a whole number, at least 1"),
        ({"looks": 1.5}, "looks is 1.5, which must be a whole number, at least 1"),
        ({"slice_margin": -0.1}, "slice_margin is -0.1, which must be at least 0 and finite"),
    ],
)
def test_every_number_has_a_range(numbers: dict[str, float], message: str) -> None:
    (problem,) = problems(ABTest(label="late", **numbers))

    assert str(problem) == f"AME-E503 The A/B test's {message}. Change the number."


@pytest.mark.parametrize(
    "config",
    [
        ABTest(label="late", guardrails=(Margin("brier", 0.0),), metrics=("roc_auc",)),
        ABTest(label="late", entity="tail", row="id", time="day", slices=("tail", "day", "origin"), looks=30),
        ABTest(label="kind", task="multiclass", classes=("a", "b", "c")),
        ABTest(label="price", task="regression", metrics=("r2", "pinball")),
        ABTest(label="bought", design="split", metrics=("log_loss",)),
    ],
    ids=["binary", "all columns", "multiclass", "regression", "split"],
)
def test_a_sound_configuration_has_no_problems(config: ABTest) -> None:
    assert problems(config) == ()


def test_an_engine_that_does_not_exist_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        run_ab_test(ABTest(label="late"), pa.table({}), engine="sparc")

    assert str(refused.value) == (
        "AME-E508 The A/B test's engine is 'sparc', which does not exist. Known: auto, local, spark. Did you mean 'spark'?"
    )


def test_reading_the_configuration_imports_nothing_heavy() -> None:
    code = (
        "import sys, ame.gate.config, ame.gate; ame.gate.ABTest; "
        "heavy = ('numpy', 'scipy', 'pyarrow', 'matplotlib', 'jinja2'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_deciding_imports_no_pictures() -> None:
    code = (
        "import sys; from ame.gate import run_ab_test, render_report; "
        "print([name for name in ('scipy.stats', 'matplotlib', 'jinja2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_the_package_offers_what_it_names() -> None:
    assert sorted(ame.gate.__all__) == sorted(ame.gate._HOMES)
    assert all(getattr(ame.gate, name) is not None for name in ame.gate.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'absent'"):
        _ = ame.gate.absent
