"""The other projects that the files under reading refer to: found when one is needed, and read once each.

A project is looked for where the file that refers to it says under `projects`, else in the folders that
whoever loads it names, else in the folders beside that file's own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import yaml

from ame.diagnosis import Diagnosis, Refused, Where
from ame.spec.elsewhere import Declared, Fetched, NotFetchedError, Others
from ame.spec.peek import name_in, names_below
from ame.spec.problems import listed, shown

if TYPE_CHECKING:
    from ame.spec.reading import Reading

__all__ = ["Neighbours", "noted"]


class _Found(NamedTuple):
    """A folder that holds a project.

    Attributes:
        beside: the folder in which the projects beside it are; None for the topmost one of a repository,
            beside which are others' commits.
    """

    folder: Path
    beside: Path | None


class _Unusable(Exception):
    """What `projects` says of a place leads to no project; it has been reported."""


class Neighbours:
    """The projects of one loading.

    Args:
        find: gives the file of a folder's project; raises Refused.
        begin: reads what a file defines, up to what refers to other projects; raises Refused.
    """

    def __init__(
        self,
        others: Others,
        find: Callable[[Path], Path],
        begin: Callable[[Path, Path | None, Neighbours], Reading],
    ) -> None:
        self._others = others
        self._find = find
        self._begin = begin
        self._readings: dict[str, Reading] = {}
        self._refused: dict[str, Refused] = {}
        self._below: dict[Path, dict[str, list[Path]]] = {}
        self._beside: dict[Reading, dict[str, list[Path]]] = {}
        # The folders of projects with problems that a file has been told of.
        self._told: set[tuple[Reading, Path]] = set()
        self._found: dict[tuple[Reading, str], list[_Found]] = {}
        self._fetched: dict[tuple[Reading, str], Fetched] = {}
        #: What each was needed for first: the place and the words for it.
        self.needed: dict[Reading, tuple[Where, str]] = {}

    def read(self, file: Path, beside: Path | None) -> Reading:
        """What a file defines, read once.

        Args:
            beside: the folder in which projects beside it are looked for.

        Raises:
            Refused: when it cannot be read.
        """
        key = os.path.realpath(file)
        if key in self._refused:
            raise self._refused[key]
        if key not in self._readings:
            try:
                reading = self._begin(file, beside, self)
            except Refused as refused:
                self._refused[key] = refused
                raise
            self._readings[key] = reading
        return self._readings[key]

    def all(self) -> Iterator[Reading]:
        """Every file that is read, also those that come to it while the others are gone through."""
        done = 0
        while done < len(self._readings):
            yield list(self._readings.values())[done]
            done += 1

    def knows(self, reading: Reading, name: str) -> bool:
        """Whether there is a project of this name for a file; nothing is fetched and nothing reported."""
        if not self._others.only and name in reading.projects:
            return True
        return bool(self._look(reading, name))

    def need(self, reading: Reading, name: str, node: yaml.Node, owner: str, target: str) -> Reading | None:
        """A project that a file refers to; None, with a problem, when it cannot be had.

        Args:
            node: what refers to it.
            owner: what that belongs to, for example "task 'train'".
            target: what is referred to, for example "template 'gpu' of project 'shared'".
        """
        problems, where = reading.problems, reading.problems.where(node)
        try:
            found = self._places(reading, name)
        except _Unusable:
            return None
        if len(found) != 1:
            if found:
                self._refuse_ambiguous(reading, where, f"{owner} refers to {target}", found)
            else:
                self._refuse_missing(reading, name, node, f"{owner} refers to {target}")
            return None
        place = found[0]
        note = f"It is needed at {where}, by {owner}."
        try:
            other = self.read(self._find(place.folder), place.beside)
        except Refused as refused:
            if (reading, place.folder) not in self._told:
                self._told.add((reading, place.folder))
                for diagnosis in refused.diagnoses:
                    problems.adopt(noted(diagnosis, note))
            return None
        if other.project is not None and other.project != name:
            self._refuse_other_name(reading, name, other, node)
            return None
        same = next((each for each in self._readings.values() if each.project == name), other)
        if same is not other:
            folders = [_Found(each.file.parent, None) for each in (same, other)]
            self._refuse_ambiguous(reading, where, f"{owner} refers to {target}", folders)
            return None
        if other is not reading:
            reading.others[name] = other
            self.needed.setdefault(other, (where, owner))
        return other

    def _places(self, reading: Reading, name: str) -> list[_Found]:
        declared = reading.projects.get(name)
        if declared is not None and not self._others.only:
            return [self._declared(reading, name, declared)]
        return self._look(reading, name)

    def _look(self, reading: Reading, name: str) -> list[_Found]:
        """Where projects of a name are, but for what the file says: in the first place that has one."""
        key = (reading, name)
        if key not in self._found:
            places = [
                _Found(folder, place if folder != place else place.parent)
                for place in self._others.places
                for folder in self._projects_in(place).get(name, [])
            ]
            self._found[key] = _distinct(places) or [
                _Found(folder, folder.parent) for folder in self._beside_of(reading).get(name, [])
            ]
        return self._found[key]

    def _projects_in(self, place: Path) -> dict[str, list[Path]]:
        """The projects of a folder that whoever loads them has named: itself, or those in it."""
        own = name_in(place)
        return {own: [place]} if own is not None else self._below_of(place)

    def _beside_of(self, reading: Reading) -> dict[str, list[Path]]:
        beside = reading.beside
        if beside is None or self._others.only:
            return {}
        if reading not in self._beside:
            mine = os.path.realpath(reading.file.parent)
            self._beside[reading] = {
                name: rest
                for name, folders in self._below_of(beside).items()
                if (rest := [folder for folder in folders if os.path.realpath(folder) != mine])
            }
        return self._beside[reading]

    def _below_of(self, folder: Path) -> dict[str, list[Path]]:
        if folder not in self._below:
            self._below[folder] = names_below(folder)
        return self._below[folder]

    def _declared(self, reading: Reading, name: str, declared: Declared) -> _Found:
        if declared.git is None:
            folder = Path(os.path.normpath(reading.file.parent / str(declared.path)))
            if not os.path.isdir(folder):  # noqa: PTH112  # Path.is_dir() raises where a name is too long
                what = f"'projects' says that {shown(name)} is in {declared.path}, where there is no folder."
                self._refuse_declared(reading, declared, what)
            return _Found(folder, folder.parent)
        fetched = self._fetch(reading, name, declared)
        if declared.folder is None:
            return _Found(fetched.folder, None)
        folder = fetched.folder / declared.folder
        if not os.path.isdir(folder):  # noqa: PTH112  # Path.is_dir() raises where a name is too long
            what = f"the repository of project {shown(name)} has no folder {declared.folder}."
            self._refuse_declared(reading, declared, what, f"This is {declared.git}.")
        return _Found(folder, folder.parent)

    def _fetch(self, reading: Reading, name: str, declared: Declared) -> Fetched:
        key = (reading, name)
        if key not in self._fetched:
            assert declared.git is not None  # noqa: S101  # the caller has looked
            what = f"project {shown(name)} cannot be fetched from {declared.git}."
            if self._others.fetch is None:
                self._refuse_declared(reading, declared, what, "Nothing fetches repositories here.")
            try:
                fetched = self._fetched[key] = self._others.fetch(declared.git)
            except NotFetchedError as error:
                self._refuse_declared(reading, declared, what, error.why, error.fix)
            if fetched.stale:
                reading.problems.add(
                    "AME-W106",
                    declared.where,
                    f"project {shown(name)} is read as it was at commit {fetched.commit[:12]}.",
                    why=fetched.stale,
                )
        return self._fetched[key]

    def _refuse_declared(
        self, reading: Reading, declared: Declared, what: str, why: str = "", fix: str = ""
    ) -> NoReturn:
        reading.problems.add("AME-E143", declared.where, what, why, fix)
        raise _Unusable

    def _refuse_other_name(self, reading: Reading, name: str, other: Reading, node: yaml.Node) -> None:
        declared = reading.projects.get(name)
        reading.problems.add(
            "AME-E143",
            declared.where if declared else node,
            f"the project in {other.file.parent} is not {shown(name)}.",
            why=f"Its file says that its name is {shown(str(other.project))}.",
            fix="Write that name, here and where it is referred to.",
        )

    def _refuse_ambiguous(self, reading: Reading, where: Where, what: str, found: list[_Found]) -> None:
        folders = listed([str(place.folder) for place in found], " and ")
        reading.problems.add(
            "AME-E142",
            where,
            f"{what}, and there are {len(found)} of that name.",
            why=f"They are in {folders}.",
            fix="Say under `projects` which one is meant.",
        )

    def _refuse_missing(self, reading: Reading, name: str, node: yaml.Node, what: str) -> None:
        looked: list[str] = []
        known: dict[str, None] = {}
        if not self._others.only:
            known.update(dict.fromkeys(reading.projects))
            looked.append(f"under 'projects' of its file ({listed(list(reading.projects)) or 'nothing'})")
        for place in self._others.places:
            there = self._projects_in(place)
            known.update(dict.fromkeys(there))
            said = listed(list(there)) or ("no project" if os.path.isdir(place) else "no such folder")  # noqa: PTH112
            looked.append(f"in {place} ({said})")
        beside = reading.beside
        if beside is not None and not self._others.only:
            there = self._beside_of(reading)
            known.update(dict.fromkeys(there))
            looked.append(f"beside its folder ({listed(list(there)) or 'no project'})")
        reading.problems.add(
            "AME-E141",
            node,
            f"{what}, which is not found.",
            why=f"Looked {listed(looked, ', ')}.",
            fix=reading.problems.near(name, known)
            or "Say under `projects` where it is, or name its folder with `--project-path`.",
        )


def noted(diagnosis: Diagnosis, note: str) -> Diagnosis:
    """A diagnosis of another project's file, with what it is needed for."""
    return replace(diagnosis, why=f"{diagnosis.why} {note}".lstrip())


def _distinct(found: list[_Found]) -> list[_Found]:
    return list({os.path.realpath(place.folder): place for place in found}.values())
