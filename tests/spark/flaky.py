"""A test on Spark whose tasks fail the first time, in both readings: some raise, and one dies.

Run as a program with the data, an empty folder and a master; it prints the result as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa

from ame.gate.pieces import Piece


@dataclass(frozen=True)
class FlakyPiece:
    """A piece that is not read the first time.

    Attributes:
        marks: a folder with a file for each try that failed, and one from the second reading on.
        deadly: whether what tries dies: the executor, or on one machine the Python process of the task.
    """

    piece: Piece
    number: int
    marks: Path
    deadly: bool

    @property
    def rows(self) -> int | None:
        return self.piece.rows

    def read(self) -> Iterator[pa.RecordBatch]:
        reading = "second" if (self.marks / SECOND).exists() else "first"
        mark = self.marks / f"{reading} {self.number}"
        if not mark.exists() and os.environ.get("FLAKY_DRIVER") != str(os.getpid()):
            mark.touch()
            if self.deadly:
                _die(mark)
            raise OSError("the disk was lost")
        yield from self.piece.read()


SECOND = "the second reading"


def _die(mark: Path) -> None:
    for parent in psutil.Process().parents():
        if any("CoarseGrainedExecutorBackend" in word for word in parent.cmdline()):
            mark.write_text("an executor died")
            parent.kill()
    os._exit(3)


def main(data: str, folder: str, master: str) -> None:
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
        return tuple(FlakyPiece(each, n, Path(folder), deadly=n == 1) if n < 4 else each for n, each in found)

    merged = engine._Engine._merged

    def noted(self: Any, words: str, work: Any, until: float) -> Any:
        if words == "comparing the models":
            Path(folder, SECOND).touch()
        return merged(self, words, work, until)

    engine._Engine._merged = noted  # type: ignore[method-assign]

    Batches.pieces = pieces  # type: ignore[method-assign]
    spark_tables.PIECE_ROWS = spark_tables._TASK_ROWS = 1500
    engine._FAN_IN = 2
    binned.PILOT = engine.PILOT = 4000
    binned._BITS = binned._SLICE_BITS = 16
    engine.measure.__kwdefaults__["exact_rows"] = 0
    root = str(Path(__file__).parents[2])
    conf = {
        "spark.driver.memory": "1g",
        "spark.executor.memory": "512m",
        "spark.executorEnv.PYTHONPATH": root,
    }
    settings = SparkSettings(master=master, conf=tuple(conf.items()))
    print(json.dumps(run_ab_test(config(), data, engine="spark", spark=settings).to_json()))


if __name__ == "__main__":
    # The class must have the name under which tasks find it.
    from tests.spark import flaky

    flaky.main(*sys.argv[1:])
