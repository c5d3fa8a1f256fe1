"""Both models' scores on Spark: the same numbers as on one machine, in files that are whole and stand once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ame.diagnosis import Refused, Where
from ame.scoring import (
    FetchedModel,
    ScoredOnSpark,
    join_scores,
    open_holdout,
    open_spark_holdout,
    score,
    score_on_spark,
)
from ame.scoring.spark import holdout as holdouts

WHERE = Where("ame.yml", 9, 7)
FEATURES = ("place", "hour", "age")
NUMBERS = ("hour", "age")

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="session")
def rows() -> pd.DataFrame:
    random = np.random.default_rng(3)
    count = 4000
    place = random.choice(["EWR", "JFK", "LGA"], count)
    hour = random.normal(12, 4, count)
    age = random.integers(0, 90, count)
    depends = hour + 4 * (place == "EWR") + age / 30 + random.normal(0, 3, count)
    return pd.DataFrame(
        {
            "place": place,
            "hour": hour,
            "age": age.astype("uint16"),
            "late": (depends > 15).astype(int),
            "kind": np.array(["small", "middle", "large"])[np.digitize(depends, [12, 17])],
            "delay": depends,
        }
    )


@pytest.fixture(scope="session")
def models(
    rows: pd.DataFrame, spark: Any, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, FetchedModel]:
    """Models of both libraries, as MLflow saves them."""
    import mlflow.sklearn
    import mlflow.spark
    from pyspark.ml import Pipeline
    from pyspark.ml.classification import LogisticRegression as SparkRegression
    from pyspark.ml.feature import StringIndexer, VectorAssembler
    from pyspark.ml.regression import LinearRegression as SparkLinear
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    folder = tmp_path_factory.mktemp("models")

    def fetched(name: str) -> FetchedModel:
        return FetchedModel(f"version {name}", folder / name, (), ("mlflow",), None)

    def sklearn(name: str, model: Any, label: str) -> None:
        columns = make_column_transformer((OneHotEncoder(), ["place"]), remainder="passthrough")
        fitted = make_pipeline(columns, model).fit(rows[list(FEATURES)], rows[label])
        pickled = mlflow.sklearn.SERIALIZATION_FORMAT_CLOUDPICKLE
        mlflow.sklearn.save_model(
            fitted, folder / name, pip_requirements=["mlflow"], serialization_format=pickled
        )

    frame = spark.createDataFrame(rows.astype({"age": int}))
    vector = [
        StringIndexer(inputCol="place", outputCol="place_index", handleInvalid="keep"),
        VectorAssembler(inputCols=["place_index", *NUMBERS], outputCol="features"),
    ]

    def native(name: str, *stages: Any) -> None:
        fitted = Pipeline(stages=[*vector, *stages]).fit(frame)
        mlflow.spark.save_model(fitted, str(folder / name), pip_requirements=["mlflow", "pyspark"])

    sklearn("forest", RandomForestClassifier(5, random_state=1), "late")
    sklearn("logistic", LogisticRegression(max_iter=200), "late")
    sklearn("labels", RidgeClassifier(), "late")
    sklearn("kinds", LogisticRegression(max_iter=200), "kind")
    sklearn("line", LinearRegression(), "delay")
    native("native", SparkRegression(labelCol="late", maxIter=3))
    native("native line", SparkLinear(labelCol="delay"))
    native(
        "native kinds",
        StringIndexer(inputCol="kind", outputCol="kind_index"),
        SparkRegression(labelCol="kind_index", maxIter=3),
    )
    return {path.name: fetched(path.name) for path in folder.iterdir()}


@pytest.fixture
def holdout(rows: pd.DataFrame, tmp_path: Path) -> Path:
    """Three files of uneven sizes, of several row groups."""
    place = tmp_path / "holdout"
    place.mkdir()
    for number, (start, end) in enumerate(((0, 1500), (1500, 1501), (1501, 4000))):
        table = pa.Table.from_pandas(rows[start:end], preserve_index=False)
        pq.write_table(table, place / f"{number}.parquet", row_group_size=400)
    return place


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holdouts, "PIECE_ROWS", 1000)


def locally(
    data: Path,
    pair: Mapping[str, FetchedModel],
    work: Path,
    columns: tuple[str, ...] = ("late", "place"),
    **asked: Any,
) -> pa.Table:
    """The table that one machine makes."""
    work.mkdir()
    opened = open_holdout(data, "h", WHERE)
    opened.write(work / "rows.parquet", FEATURES)
    files = {}
    for name, model in pair.items():
        files[name] = work / f"{name}.parquet"
        request = {
            "model": str(model.folder),
            "data": str(work / "rows.parquet"),
            "features": list(FEATURES),
            "output": str(files[name]),
            **asked,
        }
        (work / "request.json").write_text(json.dumps(request))
        score.main(str(work / "request.json"))
    join_scores(opened, columns, files, work / "joined.parquet")
    return pq.read_table(work / "joined.parquet")


@pytest.fixture
def on_spark(spark: Any, tmp_path: Path) -> Callable[..., ScoredOnSpark]:
    def call(data: Any, pair: Mapping[str, FetchedModel], **asked: Any) -> ScoredOnSpark:
        return score_on_spark(
            spark,
            open_spark_holdout(data, "h", WHERE, spark=spark),
            pair,
            **{
                "features": dict.fromkeys(pair, FEATURES),
                "columns": ("late", "place"),
                "row": "row",
                "output": str(tmp_path / "scores"),
                **asked,
            },
        )

    return call


def table_of(scored: ScoredOnSpark) -> pa.Table:
    folder = Path(scored.folder)
    assert sorted(path.name for path in folder.glob("part-*")) == list(scored.files)
    assert not list(folder.glob(".part-*"))
    return pa.concat_tables([pq.read_table(folder / file) for file in scored.files]).replace_schema_metadata(
        None
    )


Models = Mapping[str, FetchedModel]
OnSpark = Callable[..., ScoredOnSpark]


def test_scores_are_those_of_one_machine_bit_by_bit(
    rows: pd.DataFrame, models: Models, on_spark: OnSpark, tmp_path: Path
) -> None:
    rows.to_csv(tmp_path / "h.csv", index=False)
    rows.to_parquet(tmp_path / "h.parquet", row_group_size=300)
    pair = {"champion": models["logistic"], "challenger": models["labels"]}
    for data in (tmp_path / "h.csv", tmp_path / "h.parquet"):
        expected = locally(data, pair, tmp_path / f"local {data.name}")
        scored = on_spark(data, pair)
        assert table_of(scored).equals(expected) or len(scored.files) > 1
        np.testing.assert_allclose(table_of(scored)["champion"], expected["champion"], rtol=1e-15)
        assert scored.digests.keys() == {"champion", "challenger"}


def test_files_in_order_are_rows_in_order(
    holdout: Path, models: Models, on_spark: OnSpark, tmp_path: Path
) -> None:
    pair = {"champion": models["forest"], "challenger": models["labels"]}
    told: list[tuple[str, float]] = []
    scored = on_spark(holdout, pair, progress=lambda words, share: told.append((words, share)))
    assert table_of(scored).equals(locally(holdout, pair, tmp_path / "local"))
    assert scored.rows == 4000
    assert scored.files == tuple(f"part-{number:05d}.parquet" for number in range(5))
    assert told[-1] == ("scoring on Spark", 1.0)
    # A folder that is complete is told at once, without any session.
    again = score_on_spark(
        None,  # type: ignore[arg-type]
        open_spark_holdout(holdout, "h", WHERE),
        pair,
        features=dict.fromkeys(pair, FEATURES),
        columns=("late", "place"),
        row="row",
        output=str(tmp_path / "scores"),
    )
    assert again == scored


def test_a_model_of_spark_ml_against_one_of_scikit_learn(
    holdout: Path, rows: pd.DataFrame, spark: Any, models: Models, on_spark: OnSpark, tmp_path: Path
) -> None:
    import mlflow.spark

    sure = {"champion": models["logistic"]}
    expected = locally(holdout, sure, tmp_path / "local")
    frame = spark.createDataFrame(rows.astype({"age": int}))
    answered = mlflow.spark.load_model(str(models["native"].folder)).transform(frame)
    native = np.array([row["probability"][1] for row in answered.select("probability").collect()])
    for names in (("native", "logistic"), ("logistic", "native")):
        table = table_of(on_spark(holdout, {"champion": models[names[0]], "challenger": models[names[1]]}))
        columns = dict(zip(names, ("champion", "challenger"), strict=True))
        assert table[columns["logistic"]].equals(expected["champion"])
        assert table.select(["row", "late", "place"]).equals(expected.select(["row", "late", "place"]))
        np.testing.assert_array_equal(table[columns["native"]].to_numpy(), native)
    both = table_of(on_spark(holdout, {"champion": models["native"], "challenger": models["native"]}))
    assert both["champion"].equals(both["challenger"])
    np.testing.assert_array_equal(both["champion"].to_numpy(), native)


def test_many_classes_stand_in_the_same_order(
    holdout: Path, models: Models, on_spark: OnSpark, tmp_path: Path
) -> None:
    """Spark's indexer orders classes by how frequent they are, scikit-learn by their names."""
    pair = {"champion": models["kinds"], "challenger": models["native kinds"]}
    scored = on_spark(holdout, pair, task="multiclass", columns=("kind",))
    assert scored.classes == ("large", "middle", "small")
    table = table_of(scored)
    expected = locally(
        holdout, {"champion": models["kinds"]}, tmp_path / "local", ("kind",), task="multiclass"
    )
    champion, challenger = (
        table[name].combine_chunks().flatten().to_numpy().reshape(-1, 3)
        for name in ("champion", "challenger")
    )
    wanted = expected["champion"].combine_chunks().flatten().to_numpy().reshape(-1, 3)
    np.testing.assert_allclose(champion, wanted, rtol=1e-14)
    kinds = np.array(scored.classes)
    agree = kinds[champion.argmax(axis=1)] == kinds[challenger.argmax(axis=1)]
    assert agree.mean() > 0.8
    np.testing.assert_allclose(challenger.sum(axis=1), 1.0)


