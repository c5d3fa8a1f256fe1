"""The engine of Spark tells what the local one tells, however the rows are cut, stored and read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from ame.diagnosis import Refused
from ame.gate import ABTest, run_ab_test
from ame.gate import ab_test as ab_test_module
from ame.gate.batches import Batches
from ame.gate.engines import binned, local, spark_tables
from ame.gate.engines import spark as engine
from ame.places import place_of
from tests.spark.tables import METRICS, N, assert_equal, assert_same_tally, config, measured, scores, written

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many tasks, and as little of the rows in the pilot, as with a large table."""
    monkeypatch.setattr(spark_tables, "PIECE_ROWS", 3000)
    monkeypatch.setattr(spark_tables, "_TASK_ROWS", 3000)
    monkeypatch.setattr(Batches.pieces, "__defaults__", (1000,))
    monkeypatch.setattr(binned, "_BITS", 16)
    monkeypatch.setattr(binned, "_SLICE_BITS", 16)
    for module in ("binned", "spark", "local"):
        monkeypatch.setattr(f"ame.gate.engines.{module}.PILOT", 4000)


def both_ways(asked: ABTest, data: Any, exact_rows: int = 0, *, here: Any = None) -> None:
    """Hold Spark's numbers and counts against the local engine's; `here` are the same rows for that one."""
    wanted, first = measured(asked, data if here is None else here, local.measure, exact_rows=exact_rows)
    found, second = measured(asked, data, engine.measure, exact_rows=exact_rows)
    kind = "exact" if exact_rows else "binned"
    assert (wanted.engine, found.engine) == (f"local {kind}", f"spark {kind}")
    assert_equal(found, wanted)
    assert_same_tally(second, first)


@pytest.mark.parametrize("entity", [None, "tail"])
@pytest.mark.parametrize("task", list(METRICS))
def test_numbers_are_those_of_the_local_engine(
    spark: Any, tmp_path: Path, task: str, entity: str | None
) -> None:
    asked = config(task, entity=entity, row=None if entity else "row")

    both_ways(asked, written(scores(task), tmp_path / "scores", files=3))


