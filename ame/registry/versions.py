"""Model versions: their states, kept as tags in MLflow, and which of them a training has made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

from ame.diagnosis import Diagnosis, Refused

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

__all__ = [
    "CHALLENGER",
    "CHAMPION",
    "DECIDED",
    "PREVIOUS",
    "State",
    "TaskRun",
    "UnfinishedTraining",
    "Version",
    "ab_test_tag",
    "fail_runs",
    "made_versions",
    "runs_of",
    "to_version",
]

#: The aliases of a model: who serves, who waits to, and who served before.
CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"

State = Literal[
    "trained",
    "validated",
    "refused",
    "compared",
    "promoted",
    "rejected",
    "inconclusive",
    "invalid",
    "superseded",
    "rolled-back",
]

#: States in which nothing is left to do.
DECIDED = frozenset(
    {"refused", "promoted", "rejected", "inconclusive", "invalid", "superseded", "rolled-back"}
)

#: Tags that MLFLOW_RUN_CONTEXT puts on every run that a command starts.
TASK_RUN_TAG, ATTEMPT_TAG, HOLDER_TAG = "ame.task_run", "ame.attempt", "ame.holder"

#: On the runs of a training that ended well: when.
ENDED_TAG = "ame.training_ended"

#: On a version on which the journal has decided: the entry's number, the state, and the entry's run.
ENTRY_TAG = "ame.entry"

#: How the tags of the A/B tests of a version begin.
AB_TEST_TAG = "ame.ab_test."

#: How often a delivery of the version failed, without a decision.
FAILURES_TAG = "ame.failed_deliveries"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRun:
    """One run of a training command, as it marks the MLflow runs that the command starts.

    Attributes:
        id: of the flow run.
        attempt: counted from 1.
        holder: the host and home that the command runs under.
        newest_before: the highest version number of the model before the command started.
    """

    id: str
    attempt: int
    holder: str
    newest_before: int

    @property
    def context(self) -> dict[str, str]:
        return {TASK_RUN_TAG: self.id, ATTEMPT_TAG: str(self.attempt), HOLDER_TAG: self.holder}


@dataclass(frozen=True, slots=True)
class UnfinishedTraining:
    """A training that has registered a version and has not said that it ended well.

    Attributes:
        flow_run: its id, as Prefect knows it.
        holder: the host and home that it runs under.
    """

    flow_run: str
    holder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a registered model.

    Attributes:
        number: as MLflow spells it, for example "7".
        run_id: of the run that logged it, or None.
        state: None when nothing of ours has seen it yet. What the journal has decided counts more than
            the tag `ame.state`, which a process that comes too late may write once more.
        tags: all tags of the version.
        source: for example "models:/m-0123".
    """

    model: str
    number: str
    run_id: str | None
    state: State | None
    source: str
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def uri(self) -> str:
        return f"models:/{self.model}/{self.number}"

    @property
    def journaled(self) -> bool:
        """Whether the journal has decided on it."""
        return ENTRY_TAG in self.tags

    @property
    def failures(self) -> int:
        """How often a delivery of it failed, without a decision."""
        told = self.tags.get(FAILURES_TAG, "")
        return int(told) if told.isdecimal() else 0

    @property
    def logged_model(self) -> str | None:
        """The id of MLflow's logged model behind this version; older clients have none."""
        return self.source.removeprefix("models:/") if self.source.startswith("models:/m-") else None


def ab_test_tag(challenger: str, champion: str) -> str:
    """The tag that both versions of an A/B test carry; its value is the test's MLflow run."""
    return f"{AB_TEST_TAG}v{challenger}-vs-v{champion}"


def to_version(found: ModelVersion) -> Version:
    tags = dict(found.tags or {})
    # A tag that somebody has changed to something else says nothing; `ame doctor` writes it again.
    _, _, told = tags.get(ENTRY_TAG, "").partition(" ")
    state = told.partition(" ")[0] or tags.get("ame.state")
    return Version(
        model=found.name,
        number=str(found.version),
        run_id=found.run_id or None,
        state=state if state in get_args(State) else None,  # type: ignore[arg-type]
        source=found.source or "",
        tags=tags,
    )


def runs_of(client: MlflowClient, tag: str, value: str, *, more: str = "") -> list[Run]:
    """All runs, over all experiments, that carry a tag; newest first."""
    experiments, token = [], None
    while True:
        page = client.search_experiments(page_token=token)
        experiments += [experiment.experiment_id for experiment in page]
        token = page.token
        if not token:
            break
    runs: list[Run] = []
    # The server refuses a request with too many experiments at once.
    for start in range(0, len(experiments), 100):
        token = None
        while True:
            found = client.search_runs(
                experiments[start : start + 100],
                filter_string=f"tags.`{tag}` = '{value}'{more}",
                page_token=token,
            )
            runs += found
            token = found.token
            if not token:
                break
    return runs


def made_versions(client: MlflowClient, model: str, task_run: TaskRun) -> list[Version]:
    """The versions of `model` that one attempt of a training has made, oldest first; may be empty.

    The runs that the command started carry its tags, and a version names its run. A version that names
    no run (a model logged outside any) counts when it appeared while the command ran.

    Raises:
        Refused: AME-E302, when the command registered under other names than the declared one only.
    """
    attempt = f" and tags.`{ATTEMPT_TAG}` = '{task_run.attempt}'"
    runs = {run.info.run_id for run in runs_of(client, TASK_RUN_TAG, task_run.id, more=attempt)}
    new = [version for version in _versions(client, model) if int(version.number) > task_run.newest_before]
    mine = [version for version in new if version.run_id in runs or version.run_id is None]
    if not mine:
        others = _other_models(client, runs)
        if others:
            names = ", ".join(f"'{name}'" for name in others)
            raise Refused(
                Diagnosis(
                    code="AME-E302",
                    what=f"the training registered a version of {names}, not of '{model}'.",
                    why="The model's name in the ame.yml is the name of the registered model.",
                    fix=f"Register as '{model}' in the training, or name the model {names} in the ame.yml.",
                )
            )
    return sorted(mine, key=lambda version: int(version.number))


def _versions(client: MlflowClient, model: str) -> Iterable[Version]:
    token = None
    while True:
        page = client.search_model_versions(f"name = '{model}'", max_results=1000, page_token=token)
        yield from map(to_version, page)
        token = page.token
        if not token:
            return


def _other_models(client: MlflowClient, runs: Iterable[str]) -> list[str]:
    return sorted({found.name for run in runs for found in client.search_model_versions(f"run_id = '{run}'")})


def fail_runs(client: MlflowClient, task_run: TaskRun, status: str) -> None:
    """Mark every run that an attempt started as FAILED or KILLED, also one that had ended well."""
    attempt = f" and tags.`{ATTEMPT_TAG}` = '{task_run.attempt}'"
    for run in runs_of(client, TASK_RUN_TAG, task_run.id, more=attempt):
        client.set_terminated(run.info.run_id, status=status)
