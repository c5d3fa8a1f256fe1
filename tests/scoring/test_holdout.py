"""Holdouts as users have them: formats, folders, types, and what is said of broken ones."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ame.diagnosis import Refused, Where
from ame.scoring import Holdout, open_holdout

WHERE = Where("ame.yml", 9, 7)


def open_at(path: Path) -> Holdout:
    return open_holdout(path, "october", WHERE)


def rows(path: Path) -> list[dict[str, Any]]:
    holdout = open_at(path)
    written: list[dict[str, Any]] = pa.Table.from_batches(
        holdout.batches(holdout.columns), holdout.schema(holdout.columns)
    ).to_pylist()
    return written


@pytest.fixture
def write(folder: Path) -> Callable[[str, str | bytes | dict[str, Any]], Path]:
    """Write a file, a table as parquet; returns the holdout's folder."""

    def put(name: str, content: str | bytes | dict[str, Any]) -> Path:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, dict):
            pq.write_table(pa.table(content), file)
        else:
            file.write_bytes(content.encode() if isinstance(content, str) else content)
        return folder

    return put


Write = Callable[..., Path]


@pytest.mark.parametrize("name", ["h.csv", "H.CSV", "h.csv.gz", "h.parquet", "h.pq"])
def test_formats(write: Write, name: str) -> None:
    content: Any = {"x": [1, 2], "late": [0, 1]}
    if "csv" in name.lower():
        content = b"x,late\n1,0\n2,1\n"
    place = write(name, gzip.compress(content) if name.endswith("gz") else content)
    assert rows(place / name) == rows(place) == [{"x": 1, "late": 0}, {"x": 2, "late": 1}]


def test_csv_is_read_as_pandas_reads_it(write: Write) -> None:
    import pandas as pd

    text = (
        "number,share,day,time,moment,place,flag,empty\n1,0.5,2013-10-01,05:30,2013-10-01 05:30:00,NA,True,\n"
    )
    text += "2,,2013-10-02,06:30,2013-10-02 06:30:00,EWR,False,\n"
    file = write("h.csv", text) / "h.csv"
    expected = pd.read_csv(file).astype(object)
    expected = expected.where(expected.notna(), None)
    assert rows(file) == expected.to_dict("records")


def test_rows_come_in_the_order_of_files_and_row_groups(folder: Path) -> None:
    """Scores are joined by position: a row out of order would be judged by another row's label."""
    number = 0
    for name in ("a/1", "a/b/1", "a/b/2", "b/10", "b/2", "z"):
        file = folder / f"{name}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"row": range(number, number + 5000)}), file, row_group_size=700)
        number += 5000
    assert [row["row"] for row in rows(folder)] == list(range(number))


def test_other_files_of_a_folder_do_not_count(write: Write) -> None:
    for name in ("_SUCCESS", ".h.csv.swp", ".ipynb_checkpoints/h.csv", "_temporary/h.csv", "sub/_x.csv"):
        write(name, "broken")
    before = open_at(write("sub/h.csv", "x\n1\n")).digest
    assert rows(write("_metadata", "more")) == [{"x": 1}]
    assert open_at(write("_metadata", "changed")).digest == before


def test_files_may_differ_in_the_order_and_width_of_columns(write: Write) -> None:
    write("1.parquet", {"x": pa.array([1], pa.int8()), "y": ["a"]})
    assert rows(write("2.parquet", {"y": ["b"], "x": [2.5]})) == [{"x": 1.0, "y": "a"}, {"x": 2.5, "y": "b"}]


def test_categories_of_several_files_are_kept(write: Write) -> None:
    for file in ("1", "2"):
        place = write(f"{file}.parquet", {"c": pa.array(["same", f"of {file}"]).dictionary_encode()})
    assert [row["c"] for row in rows(place)] == ["same", "of 1", "same", "of 2"]
    assert open_at(place).write(place.parent / "out.parquet", ["c"]) == 4


def test_names_with_dots_and_signs_are_columns_like_others(write: Write) -> None:
    place = write("h.parquet", {"a.b": [1], "a b/c": [2], "ü": [[3]]})
    assert open_at(place).write(place.parent / "out.parquet", ["ü", "a.b"]) == 1
    assert pq.read_table(place.parent / "out.parquet").to_pylist() == [{"ü": [3], "a.b": 1}]


