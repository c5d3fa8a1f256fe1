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
    def call(
        model: Path, features: list[str] | None = None, data: pd.DataFrame = rows, **asked: Any
    ) -> list[float]:
        data.to_parquet(tmp_path / "rows.parquet")
        request = {
            "model": str(model),
            "data": str(tmp_path / "rows.parquet"),
            "features": features,
            "output": str(tmp_path / "scores.parquet"),
            **asked,
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


@pytest.fixture
def many(rows: pd.DataFrame) -> Any:
    """A classifier of three places, which are texts."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression().fit(rows[["hour", "late"]], rows["place"])


def test_many_classes_have_a_probability_each_and_their_names(
    rows: pd.DataFrame,
    many: Any,
    saved: Saved,
    score_with: Score,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(score, "ROWS", 70)
    expected = many.predict_proba(rows[["hour", "late"]])
    told = score_with(saved(many), ["hour", "late"], task="multiclass")
    assert told == expected.tolist()
    schema = pq.read_schema(tmp_path / "scores.parquet")
    assert json.loads(schema.metadata[b"classes"]) == ["EWR", "JFK", "LGA"]
    assert schema.field("score").type.list_size == 3


def test_classes_come_in_the_order_that_is_asked_for(
    rows: pd.DataFrame, many: Any, saved: Saved, score_with: Score, tmp_path: Path
) -> None:
    wanted = ["LGA", "EWR", "JFK"]
    told = score_with(saved(many), ["hour", "late"], task="multiclass", classes=wanted)
    assert told == many.predict_proba(rows[["hour", "late"]])[:, [2, 0, 1]].tolist()
    assert json.loads(pq.read_schema(tmp_path / "scores.parquet").metadata[b"classes"]) == wanted


@pytest.mark.parametrize("wanted", [["EWR", "JFK"], ["EWR", "JFK", "BOS"], [0, 1, 2]])
def test_a_model_of_other_classes_is_refused(
    many: Any, saved: Saved, score_with: Score, wanted: list[Any]
) -> None:
    with pytest.raises(
        SystemExit, match=r"^the model tells the classes 'EWR', 'JFK', 'LGA', and those of the A/B"
    ):
        score_with(saved(many), ["hour", "late"], task="multiclass", classes=wanted)


def test_numbers_as_classes_stay_numbers(
    rows: pd.DataFrame, saved: Saved, score_with: Score, tmp_path: Path
) -> None:
    from sklearn.linear_model import LogisticRegression

    third = (rows["hour"] // 8).clip(0, 2).astype(int)
    score_with(
        saved(LogisticRegression().fit(rows[["hour"]], third)), ["hour"], task="multiclass", classes=[2, 1, 0]
    )
    assert json.loads(pq.read_schema(tmp_path / "scores.parquet").metadata[b"classes"]) == [2, 1, 0]


def test_probabilities_of_a_model_without_class_names_come_as_they_are(
    rows: pd.DataFrame, custom: Callable[..., Path], score_with: Score, tmp_path: Path
) -> None:
    told = score_with(custom("frame[['late', 'hour', 'late']]"), task="multiclass")
    assert told == rows[["late", "hour", "late"]].to_numpy(float).tolist()
    assert b"classes" not in (pq.read_schema(tmp_path / "scores.parquet").metadata or {})


@pytest.mark.parametrize("answer", ["frame['hour']", "frame[['late', 'hour']]", "frame[['hour']]"])
def test_answers_without_a_probability_for_each_class_are_refused(
    custom: Callable[..., Path], score_with: Score, answer: str
) -> None:
    with pytest.raises(SystemExit, match="a probability for each of 3 classes is needed"):
        score_with(custom(answer), task="multiclass", classes=["a", "b", "c"])


def test_a_regression_asks_for_the_prediction_also_of_a_model_with_probabilities(
    rows: pd.DataFrame, classifier: Any, saved: Saved, score_with: Score
) -> None:
    features = ["place", "hour"]
    expected = [float(each) for each in classifier.predict(rows[features])]
    assert score_with(saved(classifier), features, task="regression") == expected


def test_two_numbers_a_row_are_no_regression(custom: Callable[..., Path], score_with: Score) -> None:
    with pytest.raises(SystemExit, match=r"shape \(500, 2\); one number a row can be compared"):
        score_with(custom("frame[['late', 'hour']]"), task="regression")


@pytest.mark.parametrize(("task", "width"), [("binary", None), ("regression", None), ("multiclass", 3)])
def test_no_rows_have_the_type_of_some(
    rows: pd.DataFrame,
    many: Any,
    saved: Saved,
    score_with: Score,
    tmp_path: Path,
    task: str,
    width: int | None,
) -> None:
    assert score_with(saved(many), ["hour", "late"], rows[:0], task=task) == []
    kind = pq.read_schema(tmp_path / "scores.parquet").field("score").type
    assert getattr(kind, "list_size", None) == width


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
