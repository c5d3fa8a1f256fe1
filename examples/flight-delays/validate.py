"""Is the version under test fit to be compared? Exits with 1 and the reasons when it is not.

AME says which version in AME_MODEL_URI; by hand, without it, the newest one is looked at.
Only what MLflow recorded is read, so that the answer takes as long as importing MLflow.
"""

import os
import sys

from mlflow import MlflowClient
from mlflow.models import get_model_info
from mlflow.models.model import ModelInfo

# Later columns of the same data, for example dep_delay, give perfect scores and no forecast.
EVENING_BEFORE = {"carrier", "origin", "dest", "weekday", "departure", "arrival", "distance", "board"}


def main() -> None:
    uri = os.environ.get("AME_MODEL_URI", "models:/arrival-delay/latest")
    info = get_model_info(uri)
    metrics = MlflowClient().get_run(info.run_id).data.metrics
    problems = [*unusable_inputs(info), *weak_metrics(metrics)]
    for problem in problems:
        print(f"{uri}: {problem}", file=sys.stderr)
    if problems:
        sys.exit(1)
    print(f"{uri} may be compared; log loss {metrics['log_loss']:.4f}, roc_auc {metrics['roc_auc']:.4f}")


def unusable_inputs(info: ModelInfo) -> list[str]:
    if info.signature is None:
        return ["it was logged without a signature, so nobody can know what to give it."]
    unknown = sorted(set(info.signature.inputs.input_names()) - EVENING_BEFORE)
    return [f"its input {name!r} is not known on the evening before the flight." for name in unknown]


def weak_metrics(metrics: dict[str, float]) -> list[str]:
    missing = sorted({"log_loss", "log_loss_base_rate", "roc_auc", "roc_auc_worst_origin"} - set(metrics))
    if missing:
        return [f"its run logged no {', '.join(missing)}."]
    problems = []
    loss, without = metrics["log_loss"], metrics["log_loss_base_rate"]
    if loss >= without:
        problems.append(f"its log loss {loss:.4f} is no better than {without:.4f}, the base rate's.")
    if metrics["roc_auc_worst_origin"] < 0.55:
        problems.append(f"at one airport its roc_auc is only {metrics['roc_auc_worst_origin']:.4f}.")
    return problems


if __name__ == "__main__":
    main()
