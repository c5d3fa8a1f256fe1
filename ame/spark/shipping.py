"""Make `ame` importable on executors that do not have it."""

from __future__ import annotations

import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ame.diagnosis import Diagnosis, Refused
from ame.spark.executors import ask_executors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["code_digest", "ship_code", "zipped_code"]

_NEEDED = ("numpy", "pyarrow", "scipy")
"""What the code that is sent imports itself."""

_OLDEST_DATE = (1980, 1, 1, 0, 0, 0)

_lock = threading.Lock()
_shipped: set[str] = set()
"""Applications whose executors have been seen to."""


def ship_code(spark: SparkSession) -> None:
    """See that tasks import this very `ame`, once for an application.

    Nothing on a local master, whose tasks run under this interpreter; nothing where all executors have the
    same files, as in the image of the driver; else they get them as a zip, which comes before what they have.

    Raises:
        Refused: AME-E539, when the executors cannot be asked, or lack numpy, pyarrow or scipy.
    """
    context = spark.sparkContext
    if context.master.startswith("local"):
        return
    with _lock:
        if context.applicationId in _shipped:
            return
        here = Path(__file__).parents[1]
        found = ask_executors(spark, _looking(_digesting(), _NEEDED))
        _refuse_lacking({lacking for _, _, lacking in found if lacking}, {host for host, _, _ in found})
        if {digest for _, digest, _ in found} != {code_digest(here)}:
            context.addPyFile(str(zipped_code(here, _served_folder() / "ame-code.zip")))
        _shipped.add(context.applicationId)


def code_digest(package: Path) -> str:
    """SHA-256 over the names and contents of a package's files, wherever it lies."""
    found: str = _digesting()(str(package))
    return found


def zipped_code(package: Path, target: Path) -> Path:
    """The package's files in a zip, of the same bytes for the same files."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in _files(package):
            name = zipfile.ZipInfo(f"{package.name}/{file.relative_to(package).as_posix()}", _OLDEST_DATE)
            name.compress_type = zipfile.ZIP_DEFLATED
            name.external_attr = 0o644 << 16
            archive.writestr(name, file.read_bytes())
    return target


def _files(package: Path) -> Iterator[Path]:
    yield from sorted(
        file for file in package.rglob("*") if file.is_file() and "__pycache__" not in file.parts
    )


def _served_folder() -> Path:
    """One that lasts as long as the session: executors fetch from it when they come."""
    from pyspark import SparkFiles

    folder = Path(SparkFiles.getRootDirectory(), "ame-code")
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


# Functions inside functions are sent as they are, to executors that need not have this module.
def _digesting() -> Callable[[str], str]:
    def digest(package: str) -> str:
        import hashlib
        from pathlib import Path

        root = Path(package)
        found = hashlib.sha256()
        for file in sorted(root.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                content = file.read_bytes()
                found.update(f"{file.relative_to(root).as_posix()}\0{len(content)}\0".encode() + content)
        return found.hexdigest()

    return digest


def _looking(digest: Callable[[str], str], needed: tuple[str, ...]) -> Any:
    """For `ask_executors`: host, digest of the `ame` that is there or None, and what is lacking."""

    def look(_: Any) -> Any:
        import os
        import socket
        from importlib.util import find_spec

        # Found and not imported: a Python worker that has imported one cannot take another.
        there = find_spec("ame")
        origin = there and there.origin
        held = digest(os.path.dirname(origin)) if origin and os.path.isfile(origin) else None  # noqa: PTH113, PTH120
        yield socket.gethostname(), held, tuple(name for name in needed if find_spec(name) is None)

    return look


def _refuse_lacking(lacking: set[tuple[str, ...]], hosts: set[str]) -> None:
    if lacking:
        names = sorted({name for each in lacking for name in each})
        raise Refused(
            Diagnosis(
                code="AME-E539",
                what=f"the executors of Spark lack {', '.join(names)}.",
                why=f"Asked were those on {', '.join(sorted(hosts))}.",
                fix="Give them by `spark: {image: ...}` on Kubernetes, or by `spark: {archive: ...}` "
                "(venv-pack or conda-pack).",
            )
        )
