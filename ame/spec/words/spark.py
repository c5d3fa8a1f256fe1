"""The words of an A/B test's `spark`."""

from __future__ import annotations

from ame.spec.grammar import Key, MapOf, Shape, Whole
from ame.spec.words.tasks import STRAY_RESOURCES
from ame.spec.words.values import (
    ARCHIVE,
    BLOCK_NAME,
    CORES,
    EXECUTOR_MEMORY,
    IMAGE,
    MASTER,
    PROPERTY,
    TEXT,
)

__all__ = ["EXECUTOR_RESOURCES", "SPARK"]

_OWN = "Spark's own"

EXECUTOR_RESOURCES = Shape(
    "executorResources",
    "What one executor of Spark has.",
    {
        "cpu": Key(CORES, "Whole cores.", otherwise=_OWN),
        "memory": Key(EXECUTOR_MEMORY, "Java's heap, `512Mi` or more.", otherwise=_OWN),
    },
    strays=STRAY_RESOURCES,
)
SPARK = Shape(
    "spark",
    "The Spark session that a comparison runs on, and its executors.",
    {
        "block": Key(
            BLOCK_NAME,
            "The name of a Prefect block of the type `SparkSession`, which may say all of the following, "
            "secret properties too; what stands beside it here wins.",
        ),
        "master": Key(
            MASTER,
            "`local`, `local[4]` or `local[*]` (this machine), `spark://host:7077` (with more of them "
            "behind commas), `k8s` (the cluster that the comparison runs in), `k8s://https://host:6443`, "
            "`yarn`.",
            otherwise="the session that is there, or `local[*]`",
        ),
        "executors": Key(Whole(1, 10_000), "How many executors.", otherwise=_OWN),
        "resources": Key(
            EXECUTOR_RESOURCES, "What one executor has. `resources` beside `spark` are the driver's."
        ),
        "image": Key(IMAGE, "The image of the executors on Kubernetes.", otherwise="the driver's own"),
        "archive": Key(
            ARCHIVE,
            "A packed environment for the executors (venv-pack, conda-pack): `.tar.gz`, `.tgz`, `.tar` or "
            "`.zip`, by a path in the project's folder, an absolute path, or a URI.",
        ),
        "conf": Key(
            MapOf(TEXT, PROPERTY),
            "Further properties of Spark, `spark.NAME: VALUE`, which win over all others. What has a key of "
            "its own (`spark.master`, `spark.executor.memory` and so on) is refused here, and so is a "
            "secret: that belongs into a `SparkSession` block or the environment.",
        ),
    },
)
