"""Projects on disk, read as a user's are."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from ame.spec import Project, load_project

Make = Callable[..., Project]


@pytest.fixture
def project(folder: Path) -> Make:
    """Write the ame.yml and files, given as NAME=TEXT with '/' for '__', and load it."""

    def make(text: str = "", **files: str) -> Project:
        (folder / "ame.yml").write_text("name: churn\n" + dedent(text))
        for name, content in files.items():
            path = folder / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return load_project(folder)

    return make


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("AME_", "MLFLOW_", "PREFECT_"))]:
        monkeypatch.delenv(name)
