"""Every word of the AME file: what is read, older spellings, and what this release does not carry out."""

from __future__ import annotations

from dataclasses import replace

from ame.spec.section import Shape

__all__ = [
    "AB_TEST",
    "AB_TEST_DATA",
    "AB_TEST_TRAINING",
    "AFFINITY",
    "ARTIFACTS",
    "DATA_SET",
    "DEPLOYMENT",
    "ENV_ENTRY",
    "ENV_FROM",
    "ENV_FROM_REFERENCE",
    "EXECUTOR",
    "EXECUTOR_KINDS",
    "EXECUTOR_RESOURCES",
    "KUBERNETES",
    "MARGIN",
    "MODEL",
    "NAMED",
    "PROJECT",
    "PROMOTION",
    "REFERENCE",
    "RESOURCES",
    "SCORING",
    "SPARK",
    "STEP",
    "TASK",
    "THRESHOLD",
    "TOLERATION",
    "TRAINING",
    "TRIGGERS",
    "VALIDATION",
    "WITHHELD_DESIGNS",
    "WITHHELD_EXECUTORS",
    "WITHHELD_FIRST_VERSIONS",
    "WITHHELD_SCORING",
    "WITHHELD_STRATEGIES",
]


def _keys(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SOURCE = "Tasks run from the folder that the file is in; leave it out."
_SECRETS = "Set the variable in the environment that `ame run` is started in."
_SPLIT = "For logged traffic, of which each row was answered by one model, use `ame ab-test --design split`."
_TASK_TYPE = "Write `executor: !pip {command: ...}` or `executor: !custom {command: ...}`."

PROJECT = Shape(
    _keys("name models tasks templates dataSets"),
    older={
        "projectid": "name",
        "project": "name",
        "projectname": "name",
        "projectName": "name",
        "data_sets": "dataSets",
    },
    withheld={
        "source": _SOURCE,
        "enableTriggers": "A schedule is active once it is deployed; leave it out.",
    },
)

TASK = Shape(
    _keys(
        "name executor pipeline resources env dataSets retries timeout triggers fromTemplate artifacts "
        "kubernetes"
    ),
    older={"environment": "env", "templateRef": "fromTemplate"},
    withheld={
        "secrets": _SECRETS,
        "artifactCfg": "Write `artifacts: {paths: [...]}`.",
        "source": _SOURCE,
        "taskType": _TASK_TYPE,
        "task_type": _TASK_TYPE,
    },
    dated=_keys("runcommand command projectid"),
)
STEP = replace(TASK, older={**TASK.older, "taskname": "name"})
REFERENCE = Shape(_keys("taskRef"), older={"taskref": "taskRef"})
NAMED = Shape(_keys("name project"))
EXECUTOR = Shape(
    _keys("pythonVersion command"),
    withheld={"image": "The image is chosen by the work pool, for every task of it."},
)
EXECUTOR_KINDS = ("pip", "custom")
WITHHELD_EXECUTORS = {
    "poetry": "Export the lock with `poetry export -o requirements.txt` and write `!pip`.",
    "pipenv": "Export the lock with `pipenv requirements > requirements.txt` and write `!pip`.",
    "pipEnv": "Export the lock with `pipenv requirements > requirements.txt` and write `!pip`.",
    "mlflow": "Write `!pip` with the command of the MLproject's entry point.",
    "uv": "Export the lock with `uv export -o requirements.txt` and write `!pip`.",
}
RESOURCES = Shape(
    _keys("cpu memory storage gpuProduct"),
    older={"gpus": "nvidia.com/gpu"},
    domains=True,
    withheld={"vram": "Choose a GPU with enough of it by `gpuProduct`."},
)
ARTIFACTS = Shape(_keys("paths saveChangedFiles"))
KUBERNETES = Shape(
    _keys(
        "nodeSelector tolerations affinity priorityClassName runtimeClassName serviceAccountName image "
        "imagePullPolicy imagePullSecrets envFrom sharedMemory terminationGracePeriodSeconds labels "
        "annotations"
    )
)
TOLERATION = Shape(_keys("key operator value effect tolerationSeconds"))
ENV_FROM = Shape(_keys("prefix configMapRef secretRef"))
ENV_FROM_REFERENCE = Shape(_keys("name optional"))
AFFINITY = Shape(_keys("nodeAffinity podAffinity podAntiAffinity"))
ENV_ENTRY = Shape(_keys("key val"), older={"name": "key", "envkey": "key", "value": "val"})
TRIGGERS = Shape(_keys("schedule timezone"))
DATA_SET = Shape(_keys("name path task size"), older={"taskref": "taskRef"}, dated=_keys("taskRef"))

MODEL = Shape(
    _keys("name training validation abTest promotion delivery deployment"), dated=_keys("type validationTask")
)
TRAINING = Shape(_keys("task schedule timezone"))
VALIDATION = Shape(_keys("task thresholds"))
THRESHOLD = Shape(_keys("min max"))
AB_TEST = Shape(
    _keys(
        "data training label task design features entity row time primary guardrails metrics slices "
        "sliceMargin classes alpha power looks threshold quantile minPositives minSliceRows "
        "minSlicePositives maxDuplicates maxOverlap scoring resources engine spark"
    ),
    withheld=dict.fromkeys(("variant", "share", "sampleRatioAlpha"), _SPLIT),
)
AB_TEST_DATA = Shape(_keys("dataSet path uri table"))
AB_TEST_TRAINING = Shape(
    _keys("dataSet path uri"),
    withheld={"table": "Write its rows as parquet, and name them with `path` or `uri`."},
)
MARGIN = Shape(_keys("metric margin"))
SCORING = Shape(_keys("environment engine"))
SPARK = Shape(_keys("block master executors resources image archive conf"))
# What `resources` knows elsewhere is let through to its reader, which says what executors take.
EXECUTOR_RESOURCES = Shape(_keys("cpu memory"), dated=_keys("storage gpuProduct gpus vram"), domains=True)
PROMOTION = Shape(_keys("strategy firstVersion metric greaterIsBetter"))
DEPLOYMENT = Shape(
    _keys("replicas resources image enableTls ingressAnnotations autoDeploy"),
    older={
        "deploy": "autoDeploy",
        "enable_tls": "enableTls",
        "ingress_annotations": "ingressAnnotations",
    },
    withheld={"runtime": ""},
    idle={"auto_train": "A training starts by its schedule or by hand."},
)

_BY_HAND = "promote by hand with `ame promote MODEL VERSION --reason TEXT`."
WITHHELD_STRATEGIES = {"approval": f"Write `strategy: never` and {_BY_HAND}"}
WITHHELD_FIRST_VERSIONS = {"approval": f"Write `firstVersion: never` and {_BY_HAND}"}
WITHHELD_SCORING = {"training": "Write `environment: model`."}
WITHHELD_DESIGNS = {"split": _SPLIT}
