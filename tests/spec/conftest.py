from collections.abc import Callable
from pathlib import Path

import pytest

from ame.diagnosis import Refused
from ame.spec import Project, load_project

Load = Callable[[str | bytes], Project]
Refusals = Callable[[str | bytes], list[str]]


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
