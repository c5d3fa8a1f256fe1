"""Prefect's block types of ame-flows: the MLflow server, the artifact store and the Spark session.

Prefect finds them through the entry point group `prefect.collections`, or by `prefect block register -m
blocks`. Importing them imports no client of S3 and no pyspark.
"""

from blocks.artifact_store import ArtifactStore
from blocks.mlflow_server import MlflowServer
from blocks.results import results_block
from blocks.spark_session import SparkSession

__all__ = ["ArtifactStore", "MlflowServer", "SparkSession", "results_block"]
