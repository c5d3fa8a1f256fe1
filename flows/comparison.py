"""compare-versions: score champion and challenger on the holdout, test, and record the test."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from prefect import flow, task
from prefect.artifacts import acreate_link_artifact, acreate_markdown_artifact, acreate_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run

from ame.diagnosis import Diagnosis, Refused
from ame.registry import ABTestRecord, Recorded, Version, find_ab_test, record_ab_test
from ame.spec import AbTestSection
from flows._deployed import begin
from flows._judging import Rows, judge_rows, used_columns
from flows._outcome import completed, diagnosed, refusing, settled, unless_refused
from flows._output import to_run_log
from flows._pair import Pair, gate_settings
from flows._summary import artifact_key, markdown_summary, metric_rows, slice_rows
from flows._threads import stoppable
from flows._work import Work
from flows.data_set import produced

if TYPE_CHECKING:
    from ame.gate import ABTestResult
    from ame.scoring import FetchedModel, Holdout

__all__ = ["compare_versions"]


@flow(name="compare-versions", flow_run_name="compare {model} v{version} with v{champion}")
@diagnosed
async def compare_versions(
    project: str,
    model: str,
    version: str,
    champion: str,
    env: dict[str, str] | None = None,
    source: str | None = None,
) -> State[Any]:
    """A/B-test a version against the champion on the holdout; the state is named after the decision.

    Args:
        project: the project's folder, or `snapshot:NAME/DIGEST` for one in the artifact store.
        version, champion: numbers, as MLflow spells them.
        env: values for variables that tasks declare.
        source: the digest of the project's files; taken now when it is not given.
    """
    work = await begin(project, env, source)
    section = work.model(model).ab_test
    if section is None:
        raise Refused(
            Diagnosis(
                code="AME-E704",
                where=work.model(model).where,
                what=f"model '{model}' has no abTest section, so there is nothing to compare by.",
            )
        )
    pair = Pair(
        await asyncio.to_thread(work.registry.version, model, version),
        await asyncio.to_thread(work.registry.version, model, champion),
        section,
    )
    holdout = await _holdout(work, section)
    recorded = await asyncio.to_thread(find_ab_test, work.registry, model, pair.key(holdout))
    if recorded is None:
        training = await _training(work, section)
        with TemporaryDirectory(dir=work.home.work, prefix="comparison-") as folder:
            rows = await _score_both(work, pair, holdout, training, Path(folder))
            if isinstance(rows, Refused):
                # The champion answers on these rows and the challenger does not: that decides on it.
                return completed("Invalid", str(rows), version=version)
            recorded = await _compare(work, pair, rows, Path(folder))
    return completed(recorded.decision.title(), recorded.why, version=version)


async def _holdout(work: Work, section: AbTestSection) -> Holdout:
    from ame.scoring import open_holdout

    path, name = await _place(work, section.data_set, section.data_path)
    holdout = await asyncio.to_thread(open_holdout, path, name, section.where)
    for column, use in used_columns(section.gate).items():
        holdout.require([column], section.where, use)
    return holdout


async def _training(work: Work, section: AbTestSection) -> Holdout | None:
    """The rows that the models are trained on, where the file names them."""
    from ame.scoring import open_holdout

    if not section.training_set and not section.training_path:
        return None
    path, name = await _place(work, section.training_set, section.training_path)
    return await asyncio.to_thread(open_holdout, path, name, section.where, "training rows")


async def _place(work: Work, data_set: str | None, path: str | None) -> tuple[Path, str]:
    """Where rows are that the file names as a data set or by a path, and what they are called."""
    if data_set is None:
        return work.project.folder / str(path), str(path)
    key = (await produced(work, [data_set])).get(data_set)
    declared = work.project.folder / work.project.data_sets[data_set].path
    return work.store.path(key) if key else declared, data_set


async def _score_both(
    work: Work, pair: Pair, holdout: Holdout, training: Holdout | None, folder: Path
) -> Rows | Refused:
    """The scores of both versions, or why the challenger alone cannot give any."""
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
    return Rows(holdout, training, tuple(dict.fromkeys((*champion[1], *challenger[1]))), scores)


async def _compare(work: Work, pair: Pair, rows: Rows, folder: Path) -> Recorded:
    result, files = await settled(judge_rows(work, pair, rows, folder))
    recorded = await _record(work, pair, rows, result, files)
    await _show(work, pair, result, recorded)
    return recorded


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
    from ame.scoring import fetch_model, score_model

    title = f"version {version.number} of '{version.model}'"
    say = to_run_log()
    fetched = await asyncio.to_thread(fetch_model, version.uri, work.registry.uri, folder / "model", title)
    features = _features(pair.section, fetched, holdout)
    rows = folder / "rows.parquet"
    await asyncio.to_thread(holdout.write, rows, features)
    scores = await stoppable(
        score_model,
        fetched,
        rows,
        features,
        environment=pair.section.scoring,
        work=folder,
        on_line=say,
        task=pair.section.gate.task,
        classes=pair.section.gate.classes,
    )
    return scores, features


def _features(section: AbTestSection, model: FetchedModel, holdout: Holdout) -> tuple[str, ...]:
    if section.features or model.inputs:
        features = section.features or model.inputs
        holdout.require(features, section.where, f"an input of {model.title}")
        return features
    gate = section.gate
    not_features = {gate.label, gate.entity, gate.row, gate.time}
    return tuple(name for name in holdout.columns if name not in not_features)


@task(name="record", task_run_name="record", cache_policy=NO_CACHE, retries=2, retry_delay_seconds=2)
async def _record(
    work: Work, pair: Pair, rows: Rows, result: ABTestResult, files: Mapping[str, Path]
) -> Recorded:
    """Log the test to MLflow and link it from both versions."""
    from ame.scoring import score_digests

    digests = await asyncio.to_thread(score_digests, files["scores.parquet"], ("champion", "challenger"))
    training = rows.training
    record = ABTestRecord(
        challenger=pair.challenger,
        champion=pair.champion,
        key=pair.key(rows.holdout),
        holder=work.holder,
        result=result.to_json(),
        params={
            **_params(pair, rows, result),
            **{f"{name}_scores_sha256": digest for name, digest in digests.items()},
        },
        tags={
            "ame.project": work.project.name,
            "ame.holdout": rows.holdout.name,
            "ame.task": result.config.task,
            "ame.primary": result.config.primary.metric,
            "ame.look": str(result.ledger.look) if result.ledger else "none",
            "ame.flow_run": str(flow_run.id),
        },
        holdout=(rows.holdout.name, rows.holdout.digest),
        training=(training.name, training.digest) if training else None,
        summary=markdown_summary(pair.title, result),
        files=files,
    )
    return await asyncio.to_thread(record_ab_test, work.registry, record)


def _params(pair: Pair, rows: Rows, result: ABTestResult) -> dict[str, str]:
    """What was asked, of which rows, and what was spent: each setting of the gate as `gate.KEY`, too."""
    gate, look = pair.section.gate, result.ledger
    told = {
        "primary": f"{gate.primary.metric} by more than {gate.primary.margin:g}",
        "guardrails": ", ".join(f"{g.metric} within {g.margin:g}" for g in gate.guardrails) or "none",
        "alpha": f"{gate.alpha:g}",
        "alpha_spent": f"{result.alpha:g}",
        "entity": gate.entity or "none",
        "rows": str(result.rows),
        "positives": str(result.positives),
        "engine": result.engine,
        "holdout": rows.holdout.name,
        "holdout_sha256": rows.holdout.digest,
        "gate_sha256": pair.gate_digest,
        "features": json.dumps(rows.features),
        "scoring": pair.section.scoring,
        "flow_run": str(flow_run.id),
    }
    if rows.training is not None:
        told |= {"training": rows.training.name, "training_sha256": rows.training.digest}
    if look is not None:
        told |= {"look": str(look.look), "looks": str(look.looks or "any number"), "epoch": look.holdout}
    settings = gate_settings(result.config)
    return told | {f"gate.{key}": _as_param(value) for key, value in settings.items()}


def _as_param(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "none" if value is None else json.dumps(value)


async def _show(work: Work, pair: Pair, result: ABTestResult, recorded: Recorded) -> None:
    """Leave the test in Prefect's UI: a summary, the tables, and the way to MLflow."""
    slug = f"{artifact_key(pair.challenger.model)}-v{pair.challenger.number}"
    await acreate_markdown_artifact(markdown_summary(pair.title, result), key=f"ab-test-{slug}")
    await acreate_table_artifact(metric_rows(result), key=f"ab-test-metrics-{slug}", description=result.why)
    if result.slices:
        title = f"{result.config.primary.metric} in each slice"
        await acreate_table_artifact(slice_rows(result), key=f"ab-test-slices-{slug}", description=title)
    page = work.registry.run_page(recorded.experiment_id, recorded.run_id)
    await acreate_link_artifact(page, key=f"ab-test-link-{slug}", link_text="the A/B test in MLflow")
