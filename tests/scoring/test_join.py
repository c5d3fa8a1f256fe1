"""Labels and scores in one table, row by row."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ame.diagnosis import Refused, Where
from ame.scoring import common_classes, join_scores, open_holdout, row_column, score_digests

WHERE = Where("ame.yml", 9, 7)


@pytest.fixture
def holdout(tmp_path: Path) -> Path:
    """Files and row groups of uneven sizes; `day` is the number of the row."""
    place, first = tmp_path / "holdout", 0
    place.mkdir()
    for number, size in enumerate((1000, 1, 0, 2500)):
        days = np.arange(first, first + size)
        table = pa.table({"day": days, "late": days % 2, "other": days})
        pq.write_table(table, place / f"{number}.parquet", row_group_size=333)
        first += size
    return place


def scores(file: Path, numbers: range, rows: int) -> Path:
    pq.write_table(pa.table({"score": [float(n) for n in numbers]}), file, row_group_size=rows)
    return file


def test_scores_stand_beside_their_rows(holdout: Path, tmp_path: Path) -> None:
    joined = join_scores(
        open_holdout(holdout, "h", WHERE),
        ["late", "day"],
        {
            "champion": scores(tmp_path / "a", range(3501), 100),
            "challenger": scores(tmp_path / "b", range(3501, 7002), 999),
        },
        tmp_path / "scores.parquet",
    )

    table = pq.read_table(tmp_path / "scores.parquet")
    assert joined == 3501
    assert table.schema.names == ["row", "late", "day", "champion", "challenger"]
    assert table["day"].to_pylist() == list(range(3501))
    assert table["champion"].to_pylist() == [float(n) for n in range(3501)]
    assert table["challenger"].to_pylist() == [float(n) for n in range(3501, 7002)]
    assert table["late"].to_pylist() == [n % 2 for n in range(3501)]


def hashes(table: dict[str, Any] | str, place: Path, **options: Any) -> list[int]:
    """The column of hashes of a holdout with one file, as it is joined."""
    place.mkdir()
    if isinstance(table, str):
        (place / "h.csv").write_text(table)
    else:
        pq.write_table(pa.table(table), place / "h.parquet")
    opened = open_holdout(place, "h", WHERE)
    rows = opened.dataset.count_rows()
    answers = {"champion": scores(place / "_a", range(rows), 10)}
    join_scores(opened, [], answers, place / "_joined", **options)
    found: list[int] = pq.read_table(place / "_joined")[options.get("row", "row")].to_pylist()
    return found


def test_a_row_has_the_same_hash_in_every_file(tmp_path: Path) -> None:
    first = hashes(
        {"day": [1, 2, 1, None], "place": ["a", "b", "a", "a"], "x": [0.5, 1.0, 0.5, 2.0]}, tmp_path / "1"
    )
    assert first[0] == first[2]
    assert len(set(first)) == 3
    other = {
        "x": pa.array([1.0, 0.5]),
        "place": pa.array(["b", "a"]).dictionary_encode(),
        "day": pa.array([2, 1], pa.int8()),
    }
    assert hashes(other, tmp_path / "2") == [first[1], first[0]]
    assert hashes("place,day,x\na,1,0.5\nb,2,1\n", tmp_path / "3") == first[:2]


def test_columns_of_every_kind_make_a_hash(tmp_path: Path) -> None:
    found = hashes(
        {
            "list": [[1, 2], [1, 3], None, [1, 2]],
            "struct": [{"a": 1}, {"a": 1}, {"a": 1}, {"a": 1}],
            "day": pa.array([0, 0, 0, 0], pa.date32()),
            "nothing": pa.nulls(4),
        },
        tmp_path / "1",
    )
    assert len(set(found)) == 3
    assert found[0] == found[3]
    assert 0 not in found


@pytest.mark.parametrize(
    ("columns", "name"), [([], "row"), (["row"], "row_hash"), (["row", "row_hash"], "row_hash_")]
)
def test_hashes_stand_beside_a_column_that_is_called_row(
    columns: list[str], name: str, tmp_path: Path
) -> None:
    assert row_column(columns) == name
    assert len(hashes({"row": [1, 1], "x": [1, 2]}, tmp_path / "1", row=name)) == 2


def test_without_a_name_there_are_no_hashes(holdout: Path, tmp_path: Path) -> None:
    answers = {"champion": scores(tmp_path / "a", range(3501), 100)}
    join_scores(open_holdout(holdout, "h", WHERE), ["day"], answers, tmp_path / "joined", row=None)
    assert pq.read_schema(tmp_path / "joined").names == ["day", "champion"]


def probabilities(file: Path, classes: list[Any] | None, width: int = 3, rows: int = 3501) -> Path:
    flat = pa.array(np.arange(width * rows, dtype=float))
    metadata = {"classes": json.dumps(classes)} if classes else None
    kind = pa.list_(pa.float64(), width)
    schema = pa.schema([("score", kind)], metadata=metadata)
    column = pa.FixedSizeListArray.from_arrays(flat, width)
    pq.write_table(pa.Table.from_arrays([column], schema=schema), file, row_group_size=100)
    return file


def test_probabilities_of_many_classes_are_joined_and_have_digests(holdout: Path, tmp_path: Path) -> None:
    both = {name: probabilities(tmp_path / name, ["a", "b", "c"]) for name in ("champion", "challenger")}
    assert common_classes(both) == ("a", "b", "c")
    join_scores(open_holdout(holdout, "h", WHERE), ["day"], both, tmp_path / "joined")
    table = pq.read_table(tmp_path / "joined")
    assert table["challenger"].to_pylist()[1000] == [3000.0, 3001.0, 3002.0]
    digests = score_digests(tmp_path / "joined", ["champion", "challenger"])
    assert digests["champion"] == digests["challenger"]
    assert digests["champion"] == hashlib.sha256(np.arange(3 * 3501, dtype="<f8").tobytes()).hexdigest()


def test_classes_without_names_are_those_of_the_other_model_or_numbers(tmp_path: Path) -> None:
    nameless = probabilities(tmp_path / "a", None)
    assert common_classes({"champion": nameless, "challenger": nameless}) == ()
    named = probabilities(tmp_path / "b", ["x", "y", "z"])
    assert common_classes({"champion": nameless, "challenger": named}) == ("x", "y", "z")


def test_models_of_different_classes_are_not_compared(tmp_path: Path) -> None:
    both = {
        "champion": probabilities(tmp_path / "a", ["x", "y", "z"]),
        "challenger": probabilities(tmp_path / "b", None, width=2),
    }
    with pytest.raises(Refused) as refused:
        common_classes(both)
    assert str(refused.value) == (
        "AME-E404 champion and challenger do not answer with the same classes. "
        "The champion tells 'x', 'y', 'z' and the challenger tells 2 classes without names. "
        "Train both on the same classes, or name their order in `classes` of the abTest."
    )


@pytest.mark.parametrize("answered", [0, 3500, 3502])
def test_a_holdout_that_changed_meanwhile_is_refused(holdout: Path, tmp_path: Path, answered: int) -> None:
    with pytest.raises(Refused) as refused:
        join_scores(
            open_holdout(holdout, "h", WHERE),
            ["late"],
            {
                "champion": scores(tmp_path / "a", range(3501), 100),
                "challenger": scores(tmp_path / "b", range(answered), 100),
            },
            tmp_path / "scores.parquet",
        )
    assert str(refused.value) == (
        "AME-E401 ame.yml:9:7 the holdout 'h' has changed while it was scored. "
        "It has other rows now than those that the models have answered. "
        "Leave the files alone while a command runs; then run it again."
    )


def test_many_rows_are_joined_in_little_memory(tmp_path: Path) -> None:
    """Labels, days and two scores of six million rows are 190 MB."""
    script = """
import resource, sys
from pathlib import Path
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
from ame.diagnosis import Where
from ame.scoring import common_classes, join_scores, open_holdout, row_column, score_digests
place = Path(sys.argv[1])
part = {name: np.zeros(100_000) for name in "ab"} | {"late": np.zeros(100_000), "day": np.arange(1e5)}
with pq.ParquetWriter(place / "h.parquet", pa.table(part).schema) as h, \\
     pq.ParquetWriter(place / "s.parquet", pa.schema([("score", pa.float64())])) as s:
    for _ in range(60):
        h.write_table(pa.table(part))
        s.write_table(pa.table({"score": part["day"]}))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
holdout = open_holdout(place / "h.parquet", "h", Where("x"))
scored = {"champion": place / "s.parquet", "challenger": place / "s.parquet"}
join_scores(holdout, ["late", "day"], scored, place / "joined.parquet")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert int(told) < 150
    assert pq.ParquetFile(tmp_path / "joined.parquet").metadata.num_rows == 6_000_000
