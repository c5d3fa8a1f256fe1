"""Snapshots: whole or not at all, whoever writes and whoever is killed."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ame.store import SnapshotStore

FOREVER = """
import sys, time
from pathlib import Path
import ame.store.snapshots as snapshots
snapshots.copy_whole = lambda source, destination: (destination.write_text("half"), time.sleep(100))
snapshots.SnapshotStore(Path(sys.argv[1])).save("key", Path(sys.argv[2]))
"""


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(tmp_path / "store")


@pytest.fixture
def data(folder: Path) -> Path:
    (folder / "rows.csv").write_text("x\n1\n")
    return folder


def test_a_folder_comes_back_as_it_was(store: SnapshotStore, data: Path, tmp_path: Path) -> None:
    assert not store.holds("data-sets/rows/1")
    store.save("data-sets/rows/1", data)
    shutil.rmtree(data)

    store.restore("data-sets/rows/1", tmp_path / "new" / "place")
    assert store.holds("data-sets/rows/1")
    assert [path.name for path in (tmp_path / "new" / "place").iterdir()] == ["rows.csv"]
    assert store.path("data-sets/rows/1").name == data.name


def test_a_file_comes_back_under_the_name_that_is_asked_for(
    store: SnapshotStore, data: Path, tmp_path: Path
) -> None:
    store.save("rows", data / "rows.csv")
    store.restore("rows", tmp_path / "other.csv")
    assert (tmp_path / "other.csv").read_text() == "x\n1\n"


def test_a_copy_may_be_changed(store: SnapshotStore, data: Path, tmp_path: Path) -> None:
    store.save("rows", data / "rows.csv")
    store.restore("rows", tmp_path / "rows.csv")
    (tmp_path / "rows.csv").write_text("changed")
    (data / "rows.csv").write_text("changed")
    assert store.path("rows").read_text() == "x\n1\n"


def test_what_is_held_stays(store: SnapshotStore, data: Path) -> None:
    store.save("rows", data / "rows.csv")
    (data / "rows.csv").write_text("changed")
    store.save("rows", data / "rows.csv")
    assert store.path("rows").read_text() == "x\n1\n"


def test_a_key_that_is_not_held(store: SnapshotStore, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        store.restore("nothing", tmp_path / "x")
    with pytest.raises(FileNotFoundError):
        store.path("nothing")


def test_many_writers_of_one_key_leave_one_snapshot(store: SnapshotStore, data: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(store.save, "rows", data) for _ in range(8)]:
            done.result()
    assert (store.path("rows") / "rows.csv").read_text() == "x\n1\n"
    assert list((tmp_path / "store" / ".filling").iterdir()) == []


def test_a_writer_that_fails_leaves_nothing(
    store: SnapshotStore, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("shutil.copy2", full)
    with pytest.raises(OSError, match="No space left"):
        store.save("rows", data)
    assert not store.holds("rows")
    assert list((tmp_path / "store" / ".filling").iterdir()) == []


def test_what_a_killed_writer_left_is_removed_and_a_living_ones_is_not(
    store: SnapshotStore, data: Path, tmp_path: Path, until: Callable[..., None]
) -> None:
    filling = tmp_path / "store" / ".filling"
    writer = subprocess.Popen([sys.executable, "-c", FOREVER, str(tmp_path / "store"), str(data)])
    until(lambda: filling.exists() and any(place.iterdir() for place in filling.iterdir()))

    store.save("first", data)
    assert len(list(filling.iterdir())) == 1
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    assert not store.holds("key")
    store.save("second", data)
    assert list(filling.iterdir()) == []
