"""`make demo-spark`: four nights of examples/fraud-spark, models of Spark ML that are A/B-tested on Spark.

Beside each decision stands what the rule of the homework that the example does again would have done with the
same scores, and what is true of the town that the data are drawn from.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo import begin_afresh

from ame.cli._console import columns, number, say
from ame.cli._outcomes import recorded_test, report_path
from ame.cli._session import session
from ame.cli.run import run_names
from ame.diagnosis import Refused
from ame.local import home_of
from ame.spec import load_project

PROJECT = Path(__file__).parent / "fraud-spark"
MODEL = "card-fraud"
FEW = 20_000

sys.path.insert(0, str(PROJECT))
from homework_rule import DRAWS, how_often, read  # noqa: E402


@dataclass(frozen=True)
class Night:
    """A retraining: its variables, and what is true of its version (see the README of the example)."""

    title: str
    truth: str
    env: dict[str, str]


NIGHTS = [
    Night(
        "a first model, of the payment alone",
        "-",
        {"NIGHT": "2026-03-09", "RECIPE": "amount", "SEED": "0"},
    ),
    Night(
        "it knows the card and the terminal",
        "better",
        {"NIGHT": "2026-04-13", "RECIPE": "history", "SEED": "0"},
    ),
    Night(
        "another seed, one more week",
        "no better",
        {"NIGHT": "2026-04-20", "RECIPE": "history", "SEED": "1"},
    ),
    Night(
        "the pace of a card, as fare gates open",
        "worse in transit",
        {"NIGHT": "2026-04-27", "RECIPE": "pace", "SEED": "0"},
    ),
]


@dataclass(frozen=True)
class Ended:
    """What became of a night's version; the shares are those in which the homework promotes it."""

    outcome: dict[str, Any]
    report: Path | None = None
    all_rows: float | None = None
    few_rows: float | None = None


def main() -> None:
    started = time.monotonic()
    project = load_project(PROJECT)
    begin_afresh(home_of(project.folder, project.name).root)
    ended: list[Ended] = []
    with session(project, {}):
        for count, night in enumerate(NIGHTS, 1):
            variables = " ".join(f"{name}={value}" for name, value in night.env.items())
            say(f"\n=== night {count} of {len(NIGHTS)}: {night.title} ({variables})")
            ended.append(_end(night))
    _print(ended)
    print(f"\nfour nights in {time.monotonic() - started:.0f} s")
    print(f"both UIs on what they left:  .venv/bin/ame ui {os.path.relpath(PROJECT)}")


def _end(night: Night) -> Ended:
    from flows._work import open_work

    work = open_work(str(PROJECT), night.env)
    (report,) = run_names(work, [("model", MODEL)])
    if report["model"] is None:
        sys.exit(report["message"])
    version = work.registry.version(MODEL, report["model"]["version"])
    recorded = recorded_test(work.registry, version)
    if recorded is None:
        return Ended(report["model"])
    with tempfile.TemporaryDirectory() as folder:
        told = work.registry.client.download_artifacts(recorded.run_id, "ab_test.json", folder)
        kept = json.loads(Path(told).read_text())["scores"]
        if "file" in kept:
            place = work.registry.client.download_artifacts(recorded.run_id, kept["file"], folder)
        else:
            place = kept["folder"]
        scores = read(place)
    few = how_often(scores, rows=FEW)
    return Ended(report["model"], report_path(work.home, recorded), how_often(scores), few)


def _print(ended: list[Ended]) -> None:
    """The table, narrow enough for any terminal, and below it why each night ended as it did."""
    rows = [("v", "night", "champion", "challenger", "decision", "homework", f"of {FEW:,}", "truth")]
    for night, end in zip(NIGHTS, ended, strict=True):
        outcome = end.outcome
        found = outcome["metrics"].get("roc_auc", {})
        rows.append(
            (
                f"v{outcome['version']}",
                night.title,
                number(found.get("champion"), ".4f"),
                number(found.get("challenger"), ".4f"),
                outcome["decision"] or outcome["state"],
                number(end.all_rows, ".0%"),
                number(end.few_rows, ".0%"),
                night.truth,
            )
        )
    print("\nroc_auc on the newest week, what was decided, and how often the homework's rule promotes\n")
    print("\n".join(columns(rows)))
    print(f"\nhomework: in how many of {DRAWS} draws of its halves; beside it, with {FEW:,} of the rows\n")
    for end in ended:
        print(f"v{end.outcome['version']} {end.outcome['decision']}: {end.outcome['why']}")
        if end.report:
            print(f"   report with ROC curves, the distribution of the difference, calibration: {end.report}")


if __name__ == "__main__":
    try:
        main()
    except Refused as refused:
        sys.exit(str(refused))
