"""What became of a version, read from the registry, as JSON and for the eye."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ame.cli._console import columns, number
from ame.diagnosis import Refused

if TYPE_CHECKING:
    from ame.local import Home
    from ame.registry import Recorded, Registry, Version
    from flows._work import Work

__all__ = ["metric_lines", "print_reports", "recorded_test", "report_path", "version_outcome"]


def version_outcome(registry: Registry, model: str, number: str) -> dict[str, Any]:
    """The part `model` of a run's JSON: decision, reason, the champion compared with, the numbers."""
    version = registry.version(model, number)
    recorded = recorded_test(registry, version)
    return {
        "name": model,
        "version": version.number,
        "state": version.state,
        "decision": version.tags.get("ame.decision"),
        "why": version.tags.get("ame.why"),
        "champion": version.tags.get("ame.champion"),
        "metrics": recorded.metrics if recorded else {},
        "abTestRunId": recorded.run_id if recorded else None,
    }


def recorded_test(registry: Registry, version: Version) -> Recorded | None:
    """The A/B test that decided on a version, or None when none did."""
    from ame.registry import to_recorded

    run = version.tags.get("ame.ab_test_run", "none")
    return None if run == "none" else to_recorded(registry.client.get_run(run))


def report_path(home: Home, recorded: Recorded) -> Path | None:
    """Where the HTML report lies on this machine; None when the registry is elsewhere."""
    scheme, _, path = recorded.artifacts.partition(":/")
    report = home.artifacts / path.lstrip("/") / "report.html"
    return report if scheme == "mlflow-artifacts" and report.exists() else None


def metric_lines(metrics: dict[str, dict[str, Any]]) -> list[str]:
    """One line a metric, in columns."""
    rows = [("metric", "champion", "challenger", "difference", "95 % interval", "lower bound", "p")]
    for name, found in metrics.items():
        low, high = found["interval"] or (None, None)
        rows.append(
            (
                name,
                number(found["champion"], ".4f"),
                number(found["challenger"], ".4f"),
                number(found["difference"]),
                f"{number(low)} .. {number(high)}",
                number(found["lowerBound"]),
                number(found["pValue"], ".3g"),
            )
        )
    return columns(rows)


def print_reports(reports: list[dict[str, Any]], work: Work) -> None:
    """What `ame run` says at its end."""
    click.echo()
    for report in reports:
        outcome = report["model"]
        if outcome is None:
            click.echo(f"{report['kind']} {report['name']}: {report['state']}")
            click.echo(f"  {report['message']}")
            continue
        against = f" against champion v{outcome['champion']}" if outcome["champion"] else ""
        click.echo(f"{outcome['name']} v{outcome['version']}{against}: {report['state']}")
        click.echo(f"  {report['message']}")
        if outcome["metrics"]:
            for line in metric_lines(outcome["metrics"]):
                click.echo(f"  {line}")
            click.echo(f"  report: {_report(work, outcome['name'], outcome['version'])}")


def _report(work: Work, model: str, number: str) -> str:
    """Where a version's report is, or the registry's page where that cannot be told any more."""
    from mlflow.exceptions import MlflowException

    try:
        version = work.registry.version(model, number)
        recorded = recorded_test(work.registry, version)
    except (MlflowException, Refused):
        # Deleted since, or the server has gone; the outcome was told before.
        return "not found in the registry any more"
    path = report_path(work.home, recorded) if recorded else None
    return str(path or work.registry.model_page(version))
