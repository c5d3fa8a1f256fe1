"""Tables of scores for the tests of Spark's engine, and what it means that two results are equal."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ame.gate import ABTest, Margin
from ame.gate.summary import Summary
from ame.gate.table import Source, open_scores

N = 16_000
METRICS = {
    "binary": ("roc_auc", "average_precision", "log_loss", "brier", "accuracy", "f1", "precision", "recall"),
    "multiclass": ("log_loss", "roc_auc_ovr", "f1_macro", "accuracy"),
    "regression": ("mae", "mse", "rmse", "r2", "pinball"),
}


def config(task: str = "binary", **more: Any) -> ABTest:
    names = METRICS[task]
    first = more.pop("primary", names[0])
    columns: dict[str, Any] = {"entity": "tail", "row": "row", "time": "day", "slices": ("city", "hour")}
    return ABTest(
        label="late",
        task=task,
        primary=Margin(first),
        metrics=names,
        min_slice_positives=20,
        **{**columns, **more},
    )


def scores(task: str = "binary", n: int = N, *, digits: int | None = None, seed: int = 1) -> pa.Table:
    draw = np.random.default_rng(seed)
    if task == "binary":
        label: Any = draw.random(n) < 0.2
        shared = draw.normal(size=n)
        both: list[Any] = [
            1 / (1 + np.exp(1 - shared - 0.4 * draw.normal(size=n) - gain * label)) for gain in (1.0, 1.1)
        ]
        both = both if digits is None else [each.round(digits) for each in both]
    elif task == "multiclass":
        label = draw.integers(0, 3, n)
        both = []
        for gain in (0.5, 0.6):
            score = draw.gamma(1.0, size=(n, 3))
            score[np.arange(n), label] += gain
            both.append(list(score / score.sum(axis=1, keepdims=True)))
    else:
        label = draw.normal(50.0, 5.0, n)
        both = [label + draw.normal(0.1, 2.0, n), label + draw.normal(0.0, 1.9, n)]
    return pa.table(
        {
            "late": label,
            "champion": both[0],
            "challenger": both[1],
            "tail": [f"N{code}" for code in draw.integers(0, 900, n)],
            "row": np.arange(n),
            "day": np.datetime64("2026-10-01") + draw.integers(0, 31, n),
            # The values come in another order in the later rows than in the first ones.
            "city": np.where(
                np.arange(n) < n // 3,
                draw.choice(["rome", "oslo"], n),
                draw.choice(["bern", "lima", "oslo", "rome"], n, p=[0.1, 0.4, 0.1, 0.4]),
            ),
            "hour": draw.integers(0, 20, n).astype(str),
            "unused": draw.random(n),
        }
    )


def written(table: pa.Table, folder: Path, *, files: int = 1, groups: int = 4000, seed: int = 0) -> Path:
    """A folder of so many files, cut at random."""
    folder.mkdir(parents=True)
    cuts = np.random.default_rng(seed).integers(0, table.num_rows + 1, files - 1)
    ends = [0, *sorted(cuts.tolist()), table.num_rows]
    for number, (start, end) in enumerate(itertools.pairwise(ends)):
        pq.write_table(
            table.slice(start, end - start), folder / f"part-{number:03}.parquet", row_group_size=groups
        )
    return folder


def measured(asked: ABTest, data: Any, how: Callable[..., Summary], **more: Any) -> tuple[Summary, Source]:
    source = open_scores(asked, data)
    return how(asked, source, **more), source


def assert_equal(found: Any, wanted: Any, path: str = "") -> None:
    """Whole numbers and texts exactly, others to 1e-9, through everything that a result is made of."""
    if dataclasses.is_dataclass(wanted):
        for field in dataclasses.fields(wanted):
            if field.name != "engine":
                assert_equal(getattr(found, field.name), getattr(wanted, field.name), f"{path}.{field.name}")
    elif isinstance(wanted, Mapping):
        assert list(found) == list(wanted), path
        for key in wanted:
            assert_equal(found[key], wanted[key], f"{path}[{key}]")
    elif isinstance(wanted, list | tuple):
        assert len(found) == len(wanted), path
        for place, (mine, theirs) in enumerate(zip(found, wanted, strict=True)):
            assert_equal(mine, theirs, f"{path}[{place}]")
    elif isinstance(wanted, np.ndarray):
        assert found.shape == wanted.shape, path
        if wanted.dtype.kind in "iub":
            assert np.array_equal(found, wanted), path
        else:
            scale = float(np.abs(wanted).max(initial=0.0)) or 1.0
            np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9 * scale, err_msg=path)
    elif isinstance(wanted, float):
        assert found == pytest.approx(wanted, rel=1e-9, abs=1e-12, nan_ok=True), path
    else:
        assert found == wanted, path


def assert_same_tally(found: Source, wanted: Source) -> None:
    mine, theirs = found.tally, wanted.tally
    assert mine.sketch.hashes == theirs.sketch.hashes
    assert (mine.sketch.sampled, mine.sketch.repeated) == (theirs.sketch.sampled, theirs.sketch.repeated)
    for name in ("repeats", "answers"):
        assert getattr(mine, name).rows() == getattr(theirs, name).rows()
        assert getattr(mine, name).is_exact == getattr(theirs, name).is_exact
    for field in dataclasses.fields(theirs):
        if field.name not in {"sketch", "repeats", "answers"}:
            assert_equal(getattr(mine, field.name), getattr(theirs, field.name), field.name)
