"""What a deployed project has of those that it refers to, where it runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from ame.runtime import project_digest
from ame.spec import Others, Project, load_project
from ame.store import SnapshotStore
from flows._neighbours import deployed_digest, keep_neighbours, neighbours_key, those_in

USER = "name: x\ntasks: [{name: train, fromTemplate: shared.gpu, executor: !custom {command: c}}]\n"
SHARED = "name: shared\ntemplates: [{name: gpu, fromTemplate: base.b}]\n"
BASE = "name: base\ntemplates: [{name: b, retries: 3}]\n"


def write(folder: Path, text: str, file: str = "ame.yml") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text(text)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    write(tmp_path / "x", USER)
    write(tmp_path / "anything", SHARED)
    write(tmp_path / "base", BASE, "ame.yaml")
    return load_project(tmp_path / "x")


def test_it_means_where_it_runs_what_it_meant_when_it_was_deployed(project: Project, tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path / "store")
    digest = deployed_digest(project)
    keep_neighbours(store, project, digest)
    write(tmp_path / "pod" / "x", USER)
    write(tmp_path / "pod" / "shared", SHARED.replace("base.b", "none.b"))

    store.restore(neighbours_key("x", digest), tmp_path / "neighbours")
    loaded = load_project(tmp_path / "pod" / "x", those_in(tmp_path / "neighbours"))

    assert loaded.tasks["train"].retries == 3
    assert sorted(path.name for path in (tmp_path / "neighbours").iterdir()) == ["base", "shared"]


def test_its_digest_tells_of_what_it_refers_to(project: Project, tmp_path: Path) -> None:
    before = deployed_digest(project)
    assert before != project_digest(project)
    write(tmp_path / "base", BASE.replace("3", "4"), "ame.yaml")
    assert deployed_digest(load_project(tmp_path / "x")) != before


def test_without_others_nothing_is_kept(tmp_path: Path) -> None:
    write(tmp_path / "x", "name: x\n")
    project = load_project(tmp_path / "x", Others())
    store = SnapshotStore(tmp_path / "store")

    keep_neighbours(store, project, deployed_digest(project))

    assert deployed_digest(project) == project_digest(project)
    assert not store.holds(neighbours_key("x", deployed_digest(project)))
