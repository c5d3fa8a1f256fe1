"""Snapshots: whole or not at all, whoever writes and whoever is killed, in a directory and in a bucket."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ame.diagnosis import Refused
from ame.store import Kept, SnapshotStore, StoreSettings, open_store
from ame.store.files import remove_folder

SAVING = """
import sys, time
from pathlib import Path
from ame.store import StoreSettings, open_store
import ame.store.directory as directory, ame.store.bucket as bucket
for writer in (directory.DirectoryWriter, bucket.BucketWriter):
    def write(self, name, content, before=writer.write):
        print("all but the manifest", flush=True)
        if "wait" in sys.argv:
            time.sleep(100)
        before(self, name, content)
    writer.write = write
open_store(StoreSettings.from_environment()).save("key", Path(sys.argv[1]))
"""


@pytest.fixture
def data(folder: Path) -> Path:
    (folder / "rows.csv").write_text("x\n1\n")
    return folder


def shape(folder: Path) -> dict[str, object]:
    """Everything below a folder: modes, times, contents and links."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        state = path.lstat()
        if path.is_symlink():
            found[name] = path.readlink()
        else:
            content = path.read_bytes() if path.is_file() else None
            found[name] = (oct(state.st_mode), state.st_mtime_ns, content)
    return found


def test_a_folder_comes_back_as_it_was(store: SnapshotStore, data: Path, tmp_path: Path) -> None:
    (data / "empty" / "in it").mkdir(parents=True)
    (data / "nothing").touch()
    (data / "run.sh").write_text("true")
    (data / "run.sh").chmod(0o755)
    (data / "locked").mkdir()
    (data / "locked" / "file").write_text("x\n1\n")
    (data / "locked" / "file").chmod(0o400)
    (data / "link").symlink_to("locked/file")
    (data / "dangling").symlink_to("not-yet")
    Path(os.fsdecode(os.fsencode(data) + b"/caf\xe9 \n")).write_text("x")
    os.utime(data / "rows.csv", (1, 1))
    (data / "locked").chmod(0o555)
    before = shape(data)

    assert not store.holds("data-sets/rows/1")
    kept = store.save("data-sets/rows/1", data)
    remove_folder(data)

    store.restore("data-sets/rows/1", tmp_path / "new" / "place")
    assert store.holds("data-sets/rows/1")
    assert shape(tmp_path / "new" / "place") == before
    assert store.path("data-sets/rows/1").name == data.name
    assert kept == Kept("data-sets/rows/1", files=5, size=13, sent=9)
    assert store.describe("data-sets/rows/1") == Kept("data-sets/rows/1", files=5, size=13)
    remove_folder(tmp_path / "new")


def test_links_out_become_what_they_lead_to(store: SnapshotStore, data: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x").write_text("x")
    (data / "up").symlink_to("../outside")
    (data / "absolute").symlink_to(data / "rows.csv")
    (data / "itself").symlink_to(".")
    store.save("key", data)
    remove_folder(data)
    remove_folder(tmp_path / "outside")

    store.restore("key", tmp_path / "copy")
    assert not (tmp_path / "copy" / "up").is_symlink()
    assert (tmp_path / "copy" / "up" / "x").read_text() == "x"
    assert (tmp_path / "copy" / "absolute").read_text() == "x\n1\n"
    assert (tmp_path / "copy" / "itself").readlink() == Path()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda data: (data / "around").symlink_to(data), "leads to a folder around it"),
        (lambda data: (data / "broken").symlink_to("/nowhere"), "No such file or directory"),
        (lambda data: os.mkfifo(data / "pipe"), "is neither a file nor a folder"),
    ],
    ids=["circle", "broken link", "pipe"],
)
def test_what_cannot_be_kept_leaves_no_snapshot(
    store: SnapshotStore, data: Path, make: Callable[[Path], object], message: str
) -> None:
    make(data)
    with pytest.raises(OSError, match=message):
        store.save("key", data)
    assert not store.holds("key")


def test_a_file_comes_back_under_the_name_that_is_asked_for(
    store: SnapshotStore, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "latest").symlink_to(data / "rows.csv")
    store.save("rows", tmp_path / "latest")
    store.restore("rows", tmp_path / "other.csv")
    assert not (tmp_path / "other.csv").is_symlink()
    assert (tmp_path / "other.csv").read_text() == "x\n1\n"
    assert store.path("rows").name == "latest"


