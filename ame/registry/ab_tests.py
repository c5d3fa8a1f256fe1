"""A/B tests as MLflow runs: one run a decision, with all numbers, and linked from both versions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ame.registry.ab_test_numbers import as_metrics, to_numbers
from ame.registry.registry import Registry, now_text
from ame.registry.versions import AB_TEST_TAG, HOLDER_TAG, Version, ab_test_tag

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, Run

__all__ = [
    "ABTestRecord",
    "Recorded",
    "ab_test_of",
    "find_ab_test",
    "record_ab_test",
    "rolled_back_twin",
    "to_recorded",
]

#: What MLflow takes of a param and of a tag.
_LONGEST_PARAM, _LONGEST_TAG = 6000, 8000
_PARAMS_AT_ONCE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ABTestRecord:
    """What is recorded of one test.

    Attributes:
        key: of the decision: versions, gate, holdout. One key is decided once.
        result: the gate's JSON, with `decision`, `why` and `metrics`.
        params: further settings to show in MLflow, as text; of a long one its beginning is kept, so what
            must be whole belongs into a file, too.
        tags: further ones to find it by.
        holdout: name and digest of the data.
        training: the same of the training rows, where these are known.
        files: artifacts by name; `figures/...` goes into that folder.
    """

    challenger: Version
    champion: Version
    key: str
    holder: str
    result: Mapping[str, Any]
    params: Mapping[str, str]
    holdout: tuple[str, str]
    summary: str
    files: Mapping[str, Path]
    tags: Mapping[str, str] = field(default_factory=dict)
    training: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A decision as the registry tells it.

    Attributes:
        metrics: by metric, the numbers of `ab_test.json` that are stored as run metrics, with `interval`
            as a pair.
        artifacts: the URI of the run's artifacts.
        key: of the decision, see `ABTestRecord`.
        digests: SHA-256 of the `gate`'s configuration and of the holdout (`data`), those that are known.
        scores: SHA-256 of the scores of `champion` and `challenger`, those that are known.
    """

    run_id: str
    experiment_id: str
    decision: str
    why: str
    champion: str
    challenger: str
    metrics: dict[str, dict[str, Any]]
    artifacts: str
    key: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)
    scores: Mapping[str, str] = field(default_factory=dict)


def record_ab_test(registry: Registry, record: ABTestRecord) -> Recorded:
    """Write a test to MLflow; the run counts once it is FINISHED, which is the last thing written."""
    from mlflow.entities import LoggedModelInput, Metric, Param, RunTag

    client = registry.client
    model, new, old = record.challenger.model, record.challenger.number, record.champion.number
    experiment = _experiment(registry, model)
    decision, why = str(record.result["decision"]), str(record.result["why"])
    tags = {
        "mlflow.runName": f"{model} v{new} against v{old}",
        "mlflow.note.content": record.summary,
        "ame.kind": "ab_test",
        "ame.model": model,
        "ame.challenger": new,
        "ame.champion": old,
        "ame.decision_key": record.key,
        "ame.decision": decision,
        "ame.why": why,
        **record.tags,
        HOLDER_TAG: record.holder,
    }
    # With its holder from the start on, so that a run that a kill leaves open is known for what it is.
    run = client.create_run(experiment, run_name=tags["mlflow.runName"], tags={HOLDER_TAG: record.holder})
    run_id, now = run.info.run_id, run.info.start_time
    numbers = as_metrics(record.result)
    params = [Param(name, value[:_LONGEST_PARAM]) for name, value in record.params.items()]
    client.log_batch(
        run_id,
        metrics=[Metric(name, value, now, 0) for name, value in numbers.items()],
        params=params[:_PARAMS_AT_ONCE],
        tags=[RunTag(name, value[:_LONGEST_TAG]) for name, value in tags.items()],
    )
    for first in range(_PARAMS_AT_ONCE, len(params), _PARAMS_AT_ONCE):
        client.log_batch(run_id, params=params[first : first + _PARAMS_AT_ONCE])
    logged = [v.logged_model for v in (record.champion, record.challenger) if v.logged_model]
    client.log_inputs(
        run_id,
        datasets=list(_datasets(record)),
        models=[LoggedModelInput(model_id) for model_id in logged],
    )
    for artifact, path in record.files.items():
        folder = artifact.rpartition("/")[0]
        client.log_artifact(run_id, str(path), folder or None)
    for version in (record.challenger, record.champion):
        client.set_model_version_tag(model, version.number, ab_test_tag(new, old), run_id)
    client.set_tag(run_id, "ame.decided_at", now_text())
    client.set_terminated(run_id, status="FINISHED")
    return to_recorded(client.get_run(run_id))


