"""What an ame.yml says, as plain frozen data: the outcome of loading, the input of everything else.

References are resolved (a task's template is merged into it, an inline task has got a name) and every
field has its type; nothing here reads files or knows of Prefect or MLflow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ame.diagnosis import Diagnosis, Where
from ame.gate.config import ABTest
from ame.quantity import parse_quantity
from ame.spark.settings import SparkSettings

__all__ = [
    "AbTestSection",
    "Borrowed",
    "DataSet",
    "Deployment",
    "Executor",
    "KubernetesSection",
    "Model",
    "Project",
    "Promotion",
    "Resources",
    "Schedule",
    "Secret",
    "Task",
    "Threshold",
    "Validation",
    "steps_of",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Executor:
    """How a task's command gets its environment.

    Attributes:
        kind: `pip` installs requirements.txt into an environment of its own; `poetry`, `pipenv` and `uv`
            install what the lock file of each says; `mlflow` runs the folder's MLproject; `custom` sets
            nothing up; `auto` (an older file that gives only a command) is `pip` where the project folder
            holds a requirements.txt, else `custom`.
        command: a shell command line, run in the workspace's root; for `mlflow` it may be empty, which is
            `mlflow run .`.
        python_version: for example "3.11"; None takes the version that runs ame-flows.
    """

    kind: Literal["pip", "custom", "poetry", "pipenv", "uv", "mlflow", "auto"]
    command: str
    python_version: str | None = None

    @property
    def command_line(self) -> str:
        """What is run: the command, or what stands for it."""
        return self.command or ("mlflow run ." if self.kind == "mlflow" else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a task or service asks for, as written and checked to be Kubernetes quantities.

    Attributes:
        cpu, memory, storage: for example "500m", "10G", "30Gi".
        extended: extended resources by name, for example {"nvidia.com/gpu": "1"}.
        gpu_product: the kind of GPU, as the nodes are labelled, for example "NVIDIA-A100-SXM4-80GB".
        vram: the least memory of a GPU, a quantity of bytes, for example "24Gi".
        places: where each stands in the file, by its key there.
    """

    cpu: str | None = None
    memory: str | None = None
    storage: str | None = None
    extended: Mapping[str, str] = field(default_factory=dict)
    gpu_product: str | None = None
    vram: str | None = None
    places: Mapping[str, Where] = field(default_factory=dict, compare=False, repr=False)

    @property
    def gpus(self) -> dict[str, str]:
        """The extended resources that are GPUs or parts of one, without those of which none is asked."""
        return {
            name: count for name, count in self.extended.items() if _is_gpu(name) and parse_quantity(count)
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesSection:
    """What only Kubernetes understands about where and how a task's pod runs.

    Attributes:
        node_selector, labels, annotations: texts by key.
        tolerations, env_from: as a pod's specification has them, all of it checked by key.
        affinity: as a pod's specification has it, checked at its first level.
        image_pull_policy: Always, IfNotPresent or Never.
        image_pull_secrets: names of secrets.
        shared_memory: the size of /dev/shm, a quantity of bytes.
        places: where each stands in the file, by its key there.
    """

    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    affinity: Mapping[str, Any] = field(default_factory=dict)
    priority_class_name: str | None = None
    runtime_class_name: str | None = None
    service_account_name: str | None = None
    image: str | None = None
    image_pull_policy: str | None = None
    image_pull_secrets: tuple[str, ...] = ()
    env_from: tuple[Mapping[str, Any], ...] = ()
    shared_memory: str | None = None
    termination_grace_period_seconds: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, Where] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A cron expression (five fields) and its time zone (IANA name)."""

    cron: str
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """A value that the command sees as an environment variable, and that stands in no file.

    Attributes:
        key: its name in the store of secrets; in a vault, the path of the secret.
        inject_as: the environment variable.
        where: where it stands in the file, for diagnoses at run time.
        vault: the vault's name (the mount of HashiCorp Vault's key-value store), or None for a secret that is
            kept as a Prefect block.
        field: which value of a secret in a vault; None for one that has a single value.
    """

    key: str
    inject_as: str
    where: Where
    vault: str | None = None
    field: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One command with its environment and needs, or a pipeline of other tasks.

    Attributes:
        name: unique in the project; an inline task is named after its place, for example
            `arrival-delay.training`.
        executor: with an empty command for a pipeline.
        env: variables that the command sees.
        secrets: variables whose values come from a store of secrets.
        data_sets: names of data sets that stand in the workspace before the start; `PROJECT.NAME` for one of
            another project.
        retries: how often the command is run again, in a clean workspace, after it failed.
        timeout: seconds, or None; of a pipeline, from its first step's start to its last one's end.
        artifacts: files and folders in the workspace that are kept once the command has ended well.
        save_changed: whether every file that the command made or changed is kept too.
        kubernetes: what only a pod knows; a process takes no notice of it.
        pipeline: names of tasks, in groups that follow each other and whose tasks run at once; empty for a
            command. What the file gives a pipeline as `resources`, `kubernetes`, `env` and `secrets` stands
            at these.
        where: where the task is defined, for diagnoses at run time.
    """

    name: str
    executor: Executor
    where: Where
    resources: Resources = field(default_factory=Resources)
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[Secret, ...] = ()
    data_sets: tuple[str, ...] = ()
    retries: int = 0
    timeout: float | None = None
    schedule: Schedule | None = None
    artifacts: tuple[str, ...] = ()
    save_changed: bool = False
    kubernetes: KubernetesSection = field(default_factory=KubernetesSection)
    pipeline: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """Files under `path` (relative to the workspace), made by `task` or, without one, kept there.

    Attributes:
        path: relative, inside the project folder.
        task: name of the task that makes it, or None for files that are part of the project.
        size: a Kubernetes quantity or None.
    """

    name: str
    path: str
    where: Where
    task: str | None = None
    size: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A bound, `minimum` or `maximum` or both, on a metric that the training run logged."""

    metric: str
    where: Where
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """A version passes when its metrics keep the thresholds and the task, if any, succeeds."""

    task: str | None = None
    thresholds: tuple[Threshold, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AbTestSection:
    """The `abTest` section: the holdout, how it is scored, and the gate's own configuration.

    Attributes:
        data_set: name of a data set, as tasks name it; exactly one of it, `data_path`, `data_uri` and
            `data_table` is given.
        data_path: a path relative to the project folder.
        data_uri: s3://BUCKET/PREFIX, without a slash at its end.
        data_table: a name that Spark's catalogs know; read by Spark only.
        training_set, training_path, training_uri: the rows that the models are trained on, named like the
            holdout; at most one of them is given.
        features: the columns given to the models; empty means the model signature's inputs.
        gate: what the pure statistics read.
        scoring: `model` scores each version in the environment it was logged with, `current` in the
            one that runs ame-flows; on Spark the executors' environment scores.
        scoring_engine: where versions are scored; `auto` is where the gate's numbers are computed.
        engine: where the gate's numbers are computed; the same ones come out everywhere.
        resources: of the comparison's own process, which on Spark is the driver.
        spark: the session, or None when the file says nothing about it.
        spark_block: the name of a `SparkSession` block that says the rest; None: no block.
    """

    gate: ABTest
    where: Where
    data_set: str | None = None
    data_path: str | None = None
    data_uri: str | None = None
    data_table: str | None = None
    training_set: str | None = None
    training_path: str | None = None
    training_uri: str | None = None
    features: tuple[str, ...] = ()
    scoring: Literal["model", "current"] = "model"
    scoring_engine: Literal["auto", "local", "spark"] = "auto"
    engine: Literal["auto", "local", "spark"] = "auto"
    resources: Resources = field(default_factory=Resources)
    spark: SparkSettings | None = None
    spark_block: str | None = None

    @property
    def holdout(self) -> str:
        """The holdout as the file names it: a data set, path, URI or table."""
        return self.data_set or self.data_path or self.data_uri or self.data_table or ""

    @property
    def trained_on(self) -> str | None:
        """The training rows as the file names them."""
        return self.training_set or self.training_path or self.training_uri


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """Who decides.

    Attributes:
        strategy: `abTest`, `metric` (the metric that the training run logged must be strictly better
            than the champion's), `always` (a version that passes validation is promoted) or `never`.
        first_version: what happens to the first version when there is no champion: `validated`
            promotes it once it passes validation, `never` leaves it.
        metric: given with the strategy `metric` and no other.
        greater_is_better: of that metric.
        explicit: False when the file says nothing and the strategy was derived from its sections.
    """

    strategy: Literal["abTest", "metric", "always", "never"]
    first_version: Literal["validated", "never"] = "validated"
    metric: str | None = None
    greater_is_better: bool = True
    explicit: bool = False

    def decides(self, champion: str | None) -> bool:
        """Whether anything decides on a version that has passed validation; else it is left to people."""
        return self.strategy != "never" and (champion is not None or self.first_version != "never")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """How a champion is to be served; read and checked, and used by no command of this release."""

    replicas: int = 1
    resources: Resources = field(default_factory=Resources)
    image: str | None = None
    enable_tls: bool = True
    ingress_annotations: Mapping[str, str] = field(default_factory=dict)
    auto_deploy: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A registered model: how it is trained, validated, compared, promoted and deployed.

    Attributes:
        name: also the MLflow registered model's name.
        training: name of the training task, or None when versions come from elsewhere.
        on_change: whether a training also starts when the project was deployed with changed files.
        delivery: `every` version is delivered, or a newer one supersedes those that still wait (`latest`).
    """

    name: str
    where: Where
    promotion: Promotion
    training: str | None = None
    schedule: Schedule | None = None
    on_change: bool = False
    validation: Validation | None = None
    ab_test: AbTestSection | None = None
    delivery: Literal["every", "latest"] = "every"
    deployment: Deployment | None = None


class Borrowed(NamedTuple):
    """A data set of another project, which that project's task makes from its own files."""

    project: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A whole file.

    Attributes:
        folder: the folder that holds the file; the source of every task.
        models, tasks, data_sets: by name, in the file's order; `tasks` holds inline tasks too.
        enable_triggers: whether schedules are active once they are deployed.
        borrowed: the data sets of other projects that are needed, by `PROJECT.NAME`, as tasks name them.
        others: the projects that the file refers to, by name; they may refer to this one.
        warnings: what was read and is worth saying, for example a key of an older release.
    """

    name: str
    folder: Path
    file: Path
    models: Mapping[str, Model] = field(default_factory=dict)
    tasks: Mapping[str, Task] = field(default_factory=dict)
    data_sets: Mapping[str, DataSet] = field(default_factory=dict)
    enable_triggers: bool = True
    borrowed: Mapping[str, Borrowed] = field(default_factory=dict)
    others: Mapping[str, Project] = field(default_factory=dict, compare=False, repr=False)
    warnings: tuple[Diagnosis, ...] = ()

    def data_set(self, name: str) -> tuple[Project, DataSet]:
        """A data set as tasks name it, with the project that it is of."""
        if name in self.borrowed:
            of = self.borrowed[name]
            return self.others[of.project], self.others[of.project].data_sets[of.name]
        return self, self.data_sets[name]

    @property
    def needed(self) -> dict[str, Project]:
        """The projects that this one refers to, directly or through others, by name."""
        found: dict[str, Project] = {}
        todo = [self]
        while todo:
            for name, other in todo.pop().others.items():
                if name not in found and other is not self:
                    found[name] = other
                    todo.append(other)
        return found


def steps_of(task: Task, tasks: Mapping[str, Task]) -> list[Task]:
    """The tasks that a pipeline consists of, each once, with those of pipelines in it; none for a command."""
    found: dict[str, Task] = {}
    todo = [task]
    while todo:
        for name in (name for group in todo.pop().pipeline for name in group):
            if name not in found and name in tasks:
                found[name] = tasks[name]
                todo.append(tasks[name])
    return list(found.values())


def _is_gpu(resource: str) -> bool:
    """nvidia.com/gpu, nvidia.com/mig-1g.5gb, nvidia.com/gpu.shared, amd.com/gpu, gpu.intel.com/i915."""
    domain, _, device = resource.partition("/")
    return domain == "gpu.intel.com" or device.startswith(("gpu", "mig-"))
