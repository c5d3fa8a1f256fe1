"""Executors that make environments from a project's lock files, by the real uv, Poetry and Pipenv.

Lock files name the index that they were made from, so the tests make theirs.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Timer

import pytest

from ame.diagnosis import Refused, Where
from ame.local import Home
from ame.runtime import TaskInputs, execute_task
from ame.runtime.environment_cache import running_python
from ame.runtime.environments import tool_environment
from ame.spec import Executor, Project, Task
from tests.runtime.index import PASSWORD, USER, serving_index

pytestmark = pytest.mark.usefixtures("leaves_no_process")

WHERE = Where("ame.yml", 3, 5)
SHOW = "import sys, oracle_of_ame_flows_tests as o; print(o.__version__, sys.prefix)"
PYPROJECT = """
[project]
name = "churn"
version = "1"
requires-python = ">=3.11"
dependencies = ["oracle_of_ame_flows_tests==1.0"]
"""
NO_PACKAGE = (
    PYPROJECT
    + """
[tool.poetry]
package-mode = false
[[tool.poetry.source]]
name = "team"
url = "http://$INDEX"
"""
)
PIPFILE = """
[[source]]
name = "team"
url = "http://$USER:$PASSWORD@$INDEX"
verify_ssl = false

[packages]
oracle_of_ame_flows_tests = "==1.0"
"""


PACKAGE = """
[project.scripts]
tell = "churn:tell"

