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
from ame.registry import ABTestRecord, Recorded, find_ab_test, record_ab_test
from flows._deployed import begin
from flows._judging import judge
from flows._outcome import completed, diagnosed, settled
from flows._pair import Pair, gate_settings
from flows._rows import open_rows, open_training
from flows._scored import Scored, score_here
from flows._session import ComparisonSession
from flows._spark import score_on_executors
from flows._summary import artifact_key, markdown_summary, metric_rows, slice_rows
from flows._work import Work

if TYPE_CHECKING:
    from ame.gate import ABTestResult

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
    from ame.scoring import Holdout

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
    async with ComparisonSession(work, section, pair.title) as session:
        holdout = await open_rows(work, section, session)
        recorded = await asyncio.to_thread(find_ab_test, work.registry, model, pair.key(holdout))
        if recorded is None:
            training = await open_training(work, section)
            with TemporaryDirectory(dir=work.home.work, prefix="comparison-") as folder:
                here = Path(folder)
                if isinstance(holdout, Holdout):
                    scored = await score_here(work, pair, holdout, training, here)
                else:
                    scored = await score_on_executors(session, work, pair, holdout, training, here)
                if isinstance(scored, Refused):
                    # The champion answers on these rows and the challenger does not: that decides on it.
                    return completed("Invalid", str(scored), version=version)
                recorded = await _compare(work, pair, scored, here)
    return completed(recorded.decision.title(), recorded.why, version=version)


async def _compare(work: Work, pair: Pair, scored: Scored, folder: Path) -> Recorded:
    result, files = await settled(judge(work, pair, scored, folder))
    recorded = await _record(work, pair, scored, result, files)
    await _show(work, pair, result, recorded)
    return recorded


@task(name="record", task_run_name="record", cache_policy=NO_CACHE, retries=2, retry_delay_seconds=2)
async def _record(
    work: Work, pair: Pair, scored: Scored, result: ABTestResult, files: Mapping[str, Path]
) -> Recorded:
    """Log the test to MLflow and link it from both versions."""
    training = scored.training
    record = ABTestRecord(
        challenger=pair.challenger,
        champion=pair.champion,
        key=pair.key(scored.holdout),
        holder=work.holder,
        result=result.to_json(),
        params={
            **_params(pair, scored, result),
            **{f"{name}_scores_sha256": digest for name, digest in scored.digests.items()},
        },
        tags={
            "ame.project": work.project.name,
            "ame.holdout": scored.holdout.name,
            "ame.task": result.config.task,
            "ame.primary": result.config.primary.metric,
            "ame.look": str(result.ledger.look) if result.ledger else "none",
            "ame.flow_run": str(flow_run.id),
        },
        holdout=(scored.holdout.name, scored.holdout.digest),
        training=(training.name, training.digest) if training else None,
        summary=markdown_summary(pair.title, result),
        files=files,
    )
    return await asyncio.to_thread(record_ab_test, work.registry, record)


def _params(pair: Pair, scored: Scored, result: ABTestResult) -> dict[str, str]:
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
        "holdout": scored.holdout.name,
        "holdout_sha256": scored.holdout.digest,
        "gate_sha256": pair.gate_digest,
        "features": json.dumps(scored.features),
        "scoring": pair.section.scoring,
        "flow_run": str(flow_run.id),
    }
    if scored.training is not None:
        told |= {"training": scored.training.name, "training_sha256": scored.training.digest}
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
