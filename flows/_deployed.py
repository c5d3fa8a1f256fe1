"""What a run from a deployment starts from: the blocks that its environment names, and a snapshot.

On a laptop a project is a folder, and the servers' addresses stand in the environment. A run from a
deployment may be anywhere: its environment names two blocks, and its project lies in the artifact store.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from prefect.runtime import flow_run

from ame.diagnosis import Diagnosis, Refused
from ame.local import Home, cache_folder
from ame.sources import load_project
from ame.spec import Others
from ame.store import SnapshotStore, open_store
from flows._neighbours import neighbours_key, those_in
from flows._work import Work, open_work

if TYPE_CHECKING:
    from prefect.blocks.core import Block

__all__ = ["SNAPSHOT", "begin", "load_block", "other_deployed", "project_key", "source_key", "store_of"]

_B = TypeVar("_B", bound="Block")

#: How often a run may be started whose pod is stopped again and again.
_MOST_STARTS = 10

#: How a project in the artifact store is named: snapshot:NAME/DIGEST.
SNAPSHOT = "snapshot:"


def project_key(name: str, digest: str) -> str:
    """The store's key of a project's files."""
    return f"projects/{name}/{digest}"


def source_key(work: Work) -> str:
    """The store's key of the files that a run works on."""
    if work.origin.startswith(SNAPSHOT):
        name, _, digest = work.origin.removeprefix(SNAPSHOT).partition("/")
        return project_key(name, digest)
    return project_key(work.project.name, work.source)


async def begin(project: str, env: dict[str, str] | None, source: str | None) -> Work:
    """The work that a flow's parameters ask for, here: its files and the connections that it needs.

    Args:
        project: a folder, or `snapshot:NAME/DIGEST`.

    Raises:
        Refused: AME-E6xx and AME-E7xx, when a block, the snapshot or a server's address is missing, or
            the run was started too often; AME-E1xx for the file.
    """
    name, _, digest = project.removeprefix(SNAPSHOT).partition("/")
    if not project.startswith(SNAPSHOT):
        return open_work(project, env, source)
    _refuse_endless()
    base = _base()
    await _use_mlflow_server()
    store = await store_of(_named("AME_ARTIFACT_STORE"), cache=base / "cache")
    folder, others = await asyncio.to_thread(_brought, store, name, digest)
    home = Home(base / name)
    home.prepare()
    return open_work(
        str(folder),
        env,
        source or digest,
        origin=project,
        home=home,
        store=store,
        others=others,
    )


def other_deployed(work: Work, origin: str) -> Work:
    """The work of another project as it was deployed, here, for what is to be known of its data sets.

    Args:
        origin: `snapshot:NAME/DIGEST`.

    Raises:
        Refused: AME-E713, when the snapshot is missing, AME-E1xx for its file.
    """
    name, _, digest = origin.removeprefix(SNAPSHOT).partition("/")
    folder, others = _brought(work.store, name, digest)
    project = load_project(folder, others)
    return replace(work, project=project, origin=origin, env={}, source=digest)


def _base() -> Path:
    return Path(os.environ.get("AME_HOME") or cache_folder() / "deployed")


def _brought(store: SnapshotStore, name: str, digest: str) -> tuple[Path, Others]:
    """The folder with a deployed project's files, and where those are that it refers to."""
    folder = _base() / "projects" / name / digest
    _restore(store, project_key(name, digest), folder)
    neighbours = _base() / "neighbours" / name / digest
    if store.holds(neighbours_key(name, digest)):
        _restore(store, neighbours_key(name, digest), neighbours)
    return folder, those_in(neighbours)


async def store_of(reference: str, *, cache: Path) -> SnapshotStore:
    """The artifact store that a block describes; its clients' settings are put into the environment.

    Args:
        reference: for example artifact-store/ame.
        cache: where a store that is elsewhere keeps copies of what is read.

    Raises:
        Refused: AME-E712, when there is no such block, AME-E84x, when the store cannot be used.
    """
    from blocks import ArtifactStore

    settings = await (await load_block(ArtifactStore, reference)).asettings()
    settings.apply_to(os.environ)
    return await asyncio.to_thread(open_store, settings, cache=cache)


async def _use_mlflow_server() -> None:
    from blocks import MlflowServer

    server = await load_block(MlflowServer, _named("AME_MLFLOW_SERVER"))
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"):
        os.environ.pop(name, None)
    os.environ.update(server.variables())
    os.environ["MLFLOW_REGISTRY_URI"] = os.environ["MLFLOW_TRACKING_URI"]


def _refuse_endless() -> None:
    # Prefect starts a run again whose pod gets the signal to stop, also when it comes from the Job's
    # deadline: without an end to it, what cannot succeed would hold its GPUs for ever.
    starts = flow_run.run_count or 0
    if starts > _MOST_STARTS:
        raise Refused(
            Diagnosis(
                code="AME-E719",
                what=f"this run was started {starts} times and never came to an end.",
                why="Its pod was stopped each time: by the Job's deadline, an eviction or the end of a node.",
                fix="Give the task more `timeout`, memory or `storage`, or other nodes; then start it anew.",
            )
        )


def _named(variable: str) -> str:
    found = os.environ.get(variable)
    if not found:
        raise Refused(
            Diagnosis(
                code="AME-E712",
                what=f"the environment of this run names no block in {variable}.",
                why="A project in the artifact store is run from its deployment, which names two blocks.",
                fix="Deploy a prefect.yaml that `ame compile` has written; do not change its `env`.",
            )
        )
    return found


async def load_block(block: type[_B], reference: str) -> _B:
    """A block by its reference, for example artifact-store/ame.

    Raises:
        Refused: AME-E712, when there is none.
    """
    slug, _, name = reference.partition("/")
    try:
        if slug != block.get_block_type_slug():
            raise ValueError(f"{reference} is no {block.get_block_type_slug()}")
        return await block.aload(name)
    except ValueError as missing:
        raise Refused(
            Diagnosis(
                code="AME-E712",
                what=f"the Prefect server has no block '{reference}'.",
                fix="Save it with `ame blocks apply --from-env`, or name the one that you have.",
            )
        ) from missing


def _restore(store: SnapshotStore, key: str, folder: Path) -> None:
    """Bring a project's files here, once; runs that come at the same time leave one whole folder."""
    if folder.exists():
        return
    if not store.holds(key):
        raise Refused(
            Diagnosis(
                code="AME-E713",
                what=f"the artifact store holds no snapshot '{key}'.",
                why="The deployment was made from it.",
                fix="Deploy again: `prefect --no-prompt deploy --all` keeps the project's files anew.",
            )
        )
    filling = folder.with_name(f".{uuid.uuid4().hex}")
    try:
        store.restore(key, filling)
        try:
            filling.rename(folder)
        except OSError:
            if not folder.exists():
                raise
    finally:
        shutil.rmtree(filling, ignore_errors=True)
