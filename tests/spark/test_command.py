"""`ame ab-test` on scores in a bucket whose columns have names of their own, with either engine."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

from ame.places import place_of

AME = Path(sys.executable).with_name("ame")


@pytest.fixture
def lake(s3: Callable[[str], str]) -> str:
    """`scores` in two files, and the rows of a `history` before them."""
    draw = np.random.default_rng(3)
    rows = 4000
    late = draw.random(rows) < 0.3
    seen = late + draw.normal(size=rows)
    table = pa.table(
        {
            "late": late.astype(int),
            "v6": 1 / (1 + np.exp(1.5 - 0.5 * seen - 0.7 * draw.normal(size=rows))),
            "v7": 1 / (1 + np.exp(1.5 - seen)),
            "champion": draw.choice(["Ali", "Frazier"], rows),
            "tail": draw.integers(0, 400, rows),
            "id": np.arange(rows),
        }
    )
    uri = s3("lake")
    system: pafs.FileSystem = place_of(uri).system()
    for number in range(2):
        pq.write_table(table.slice(2000 * number, 2000), f"lake/scores/{number}.parquet", filesystem=system)
    before = table.select(["late", "tail", "id"]).set_column(2, "id", pa.array(np.arange(rows) + rows))
    pq.write_table(before, "lake/history/0.parquet", filesystem=system)
    return uri


def test_both_engines_tell_the_same_of_renamed_columns_in_a_bucket(lake: str) -> None:
    """In processes of their own: tasks have the environment of their session."""
    options = ["--label", "late", "--champion", "v6", "--challenger", "v7", "--slice", "champion"]
    options += ["--entity", "tail", "--row", "id", "--training", f"{lake}/history", "--json"]

    def told(engine: str) -> Any:
        ran = subprocess.run(
            [AME, "ab-test", f"{lake}/scores", *options, "--engine", engine],
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    here, there = told("local"), told("spark")

    assert (here["engine"], there["engine"]) == ("local exact", "spark exact")
    assert here["decision"] == there["decision"] == "promote"
    for number in ("champion", "challenger", "difference", "stdError", "lowerBound", "mde"):
        numbers = [each["metrics"]["roc_auc"][number] for each in (here, there)]
        assert numbers[0] == pytest.approx(numbers[1], rel=1e-9), number
    assert [each["value"] for each in here["slices"]] == [each["value"] for each in there["slices"]]
