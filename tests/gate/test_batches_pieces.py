"""Pieces of files: sent to another process, read there, and all rows once, in order."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq
import pytest

from ame.diagnosis import Refused
from ame.gate.batches import open_batches
from ame.gate.pieces import ParquetRows


def table(n: int, start: int = 0) -> pa.Table:
    row = np.arange(start, start + n)
    return pa.table({"row": row, "city": (row % 3).astype(str), "unused": row * 2.0})


def rows_of(
    data: Path, *, piece: int = 100, coded: tuple[str, ...] = ()
) -> tuple[list[int | None], pa.Table]:
    """The pieces' sizes, and what they hold after they were sent somewhere."""
    batches = open_batches(data, ["row", "city"], coded=coded, csv_types={"city": pa.string()})
    pieces = pickle.loads(pickle.dumps(batches.pieces(piece)))  # noqa: S301
    read = [pa.Table.from_batches(each.read()) for each in pieces]
    assert all(
        size in (None, found.num_rows) for size, found in zip((p.rows for p in pieces), read, strict=True)
    )
    whole = pa.concat_tables(read).unify_dictionaries()
    assert whole.column_names == ["row", "city"]
    assert whole["row"].to_pylist() == [row for batch in batches for row in batch.column("row").to_pylist()]
    return [each.rows for each in pieces], whole


def test_row_groups_are_put_together_and_never_cut(tmp_path: Path) -> None:
    folder = tmp_path / "scores"
    folder.mkdir()
    pq.write_table(table(250), folder / "a.parquet", row_group_size=60)
    pq.write_table(table(30, 250), folder / "b.parquet", row_group_size=60)
    pq.write_table(table(300, 280), folder / "c.parquet", row_group_size=300)

    sizes, found = rows_of(folder)

    assert sizes == [120, 120, 10, 30, 300]
    assert found["row"].to_pylist() == list(range(580))


def test_texts_of_slices_come_as_dictionaries(tmp_path: Path) -> None:
    pq.write_table(table(250), tmp_path / "a.parquet")

    _, found = rows_of(tmp_path / "a.parquet", coded=("city", "row"))

    assert pa.types.is_dictionary(found.schema.field("city").type)
    assert found["city"].to_pylist() == [str(row % 3) for row in range(250)]


def test_columns_that_folders_spell_are_in_the_pieces(tmp_path: Path) -> None:
    for number, city in enumerate(("lima", "oslo")):
        folder = tmp_path / "scores" / f"city={city}"
        folder.mkdir(parents=True)
        part = table(90, 90 * number).drop_columns(["city"])
        pq.write_table(part, folder / "part-0.parquet", row_group_size=40)

    sizes, found = rows_of(tmp_path / "scores", piece=50)

    assert sizes == [80, 10, 80, 10]
    assert found["row"].to_pylist() == list(range(180))
    assert [str(each) for each in found["city"].to_pylist()] == ["lima"] * 90 + ["oslo"] * 90


def test_a_csv_file_is_one_piece(tmp_path: Path) -> None:
    folder = tmp_path / "scores"
    folder.mkdir()
    for part in range(3):
        pcsv.write_csv(table(70, 70 * part), folder / f"part-{part}.csv")

    sizes, found = rows_of(folder)

    assert sizes == [None, None, None]
    assert found["row"].to_pylist() == list(range(210))
    assert found["city"].type == pa.string()


def test_relative_paths_are_found_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pq.write_table(table(10), tmp_path / "a.parquet")
    monkeypatch.chdir(tmp_path)
    (piece,) = open_batches("a.parquet", ["row"]).pieces()
    monkeypatch.chdir("/")

    assert isinstance(piece, ParquetRows)
    assert next(piece.read()).num_rows == 10
    assert piece.where == "a.parquet"


def test_a_piece_of_a_file_that_is_gone_says_which(tmp_path: Path) -> None:
    pq.write_table(table(10), tmp_path / "a.parquet")
    (piece,) = open_batches(tmp_path / "a.parquet", ["row"]).pieces()
    (tmp_path / "a.parquet").unlink()

    with pytest.raises(Refused) as refused:
        list(piece.read())

    assert str(refused.value).startswith(
        f"AME-E504 {tmp_path / 'a.parquet'} The table of scores cannot be read."
    )


def test_row_groups_of_a_file_in_a_spelled_folder_keep_their_order(tmp_path: Path) -> None:
    day = tmp_path / "scores" / "city=1"
    day.mkdir(parents=True)
    pq.write_table(table(120).drop_columns("city"), day / "a.parquet", row_group_size=10)

    sizes, found = rows_of(tmp_path / "scores", piece=30)

    assert sizes == [30, 30, 30, 30]
    assert found["row"].to_pylist() == list(range(120))


def test_a_column_that_a_file_lacks_is_null_in_its_pieces(tmp_path: Path) -> None:
    for day in (1, 2):
        folder = tmp_path / "scores" / f"day={day}"
        folder.mkdir(parents=True)
        part = table(60, 60 * day)
        pq.write_table(
            part.drop_columns("city") if day == 2 else part, folder / "a.parquet", row_group_size=20
        )

    sizes, found = rows_of(tmp_path / "scores", piece=30)

    assert sizes == [40, 20, 40, 20]
    assert found["city"].to_pylist() == [str(row % 3) for row in range(60, 120)] + [None] * 60
