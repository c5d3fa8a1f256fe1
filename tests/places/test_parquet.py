"""Row groups come in the order that is asked for, with all of the columns or not at all."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ame.places import Place, place_of, read_row_groups, with_spelled


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A file of ten row groups of ten rows."""
    row = pa.array(range(100))
    table = pa.table({"row": row, "city": pa.array(["lima", "oslo"] * 50)})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=10)
    return place_of(tmp_path / "a.parquet")


def test_row_groups_in_their_order(place: Place) -> None:
    batches = list(read_row_groups(place, place.path, ["row"], 7, groups=(2, 3, 9)))
    assert max(batch.num_rows for batch in batches) == 7
    assert [row for batch in batches for row in batch["row"].to_pylist()] == [*range(20, 40), *range(90, 100)]
    whole = pa.Table.from_batches(read_row_groups(place, place.path, ["row"], 7))
    assert whole["row"].to_pylist() == list(range(100))


def test_texts_come_as_dictionaries_where_these_are_wanted(place: Place) -> None:
    found = next(read_row_groups(place, place.path, ["row", "city"], 100, coded=("row", "city")))
    assert found.schema.field("row").type == pa.int64()
    assert pa.types.is_dictionary(found.schema.field("city").type)


def test_a_file_that_lacks_a_column_is_not_read(place: Place) -> None:
    with pytest.raises(pa.ArrowInvalid, match=re.escape(f"The file {place.path} has no column 'day'")):
        list(read_row_groups(place, place.path, ["row", "day"], 100))


def test_columns_that_are_spelled_have_one_value() -> None:
    schema = pa.schema([("day", pa.int32()), ("row", pa.int64()), ("why", pa.string())])
    batch = pa.record_batch({"row": pa.array([1, 2], pa.int16())})
    found = with_spelled(batch, {"day": 7, "why": None, "other": "unused"}, schema)
    assert found.schema == schema
    assert found.to_pydict() == {"day": [7, 7], "row": [1, 2], "why": [None, None]}
