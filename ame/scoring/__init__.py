"""Scores of model versions on a holdout: each version in its own environment, or both on Spark.

Names are imported when they are first used: an executor of Spark that scores pieces of a holdout has what
the models need, and not all that this machine has.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ame.scoring.holdout import Holdout, open_holdout
    from ame.scoring.join import common_classes, join_scores, row_column, score_digests
    from ame.scoring.spark.engine import ScoredOnSpark, score_on_spark, scores_in
    from ame.scoring.spark.environments import check_environments
    from ame.scoring.spark.holdout import SparkHoldout, open_spark_holdout
    from ame.scoring.versions import FetchedModel, fetch_model, score_model

__all__ = [
    "FetchedModel",
    "Holdout",
    "ScoredOnSpark",
    "SparkHoldout",
    "check_environments",
    "common_classes",
    "fetch_model",
    "join_scores",
    "open_holdout",
    "open_spark_holdout",
    "row_column",
    "score_digests",
    "score_model",
    "score_on_spark",
    "scores_in",
]

_HOMES = {
    "FetchedModel": "versions",
    "Holdout": "holdout",
    "ScoredOnSpark": "spark.engine",
    "SparkHoldout": "spark.holdout",
    "check_environments": "spark.environments",
    "common_classes": "join",
    "fetch_model": "versions",
    "join_scores": "join",
    "open_holdout": "holdout",
    "open_spark_holdout": "spark.holdout",
    "row_column": "join",
    "score_digests": "join",
    "score_model": "versions",
    "score_on_spark": "spark.engine",
    "scores_in": "spark.engine",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'ame.scoring' has no attribute '{name}'")
    return getattr(import_module(f"ame.scoring.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
