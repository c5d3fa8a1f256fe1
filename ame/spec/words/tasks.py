"""The words of tasks, templates and data sets."""

from __future__ import annotations

import re
from dataclasses import replace

from ame.spec.grammar import DOMAIN, Flag, Key, ListOf, MapOf, OneOf, Shape, Tagged, Whole
from ame.spec.words.kubernetes import KUBERNETES
from ame.spec.words.secrets import SECRETS_KEY
from ame.spec.words.values import (
    BYTES,
    COMMAND,
    COUNT,
    CPU,
    CRON,
    DURATION,
    ENV_NAME,
    GPU_PRODUCT,
    IMAGE,
    NAME,
    PATH,
    PYTHON_VERSION,
    TASK_TYPE,
    TEXT,
    TIMEZONE,
)

__all__ = [
    "ARTIFACTS",
    "DATA_SET",
    "DATA_SET_REFERENCE",
    "ENV_ENTRY",
    "EXECUTOR",
    "EXECUTORS",
    "NAMED",
    "RECURRING",
    "REFERENCE",
    "RESOURCES",
    "SCHEDULE",
    "SOURCE",
    "STEP",
    "STRAY_RESOURCES",
    "TARGET",
    "TASK",
    "TASK_USE",
    "TIMEZONE_OF_SCHEDULE",
    "TRIGGERS",
]

#: What can be done instead of naming a source.
SOURCE = "Tasks run from the folder that the file is in; leave it out."

NAMED = Shape(
    "named",
    "A name, with its project.",
    {
        "name": Key(TEXT, "What is meant.", required=True),
        "project": Key(TEXT, "The project that it belongs to.", otherwise="this project"),
    },
)
#: What refers to something by its name: `gpu`, `PROJECT.gpu` or {name, project}.
TARGET = OneOf((TEXT, NAMED))
REFERENCE = Shape(
    "reference",
    "A reference to a task.",
    {"taskRef": Key(TARGET, "A task's name, or `{name, project}`.", required=True)},
    older={"taskref": "taskRef"},
)

_IMAGE = Key(IMAGE, "The container's image; write `kubernetes: {image: ...}`.")
EXECUTOR = Shape(
    "executor",
    "The command of a task and the Python that it runs with.",
    {
        "command": Key(
            COMMAND,
            "A shell command line, run in a copy of the project's folder. A task must have one, of its own "
            "or from its template; only `!mlflow` does without, which then is `mlflow run .`.",
        ),
        "pythonVersion": Key(
            PYTHON_VERSION,
            "The version of Python for the environment, such as 3.11.",
            otherwise="the version that runs ame-flows",
        ),
    },
    dated={"image": _IMAGE},
)
EXECUTORS = Tagged(dict.fromkeys(("pip", "poetry", "pipenv", "uv", "mlflow", "custom"), EXECUTOR))

_POOLS = "the work pool's"
RESOURCES = Shape(
    "resources",
    "What a process needs.",
    {
        "cpu": Key(CPU, "Cores, down to a thousandth: `2`, `0.5` or `500m`.", otherwise=_POOLS),
        "memory": Key(BYTES, "Memory in whole bytes: `10G` or `4Gi`.", otherwise=_POOLS),
        "storage": Key(BYTES, "The size of the workspace in whole bytes: `30G`.", otherwise=_POOLS),
        "gpuProduct": Key(
            GPU_PRODUCT,
            "The kind of GPU, by the label that the vendor's device plugin puts on the nodes, such as "
            "`NVIDIA-L4`.",
        ),
        "vram": Key(BYTES, "The least memory of a GPU in whole bytes: `24Gi`. It needs a GPU."),
    },
    older={"gpus": "nvidia.com/gpu"},
    domains=Key(
        COUNT,
        "An extended resource by its full name, in whole pieces; 0 takes away what a template asks for.",
    ),
)
#: What `resources` knows and executors of Spark do not take.
STRAY_RESOURCES = re.compile(rf"storage|gpuProduct|gpus|vram|{DOMAIN.pattern}")

ARTIFACTS = Shape(
    "artifacts",
    "What is kept of a task's workspace.",
    {
        "paths": Key(
            ListOf(PATH), "Files and folders in the workspace that are kept once the command has ended well."
        ),
        "saveChangedFiles": Key(
            Flag(), "Whether every file that the command made or changed is kept, too.", default=False
        ),
    },
)

ENV_ENTRY = Shape(
    "variable",
    "An environment variable.",
    {
        "key": Key(
            ENV_NAME,
            "Its name. Those that ame-flows sets itself are refused: `MLFLOW_TRACKING_URI`, "
            "`MLFLOW_RUN_CONTEXT`, `MLFLOW_RUN_ID`, and all that begin with `AME_` or `PREFECT_`.",
            required=True,
        ),
        "val": Key(TEXT, "Its value, a text; `no` and `010` arrive as they stand here.", required=True),
    },
    older={"name": "key", "envkey": "key", "value": "val"},
)