def _datasets(record: ABTestRecord) -> Iterator[DatasetInput]:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    counted = {name: record.result.get(name) for name in ("rows", "positives")}
    profile = json.dumps({f"num_{name}": count for name, count in counted.items()})
    rows: list[tuple[str, tuple[str, str], str | None]] = [("ab_test", record.holdout, profile)]
    if record.training is not None:
        rows.append(("training", record.training, None))
    for context, (name, digest), told in rows:
        # MLflow has room for 36 characters of a digest; the whole one stands in the source.
        data = Dataset(name, digest[:36], "local", json.dumps({"sha256": digest}), profile=told)
        yield DatasetInput(data, [InputTag("mlflow.data.context", context)])


def find_ab_test(registry: Registry, model: str, key: str) -> Recorded | None:
    """The finished test with this decision key, if there is one."""
    found = registry.client.get_experiment_by_name(_experiment_name(model))
    if found is None:
        return None
    runs = registry.client.search_runs(
        [found.experiment_id],
        filter_string=f"tags.`ame.decision_key` = '{key}' and attributes.status = 'FINISHED'",
        order_by=["attributes.start_time ASC"],
        max_results=1,
    )
    return to_recorded(runs[0]) if runs else None


def ab_test_of(registry: Registry, challenger: Version, champion: str) -> Recorded | None:
    """The newest test of these two versions."""
    tags = registry.version(challenger.model, challenger.number).tags
    run = tags.get(ab_test_tag(challenger.number, champion))
    return to_recorded(registry.client.get_run(run)) if run else None


def rolled_back_twin(registry: Registry, model: str, test: Recorded) -> Version | None:
    """A version that was rolled back and answered each row of the holdout as the test's challenger does."""

    def answers(version: Version, run: str) -> tuple[str | None, str | None]:
        found = to_recorded(registry.client.get_run(run))
        role = "challenger" if found.challenger == version.number else "champion"
        return found.digests.get("data"), found.scores.get(role)

    wanted = test.digests.get("data"), test.scores.get("challenger")
    if None in wanted:
        return None
    for version in registry.versions(model):
        if version.state == "rolled-back":
            runs = {run for tag, run in version.tags.items() if tag.startswith(AB_TEST_TAG)}
            if any(answers(version, run) == wanted for run in runs):
                return version
    return None


def to_recorded(run: Run) -> Recorded:
    tags = run.data.tags
    return Recorded(
        run_id=run.info.run_id,
        experiment_id=run.info.experiment_id,
        decision=tags.get("ame.decision", ""),
        why=tags.get("ame.why", ""),
        champion=tags.get("ame.champion", ""),
        challenger=tags.get("ame.challenger", ""),
        metrics=to_numbers(run.data.metrics),
        artifacts=run.info.artifact_uri or "",
        key=tags.get("ame.decision_key", ""),
        digests={
            name: run.data.params[param]
            for name, param in (("gate", "gate_sha256"), ("data", "holdout_sha256"))
            if param in run.data.params
        },
        scores={
            role: run.data.params[f"{role}_scores_sha256"]
            for role in ("champion", "challenger")
            if f"{role}_scores_sha256" in run.data.params
        },
    )


def _experiment_name(model: str) -> str:
    return f"ame/ab-tests/{model}"


def _experiment(registry: Registry, model: str) -> str:
    from mlflow.exceptions import MlflowException

    name = _experiment_name(model)
    found = registry.client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    try:
        return str(registry.client.create_experiment(name))
    except MlflowException:
        # Another process was first.
        found = registry.client.get_experiment_by_name(name)
        if found is None:
            raise
        return str(found.experiment_id)
