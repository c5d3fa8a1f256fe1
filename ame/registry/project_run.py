"""`mlflow run` for the !mlflow executor, run as a file by the interpreter that has ame-flows' own MLflow.

MLflow puts the tags of MLFLOW_RUN_CONTEXT on runs that a script starts, but not on the one that `mlflow run`
makes for the script; here it does, so that a training's version is found by them. The command of the entry
point finds the project's environment on the PATH, which is what MLflow calls a local environment.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from typing import Any


def main() -> None:
    from mlflow.cli import cli
    from mlflow.tracking import MlflowClient

    create_run = MlflowClient.create_run
    context = json.loads(os.environ.get("MLFLOW_RUN_CONTEXT") or "{}")

    @functools.wraps(create_run)
    def create_tagged_run(*args: Any, **kwargs: Any) -> Any:
        kwargs["tags"] = {**context, **(kwargs.get("tags") or {})}
        return create_run(*args, **kwargs)

    MlflowClient.create_run = create_tagged_run  # type: ignore[method-assign]
    cli(prog_name="mlflow")


if __name__ == "__main__":
    # MLflow sets up the environment of the project itself unless it is told that it is there.
    if not any(argument.startswith("--env-manager") for argument in sys.argv):
        sys.argv[2:2] = ["--env-manager", "local"]
    main()
