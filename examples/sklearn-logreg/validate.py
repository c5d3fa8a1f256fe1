"""Passes when the version under test scored well enough, by the metric that its training recorded.

AME says which version in AME_MODEL_NAME and AME_MODEL_VERSION. By hand, without them, the newest
version of logreg is looked at: `MLFLOW_TRACKING_URI=http://... python validate.py`.
"""

import os
import sys

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

MINIMUM = 0.6  # always saying the same class scores 0.5


def main() -> None:
    client = MlflowClient()
    version = version_under_test(client)
    metrics = client.get_run(version.run_id).data.metrics
    if "score" not in metrics:
        sys.exit(f"{version.name} version {version.version}: its run logged no metric 'score'.")
    score = metrics["score"]
    if score < MINIMUM:
        sys.exit(f"{version.name} version {version.version}: score {score:.3f} is below {MINIMUM}.")
    print(f"{version.name} version {version.version}: score {score:.3f} is at least {MINIMUM}.")


def version_under_test(client: MlflowClient) -> ModelVersion:
    name = os.environ.get("AME_MODEL_NAME", "logreg")
    number = os.environ.get("AME_MODEL_VERSION")
    if number is not None:
        return client.get_model_version(name, number)
    newest = client.search_model_versions(f"name='{name}'", order_by=["version_number DESC"], max_results=1)
    if not newest:
        sys.exit(f"There is no version of {name!r} yet; train one with: python train.py")
    return newest[0]


if __name__ == "__main__":
    main()
