"""One task as a whole: what its command sees, what it leaves, and how its failures read."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event, Timer

import pytest

from ame.diagnosis import Refused
from ame.local import Home
from ame.runtime import TaskInputs, data_set_keys, execute_task, project_digest
from ame.spec import Project
from ame.store import SnapshotStore

pytestmark = pytest.mark.usefixtures("leaves_no_process")

Make = Callable[..., Project]


class Execute:
    """Run a project's tasks with the home in `tmp_path`."""

    def __init__(self, root: Path) -> None:
        self.home = Home(root / ".ame")
        self.home.prepare()
        self.lines: list[str] = []

    def __call__(
        self, project: Project, task: str, stop: Event | None = None, extra: dict[str, str] | None = None
    ) -> list[str]:
        self.lines.clear()
        execute_task(
            project,
            project.tasks[task],
            TaskInputs(
                mlflow="http://127.0.0.1:5000",
                extra=extra or {},
                data_set_keys=data_set_keys(project, project_digest(project)),
            ),
            home=self.home,
            name=f"{task}-1",
            on_line=self.lines.append,
            stop=stop,
            makes=tuple(made for made in project.data_sets.values() if made.task == task),
        )
        return self.lines


@pytest.fixture
def execute(tmp_path: Path) -> Execute:
    return Execute(tmp_path)


