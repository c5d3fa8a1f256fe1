"""A model's journal, to be read and shown."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ame.cli._reading import not_run_yet, refuse_other_models, registry_to_read
from ame.diagnosis import Diagnosis, Refused

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from ame.local import Home
    from ame.registry import Entry, Registry
    from ame.spec import Project

__all__ = [
    "about",
    "explained",
    "journal_to_read",
    "moved",
    "named",
    "one_line",
    "outline",
    "registry_of",
    "title",
    "whole",
]

#: What only an entry's file holds, which lists leave unread.
_IN_FILE = ("key", "numbers", "digests", "links")


def registry_of(project: Project) -> tuple[Registry, Home]:
    """The project's registry, to be read, and its home.

    Raises:
        Refused: AME-E708, when nothing was run yet.
    """
    registry, home = registry_to_read(project)
    if registry is None:
        raise Refused(not_run_yet(project, home))
    return registry, home


def journal_to_read(project: Project, model: str) -> tuple[Registry, list[Entry]]:
    """The registry and all entries of a model's journal, oldest first, at least one.

    Raises:
        Refused: AME-E708; AME-E701, when the project has no such model; AME-E330, when nothing is in its
            journal.
    """
    from ame.registry.journal import entries

    registry, _ = registry_of(project)
    with explained(registry):
        from ame.registry.chain import Chain

        found = entries(Chain(registry.client, model))
    if found:
        return registry, found
    refuse_other_models(project, model)
    raise Refused(
        Diagnosis(
            code="AME-E330",
            what=f"nothing is in the journal of '{model}' yet.",
            why="It begins with the first decision on a version.",
            fix="If older releases of ame-flows have decided, `ame doctor` takes that into it.",
        )
    )


@contextlib.contextmanager
def explained(registry: Registry, *, fix: str = "") -> Iterator[None]:
    """Let a failing registry be a diagnosis.

    Args:
        fix: what to do then, where running again is not it.
    """
    from mlflow.exceptions import MlflowException

    from ame.registry import diagnosis_of

    try:
        yield
    except MlflowException as error:
        found = diagnosis_of(error, registry.uri)
        raise Refused(replace(found, fix=fix or found.fix)) from error


def whole(registry: Registry, home: Home, entry: Entry) -> Entry:
    """All of an entry, its file included.

    Raises:
        Refused: AME-E322, when the file is missing or is not the one that was written.
    """
    from ame.registry.chain import Chain
    from ame.registry.journal import read_entry

    client = registry.client
    if not registry.uri.startswith("http"):
        client = cast("MlflowClient", _FromHome(client, home))
    return read_entry(Chain(client, entry.model), entry)


class _FromHome:
    """Reads what MLflow's server has stored in a home while that server does not run."""

    def __init__(self, client: MlflowClient, home: Home) -> None:
        self._client, self._home = client, home

    def download_artifacts(self, run_id: str, path: str, folder: str) -> str:
        root = self._client.get_run(run_id).info.artifact_uri.partition(":/")[2].lstrip("/")
        return str(shutil.copy(self._home.artifacts / root / path, Path(folder)))


def outline(entry: Entry) -> dict[str, Any]:
    """An entry for scripts, without what only its file holds."""
    return {name: value for name, value in entry.to_json().items() if name not in _IN_FILE}


def named(number: str | None) -> str:
    return f"v{number}" if number else "none"


def moved(entry: Entry) -> str:
    """The champion before and after an entry; what became of one that was not carried out."""
    told = named(entry.before)
    if entry.before != entry.after:
        told += f" -> {named(entry.after)}"
    if entry.void:
        instead = "taken it away" if entry.carried_out == "none" else f"set v{entry.carried_out}"
        return f"{told} (not carried out: somebody had {instead})"
    return told if entry.carried_out else f"{told} (not carried out yet)"


def title(entry: Entry, *, dated: bool = True) -> str:
    """An entry without its reason: number, time, decision, who, and the champion."""
    at = f", {entry.at}" if dated else ""
    on = f" v{entry.version}" if entry.version else ""
    return (
        f"entry {entry.sequence}{at}: {entry.decision}{on} by {one_line(entry.by)}, champion {moved(entry)}"
    )


def one_line(text: str, longest: int = 0) -> str:
    """A text that others have written as one line of a terminal, shortened where `longest` is given."""
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return line if not longest or len(line) <= longest else f"{line[: longest - 3].rstrip()}..."


def about(journal: Sequence[Entry], number: str) -> list[Entry]:
    """The entries on a version, and those that made it champion or put another in its place."""
    return [
        entry
        for entry in journal
        if entry.version == number or (entry.before != entry.after and number in (entry.before, entry.after))
    ]