def test_models_of_other_classes_are_not_compared(holdout: Path, models: Models, on_spark: OnSpark) -> None:
    pair = {"champion": models["kinds"], "challenger": models["native"]}
    with pytest.raises(Refused) as refused:
        on_spark(holdout, pair, task="multiclass")
    assert str(refused.value) == (
        "AME-E404 champion and challenger do not answer with the same classes. "
        "Version kinds tells 'large', 'middle', 'small' and version native tells 0, 1. "
        "Train both on the same classes, or name them in `classes` of the abTest."
    )


def test_numbers_and_folders_that_are_columns(
    rows: pd.DataFrame, models: Models, on_spark: OnSpark, tmp_path: Path
) -> None:
    data = tmp_path / "days"
    for place, part in rows.groupby("place"):
        (data / f"place={place}").mkdir(parents=True)
        part.drop(columns="place").to_parquet(data / f"place={place}" / "part-0.parquet")
    pair = {"champion": models["line"], "challenger": models["native line"]}
    table = table_of(on_spark(data, pair, task="regression", columns=("delay", "place")))
    assert table["place"].to_pylist() == sorted(rows["place"])
    expected = locally(
        data, {"champion": models["line"]}, tmp_path / "local", ("delay", "place"), task="regression"
    )
    np.testing.assert_allclose(table["champion"], expected["champion"], rtol=1e-13)
    np.testing.assert_allclose(table["challenger"], table["delay"], atol=12)
    assert table["row"].equals(expected["row"])


