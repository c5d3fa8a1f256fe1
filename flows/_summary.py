"""What a run shows in Prefect's and MLflow's pages: A/B tests and kept artifacts, as text and tables."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from prefect.artifacts import acreate_table_artifact

from ame.runtime import Artifact

if TYPE_CHECKING:
    from ame.gate import ABTestResult

__all__ = ["artifact_key", "markdown_summary", "metric_rows", "show_artifacts", "slice_rows"]

_SHOWN_ROWS = 100


def artifact_key(name: str) -> str:
    """A name as Prefect allows it in the key of an artifact."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "model"


def metric_rows(result: ABTestResult) -> list[dict[str, Any]]:
    """One row a metric, numbers as text, ready to be shown."""
    return [
        {
            "metric": found.metric,
            "role": found.role,
            "champion": _number(found.champion),
            "challenger": _number(found.challenger),
            "difference": _number(found.difference, "+.4f"),
            "95 % interval": _interval(found.interval),
            "lower bound": _number(found.lower_bound, "+.4f"),
            "p": _number(found.p_value, ".3g"),
            "margin": "" if found.margin is None else f"{found.margin:g}",
            "method": found.undefined or found.method,
        }
        for found in result.metrics.values()
    ]


def slice_rows(result: ABTestResult) -> list[dict[str, Any]]:
    """One row a slice, numbers as text, ready to be shown."""
    return [
        {
            "slice": f"{found.column} = {found.value}",
            "rows": f"{found.rows:,}",
            "champion": _number(found.champion),
            "challenger": _number(found.challenger),
            "difference": _number(found.difference, "+.4f"),
            "95 % interval": _interval(found.interval),
            "p of harm, adjusted": _number(found.adjusted_p_value, ".3g"),
            "said": "harmed" if found.harmed else found.note,
        }
        for found in result.slices
    ]


def _number(value: float, form: str = ".4f") -> str:
    return f"{value:{form}}" if math.isfinite(value) else ""


def _interval(bounds: tuple[float, float]) -> str:
    low, high = (_number(bound, "+.4f") for bound in bounds)
    return f"{low} to {high}" if low and high else ""


def markdown_summary(title: str, result: ABTestResult) -> str:
    """Decision, reason and numbers on one page."""
    positives = f", {result.positives:,} positives" if result.config.task == "binary" else ""
    lines = [
        f"# {title}: {result.decision}",
        "",
        result.why,
        "",
        f"{result.rows:,} rows{positives}, one-sided alpha {result.alpha:g}.",
        *([result.ledger.note] if result.ledger else []),
        "A difference above 0 is in the challenger's favour.",
        *_table(metric_rows(result)),
    ]
    if result.slices:
        lines += ["", f"## {result.config.primary.metric} in each slice", *_table(slice_rows(result))]
    for heading, blocks in (("Checks that failed", True), ("Warnings", False)):
        failed = [check for check in result.checks if not check.passed and check.blocks is blocks]
        if failed:
            lines += ["", f"## {heading}", ""]
            lines += [f"- **{check.name}**: {check.detail}" for check in failed]
    return "\n".join(lines) + "\n"


def _table(rows: list[dict[str, Any]]) -> list[str]:
    """A table in Markdown, at most `_SHOWN_ROWS` of its rows; nothing for none."""
    if not rows:
        return []
    names = list(rows[0])
    lines = ["", f"| {' | '.join(names)} |", f"|{' --- |' * len(names)}"]
    for row in rows[:_SHOWN_ROWS]:
        cells = (str(row[name]).replace("|", "\\|").replace("\n", " ") for name in names)
        lines.append(f"| {' | '.join(cells)} |")
    if len(rows) > _SHOWN_ROWS:
        lines += ["", f"And {len(rows) - _SHOWN_ROWS:,} more."]
    return lines


async def show_artifacts(task: str, kept: Iterable[Artifact]) -> None:
    """Leave a table of what was kept of a task's artifacts; none when nothing was."""
    rows = [
        {
            "path": one.path,
            "files": one.kept.files,
            "bytes": one.kept.size,
            "store": one.store,
            "key": one.kept.key,
        }
        for one in kept
    ]
    if rows:
        key = f"artifacts-of-{artifact_key(task)}"
        await acreate_table_artifact(
            rows, key=key, description=f"What task '{task}' left, in the artifact store"
        )
