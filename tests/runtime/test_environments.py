"""Environments of tasks, made by the real uv."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Timer

import pytest

from ame.diagnosis import Refused, Where
from ame.runtime import Environment, environment_from_lines, environments
from ame.runtime.environments import bare_environment, environment_from_file

pytestmark = pytest.mark.usefixtures("leaves_no_process")

WHERE = Where("ame.yml", 3, 5)
SIX = "six==1.17.0"
#: The same with what pip checks it by.
HASHED = """six==1.17.0 \\
    --hash=sha256:4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274 \\
    --hash=sha256:ff70335d468e7eb6ec65b95b99d3a2836546063f63acc5171de367e834932a81
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Environments are made anew, from uv's own cache."""
    uv = os.environ.get("UV_CACHE_DIR") or str(
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "uv"
    )
    monkeypatch.setenv("UV_CACHE_DIR", uv)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "ame-flows" / "environments"


def make(file: Path, text: str, said: list[str] | None = None, stop: Event | None = None) -> Environment:
    file.write_text(text)
    return environment_from_file(
        file,
        python=None,
        private=file.parent / ".venv",
        on_line=[].append if said is None else said.append,
        where=WHERE,
        stop=stop,
    )


def imports(environment: Environment, name: str) -> str:
    code = f"import {name}; print(getattr({name}, '__version__', ''))"
    return subprocess.run([environment.python, "-c", code], capture_output=True, text=True, check=True).stdout


def test_an_environment_is_made_once_for_the_same_requirements(cache: Path, folder: Path) -> None:
    said: list[str] = []
    first = make(folder / "requirements.txt", f"# ours\n{SIX}  # why\n\n", said)
    second = make(folder / "other.txt", SIX, said)

    assert first == second
    assert first.folder.parent == cache
    assert imports(first, "six") == "1.17.0\n"
    assert said == [f"making the environment {first.folder.name} (1 requirements) ..."]


def test_included_files_count_with_their_content(cache: Path, folder: Path) -> None:
    (folder / "sub dir").mkdir()
    (folder / "sub dir" / "more.txt").write_text("-c bounds.txt\nsix\n-r ../requirements.txt\n")
    text = "-r sub dir/more.txt\n"
    (folder / "sub dir" / "bounds.txt").write_text("six==1.16.0")
    first = make(folder / "requirements.txt", text)
    assert imports(first, "six") == "1.16.0\n"

    (folder / "sub dir" / "bounds.txt").write_text("six==1.17.0")
    assert make(folder / "requirements.txt", text) != first


def test_a_constraint_is_no_requirement(cache: Path, folder: Path) -> None:
    (folder / "bounds.txt").write_text(SIX)
    assert make(folder / "a.txt", "-c bounds.txt") != make(folder / "b.txt", "-r bounds.txt")


def test_hashes_are_checked(cache: Path, folder: Path) -> None:
    assert imports(make(folder / "requirements.txt", HASHED), "six")
    with pytest.raises(Refused, match="Hash mismatch"):
        make(
            folder / "requirements.txt",
            re.sub("sha256:.{8}", "sha256:00000000", HASHED),
        )


