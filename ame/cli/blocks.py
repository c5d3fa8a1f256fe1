"""`ame blocks apply`: save the blocks that deployments name, and say what that changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from ame.cli._console import as_json, print_json, say, warn

if TYPE_CHECKING:
    from prefect.blocks.core import Block

    from ame.cli._blocks_file import Connections

__all__ = ["command"]


@click.group("blocks")
def command() -> None:
    """Save the connections of deployed runs as blocks on the Prefect server."""


@command.command("apply", short_help="Save them.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False)
@click.option("--from-env", is_flag=True, help="Take MLFLOW_TRACKING_URI, AME_STORE_URI and their likes.")
@click.option("--name", default="ame", show_default=True, help="The blocks' name.")
@click.option("--dry-run", is_flag=True, help="Say what would change, and save nothing.")
@click.option("--no-check", is_flag=True, help="Do not try to write to the store from here.")
@as_json
def apply(
    file: Path | None, from_env: bool, name: str, dry_run: bool, no_check: bool, json_wanted: bool
) -> None:
    """Save mlflow-server/NAME, spark-session/NAME, and artifact-store/NAME with a block for results there.

    FILE is YAML with `mlflow`, `store` and `spark`. Secrets stand in it as {env: VARIABLE} or {file: PATH}.
    """
    from ame.cli._blocks_file import connections_from_environment, connections_from_file
    from ame.prefect_server import prefect_server

    if from_env == (file is not None):
        raise click.UsageError("Name a FILE, or give --from-env.")
    connections = connections_from_file(file) if file else connections_from_environment()
    warn(connections.warnings)
    if connections.store and not (no_check or dry_run):
        from ame.store import check_store

        say(f"checking the artifact store {connections.store.uri}")
        check_store(connections.store)
    with prefect_server():
        outcomes = [_apply(block, name, dry_run=dry_run) for block, name in _blocks(connections, name)]
    if json_wanted:
        print_json({"dryRun": dry_run, "blocks": outcomes})
        return
    for outcome in outcomes:
        would = "would be " if dry_run and outcome["outcome"] != "unchanged" else ""
        click.echo(f"{outcome['block']}: {would}{outcome['outcome']}")
        for changed in outcome["changes"]:
            click.echo(f"  {changed}")


def _blocks(connections: Connections, name: str) -> Iterator[tuple[Block, str]]:
    """Each block with the name that it is saved under."""
    from pydantic import SecretStr

    from ame.diagnosis import Diagnosis, Refused
    from blocks import ArtifactStore, MlflowServer, SparkSession, results_block

    mlflow, store = connections.mlflow, connections.store
    if mlflow:
        yield (
            MlflowServer(
                tracking_uri=mlflow.uri,
                username=mlflow.username,
                password=SecretStr(mlflow.password) if mlflow.password else None,
                token=SecretStr(mlflow.token) if mlflow.token else None,
            ),
            name,
        )
    if store:
        yield ArtifactStore.of(store), name
        try:
            yield results_block(store), f"{name}-results"
        except ImportError:
            raise Refused(
                Diagnosis(
                    code="AME-E848",
                    what=f"results in {store.uri} need the package prefect-aws, which is not installed.",
                    fix="Install ame-flows with its extra `aws`: `pip install 'ame-flows[aws]'`.",
                )
            ) from None
    if connections.spark:
        yield SparkSession.of(connections.spark.settings, connections.spark.secret_conf), name


def _apply(block: Block, name: str, *, dry_run: bool) -> dict[str, Any]:
    before = _saved(block, name)
    changes = list(_changes(before, _content(block))) if before is not None else []
    outcome = "created" if before is None else "updated" if changes else "unchanged"
    if outcome != "unchanged" and not dry_run:
        block.save(name, overwrite=True)
    return {"block": f"{block.get_block_type_slug()}/{name}", "outcome": outcome, "changes": changes}


def _saved(block: Block, name: str) -> dict[str, Any] | None:
    try:
        saved = cast("Block", type(block).load(name, validate=False))
    except ValueError as missing:
        if "Unable to find block document" not in str(missing):
            raise
        return None
    return _content(saved)


def _content(block: Block) -> dict[str, Any]:
    found: dict[str, Any] = block.model_dump(mode="json", context={"include_secrets": True})
    # Who it is on the server, and of which type, is no content.
    return {key: value for key, value in found.items() if not key.startswith(("_", "block_type_slug"))}


def _changes(before: dict[str, Any], after: dict[str, Any], path: str = "") -> Iterator[str]:
    """One line a field; what is secret is only said to have changed."""
    from ame.secrets import is_secret_name

    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _changes(old, new, f"{path}{key}.")
        elif old != new:
            hidden = is_secret_name(key)
            yield f"{path}{key}: changed" if hidden else f"{path}{key}: {_shown(old)} -> {_shown(new)}"


def _shown(value: object) -> str:
    return "none" if value is None else str(value)