def test_what_the_command_sees(project: Make, execute: Execute, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {
        "AME_HOME": "/nowhere",
        "PREFECT_API_URL": "http://ours",
        "MLFLOW_RUN_ID": "ours",
        "MLFLOW_TRACKING_URI": "http://ours",
        "MLFLOW_TRACKING_USERNAME": "ann",
        "PYTHONPATH": "/ours",
        "AWS_PROFILE": "ann",
    }
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    made = project(
        """
        tasks:
          - name: show
            executor: !custom {command: sh show.sh}
            env: [{key: MODE, val: fast}, {key: AWS_PROFILE, val: bob}]
        """,
        **{"show.sh": "env | grep -E '^(AME|AWS_P|PREFECT|MLFLOW|PYTHON[PU]|MODE)' | sort; ls"},
    )

    assert execute(made, "show", extra={"AME_MODEL_VERSION": "7"})[1:] == [
        "AME_MODEL_VERSION=7",
        "AME_PROJECT=churn",
        "AME_TASK=show",
        "AWS_PROFILE=bob",
        "MLFLOW_DISABLE_TELEMETRY=true",
        "MLFLOW_EXPERIMENT_NAME=churn",
        "MLFLOW_TRACKING_URI=http://127.0.0.1:5000",
        "MLFLOW_TRACKING_USERNAME=ann",
        "MODE=fast",
        "PYTHONUNBUFFERED=1",
        "ame.yml",
        "show.sh",
    ]


def test_pip_gives_the_command_the_environment_of_the_requirements(project: Make, execute: Execute) -> None:
    made = project(
        """
        tasks:
          - {name: show, executor: !pip {command: python show.py}}
        """,
        **{
            "requirements.txt": "six==1.17.0\n",
            "show.py": "import sys, six; print(six.__version__, sys.prefix)",
        },
    )
    last = execute(made, "show")[-1]
    assert last.startswith("1.17.0 ")
    assert "/ame-flows/environments/" in last


def test_a_python_version_gives_a_bare_python(project: Make, execute: Execute) -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    made = project(
        f"""
        tasks:
          - name: show
            executor: !custom
              pythonVersion: "{version}"
              command: "python -c 'import sys; print(sys.prefix == sys.base_prefix, sys.version[:4])'"
        """
    )
    assert execute(made, "show")[-1] == f"False {version}"


def test_pip_without_requirements_is_refused(project: Make, execute: Execute) -> None:
    made = project("tasks: [{name: train, executor: !pip {command: python train.py}}]")
    with pytest.raises(Refused, match=r"AME-E203 .*the requirements file requirements\.txt"):
        execute(made, "train")


FAILS = "tasks:\n  - {name: train, timeout: 1s, executor: !custom {command: %s}}"


def refusal(execute: Execute, project: Project, stop: Event | None = None) -> str:
    with pytest.raises(Refused) as refused:
        execute(project, "train", stop=stop)
    assert list(execute.home.work.iterdir()) == []
    where = f"{project.tasks['train'].where} "
    return str(refused.value).replace(where, "")


def test_a_command_that_fails_is_told_with_its_last_lines(project: Make, execute: Execute) -> None:
    made = project(FAILS % "seq 30; exit 3")
    assert refusal(execute, made) == (
        "AME-E201 task 'train' failed: `seq 30; exit 3` ended with code 3. Its last lines:\n"
        + "\n".join(f"    {number}" for number in range(11, 31))
    )


def test_a_command_that_says_nothing(project: Make, execute: Execute) -> None:
    made = project(FAILS % "kill -9 $$")
    assert refusal(execute, made) == (
        "AME-E201 task 'train' failed: `kill -9 $$` ended by signal 9. It printed nothing."
    )


def test_a_program_that_is_not_there(project: Make, execute: Execute) -> None:
    made = project(FAILS % "pyton train.py")
    assert refusal(execute, made) == (
        "AME-E201 task 'train' failed: `pyton train.py` ended with code 127. Its last lines:\n"
        "    /bin/sh: 1: pyton: not found\n"
        "Code 127 says that a program was not found: give the executor a pythonVersion, or use !pip."
    )


def test_a_timeout_is_told(project: Make, execute: Execute) -> None:
    made = project(FAILS % "echo epoch 1; sleep 100")
    assert refusal(execute, made) == (
        "AME-E202 task 'train' was ended: `echo epoch 1; sleep 100` ran longer than its timeout of 1 s. "
        "Its last lines:\n    epoch 1"
    )


def test_a_task_can_be_stopped(project: Make, execute: Execute) -> None:
    stop = Event()
    Timer(0.3, stop.set).start()
    made = project("tasks: [{name: train, executor: !custom {command: sleep 100}}]")
    assert refusal(execute, made, stop) == (
        "AME-E201 task 'train' failed: `sleep 100` ended by signal 15. It printed nothing."
    )


SETS = """
tasks:
  - {name: fetch, executor: !custom {command: sh fetch.sh}}
  - name: join
    executor: !custom {command: cat rows/x.csv folder/* kept.csv}
    dataSets: [rows, folder, kept]
dataSets:
  - {name: rows, path: rows/x.csv, task: {taskRef: fetch}}
  - {name: folder, path: folder, task: {taskRef: fetch}}
  - {name: kept, path: kept.csv}
"""


def test_data_sets_go_from_task_to_task(project: Make, execute: Execute) -> None:
    made = project(
        SETS,
        **{
            "fetch.sh": "echo 1 > rows/x.csv; mkdir folder; echo 2 > folder/a; echo 3 > folder/b",
            "kept.csv": "4\n",
            "rows/x.csv": "made by hand\n",
        },
    )
    execute(made, "fetch")
    assert execute(made, "join")[1:] == ["1", "2", "3", "4"]


def test_a_data_set_that_was_not_made_is_refused(project: Make, execute: Execute) -> None:
    made = project(SETS, **{"fetch.sh": "echo 1 > rows/x.csv", "kept.csv": ""})
    with pytest.raises(Refused) as refused:
        execute(made, "fetch")
    assert str(refused.value) == (
        f"AME-E206 {made.data_sets['folder'].where} task 'fetch' ended well but left no folder, the path of "
        "data set 'folder'. Let the task write it there, relative to the folder that it starts in."
    )


def test_a_data_set_that_is_not_in_the_project_is_refused(project: Make, execute: Execute) -> None:
    made = project(SETS, **{"fetch.sh": "mkdir folder; touch rows/x.csv"})
    execute(made, "fetch")
    with pytest.raises(Refused) as refused:
        execute(made, "join")
    assert str(refused.value) == (
        f"AME-E205 {made.data_sets['kept'].where} data set 'kept' is not there: kept.csv does not exist. "
        "Put the files there, or name the task that makes them."
    )


def test_a_data_set_of_links_to_the_workspace_outlives_it(project: Make, execute: Execute) -> None:
    made = project(
        SETS,
        **{
            "fetch.sh": "echo 1 > out; ln -s ../out rows/x.csv; mkdir folder; ln -s $PWD/out folder/a",
            "kept.csv": "4\n",
        },
    )
    execute(made, "fetch")
    assert execute(made, "join")[1:] == ["1", "1", "4"]


def test_files_that_cannot_be_kept_are_refused(project: Make, execute: Execute) -> None:
    made = project(SETS, **{"fetch.sh": "touch rows/x.csv; mkdir folder; ln -s /nowhere folder/a"})
    with pytest.raises(Refused) as refused:
        execute(made, "fetch")
    assert str(refused.value).startswith(
        f"AME-E208 {made.tasks['fetch'].where} task 'fetch' cannot read or write its files. "
        "No such file or directory: "
    )
    key = data_set_keys(made, project_digest(made))["folder"]
    assert not SnapshotStore(execute.home.store).holds(key)


def test_keys_change_with_what_a_data_set_is_made_from(project: Make) -> None:
    made = project(SETS, **{"fetch.sh": "1", "kept.csv": ""})
    keys = data_set_keys(made, "source")
    assert sorted(keys) == ["folder", "rows"]
    assert keys == data_set_keys(made, "source")
    assert keys["rows"].startswith("data-sets/rows/")
    assert data_set_keys(made, "other")["rows"] != keys["rows"]
    for change in (("sh fetch.sh", "bash fetch.sh"), ("rows/x.csv, task", "rows/y.csv, task")):
        assert data_set_keys(project(SETS.replace(*change)), "source")["rows"] != keys["rows"]


def test_a_key_covers_what_the_task_reads(project: Make) -> None:
    chain = """
    tasks:
      - {name: one, executor: !custom {command: "%s"}}
      - {name: two, dataSets: [a], executor: !custom {command: cp a b}}
    dataSets:
      - {name: a, path: a, task: {taskRef: one}}
      - {name: b, path: b, task: {taskRef: two}}
    """
    before, after = (data_set_keys(project(chain % command), "source") for command in ("touch a", "echo > a"))
    assert before["b"] != after["b"]


def test_a_key_covers_the_steps_of_a_pipeline_and_what_they_read(project: Make) -> None:
    text = """
    tasks:
      - {name: fetch, executor: !custom {command: touch raw}}
      - {name: clean, executor: !custom {command: cp raw clean}, dataSets: [raw]}
      - {name: both, pipeline: [{taskRef: clean}, {name: more, executor: !custom {command: true}}]}
    dataSets:
      - {name: raw, path: raw, task: {taskRef: fetch}}
      - {name: clean, path: clean, task: {taskRef: both}}
    """

    def key_of(text: str) -> str:
        return data_set_keys(project(text), "source")["clean"]

    before = key_of(text)
    assert before == key_of(text)
    for change in (("touch raw", "date > raw"), ("cp raw", "mv raw"), ("command: true", "command: date")):
        assert key_of(text.replace(*change)) != before
    assert (
        key_of(text.replace("[{taskRef: clean}, {", "[[{taskRef: clean}, {").replace("true}}]", "true}}]]"))
        != before
    )


def test_our_own_process_is_not_changed(project: Make, execute: Execute) -> None:
    before = dict(os.environ)
    execute(project("tasks: [{name: t, executor: !custom {command: 'true'}}]"), "t")
    assert dict(os.environ) == before


def test_what_a_command_made_or_changed_is_kept_beside_its_artifacts(
    project: Make, execute: Execute, tmp_path: Path
) -> None:
    made = project(
        """
        tasks:
          - {name: fetch, executor: !custom {command: 'mkdir rows; echo 1 > rows/1'}}
          - name: train
            dataSets: [rows]
            executor: !pip
              command: |
                echo more >> changed; mkdir -p out/__pycache__; touch out/x out/__pycache__/x.pyc
                ln -s x out/link; rm removed; cat kept rows/1; python -m venv --without-pip out/venv
            artifacts: {paths: [out/x]}
        dataSets: [{name: rows, path: rows, task: {taskRef: fetch}}]
        """,
        changed="a\n",
        kept="b\n",
        removed="c\n",
        **{"requirements.txt": "."},
        **{"pyproject.toml": "[project]\nname = 'churn'\nversion = '1'\n", "churn.py": ""},
    )
    execute(made, "fetch")
    train = replace(made.tasks["train"], save_changed=True)
    made = replace(made, tasks={**made.tasks, "train": train})
    store = SnapshotStore(execute.home.store)
    keys = data_set_keys(made, project_digest(made))

    kept = execute_task(
        made,
        train,
        TaskInputs(mlflow="http://127.0.0.1:5000", data_set_keys=keys),
        home=execute.home,
        name="train-1",
        on_line=execute.lines.append,
    )

    assert [(one.path, one.kept.key) for one in kept] == [
        ("out/x", "artifacts/train/train-1/out/x"),
        ("files made or changed", "artifacts/train/train-1.changed"),
    ]
    store.restore(kept[1].kept.key, tmp_path / "back")
    found = {str(path.relative_to(tmp_path / "back")) for path in (tmp_path / "back").rglob("*")}
    assert found == {"changed", "out", "out/x", "out/link"}
    assert (tmp_path / "back" / "changed").read_text() == "a\nmore\n"


def test_a_command_that_changes_nothing_keeps_nothing(project: Make, execute: Execute) -> None:
    made = project("tasks: [{name: t, executor: !custom {command: 'cat ame.yml'}}]")
    task = replace(made.tasks["t"], save_changed=True)
    inputs = TaskInputs(mlflow="http://127.0.0.1:5000")
    assert not execute_task(made, task, inputs, home=execute.home, name="t-1", on_line=execute.lines.append)
