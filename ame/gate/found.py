"""The data files of a table of scores, and what is said where they cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pyarrow.fs import FileType

from ame.diagnosis import Diagnosis, Refused, Where
from ame.places import Place, format_of, place_of

__all__ = ["Found", "find", "readable"]


@dataclass(frozen=True, slots=True)
class Found:
    """Data files of one kind.

    Attributes:
        place: the file or the folder that was given.
        files: their paths, in order.
        form: `parquet` or `csv`.
    """

    place: Place
    files: tuple[str, ...]
    form: str

    @property
    def given(self) -> str:
        """What was given, as it was written."""
        return self.place.uri

    @property
    def in_folder(self) -> bool:
        """Whether a folder was given, and not the file itself."""
        return self.files != (self.place.path,)

    def where(self, file: str) -> str:
        """How messages name a file: as it was given, or with the folder that was."""
        return self.place.shown(file) if self.in_folder else self.given


def find(data: str | Path) -> Found:
    """The data files at a path, or at `s3://bucket/prefix`, in the order of their paths.

    Names that begin with a point or an underscore are passed over, as are files of other kinds.

    Raises:
        Refused: AME-E504 when there is nothing, or files of two kinds.
    """
    given = str(data)
    with readable(given):
        place = _place(data)
        files = [info.path for info in place.files()]
        if not files and place.system().get_file_info(place.path).type == FileType.NotFound:
            raise _unreadable(given, "There is no such file or folder.")
    if files == [place.path]:
        return Found(place, (place.path,), format_of(place.path) or "parquet")
    forms = {form for form in map(format_of, files) if form is not None}
    if len(forms) == 1:
        (form,) = forms
        return Found(place, tuple(file for file in files if format_of(file) == form), form)
    why = "holds parquet files and CSV files" if forms else "holds no parquet file and no CSV file"
    raise _unreadable(given, f"The folder {why}.")


@contextmanager
def readable(where: str | None) -> Iterator[None]:
    """Turn what goes wrong in reading into a refusal.

    Raises:
        Refused: AME-E504.
    """
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeError) as error:
        why = (str(error) or type(error).__name__).partition("\n")[0].rstrip(". ") + "."
        raise _unreadable(where, why) from error


def _place(data: str | Path) -> Place:
    try:
        return place_of(data)
    except ValueError as error:
        raise _unreadable(str(data), f"{error}.") from None


def _unreadable(where: str | None, why: str) -> Refused:
    return Refused(
        Diagnosis(
            code="AME-E504",
            where=None if where is None else Where(where),
            what="The table of scores cannot be read.",
            why=why,
            fix="Give a parquet or CSV file, or a folder of such files of one kind, with one row for each "
            "scored row.",
        )
    )