def test_however_the_rows_are_cut_and_merged_the_numbers_are_the_same(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_FAN_IN", 3)  # so that tasks merge what tasks have found
    table = scores(digits=2)
    wanted, _ = measured(config(), table, local.measure, exact_rows=0)
    for seed, (files, groups, task) in enumerate([(1, 900, 2500), (9, 400, 10_000), (4, 100_000, 10)]):
        monkeypatch.setattr(spark_tables, "_TASK_ROWS", task)
        folder = written(table, tmp_path / str(seed), files=files, groups=groups, seed=seed)
        found, source = measured(config(), folder, engine.measure, exact_rows=0)
        assert_equal(found, wanted)
        assert source.tally.rows == N


def test_few_rows_are_measured_as_exactly_as_here(spark: Any, tmp_path: Path) -> None:
    folder = written(scores(n=5000), tmp_path / "scores", files=3)
    here, there = (measured(config(), folder, how)[0] for how in (local.measure, engine.measure))

    assert there.engine == "spark exact"
    for name, metric in here.total.metrics.items():
        assert there.total.metrics[name].difference == metric.difference
        assert there.total.metrics[name].std_error == metric.std_error
    assert_equal(there, here)


def test_folders_that_spell_a_column_and_csv_files(spark: Any, tmp_path: Path) -> None:
    table = scores(n=9000).drop_columns(["unused"])
    days = tmp_path / "days"
    for number, month in enumerate((9, 10, 11)):
        folder = days / f"month={month}"
        folder.mkdir(parents=True)
        pq.write_table(table.slice(3000 * number, 3000), folder / "part-0.parquet", row_group_size=800)
    both_ways(replace(config(), slices=("month", "city")), days)

    texts = tmp_path / "texts"
    texts.mkdir()
    for number in range(2):
        pcsv.write_csv(table.slice(4500 * number, 4500), texts / f"part-{number}.csv")
    both_ways(config(), texts)
    both_ways(config(), texts, exact_rows=20_000)


def test_a_data_frame_in_any_order(spark: Any, tmp_path: Path) -> None:
    folder = written(scores(), tmp_path / "scores", files=2)
    frame = spark.read.parquet(str(folder)).repartition(5).persist()
    try:
        both_ways(config(entity=None), frame, here=frame.toArrow())
        both_ways(config(), frame, exact_rows=N, here=frame.toArrow())
    finally:
        frame.unpersist()


def test_names_of_columns_that_mean_something_else_to_spark(spark: Any, tmp_path: Path) -> None:
    """A point is the way to a field, a backtick a quotation mark, and upper case is lower case."""
    names = {"late": "was.late", "tail": "the `tail`", "row": "LATE", "unused": "late"}
    table = scores(n=9000).rename_columns(names)
    asked = config(entity="the `tail`", row="LATE")
    frame = spark.createDataFrame(table.to_pandas().astype({"LATE": int})).repartition(3).persist()
    try:
        both_ways(replace(asked, label="was.late"), frame, here=frame.toArrow())
    finally:
        frame.unpersist()


def test_a_data_frame_whose_files_are_gone_is_told_from_others(spark: Any, tmp_path: Path) -> None:
    folder = written(scores(n=300), tmp_path / "scores")
    frame = spark.read.parquet(str(folder))
    for file in folder.iterdir():
        file.unlink()

    with pytest.raises(Refused) as refused:
        run_ab_test(config(), frame, engine="spark")

    text = str(refused.value)
    assert text.startswith(
        "AME-E523 The Spark job that reads the scores failed. [FAILED_READ_FILE.FILE_NOT_EXIST] Encountered error "
    )
    assert f"{folder}/part-000.parquet" in text


def spoiled(task: str, how: str) -> pa.Table:
    """Scores with something wrong in the later rows."""
    table = scores(task, 9000)
    late = np.arange(9000) > 7000
    columns = {name: table[name].to_pylist() for name in table.column_names}
    for row in np.flatnonzero(late):
        if how == "missing":
            columns["champion"][row] = None
            columns["row"][row] = None if row % 7 == 0 else columns["row"][row]
        elif how == "labels":
            columns["late"][row] = int(row % 11) - 3
        elif how == "lengths":
            columns["challenger"][row] = [0.5, 0.5]
        elif how == "slices":
            columns["city"][row] = f"city {row}"
    if how == "labels":
        columns["late"] = [float(each) for each in columns["late"]]
    return pa.table(columns)


@pytest.mark.parametrize(
    ("task", "how"),
    [
        ("binary", "missing"),
        ("binary", "labels"),
        ("multiclass", "lengths"),
        ("multiclass", "labels"),
        ("binary", "slices"),
    ],
)
def test_what_is_wrong_with_rows_is_said_in_the_same_words(
    spark: Any, tmp_path: Path, task: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = spoiled(task, how)
    if task == "multiclass" and how == "labels":
        table = table.set_column(0, "late", table["late"].cast(pa.int64()))
    folder = written(table, tmp_path / "scores", files=2, groups=1000)
    for module in (local, engine):
        kept = module.measure.__kwdefaults__
        monkeypatch.setattr(module.measure, "__kwdefaults__", {**kept, "exact_rows": 0})

    wanted = run_ab_test(config(task), folder, engine="local")
    found = run_ab_test(config(task), folder, engine="spark")

    assert wanted.decision == found.decision == "invalid"
    assert found.why == wanted.why
    assert found.checks == wanted.checks
    assert found.engine == "spark binned"


def test_times_that_are_texts_in_some_files_are_told_in_the_same_words(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, table = tmp_path / "scores", scores(n=9000)
    place = table.column_names.index("day")
    for number, kind in enumerate((pa.date32(), pa.string(), pa.timestamp("us"))):
        part = table.slice(3000 * number, 3000)
        days = part["day"].cast(pa.date32()).cast(kind)
        written(part.set_column(place, "day", days), folder / str(number))
    for module in (local, engine):
        kept = module.measure.__kwdefaults__
        monkeypatch.setattr(module.measure, "__kwdefaults__", {**kept, "exact_rows": 0})

    wanted, found = (run_ab_test(config(), folder, engine=name) for name in ("local", "spark"))

    assert "'day' holds values that cannot be put in order" in wanted.why
    assert found.checks == wanted.checks


def test_the_whole_result_is_that_of_the_local_engine(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = written(scores(), tmp_path / "scores", files=3)
    said: list[tuple[str, float]] = []
    for module in (local, engine):
        kept = module.measure.__kwdefaults__
        monkeypatch.setattr(module.measure, "__kwdefaults__", {**kept, "exact_rows": 1000})

    wanted = run_ab_test(config(), folder, engine="local").to_json()
    found = run_ab_test(config(), folder, engine="spark", progress=lambda *each: said.append(each)).to_json()

    assert (wanted.pop("engine"), found.pop("engine")) == ("local binned", "spark binned")
    assert_equal(found, wanted)
    assert [words for words, _ in dict(said).items()] == [
        "reading the scores",
        "comparing the models",
        "decided",
    ]
    shares = [share for _, share in said]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)


def test_auto_takes_spark_for_a_data_frame_and_for_many_rows_and_says_so(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = written(scores(n=3000), tmp_path / "scores")
    said: list[str] = []

    def engine_of(data: Any) -> str:
        return run_ab_test(config(), data, progress=lambda words, _share: said.append(words)).engine

    assert engine_of(folder) == "local exact"
    assert engine_of(spark.read.parquet(str(folder))) == "spark exact"
    monkeypatch.setattr(ab_test_module, "SPARK_ROWS", 2999)
    assert engine_of(folder) == "spark exact"
    assert engine_of(pq.read_table(folder)) == "local exact"
    assert [words for words in said if words.startswith("engine")] == [
        "engine auto: local, for 3,000 rows",
        "engine auto: spark, for a Spark DataFrame",
        "engine auto: spark, for 3,000 rows",
        "engine auto: local, for 3,000 rows",
    ]


def test_data_that_the_engine_cannot_read_is_refused(spark: Any, tmp_path: Path) -> None:
    folder = written(scores(n=300), tmp_path / "scores")

    def refusal(data: Any, name: str, asked: ABTest | None = None) -> str:
        with pytest.raises(Refused) as refused:
            run_ab_test(asked or config(), data, engine=name)
        return str(refused.value)

    in_memory = (
        "AME-E522 The engine 'spark' cannot read a table of scores that is in this process's memory. Its "
        "executors read files, each its part. Write the table as parquet to a folder or bucket that the "
        "executors see and give its path, or take the engine 'local'."
    )
    for data in (pq.read_table(folder), ds.dataset(folder), pq.read_table(folder).to_batches()):
        assert refusal(data, "spark") == in_memory
    assert refusal(spark.read.parquet(str(folder)), "local") == (
        "AME-E522 Only a paired A/B test on the engine 'spark' reads a Spark DataFrame. Outside of Spark there "
        "may be no room for its rows. Take the engine 'spark' or 'auto', or write the DataFrame as parquet and "
        "give its path."
    )
    split = ABTest(label="late", design="split", variant="city")
    assert refusal(folder, "spark", split) == (
        "AME-E508 The engine 'spark' cannot do an A/B test of the design 'split'. Logged traffic is read by the "
        "engine 'local'. Take the engine 'local' or 'auto'."
    )
    assert "has no column 'late'" in refusal(spark.range(3), "spark")


def test_a_file_that_breaks_in_a_task_is_named(spark: Any, tmp_path: Path) -> None:
    folder = written(scores(n=9000), tmp_path / "scores", files=2, groups=500)
    last = max(folder.iterdir())
    content = bytearray(last.read_bytes())
    middle = len(content) // 2
    content[middle - 4000 : middle] = b"\xff" * 4000
    last.write_bytes(bytes(content))

    with pytest.raises(Refused) as refused:
        run_ab_test(config(), folder, engine="spark")

    (diagnosis,) = refused.value.diagnoses
    assert diagnosis.code == "AME-E504"
    assert diagnosis.where is not None
    assert diagnosis.where.file == str(last)


@pytest.fixture
def bucket(s3: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket whose region nobody tells."""
    made = s3("scores")
    monkeypatch.delenv("AWS_REGION")
    return made


def flaky(data: str, marks: Path, master: str) -> dict[str, Any]:
    """The result of a test whose tasks fail, in a process of its own: tasks have its environment."""
    marks.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "tests.spark.flaky", data, str(marks), master],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr
    # Two readings, each of four pieces that failed once.
    assert len([mark for mark in marks.iterdir() if mark.name[-1].isdigit()]) == 8
    return dict(json.loads(done.stdout.splitlines()[-1]))


def equals_the_local_engine(found: dict[str, Any], data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local.measure, "__kwdefaults__", {**local.measure.__kwdefaults__, "exact_rows": 0})
    wanted = json.loads(json.dumps(run_ab_test(config(), data, engine="local").to_json()))
    assert (wanted.pop("engine"), found.pop("engine")) == ("local binned", "spark binned")
    assert_equal(found, wanted)


def test_tasks_that_fail_once_change_no_number_also_on_a_bucket(
    tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = written(scores(n=9000), tmp_path / "scores", files=3, groups=1000)
    place = place_of(f"{bucket}/holdout")
    for file in folder.iterdir():
        with place.system().open_output_stream(place.below(file.name)) as stream:
            stream.write(file.read_bytes())
    found = flaky(f"{bucket}/holdout", tmp_path / "marks", "local[2,5]")

    equals_the_local_engine(found, f"{bucket}/holdout", monkeypatch)
    with pytest.raises(Refused, match="There is no such file or folder"):
        run_ab_test(config(), f"{bucket}/nothing", engine="spark")


def test_an_executor_that_dies_in_each_reading_changes_no_number(
    tmp_path: Path, standalone: Callable[[int], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = written(scores(n=9000), tmp_path / "scores", files=3, groups=1000)
    marks = tmp_path / "marks"
    found = flaky(str(folder), marks, standalone(2).master)

    assert [(marks / f"{reading} 1").read_text() for reading in ("first", "second")] == [
        "an executor died"
    ] * 2
    equals_the_local_engine(found, str(folder), monkeypatch)
