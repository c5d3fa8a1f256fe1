"""Prefect's block types of ame-flows: the MLflow server and the artifact store that deployments name.

Prefect finds them through the entry point group `prefect.collections`, or by `prefect block register -m
blocks`. Importing them imports no client of S3.
"""

from blocks.artifact_store import ArtifactStore
from blocks.mlflow_server import MlflowServer
from blocks.results import results_block

__all__ = ["ArtifactStore", "MlflowServer", "results_block"]
