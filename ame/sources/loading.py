"""Where this process finds projects: what its environment names, and what git brings here."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from ame.spec import Fetched, GitSource, Others, Project
from ame.spec import load_project as load

__all__ = ["PROJECT_PATH", "add_project_paths", "load_project", "others_of_this_process"]

#: The variable that names folders, each a project or a folder of projects, as PATH names folders.
PROJECT_PATH = "AME_PROJECT_PATH"

# A flow loads its project again, and so does every step of it: all of them are to see one commit.
_FETCHED: dict[GitSource, Fetched] = {}


def load_project(
    path: Path, others: Others | None = None, *, say: Callable[[str], None] | None = None
) -> Project:
    """`ame.spec.load_project`, with the other projects that this process can find.

    Args:
        others: where they are; found by `others_of_this_process` when it is not given.
        say: is told what takes long.

    Raises:
        Refused: with every error of the file and of those that it needs.
    """
    return load(path, others or others_of_this_process(say))


def others_of_this_process(say: Callable[[str], None] | None = None) -> Others:
    """The folders that the environment names, and git repositories, each fetched once by this process."""
    named = os.environ.get(PROJECT_PATH, "").split(os.pathsep)
    places = tuple(Path(os.path.abspath(name)) for name in named if name)  # noqa: PTH100  # keeps links

    def fetched(source: GitSource) -> Fetched:
        if source not in _FETCHED:
            from ame.sources.git import fetch

            _FETCHED[source] = fetch(source, say or _silent)
        return _FETCHED[source]

    return Others(places=places, fetch=fetched)


def add_project_paths(folders: Sequence[Path]) -> None:
    """Let this process, and those that it starts, look for projects in these folders first."""
    if folders:
        named = [os.path.abspath(folder) for folder in folders]  # noqa: PTH100
        named += filter(None, [os.environ.get(PROJECT_PATH)])
        os.environ[PROJECT_PATH] = os.pathsep.join(named)


def _silent(_text: str) -> None:
    """Nobody listens."""
