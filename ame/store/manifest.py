"""A snapshot's manifest: what is in it and which blobs hold the content.

It is read from a place that others can write to, so that nothing in it is believed: a path that leads out
of the snapshot, or through a link, is damage like any other.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["Entry", "Manifest"]

_FORM = 1
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file, folder or link of a snapshot.

    Attributes:
        path: relative; `.` is the file or folder that was saved.
        mode: permission bits, of files and folders.
        modified: nanoseconds since the epoch, of files and folders.
        digest, size: SHA-256 and bytes of a file's content.
        target: of a link, relative and within the snapshot.
    """

    path: str
    kind: Literal["file", "folder", "link"]
    mode: int = 0o644
    modified: int = 0
    digest: str = ""
    size: int = 0
    target: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A snapshot.

    Attributes:
        name: of the file or folder that was saved.
        entries: each folder before what is in it.
    """

    name: str
    entries: tuple[Entry, ...]

    @property
    def files(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.kind == "file"]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.entries)

    def to_bytes(self) -> bytes:
        defaults = asdict(Entry(path="", kind="file"))
        entries = [
            {
                name: value
                for name, value in asdict(entry).items()
                if value != defaults[name] or name == "kind"
            }
            for entry in self.entries
        ]
        # Names that are no text come through as lone surrogates, which JSON can carry as escapes only.
        return json.dumps({"form": _FORM, "name": self.name, "entries": entries}).encode("ascii")

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @classmethod
    def from_bytes(cls, content: bytes) -> Manifest:
        """Read a manifest.

        Raises:
            ValueError: with a sentence that says what is wrong with it.
        """
        try:
            read: Any = json.loads(content)
            if read["form"] != _FORM:
                raise ValueError(f"It has form {read['form']}, and this release reads form {_FORM}.")
            found = cls(str(read["name"]), tuple(Entry(**entry) for entry in read["entries"]))
        except (KeyError, TypeError, json.JSONDecodeError, UnicodeDecodeError):
            raise ValueError("It is cut short or was not written by ame-flows.") from None
        if found.name != posixpath.basename(found.name) or found.name in {"", ".", ".."}:
            raise ValueError("Its name is no name of a file.")
        found._check()
        return found

    def _check(self) -> None:
        if not self.entries or self.entries[0].path != "." or self.entries[0].kind == "link":
            raise ValueError("It does not begin with the file or folder itself.")
        folders: set[str] = set()
        seen: set[str] = set()
        for entry in self.entries:
            path = entry.path
            inside = path == "." or posixpath.dirname(path) in folders
            if path != posixpath.normpath(path) or path.startswith(("/", "..")) or "\0" in path:
                raise ValueError(f"It has the path {path!r}.")
            if not inside or path in seen:
                raise ValueError(f"Its entry {path!r} has no folder, or stands there twice.")
            seen.add(path)
            if entry.kind == "folder":
                folders.add("" if path == "." else path)
            elif entry.kind == "file" and not _DIGEST.fullmatch(entry.digest):
                raise ValueError(f"Its file {path!r} has no digest.")
            elif entry.kind == "link" and _leads_out(path, entry.target):
                raise ValueError(f"Its link {path!r} leads out of it.")
            elif entry.kind not in {"file", "folder", "link"}:
                raise ValueError(f"Its entry {path!r} is of no known kind.")


def _leads_out(path: str, target: str) -> bool:
    reached = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    return not target or target.startswith("/") or reached == ".." or reached.startswith("../")
