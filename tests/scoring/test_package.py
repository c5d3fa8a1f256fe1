"""What the package offers, and what of it an executor of Spark can import."""

from __future__ import annotations

import subprocess
import sys

import pytest

import ame.scoring


def test_the_package_offers_what_it_names() -> None:
    assert sorted(ame.scoring.__all__) == sorted(ame.scoring._HOMES)
    assert all(getattr(ame.scoring, name) is not None for name in ame.scoring.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'absent'"):
        _ = ame.scoring.absent


def test_an_executor_needs_numpy_and_pyarrow_to_score() -> None:
    code = (
        "import sys; absent = ('mlflow', 'prefect', 'pyspark', 'yaml', 'fsspec', 'psutil', 'pydantic', 'scipy'); "
        "sys.modules.update(dict.fromkeys(absent)); "
        "import ame.scoring.spark.tasks"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
