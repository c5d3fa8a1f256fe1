"""Models as MLflow logs them, in a folder, and rows to score."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

Rows = pd.DataFrame


@pytest.fixture(scope="session")
def rows() -> Rows:
    """Rows with a text, a number and a label that depends on both."""
    random = np.random.default_rng(3)
    place = random.choice(["EWR", "JFK", "LGA"], 500)
    hour = random.normal(12, 4, 500)
    late = (hour + 4 * (place == "EWR") + random.normal(0, 3, 500) > 14).astype(int)
    return pd.DataFrame({"place": place, "hour": hour, "late": late})


@pytest.fixture(scope="session")
def classifier(rows: Rows) -> Any:
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    columns = make_column_transformer((OneHotEncoder(), ["place"]), remainder="passthrough")
    return make_pipeline(columns, LogisticRegression()).fit(rows[["place", "hour"]], rows["late"])


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    """Save a scikit-learn model as MLflow does, with requirements that nobody has to guess."""

    def save(model: Any, **options: Any) -> Path:
        import mlflow.sklearn

        options = {
            "pip_requirements": ["mlflow"],
            "serialization_format": mlflow.sklearn.SERIALIZATION_FORMAT_CLOUDPICKLE,
            **options,
        }
        mlflow.sklearn.save_model(model, str(tmp_path / "model"), **options)
        return tmp_path / "model"

    return save