def test_the_digest_tells_contents_apart_and_nothing_else(write: Write, tmp_path: Path) -> None:
    first = open_at(write("h.csv", "x\n1\n") / "h.csv").digest
    (tmp_path / "h.csv").symlink_to(write("h.csv", "x\n1\n") / "h.csv")
    assert open_at(tmp_path / "h.csv").digest == first
    write("h.csv", "x\n2\n")
    assert open_at(tmp_path / "h.csv").digest != first


def test_columns_without_rows(write: Write) -> None:
    place = write("h.csv", "x,y\n")
    assert open_at(place).columns == ("x", "y")
    assert rows(place) == []


KIND = "It is not a set of parquet files, nor one of CSV files."


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({}, KIND),
        ({"h.json": "{}"}, KIND),
        ({"h.csv": "x\n1\n", "h.parquet": {"x": [1]}}, KIND),
        ({"h.tar.gz": ""}, KIND),
        ({"1.csv": "x,y\n1,2\n", "2.csv": "x\n1\n"}, "Files 1.csv and 2.csv differ in the column 'y'."),
        ({"1.csv": "x\n1\n", "2.csv": "x,y\n1,2\n"}, "Files 1.csv and 2.csv differ in the column 'y'."),
        ({"h.csv": b"x\nf\xfc\n"}, "The column 'x' of h.csv is not UTF-8 text."),
    ],
    ids=["empty", "json", "mixed", "tar", "lacks", "has more", "latin"],
)
def test_folders_that_are_refused(folder: Path, write: Write, files: dict[str, Any], why: str) -> None:
    for name, content in files.items():
        write(name, content)
    with pytest.raises(Refused) as refused:
        open_at(folder)
    assert str(refused.value) == (
        f"AME-E401 ame.yml:9:7 the holdout 'october' cannot be read from {folder.name}. {why} "
        "Name a parquet or CSV file, or a folder of such files."
    )


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("h.csv", "", "Empty CSV file"),
        ("h.csv", "x,x\n1,2\n", "multiple columns named x"),
        ("h.csv", "x,y\n1,2\n3\n", r"Row #3: Expected 2 columns, got 1: 3\."),
        ("h.parquet", "no parquet", "Could not open Parquet input source"),
        ("h.csv.gz", "no gzip", r"h\.csv\.gz"),
    ],
)
def test_files_that_are_refused(write: Write, name: str, content: str, why: str) -> None:
    with pytest.raises(Refused, match=f"AME-E401 ame.yml:9:7 the holdout 'october' .*{why}"):
        open_at(write(name, content) / name)


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        open_at(tmp_path / "october.csv")
    assert str(refused.value) == (
        "AME-E401 ame.yml:9:7 the holdout 'october' cannot be read from october.csv. It does not exist. "
        "Name a parquet or CSV file, or a folder of such files."
    )


def test_a_parquet_file_with_one_name_twice_is_refused(folder: Path) -> None:
    pq.write_table(
        pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"]), folder / "h.parquet"
    )
    with pytest.raises(Refused, match=r"File h\.parquet has the column 'x' twice"):
        open_at(folder)


def test_a_value_of_another_type_further_down_is_refused(write: Write, tmp_path: Path) -> None:
    place = write("h.csv", "x\n" + "1\n" * 9_000_000 + "1.5\n")
    with pytest.raises(Refused) as refused:
        open_at(place / "h.csv").write(tmp_path / "out.parquet", ["x"])
    assert str(refused.value) == (
        "AME-E401 ame.yml:9:7 the holdout 'october' cannot be read from h.csv. "
        "In CSV column #0: Row #9000002: CSV conversion error to int64: invalid value '1.5'. "
        "Name a parquet or CSV file, or a folder of such files."
    )


def test_columns_that_are_needed_and_not_there_are_refused(write: Write) -> None:
    holdout = open_at(write("h.csv", "x,y\n1,2\n"))
    holdout.require(["y", "x"], WHERE, "the label")
    with pytest.raises(Refused) as refused:
        holdout.require(["x", "late", "X"], WHERE, "inputs of version 3")
    assert str(refused.value) == (
        "AME-E402 ame.yml:9:7 the holdout 'october' has no column 'late', 'X', inputs of version 3. "
        "Its columns: x, y."
    )