def test_only_the_files_that_are_named_are_kept(store: SnapshotStore, data: Path, tmp_path: Path) -> None:
    (data / "sub" / "deep").mkdir(parents=True)
    (data / "sub" / "deep" / "a.py").write_text("a")
    (data / "sub" / "left-out").write_text("b")
    (data / "empty").mkdir()
    (data / "link").symlink_to("sub/deep/a.py")
    files = [data / name for name in ("sub/deep/a.py", "empty", "link", "gone")]

    assert store.save_files("projects/p/1", data, files).files == 1
    store.restore("projects/p/1", tmp_path / "copy")
    found = shape(tmp_path / "copy")
    assert sorted(found) == ["empty", "link", "sub", "sub/deep", "sub/deep/a.py"]
    assert found == {name: value for name, value in shape(data).items() if name in found}


def test_a_copy_may_be_changed(store: SnapshotStore, data: Path, tmp_path: Path) -> None:
    store.save("rows", data / "rows.csv")
    store.restore("rows", tmp_path / "rows.csv")
    (tmp_path / "rows.csv").write_text("changed")
    (data / "rows.csv").write_text("changed")
    assert store.path("rows").read_text() == "x\n1\n"
    store.restore("rows", tmp_path / "rows.csv")
    assert (tmp_path / "rows.csv").read_text() == "x\n1\n"


def test_what_is_held_stays(store: SnapshotStore, data: Path) -> None:
    store.save("rows", data / "rows.csv")
    (data / "rows.csv").write_text("changed")
    assert store.save("rows", data / "rows.csv") == Kept("rows", files=1, size=4)
    assert store.path("rows").read_text() == "x\n1\n"


def test_an_unchanged_file_is_never_sent_twice(store: SnapshotStore, data: Path, tmp_path: Path) -> None:
    (data / "again.csv").write_text("x\n1\n")
    assert store.save("one", data).sent == 4
    (data / "new.csv").write_text("123456")
    assert store.save("two", data).sent == 6


