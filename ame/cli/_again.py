"""A recorded test once more, on its stored scores, by its own gate or by another one; nothing is recorded."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ame.cli._recorded import StoredTest, same_look
from ame.cli._test_text import progress_on_stderr
from ame.gate.config import ABTest

if TYPE_CHECKING:
    from ame.gate.result import ABTestResult, Drift
    from ame.gate.training import TrainingComparison

__all__ = ["differences", "fitted", "judge_again", "recorded_form"]

_NOT_THERE = object()


def fitted(gate: ABTest, recorded: ABTest) -> ABTest:
    """`gate` as it is asked of the stored table, whose rows' hashes and classes the recorded gate names."""
    classes = recorded.classes if gate.task == recorded.task == "multiclass" else ()
    row = gate if gate.row else recorded
    return replace(gate, row=row.row, row_is_content=row.row_is_content, classes=gate.classes or classes)


def judge_again(test: StoredTest, gate: ABTest) -> ABTestResult:
    """Put the stored scores to the gate, by the engine that computed the test.

    What was found in the training rows is taken as it was recorded.

    Raises:
        Refused: AME-E722 when the scores are not those that were tested, and what `run_ab_test` refuses.
    """
    from ame.gate import run_ab_test

    return run_ab_test(
        gate,
        test.scores(),
        ledger=same_look(test.result, gate),
        engine="spark" if test.on_spark else "local",
        training=_training(test.result),
        progress=progress_on_stderr(),
    )


def recorded_form(result: ABTestResult, test: StoredTest) -> bytes:
    """What `ab_test.json` would be, byte by byte."""
    told = {**result.to_json(), "scores": test.result.get("scores")}
    return json.dumps(told, indent=2, allow_nan=False).encode()


def differences(
    old: object, new: object, place: str = "", *, rounding: float = 0.0
) -> Iterator[tuple[str, object, object]]:
    """Where two JSON values differ: the place, such as `metrics.roc_auc.pValue`, and both values.

    Numbers that are not whole are the same when they differ by the share `rounding` or less.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys((*old, *new)):
            inner = f"{place}.{key}" if place else str(key)
            yield from differences(
                old.get(key, _NOT_THERE), new.get(key, _NOT_THERE), inner, rounding=rounding
            )
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from differences(one, other, f"{place}[{number}]", rounding=rounding)
    elif isinstance(old, float) and isinstance(new, float):
        if not math.isclose(old, new, rel_tol=rounding, abs_tol=rounding):
            yield place, old, new
    elif old != new:
        yield place, _shown(old), _shown(new)


def _shown(value: object) -> object:
    return "(none)" if value is _NOT_THERE else value


def _training(told: Mapping[str, Any]) -> TrainingComparison | None:
    from ame.gate.result import Check
    from ame.gate.training import CHECKS, TrainingComparison

    checks = tuple(
        Check(each["name"], each["passed"], each["detail"], each.get("blocks", True))
        for each in told.get("checks") or ()
        if each["name"] in CHECKS
    )
    if not checks:
        return None
    return TrainingComparison(checks, tuple(_drift(each) for each in told.get("drift") or ()))


def _drift(told: Mapping[str, Any]) -> Drift:
    from ame.gate.result import Drift

    def number(key: str) -> float:
        return math.nan if told[key] is None else float(told[key])

    holdout, training = told["rows"]
    return Drift(
        column=told["column"],
        kind=told["kind"],
        rows=(holdout, training),
        psi=number("psi"),
        psi_floor=number("psiFloor"),
        psi_p_value=number("psiPValue"),
        statistic=number("statistic"),
        p_value=number("pValue"),
        adjusted_p_value=number("adjustedPValue"),
        drifted=told["drifted"],
    )
