"""The project that a verb is about, with the others that it refers to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ame import sources
from ame.cli._console import say

if TYPE_CHECKING:
    from ame.spec import Project

__all__ = ["load_project"]


def load_project(path: Path) -> Project:
    """The project in a folder or file; tells what is fetched for it.

    Raises:
        Refused: with every error of the file and of those that it needs.
    """
    return sources.load_project(path, say=say)
