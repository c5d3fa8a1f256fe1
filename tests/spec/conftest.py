import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ame.diagnosis import Refused
from ame.spec import Project, load_project

Load = Callable[[str | bytes], Project]
Refusals = Callable[[str | bytes], list[str]]

AME = Path(sys.executable).with_name("ame")

# Starts the command from a small process: what a child of pytest is said to have used includes pytest's own.
_PROBE = """
import json, os, resource, signal, sys
child = os.fork()
if not child:
    signal.alarm(300)
    resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
    resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
    os.execv(sys.argv[2], sys.argv[2:])
_, status, used = os.wait4(child, 0)
with open(sys.argv[1], "w") as file:
    json.dump([os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss], file)
"""


class Ended(NamedTuple):
    """How `ame` ended: its code, what it printed, and the time and the memory that it took."""

    code: int
    stdout: str
    stderr: str
    seconds: float
    mebibytes: float

    def diagnoses(self) -> list[dict[str, Any]]:
        """What `--json` prints, as one document and nothing else."""
        assert self.stderr == ""
        found: list[dict[str, Any]] = json.loads(self.stdout)["diagnoses"]
        return found


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Loads an ame.yml with this text, from the folder that it lies in, which has nothing beside it."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def load_text(text: str | bytes) -> Project:
        Path("ame.yml").write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_project(Path("ame.yml"))

    return load_text


@pytest.fixture
def refusals(load: Load) -> Refusals:
    """Every diagnosis with which a text is refused, as the user reads it; none when it is read."""

    def refused(text: str | bytes) -> list[str]:
        try:
            load(text)
        except Refused as error:
            return [str(diagnosis) for diagnosis in error.diagnoses]
        return []

    return refused


@pytest.fixture
def ame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """The real command, in a folder of its own; it is killed after a minute of its processor's time.

    It gets a gibibyte of addresses, so that what wants more ends without its diagnosis.
    """
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)

    def run(*arguments: str | bytes, **options: Any) -> Ended:
        used = tmp_path / "used.json"
        probe = [sys.executable, "-S", "-c", _PROBE, str(used), str(AME), *arguments]
        with (tmp_path / "out").open("w+") as out, (tmp_path / "err").open("w+") as err:
            streams = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": err}
            subprocess.run(probe, check=True, **{**streams, **options})
        code, seconds, peak = json.loads(used.read_text())
        unit = 1 if sys.platform == "darwin" else 1024
        written = [(tmp_path / name).read_text() for name in ("out", "err")]
        return Ended(code, *written, seconds, peak * unit / 2**20)

    return run
