"""Both versions' scores of one holdout, each version in the environment that it was logged with."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from ame.diagnosis import Refused
from ame.gate.config import ABTest
from ame.registry import Version
from flows._outcome import refusing, settled, unless_refused
from flows._output import to_run_log
from flows._pair import Pair
from flows._rows import AnyHoldout, asked_of_table, features_of, fetched, used_columns
from flows._threads import stoppable
from flows._work import Work

if TYPE_CHECKING:
    from ame.scoring import Holdout

__all__ = ["Scored", "score_here"]


@dataclass(frozen=True, slots=True)
class Scored:
    """The table that a test reads, and where it comes from.

    Attributes:
        training: the rows that the models are trained on, or None when the file does not name them.
        features: the columns that a model of the two gets.
        gate: the file's, as it is asked of this table: with the column that tells rows apart, and classes.
        engine: where the test is to be computed.
        table: a parquet file on this machine, or a folder of them, as a path or a URI.
        kept: how the record names the table.
        digests: SHA-256 of the champion's and of the challenger's scores.
    """

    holdout: AnyHoldout
    training: Holdout | None
    features: tuple[str, ...]
    gate: ABTest
    engine: str
    table: Path | str
    kept: Mapping[str, str]
    digests: Mapping[str, str]


async def score_here(
    work: Work, pair: Pair, holdout: Holdout, training: Holdout | None, folder: Path
) -> Scored | Refused:
    """Score and join on this machine; returns why the challenger alone cannot give any scores.

    Raises:
        Refused: what the champion, or the holdout, is refused for.
    """
    from ame.scoring import common_classes

    named = (("champion", pair.champion), ("challenger", pair.challenger))
    scored: list[tuple[Path, tuple[str, ...]] | BaseException] = await asyncio.gather(
        *(
            settled(
                _score.with_options(task_run_name=f"score {name} v{version.number}")(
                    work, pair, version, holdout, folder / name
                )
            )
            for name, version in named
        ),
        return_exceptions=True,
    )
    champion, challenger = scored
    if isinstance(champion, BaseException):
        raise champion
    if isinstance(challenger, Refused) and challenger.diagnoses[0].code == "AME-E404":
        return challenger
    if isinstance(challenger, BaseException):
        raise challenger
    scores = {"champion": champion[0], "challenger": challenger[0]}
    if pair.section.gate.task == "multiclass":
        try:
            common_classes(scores)
        except Refused as others:
            return others
    features = tuple(dict.fromkeys((*champion[1], *challenger[1])))
    table = folder / "scores.parquet"
    gate, digests, digest = await asyncio.to_thread(_join, pair.section.gate, holdout, scores, table)
    kept = {"file": table.name, "sha256": digest}
    # The table lies on this machine, where no executor of another one can read it.
    return Scored(holdout, training, features, gate, "local", table, kept, digests)


def _join(
    gate: ABTest, holdout: Holdout, scores: Mapping[str, Path], table: Path
) -> tuple[ABTest, Mapping[str, str], str]:
    """Write the table that the gate reads; returns the gate as it is asked of it, and the digests."""
    from ame.scoring import common_classes, join_scores, row_column, score_digests

    columns = list(used_columns(gate))
    row = row_column(columns) if gate.row is None else None
    join_scores(holdout, columns, scores, table, row=row)
    told = common_classes(scores) if gate.task == "multiclass" and not gate.classes else ()
    asked = asked_of_table(gate, row, told)
    with table.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return asked, score_digests(table, tuple(scores)), digest


@task(
    name="score", cache_policy=NO_CACHE, retries=1, retry_delay_seconds=2, retry_condition_fn=unless_refused
)
@refusing
async def _score(
    work: Work, pair: Pair, version: Version, holdout: Holdout, folder: Path
) -> tuple[Path, tuple[str, ...]]:
    """Score the holdout with one version, in the environment that it was logged with.

    Returns the file of scores, and the columns that the version got.
    """
    from ame.scoring import score_model

    say = to_run_log()
    model = await fetched(work, version, folder / "model")
    features = features_of(pair.section, model, holdout)
    rows = folder / "rows.parquet"
    await asyncio.to_thread(holdout.write, rows, features)
    scores = await stoppable(
        score_model,
        model,
        rows,
        features,
        environment=pair.section.scoring,
        work=folder,
        on_line=say,
        task=pair.section.gate.task,
        classes=pair.section.gate.classes,
    )
    return scores, features
