"""Tables of scores with a known truth, after section F of the calibration protocol: each model's score is
mu * label + sqrt(rho) * shared noise + sqrt(1 - rho) * own noise, turned into the true probability."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pytest

from ame.gate import ABTest, MetricResult
from ame.gate.table import ScoredRows, open_scores

Simulate: TypeAlias = Callable[..., ScoredRows]
Table: TypeAlias = Callable[[ScoredRows], pa.Table]
Measured: TypeAlias = Callable[[ABTest, ScoredRows], Mapping[str, MetricResult]]


def _probability(score: np.ndarray, mu: float, share: float) -> np.ndarray:
    return 1 / (1 + np.exp(-(mu * score - mu * mu / 2 + np.log(share / (1 - share)))))


def _simulate(
    draw: np.random.Generator,
    n: int,
    *,
    share: float = 0.3,
    mu: float = 1.0,
    gain: float = 0.0,
    rho: float = 0.8,
    grid: float = 0.0,
    entities: int = 0,
    icc: float = 0.6,
) -> ScoredRows:
    """`gain` is what the challenger's mu has more; with `gain=0` every metric's null is exactly true."""
    entity = draw.permutation(np.arange(n) % entities) if entities else None

    def noise() -> np.ndarray:
        own = draw.normal(size=n)
        if entity is None:
            return own
        return np.sqrt(icc) * draw.normal(size=entities)[entity] + np.sqrt(1 - icc) * own

    latent = noise()
    label = latent > np.quantile(latent, 1 - share) if entity is None else latent > _upper(share)
    shared = noise()
    scores = []
    for strength in (mu, mu + gain):
        score = strength * label + np.sqrt(rho) * shared + np.sqrt(1 - rho) * noise()
        if grid:
            score = np.round(score / grid) * grid
        scores.append(_probability(score, strength, share))
    return ScoredRows(label, *scores, None if entity is None else entity.astype(np.uint64))


def _upper(share: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(1 - share))


@pytest.fixture
def simulate() -> Simulate:
    return _simulate


def _table(rows: ScoredRows) -> pa.Table:
    columns = {"late": rows.label, "champion": rows.champion, "challenger": rows.challenger}
    columns |= rows.slices
    return pa.table(columns if rows.entity is None else {**columns, "tail": rows.entity})


@pytest.fixture
def table() -> Table:
    return _table


@pytest.fixture
def measured() -> Measured:
    """Every metric of the configuration on rows, without the checks and the decision."""
    from ame.gate.engines.local import measure
    from ame.gate.estimates import metric_results

    def make(config: ABTest, rows: ScoredRows) -> Mapping[str, MetricResult]:
        return metric_results(config, measure(config, open_scores(config, _table(rows)), None).total)

    return make
