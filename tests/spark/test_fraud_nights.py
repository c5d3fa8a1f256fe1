"""The four nights of examples/fraud-spark end as its README says: the same rows, models and gate, in one session.

What the demo adds, environments, MLflow and the flows, has tests of its own.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pytest
from pyspark.ml.functions import vector_to_array

from ame.gate import ABTestResult, run_ab_test
from ame.spec import load_project

EXAMPLES = Path(__file__).parents[2] / "examples"
PROJECT = EXAMPLES / "fraud-spark"
_MODULES = ("demo", "demo_spark", "homework_rule", "local_spark", "prepare", "train", "transactions")


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.syspath_prepend(PROJECT)
    for name in _MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module


def test_what_the_demo_decides_and_what_the_homework_would_have(
    spark: Any, module: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    ab_test = load_project(PROJECT).models["card-fraud"].ab_test
    assert ab_test is not None
    homework = module("homework_rule")
    champion: Any = None
    ends: list[tuple[str, float]] = []
    results: list[ABTestResult] = []
    for number, night in enumerate(module("demo_spark").NIGHTS):
        folder = tmp_path / str(number)
        challenger = _trained(spark, module, night.env, folder)
        if champion is None:
            champion = challenger
            continue
        scores = _scores(spark.read.parquet(str(folder / "holdout")), champion, challenger)
        result = run_ab_test(replace(ab_test.gate, looks=None), scores)
        results.append(result)
        if result.decision == "promote":
            champion = challenger
        draws = homework.scores_of(*(scores[name].to_numpy() for name in ("fraud", "champion", "challenger")))
        ends.append((result.decision, homework.how_often(draws)))

    assert [decision for decision, _ in ends] == ["promote", "inconclusive", "reject"]
    assert "transit" in results[2].why
    # It looks right where the difference is large, and promotes what is worse for one group.
    assert ends[0][1] == 1
    assert ends[2][1] > 0.5


def _trained(spark: Any, module: Callable[[str], ModuleType], env: dict[str, str], folder: Path) -> Any:
    """The model of a night, whose rows are written as its data sets are."""
    prepare, train = module("prepare"), module("train")
    night = date.fromisoformat(env["NIGHT"])
    world, week = module("transactions").make_world(0, 5000), night - prepare.HOLDOUT
    prepare.write(world, week - prepare.HISTORY, week, folder / "history")
    prepare.write(world, week, night, folder / "holdout")
    fitted_on, _ = train.split(spark.read.parquet(str(folder / "history")))
    seed = int(env["SEED"])
    return train.pipeline(env["RECIPE"], seed).fit(train.thinned(fitted_on, seed))


def _scores(holdout: Any, champion: Any, challenger: Any) -> pa.Table:
    columns = ["transaction", "time", "fraud", "customer", "terminal_group", "amount_band"]
    sides = {"champion": champion, "challenger": challenger}
    scored = [
        model.transform(holdout).select(*columns, vector_to_array("probability")[1].alias(side))
        for side, model in sides.items()
    ]
    return scored[0].join(scored[1].select("transaction", "challenger"), "transaction").toArrow()
