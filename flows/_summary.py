"""What a run shows in Prefect's and MLflow's pages: A/B tests and kept artifacts, as text and tables."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from prefect.artifacts import acreate_table_artifact

from ame.runtime import Artifact

if TYPE_CHECKING:
    from ame.gate import ABTestResult

__all__ = ["artifact_key", "markdown_summary", "metric_rows", "show_artifacts"]


def artifact_key(name: str) -> str:
    """A name as Prefect allows it in the key of an artifact."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "model"


def metric_rows(result: ABTestResult) -> list[dict[str, Any]]:
    """One row a metric, numbers as text, ready to be shown."""
    return [
        {
            "metric": found.metric,
            "role": found.role,
            "champion": f"{found.champion:.4f}",
            "challenger": f"{found.challenger:.4f}",
            "difference": f"{found.difference:+.4f}",
            "95 % interval": f"{found.interval[0]:+.4f} to {found.interval[1]:+.4f}",
            "lower bound": f"{found.lower_bound:+.4f}",
            "p": f"{found.p_value:.3g}",
            "margin": "" if found.margin is None else f"{found.margin:g}",
            "method": found.method,
        }
        for found in result.metrics.values()
    ]


def markdown_summary(title: str, result: ABTestResult) -> str:
    """Decision, reason and numbers on one page."""
    lines = [
        f"# {title}: {result.decision}",
        "",
        result.why,
        "",
        f"{result.rows:,} rows, {result.positives:,} positives, one-sided alpha {result.alpha:g}.",
        "A difference above 0 is in the challenger's favour.",
    ]
    rows = metric_rows(result)
    if rows:
        names = list(rows[0])
        lines += ["", f"| {' | '.join(names)} |", f"|{' --- |' * len(names)}"]
        lines += [f"| {' | '.join(str(row[name]) for name in names)} |" for row in rows]
    failed = [check for check in result.checks if not check.passed]
    if failed:
        lines += ["", "## Checks that failed", ""]
        lines += [f"- **{check.name}**: {check.detail}" for check in failed]
    return "\n".join(lines) + "\n"


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
