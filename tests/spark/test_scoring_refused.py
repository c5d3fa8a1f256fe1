"""What is refused before and while both models are scored on Spark, in whole texts."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ame.diagnosis import Refused, Where
from ame.places import place_of
from ame.scoring import FetchedModel, check_environments, open_spark_holdout, score_on_spark
from ame.scoring.spark import engine
from ame.scoring.spark.loading import TaskFailed
from ame.scoring.spark.parts import new_file, tidy

WHERE = Where("ame.yml", 9, 7)

#: MLflow loads a model from this; a name of a place that is not known makes it fail.
LOADER = """
import numpy as np

class Model:
    def predict(self, frame):
        {body}

def _load_pyfunc(path):
    return Model()
"""
GOOD = "return np.zeros(len(frame))"
BAD = "raise KeyError('the model knows no place ' + frame['place'].iloc[0])"
WIDE = "return np.zeros((len(frame), 3))"
LONG = "raise KeyError('x' * 10_000_000)"
STOPPED = "raise KeyboardInterrupt"

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

Made = Callable[..., FetchedModel]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    def make(name: str, body: str) -> FetchedModel:
        import mlflow.pyfunc

        code = tmp_path / f"code of {name}"
        code.mkdir()
        (code / "loader.py").write_text(LOADER.format(body=body))
        folder = tmp_path / name
        mlflow.pyfunc.save_model(
            folder, loader_module="loader", code_paths=[str(code / "loader.py")], pip_requirements=["mlflow"]
        )
        return FetchedModel(f"version {name}", folder, (), (), None)

    return make


def scored(spark: Any, tmp_path: Path, champion: FetchedModel, challenger: FetchedModel) -> Any:
    pq.write_table(pa.table({"place": ["EWR", "JFK"], "late": [0, 1]}), tmp_path / "h.parquet")
    return score_on_spark(
        spark,
        open_spark_holdout(tmp_path / "h.parquet", "h", WHERE),
        {"champion": champion, "challenger": challenger},
        features={"champion": ("place",), "challenger": ("place",)},
        columns=("late",),
        row=None,
        output=str(tmp_path / "scores"),
    )


def test_files_that_are_not_there_are_told_from_files_that_are_none(tmp_path: Path) -> None:
    """A store without the newer checksums of S3 keeps a file with them in it."""
    folder = place_of(tmp_path)
    (tmp_path / "part-00001.parquet").write_bytes(b"10000\r\nPAR1")
    with pytest.raises(Refused, match=r"^AME-E544 1 files of scores in .* are not what the executors .* wr"):
        engine._check_files(folder, {1})
    with pytest.raises(Refused, match=r"^AME-E544 the executors .* have written scores, and 2 files are not"):
        engine._check_files(folder, {1, 2})
    engine._check_files(folder, set())


def test_a_challenger_that_fails_is_told_by_its_last_lines(spark: Any, made: Made, tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        scored(spark, tmp_path, made("6", GOOD), made("7", BAD))
    lines = str(refused.value).splitlines()
    assert lines[0] == (
        "AME-E404 version 7 cannot score the holdout: its model failed on Spark. Its last lines:"
    )
    assert lines[-1] == (
        "    KeyError: 'the model knows no place EWR' Try mlflow.pyfunc.load_model and its predict on the "
        "holdout, where the training runs."
    )
    assert len(lines) <= 9


def test_a_champion_that_fails_is_no_fault_of_the_challenger(spark: Any, made: Made, tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        scored(spark, tmp_path, made("6", WIDE), made("7", BAD))
    assert str(refused.value) == (
        "AME-E543 version 6 cannot score the holdout: its model failed on Spark. Its last lines:\n"
        "    the model answers 2 rows with the shape (2, 3); two classes, or one number a row, can be compared. "
        "Try mlflow.pyfunc.load_model and its predict on the holdout, where the training runs."
    )


def test_a_long_error_of_a_model_is_cut(spark: Any, made: Made, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"^AME-E404 version 7 .*") as refused:
        scored(spark, tmp_path, made("6", GOOD), made("7", LONG))
    assert "KeyError: 'xxx" in str(refused.value)
    assert len(str(refused.value)) < 5000


def test_an_error_of_python_that_no_model_may_raise_is_told_by_its_end(
    spark: Any, made: Made, tmp_path: Path
) -> None:
    with pytest.raises(Refused) as refused:
        scored(spark, tmp_path, made("6", GOOD), made("7", STOPPED))
    text = str(refused.value)
    assert text.startswith("AME-E545 Spark has not finished the scores of the holdout. It says:\n")
    assert "\n    KeyboardInterrupt" in text
    assert "Traceback" not in text


def test_scores_that_the_driver_cannot_keep_are_refused(spark: Any, made: Made, tmp_path: Path) -> None:
    """The driver writes, too: what the folder is for, and that it is complete."""
    (tmp_path / "scores").write_text("a file where the folder is to be")
    with pytest.raises(Refused) as refused:
        scored(spark, tmp_path, made("6", GOOD), made("7", GOOD))
    text = str(refused.value)
    assert text.startswith(f"AME-E544 the scores cannot be kept in {tmp_path}/scores/")
    assert "Not a directory" in text
    assert text.endswith("Give the driver the right to write there, or room, or another store.")


def test_a_file_that_was_tidied_up_counts_only_if_its_scores_are_there(tmp_path: Path) -> None:
    """Who scores the same at the same time and ends first leaves no half files, and all whole ones."""
    name, folder = "part-00003.parquet", place_of(tmp_path)

    def write() -> None:
        with new_file(folder, name) as file:
            Path(file).write_text("scores")
            tidy(folder, everything=False)

    with pytest.raises(TaskFailed):
        write()
    (tmp_path / name).write_text("the same scores")
    write()
    assert (tmp_path / name).read_text() == "the same scores"


@pytest.mark.parametrize("handling", ["error", "skip"])
def test_a_model_of_spark_ml_answers_every_row(spark: Any, made: Made, tmp_path: Path, handling: str) -> None:
    import mlflow.spark
    from pyspark.ml import Pipeline
    from pyspark.ml.classification import NaiveBayes
    from pyspark.ml.feature import StringIndexer, VectorAssembler

    frame = spark.createDataFrame([("EWR", 0), ("LGA", 1), ("LGA", 0)], ["place", "late"])
    stages = [
        StringIndexer(inputCol="place", outputCol="index", handleInvalid=handling),
        VectorAssembler(inputCols=["index"], outputCol="features"),
        NaiveBayes(labelCol="late"),
    ]
    fitted = Pipeline(stages=stages).fit(frame)
    mlflow.spark.save_model(fitted, str(tmp_path / "7"), pip_requirements=["pyspark"])
    challenger = FetchedModel("version 7", tmp_path / "7", (), (), None)
    with pytest.raises(Refused) as refused:
        scored(spark, tmp_path, made("6", GOOD), challenger)
    text = str(refused.value)
    assert text.startswith("AME-E404 version 7 cannot score the holdout: its model failed on Spark.")
    expected = {"error": "Unseen label: JFK", "skip": "It leaves rows out, or changes their order"}
    assert expected[handling] in text
    assert len(text) < 2000
    assert "\n\tat " not in text


def test_what_executors_lack_is_told_with_the_ways_out(spark: Any, made: Made) -> None:
    import sklearn

    model = made("7", GOOD)
    lines = ("mlflow==3.17.0", "scikit-learn==0.1", "no-such-package>=2", "numpy")
    lacking = FetchedModel("version 7", model.folder, (), lines, "3.8")
    fine = FetchedModel("version 6", model.folder, (), ("mlflow==3.17.0", "numpy"), None)
    with pytest.raises(Refused) as refused:
        check_environments(spark, {"champion": fine, "challenger": lacking}, WHERE)
    assert str(refused.value) == (
        "AME-E546 ame.yml:9:7 version 7 cannot be scored on Spark: its executors lack Python 3.8 (3.11 is there), "
        f"scikit-learn 0.1 ({sklearn.__version__} is there), no-such-package >=2. "
        f"Asked were those on {socket.gethostname()}. "
        "Name an image or a packed environment that has it (`spark: {image: ...}` or `spark: {archive: ...}` in "
        "abTest), or set `scoring: {engine: local}`, which scores outside Spark, in each model's own environment."
    )


def test_a_model_of_a_newer_spark_is_refused(spark: Any, tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text("flavors: {spark: {model_data: sparkml, pyspark_version: 4.99.0}}")
    model = FetchedModel("version 7", tmp_path, (), (), None)
    with pytest.raises(Refused) as refused:
        check_environments(spark, {"challenger": model}, WHERE)
    assert str(refused.value) == (
        f"AME-E541 ame.yml:9:7 version 7 is a model of Spark ML 4.99.0, and this session runs Spark {spark.version}. "
        "Spark reads what its own or an earlier minor version of the same major version has saved. "
        "Run the comparison with pyspark 4.99.0 (in the driver's image, and in the executors' by "
        "`spark: {image: ...}`), or train the model with the session's version."
    )


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 half a file")
    for data, why in (
        (tmp_path / "a.parquet", "a.parquet cannot be read from a.parquet"),
        (tmp_path / "nothing", "cannot be read from nothing. There is no data file."),
        ("gs://bucket/x", "Files are read from paths and from s3://, not from gs://."),
    ):
        with pytest.raises(Refused) as refused:
            open_spark_holdout(data, "h", WHERE)
        assert str(refused.value).startswith("AME-E401 ame.yml:9:7 the holdout 'h' cannot be read from ")
        assert why.split("cannot be read from ")[-1] in str(refused.value)
