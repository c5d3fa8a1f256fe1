"""Where a project's state lies, and what is said when it cannot lie there."""

from __future__ import annotations

from pathlib import Path

import pytest

from ame.diagnosis import Refused
from ame.local import Home, cache_folder, home_of

pytestmark = pytest.mark.usefixtures("no_servers_of_others")


def test_the_state_lies_beside_the_file_unless_ame_home_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"

    assert home_of(project, "churn").root == project / ".ame"
    monkeypatch.setenv("AME_HOME", str(elsewhere))
    assert home_of(project, "churn").root == elsewhere / "churn"


def test_relative_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert home_of(Path(), "churn").root == tmp_path / ".ame"
    monkeypatch.setenv("AME_HOME", "state")
    assert home_of(Path(), "churn").root == tmp_path / "state" / "churn"


def test_ame_home_may_not_be_the_projects_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AME_HOME", str(tmp_path))

    with pytest.raises(Refused) as refused:
        home_of(tmp_path / "churn", "churn")
    assert str(refused.value) == (
        f"AME-E601 AME_HOME makes the project's own folder {tmp_path}/churn its state folder. "
        "Name another folder in AME_HOME, or unset it to use .ame beside the ame.yml."
    )


def test_git_ignores_the_state(tmp_path: Path) -> None:
    Home(tmp_path / ".ame").prepare()

    assert (tmp_path / ".ame" / ".gitignore").read_text() == "*\n"


def test_a_gitignore_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("mine\n")

    Home(tmp_path).prepare()

    assert (tmp_path / ".gitignore").read_text() == "mine\n"


def test_a_file_in_the_place_of_the_state_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".ame").write_text("")

    with pytest.raises(Refused) as refused:
        Home(tmp_path / ".ame").prepare()
    assert str(refused.value) == (
        f"AME-E601 the state folder {tmp_path}/.ame cannot be written. Not a directory. "
        "Make it writable, or name another one in AME_HOME."
    )


def test_a_path_that_no_database_address_can_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        Home(tmp_path / "why?" / ".ame").prepare()
    assert str(refused.value) == (
        f"AME-E601 the state folder {tmp_path}/why?/.ame has a '?' in its path. "
        "The address of a database cannot hold one. Rename the folder, or name another one in AME_HOME."
    )
    assert list(tmp_path.iterdir()) == []


def test_environments_lie_in_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "ame-flows"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "ann"))
    assert cache_folder() == tmp_path / "ann" / ".cache" / "ame-flows"
