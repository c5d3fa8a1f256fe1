"""Steps that a prefect.yaml of `ame compile` runs at deploy."""

from __future__ import annotations

import asyncio
import functools
from pathlib import Path

import click

from ame.diagnosis import Diagnosis, Refused
from ame.local import cache_folder
from ame.runtime import project_files, refusing_file_errors
from ame.sources import load_project
from flows._deployed import SNAPSHOT, project_key, store_of
from flows._neighbours import deployed_digest, keep_neighbours

__all__ = ["snapshot_project"]


def snapshot_project(project: str, artifact_store: str) -> dict[str, str]:
    """Keep a project's files in the artifact store, so that its runs have them as they were at deploy.

    What it needs of the projects that it refers to is kept with it.

    Within one `prefect deploy` a project is kept once, and all its deployments name the same files.

    Args:
        project: the project's folder, relative to the folder that `prefect deploy` runs in.
        artifact_store: the block that describes the store, for example artifact-store/ame.

    Returns:
        `project`, the value of each deployment's parameter of that name, and `version`, the first twelve
        digits of the files' digest.

    Raises:
        SystemExit: with code 1, after the diagnoses, when the file has problems or the store cannot be
            used; of any other exception Prefect would print the traceback.
    """
    try:
        return _kept(project, artifact_store)
    except Refused as refused:
        click.echo(str(refused), err=True)
        raise SystemExit(1) from None


@functools.cache
def _kept(project: str, artifact_store: str) -> dict[str, str]:
    loaded = load_project(Path(project))
    digest = deployed_digest(loaded)
    key = project_key(loaded.name, digest)
    store = asyncio.run(store_of(artifact_store, cache=cache_folder() / "store"))
    place = Path(str(store))
    if place.is_absolute() and place.resolve().is_relative_to(loaded.folder.resolve()):
        raise Refused(
            Diagnosis(
                code="AME-E718",
                what=f"the artifact store {store} lies in the folder of project '{loaded.name}'.",
                why="Each snapshot of the project would hold all earlier ones.",
                fix="Put it elsewhere, for example beside the folder, and save that with `ame blocks apply`.",
            )
        )
    with refusing_file_errors(f"the files of project '{loaded.name}' cannot be kept."):
        keep_neighbours(store, loaded, digest)
        if not store.holds(key):
            store.save_files(key, loaded.folder, project_files(loaded))
    return {"project": f"{SNAPSHOT}{loaded.name}/{digest}", "version": digest[:12]}
