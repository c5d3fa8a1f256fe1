"""Where other projects are: what a file says of it under `projects`, and what whoever loads it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import yaml

from ame.diagnosis import Where
from ame.spec import words
from ame.spec.entries import mapping_entries
from ame.spec.problems import shown
from ame.spec.scalars import read_name
from ame.spec.scalars_of_projects import holds_token
from ame.spec.section import Section

__all__ = ["Declared", "Fetch", "Fetched", "GitSource", "NotFetchedError", "Others", "read_projects"]


class GitSource(NamedTuple):
    """A git repository, and what of it is wanted.

    Attributes:
        reference: a branch, tag or commit; None is the repository's main branch.
    """

    url: str
    reference: str | None = None

    def __str__(self) -> str:
        return f"{self.url} at {self.reference}" if self.reference else self.url


class Fetched(NamedTuple):
    """A repository's files at one commit.

    Attributes:
        folder: absolute.
        stale: why they may not be the newest, in whole sentences; empty when they are.
    """

    folder: Path
    commit: str
    stale: str = ""


class NotFetchedError(Exception):
    """A repository that cannot be had.

    Attributes:
        why: whole sentences.
        fix: whole sentences; may be empty.
    """

    def __init__(self, why: str, fix: str = "") -> None:
        super().__init__(why, fix)
        self.why = why
        self.fix = fix


#: Brings a repository's files here, or raises `NotFetchedError`.
Fetch = Callable[[GitSource], Fetched]


@dataclass(frozen=True, slots=True, kw_only=True)
class Others:
    """Where projects are looked for that a file refers to.

    Attributes:
        places: folders, each a project or a folder of projects.
        only: they are nowhere else: neither where the file says nor beside its folder.
        fetch: brings git repositories here; None: they cannot be had.
    """

    places: tuple[Path, ...] = ()
    only: bool = False
    fetch: Fetch | None = None


class Declared(NamedTuple):
    """What a file says under `projects` of where one of them is: exactly one of `path` and `git` is given.

    Attributes:
        path: absolute, or relative to the file's folder.
        folder: below a repository's topmost one.
    """

    where: Where
    path: str | None
    git: GitSource | None
    folder: str | None


def read_projects(project: Section) -> dict[str, Declared]:
    """What stands under `projects`, by name; an entry with problems is left out."""
    entry = project.entries.get("projects")
    if entry is None:
        return {}
    problems, own = project.problems, project.raw("name")
    found: dict[str, Declared] = {}
    for word, each in mapping_entries(problems, entry.value, "'projects'"):
        name = project.interpret(each.key, "a name under 'projects'", word, read_name)
        source = Section(problems, each.value, words.PROJECT_SOURCE, f"project {shown(word)}")
        declared = _declared(source, problems.where(each.key))
        if word == own:
            what = f"'projects' says where {shown(word)} is, which is this project itself."
            problems.add("AME-E129", each.key, what, fix="Leave it out.")
        elif name is not None and declared is not None:
            found[name] = declared
    return found


def _declared(source: Section, where: Where) -> Declared | None:
    path, url = source.text("path"), None if _tells_token(source) else source.text("git")
    reference, folder = source.text("reference"), source.text("folder")
    given = [key for key in ("path", "git") if source.given(key)]
    if len(given) != 1 and source.sound:
        count = "both" if given else "neither"
        source.error("AME-E129", None, f"{source.owner} must have one of 'path' and 'git', and has {count}.")
    beside = [f"'{key}'" for key in ("reference", "folder") if source.given(key)]
    if beside and given == ["path"]:
        what = f"{source.owner} has {' and '.join(beside)}, which belong to 'git', beside 'path'."
        source.error("AME-E129", "path", what)
    if (path is None) == (url is None):
        return None
    return Declared(where, path, GitSource(url, reference) if url else None, folder)


def _tells_token(source: Section) -> bool:
    """Whether the address of a repository holds a password or token; it is reported without it."""
    entry = source.entries.get("git")
    text = entry.value.value if entry is not None and isinstance(entry.value, yaml.ScalarNode) else ""
    if entry is None or not holds_token(text):
        return False
    what = f"'git' of {source.owner} holds a user, a password or a token."
    why = "Whoever reads the file knows it."
    fix = "Leave it out and change it: git's own credentials are used, or the token in AME_GIT_TOKEN."
    source.problems.add("AME-E135", entry.value, what, why, fix)
    return True
