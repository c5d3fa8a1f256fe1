"""A program that opens sessions, as a user's process does: what it leaves behind is looked at from outside."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from ame.spark import SparkSettings, open_session

SETTINGS = SparkSettings(
    master="local[1]",
    conf=(("spark.driver.memory", "600m"), ("spark.some.password", "hidden word: ü=\\ #!\n2")),
)


def facts(spark: Any) -> dict[str, Any]:
    context = spark.sparkContext
    return {
        "java": context._gateway.proc.pid,
        "version": context._jvm.java.lang.System.getProperty("java.specification.version"),
        "heap": context._jvm.java.lang.Runtime.getRuntime().maxMemory() >> 20,
        "password": spark.conf.get("spark.some.password"),
        "scratch": context._jvm.java.lang.System.getProperty("java.io.tmpdir"),
    }


def main() -> None:
    told: dict[str, Any] = {"handler kept": True}
    handler = signal.getsignal(signal.SIGINT)
    with open_session(SETTINGS) as spark:
        told["first"] = facts(spark)
        told["first"]["command"] = Path(f"/proc/{told['first']['java']}/cmdline").read_text().split("\0")
        told["handler kept"] = signal.getsignal(signal.SIGINT) is handler
        spark.range(10).write.parquet("file://" + str(Path(sys.argv[1]) / "rows"))
        read = spark.read.parquet("file://" + str(Path(sys.argv[1]) / "rows"))
        told["rows"] = sorted(row.id for row in read.mapInArrow(lambda batches: batches, "id long").collect())
        with open_session() as inner:
            told["same"] = inner is spark
        told["left open"] = spark.range(3).count()
    told["first ended"] = not Path(f"/proc/{told['first']['java']}").exists()
    with open_session(SparkSettings(conf=(("spark.driver.memory", "700m"), *SETTINGS.conf[1:]))) as spark:
        told["second"] = facts(spark)
        (Path(sys.argv[1]) / "told.json").write_text(json.dumps(told))
        os.kill(os.getpid(), signal.SIGKILL)


main()
