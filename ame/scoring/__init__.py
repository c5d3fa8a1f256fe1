"""Scores of model versions on a holdout, each version in the environment that it was logged with."""

from ame.scoring.holdout import Holdout, open_holdout
from ame.scoring.versions import FetchedModel, fetch_model, join_scores, score_digests, score_model

__all__ = [
    "FetchedModel",
    "Holdout",
    "fetch_model",
    "join_scores",
    "open_holdout",
    "score_digests",
    "score_model",
]
