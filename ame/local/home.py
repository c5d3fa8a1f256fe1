"""Where the state of a project lives on this machine: `.ame/` beside its ame.yml."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ame.diagnosis import Diagnosis, Refused

__all__ = ["Home", "cache_folder", "home_of"]


@dataclass(frozen=True, slots=True)
class Home:
    """The folder that holds all state of one project on this machine.

    Attributes:
        root: absolute; `.ame` beside the ame.yml, or `$AME_HOME/PROJECT`.
    """

    root: Path

    @property
    def holder(self) -> str:
        """Who works for this home, as claims and MLflow runs name it: the host and the folder."""
        return f"{socket.gethostname()}:{self.root}"

    @property
    def registry_database(self) -> Path:
        return self.root / "mlflow.db"

    @property
    def artifacts(self) -> Path:
        """What MLflow's server stores for its clients."""
        return self.root / "artifacts"

    @property
    def prefect(self) -> Path:
        """PREFECT_HOME of the embedded server and of the flows that run against it."""
        return self.root / "prefect"

    @property
    def store(self) -> Path:
        """Snapshots of data sets."""
        return self.root / "store"

    @property
    def work(self) -> Path:
        """Workspaces of running tasks; emptied as they end."""
        return self.root / "work"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def run(self) -> Path:
        """Locks, leases and addresses of what is alive."""
        return self.root / "run"

    @property
    def leases(self) -> Path:
        return self.run / "leases"

    @property
    def start_lock(self) -> Path:
        """Held while a command comes in, and while the keeper decides to leave."""
        return self.run / "start.lock"

    @property
    def keeper_lock(self) -> Path:
        """Held by the keeper as long as it lives."""
        return self.run / "keeper.lock"

    @property
    def addresses(self) -> Path:
        """What the keeper tells, as JSON: ready, error, and the servers' addresses by name."""
        return self.run / "servers.json"

    def model_lock(self, model: str) -> Path:
        """Held while a version of the model is trained or delivered on this machine."""
        return self.run / f"model-{model}.lock"

    def prepare(self) -> None:
        """Make the folders.

        Raises:
            Refused: AME-E601, when that cannot be done.
        """
        if "?" in str(self.root):
            raise Refused(
                Diagnosis(
                    code="AME-E601",
                    what=f"the state folder {self.root} has a '?' in its path.",
                    why="The address of a database cannot hold one.",
                    fix="Rename the folder, or name another one in AME_HOME.",
                )
            )
        with self.writing():
            for folder in (self.artifacts, self.prefect, self.store, self.work, self.logs, self.leases):
                folder.mkdir(parents=True, exist_ok=True)
            # The state is nobody's source code: git leaves it alone without an entry in .gitignore.
            ignore = self.root / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n")

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Refuse, with AME-E601, when the block cannot write below the root."""
        try:
            yield
        except OSError as error:
            raise Refused(
                Diagnosis(
                    code="AME-E601",
                    what=f"the state folder {self.root} cannot be written.",
                    why=f"{error.strerror or error}.",
                    fix="Make it writable, or name another one in AME_HOME.",
                )
            ) from error


def home_of(project_folder: Path, project_name: str) -> Home:
    """The home of a project: `$AME_HOME/PROJECT` when that variable is set, else `.ame` in its folder.

    Raises:
        Refused: AME-E601, when AME_HOME would put the state among the project's own files.
    """
    folder = project_folder.resolve()
    elsewhere = os.environ.get("AME_HOME")
    if not elsewhere:
        return Home(folder / ".ame")
    root = Path(elsewhere).expanduser().resolve() / project_name
    if root == folder:
        raise Refused(
            Diagnosis(
                code="AME-E601",
                what=f"AME_HOME makes the project's own folder {root} its state folder.",
                fix="Name another folder in AME_HOME, or unset it to use .ame beside the ame.yml.",
            )
        )
    return Home(root)


def cache_folder() -> Path:
    """The user's cache for environments, shared by all projects: `$XDG_CACHE_HOME/ame-flows`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "ame-flows"
