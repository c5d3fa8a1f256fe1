"""Data sets of other projects: whose work it is to make them, and under which key they are kept.

In one process the other project is a folder. For a run from a deployment it is what was deployed of it: the
parameters of its own deployment say from which files.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from prefect import get_client
from prefect.exceptions import ObjectNotFound

from ame.diagnosis import Diagnosis, Refused
from ame.runtime import (
    borrowed_for,
    data_set_keys,
    project_digest,
    project_files,
    refuse_missing,
    refusing_file_errors,
)
from ame.spec import DataSet, Project
from ame.store import digest_of_folder
from flows._deployed import SNAPSHOT, other_deployed
from flows._dispatch import deployed
from flows._work import Work

__all__ = ["Lent", "borrow"]


@dataclass(frozen=True, slots=True)
class Lent:
    """A data set of another project.

    Attributes:
        work: the other project, with what its runs are started with.
        name: as the other project calls it.
        key: the store's.
    """

    work: Work
    name: str
    key: str


async def borrow(work: Work, name: str) -> Lent:
    """A data set of another project, which may have to be made yet.

    Args:
        name: `PROJECT.NAME`.

    Raises:
        Refused: AME-E205, when its files are missing, AME-E208, when they cannot be read, AME-E725, when its
            project is not deployed.
    """
    owner, data_set = work.project.data_set(name)
    if data_set.task is None:
        return Lent(work, data_set.name, await asyncio.to_thread(_kept, work, owner, data_set))
    if deployed():
        origin = await _origin(owner, data_set)
        other = await asyncio.to_thread(other_deployed, work, origin)
        if data_set.name not in other.project.data_sets:
            raise Refused(
                _not_deployed(owner, data_set, f"What is deployed of it, {origin}, does not have it.")
            )
    else:
        digest = await asyncio.to_thread(project_digest, owner)
        other = replace(work, project=owner, origin=str(owner.folder), env={}, source=digest)
    inner = sorted(borrowed_for(other.project, [data_set.name]))
    keys = {each: (await borrow(other, each)).key for each in inner}
    return Lent(other, data_set.name, data_set_keys(other.project, other.source, keys)[data_set.name])


def _kept(work: Work, owner: Project, data_set: DataSet) -> str:
    """Keep files of another project that no task makes; they are told apart by their content."""
    refuse_missing(owner, data_set)
    path = owner.folder / data_set.path
    with refusing_file_errors(
        f"data set '{data_set.name}' of '{owner.name}' cannot be read.", data_set.where
    ):
        files = [file for file in project_files(owner) if path in (file, *file.parents)]
        key = f"data-sets/{data_set.name}/{digest_of_folder(owner.folder, files)[:20]}"
        if not work.store.holds(key):
            work.store.save(key, path)
    return key


async def _origin(owner: Project, data_set: DataSet) -> str:
    """The snapshot that another project's deployment makes a data set from."""
    async with get_client() as client:
        try:
            found = await client.read_deployment_by_name(f"produce-data-set/{owner.name}.{data_set.name}")
        except ObjectNotFound:
            raise Refused(_not_deployed(owner, data_set, "")) from None
    origin = str(found.parameters.get("project", ""))
    if not origin.startswith(SNAPSHOT):
        raise Refused(_not_deployed(owner, data_set, "Its deployment was not made by `ame compile`."))
    return origin


def _not_deployed(owner: Project, data_set: DataSet, why: str) -> Diagnosis:
    name = f"{owner.name}.{data_set.name}"
    return Diagnosis(
        code="AME-E725",
        where=data_set.where,
        what=f"data set '{name}' has no deployment on the server that makes it.",
        why=why or f"It would be 'produce-data-set/{name}', of what is deployed of that project.",
        fix=f"Deploy '{owner.name}': `ame compile` its folder, then `prefect --no-prompt deploy --all`.",
    )
