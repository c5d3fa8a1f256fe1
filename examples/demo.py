"""`make demo`: four nights of examples/flight-delays, each a retraining, in one go.

What a schedule would do month after month, with the servers started once. A night is nothing but
variables for the project's tasks; what becomes of each version is decided from its numbers.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from ame.cli._console import columns, number, say
from ame.cli._outcomes import recorded_test, report_path
from ame.cli._session import session
from ame.cli.run import run_names
from ame.diagnosis import Refused
from ame.local import home_of
from ame.spec import load_project

PROJECT = Path(__file__).parent / "flight-delays"
MODEL = "arrival-delay"
NIGHTS = [
    ("a first, simple model", {"AS_OF": "2013-07", "RECIPE": "linear", "SEED": "0"}),
    ("a better learner", {"AS_OF": "2013-08", "RECIPE": "boosting", "SEED": "0"}),
    ("another seed, one more month", {"AS_OF": "2013-09", "RECIPE": "boosting", "SEED": "1"}),
    ("a new feature, with a bug", {"AS_OF": "2013-10", "RECIPE": "boosting_board", "SEED": "0"}),
]


def main() -> None:
    started = time.monotonic()
    project = load_project(PROJECT)
    begin_afresh(home_of(project.folder, project.name).root)
    nights: list[tuple[str, dict[str, Any], Path | None]] = []
    with session(project, {}):
        from flows._work import open_work

        for count, (title, env) in enumerate(NIGHTS, 1):
            variables = " ".join(f"{name}={value}" for name, value in env.items())
            say(f"\n=== night {count} of {len(NIGHTS)}: {title} ({variables})")
            work = open_work(str(PROJECT), env)
            (report,) = run_names(work, [("model", MODEL)])
            if report["model"] is None:
                sys.exit(report["message"])
            version = work.registry.version(MODEL, report["model"]["version"])
            recorded = recorded_test(work.registry, version)
            nights.append((title, report["model"], report_path(work.home, recorded) if recorded else None))
    _print(nights)
    print(f"\nfour nights in {time.monotonic() - started:.0f} s")
    print(f"both UIs on what they left:  .venv/bin/ame ui {os.path.relpath(PROJECT)}")


def begin_afresh(home: Path) -> None:
    """Put the state of an earlier demo aside, so that each shows the same story from its beginning."""
    if home.exists():
        before = home.with_name(".ame.previous")
        if before.exists():
            import shutil

            shutil.rmtree(before)
        home.rename(before)
        say(f"an earlier demo's state is now in {before}")


def _print(nights: list[tuple[str, dict[str, Any], Path | None]]) -> None:
    """The table, narrow enough for any terminal, and below it why each night ended as it did."""
    rows = [("v", "night", "champion", "challenger", "difference", "95 % interval", "p", "decision")]
    for title, outcome, _ in nights:
        found = outcome["metrics"].get("roc_auc", {})
        low, high = found.get("interval") or (None, None)
        against = f" (v{outcome['champion']})" if outcome["champion"] else ""
        rows.append(
            (
                f"v{outcome['version']}",
                title,
                number(found.get("champion"), ".4f") + against,
                number(found.get("challenger"), ".4f"),
                number(found.get("difference")),
                "-" if low is None else f"{number(low)} .. {number(high)}",
                number(found.get("pValue"), ".2g"),
                outcome["decision"] or outcome["state"],
            )
        )
    print("\nroc_auc on the newest month, and what was decided\n")
    print("\n".join(columns(rows)))
    print()
    for _, outcome, report in nights:
        print(f"v{outcome['version']} {outcome['decision']}: {outcome['why']}")
        if report:
            print(f"   report with ROC curves, the distribution of the difference, calibration: {report}")


if __name__ == "__main__":
    try:
        main()
    except Refused as refused:
        sys.exit(str(refused))
