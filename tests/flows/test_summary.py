"""What a run shows of a test, as Markdown and as tables."""

from __future__ import annotations

import math
from typing import Any

from ame.gate.config import ABTest
from ame.gate.result import ABTestResult, Check, LedgerUse, SliceResult
from flows._summary import markdown_summary, metric_rows, slice_rows
from tests.registry.test_ab_test_numbers import metric


def result(**changed: Any) -> ABTestResult:
    whole: dict[str, Any] = {
        "decision": "reject",
        "why": "It harms a slice.",
        "rows": 1000,
        "positives": 300,
        "alpha": 0.025,
        "checks": (Check("rows", True, "1,000 rows."),),
        "metrics": {"roc_auc": metric("roc_auc")},
        "config": ABTest(label="y", slices=("place",)),
    }
    return ABTestResult(**(whole | changed))


def test_a_test_on_one_page() -> None:
    slices = (
        SliceResult(
            column="place", value="a|b", rows=1500, positives=300, champion=0.7, challenger=0.6, difference=-0.1,
            std_error=0.01, interval=(-0.12, -0.08), p_value=1e-9, adjusted_p_value=2e-9, judged=True, harmed=True,
        ),
        SliceResult(column="place", value="c", rows=4, positives=1, note="too small to judge"),
    )  # fmt: skip
    use = LedgerUse(look=3, looks=30, alpha=0.05 / 30, total=0.05, holdout="h#1", note="Look 3 of 30.")
    checks = (Check("duplicates", False, "Half of the rows."), Check("drift", False, "hour", blocks=False))
    page = markdown_summary("m v2 against v1", result(slices=slices, ledger=use, checks=checks))
    assert page == (
        "# m v2 against v1: reject\n\nIt harms a slice.\n\n"
        "1,000 rows, 300 positives, one-sided alpha 0.025.\nLook 3 of 30.\n"
        "A difference above 0 is in the challenger's favour.\n\n"
        "| metric | role | champion | challenger | difference | 95 % interval | lower bound | p | margin | method |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
        "| roc_auc | primary | 0.7000 | 0.7500 | +0.0500 | +0.0300 to +0.0700 | +0.0330 | 1e-06 | 0 | DeLong |\n\n"
        "## roc_auc in each slice\n\n"
        "| slice | rows | champion | challenger | difference | 95 % interval | p of harm, adjusted | said |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |\n"
        "| place = a\\|b | 1,500 | 0.7000 | 0.6000 | -0.1000 | -0.1200 to -0.0800 | 2e-09 | harmed |\n"
        "| place = c | 4 |  |  |  |  |  | too small to judge |\n\n"
        "## Checks that failed\n\n- **duplicates**: Half of the rows.\n\n"
        "## Warnings\n\n- **drift**: hour\n"
    )


def test_a_regression_has_no_positives() -> None:
    page = markdown_summary("m", result(config=ABTest(label="y", task="regression")))
    assert "\n1,000 rows, one-sided alpha 0.025.\n" in page


def test_numbers_that_there_are_not_are_left_empty() -> None:
    nothing = math.nan
    numbers = dict.fromkeys(("champion", "challenger", "difference", "lower_bound", "p_value"), nothing)
    undefined = metric("f1", interval=(nothing, nothing), undefined="no row is predicted positive", **numbers)
    (row,) = metric_rows(result(metrics={"f1": undefined}))
    assert row["champion"] == row["95 % interval"] == row["p"] == ""
    assert row["method"] == "no row is predicted positive"


def test_a_long_table_is_cut_in_the_page_and_whole_in_its_own() -> None:
    slices = tuple(SliceResult(column="a", value=str(n), rows=1, positives=0) for n in range(250))
    assert len(slice_rows(result(slices=slices))) == 250
    page = markdown_summary("m", result(slices=slices))
    assert "| a = 99 |" in page
    assert "| a = 100 |" not in page
    assert page.endswith("\nAnd 150 more.\n")
