"""The examples, run as a newcomer runs them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
AME = Path(sys.executable).with_name("ame")

pytestmark = pytest.mark.usefixtures("no_servers_of_others", "leaves_no_process")


def test_the_demo_shows_all_four_outcomes(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, EXAMPLES / "demo.py"],
        env={**os.environ, "AME_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-4000:]
    ends = [line.split(":")[0] for line in ended.stdout.splitlines() if line.startswith("v") and ": " in line]
    assert ends == ["v1 promote", "v2 promote", "v3 inconclusive", "v4 reject"]
    reports = [line.rsplit(": ", 1)[1] for line in ended.stdout.splitlines() if "report with" in line]
    assert len(reports) == 3
    assert all("<svg" in Path(report).read_text() for report in reports)


def test_a_project_in_ames_old_spelling_runs_twice(tmp_path: Path) -> None:
    folder = tmp_path / "sklearn-logreg"
    shutil.copytree(EXAMPLES / "sklearn-logreg", folder, ignore=shutil.ignore_patterns(".ame*"))
    for version in ("1", "2"):
        ended = subprocess.run(
            [AME, "run", "--json", "-p", folder], capture_output=True, text=True, timeout=400, check=False
        )
        assert ended.returncode == 0, ended.stderr[-4000:]
        (report,) = json.loads(ended.stdout)["runs"]
        assert (report["state"], report["model"]["version"]) == ("Promoted", version)