def test_a_key_that_is_not_held(store: SnapshotStore, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no snapshot nothing"):
        store.restore("nothing", tmp_path / "x")
    with pytest.raises(FileNotFoundError, match="holds no snapshot nothing"):
        store.path("nothing")


@pytest.mark.parametrize("key", ["", "/a", "a/", "../a", "a/../b", "blobs/x", ".views/x", "results/x"])
def test_a_key_never_leads_elsewhere(store: SnapshotStore, data: Path, key: str) -> None:
    with pytest.raises(ValueError, match="is no key of a snapshot"):
        store.save(key, data)


def test_a_folder_of_the_older_layout_is_not_held(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "store" / "data-sets" / "rows" / "1" / "rows")
    store = SnapshotStore(tmp_path / "store")
    assert not store.holds("data-sets/rows/1")
    store.save("data-sets/rows/1", data)
    assert store.path("data-sets/rows/1").name == data.name


def test_many_writers_of_one_key_leave_one_snapshot(store: SnapshotStore, data: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(store.save, "rows", data) for _ in range(8)]:
            done.result()
        for place in pool.map(lambda _: store.path("rows"), range(8)):
            assert (place / "rows.csv").read_text() == "x\n1\n"
    assert list((tmp_path / "cache").glob(".*")) == []


def test_two_processes_that_keep_one_key_at_once_leave_one_whole(
    settings: StoreSettings, store: SnapshotStore, data: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other" / data.name
    other.mkdir(parents=True)
    for number in range(30):
        (data / f"{number}").write_text(f"one {number}")
        (other / f"{number}").write_text(f"two {number}")
    environment = os.environ | settings.variables()
    writers = [
        subprocess.Popen([sys.executable, "-c", SAVING, str(source)], env=environment)
        for source in (data, other)
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    found = {path.name: path.read_text() for path in store.path("key").iterdir()}
    assert found in [{path.name: path.read_text() for path in source.iterdir()} for source in (data, other)]


def test_a_killed_writer_leaves_no_snapshot_and_the_next_one_completes(
    settings: StoreSettings, store: SnapshotStore, data: Path, tmp_path: Path
) -> None:
    environment = os.environ | settings.variables()
    with subprocess.Popen(
        [sys.executable, "-c", SAVING, str(data), "wait"], env=environment, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout
        assert writer.stdout.readline() == b"all but the manifest\n"
        assert not store.holds("key")
        store.save("other", data)
        os.kill(writer.pid, signal.SIGKILL)
    assert not store.holds("key")
    assert store.save("key", data) == Kept("key", files=1, size=4)
    assert (store.path("key") / "rows.csv").read_text() == "x\n1\n"
    if settings.folder:
        assert list((settings.folder / ".filling").iterdir()) == []


def blob_of(store: SnapshotStore, key: str) -> str:
    (entry,) = store.manifest(key).files
    return f"blobs/sha256/{entry.digest[:2]}/{entry.digest}"


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "is missing."), (b"x\n", "has 2 bytes instead of 4."), (b"x\n2\n", "was changed.")],
    ids=["missing", "cut short", "changed"],
)
def test_a_damaged_file_is_refused_and_not_restored(
    settings: StoreSettings, store: SnapshotStore, data: Path, tmp_path: Path, content: bytes | None, why: str
) -> None:
    store.save("data-sets/rows/1", data / "rows.csv")
    blob = blob_of(store, "data-sets/rows/1")
    store._contents.remove(blob)
    if content is not None:
        with store._contents.writing() as writer:
            writer.write(blob, content)
    with pytest.raises(Refused) as refused:
        store.restore("data-sets/rows/1", tmp_path / "copy")
    assert str(refused.value) == (
        f"AME-E847 the snapshot data-sets/rows/1 in the artifact store {settings.uri} is damaged. {blob} {why} "
        "Remove data-sets/rows/1/manifest.json there, and what is damaged: then it is made again when it is "
        "needed."
    )
    assert not (tmp_path / "copy").exists()

    store._contents.remove("data-sets/rows/1/manifest.json")
    if content != b"x\n2\n":
        store.save("data-sets/rows/1", data / "rows.csv")
        store.restore("data-sets/rows/1", tmp_path / "copy")
        assert (tmp_path / "copy").read_text() == "x\n1\n"


FOLDER = '{"form": 1, "name": "x", "entries": [{"path": ".", "kind": "folder"}, %s]}'


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ('{"form": 1, "na', "It is cut short or was not written by ame-flows."),
        ("[]", "It is cut short or was not written by ame-flows."),
        ('{"form": 2}', "It has form 2, and this release reads form 1."),
        ('{"form": 1, "name": "../x", "entries": []}', "Its name is no name of a file."),
        ('{"form": 1, "name": "x", "entries": []}', "It does not begin with the file or folder itself."),
        (FOLDER % '{"path": "../x", "kind": "folder"}', "It has the path '../x'."),
        (FOLDER % '{"path": "a", "kind": "link", "target": "b/../../c"}', "Its link 'a' leads out of it."),
        (
            FOLDER % '{"path": "a", "kind": "link", "target": "b"}, {"path": "a/b", "kind": "folder"}',
            "Its entry 'a/b' has no folder, or stands there twice.",
        ),
        (FOLDER % '{"path": "a", "kind": "file", "digest": "../../x"}', "Its file 'a' has no digest."),
    ],
    ids=["cut", "list", "newer", "name", "empty", "way out", "link out", "through a link", "digest"],
)
def test_a_damaged_manifest_is_refused(store: SnapshotStore, tmp_path: Path, content: str, why: str) -> None:
    with store._contents.writing() as writer:
        writer.write("key/manifest.json", content.encode())
    with pytest.raises(Refused) as refused:
        store.restore("key", tmp_path / "copy")
    assert str(refused.value) == (
        f"AME-E847 the snapshot key in the artifact store {store} is damaged. {why} Remove key/manifest.json "
        "there, and what is damaged: then it is made again when it is needed."
    )


def test_a_file_that_changes_while_it_is_sent_is_not_kept(
    bucket_settings: StoreSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hashlib

    store = open_store(bucket_settings)
    large = tmp_path / "large"
    large.write_bytes(bytes(6 << 20))
    digest = hashlib.file_digest

    def changing(file: object, name: str) -> object:
        found = digest(file, name)  # type: ignore[type-var]
        with large.open("r+b") as other:
            other.write(b"changed")
        return found

    monkeypatch.setattr("hashlib.file_digest", changing)
    with pytest.raises(OSError, match="was changed while it was read"):
        store.save("large", large)
    monkeypatch.undo()
    assert not store.holds("large")
    assert store.save("large", large).sent == 6 << 20
