"""Do the executors hold what the models need? Asked before a row is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ame.diagnosis import Diagnosis, Refused, Where
from ame.scoring.spark.native import spark_flavor
from ame.scoring.versions import FetchedModel

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from ame.spark import ExecutorEnvironment

__all__ = ["check_environments"]

#: What loads a model and gives it rows, whatever its own requirements say.
_ALWAYS = ("pandas", "numpy", "pyarrow")


def check_environments(spark: SparkSession, models: Mapping[str, FetchedModel], where: Where) -> None:
    """Compare what each model was logged with and what is there; all that is missing is told at once.

    A model of Spark ML needs a session of its own major version of Spark, as old as its own at most: Spark
    promises to read what earlier minor versions have saved. All others need their requirements, and their
    Python, on every executor.

    Raises:
        Refused: AME-E546 for packages, AME-E541 for Spark.
    """
    from ame.spark import executor_environments

    environments: tuple[ExecutorEnvironment, ...] | None = None
    found: list[Diagnosis] = []
    for model in models.values():
        flavor = spark_flavor(model)
        if flavor is not None:
            saved = str(flavor.get("pyspark_version", ""))
            if not _reads(spark.version, saved):
                found.append(_other_spark(model.title, saved, spark.version, where))
            continue
        if environments is None:
            environments = executor_environments(spark)
        found += _lacking(model, environments, where)
    if found:
        raise Refused(*found)


def _reads(session: str, saved: str) -> bool:
    try:
        ours, theirs = ([int(part) for part in text.split(".")[:2]] for text in (session, saved))
    except ValueError:
        return True  # a build of one's own, or none told
    return ours[0] == theirs[0] and ours >= theirs


def _other_spark(title: str, saved: str, session: str, where: Where) -> Diagnosis:
    return Diagnosis(
        code="AME-E541",
        where=where,
        what=f"{title} is a model of Spark ML {saved}, and this session runs Spark {session}.",
        why="Spark reads what its own or an earlier minor version of the same major version has saved.",
        fix=f"Run the comparison with pyspark {saved} (in the driver's image, and in the executors' by "
        "`spark: {image: ...}`), or train the model with the session's version.",
    )


def _lacking(
    model: FetchedModel, environments: Sequence[ExecutorEnvironment], where: Where
) -> list[Diagnosis]:
    """One diagnosis for each thing that some executors lack alike."""
    from ame.spark import missing_packages

    hosts: dict[tuple[str, ...], list[ExecutorEnvironment]] = {}
    loader = () if any(line.startswith("mlflow") for line in model.requirements) else ("mlflow",)
    for environment in environments:
        needed = [*model.requirements, *(loader if "mlflow-skinny" not in environment.packages else ())]
        needed += [name for name in _ALWAYS if name not in environment.packages]
        missing = list(dict.fromkeys(missing_packages(needed, environment)))
        if model.python is not None and model.python != environment.python:
            missing.insert(0, f"Python {model.python} ({environment.python} is there)")
        if missing:
            hosts.setdefault(tuple(missing), []).append(environment)
    return [
        Diagnosis(
            code="AME-E546",
            where=where,
            what=f"{model.title} cannot be scored on Spark: its executors lack {', '.join(missing)}.",
            why=f"Asked were those on {', '.join(each.host for each in lacking)}.",
            fix="Name an image or a packed environment that has it (`spark: {image: ...}` or "
            "`spark: {archive: ...}` in abTest), or set `scoring: {engine: local}`, which scores outside "
            "Spark, in each model's own environment.",
        )
        for missing, lacking in hosts.items()
    ]
