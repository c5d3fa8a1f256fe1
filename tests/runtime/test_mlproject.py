"""What the !mlflow executor reads of an MLproject, and what its command finds."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ame.diagnosis import Refused, Where
from ame.runtime import executors, mlproject
from ame.runtime.environment_cache import Environment, running_python
from ame.runtime.mlproject import folder_of_mlflow, mlflow_environment
from ame.spec import Executor, Task

TASK = Task(name="fit", executor=Executor(kind="mlflow", command=""), where=Where("ame.yml", 3, 5))


@pytest.fixture
def asked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What would be made of it, instead of making it."""
    found: dict[str, object] = {}

    def from_file(file: Path, *, python: str | None, private: Path, **_: object) -> Environment:
        found.update(lines=file.read_text().splitlines(), python=python, beside=file.parent, private=private)
        return Environment(folder / "made")

    def bare(python: str, **_: object) -> Environment:
        found.update(python=python)
        return Environment(folder / "bare")

    monkeypatch.setattr(mlproject, "environment_from_file", from_file)
    monkeypatch.setattr(mlproject, "bare_environment", bare)
    return found


def environment(folder: Path, files: dict[str, str], task: Task = TASK) -> Environment | None:
    for name, text in files.items():
        (folder / name).write_text(text)
    return mlflow_environment(task, folder, on_line=[].append)


PYTHON_ENV = """
python: 3.10
build_dependencies:
  - pip
  - setuptools==65
dependencies:
  - -r requirements.txt
  - six==1.17.0
"""
CONDA = """
channels: [conda-forge]
dependencies:
  - python=3.12.*
  - pip<=24
  - pip:
    - six
    - mlflow>=3
"""


@pytest.mark.parametrize(
    ("files", "python", "lines"),
    [
        (
            {"MLproject": "python_env: env.yml", "env.yml": PYTHON_ENV},
            "3.10",
            ["pip", "setuptools==65", "-r requirements.txt", "six==1.17.0"],
        ),
        (
            {"mlproject": "name: x", "python_env.yaml": "dependencies: [six]", "conda.yaml": "nothing"},
            None,
            ["six"],
        ),
        ({"MLproject": "conda_env: c.yaml", "c.yaml": CONDA}, "3.12", ["six", "mlflow>=3"]),
        ({"MLproject": "name: x", "conda.yaml": CONDA}, "3.12", ["six", "mlflow>=3"]),
    ],
)
def test_what_the_environment_holds(
    folder: Path, asked: dict[str, object], files: dict[str, str], python: str | None, lines: list[str]
) -> None:
    assert environment(folder, files) == Environment(folder / "made")
    assert asked == {"lines": lines, "python": python, "beside": folder, "private": folder / ".venv"}
    assert sorted(path.name for path in folder.iterdir()) == sorted(files)


def test_the_executors_python_wins(folder: Path, asked: dict[str, object]) -> None:
    task = replace(TASK, executor=replace(TASK.executor, python_version="3.13"))
    assert environment(folder, {"MLproject": "conda_env: c.yaml", "c.yaml": CONDA}, task)
    assert asked["python"] == "3.13"
    assert environment(folder, {"MLproject": "name: x"}, task) == Environment(folder / "bare")


def test_a_project_without_an_environment_has_none(folder: Path, asked: dict[str, object]) -> None:
    assert environment(folder, {"MLproject": "name: x"}) is None
    assert asked == {}


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (
            {},
            (
                "AME-E220 ame.yml:3:5 task 'fit' runs with !mlflow, and its MLproject cannot be read. No such file "
                "or directory. Put a MLproject beside the ame.yml, or choose another executor."
            ),
        ),
        (
            {"MLproject": "- a"},
            (
                "AME-E220 ame.yml:3:5 task 'fit' runs with !mlflow, and its MLproject cannot be read. It is no "
                "mapping. Put a MLproject beside the ame.yml, or choose another executor."
            ),
        ),
        (
            {"MLproject": "python_env: env.yml"},
            (
                "AME-E220 ame.yml:3:5 task 'fit' runs with !mlflow, and its env.yml cannot be read. No such file "
                "or directory. Put a env.yml beside the ame.yml, or choose another executor."
            ),
        ),
        (
            {"MLproject": "docker_env: {image: x}"},
            (
                "AME-E222 ame.yml:3:5 the MLproject of task 'fit' names a docker_env. A task runs in a process of "
                "its own machine or pod. Name a python_env instead, and the image as `image` in the task's "
                "`kubernetes`."
            ),
        ),
        (
            {"MLproject": "conda_env: c.yaml", "c.yaml": "dependencies: [python>=3.9, cudatoolkit=11, pip]"},
            (
                "AME-E222 ame.yml:3:5 the MLproject of task 'fit' has the conda environment c.yaml, which needs more "
                "than pip: python>=3.9, cudatoolkit=11. ame-flows makes environments with uv, from PyPI's packages "
                "and an exact `python=3.X`. Write a python_env.yaml and name it as python_env; or move these below "
                "`pip:`."
            ),
        ),
    ],
)
def test_what_cannot_be_carried_out_is_refused(folder: Path, files: dict[str, str], told: str) -> None:
    with pytest.raises(Refused) as refused:
        environment(folder, files)
    assert str(refused.value) == told


def test_what_is_no_yaml_is_refused(folder: Path) -> None:
    with pytest.raises(Refused, match=r"AME-E220 .*its MLproject cannot be read\. It is no YAML: "):
        environment(folder, {"MLproject": "{"})


def test_the_command_finds_mlflow_first(folder: Path) -> None:
    assert TASK.executor.command_line == "mlflow run ."
    assert replace(TASK.executor, command="make").command_line == "make"
    variables = executors.variables_of(TASK, Environment(folder / "e"), "/bin")
    assert variables == {
        "VIRTUAL_ENV": str(folder / "e"),
        "PATH": f"{folder_of_mlflow()}:{folder}/e/bin:/bin",
    }
    assert executors.variables_of(TASK, None, "/bin") == {"PATH": f"{folder_of_mlflow()}:/bin"}
    assert sys.executable in (folder_of_mlflow() / "mlflow").read_text()


def test_a_python_env_is_really_made(folder: Path) -> None:
    (folder / "requirements.txt").write_text("six==1.17.0\n")
    made = environment(
        folder,
        {
            "MLproject": "python_env: python_env.yaml",
            "python_env.yaml": f"python: '{running_python()}'\ndependencies: [-r requirements.txt]",
        },
    )
    assert made is not None
    assert list(made.folder.glob("lib/python*/site-packages/six.py"))
