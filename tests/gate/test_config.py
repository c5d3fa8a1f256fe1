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
            ABTest(label="late", primary=Margin("roc_auk"), metrics=("f1",)),
            (
                "AME-E501 The A/B test names the metric 'roc_auk', which does not exist. Known metrics: "
                "roc_auc, log_loss, brier, accuracy. Did you mean 'roc_auc'?\n"
                "AME-E501 The A/B test names the metric 'f1', which does not exist. Known metrics: roc_auc, "
                "log_loss, brier, accuracy."
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
            ABTest(label="champion", entity="challenger"),
            (
                "AME-E506 The A/B test uses the column 'champion' for two things. The label, the entity and "
                "the scores 'champion' and 'challenger' are four columns. Name another column, or rename the "
                "one in the data.\n"
                "AME-E506 The A/B test uses the column 'challenger' for two things. The label, the entity "
                "and the scores 'champion' and 'challenger' are four columns. Name another column, or rename "
                "the one in the data."
            ),
        ),
    ],
)
def test_all_problems_are_refused_at_once(config: ABTest, message: str) -> None:
    with pytest.raises(Refused) as refused:
        run_ab_test(config, pa.table({}))

    assert str(refused.value) == message


def test_a_sound_configuration_has_no_problems() -> None:
    assert problems(ABTest(label="late", guardrails=(Margin("brier", 0.0),), metrics=("roc_auc",))) == ()


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