[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
"""


class Runner:
    """Runs commands in a project of the folder."""

    def __init__(self, folder: Path, root: Path, cache: Path, index: str) -> None:
        self.folder, self.index = folder, index
        self.environments = cache / "ame-flows" / "environments"
        self.home = Home(root / ".ame")
        self.home.prepare()

    def write(self, name: str, text: str) -> None:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace("$INDEX", self.index))

    def task(self, kind: str, command: str = "python show.py", python: str | None = None) -> Task:
        executor = Executor(kind=kind, command=command, python_version=python)  # type: ignore[arg-type]
        return Task(name="show", executor=executor, where=WHERE)

    def __call__(self, task: Task, stop: Event | None = None) -> list[str]:
        (self.folder / "ame.yml").write_text("name: churn\n")
        (self.folder / "show.py").write_text(SHOW)
        project = Project(
            name="churn", folder=self.folder, file=self.folder / "ame.yml", tasks={task.name: task}
        )
        lines: list[str] = []
        inputs = TaskInputs(mlflow="http://127.0.0.1:5000")
        execute_task(project, task, inputs, home=self.home, name="show-1", on_line=lines.append, stop=stop)
        return lines

    def refusal(self, task: Task, stop: Event | None = None) -> str:
        with pytest.raises(Refused) as refused:
            self(task, stop)
        return str(refused.value)

    def lock(self, *command: str, tool: str | None = None) -> None:
        """Make a lock file, as its user does."""
        if tool:
            made = tool_environment(tool, on_line=[].append, where=None, stop=None)
            command = (str(made.folder / "bin" / command[0]), *command[1:])
        env = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
        env |= {"PIPENV_VENV_IN_PROJECT": "1", "POETRY_VIRTUALENVS_IN_PROJECT": "1", "PIPENV_VERBOSITY": "-1"}
        subprocess.run(command, cwd=self.folder, env=env, check=True, capture_output=True)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving_index(
        tmp_path_factory.mktemp("index"), "oracle_of_ame_flows_tests", "1.0", "2.0"
    ) as address:
        yield address


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of our environments, shared: Poetry and Pipenv themselves are fetched once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def run(folder: Path, tmp_path: Path, cache: Path, index: str, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """With the settings by which each tool finds the index and its password."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    monkeypatch.setenv("UV_CACHE_DIR", os.environ.get("UV_CACHE_DIR") or str(caches / "uv"))
    for variable, value in {
        "UV_INDEX": f"http://{USER}:{PASSWORD}@{index}",
        "POETRY_HTTP_BASIC_TEAM_USERNAME": USER,
        "POETRY_HTTP_BASIC_TEAM_PASSWORD": PASSWORD,
        "POETRY_CACHE_DIR": str(tmp_path / "poetry"),
        "PIPENV_CACHE_DIR": str(tmp_path / "pipenv"),
        "USER": USER,
        "PASSWORD": PASSWORD,
        "XDG_CACHE_HOME": str(cache),
    }.items():
        monkeypatch.setenv(variable, value)
    return Runner(folder, tmp_path, cache, index)


def uv() -> str:
    from uv import find_uv_bin

    return find_uv_bin()


def test_uv_installs_what_is_locked_once(run: Runner) -> None:
    run.write("pyproject.toml", PYPROJECT.replace("==", "<="))
    run.lock(uv(), "lock", "-q")
    run.write("pyproject.toml", PYPROJECT.replace("==1.0", ""))

    first = run(run.task("uv"))
    second = run(run.task("uv", "uv run python show.py"))

    assert first[0].startswith("making the environment ")
    assert first[0].endswith(" (uv, pyproject.toml) ...")
    assert first[1:] == ["$ python show.py", second[-1]]
    assert first[-1].startswith(f"1.0 {run.environments}/")
    assert second[0] == "$ uv run python show.py"


def test_uv_resolves_what_is_not_locked_and_leaves_no_lock(run: Runner) -> None:
    run.write("pyproject.toml", PYPROJECT)
    lines = run(run.task("uv", "python show.py && ls"))
    assert lines[2].startswith("1.0 ")
    assert lines[3:] == ["ame.yml", "pyproject.toml", "show.py"]


@pytest.mark.parametrize("kind", ["uv", "poetry"])
def test_a_package_is_installed_into_the_workspace(run: Runner, kind: str) -> None:
    run.write("pyproject.toml", NO_PACKAGE.replace("package-mode = false", "") + PACKAGE)
    run.write("src/churn/__init__.py", "def tell():\n    print('told', __file__)\n")
    lines = run(run.task(kind, "python show.py && tell"))
    assert lines[-2].startswith(f"1.0 {run.home.work}/")
    assert lines[-1].startswith(f"told {run.home.work}/")


def test_poetry_installs_what_is_locked_once(run: Runner) -> None:
    run.write("pyproject.toml", NO_PACKAGE)
    run.lock("poetry", "lock", tool="poetry>=2.1,<3")

    first = run(run.task("poetry"))
    second = run(run.task("poetry", "poetry run python show.py"))

    assert "making the environment " in first[0]
    assert first[-1].startswith(f"1.0 {run.environments}/")
    assert second == ["$ poetry run python show.py", first[-1]]


def test_poetry_without_a_lock_or_a_package_and_in_a_shell_of_conda(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As AME's own example has it: a name, and nothing that could be installed under it."""
    monkeypatch.setenv("CONDA_DEFAULT_ENV", "base")
    monkeypatch.setenv("CONDA_PREFIX", "/nowhere")
    monkeypatch.setenv("VIRTUAL_ENV", "/nowhere")
    run.write(
        "pyproject.toml",
        """
[tool.poetry]
name = "churn"
version = "1"
description = ""
authors = []
[tool.poetry.dependencies]
python = "^3.11"
oracle_of_ame_flows_tests = "1.0"
[[tool.poetry.source]]
name = "team"
url = "http://$INDEX"
""",
    )
    lines = run(run.task("poetry", "poetry run python show.py && ls"))
    assert lines[-4].startswith(f"1.0 {run.environments}/")
    assert lines[-3:] == ["ame.yml", "pyproject.toml", "show.py"]


def test_pipenv_installs_what_is_locked_once(run: Runner) -> None:
    run.write("Pipfile", f'{PIPFILE}\n[requires]\npython_version = "{running_python()}"\n')
    run.lock("pipenv", "lock", tool="pipenv>=2025,<2027")

    first = run(run.task("pipenv"))
    second = run(run.task("pipenv", "pipenv run python show.py"))

    assert first[-1].startswith(f"1.0 {run.environments}/")
    assert second[-1] == first[-1]
    assert second[0] == "$ pipenv run python show.py"


def test_pipenv_without_a_lock(run: Runner) -> None:
    run.write("Pipfile", PIPFILE)
    lines = run(run.task("pipenv", "python show.py && ls"))
    assert lines[-4].startswith(f"1.0 {run.environments}/")
    assert lines[-3:] == ["Pipfile", "ame.yml", "show.py"]


@pytest.mark.parametrize(
    ("kind", "name"), [("uv", "pyproject.toml"), ("poetry", "pyproject.toml"), ("pipenv", "Pipfile")]
)
def test_a_project_without_its_file_is_refused(run: Runner, kind: str, name: str) -> None:
    assert run.refusal(run.task(kind)) == (
        f"AME-E220 ame.yml:3:5 task 'show' runs with !{kind}, and its {name} cannot be read. No such file or "
        f"directory. Put a {name} beside the ame.yml, or choose another executor."
    )
    run.write(name, "[project\n")
    told = run.refusal(run.task(kind))
    assert told.startswith(
        f"AME-E220 ame.yml:3:5 task 'show' runs with !{kind}, and its {name} cannot be read. It is no TOML: "
    )


@pytest.mark.parametrize(
    ("kind", "name", "text", "command", "fix"),
    [
        ("uv", "pyproject.toml", PYPROJECT, "uv sync --quiet --python", "`uv lock`"),
        ("poetry", "pyproject.toml", NO_PACKAGE, "poetry install --no-interaction", "`poetry lock`"),
        ("pipenv", "Pipfile", PIPFILE, "pipenv install` failed", "`pipenv lock`"),
    ],
)
def test_what_cannot_be_resolved_is_refused(
    run: Runner, kind: str, name: str, text: str, command: str, fix: str
) -> None:
    run.write(name, text.replace("1.0", "0.7"))
    told = run.refusal(run.task(kind))
    assert told.startswith(f"AME-E221 ame.yml:3:5 task 'show' got no environment: `{command}")
    assert "0.7" in told
    assert told.endswith(f"or lock again with {fix}. See that the package index answers.")
    assert not [
        path for path in run.environments.iterdir() if path.is_dir() and not (path / ".complete").exists()
    ]


@pytest.mark.parametrize(
    ("kind", "name", "text"), [("poetry", "pyproject.toml", NO_PACKAGE), ("pipenv", "Pipfile", PIPFILE)]
)
def test_a_python_that_does_not_exist_is_refused(run: Runner, kind: str, name: str, text: str) -> None:
    run.write(name, text)
    assert (
        "AME-E204 ame.yml:3:5 the environment could not be made: uv did not get a Python 3.99."
        in run.refusal(run.task(kind, python="3.99"))
    )


def test_a_python_that_the_project_does_not_take_is_refused(run: Runner) -> None:
    run.write("pyproject.toml", NO_PACKAGE.replace(">=3.11", ">=3.99"))
    told = run.refusal(run.task("poetry"))
    assert told.startswith("AME-E221 ame.yml:3:5 task 'show' got no environment: `poetry install")
    assert "3.99" in told
    told = run.refusal(run.task("uv", python=running_python()))
    assert told.startswith("AME-E221 ame.yml:3:5 task 'show' got no environment: `uv sync")


def test_a_password_of_an_index_is_not_shown(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_INDEX", f"http://{USER}:wrong-sesame@{run.index}")
    run.write("pyproject.toml", PYPROJECT.replace("1.0", "2.0"))
    told = run.refusal(run.task("uv", "env"))
    assert "oracle-of-ame-flows-tests" in told
    assert "sesame" not in told
    monkeypatch.setenv("UV_INDEX", f"http://{USER}:{PASSWORD}@{run.index}")
    lines = run(run.task("uv", "env"))
    assert f"UV_INDEX=http://{USER}:***@{run.index}" in lines
    assert PASSWORD not in "".join(lines)


def test_it_can_be_stopped(run: Runner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "uv"
    fake.write_text("#!/bin/sh\nexec sleep 100\n")
    fake.chmod(0o755)
    monkeypatch.setattr("uv.find_uv_bin", lambda: str(fake))
    run.write("pyproject.toml", PYPROJECT.replace("==1.0", ">1"))
    stop = Event()
    Timer(0.3, stop.set).start()
    assert run.refusal(run.task("uv"), stop).startswith("AME-E221 ")
