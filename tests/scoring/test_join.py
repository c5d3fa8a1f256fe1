"""Labels and scores in one table, row by row."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ame.diagnosis import Refused, Where
from ame.scoring import join_scores, open_holdout

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
    assert table["row"].to_pylist() == table["day"].to_pylist() == list(range(3501))
    assert table["champion"].to_pylist() == [float(n) for n in range(3501)]
    assert table["challenger"].to_pylist() == [float(n) for n in range(3501, 7002)]
    assert table["late"].to_pylist() == [n % 2 for n in range(3501)]


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
from ame.scoring import join_scores, open_holdout
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