SCHEDULE = Key(
    CRON,
    'When it starts by itself: a cron expression of five fields, in quotes, such as `"0 3 * * *"`.',
    otherwise="it is started by hand",
)
TIMEZONE_OF_SCHEDULE = Key(
    TIMEZONE, "The schedule's time zone, a name of the IANA database such as `Europe/Berlin`.", default="UTC"
)
TRIGGERS = Shape(
    "triggers", "When a task starts by itself.", {"schedule": SCHEDULE, "timezone": TIMEZONE_OF_SCHEDULE}
)

DATA_SET_REFERENCE = Shape(
    "dataSetReference",
    "A reference to a data set, as AME's documentation has it.",
    {"ref": Key(TARGET, "A data set's name, or `{name, project}`.", required=True)},
)
_DATA_SET_USE = OneOf((TEXT, NAMED), older=(DATA_SET_REFERENCE,))

_TASK_KEYS = {
    "name": Key(
        NAME,
        "Its name, which a task in a list must have.",
        otherwise="its place, such as `MODEL.training`",
    ),
    "executor": Key(
        EXECUTORS,
        "The command, and how it gets its environment, such as `!pip {command: python train.py}`.",
    ),
    # Said below: its steps are tasks.
    "pipeline": Key(TEXT),
    "resources": Key(RESOURCES, "What the command needs."),
    "env": Key(
        OneOf((ListOf(ENV_ENTRY),), older=(ENV_ENTRY,)),
        "Variables that the command sees, each `{key, val}`.",
    ),
    "secrets": SECRETS_KEY,
    "dataSets": Key(
        OneOf((ListOf(_DATA_SET_USE),), older=(_DATA_SET_USE,)),
        "Names of data sets that stand in the workspace before the start; `PROJECT.NAME` for one of another "
        "project.",
    ),
    "retries": Key(Whole(0, 100), "How often a command that failed is run again.", default=0),
    "timeout": Key(DURATION, "The longest that one attempt may take: `90s`, `30m`, `2h` or `1h30m`."),
    "triggers": Key(TRIGGERS, "When the task starts by itself."),
    "artifacts": Key(ARTIFACTS, "What is kept of the workspace."),
    "kubernetes": Key(KUBERNETES, "What only a pod understands; a process takes no notice of it."),
    "fromTemplate": Key(TARGET, "The template that the task builds on, by its name or as `{name, project}`."),
    "taskRef": Key(
        TARGET, "A task that this one is like in all that it does not say itself, but for `triggers`."
    ),
}
_TASK_TYPE = Key(TASK_TYPE, "The kind of the executor; write `executor: !mlflow`, `!pipenv` or `!poetry`.")
TASK = Shape(
    "task",
    "One command with its environment and needs; in `templates`, any part of it.",
    _TASK_KEYS,
    older={
        "environment": "env",
        "templateRef": "fromTemplate",
        "artifactCfg": "artifacts",
        "dataSet": "dataSets",
        "taskref": "taskRef",
    },
    dated={
        "runcommand": Key(COMMAND, "The command; write `executor: !pip {command: ...}`."),
        "command": Key(COMMAND, "The command; write `executor: !pip {command: ...}`."),
        "taskType": _TASK_TYPE,
        "task_type": _TASK_TYPE,
        "image": _IMAGE,
        "projectid": Key(TEXT, "The project's name; leave it out."),
    },
    withheld=dict.fromkeys(("source", "gitrepository", "gitreference", "amestoragepath"), SOURCE),
)
RECURRING = Shape(
    "recurringTask",
    "A task that is like another one and starts by itself, as AME's first releases have it.",
    {
        "taskRef": Key(TARGET, "A task's name, or `{name, project}`.", required=True),
        "schedule": replace(SCHEDULE, required=True, otherwise=""),
    },
    older={"taskref": "taskRef"},
)
#: Where a task or a reference to one stands.
TASK_USE = OneOf((REFERENCE, TASK))
STEP = replace(
    TASK,
    name="step",
    about="A step of a pipeline, which is a task.",
    older={**TASK.older, "taskname": "name"},
)
_STEP_USE = OneOf((REFERENCE, STEP))
_TASK_KEYS["pipeline"] = Key(
    OneOf((ListOf(OneOf((_STEP_USE, ListOf(_STEP_USE)))),), older=(MapOf(_STEP_USE),)),
    "Instead of `executor`, the steps that the task consists of: tasks and references, of which those in a "
    "nested list run at once; see [Pipelines](#pipelines).",
)

DATA_SET = Shape(
    "dataSet",
    "Files that tasks read, and the task that makes them.",
    {
        "name": Key(NAME, "Its name.", required=True),
        "path": Key(
            PATH, "Where the files are, relative to the project's folder and inside it.", required=True
        ),
        "task": Key(
            TASK_USE,
            "What makes them, a reference or the task itself.",
            otherwise="the files are part of the project",
        ),
        "size": Key(BYTES, "How large they are, a quantity of bytes."),
    },
    older={"taskref": "taskRef"},
    dated={"taskRef": Key(TARGET, "What makes them; write `task: {taskRef: ...}`.")},
)
