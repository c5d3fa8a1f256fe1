"""Scores of model versions on a holdout, each version in the environment that it was logged with."""

from ame.scoring.holdout import Holdout, open_holdout
from ame.scoring.join import common_classes, join_scores, row_column, score_digests
from ame.scoring.versions import FetchedModel, fetch_model, score_model

__all__ = [
    "FetchedModel",
    "Holdout",
    "common_classes",
    "fetch_model",
    "join_scores",
    "open_holdout",
    "row_column",
    "score_digests",
    "score_model",
]
