"""What a task finds in its workspace, and what counts as the project's source."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ame.diagnosis import Refused
from ame.local import home_of
from ame.runtime import project_digest
from ame.runtime import workspace as module
from ame.runtime.workspace import project_files, workspace
from ame.spec import Project

Make = Callable[..., Project]

MADE = """
tasks:
  - {name: fetch, executor: !custom {command: sh fetch.sh}}
dataSets:
  - {name: rows, path: data/rows.csv, task: {taskRef: fetch}}
  - {name: labels, path: labels, task: {taskRef: fetch}}
"""


def names(project: Project) -> list[str]:
    return sorted(str(path.relative_to(project.folder)) for path in project_files(project))


def test_state_history_caches_environments_and_made_data_sets_are_left_out(project: Make) -> None:
    made = project(
        MADE,
        train="",
        src__a="",
        **{f"{left_out}__x": "" for left_out in (".ame", ".git", "src__.git", "__pycache__", "node_modules")},
        env__pyvenv="",
        data__rows="",
        labels__x="",
    )
    (made.folder / "env" / "pyvenv").rename(made.folder / "env" / "pyvenv.cfg")
    (made.folder / "data" / "rows").rename(made.folder / "data" / "rows.csv")
    (made.folder / "data" / "other.csv").touch()

    assert names(made) == ["ame.yml", "data/other.csv", "src/a", "train"]


def test_state_and_cache_in_the_project_are_left_out(project: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a workspace would be copied into itself."""
    made = project(train="")
    monkeypatch.setenv("AME_HOME", str(made.folder / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(made.folder / "cache"))
    before = project_digest(made)
    home = home_of(made.folder, made.name)
    home.prepare()
    (made.folder / "cache" / "ame-flows").mkdir(parents=True)
    (made.folder / "cache" / "ame-flows" / "x.lock").touch()

    with workspace(made, home.work, "w") as place:
        assert sorted(path.name for path in place.iterdir()) == ["ame.yml", "train"]
    assert project_digest(made) == before


def test_the_copy_is_whole_and_apart(project: Make, tmp_path: Path) -> None:
    made = project(run="#!/bin/sh", src__a="a")
    (made.folder / "run").chmod(0o755)
    (made.folder / "empty" / "in").mkdir(parents=True)
    os.mkfifo(made.folder / "fifo")

    with workspace(made, tmp_path / "work", "one") as place:
        assert (place / "run").stat().st_mode & 0o777 == 0o755
        assert (place / "empty" / "in").is_dir()
        (place / "src" / "a").write_text("changed")
        (place / "fifo").touch()
    assert not place.exists()
    assert (made.folder / "src" / "a").read_text() == "a"


def test_data_sets_find_the_folder_that_they_are_to_be_written_to(project: Make, tmp_path: Path) -> None:
    with workspace(project(MADE), tmp_path, "w") as place:
        assert (place / "data").is_dir()
        assert not (place / "labels").exists()


def test_links_lead_where_they_led(project: Make, folder: Path, tmp_path: Path) -> None:
    made = project(data__x="x")
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "y").write_text("y")
    links = {"within": "data/x", "folder": "data", "up": "../shared", "absolute": tmp_path / "shared" / "y"}
    for name, aim in (links | {"broken": "nowhere", "circle": "circle"}).items():
        (made.folder / name).symlink_to(aim)

    with workspace(made, tmp_path / "elsewhere" / "work", "w") as place:
        (place / "within").write_text("changed")
        assert (place / "folder" / "x").read_text() == "changed"
        assert (place / "up" / "y").read_text() == "y"
        assert (place / "absolute").read_text() == "y"
        assert (place / "broken").is_symlink()
        assert (place / "circle").is_symlink()
    assert (made.folder / "data" / "x").read_text() == "x"
    assert (tmp_path / "shared" / "y").exists()


def test_a_workspace_that_a_kill_left_is_cleaned(project: Make, tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "old").touch()
    with workspace(project(), tmp_path, "w") as place:
        assert [path.name for path in place.iterdir()] == ["ame.yml"]


def test_what_a_command_made_read_only_is_removed(project: Make, tmp_path: Path) -> None:
    with workspace(project(), tmp_path, "w") as place:
        (place / "cache" / "in").mkdir(parents=True)
        (place / "cache" / "in").chmod(0o555)
        (place / "cache").chmod(0o555)
    assert not place.exists()


def test_a_file_that_vanishes_while_it_is_copied_is_not_missed(
    project: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = project(keep="")
    listed = [*project_files(made), made.folder / ".keep.swp"]
    monkeypatch.setattr(module, "project_files", lambda _: listed)
    with workspace(made, tmp_path, "w") as place:
        assert sorted(path.name for path in place.iterdir()) == ["ame.yml", "keep"]


def test_the_digest_covers_what_a_task_could_read(project: Make) -> None:
    made = project(MADE, train="1", data__rows="1")
    digests = [project_digest(made)]
    (made.folder / "train").write_text("2")
    digests.append(project_digest(made))
    (made.folder / ".ame").mkdir()
    (made.folder / "labels").mkdir()
    digests.append(project_digest(made))
    assert digests[0] != digests[1] == digests[2]


def test_files_that_cannot_be_read_are_refused(project: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    made = project(secret="")

    def denied(path: Path, *_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(Refused) as refused:
        project_digest(made)
    assert str(refused.value) == (
        f"AME-E208 the files of project 'churn' cannot be read. Permission denied: {made.folder}/ame.yml. "
        "See to the file's permissions, to the links and to the room on the disk."
    )
