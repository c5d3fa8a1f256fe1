"""`ame schema`: what an editor needs to know about an ame.yml."""

from __future__ import annotations

import json

import click

__all__ = ["command"]


@click.command("schema")
def command() -> None:
    """Print the JSON Schema (draft 2020-12) of the ame.yml: with it editors complete, explain and check.

    What a schema cannot say, such as which tasks there are, is left to `ame validate`.
    """
    from ame.spec.schema import json_schema

    click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False, allow_nan=False))