def test_a_table_of_the_catalog(
    holdout: Path, spark: Any, models: Models, on_spark: OnSpark, tmp_path: Path
) -> None:
    spark.read.parquet(str(holdout)).createOrReplaceTempView("transactions")
    pair = {"champion": models["forest"], "challenger": models["native"]}
    by_files, by_table = (table_of(on_spark(data, pair)) for data in (holdout, "transactions"))
    order = [("row", "ascending")]
    assert (
        by_table.sort_by(order)
        .select(["row", "late", "champion", "challenger"])
        .equals(by_files.sort_by(order).select(["row", "late", "champion", "challenger"]))
    )
    once, twice = (open_spark_holdout("transactions", "t", WHERE, spark=spark) for _ in range(2))
    assert once.digest == twice.digest
    with pytest.raises(Refused) as refused:
        open_spark_holdout("no.such.table", "t", WHERE, spark=spark)
    assert str(refused.value).startswith(
        "AME-E401 ame.yml:9:7 the holdout 't' cannot be read from the table no.such.table. Spark says: "
    )


def test_a_view_of_rows_that_spark_holds_itself(
    rows: pd.DataFrame, spark: Any, models: Models, on_spark: OnSpark
) -> None:
    """It numbers them before it makes partitions; names with a backtick are told, too."""
    frame = spark.createDataFrame(rows.astype({"age": int}).rename(columns={"kind": "the `kind`"}))
    frame.createOrReplaceTempView("held")
    pair = {"champion": models["logistic"], "challenger": models["native"]}
    table = table_of(on_spark("held", pair, columns=("late", "the `kind`")))
    assert table["the `kind`"].to_pylist() == rows["kind"].tolist()
    assert np.corrcoef(table["champion"], table["challenger"])[0, 1] > 0.9


def test_tables_and_texts_without_a_row_are_refused(
    rows: pd.DataFrame, spark: Any, models: Models, on_spark: OnSpark, tmp_path: Path
) -> None:
    spark.createDataFrame(rows.astype({"age": int})).filter("age > 1000").createOrReplaceTempView("nobody")
    rows[:0].to_csv(tmp_path / "nobody.csv", index=False)
    kinds = {"champion": models["kinds"], "challenger": models["native kinds"]}
    lates = {"champion": models["native"], "challenger": models["native"]}
    for data, pair, task in (
        ("nobody", kinds, "multiclass"),
        ("nobody", lates, "binary"),
        (tmp_path / "nobody.csv", {"champion": models["forest"], "challenger": models["labels"]}, "binary"),
    ):
        with pytest.raises(Refused) as refused:
            on_spark(data, pair, task=task)
        assert str(refused.value) == (
            "AME-E401 ame.yml:9:7 the holdout 'h' has no rows. "
            "Name a holdout with rows that both models can answer."
        )


def test_a_model_of_spark_ml_that_does_not_take_the_columns_is_named(
    rows: pd.DataFrame, models: Models, on_spark: OnSpark, tmp_path: Path
) -> None:
    rows.astype({"age": str}).to_parquet(tmp_path / "h.parquet")
    pair = {"champion": models["native line"], "challenger": models["line"]}
    with pytest.raises(Refused) as refused:
        on_spark(tmp_path / "h.parquet", pair, task="regression")
    assert str(refused.value).startswith(
        "AME-E543 version native line cannot score the holdout: its model failed on Spark. Its last lines:\n"
        "    Data type string of column age is not supported."
    )
