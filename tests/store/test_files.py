"""Digests and removal, with the names and links that folders of users hold."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ame.store import digest_of_folder, remove_folder


def tree(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_symlink() or path.is_file()]


def digest(folder: Path) -> str:
    return digest_of_folder(folder, tree(folder))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    (folder / "sub" / "b.txt").write_text("b")
    return folder


@pytest.mark.parametrize(
    "change",
    [
        lambda data: (data / "a.txt").write_text("b"),
        lambda data: (data / "a.txt").rename(data / "c.txt"),
        lambda data: (data / "sub" / "b.txt").rename(data / "b.txt"),
        lambda data: (data / "c.txt").write_text(""),
        lambda data: (data / "link").symlink_to("sub"),
    ],
    ids=["content", "name", "place", "another", "link"],
)
def test_every_change_changes_the_digest(data: Path, change: Callable[[Path], object]) -> None:
    before = digest(data)
    change(data)
    assert digest(data) != before


def test_the_order_of_files_and_their_times_do_not_count(data: Path) -> None:
    files = tree(data)
    os.utime(data / "a.txt", (0, 0))
    assert digest_of_folder(data, files) == digest_of_folder(data, reversed(files))


def test_a_name_that_swallows_another_is_told_apart(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, names in ((one, ["ab", "c"]), (two, ["a", "bc"])):
        folder.mkdir()
        for name in names:
            (folder / name).touch()
    assert digest(one) != digest(two)


def test_names_that_are_no_text_are_taken(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/data/caf\xe9 \n")).write_text("x")
    assert len(digest(tmp_path / "data")) == 64


def test_a_link_counts_with_what_it_leads_to(data: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.csv").write_text("1")
    (data / "file").symlink_to(outside / "x.csv")
    (data / "folder").symlink_to(outside)
    seen = [digest(data)]

    (outside / "x.csv").write_text("2")
    os.utime(outside / "x.csv", (1, 1))
    seen.append(digest(data))
    (outside / "y.csv").touch()
    seen.append(digest(data))
    assert len(set(seen)) == 3


@pytest.mark.parametrize("aim", ["nowhere", "circle", "/nowhere"])
def test_broken_links_and_circles_are_taken(data: Path, aim: str) -> None:
    before = digest(data)
    (data / "circle").symlink_to(aim)
    assert digest(data) != before


def test_a_folder_made_read_only_is_removed_by_one_who_is_not_root(tmp_path: Path) -> None:
    """In a child that gives its rights up, for tests often run as root."""
    folder = tmp_path / "locked"
    (folder / "in").mkdir(parents=True)
    (folder / "in" / "file").touch()
    child = os.fork()
    if not child:
        os._exit(_removes_as_nobody(folder))
    assert os.waitpid(child, 0)[1] == 0
    assert not (folder / "in" / "file").exists()


def _removes_as_nobody(folder: Path) -> int:
    os.chdir(folder)
    if os.geteuid() == 0:
        for path in (folder, folder / "in", folder / "in" / "file"):
            os.chown(path, 65534, 65534)
        os.seteuid(65534)
    Path("in").chmod(0o555)
    try:
        remove_folder(Path("in"))
    except OSError:
        return 1
    return 0
