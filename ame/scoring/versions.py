"""Score one model version: fetch it, make its environment, run the standalone script under it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, Literal

import yaml

from ame.diagnosis import Diagnosis, Refused
from ame.gate.config import Task
from ame.runtime import Environment, environment_from_lines, inherited_variables, run_command
from ame.scoring import score

__all__ = ["FetchedModel", "fetch_model", "score_model"]


@dataclass(frozen=True, slots=True)
class FetchedModel:
    """A model version's files on this machine.

    Attributes:
        title: for messages, for example "version 7".
        folder: holds the MLmodel file.
        inputs: the columns of the model's signature; empty when it was logged without one.
        requirements: the lines that it was logged with.
        python: for example "3.11"; None when it does not say.
    """

    title: str
    folder: Path
    inputs: tuple[str, ...]
    requirements: tuple[str, ...]
    python: str | None


def fetch_model(uri: str, tracking_uri: str, folder: Path, title: str) -> FetchedModel:
    """Download `models:/NAME/VERSION` into `folder`.

    Raises:
        Refused: AME-E403, when it is no MLflow model.
        MlflowException: when the server fails.
    """
    from mlflow.artifacts import download_artifacts

    folder.mkdir(parents=True, exist_ok=True)
    place = Path(download_artifacts(artifact_uri=uri, dst_path=str(folder), tracking_uri=tracking_uri))
    try:
        described = yaml.safe_load((place / "MLmodel").read_text())
        return FetchedModel(
            title=title,
            folder=place,
            inputs=_inputs(described),
            requirements=_lines(place / "requirements.txt"),
            python=_python(place / "python_env.yaml"),
        )
    except (OSError, ValueError, yaml.YAMLError, AttributeError, TypeError) as error:
        raise Refused(
            Diagnosis(
                code="AME-E403",
                what=f"{title} ({uri}) is not a model that MLflow can load.",
                why=f"Reading its MLmodel file: {str(error).splitlines()[0]}.",
                fix="Register models that were logged with mlflow.FLAVOR.log_model.",
            )
        ) from error


def _inputs(described: dict[str, Any]) -> tuple[str, ...]:
    signature = described.get("signature") or {}
    columns = json.loads(signature.get("inputs") or "[]")
    return tuple(str(column["name"]) for column in columns if "name" in column)


def _lines(file: Path) -> tuple[str, ...]:
    if not file.exists():
        return ()
    lines = [line.strip() for line in file.read_text().splitlines() if line.strip()]
    # MLflow puts constraints into a file of their own, beside this one.
    included = re.compile(r"^(-c|-r)\s+(?=[^/])")
    return tuple(included.sub(rf"\1 {file.parent}/", line) for line in lines)


def _python(file: Path) -> str | None:
    if not file.exists():
        return None
    version = str((yaml.safe_load(file.read_text()) or {}).get("python", ""))
    return ".".join(version.split(".")[:2]) or None


def score_model(
    model: FetchedModel,
    data: Path,
    features: Sequence[str],
    *,
    environment: Literal["model", "current"],
    work: Path,
    on_line: Callable[[str], None],
    task: Task = "binary",
    classes: Sequence[str | int | float | bool] = (),
    stop: Event | None = None,
) -> Path:
    """Score the rows of a parquet file; returns a parquet file with the column `score`.

    It holds float64: the probability of the positive class or, in a regression, the predicted number. For
    many classes it holds lists of float64, one probability a class.

    Args:
        features: the columns to give to the model; empty for all of the file.
        classes: of which classes the probabilities are wanted, in this order; empty for the model's own.

    Raises:
        Refused: AME-E404 when the model fails, AME-E405 when it names no requirements, AME-E204 when its
            environment cannot be made.
    """
    work.mkdir(parents=True, exist_ok=True)
    output, request = work / "scores.parquet", work / "request.json"
    request.write_text(
        json.dumps(
            {
                "model": str(model.folder),
                "data": str(data),
                "features": list(features) or None,
                "output": str(output),
                "task": task,
                "classes": list(classes) or None,
            }
        )
    )
    python = _interpreter(model, environment, work, on_line, stop)
    variables = inherited_variables() | {"PYTHONUNBUFFERED": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}
    ended = run_command(
        [str(python), str(score.__file__), str(request)],
        folder=work,
        env=variables,
        on_line=on_line,
        stop=stop,
    )
    if ended.code:
        last = "\n".join(f"    {line}" for line in ended.last_lines[-8:])
        raise Refused(
            Diagnosis(
                code="AME-E404",
                what=f"{model.title} cannot score the holdout: its model failed with code {ended.code}.",
                why=f"Its last lines:\n{last}",
                fix="Try mlflow.pyfunc.load_model and its predict on the holdout, where the training runs.",
            )
        )
    return output


def _interpreter(
    model: FetchedModel, environment: str, work: Path, on_line: Callable[[str], None], stop: Event | None
) -> Path:
    if environment == "current":
        return Path(sys.executable)
    if not model.requirements:
        raise Refused(
            Diagnosis(
                code="AME-E405",
                what=f"{model.title} was logged without requirements, so its environment cannot be made.",
                fix="Log it with pip_requirements=..., or set `scoring: {environment: current}` in abTest.",
            )
        )
    made = _environment(model, work, on_line, stop)
    return made.python


def _environment(
    model: FetchedModel, work: Path, on_line: Callable[[str], None], stop: Event | None
) -> Environment:
    lines = list(model.requirements)
    names = {_name(line) for line in lines}
    if not names & {"mlflow", "pyarrow"}:
        lines.append("pyarrow")
    if not names & {"mlflow", "mlflow-skinny"}:
        lines.append("mlflow")
    if not names & {"mlflow", "pandas"}:
        lines.append("pandas")
    return environment_from_lines(lines, python=model.python, on_line=on_line, folder=work, stop=stop)


def _name(line: str) -> str:
    name = line
    for end in "=<>!~;[@ ":
        name = name.split(end, 1)[0]
    return name.strip().lower().replace("_", "-")
