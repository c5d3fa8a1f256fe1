"""The words of models."""

from __future__ import annotations

from ame.spec.grammar import Choice, Flag, Key, MapOf, Number, Shape, Whole
from ame.spec.words.abtest import AB_TEST
from ame.spec.words.tasks import RESOURCES, SCHEDULE, TASK_USE, TIMEZONE_OF_SCHEDULE
from ame.spec.words.values import IMAGE, NAME, NOT_BLANK, TEXT

__all__ = ["DEPLOYMENT", "MODEL", "PROMOTION", "THRESHOLD", "TRAINING", "VALIDATION"]

_BY_HAND = "promote by hand with `ame promote MODEL VERSION --reason TEXT`."

TRAINING = Shape(
    "training",
    "How versions of a model come to be.",
    {
        "task": Key(TASK_USE, "The task that trains, a reference or the task itself.", required=True),
        "schedule": SCHEDULE,
        "timezone": TIMEZONE_OF_SCHEDULE,
        "onChange": Key(
            Flag(),
            "Whether a training also starts when the project was deployed with changed files.",
            default=False,
        ),
    },
)
THRESHOLD = Shape(
    "threshold",
    "Bounds on a metric; both belong to the range.",
    {"min": Key(Number(), "The least that passes."), "max": Key(Number(), "The most that passes.")},
    any_of=("min", "max"),
)
VALIDATION = Shape(
    "validation",
    "What a version must pass before it is compared or promoted.",
    {
        "task": Key(
            TASK_USE,
            "A task that must succeed, a reference or the task itself. It is told the version through "
            "`AME_MODEL_NAME`, `AME_MODEL_VERSION` and `AME_MODEL_URI`.",
        ),
        "thresholds": Key(
            MapOf(THRESHOLD), "Bounds, `METRIC: {min, max}`, on metrics that the training run logged."
        ),
    },
    any_of=("task", "thresholds"),
)
PROMOTION = Shape(
    "promotion",
    "Who decides whether a version becomes the champion.",
    {
        "strategy": Key(
            Choice(
                ("abTest", "metric", "always", "never"),
                withheld={"approval": f"Write `strategy: never` and {_BY_HAND}"},
            ),
            "`abTest`: the test decides. `metric`: a version is promoted when a metric that its training "
            "run logged is better than the champion's. `always`: a version that passes validation is "
            "promoted. `never`: it is left to you.",
            otherwise="`never` with `deployment: {autoDeploy: false}`, else `abTest` with an `abTest`, else "
            "`always` with a `validation`, else `never`",
        ),
        "firstVersion": Key(
            Choice(
                ("validated", "never"), withheld={"approval": f"Write `firstVersion: never` and {_BY_HAND}"}
            ),
            "While there is no champion: `validated` promotes the first version that passes validation, "
            "`never` leaves it.",
            default="validated",
        ),
        "metric": Key(
            NOT_BLANK, "The metric of the strategy `metric`, which requires it; no other strategy takes it."
        ),
        "greaterIsBetter": Key(
            Flag(),
            "Whether more of that metric is better; must be written where its name reads like an error's.",
            default=True,
        ),
    },
)
DEPLOYMENT = Shape(
    "deployment",
    "How a champion is to be served, which this release does not do: all but `autoDeploy` is only checked.",
    {
        "replicas": Key(Whole(0, 1000), "How many processes serve it.", default=1),
        "resources": Key(RESOURCES, "What each of them needs."),
        "image": Key(IMAGE, "The image that serves it."),
        "enableTls": Key(Flag(), "Whether it is served by https.", default=True),
        "ingressAnnotations": Key(MapOf(TEXT), "Annotations of the ingress, each a text."),
        "autoDeploy": Key(
            Flag(),
            "Whether a version goes live by itself. With `false` and no `promotion.strategy`, none becomes "
            "the champion but by hand.",
            default=True,
        ),
    },
    older={
        "deploy": "autoDeploy",
        "enable_tls": "enableTls",
        "ingress_annotations": "ingressAnnotations",
    },
    dated={"auto_train": Key(Flag(), "Write `training: {onChange: ...}`.")},
    withheld={"runtime": ""},
    idle={"ingress": "Nothing is served by this release; `ingressAnnotations` say what an ingress needs."},
)
MODEL = Shape(
    "model",
    "A registered model: how it is trained, validated, compared and promoted.",
    {
        "name": Key(NAME, "Also the name of the registered model in MLflow.", required=True),
        "training": Key(
            TRAINING,
            "How versions come to be.",
            otherwise="versions come from elsewhere",
            nullable=False,
        ),
        "validation": Key(VALIDATION, "What a version must pass.", nullable=False),
        "abTest": Key(AB_TEST, "The comparison with the champion.", nullable=False),
        "promotion": Key(PROMOTION, "Who decides whether a version becomes the champion."),
        "delivery": Key(
            Choice(("every", "latest")),
            "Which versions are delivered: `every`, or the `latest`, which supersedes those that still wait.",
            default="every",
        ),
        "deployment": Key(
            DEPLOYMENT, "How a champion is to be served, and whether a version goes live by itself."
        ),
    },
    dated={
        "type": Key(
            Choice(("mlflow", "Mlflow", "MLflow")),
            "Every model is a registered model of MLflow; leave it out.",
        ),
        "validationTask": Key(
            TASK_USE, "A task that must succeed; write `validation: {task: ...}`.", nullable=False
        ),
    },
)
