"""A task with a store: its artifacts are kept, and no secret is in what it prints."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from ame.diagnosis import Refused
from ame.local import Home
from ame.runtime import TaskInputs, execute_task
from ame.spec import load_project
from ame.store import Kept, SnapshotStore

ARTIFACTS = """
tasks:
  - name: make
    executor: !custom {command: "%s"}
    artifacts: {paths: [out/, log.txt]}
"""


def run(folder: Path, text: str, store: SnapshotStore | None = None) -> tuple[object, list[str]]:
    (folder / "ame.yml").write_text("name: churn\n" + dedent(text))
    project = load_project(folder)
    lines: list[str] = []
    made = execute_task(
        project,
        project.tasks["make"],
        TaskInputs(mlflow="http://127.0.0.1:1"),
        home=Home(folder / ".ame"),
        name="make-1",
        on_line=lines.append,
        store=store,
    )
    return made, lines


def test_artifacts_of_a_task_that_ended_well_are_kept(folder: Path, store: SnapshotStore) -> None:
    made, _ = run(folder, ARTIFACTS % "mkdir out; echo 1 > out/a; echo 22 > out/b; echo x > log.txt", store)
    assert [(found.path.rstrip("/"), found.store, found.kept) for found in made] == [  # type: ignore[attr-defined]
        ("out", str(store), Kept("artifacts/make/make-1/out", files=2, size=5, sent=5)),
        ("log.txt", str(store), Kept("artifacts/make/make-1/log.txt", files=1, size=2, sent=2)),
    ]
    assert (store.path("artifacts/make/make-1/out") / "b").read_text() == "22\n"


def test_an_artifact_that_is_missing_is_refused(folder: Path) -> None:
    with pytest.raises(Refused) as refused:
        run(folder, ARTIFACTS % "mkdir out")
    assert str(refused.value) == (
        f"AME-E210 {folder / 'ame.yml'}:4:5 task 'make' ended well but left no log.txt, which is one of its "
        "artifacts. Let the task write it there, relative to the folder that it starts in."
    )


def test_a_secret_is_in_no_line_and_no_diagnosis(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "one-secret\ntwo-secret")
    text = """
    tasks:
      - name: make
        env: [{key: API_TOKEN, val: three-secret}]
        executor: !custom {command: 'echo "$DB_PASSWORD $API_TOKEN"; exit 3'}
    """
    with pytest.raises(Refused) as refused:
        run(folder, text)
    assert str(refused.value) == (
        f"AME-E201 {folder / 'ame.yml'}:4:5 task 'make' failed: `echo \"$DB_PASSWORD $API_TOKEN\"; exit 3` "
        "ended with code 3. Its last lines:\n    ***\n    *** ***"
    )
