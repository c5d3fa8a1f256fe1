"""`ame rollback MODEL`: the champion before this one is champion again."""

from __future__ import annotations

from pathlib import Path

import click

from ame.cli._by_hand import REASON, checked_reason, decide_by_hand, number_of
from ame.cli._console import PROJECT, as_json, say

__all__ = ["command"]


@click.command("rollback")
@click.argument("model")
@click.option("--to", metavar="VERSION", help="Go back to this version, which was champion once.")
@REASON
@PROJECT
@as_json
def command(model: str, to: str | None, reason: str, folder: Path, json_wanted: bool) -> None:
    """Make the champion before this one the champion of MODEL again.

    It works while a delivery of the model is under way, which then decides anew. The journal says who
    went back, when and why.
    """
    from ame.registry.by_hand import rollback

    why = checked_reason(reason)
    target = number_of(to) if to is not None else None
    decide_by_hand(
        folder,
        model,
        lambda journal, by: rollback(journal, to=target, by=by, reason=why, say=say),
        json_wanted=json_wanted,
    )
