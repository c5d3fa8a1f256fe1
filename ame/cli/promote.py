"""`ame promote MODEL VERSION`: a version becomes champion because a person says so."""

from __future__ import annotations

from pathlib import Path

import click

from ame.cli._by_hand import REASON, checked_reason, decide_by_hand, number_of
from ame.cli._console import PROJECT, as_json, say

__all__ = ["command"]


@click.command("promote")
@click.argument("model")
@click.argument("version")
@REASON
@PROJECT
@as_json
def command(model: str, version: str, reason: str, folder: Path, json_wanted: bool) -> None:
    """Make VERSION the champion of MODEL, whatever was decided on it.

    The journal says who did it, when and why, and what had been decided before.
    """
    from ame.registry.by_hand import promote

    why = checked_reason(reason)
    decide_by_hand(
        folder,
        model,
        lambda journal, by: promote(journal, number_of(version), by=by, reason=why, say=say),
        json_wanted=json_wanted,
    )
