"""What each flow takes, known to the flows, which receive it, and to the compiler, which writes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

__all__ = [
    "FLOWS",
    "CompareVersions",
    "DeliverVersion",
    "FlowKind",
    "FlowParameters",
    "ProduceDataSet",
    "RunTask",
    "TrainModel",
    "WatchRegistry",
]


class FlowParameters(BaseModel):
    """What all flows take.

    Attributes:
        project: the project's folder, or `snapshot:NAME/DIGEST` for one in the artifact store.
        env: values for variables that tasks declare.
        source: the digest of the project's files; taken when a run starts if it is not given.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    project: str
    env: dict[str, str] | None = None
    source: str | None = None


class TrainModel(FlowParameters):
    """What train-model takes."""

    model: str


class DeliverVersion(FlowParameters):
    """What deliver-version takes; the number is spelled as MLflow spells it."""

    model: str
    version: str


class CompareVersions(FlowParameters):
    """What compare-versions takes; the numbers are spelled as MLflow spells them."""

    model: str
    version: str
    champion: str


class RunTask(FlowParameters):
    """What run-task takes.

    Attributes:
        extra: variables of the step that the task is run for.
        files: for a step of a pipeline, `from` where its files come and `to` where they go.
    """

    task_name: str
    extra: dict[str, str] | None = None
    files: dict[str, str] | None = None


class ProduceDataSet(FlowParameters):
    """What produce-data-set takes."""

    data_set: str


class WatchRegistry(FlowParameters):
    """What watch-registry takes: nothing but the project, all models of which it looks after."""


@dataclass(frozen=True, slots=True)
class FlowKind:
    """One flow.

    Attributes:
        name: Prefect's name of the flow.
        entrypoint: in module form, as a deployment names it.
        parameters: what it takes.
    """

    name: str
    entrypoint: str
    parameters: type[FlowParameters]


FLOWS: Mapping[str, FlowKind] = {
    kind.name: kind
    for kind in (
        FlowKind("train-model", "flows.training.train_model", TrainModel),
        FlowKind("deliver-version", "flows.delivery.deliver_version", DeliverVersion),
        FlowKind("compare-versions", "flows.comparison.compare_versions", CompareVersions),
        FlowKind("run-task", "flows.task.run_task", RunTask),
        FlowKind("produce-data-set", "flows.data_set.produce_data_set", ProduceDataSet),
        FlowKind("watch-registry", "flows.registry_watch.watch_registry", WatchRegistry),
    )
}
