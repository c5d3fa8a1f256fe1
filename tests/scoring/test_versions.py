"""Versions as they come from the registry, scored by a real process in the right environment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from ame.diagnosis import Refused
from ame.runtime import Environment
from ame.scoring import FetchedModel, fetch_model, score_model, versions

pytestmark = [
    pytest.mark.usefixtures("leaves_no_process"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

Saved = Callable[..., Path]

REQUIREMENTS = Path(__file__).parents[2] / "examples" / "flight-delays" / "requirements.txt"


@pytest.fixture
def work(folder: Path) -> Path:
    return folder / "work"


@pytest.fixture
def data(tmp_path: Path, rows: pd.DataFrame) -> Path:
    rows.to_parquet(tmp_path / "rows.parquet")
    return tmp_path / "rows.parquet"


def fetch(model: Path, work: Path) -> FetchedModel:
    return fetch_model(model.as_uri(), "http://127.0.0.1:1", work / "fetched", "version 7 of 'delay'")


def test_what_a_model_says_of_itself(rows: pd.DataFrame, classifier: Any, saved: Saved, work: Path) -> None:
    from mlflow.models import infer_signature

    inputs = rows[["place", "hour"]]
    fetched = fetch(saved(classifier, signature=infer_signature(inputs, rows["late"])), work)
    assert fetched == FetchedModel(
        title="version 7 of 'delay'",
        folder=work / "fetched" / "model",
        inputs=("place", "hour"),
        requirements=("mlflow",),
        python="3.11",
    )


def test_a_model_without_signature_and_with_constraints(classifier: Any, saved: Saved, work: Path) -> None:
    """MLflow keeps constraints in a file beside the requirements, which name it by a relative path."""
    (work.parent / "bounds.txt").write_text("six==1.17.0\n")
    fetched = fetch(saved(classifier, pip_requirements=["mlflow", f"-c {work.parent / 'bounds.txt'}"]), work)
    assert fetched.inputs == ()
    assert fetched.requirements == ("mlflow", f"-c {fetched.folder}/constraints.txt")
    assert (fetched.folder / "constraints.txt").read_text() == "six==1.17.0"


def test_a_tensor_signature_names_no_columns(
    rows: pd.DataFrame, classifier: Any, saved: Saved, work: Path
) -> None:
    from mlflow.models import infer_signature

    model = saved(classifier, signature=infer_signature(rows[["hour"]].to_numpy()))
    assert fetch(model, work).inputs == ()


@pytest.mark.parametrize(
    ("described", "why"),
    [
        (None, "[Errno 2] No such file or directory: '{}/fetched/model/MLmodel'."),
        ("[", "while parsing a flow node."),
        ("just text", "'str' object has no attribute 'get'."),
        (
            "signature: {inputs: '{'}",
            "Expecting property name enclosed in double quotes: line 1 column 2 (char 1).",
        ),
    ],
)
def test_what_is_no_model_is_refused(tmp_path: Path, work: Path, described: str | None, why: str) -> None:
    (tmp_path / "model").mkdir()
    if described:
        (tmp_path / "model" / "MLmodel").write_text(described)
    uri = (tmp_path / "model").as_uri()
    with pytest.raises(Refused) as refused:
        fetch(tmp_path / "model", work)
    assert str(refused.value) == (
        f"AME-E403 version 7 of 'delay' ({uri}) is not a model that MLflow can load. "
        f"Reading its MLmodel file: {why.format(work)} "
        "Register models that were logged with mlflow.FLAVOR.log_model."
    )


def test_a_version_is_scored_in_the_environment_of_its_requirements(
    rows: pd.DataFrame, classifier: Any, saved: Saved, work: Path, data: Path
) -> None:
    """The lines of the example, whose environment the demo and other tests make, too."""
    lines = REQUIREMENTS.read_text().split()
    model = replace(fetch(saved(classifier), work), requirements=tuple(lines))
    said: list[str] = []
    scores = score_model(model, data, ["place", "hour"], environment="model", work=work, on_line=said.append)

    expected = classifier.predict_proba(rows[["place", "hour"]])[:, 1]
    assert pq.read_table(scores)["score"].to_pylist() == pytest.approx(expected, abs=1e-12)
    assert said[-1] == "scored 500 of 500 rows"


def test_modules_of_a_model_may_be_called_like_ours(
    rows: pd.DataFrame, saved: Saved, work: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "holdout.py").write_text(
        "class Hour:\n    fit = None\n    def predict(self, frame):\n        return frame['hour']\n"
    )
    monkeypatch.syspath_prepend(tmp_path / "code")
    import holdout

    model = fetch(saved(holdout.Hour(), code_paths=[str(tmp_path / "code" / "holdout.py")]), work)
    scores = score_model(model, data, ["hour"], environment="current", work=work, on_line=[].append)
    assert pq.read_table(scores)["score"].to_pylist() == rows["hour"].tolist()


def test_a_model_that_fails_on_the_rows_is_told(
    classifier: Any, saved: Saved, work: Path, data: Path
) -> None:
    model = fetch(saved(classifier), work)
    with pytest.raises(Refused) as refused:
        score_model(model, data, ["hour"], environment="current", work=work, on_line=[].append)
    message = str(refused.value)
    assert message.startswith(
        "AME-E404 version 7 of 'delay' cannot score the holdout: its model failed with code 1. "
        "Its last lines:\n    "
    )
    assert "\n    ValueError: columns are missing: {'place'} " in message
    assert message.endswith(
        "Try mlflow.pyfunc.load_model and its predict on the holdout, where the training runs."
    )


def test_a_model_without_requirements_is_refused(
    classifier: Any, saved: Saved, work: Path, data: Path
) -> None:
    model = replace(fetch(saved(classifier), work), requirements=())
    with pytest.raises(Refused) as refused:
        score_model(model, data, ["hour"], environment="model", work=work, on_line=[].append)
    assert str(refused.value) == (
        "AME-E405 version 7 of 'delay' was logged without requirements, so its environment cannot be made. "
        "Log it with pip_requirements=..., or set `scoring: {environment: current}` in abTest."
    )


@pytest.mark.parametrize(
    ("lines", "added"),
    [
        (["mlflow==3.17.2"], []),
        (["mlflow[extras]>=2", "numpy"], []),
        (["scikit_learn==1.9.1"], ["pyarrow", "mlflow", "pandas"]),
        (["mlflow-skinny==3.17.2", "Pandas<3"], ["pyarrow"]),
        (["mlflow_skinny ; python_version > '3'", "pyarrow==20"], ["pandas"]),
    ],
)
def test_what_the_script_needs_is_added(
    monkeypatch: pytest.MonkeyPatch, work: Path, lines: list[str], added: list[str]
) -> None:
    asked: list[str] = []

    def made(wanted: list[str], **_: Any) -> Environment:
        asked.extend(wanted)
        return Environment(work)

    monkeypatch.setattr(versions, "environment_from_lines", made)
    model = FetchedModel("version 1", work, (), tuple(lines), "3.11")
    versions._environment(model, work, [].append, None)
    assert asked == lines + added
