"""A comparison on Spark: where it is worth it, one session for all of it, and both versions' scores."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from ame.diagnosis import Refused
from ame.registry import Version
from flows._outcome import refusing, settled, unless_refused
from flows._output import every_few_seconds, to_run_log
from flows._pair import Pair
from flows._rows import features_of, used_columns
from flows._scored import Scored
from flows._work import Work

if TYPE_CHECKING:
    from ame.scoring import FetchedModel, SparkHoldout
    from flows._rows import AnyHoldout

__all__ = ["score_on_executors", "session_for"]


@asynccontextmanager
async def session_for(pair: Pair, holdout: AnyHoldout) -> AsyncIterator[Any]:
    """The Spark session that a comparison is computed in, or None where this machine does it alone.

    Raises:
        Refused: AME-E53x, when there can be no session.
    """
    from ame.scoring import SparkHoldout

    if not isinstance(holdout, SparkHoldout):
        yield None
        return
    from ame.spark import open_session

    opened = open_session(pair.section.spark, name=pair.title)
    spark = await asyncio.to_thread(opened.__enter__)
    try:
        yield spark
    except asyncio.CancelledError:
        # The thread that waits for a job cannot be interrupted, but its job can be.
        await asyncio.shield(asyncio.to_thread(spark.sparkContext.cancelAllJobs))
        raise
    finally:
        await asyncio.shield(asyncio.to_thread(opened.__exit__, None, None, None))


async def score_on_executors(
    spark: Any,
    work: Work,
    pair: Pair,
    holdout: SparkHoldout,
    training: AnyHoldout | None,
    folder: Path,
) -> Scored | Refused:
    """Score with both versions on Spark; returns why the challenger alone cannot give any scores.

    The scores stay in the artifact store under the decision's key: a comparison that died goes on with the
    partitions that are still missing.

    Raises:
        Refused: what the champion, the holdout or the executors are refused for.
    """
    try:
        return await settled(_score(spark, work, pair, holdout, training, folder))
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
    training: AnyHoldout | None,
    folder: Path,
) -> Scored:
    from ame.scoring import check_environments, row_column, score_on_spark

    gate, say = pair.section.gate, to_run_log()
    versions = {"champion": pair.champion, "challenger": pair.challenger}
    models = {
        name: await asyncio.to_thread(_fetch, work, version, folder / name)
        for name, version in versions.items()
    }
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
        gate=replace(
            gate, row=gate.row or row, row_is_content=gate.row is None, classes=gate.classes or scored.classes
        ),
        engine="spark",
        table=scored.folder,
        kept={"folder": scored.folder, "sha256": scored.digest},
        digests=scored.digests,
    )


def _fetch(work: Work, version: Version, folder: Path) -> FetchedModel:
    from ame.scoring import fetch_model

    title = f"version {version.number} of '{version.model}'"
    return fetch_model(version.uri, work.registry.uri, folder, title)
