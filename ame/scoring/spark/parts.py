"""The folder with the scores: one file a piece, and what says that they are all there."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs

from ame.places import Place, in_threads
from ame.scoring.spark.footers import read_footer
from ame.scoring.spark.loading import failing

__all__ = [
    "PLACE",
    "Part",
    "Scores",
    "begin",
    "file_of",
    "finish",
    "finished",
    "new_file",
    "parts_in",
    "tidy",
]

#: What a task tells about its file, as Spark spells columns.
PLACE = "number long, file string, rows long, digests string"

_KEY, _SUCCESS = "_ame.json", "_SUCCESS.json"


@dataclass(frozen=True, slots=True)
class Part:
    """A file of scores, whole.

    Attributes:
        digests: SHA-256 of each model's scores in it.
    """

    number: int
    file: str
    rows: int
    digests: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Scores:
    """What `_SUCCESS.json` tells of a complete folder.

    Attributes:
        classes: whose probabilities the scores are, in their order; empty where none is named.
    """

    key: str
    parts: tuple[Part, ...]
    classes: tuple[Any, ...]

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)

    def digest_of(self, model: str) -> str:
        """SHA-256 over those of the files, in order."""
        return hashlib.sha256("".join(part.digests[model] for part in self.parts).encode()).hexdigest()


def file_of(number: int) -> str:
    """The name of the file with a piece's scores; names in order are pieces in order."""
    return f"part-{number:05d}.parquet"


def finished(folder: Place, key: str | None = None) -> Scores | None:
    """The scores of a folder that is complete; None when it is not, or of another key than is asked for."""
    told = _told(folder, _SUCCESS)
    if told is None or (key is not None and told.get("key") != key):
        return None
    sizes = {each["file"]: each.pop("bytes", None) for each in told["files"]}
    parts = tuple(Part(**each) for each in told["files"])
    there = _sizes(folder)
    # A disk that was full, or somebody, may have cut a file since.
    if any(name not in there or size not in (None, there[name]) for name, size in sizes.items()):
        return None
    return Scores(str(told["key"]), parts, tuple(told["classes"]))


def parts_in(folder: Place, key: str) -> list[Part]:
    """The files of this key that are whole, in order; whatever a killed attempt left else is none."""
    system = folder.system()

    def read(info: pafs.FileInfo) -> Part | None:
        try:
            footer = read_footer(system, info.path)
            told = json.loads((footer.metadata.metadata or {}).get(b"ame", b"{}"))
        except (OSError, ValueError):
            return None
        if told.get("key") != key or told["rows"] != footer.metadata.num_rows:
            return None
        name = PurePosixPath(info.path).name
        return Part(told["number"], name, told["rows"], json.loads(told["digests"]))

    parts = [part for part in in_threads(read, folder.files()) if part is not None]
    return sorted((part for part in parts if part.file == file_of(part.number)), key=lambda part: part.number)


def tidy(folder: Place, *, everything: bool) -> None:
    """Remove what attempts that were killed left half written, or everything."""
    system = folder.system()
    for info in folder.files(hidden=True):
        if everything or PurePosixPath(info.path).name.startswith(".part-"):
            with contextlib.suppress(FileNotFoundError):
                system.delete_file(info.path)


def begin(folder: Place, key: str, described: Mapping[str, Any]) -> None:
    """Say in the folder what it is for."""
    _write(folder, _KEY, {"key": key, **described})


def finish(folder: Place, key: str, parts: Sequence[Part], classes: Sequence[Any]) -> Scores:
    """Say that the folder is complete; the last file that is written."""
    scores = Scores(key, tuple(parts), tuple(classes))
    sizes = _sizes(folder)
    files = [
        {
            "number": part.number,
            "file": part.file,
            "bytes": sizes.get(part.file),
            "rows": part.rows,
            "digests": dict(part.digests),
        }
        for part in parts
    ]
    digests = {model: scores.digest_of(model) for model in (parts[0].digests if parts else ())}
    told = {"key": key, "rows": scores.rows, "digests": digests, "classes": list(classes), "files": files}
    _write(folder, _SUCCESS, told)
    return scores


def _told(folder: Place, name: str) -> dict[str, Any] | None:
    try:
        with folder.system().open_input_stream(folder.below(name)) as file:
            told = json.loads(file.readall())
    except (FileNotFoundError, ValueError):
        return None
    return told if isinstance(told, dict) else None


def _sizes(folder: Place) -> dict[str, int]:
    """The files by name, in bytes."""
    return {PurePosixPath(info.path).name: info.size for info in folder.files()}


def _write(folder: Place, name: str, told: Mapping[str, Any]) -> None:
    content = json.dumps(told, indent=1).encode()
    if not folder.bucket:
        Path(folder.path).mkdir(parents=True, exist_ok=True)
        half = Path(folder.below(f".{name}.{uuid.uuid4().hex}"))
        half.write_bytes(content)
        half.replace(folder.below(name))
        return
    with folder.system().open_output_stream(folder.below(name)) as file:
        file.write(content)


@contextlib.contextmanager
def new_file(folder: Place, name: str) -> Iterator[str]:
    """A file to write, which gets its name when it is whole; the attempt that is last wins.

    A disk takes the name in one step, and a bucket shows a file when all of it is there.
    """
    with contextlib.ExitStack() as stack:
        with failing("output", (OSError,)):
            if not folder.bucket:
                Path(folder.path).mkdir(parents=True, exist_ok=True)
                file = folder.below(f".{name}.{uuid.uuid4().hex}")
                stack.callback(lambda: Path(file).unlink(missing_ok=True))
            else:
                place = stack.enter_context(tempfile.TemporaryDirectory(prefix="ame-scores-"))
                file = f"{place}/{name}"
        yield file
        with failing("output", (OSError,)):
            if not folder.bucket:
                try:
                    os.replace(file, folder.below(name))  # noqa: PTH105 - pathlib's would need two paths more
                except FileNotFoundError:
                    # Who has scored the same meanwhile has tidied up, and left the same file.
                    if not Path(folder.below(name)).exists():
                        raise
            else:
                with pa.OSFile(file) as written, folder.system().open_output_stream(folder.below(name)) as to:
                    to.upload(written)
