"""Both versions' scores of a holdout that Spark's executors read."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from ame.diagnosis import Refused
from flows._outcome import refusing, settled, unless_refused
from flows._output import every_few_seconds, to_run_log
from flows._pair import Pair
from flows._rows import asked_of_table, features_of, fetched, used_columns
from flows._scored import Scored
from flows._session import ComparisonSession
from flows._work import Work

if TYPE_CHECKING:
    from ame.scoring import Holdout, SparkHoldout

__all__ = ["score_on_executors"]


async def score_on_executors(
    session: ComparisonSession,
    work: Work,
    pair: Pair,
    holdout: SparkHoldout,
    training: Holdout | None,
    folder: Path,
) -> Scored | Refused:
    """Score with both versions on Spark; returns why the challenger alone cannot give any scores.

    The scores stay in the artifact store under the decision's key: a comparison that died goes on with the
    partitions that are still missing.

    Raises:
        Refused: what the champion, the holdout or the executors are refused for.
    """
    try:
        return await settled(_score(await session.opened(), work, pair, holdout, training, folder))
    except Refused as refused:
        # The champion is tried first, so that this is about the challenger alone.
        if refused.diagnoses[0].code == "AME-E404":
            return refused
        raise


@task(
    name="score",
    task_run_name="score both on Spark",
    cache_policy=NO_CACHE,
    retries=1,
    retry_delay_seconds=2,
    retry_condition_fn=unless_refused,
)
@refusing
async def _score(
    spark: Any,
    work: Work,
    pair: Pair,
    holdout: SparkHoldout,
    training: Holdout | None,
    folder: Path,
) -> Scored:
    from ame.scoring import check_environments, row_column, score_on_spark

    gate, say = pair.section.gate, to_run_log()
    versions = {"champion": pair.champion, "challenger": pair.challenger}
    models = {name: await fetched(work, version, folder / name) for name, version in versions.items()}
    await asyncio.to_thread(check_environments, spark, models, pair.section.where)
    features = {name: features_of(pair.section, model, holdout) for name, model in models.items()}
    columns = tuple(used_columns(gate))
    row = row_column(columns) if gate.row is None else None
    scored = await asyncio.to_thread(
        score_on_spark,
        spark,
        holdout,
        models,
        features=features,
        columns=columns,
        row=row,
        task=gate.task,
        classes=gate.classes,
        output=work.store.place(f"scores/{pair.challenger.model}/{pair.key(holdout)}"),
        progress=every_few_seconds(say),
        on_line=say,
    )
    return Scored(
        holdout=holdout,
        training=training,
        features=tuple(dict.fromkeys(name for each in features.values() for name in each)),
        gate=asked_of_table(gate, row, scored.classes),
        engine="spark",
        table=scored.folder,
        kept={"folder": scored.folder, "sha256": scored.digest},
        digests=scored.digests,
    )
