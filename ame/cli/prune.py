"""`ame prune`: delete deployments that an earlier prefect.yaml made and this one no longer names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ame.cli._console import as_json, print_json
from ame.diagnosis import Diagnosis, Refused, Where

if TYPE_CHECKING:
    from uuid import UUID

__all__ = ["command"]

#: Every deployment of ours carries the tag, and one that names its project.
_OURS, _PROJECT = "ame", "ame-project:"


@click.command("prune", short_help="Delete deployments that the prefect.yaml no longer names.")
@click.option(
    "--file",
    "-f",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    default="prefect.yaml",
    show_default=True,
    help="The file that `ame compile` has written.",
)
@click.option(
    "--project",
    "-p",
    "dropped",
    multiple=True,
    metavar="NAME",
    help="A project that the file no longer holds: delete all its deployments.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
@as_json
def command(path: Path, dropped: tuple[str, ...], dry_run: bool, json_wanted: bool) -> None:
    """Delete what an earlier prefect.yaml deployed and this one no longer names.

    Only deployments of ame-flows are touched, and of those only the ones of projects that the file holds
    or that are named with --project. Runs that are under way go on; scheduled ones are deleted.
    """
    import asyncio

    from ame.cli._server import prefect_server

    named = _named(path)
    clash = sorted(set(dropped) & named.projects)
    if clash:
        raise Refused(
            Diagnosis(
                code="AME-E717",
                what=f"{path} still holds project '{clash[0]}'.",
                fix="Leave --project out: what the file no longer names of it is deleted anyway.",
            )
        )
    with prefect_server():
        found = asyncio.run(_ours())
        projects = named.projects | set(dropped)
        stale = [each for each in found if each.name not in named.deployments and each.project in projects]
        others = sorted({each.project for each in found} - projects)
        if not dry_run:
            asyncio.run(_delete(stale))
    if json_wanted:
        deleted = [each.name for each in stale]
        print_json({"deleted": deleted, "dryRun": dry_run, "projectsLeftAlone": others})
        return
    for each in stale:
        click.echo(f"{'would delete' if dry_run else 'deleted'} {each.name}")
    if not stale:
        click.echo(f"nothing to delete: the server has no other deployments of {_listed(projects)}")
    if others:
        click.echo(
            f"left alone, because {path} does not hold them: {_listed(others)} (--project NAME deletes)"
        )


@dataclass(frozen=True, slots=True)
class _Named:
    """The deployments of a prefect.yaml, as FLOW/NAME, and its projects."""

    deployments: frozenset[str]
    projects: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Deployed:
    """A deployment of ours on the server."""

    id: UUID
    name: str
    project: str


def _named(path: Path) -> _Named:
    import yaml

    from ame.parameters import FLOWS

    flows = {kind.entrypoint: kind.name for kind in FLOWS.values()}
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))["deployments"]
        return _Named(
            frozenset(f"{flows[entry['entrypoint']]}/{entry['name']}" for entry in entries),
            frozenset(_project(entry["tags"]) for entry in entries),
        )
    except FileNotFoundError as missing:
        what = f"there is no {path}."
        raise Refused(Diagnosis(code="AME-E716", what=what, fix=_COMPILE)) from missing
    except (OSError, ValueError, yaml.YAMLError, LookupError, TypeError, AttributeError) as error:
        raise Refused(
            Diagnosis(
                code="AME-E716",
                where=Where(str(path)),
                what="this is no prefect.yaml that `ame compile` has written.",
                why=f"{type(error).__name__}: {str(error).splitlines()[0]}.",
                fix=_COMPILE,
            )
        ) from error


_COMPILE = "Make it with `ame compile PROJECT...`, and name it with --file."


def _project(tags: Iterable[str]) -> str:
    return next((tag.removeprefix(_PROJECT) for tag in tags if tag.startswith(_PROJECT)), "")


async def _ours() -> list[_Deployed]:
    from prefect import get_client
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags

    found: list[_Deployed] = []
    async with get_client() as client:
        while True:
            page: list[Any] = await client.read_deployments(
                deployment_filter=DeploymentFilter(tags=DeploymentFilterTags(all_=[_OURS])),
                limit=200,
                offset=len(found),
            )
            if not page:
                break
            flows = {}
            for each in page:
                if each.flow_id not in flows:
                    flows[each.flow_id] = (await client.read_flow(each.flow_id)).name
                name = f"{flows[each.flow_id]}/{each.name}"
                found.append(_Deployed(each.id, name, _project(each.tags)))
    return sorted(found, key=lambda each: each.name)


async def _delete(stale: Iterable[_Deployed]) -> None:
    from prefect import get_client

    async with get_client() as client:
        for each in stale:
            # Its triggers would stay, and start nothing.
            await client.delete_resource_owned_automations(f"prefect.deployment.{each.id}")
            await client.delete_deployment(each.id)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names)) or "no project"
