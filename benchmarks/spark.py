"""From how many rows on does Spark pay? Ratios of wall time, measured in this one run, as a markdown table.

    python benchmarks/spark.py                     # 1e6 to 1e7 rows, a few minutes
    python benchmarks/spark.py --rows 1e6 1e7 1e8  # 1e8 rows need 3 GB of disk

The same test as `benchmarks/gate.py full` has it (eight metrics, two slice columns of ten values, entities),
on a folder of parquet files: by the local engine, which has one thread, and by Spark with one core and with
two. A session is opened before the clock starts, and its own time is told; the memory is the driver's peak
above its imports, of the Python process alone. Each is a process of its own. `apart` is the largest relative
distance of a metric's numbers from the local engine's.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from gate import METRICS, kilobytes, scored_rows

from ame.gate.config import ABTest, Margin

#: Rows of one file.
ROWS_OF_A_FILE = 1 << 22
WAYS = {"local": None, "Spark, 1 core": "local[1]", "Spark, 2 cores": "local[2]"}


def write(folder: Path, rows: int) -> None:
    """Files of at most `ROWS_OF_A_FILE` rows, in row groups of 1,048,576."""
    for number, first in enumerate(range(0, rows, ROWS_OF_A_FILE)):
        writer = None
        for table in scored_rows(first, min(ROWS_OF_A_FILE, rows - first), rows):
            writer = writer or pq.ParquetWriter(folder / f"part-{number:05}.parquet", table.schema)
            writer.write_table(table)
        if writer is not None:
            writer.close()


def measure(folder: str, master: str | None) -> None:
    """One test in this process, told as JSON."""
    from ame.gate.ab_test import run_ab_test

    config = ABTest(
        label="late",
        primary=Margin("roc_auc"),
        metrics=METRICS,
        slices=("carrier", "origin"),
        entity="tail",
    )
    start = time.perf_counter()
    session = nullcontext()
    if master is not None:
        from ame.spark import SparkSettings, open_session

        session = open_session(SparkSettings(master=master), name="benchmark")  # type: ignore[assignment]
    with session:
        opened = time.perf_counter() - start
        before, start = kilobytes("VmRSS"), time.perf_counter()
        result = run_ab_test(config, folder, engine="local" if master is None else "spark")
        found = {
            "seconds": time.perf_counter() - start,
            "session": opened,
            "megabytes": (kilobytes("VmHWM") - before) / 1024,
            "engine": result.engine,
            "metrics": {
                name: [each.difference, each.std_error, each.champion]
                for name, each in result.metrics.items()
            },
        }
    print(json.dumps(found))


def rows_of_table(rows: int) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), rows)
        pa.default_memory_pool().release_unused()
        found = {}
        for way, master in WAYS.items():
            command = [
                sys.executable,
                __file__,
                "--folder",
                folder,
                *(["--master", master] if master else []),
            ]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found[way] = json.loads(done.stdout.splitlines()[-1])
    local = found["local"]
    for way, each in found.items():
        yield (
            f"{rows:,} | {way} | {each['engine']} | {each['session']:.1f} | {each['seconds']:.1f} | "
            f"{each['seconds'] / local['seconds']:.2f} | {each['megabytes']:.0f} MB | "
            f"{_apart(each['metrics'], local['metrics']):.0e}"
        )


def _apart(found: dict[str, list[float]], others: dict[str, list[float]]) -> float:
    """The largest relative distance of two engines' numbers."""
    return max(
        abs(a - b) / max(abs(b), 1e-300)
        for name in others
        for a, b in zip(found[name], others[name], strict=True)
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=float, nargs="*", default=[1e6, 1e7])
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    parser.add_argument("--master", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.folder:
        measure(arguments.folder, arguments.master)
        return
    header = "rows | way | engine | session, s | test, s | /local | driver's memory | apart"
    print(f"| {header} |\n|{'---|' * (header.count('|') + 1)}", flush=True)
    for rows in arguments.rows:
        for row in rows_of_table(int(rows)):
            print(f"| {row} |", flush=True)


if __name__ == "__main__":
    main()
