"""A driver that a test kills: scores a holdout of a bucket with slow models, of which one fails at first."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ame.diagnosis import Where
from ame.scoring import FetchedModel, open_spark_holdout, score_on_spark
from ame.scoring.spark import holdout
from ame.spark import SparkSettings, open_session


def main(models: str, bucket: str, master: str) -> None:
    holdout.PIECE_ROWS = 100
    pair = {
        name: FetchedModel(name, Path(models) / name, (), (), None) for name in ("champion", "challenger")
    }
    conf = {"spark.driver.memory": "1g", "spark.executor.memory": "512m"}
    settings = SparkSettings(master=master, conf=tuple(conf.items()))
    with open_session(settings) as spark:
        print("open", flush=True)
        scored = score_on_spark(
            spark,
            open_spark_holdout(f"{bucket}/holdout", "h", Where("ame.yml", 1, 1)),
            pair,
            features=dict.fromkeys(pair, ("x",)),
            columns=("late",),
            row="row",
            output=f"{bucket}/scores",
            on_line=lambda line: print(line, flush=True),
        )
    print(json.dumps([scored.folder, scored.rows, list(scored.files)]), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
