"""Score one model version: fetch it, make its environment, run the standalone script under it."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from ame.diagnosis import Diagnosis, Refused
from ame.runtime import Environment, environment_from_lines, inherited_variables, run_command
from ame.scoring import score
from ame.scoring.holdout import Holdout

__all__ = ["FetchedModel", "fetch_model", "join_scores", "score_digests", "score_model"]


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
    stop: Event | None = None,
) -> Path:
    """Score the rows of a parquet file; returns a parquet file with the column `score`.

    Args:
        features: the columns to give to the model; empty for all of the file.

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


def join_scores(holdout: Holdout, columns: Sequence[str], scores: dict[str, Path], file: Path) -> int:
    """One parquet file with `row`, the holdout's `columns`, and one column of scores for each model.

    A column of the holdout that is called `row` itself stands for the row's number.

    Args:
        scores: by the column's name, for example champion and challenger.

    Returns:
        The number of rows.

    Raises:
        Refused: AME-E401, when the holdout has other rows than those that were scored.
    """
    rows = 0
    answers = [_Answers(path) for path in scores.values()]
    own = [] if "row" in columns else [("row", pa.int64())]
    schema = pa.schema([*own, *holdout.schema(columns), *((n, pa.float64()) for n in scores)])
    with pq.ParquetWriter(file, schema) as writer:
        for batch in holdout.batches(columns):
            numbers = [pa.array(np.arange(rows, rows + batch.num_rows)) for _ in own]
            taken = [answer.take(batch.num_rows) for answer in answers]
            rows += batch.num_rows
            if any(len(some) != batch.num_rows for some in taken):
                raise Refused(_changed(holdout))
            writer.write_table(pa.Table.from_arrays([*numbers, *batch.columns, *taken], schema=schema))
    if any(len(answer.take(1)) for answer in answers):
        raise Refused(_changed(holdout))
    return rows


def score_digests(file: Path, names: Sequence[str]) -> dict[str, str]:
    """SHA-256 over each column of scores in a joined file, a missing score as not a number.

    Two versions with the same digest on the same holdout answer every row alike, bit by bit.
    """
    hashes = {name: hashlib.sha256() for name in names}
    for batch in pq.ParquetFile(file).iter_batches(columns=list(names)):
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            numbers = column.to_numpy(zero_copy_only=False).astype("<f8")
            hashes[name].update(numbers.tobytes())
    return {name: found.hexdigest() for name, found in hashes.items()}


class _Answers:
    """The scores of one file, in order, as many at a time as are asked for."""

    def __init__(self, file: Path) -> None:
        opened = pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20)
        self._batches = opened.iter_batches(columns=["score"])
        self._rest = pa.chunked_array([], pa.float64())

    def take(self, rows: int) -> pa.ChunkedArray:
        """The next scores; fewer than asked for at the end."""
        while len(self._rest) < rows and (batch := next(self._batches, None)) is not None:
            self._rest = pa.chunked_array([*self._rest.chunks, batch.column(0)])
        taken, self._rest = self._rest.slice(0, rows), self._rest.slice(rows)
        return taken


def _changed(holdout: Holdout) -> Diagnosis:
    return Diagnosis(
        code="AME-E401",
        where=holdout.where,
        what=f"the holdout '{holdout.name}' has changed while it was scored.",
        why="It has other rows now than those that the models have answered.",
        fix="Leave the files alone while a command runs; then run it again.",
    )
