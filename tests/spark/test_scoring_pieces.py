"""How a holdout is cut for tasks, identified without being read, and given to Spark; nothing here starts Spark."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ame.diagnosis import Where
from ame.places import place_of
from ame.scoring import open_holdout, open_spark_holdout
from ame.scoring.spark import holdout as holdouts
from ame.scoring.spark.loading import TaskFailed
from ame.scoring.spark.parts import Part, file_of, finish, finished, new_file
from ame.scoring.spark.rows import in_batches
from ame.scoring.spark.types import for_spark

WHERE = Where("ame.yml", 9, 7)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of 1000, 0, 10, 10 and 2500 rows, in row groups of 300; `day` is the number of the row."""
    place, first = tmp_path / "holdout", 0
    place.mkdir()
    for number, size in enumerate((1000, 0, 10, 10, 2500)):
        days = np.arange(first, first + size)
        pq.write_table(
            pa.table({"day": days, "even": days % 2 == 0}), place / f"{number}.parquet", row_group_size=300
        )
        first += size
    return place


@pytest.mark.parametrize("most", [1, 100, 300, 650, 1000, 1_000_000])
def test_pieces_in_order_are_the_rows_in_order(
    folder: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(holdouts, "PIECE_ROWS", most)
    holdout = pickle.loads(pickle.dumps(open_spark_holdout(folder, "h", WHERE)))  # noqa: S301
    days: list[int] = []
    for number, piece in enumerate(holdout.pieces):
        rows = [
            day for batch in holdout.reading.read(piece, ["day"], 128) for day in batch["day"].to_pylist()
        ]
        assert (piece.number, piece.rows) == (number, len(rows))
        assert len(rows) <= max(most, 300)
        days += rows
    assert days == list(range(3520))
    assert holdout.rows == holdout.dataset.count_rows() == 3520
    assert len(holdout.pieces) == {1: 15, 100: 14, 300: 13, 650: 7, 1000: 4, 1_000_000: 1}[most]


def test_the_digest_tells_another_holdout_by_its_footers(folder: Path) -> None:
    first = open_spark_holdout(folder, "h", WHERE)
    assert open_spark_holdout(folder, "other name", WHERE).digest == first.digest
    table = pq.read_table(folder / "2.parquet")
    changed = table.set_column(0, "day", pa.array(np.arange(1000, 1010) + 1))
    pq.write_table(changed, folder / "2.parquet", row_group_size=300)
    assert open_spark_holdout(folder, "h", WHERE).digest != first.digest


def test_both_kinds_of_holdout_have_the_same_columns(tmp_path: Path) -> None:
    for day in (1, 2):
        (tmp_path / "h" / f"day={day}").mkdir(parents=True)
        file = tmp_path / "h" / f"day={day}" / "part-0.csv"
        file.write_text(f"x,at\n{day},2026-01-0{day}\n")
    here, there = open_holdout(tmp_path / "h", "h", WHERE), open_spark_holdout(tmp_path / "h", "h", WHERE)
    assert here.columns == there.columns == ("x", "at", "day")
    assert here.schema(here.columns) == there.schema(there.columns)
    assert here.dataset.to_table().equals(there.dataset.to_table())


def test_batches_are_filled_from_small_ones() -> None:
    small = [pa.record_batch({"x": pa.array([str(n)]).dictionary_encode()}) for n in range(10)]
    told = list(in_batches(iter(small), 4))
    assert [batch.num_rows for batch in told] == [4, 4, 2]
    assert [x for batch in told for x in batch["x"].to_pylist()] == [str(n) for n in range(10)]


def test_a_half_written_file_never_gets_its_name(tmp_path: Path) -> None:
    place = place_of(tmp_path / "scores")

    def fail() -> None:
        with new_file(place, "part-00000.parquet") as file:
            Path(file).write_text("half")
            raise TaskFailed("champion", ["no"])

    with pytest.raises(TaskFailed):
        fail()
    assert list((tmp_path / "scores").iterdir()) == []
    for content in ("first attempt", "second attempt"):
        with new_file(place, "part-00000.parquet") as file:
            Path(file).write_text(content)
    assert [path.read_text() for path in (tmp_path / "scores").iterdir()] == ["second attempt"]


def test_scores_of_which_a_file_was_cut_are_not_complete(tmp_path: Path) -> None:
    place = place_of(tmp_path)
    for number in (0, 1):
        (tmp_path / file_of(number)).write_text("all of it")
    parts = [Part(number, file_of(number), 5, {"champion": "a"}) for number in (0, 1)]
    finish(place, "key", parts, ())
    found = finished(place, "key")
    assert found is not None
    assert (found.rows, list(found.parts)) == (10, parts)

    (tmp_path / file_of(1)).write_text("a part")
    assert finished(place, "key") is None
    (tmp_path / "_SUCCESS.json").write_text("[]")
    assert finished(place, "key") is None


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (pa.array([1, None], pa.uint8()), pa.int16()),
        (pa.array([2**63, None], pa.uint64()), pa.decimal128(20, 0)),
        (pa.array(["a", None]).dictionary_encode(), pa.string()),
        (pa.array(["a", None], pa.large_string()), pa.string()),
        (pa.array([0.5, None], pa.float16()), pa.float32()),
        (pa.array([1000, None], pa.time32("ms")), pa.string()),
        (pa.array([10**18, None], pa.timestamp("ns")), pa.timestamp("us")),
        (pa.array([[1.0, 2.0], None], pa.list_(pa.float64(), 2)), pa.list_(pa.float64())),
        (pa.nulls(2), pa.string()),
    ],
)
def test_columns_get_a_type_that_spark_has(column: pa.Array, kind: pa.DataType) -> None:
    told = for_spark(column)
    assert told.type == kind
    assert told.null_count == (2 if pa.types.is_null(column.type) else 1)