@pytest.mark.parametrize("line", ["./tool", "tool", "-e tool", "tool @ file://{}/tool", "tool/"])
def test_files_of_the_project_make_a_private_environment(
    cache: Path, tmp_path: Path, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = []
    monkeypatch.setattr(environments, "_make", lambda place, *_: installed.append(place))
    monkeypatch.setattr(environments, "_cached", lambda *_: installed.append("cached"))
    make(tmp_path / "requirements.txt", line.format(tmp_path))
    assert installed == ["cached" if line == "tool" else tmp_path / ".venv"]


@pytest.mark.parametrize(
    ("line", "local"),
    [
        ("six>=1,<2 ; python_version < '3.13'", False),
        ("uvicorn[standard] >= 0.3", False),
        ("--index-url https://index.example.org/simple", False),
        ("git+https://example.org/tool@main", False),
        ("tool[all] @ git+ssh://git@example.org/tool", False),
        ("tool @ https://example.org/tool-1.0.tar.gz", False),
        ("tool[all] @ ./tool", True),
        ("wheels/tool-1.0.whl", True),
        ("tool-1.0-py3-none-any.whl", True),
        ("~/tool", True),
        ("..", True),
        ("--find-links wheels", True),
        ("-r https://example.org/requirements.txt", True),
        ("constraint tool @ file:///tool", True),
    ],
)
def test_which_lines_name_files(line: str, local: bool) -> None:
    assert environments._is_local(line) is local


def test_a_file_that_is_not_there_is_refused(folder: Path) -> None:
    with pytest.raises(Refused) as refused:
        make(folder / "requirements.txt", "-r base.txt")
    assert str(refused.value) == (
        "AME-E203 ame.yml:3:5 the requirements file base.txt cannot be read: No such file or directory. "
        "The pip executor needs one beside the ame.yml; a command without one runs with !custom."
    )


def test_a_file_that_is_no_text_is_refused(folder: Path) -> None:
    (folder / "base.txt").write_bytes(b"\xff\xfe\0")
    with pytest.raises(Refused, match=r"base\.txt cannot be read: it is not UTF-8 text\."):
        make(folder / "requirements.txt", "-r base.txt")


def test_requirements_that_cannot_be_met_are_refused_and_leave_nothing(cache: Path, folder: Path) -> None:
    with pytest.raises(Refused) as refused:
        make(folder / "requirements.txt", "six==1.17.0\nsix==1.16.0\n")
    assert str(refused.value).startswith(
        "AME-E204 ame.yml:3:5 the environment could not be made: uv did not get the requirements. It said: "
    )
    assert "six==1.16.0" in str(refused.value)
    assert str(refused.value).endswith(
        "Correct the requirements or pythonVersion; see that the package index answers."
    )
    assert [path.suffix for path in cache.iterdir()] == [".lock"]


def test_a_python_that_does_not_exist_is_refused(cache: Path) -> None:
    with pytest.raises(Refused, match=r"uv did not get a Python 3\.99\."):
        bare_environment("3.99", on_line=[].append, where=WHERE)


def test_settings_that_would_install_elsewhere_are_harmless(
    cache: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"UV_SYSTEM_PYTHON": "1", "VIRTUAL_ENV": "/nowhere", "PYTHONPATH": "/nowhere"}.items():
        monkeypatch.setenv(name, value)
    assert imports(make(folder / "requirements.txt", SIX), "six") == "1.17.0\n"


def test_many_at_once_make_one(cache: Path, folder: Path) -> None:
    said: list[str] = []
    with ThreadPoolExecutor(4) as pool:
        made = [pool.submit(make, folder / f"{n}.txt", SIX, said) for n in range(4)]
        environments_made = {future.result() for future in made}
    assert len(environments_made) == 1
    assert len(said) == 1


@pytest.mark.parametrize("harm", [".complete", "bin/python"])
def test_an_environment_that_is_not_whole_is_made_again(cache: Path, folder: Path, harm: str) -> None:
    made = make(folder / "requirements.txt", SIX)
    (made.folder / harm).unlink()
    (made.folder / "left").touch()

    again = make(folder / "requirements.txt", SIX)
    assert again == made
    assert imports(again, "six")
    assert not (again.folder / "left").exists()


def test_after_a_kill_uv_ends_and_the_next_one_makes_it(
    cache: Path,
    folder: Path,
    tmp_path: Path,
    until: Callable[..., None],
    lives: Callable[[int], bool],
) -> None:
    """Else two of them would write into one environment."""
    fake = tmp_path / "uv"
    fake.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 100\n")
    fake.chmod(0o755)
    script = (
        "import sys, uv; from pathlib import Path; from ame.runtime import environment_from_lines\n"
        "uv.find_uv_bin = lambda: sys.argv[1]\n"
        "environment_from_lines(['six==1.17.0'], python=None, on_line=print, folder=Path(sys.argv[2]))"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(fake), str(tmp_path)])
    until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    uv = int((tmp_path / "pid").read_text())
    assert lives(uv)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert imports(make(folder / "requirements.txt", SIX), "six")
    assert not lives(uv)


def test_it_can_be_stopped(
    cache: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake = tmp_path / "uv"
    fake.write_text("#!/bin/sh\nexec sleep 100\n")
    fake.chmod(0o755)
    monkeypatch.setattr("uv.find_uv_bin", lambda: str(fake))
    stop = Event()
    Timer(0.3, stop.set).start()
    with pytest.raises(Refused, match="AME-E204"):
        make(folder / "requirements.txt", SIX, stop=stop)


def test_a_cache_that_cannot_be_written_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(Refused) as refused:
        make(folder / "requirements.txt", SIX)
    assert str(refused.value) == (
        f"AME-E209 the folder of environments {tmp_path}/cache/ame-flows/environments cannot be written. "
        "Not a directory. Make it writable, or name another cache in XDG_CACHE_HOME."
    )


def test_lines_are_written_for_uv(cache: Path, folder: Path) -> None:
    made = environment_from_lines(["", f" {SIX} "], python=None, on_line=[].append, folder=folder)
    assert made == make(folder / "other.txt", SIX)
