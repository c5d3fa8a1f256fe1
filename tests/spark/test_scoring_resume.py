"""A driver is killed in the middle of scoring a bucket's holdout, and started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ame.places import place_of
from ame.scoring.spark.loading import LoadedModel

PROGRAM = Path(__file__).with_name("scoring_program.py")
ROOT = Path(__file__).parents[2]

#: A model whose rule stands in a module of its own, beside it.
LOADER = """
import os, time
import rule

class Model:
    def predict(self, frame):
        import rule as again
        time.sleep({seconds})
        if os.environ.get("FAILED_ONCE") and len(frame) == 100 and not os.path.exists(os.environ["FAILED_ONCE"]):
            open(os.environ["FAILED_ONCE"], "w").close()
            raise OSError("a passing fault")
        assert again is rule
        return rule.answer(frame["x"])

def _load_pyfunc(path):
    return Model()
"""

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    import mlflow.pyfunc

    for name, factor, seconds in (("champion", 2.0, 0.2), ("challenger", 3.0, 0.2)):
        code = tmp_path / f"code of {name}"
        code.mkdir()
        (code / "loader.py").write_text(LOADER.format(seconds=seconds))
        (code / "rule.py").write_text(f"def answer(x):\n    return x * {factor}\n")
        mlflow.pyfunc.save_model(
            tmp_path / "models" / name,
            loader_module="loader",
            code_paths=[str(code / "loader.py"), str(code / "rule.py")],
            pip_requirements=["mlflow"],
        )
    return tmp_path / "models"


@pytest.fixture
def bucket(s3: Callable[[str], str]) -> str:
    return f"{s3('transactions')}/fraud"


def test_two_versions_keep_their_own_code(models: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame({"x": [1.0, 2.0]})
    champion, challenger = (LoadedModel(str(models / name), "binary") for name in ("champion", "challenger"))
    for _ in range(2):
        assert champion.predict(frame).tolist() == [2.0, 4.0]
        assert challenger.predict(frame).tolist() == [3.0, 6.0]
    assert "rule" not in sys.modules


@pytest.fixture
def holdout(bucket: str) -> np.ndarray:
    """A bucket's 20 row groups, each a piece; returns their `x`."""
    place = place_of(bucket)
    x = np.arange(2000, dtype=float)
    for number, part in enumerate(np.split(x, 2)):
        table = pa.table({"x": part, "late": (part % 7 == 0).astype(int)})
        file = place.below(f"holdout/{number}.parquet")
        pq.write_table(table, file, filesystem=place.system(), row_group_size=100)
    return x


def test_a_killed_driver_goes_on_with_what_is_missing(
    models: Path, bucket: str, holdout: np.ndarray, tmp_path: Path
) -> None:
    """A task that fails on the way is made again and leaves one file."""
    command = [sys.executable, str(PROGRAM), str(models), bucket, "local[2,4]"]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "FAILED_ONCE": str(tmp_path / "once")}
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) as driver:
        try:
            until(lambda: len(parts(bucket)) >= 4, driver)
        finally:
            driver.send_signal(signal.SIGKILL)
    assert (tmp_path / "once").exists()
    ended = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=400, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    lines = ended.stdout.splitlines()
    assert any(" of 20 files of scores are there already" in line for line in lines), lines
    check(lines[-1], holdout)


def test_a_lost_executor_changes_no_number(
    bucket: str, models: Path, holdout: np.ndarray, standalone: Any
) -> None:
    """A cluster gets the models and our code from the driver; an executor is killed while it scores."""
    cluster = standalone(2)
    command = [sys.executable, str(PROGRAM), str(models), bucket, cluster.master]
    with subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True
    ) as driver:
        try:
            until(lambda: len(parts(bucket)) >= 4, driver)
            for executor in cluster.executors():
                executor.kill()
            told, _ = driver.communicate(timeout=400)
        finally:
            driver.kill()
    assert driver.returncode == 0
    check(told.splitlines()[-1], holdout)


def check(told: str, x: np.ndarray) -> None:
    """The scores of all rows stand once, in order."""
    folder, rows, files = json.loads(told)
    assert (rows, files) == (2000, [f"part-{number:05d}.parquet" for number in range(20)])
    place = place_of(folder)
    system = place.system()
    table = pa.concat_tables([pq.read_table(place.below(file), filesystem=system) for file in files])
    assert table["champion"].to_pylist() == (2 * x).tolist()
    assert table["challenger"].to_pylist() == (3 * x).tolist()
    assert table["late"].to_pylist() == (x % 7 == 0).astype(int).tolist()
    assert [Path(info.path).name for info in place.files(hidden=True)] == [
        "_SUCCESS.json",
        "_ame.json",
        *files,
    ]


def parts(bucket: str) -> list[str]:
    found = place_of(f"{bucket}/scores").files()
    return [info.path for info in found if "part-" in info.path]


def until(happens: Any, driver: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 400
    while not happens():
        assert driver.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
