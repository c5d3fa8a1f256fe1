"""`ame prune`: delete what an earlier prefect.yaml deployed and this one no longer names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ame.cli._console import as_json, print_json
from ame.diagnosis import Diagnosis, Refused, Where

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient

__all__ = ["command"]

#: Every deployment of ours carries the tag, and one that names its project.
_OURS, _PROJECT = "ame", "ame-project:"


@click.command("prune")
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

    Prefect itself deletes neither deployments nor schedules. Only those of ame-flows are touched, and of
    those only the ones of projects that the file holds or that are named with --project. Runs that are
    under way go on; scheduled ones are deleted.
    """
    from ame.prefect_server import prefect_server

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
    projects = named.projects | set(dropped)
    with prefect_server() as client:
        found = _ours(client)
        stale = [each for each in found if each.name not in named.schedules and each.project in projects]
        unscheduled = [
            (each, slug)
            for each in found
            for slug in each.schedules
            if slug not in named.schedules.get(each.name, {slug})
        ]
        if not dry_run:
            _delete(client, stale, unscheduled)
    others = sorted({each.project for each in found} - projects)
    if json_wanted:
        schedules = [{"deployment": each.name, "schedule": slug} for each, slug in unscheduled]
        deleted = {"deployments": [each.name for each in stale], "schedules": schedules}
        print_json({"deleted": deleted, "dryRun": dry_run, "projectsLeftAlone": others})
        return
    done = "would delete" if dry_run else "deleted"
    for each in stale:
        click.echo(f"{done} {each.name}")
    for each, slug in unscheduled:
        click.echo(f"{done} the schedule '{slug}' of {each.name}")
    if not stale and not unscheduled:
        click.echo(f"nothing to delete: the server has no more of {_listed(projects)} than the file")
    if others:
        click.echo(
            f"left alone, because {path} does not hold them: {_listed(others)} (--project NAME deletes)"
        )


@dataclass(frozen=True, slots=True)
class _Named:
    """What a prefect.yaml holds.

    Attributes:
        schedules: the slugs of each deployment's schedules, by FLOW/NAME.
        projects: their names.
    """

    schedules: Mapping[str, frozenset[str]]
    projects: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Deployed:
    """A deployment of ours on the server, with its schedules by slug."""

    id: UUID
    name: str
    project: str
    schedules: Mapping[str, UUID]


def _named(path: Path) -> _Named:
    import yaml

    from ame.compile.prefect_yaml import GENERATED
    from ame.parameters import FLOWS

    flows = {kind.entrypoint: kind.name for kind in FLOWS.values()}
    try:
        text = path.read_text(encoding="utf-8")
        if not text.startswith(GENERATED):
            raise ValueError("its first line does not say so")
        entries = yaml.safe_load(text)["deployments"]
        return _Named(
            {
                f"{flows[entry['entrypoint']]}/{entry['name']}": frozenset(
                    schedule["slug"] for schedule in entry["schedules"]
                )
                for entry in entries
            },
            frozenset(_project(entry["tags"]) for entry in entries),
        )
    except FileNotFoundError as missing:
        what = f"there is no {path}."
        raise Refused(Diagnosis(code="AME-E716", what=what, fix=_COMPILE)) from missing
    except (
        OSError,
        ValueError,
        RecursionError,
        yaml.YAMLError,
        LookupError,
        TypeError,
        AttributeError,
    ) as error:
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


def _ours(client: SyncPrefectClient) -> list[_Deployed]:
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags

    tagged = DeploymentFilter(tags=DeploymentFilterTags(all_=[_OURS]))
    flows: dict[UUID, str] = {}
    found: list[_Deployed] = []
    while page := client.read_deployments(deployment_filter=tagged, limit=200, offset=len(found)):
        for each in page:
            if each.flow_id not in flows:
                flows[each.flow_id] = client.read_flow(each.flow_id).name
            # Without a slug, somebody has made it by hand.
            slugs = {one.slug: one.id for one in each.schedules if one.slug}
            found.append(_Deployed(each.id, f"{flows[each.flow_id]}/{each.name}", _project(each.tags), slugs))
    return sorted(found, key=lambda each: each.name)


def _delete(
    client: SyncPrefectClient, stale: Iterable[_Deployed], unscheduled: Iterable[tuple[_Deployed, str]]
) -> None:
    for each in stale:
        # Its triggers would stay, and start nothing.
        client.delete_resource_owned_automations(f"prefect.deployment.{each.id}")
        client.delete_deployment(each.id)
    for each, slug in unscheduled:
        client.delete_deployment_schedule(each.id, each.schedules[slug])


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names)) or "no project"
