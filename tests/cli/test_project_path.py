"""`--project-path` and AME_PROJECT_PATH: where a project is that the ame.yml refers to."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

USER = "name: x\ntasks: [{name: train, fromTemplate: shared.gpu, executor: !custom {command: c}}]\n"


@pytest.fixture
def far(tmp_path: Path) -> Path:
    for name, text in (
        ("here/x", USER),
        ("far/shared", "name: shared\ntemplates: [{name: gpu, retries: 2}]\n"),
    ):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "ame.yml").write_text(text)
    return tmp_path / "far"


def ame(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: text for name, text in os.environ.items() if name != "AME_PROJECT_PATH"}
    return subprocess.run(
        [sys.executable, "-c", "from ame.cli import main; main()", *words],
        cwd=folder,
        env={**environment, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_validate(far):
    here = far.parent / "here" / "x"

    missing = ame(here, "validate", "--json")
    assert missing.returncode == 1
    assert [each["code"] for each in json.loads(missing.stdout)["diagnoses"]] == ["AME-E141"]
    for words, variables in (
        (["--project-path", "../../far"], {}),
        (["--project-path", "../../far/shared", "--project-path", "."], {}),
        ([], {"AME_PROJECT_PATH": f"{far.parent}:{far}"}),
    ):
        done = ame(here, "validate", *words, **variables)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("ame.yml is valid: project 'x'")
    assert ame(here, "validate", "--project-path", "none").returncode == 2


def test_compile(far):
    done = ame(
        *(far.parent, "compile", "here/x", "--project-path", "far", "--target", "process", "-o", "-"),
    )

    assert done.returncode == 0, done.stderr
    assert "flows.task.run_task" in done.stdout


def test_nothing_of_git_or_prefect_is_loaded_for_what_needs_neither(far):
    done = ame(far.parent / "here" / "x", "validate", "--project-path", str(far), PYTHONPROFILEIMPORTTIME="1")

    assert done.returncode == 0
    for module in ("ame.sources.git", "prefect", "mlflow", "psutil"):
        assert f" {module}\n" not in done.stderr
