"""The cache of environments: each made once, by uv or by what a project uses, from all that it depends on."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

from ame.diagnosis import Diagnosis, Refused, Where
from ame.local.home import cache_folder
from ame.local.lease import locked_file
from ame.runtime.command import Ended, run_command
from ame.runtime.variables import inherited_variables

__all__ = [
    "Environment",
    "cached_environment",
    "installing_variables",
    "interpreter",
    "new_environment",
    "not_made",
    "running_python",
    "writing",
]


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment.

    Attributes:
        folder: it holds `bin/python`.
        programs: folders that go before its own programs, with the one that made it.
        variables: what tells that program to use this environment and to change nothing in it.
    """

    folder: Path
    programs: tuple[Path, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"


def cached_environment(
    made_of: Mapping[str, Any],
    told: str,
    make: Callable[[Path, Sequence[int]], None],
    *,
    on_line: Callable[[str], None],
) -> Environment:
    """The environment that is made of something, made when it is not in the cache.

    Args:
        made_of: all that it depends on, as JSON has it.
        told: the same for people, in a few words.
        make: makes it in a folder that is not there; what it starts holds the descriptors that it is given.

    Raises:
        Refused: AME-E209, when there is no place for it; what `make` refuses.
    """
    digest = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:20]
    place = cache_folder() / "environments" / digest
    complete = place / ".complete"
    # What makes it holds the lock, too: should this process be killed, the next one waits until that ends.
    with writing(place.parent), locked_file(place.with_suffix(".lock")) as lock:
        if not complete.exists() or not (place / "bin" / "python").exists():
            on_line(f"making the environment {digest} ({told}) ...")
            make(place, [lock])
            complete.write_text(json.dumps(made_of, indent=2))
    return Environment(place)


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Refuse, with AME-E209, when the block cannot write below the folder of environments."""
    try:
        yield
    except OSError as error:
        raise Refused(
            Diagnosis(
                code="AME-E209",
                what=f"the folder of environments {folder} cannot be written.",
                why=f"{error.strerror or error}.",
                fix="Make it writable, or name another cache in XDG_CACHE_HOME.",
            )
        ) from error


def new_environment(
    place: Path,
    python: str | None,
    *,
    on_line: Callable[[str], None],
    where: Where | None,
    stop: Event | None,
    holds: Sequence[int] = (),
) -> None:
    """Make an environment with nothing but a Python.

    Raises:
        Refused: AME-E204, when uv does not get that Python.
    """
    from uv import find_uv_bin

    shutil.rmtree(place, ignore_errors=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    step = [find_uv_bin(), "venv", "--quiet", "--no-project", "--python", interpreter(python), str(place)]
    ended = run_command(
        step, folder=place.parent, env=installing_variables(), on_line=on_line, stop=stop, holds=holds
    )
    if ended.code:
        shutil.rmtree(place, ignore_errors=True)
        raise Refused(not_made(f"a Python {python or running_python()}", ended, where))


def installing_variables() -> dict[str, str]:
    """The variables of a program that installs: the settings of the user's indexes are among them."""
    variables = inherited_variables()
    if variables.get("PYTHONDONTWRITEBYTECODE"):
        # Nobody would write it later, and each process would compile its libraries again.
        variables = {"UV_COMPILE_BYTECODE": "1", **variables}
    return variables


def not_made(asked: str, ended: Ended, where: Where | None) -> Diagnosis:
    return Diagnosis(
        code="AME-E204",
        where=where,
        what=f"the environment could not be made: uv did not get {asked}.",
        why=f"It said: {' '.join(ended.last_lines).strip() or 'nothing'}",
        fix="Correct the requirements or pythonVersion; see that the package index answers.",
    )


def interpreter(python: str | None) -> str:
    """What uv takes for a version of Python; None is the running one."""
    if python is None or python == running_python():
        # The one below our own environment: uv need not search for it, and a nested environment works.
        ours = Path(sys.base_prefix) / "bin" / f"python{running_python()}"
        return str(ours) if ours.exists() else running_python()
    return python


def running_python() -> str:
    """For example 3.11."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"
