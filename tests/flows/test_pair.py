"""By what a decision is known again: the digest of the gate, and the key."""

from __future__ import annotations

import hashlib
import json
from types import SimpleNamespace
from typing import Any

from ame.diagnosis import Where
from ame.gate.config import ABTest, Margin
from ame.spark.settings import SparkSettings
from ame.spec import AbTestSection
from flows._pair import Pair, gate_settings


def pair(gate: ABTest, **section: Any) -> Pair:
    versions = (SimpleNamespace(model="m", number=n, source=f"models:/m-{n}") for n in ("2", "1"))
    return Pair(*versions, AbTestSection(gate=gate, where=Where("ame.yml"), data_path="h.csv", **section))  # type: ignore[arg-type]


def test_a_gate_of_the_first_release_has_the_same_digest() -> None:
    """A decision that an older ame-flows has recorded is found again after an upgrade."""
    gate = {
        "label": "late",
        "primary": {"metric": "roc_auc", "margin": 0.002},
        "guardrails": [{"metric": "log_loss", "margin": 0.005}],
        "metrics": ["brier"],
        "entity": "tailnum",
        "alpha": 0.05,
        "power": 0.8,
        "threshold": 0.5,
        "min_positives": 20,
    }
    old = [gate, [["origin"], "model"]]
    now = pair(
        ABTest(
            label="late",
            primary=Margin("roc_auc", 0.002),
            guardrails=(Margin("log_loss", 0.005),),
            metrics=("brier",),
            entity="tailnum",
        ),
        features=("origin",),
    )
    assert now.gate_digest == hashlib.sha256(json.dumps(old, sort_keys=True).encode()).hexdigest()
    key = ["m", ["2", "models:/m-2"], ["1", "models:/m-1"], *old, "digest of the rows"]
    expected = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    assert now.key(SimpleNamespace(digest="digest of the rows")) == expected  # type: ignore[arg-type]


def test_every_setting_that_can_change_a_decision_is_in_the_digest() -> None:
    first = ABTest(label="y")
    changed = [
        ABTest(label="y", task="regression"),
        ABTest(label="y", slices=("a",)),
        ABTest(label="y", slices=("a",), slice_margin=0.1),
        ABTest(label="y", looks=30),
        ABTest(label="y", row="id"),
        ABTest(label="y", time="day"),
        ABTest(label="y", max_duplicates=0.5),
        ABTest(label="y", max_overlap=0.5),
        ABTest(label="y", min_slice_rows=10),
        ABTest(label="y", quantile=0.9),
        ABTest(label="y", task="multiclass", classes=("a", "b")),
        ABTest(label="y", task="multiclass", classes=("b", "a")),
    ]
    digests = {pair(gate).gate_digest for gate in (first, *changed)}
    digests |= {pair(first, training_path="t.csv").gate_digest, pair(first, features=("a",)).gate_digest}
    digests |= {pair(first, training_uri="s3://bucket/t").gate_digest}
    assert len(digests) == len(changed) + 4


def test_where_numbers_and_scores_are_computed_is_not_in_the_digest() -> None:
    """The same ones come out."""
    gate = ABTest(label="y")
    elsewhere: list[dict[str, Any]] = [
        {"engine": "local"},
        {"engine": "spark", "scoring_engine": "local"},
        {"spark": SparkSettings(master="k8s", executors=4)},
    ]
    assert {pair(gate, **each).gate_digest for each in elsewhere} == {pair(gate).gate_digest}


def test_settings_are_called_as_in_the_file() -> None:
    settings = gate_settings(ABTest(label="y", slices=("a",), primary=Margin("brier", 0.1), looks=3))
    assert settings["sliceMargin"] == 0.0
    assert settings["minSlicePositives"] == 20
    assert settings["sampleRatioAlpha"] == 0.001
    assert settings["primary"] == {"metric": "brier", "margin": 0.1}
    assert len(settings) == len(ABTest.__dataclass_fields__)
    json.dumps(settings, allow_nan=False)
