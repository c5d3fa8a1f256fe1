"""`ame pools`: the work pools that deployments run on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ame.cli._console import as_json, columns, print_json, warn
from ame.diagnosis import Diagnosis, Refused

if TYPE_CHECKING:
    from ame.pools import Applied, Kind

__all__ = ["command"]

_DONE = {"created": "created", "updated": "updated", "unchanged": "unchanged"}
_PLANNED = {"created": "would be created", "updated": "would be updated", "unchanged": "unchanged"}


@click.group("pools")
def command() -> None:
    """The work pools ame-control, ame-cpu, ame-gpu and ame-spark, and their base job templates."""


@command.command("apply", short_help="Create or update the work pools.")
@click.option(
    "--target",
    type=click.Choice(["kubernetes", "process"]),
    default="kubernetes",
    show_default=True,
    help="What their workers start for a run: a Job of Kubernetes, or a process beside them.",
)
@click.option("--image", help="The image of all Jobs.")
@click.option("--namespace", help="The namespace of all Jobs.")
@click.option(
    "--service-account",
    "service_account_name",
    help="The service account of all Jobs but those of Spark's drivers.",
)
@click.option(
    "--values",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A YAML file with defaults of variables: for all pools, or under `pools:` for one.",
)
@click.option("--dry-run", is_flag=True, help="Change nothing; say what would change.")
@click.option("--force", is_flag=True, help="Overwrite pools that were edited by hand or made by others.")
@as_json
def apply(
    target: Any, values: Path | None, dry_run: bool, force: bool, json_wanted: bool, **options: str | None
) -> None:
    """Create or update the four work pools on the server of PREFECT_API_URL.

    What is not given has its own default again: give the same options, or the same file, each time.
    """
    from ame.pools import apply_pools

    given = {name: value for name, value in options.items() if value is not None}
    defaults = _defaults(target, values, given)
    *applied, automation = apply_pools(target, defaults=defaults, dry_run=dry_run, force=force)
    warnings = [warning for pool in applied for warning in pool.warnings]
    if json_wanted:
        diagnoses = [found.to_json() for found in warnings]
        pools = [_told(pool) for pool in applied]
        print_json(
            {"dryRun": dry_run, "pools": pools, "automation": _told(automation), "diagnoses": diagnoses}
        )
        return
    warn(warnings)
    words = _PLANNED if dry_run else _DONE
    for line in columns([_row(pool, words) for pool in applied]):
        click.echo(line)
    click.echo(f"automation '{automation.name}' {_row(automation, words)[1]}")


@command.command("template", short_help="Print the base job template of one pool.")
@click.argument("kind", type=click.Choice(["control", "cpu", "gpu", "spark"]))
@click.option(
    "--target", type=click.Choice(["kubernetes", "process"]), default="kubernetes", show_default=True
)
def template(kind: Any, target: str) -> None:
    """Print the base job template of one work pool as JSON."""
    from ame.pools import base_job_template, process_template

    click.echo(
        json.dumps(process_template(kind) if target == "process" else base_job_template(kind), indent=2)
    )


@command.command("templates", short_help="Write the base job templates into a folder.")
@click.option("--output", type=click.Path(file_okay=False, path_type=Path), required=True, help="The folder.")
@click.option("--check", is_flag=True, help="Write nothing; refuse when a file is missing or stale.")
def templates(output: Path, check: bool) -> None:
    """Write control.json, cpu.json, gpu.json and spark.json of the Kubernetes work pools."""
    from ame.pools import template_files

    files = template_files()
    stale = [name for name, text in files.items() if _text(output / name) != text]
    if check and stale:
        raise Refused(
            Diagnosis(
                code="AME-E829",
                what=f"stale or missing in {output}: {', '.join(stale)}.",
                fix=f"Run: ame pools templates --output {output}",
            )
        )
    for name in stale:
        output.mkdir(parents=True, exist_ok=True)
        (output / name).write_text(files[name], "utf-8")
    click.echo(f"{output}: {', '.join(stale)} written" if stale else f"{output}: unchanged")


def _defaults(target: str, values: Path | None, given: dict[str, str]) -> dict[Kind, dict[str, Any]]:
    from ame.pools import KINDS, common_values, read_values, refuse_impossible

    if target == "process":
        if values or given:
            raise click.UsageError("--image, --namespace, --service-account and --values are for Kubernetes.")
        return {}
    read = read_values(values) if values else {kind: {} for kind in KINDS}
    defaults = {kind: {**read[kind], **common_values(kind, given)} for kind in KINDS}
    refuse_impossible(defaults, str(values) if values else "command line")
    return defaults


def _told(applied: Applied) -> dict[str, Any]:
    return {"name": applied.name, "action": applied.action, "changes": list(applied.changes)}


def _row(pool: Applied, words: dict[str, str]) -> list[str]:
    changes = f": {', '.join(pool.changes)}" if pool.changes else ""
    return [pool.name, f"{words[pool.action]}{changes}"]


def _text(path: Path) -> str | None:
    try:
        return path.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
