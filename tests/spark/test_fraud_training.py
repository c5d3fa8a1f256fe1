"""The training of examples/fraud-spark, on Spark."""

from __future__ import annotations

import importlib
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as f

PROJECT = Path(__file__).parents[2] / "examples" / "fraud-spark"


def test_it_learns_from_all_frauds_and_a_tenth_of_the_rest(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(PROJECT)
    for name in ("local_spark", "train", "transactions"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    town, train = (importlib.import_module(name) for name in ("transactions", "train"))
    first = date(2026, 4, 1)
    days = town.days(town.make_world(3, 2000), first, first + timedelta(days=4))
    pq.write_table(pa.concat_tables(table for _, table in days), tmp_path / "payments.parquet")

    fitted_on, judged_on = train.split(spark.read.parquet(str(tmp_path)))
    thinned = train.thinned(fitted_on, 1)
    kept = {
        row["fraud"]: (row["count"], row["weight"])
        for row in thinned.groupBy("fraud")
        .agg(f.count("*").alias("count"), f.min("weight").alias("weight"))
        .collect()
    }
    all_frauds = fitted_on.where("fraud = 1").count()
    others = fitted_on.count() - all_frauds
    whole = train.pipeline("history", 1)
    whole.getStages()[-1].setNumTrees(5).setMaxDepth(4)
    metrics = train.judge(whole.fit(thinned).transform(judged_on))

    assert kept[1] == (all_frauds, 1.0)
    assert kept[0][1] == 10.0
    assert kept[0][0] == pytest.approx(others / 10, rel=0.1)
    assert metrics["roc_auc"] > 0.75
