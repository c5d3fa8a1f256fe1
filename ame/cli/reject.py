"""`ame reject MODEL VERSION`: a version that waits for a decision is done with."""

from __future__ import annotations

from pathlib import Path

import click

from ame.cli._by_hand import REASON, checked_reason, decide_by_hand, number_of
from ame.cli._console import PROJECT, as_json, say

__all__ = ["command"]


@click.command("reject")
@click.argument("model")
@click.argument("version")
@REASON
@PROJECT
@as_json
def command(model: str, version: str, reason: str, folder: Path, json_wanted: bool) -> None:
    """Reject VERSION of MODEL, on which nothing final was decided.

    The journal says who did it, when and why.
    """
    from ame.registry.by_hand import reject

    why = checked_reason(reason)
    decide_by_hand(
        folder,
        model,
        lambda journal, by: reject(journal, number_of(version), by=by, reason=why, say=say),
        json_wanted=json_wanted,
    )
