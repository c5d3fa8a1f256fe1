"""A test on Spark whose tasks fail the first time: some raise, and one takes its process with it.

Run as a program with the data and an empty folder; it prints the result as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from ame.gate.pieces import Piece


@dataclass(frozen=True)
class FlakyPiece:
    """A piece that is not read the first time.

    Attributes:
        mark: a file that is there once somebody has tried.
        deadly: whether the process that tries ends.
    """

    piece: Piece
    mark: Path
    deadly: bool

    @property
    def rows(self) -> int | None:
        return self.piece.rows

    def read(self) -> Iterator[pa.RecordBatch]:
        if not self.mark.exists() and os.environ.get("FLAKY_DRIVER") != str(os.getpid()):
            self.mark.touch()
            if self.deadly:
                os._exit(3)
            raise OSError("the disk was lost")
        yield from self.piece.read()


def main(data: str, folder: str) -> None:
    from ame.gate import run_ab_test
    from ame.gate.batches import Batches
    from ame.gate.engines import binned, spark_tables
    from ame.gate.engines import spark as engine
    from ame.spark import SparkSettings
    from tests.spark.tables import config

    os.environ["FLAKY_DRIVER"] = str(os.getpid())
    whole = Batches.pieces

    def pieces(self: Batches, rows: int = 1500) -> tuple[Any, ...]:
        found = enumerate(whole(self, rows))
        return tuple(
            FlakyPiece(each, Path(folder, f"piece-{n}"), n == 1) if n < 4 else each for n, each in found
        )

    Batches.pieces = pieces  # type: ignore[method-assign]
    spark_tables.PIECE_ROWS = spark_tables._TASK_ROWS = 1500
    engine._FAN_IN = 2
    binned.PILOT = engine.PILOT = 4000
    binned._BITS = binned._SLICE_BITS = 16
    engine.measure.__kwdefaults__["exact_rows"] = 0
    settings = SparkSettings(master="local[2,5]", conf=(("spark.driver.memory", "1g"),))
    print(json.dumps(run_ab_test(config(), data, engine="spark", spark=settings).to_json()))


if __name__ == "__main__":
    # The class must have the name under which tasks find it.
    from tests.spark import flaky

    flaky.main(*sys.argv[1:])
