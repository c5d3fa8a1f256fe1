"""compare-versions: score champion and challenger on the holdout, test, and record the test."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
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
from flows._outcome import completed, diagnosed, refusing, settled, unless_refused
from flows._output import to_run_log
from flows._summary import artifact_key, markdown_summary, metric_rows
from flows._threads import stoppable
from flows._work import Work
from flows.data_set import produced

if TYPE_CHECKING:
    from ame.gate import ABTestResult
    from ame.scoring import FetchedModel, Holdout

__all__ = ["compare_versions"]


@dataclass(frozen=True, slots=True)
class _Pair:
    """The two versions of a comparison, and what they are compared by."""

    challenger: Version
    champion: Version
    section: AbTestSection

    @property
    def title(self) -> str:
        return f"{self.challenger.model} v{self.challenger.number} against v{self.champion.number}"

    def key(self, holdout: Holdout) -> str:
        """Of the decision: the same versions, gate and rows are decided on once."""
        # A model that is deleted and registered anew counts its versions from 1 again.
        versions = [(version.number, version.source) for version in (self.challenger, self.champion)]
        return _digest([self.challenger.model, *versions, *self._gate, holdout.digest])

    @property
    def gate_digest(self) -> str:
        """Of all that the file says about how versions are compared."""
        return _digest(self._gate)

    @property
    def _gate(self) -> list[Any]:
        section = self.section
        return [asdict(section.gate), [section.features, section.scoring]]


def _digest(parts: list[Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


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
    pair = _Pair(
        await asyncio.to_thread(work.registry.version, model, version),
        await asyncio.to_thread(work.registry.version, model, champion),
        section,
    )
    holdout = await _holdout(work, section)
    recorded = await asyncio.to_thread(find_ab_test, work.registry, model, pair.key(holdout))
    if recorded is None:
        with TemporaryDirectory(dir=work.home.work, prefix="comparison-") as folder:
            scores = await _score_both(work, pair, holdout, Path(folder))
            if isinstance(scores, Refused):
                # The champion answers on these rows and the challenger does not: that decides on it.
                return completed("Invalid", str(scores), version=version)
            recorded = await _compare(work, pair, holdout, scores, Path(folder))
    return completed(recorded.decision.title(), recorded.why, version=version)


async def _holdout(work: Work, section: AbTestSection) -> Holdout:
    from ame.scoring import open_holdout

    name = section.data_set or str(section.data_path)
    if section.data_set:
        keys = await produced(work, [section.data_set])
        key = keys.get(section.data_set)
        declared = work.project.data_sets[section.data_set].path
        path = work.store.path(key) if key else work.project.folder / declared
    else:
        path = work.project.folder / str(section.data_path)
    holdout = await asyncio.to_thread(open_holdout, path, name, section.where)
    holdout.require([section.gate.label], section.where, "the label")
    if section.gate.entity:
        holdout.require([section.gate.entity], section.where, "the entity")
    return holdout


async def _score_both(work: Work, pair: _Pair, holdout: Holdout, folder: Path) -> dict[str, Path] | Refused:
    """The scores of both versions, or why the challenger alone cannot give any."""
    named = (("champion", pair.champion), ("challenger", pair.challenger))
    scored: list[Path | BaseException] = await asyncio.gather(
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
    return {"champion": champion, "challenger": challenger}


async def _compare(
    work: Work, pair: _Pair, holdout: Holdout, scores: Mapping[str, Path], folder: Path
) -> Recorded:
    result, files = await settled(_judge(work, pair, holdout, scores, folder))
    recorded = await _record(work, pair, holdout, result, files)
    await _show(work, pair, result, recorded)
    return recorded


@task(
    name="score", cache_policy=NO_CACHE, retries=1, retry_delay_seconds=2, retry_condition_fn=unless_refused
)
@refusing
async def _score(work: Work, pair: _Pair, version: Version, holdout: Holdout, folder: Path) -> Path:
    """Score the holdout with one version, in the environment that it was logged with."""
    from ame.scoring import fetch_model, score_model

    title = f"version {version.number} of '{version.model}'"
    say = to_run_log()
    fetched = await asyncio.to_thread(fetch_model, version.uri, work.registry.uri, folder / "model", title)
    features = _features(pair.section, fetched, holdout)
    rows = folder / "rows.parquet"
    await asyncio.to_thread(holdout.write, rows, features)
    return await stoppable(
        score_model, fetched, rows, features, environment=pair.section.scoring, work=folder, on_line=say
    )


def _features(section: AbTestSection, model: FetchedModel, holdout: Holdout) -> tuple[str, ...]:
    if section.features or model.inputs:
        features = section.features or model.inputs
        holdout.require(features, section.where, f"an input of {model.title}")
        return features
    not_features = {section.gate.label, section.gate.entity}
    return tuple(name for name in holdout.columns if name not in not_features)


@task(name="test", task_run_name="test", cache_policy=NO_CACHE)
@refusing
async def _judge(
    work: Work, pair: _Pair, holdout: Holdout, scores: Mapping[str, Path], folder: Path
) -> tuple[ABTestResult, dict[str, Path]]:
    """Run the test on the joined scores; returns it with the files that are kept of it."""
    from ame.scoring import join_scores

    gate = pair.section.gate
    table = folder / "scores.parquet"
    columns = [gate.label, *([gate.entity] if gate.entity else [])]
    await asyncio.to_thread(join_scores, holdout, columns, dict(scores), table)
    return await asyncio.to_thread(_judge_now, work, pair, holdout, table, folder)


def _judge_now(
    work: Work, pair: _Pair, holdout: Holdout, table: Path, folder: Path
) -> tuple[ABTestResult, dict[str, Path]]:
    from ame.gate import figures, render_report, run_ab_test

    result = run_ab_test(pair.section.gate, table)
    files = {
        "scores.parquet": table,
        "ab_test.json": folder / "ab_test.json",
        "report.html": folder / "report.html",
    }
    with table.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    scores = {"file": "scores.parquet", "sha256": digest}
    files["ab_test.json"].write_text(
        json.dumps({**result.to_json(), "scores": scores}, indent=2, allow_nan=False)
    )
    facts = {
        "Model": pair.challenger.model,
        "Challenger": f"version {pair.challenger.number}",
        "Champion": f"version {pair.champion.number}",
        "Holdout": holdout.name,
        "Project": work.project.name,
    }
    names = {
        "champion": f"champion v{pair.champion.number}",
        "challenger": f"challenger v{pair.challenger.number}",
    }
    pictures = figures(result, table, **names)
    page = render_report(result, pictures, title=pair.title, subtitle=facts, **names)
    files["report.html"].write_text(page)
    for name, figure in pictures.items():
        path = folder / f"{name}.png"
        figure.savefig(path, dpi=110)
        files[f"figures/{name}.png"] = path
    return result, files


@task(name="record", task_run_name="record", cache_policy=NO_CACHE, retries=2, retry_delay_seconds=2)
async def _record(
    work: Work, pair: _Pair, holdout: Holdout, result: ABTestResult, files: Mapping[str, Path]
) -> Recorded:
    """Log the test to MLflow and link it from both versions."""
    from ame.scoring import score_digests

    gate = pair.section.gate
    digests = await asyncio.to_thread(score_digests, files["scores.parquet"], ("champion", "challenger"))
    record = ABTestRecord(
        challenger=pair.challenger,
        champion=pair.champion,
        key=pair.key(holdout),
        holder=work.holder,
        result=result.to_json(),
        params={
            "primary": f"{gate.primary.metric} by more than {gate.primary.margin:g}",
            "guardrails": ", ".join(f"{g.metric} within {g.margin:g}" for g in gate.guardrails) or "none",
            "alpha": f"{gate.alpha:g}",
            "entity": gate.entity or "none",
            "rows": str(result.rows),
            "positives": str(result.positives),
            "holdout": holdout.name,
            "holdout_sha256": holdout.digest,
            "gate_sha256": pair.gate_digest,
            **{f"{name}_scores_sha256": digest for name, digest in digests.items()},
            "flow_run": str(flow_run.id),
        },
        holdout=(holdout.name, holdout.digest),
        summary=markdown_summary(pair.title, result),
        files=files,
    )
    return await asyncio.to_thread(record_ab_test, work.registry, record)


async def _show(work: Work, pair: _Pair, result: ABTestResult, recorded: Recorded) -> None:
    """Leave the test in Prefect's UI: a summary, the table, and the way to MLflow."""
    slug = f"{artifact_key(pair.challenger.model)}-v{pair.challenger.number}"
    await acreate_markdown_artifact(markdown_summary(pair.title, result), key=f"ab-test-{slug}")
    await acreate_table_artifact(metric_rows(result), key=f"ab-test-metrics-{slug}", description=result.why)
    page = work.registry.run_page(recorded.experiment_id, recorded.run_id)
    await acreate_link_artifact(page, key=f"ab-test-link-{slug}", link_text="the A/B test in MLflow")
