"""Is the challenger better than the champion? A paired test on rows that both models have scored.

    from ame.gate import ABTest, Margin, run_ab_test

    test = ABTest(label="late", primary=Margin("roc_auc", 0.002), entity="tailnum", slices=("origin",))
    result = run_ab_test(test, "scores.parquet")
    result.decision, result.why

Names are imported when they are first used: `ame validate` reads `ame.gate.config` and must pay for
neither numpy nor pyarrow.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ame.gate.ab_test import run_ab_test
    from ame.gate.config import METRICS, ABTest, Margin
    from ame.gate.ledger import Exhausted, FileLedger, Ledger
    from ame.gate.report import figures, render_report
    from ame.gate.result import ABTestResult, Check, LedgerUse, MetricResult, SliceResult

__all__ = [
    "METRICS",
    "ABTest",
    "ABTestResult",
    "Check",
    "Exhausted",
    "FileLedger",
    "Ledger",
    "LedgerUse",
    "Margin",
    "MetricResult",
    "SliceResult",
    "figures",
    "render_report",
    "run_ab_test",
]

_HOMES = {
    "METRICS": "config",
    "ABTest": "config",
    "ABTestResult": "result",
    "Check": "result",
    "Exhausted": "ledger",
    "FileLedger": "ledger",
    "Ledger": "ledger",
    "LedgerUse": "result",
    "Margin": "config",
    "MetricResult": "result",
    "SliceResult": "result",
    "figures": "report",
    "render_report": "report",
    "run_ab_test": "ab_test",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'ame.gate' has no attribute '{name}'")
    return getattr(import_module(f"ame.gate.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
