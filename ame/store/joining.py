"""Snapshots made of other snapshots: joined, put over each other, or cut out; no file is read for it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ame.store.manifest import Entry, Manifest

__all__ = ["Clash", "Joined", "changed_since", "cut_out", "joined", "put_over"]


class Clash(Exception):
    """Two ends left something different at one path.

    Attributes:
        path: relative; the first one of `paths`.
        first, second: the names of the ends.
        paths: how many paths they left differently.
    """

    def __init__(self, path: str, first: str, second: str, paths: int) -> None:
        super().__init__(path, first, second, paths)
        self.path, self.first, self.second, self.paths = path, first, second, paths


@dataclass(frozen=True, slots=True)
class Joined:
    """What several ends of one start make together.

    Attributes:
        entries: each folder before what is in it.
        changed: by path, the end that changed, made or removed what was there.
    """

    entries: tuple[Entry, ...]
    changed: Mapping[str, str]


def joined(start: Iterable[Entry], ends: Mapping[str, Iterable[Entry]]) -> Joined:
    """What is there when all that was changed since a start, by several who did not see each other, holds.

    Content, modes and the aims of links count, and times do not. What two of them left alike is alike.

    Raises:
        Clash: when two of them left something different at one path.
    """
    before = {entry.path: entry for entry in start}
    after = dict(before)
    changed: dict[str, str] = {}
    clashes: list[tuple[str, str, str]] = []
    for name, entries in ends.items():
        end = {entry.path: entry for entry in entries}
        for path in sorted(before.keys() | end.keys()):
            left = end.get(path)
            if _alike(before.get(path), left):
                continue
            if path not in changed:
                changed[path] = name
                if left is None:
                    after.pop(path, None)
                else:
                    after[path] = left
            elif not _alike(after.get(path), left):
                clashes.append((path, changed[path], name))
    clashes += _keep_folders(before, after, changed)
    if clashes:
        raise Clash(*min(clashes), len({path for path, _, _ in clashes}))
    return Joined(tuple(after[path] for path in sorted(after, key=_place)), changed)


def changed_since(start: Manifest, end: Manifest) -> Manifest | None:
    """The files and links of an end that the start has not, or not so; None when there are none."""
    before = {entry.path: entry for entry in start.entries}
    kept = {
        entry.path
        for entry in end.entries
        if entry.kind != "folder" and not _alike(before.get(entry.path), entry)
    }
    around = {".", *(parent for path in kept for parent in _parents(path))}
    entries = [
        entry
        for entry in end.entries
        if entry.path in kept or (entry.kind == "folder" and entry.path in around)
    ]
    return Manifest(end.name, tuple(entries)) if kept else None


def put_over(base: Manifest, parts: Mapping[str, Manifest]) -> Manifest:
    """A snapshot over which others are laid at paths, as `SnapshotStore.restore` does it with folders."""
    entries = {entry.path: entry for entry in base.entries}
    for wanted, part in parts.items():
        folder, name = posixpath.split(posixpath.normpath(wanted))
        # A link on the way leads to the same place for a program that writes there.
        path = posixpath.normpath(posixpath.join(_aim(entries, folder or ".") or folder, name))
        for parent in _parents(path):
            if parent not in entries or entries[parent].kind != "folder":
                entries[parent] = Entry(path=parent, kind="folder", mode=0o755)
        for entry in part.entries:
            placed = posixpath.normpath(posixpath.join(path, entry.path))
            if entry.kind != "folder" and placed in entries and entries[placed].kind == "folder":
                for below in [known for known in entries if known.startswith(f"{placed}/")]:
                    del entries[below]
            entries[placed] = replace(entry, path=placed)
    return Manifest(base.name, tuple(entries[path] for path in sorted(entries, key=_place)))


def cut_out(whole: Manifest, path: str) -> Manifest | None:
    """What stands at a path of a snapshot, as a snapshot of its own; None when nothing does.

    A link that leads out of it counts as what it leads to.

    Raises:
        OSError: when such a link leads nowhere, or to a folder around it.
    """
    path = posixpath.normpath(path)
    cut = _Cut({entry.path: entry for entry in whole.entries}, path)
    if cut.top is None:
        return None
    return Manifest(
        whole.name if path == "." else posixpath.basename(path), tuple(cut.below(cut.top, ".", ()))
    )


class _Cut:
    """One cut out of a snapshot's entries; `top` is the path that is cut out, or None."""

    def __init__(self, entries: Mapping[str, Entry], path: str) -> None:
        self.top = _aim(entries, path)
        self._entries = entries
        self._children: dict[str, list[str]] = {}
        for each in sorted(entries.keys() - {"."}):
            self._children.setdefault(posixpath.dirname(each) or ".", []).append(each)

    def below(self, source: str, path: str, around: tuple[str, ...]) -> Iterable[Entry]:
        """What stands at `source`, as entries at `path` and below it.

        Args:
            around: the folders that `source` was reached through.
        """
        entry = self._entries[source]
        if entry.kind == "link" and not self._stays_inside(source, entry):
            aim = _aim(self._entries, source)
            if aim is None:
                raise OSError(f"the link {source} leads nowhere")
            if aim in around or _is_in(source, aim):
                raise OSError(f"the link {source} leads to a folder around it")
            yield from self.below(aim, path, around)
            return
        yield replace(entry, path=path)
        if entry.kind == "folder":
            for child in self._children.get(source, ()):
                name = posixpath.basename(child)
                placed = name if path == "." else f"{path}/{name}"
                yield from self.below(child, placed, (*around, source))

    def _stays_inside(self, source: str, link: Entry) -> bool:
        aim = posixpath.normpath(posixpath.join(posixpath.dirname(source), link.target))
        return self.top is not None and _is_in(source, self.top) and _is_in(aim, self.top)


def _aim(entries: Mapping[str, Entry], path: str) -> str | None:
    """The path of the file or folder that a path leads to, through links; None when it leads nowhere."""
    for _ in range(len(entries) + 1):
        for part in (*_parents(path), path):
            entry = entries.get(part)
            if entry is None:
                return None
            if entry.kind == "link":
                rest = posixpath.relpath(path, part)
                path = posixpath.normpath(posixpath.join(posixpath.dirname(part), entry.target, rest))
                break
        else:
            return path
    return None


def _keep_folders(
    before: Mapping[str, Entry], after: dict[str, Entry], changed: Mapping[str, str]
) -> Iterable[tuple[str, str, str]]:
    """Keep the folders around what is left; tells what stands below something that is no folder any more."""
    for path in list(after):
        for parent in _parents(path):
            around = after.get(parent)
            if around is None:
                after[parent] = before.get(parent) or Entry(path=parent, kind="folder", mode=0o755)
            elif around.kind != "folder":
                yield path, changed[parent], changed.get(path, changed[parent])


def _alike(one: Entry | None, other: Entry | None) -> bool:
    if one is None or other is None or one is other:
        return one is other
    return replace(one, modified=0) == replace(other, modified=0)


def _is_in(path: str, folder: str) -> bool:
    """Whether a path is that of a folder or of something in it."""
    return folder in (".", path) or path.startswith(f"{folder}/")


def _parents(path: str) -> list[str]:
    """The folders around a path, from the outermost one: `.`, `a`, `a/b` for a/b/c; none for `.` itself."""
    parts = path.split("/")
    return [] if path == "." else [".", *("/".join(parts[:end]) for end in range(1, len(parts)))]


def _place(path: str) -> list[str]:
    """By this key a folder comes before what is in it."""
    return [] if path == "." else path.split("/")
