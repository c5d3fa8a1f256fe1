"""The standalone script, called in this process: which function of a model it asks, and for what."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from ame.scoring import score

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.fixture
def score_with(tmp_path: Path, rows: pd.DataFrame) -> Callable[..., list[float]]:
    def call(model: Path, features: list[str] | None = None, data: pd.DataFrame = rows) -> list[float]:
        data.to_parquet(tmp_path / "rows.parquet")
        request = {
            "model": str(model),
            "data": str(tmp_path / "rows.parquet"),
            "features": features,
            "output": str(tmp_path / "scores.parquet"),
        }
        (tmp_path / "request.json").write_text(json.dumps(request))
        score.main(str(tmp_path / "request.json"))
        table = pq.read_table(tmp_path / "scores.parquet")
        assert table.schema.names == ["score"]
        told: list[float] = table["score"].to_pylist()
        return told

    return call


Score = Callable[..., list[float]]
Saved = Callable[..., Path]

#: A module that MLflow loads a model from, of a flavor that tells no raw model.
LOADER = """
class Model:
    def predict(self, frame):
        return {answer}
    {more}

def _load_pyfunc(path):
    return Model()
"""


@pytest.fixture
def custom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    def save(answer: str, more: str = "") -> Path:
        import mlflow.pyfunc

        name = f"loader_{tmp_path.name}"
        (tmp_path / f"{name}.py").write_text(LOADER.format(answer=answer, more=more))
        monkeypatch.syspath_prepend(tmp_path)
        mlflow.pyfunc.save_model(tmp_path / "model", loader_module=name, pip_requirements=["mlflow"])
        return tmp_path / "model"

    return save


def test_a_classifier_tells_the_probability_of_its_last_class(
    rows: pd.DataFrame, classifier: Any, saved: Saved, score_with: Score
) -> None:
    features = ["place", "hour"]
    expected = classifier.predict_proba(rows[features])[:, 1].tolist()
    assert score_with(saved(classifier), features) == expected


def test_columns_come_in_the_order_that_is_asked_for_and_batches_in_that_of_the_rows(
    rows: pd.DataFrame, saved: Saved, score_with: Score, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sklearn.linear_model import LinearRegression

    numbers = pd.DataFrame({"b": np.arange(500.0), "a": rows["hour"]})
    model = LinearRegression().fit(numbers[["a", "b"]].to_numpy(), 3 * numbers["a"] + numbers["b"])
    monkeypatch.setattr(score, "ROWS", 7)
    assert score_with(saved(model), ["a", "b"], numbers) == pytest.approx(3 * numbers["a"] + numbers["b"])


def test_without_features_the_model_gets_all_columns(
    rows: pd.DataFrame, saved: Saved, score_with: Score
) -> None:
    from sklearn.linear_model import LinearRegression

    numbers = rows[["hour", "late"]]
    model = LinearRegression().fit(numbers, rows["hour"])
    assert score_with(saved(model), None, numbers) == pytest.approx(rows["hour"].tolist())


def test_a_classifier_without_probabilities_tells_its_classes(
    rows: pd.DataFrame, saved: Saved, score_with: Score
) -> None:
    from sklearn.svm import LinearSVC

    model = LinearSVC().fit(rows[["hour"]], rows["late"])
    assert score_with(saved(model), ["hour"]) == model.predict(rows[["hour"]]).tolist()


@pytest.mark.parametrize(
    "answer",
    ["frame['hour']", "frame[['hour']]", "frame['hour'].tolist()", "frame[['late', 'hour']].to_numpy()"],
)
def test_a_model_of_any_flavor_is_asked_for_its_prediction(
    rows: pd.DataFrame, custom: Callable[..., Path], score_with: Score, answer: str
) -> None:
    assert score_with(custom(answer)) == rows["hour"].tolist()


def test_a_wrapped_model_with_probabilities_is_asked_for_them(
    rows: pd.DataFrame, custom: Callable[..., Path], score_with: Score
) -> None:
    """As XGBoost's and LightGBM's scikit-learn classes are."""
    more = """
    def get_raw_model(self):
        return self
    def predict_proba(self, frame):
        return frame[['late', 'hour']].to_numpy()
    """
    assert score_with(custom("frame['late']", more)) == rows["hour"].tolist()


@pytest.mark.parametrize("answer", ["frame[['hour', 'hour', 'late']]", "frame['hour'][1:]", "1.0"])
def test_answers_that_are_no_scores_are_refused(
    custom: Callable[..., Path], score_with: Score, answer: str
) -> None:
    with pytest.raises(SystemExit, match="the model answers 500 rows with the shape"):
        score_with(custom(answer))


def test_a_model_of_one_class_is_refused(rows: pd.DataFrame, saved: Saved, score_with: Score) -> None:
    from sklearn.dummy import DummyClassifier

    model = DummyClassifier().fit(rows[["hour"]], np.zeros(500))
    with pytest.raises(SystemExit, match=r"^the model knows one class only, 0\.0, and cannot be compared$"):
        score_with(saved(model), ["hour"])


def test_no_rows_are_no_scores(rows: pd.DataFrame, classifier: Any, saved: Saved, score_with: Score) -> None:
    assert score_with(saved(classifier), ["place", "hour"], rows[:0]) == []


def test_the_script_is_python_3_8_and_imports_nothing_of_ours() -> None:
    tree = ast.parse(Path(score.__file__).read_text(), feature_version=(3, 8))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [node.module or "."]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    }
    assert imported - set(sys.stdlib_module_names) == {"mlflow", "numpy", "pyarrow"}
