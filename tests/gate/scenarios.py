"""Champions and challengers whose truth is known, and what must hold of the gate over many of them.

Each model's score is mu * label + sqrt(rho) * shared noise + sqrt(1 - rho) * own noise, turned into the true
probability. Without a gain both models have the same law given the label, so that no metric can be better
for either. The tests run some hundred trials a scenario, `make calibrate` thousands, and the mutation tests
ask whether the same checks would notice a wrong gate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
import pyarrow as pa
from scipy.special import bdtr, ndtr

from ame.gate.config import METRICS_OF, ABTest, Margin, Task
from ame.gate.engines import binned
from ame.gate.engines.coding import MIN_BITS
from ame.gate.engines.local import EXACT_ROWS, measure
from ame.gate.estimates import metric_results
from tests.gate.sources import ArraySource

#: Of each scenario, in the tests.
TRIALS = 300

#: A sound gate is out of the bounds on one side of one number in so many runs.
TAIL = 1 / 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """How rows are drawn, and how they are tested.

    Attributes:
        rows: of one trial.
        task: of the models.
        share: of positive rows; the threshold, too.
        gain: what the challenger's mu has more; of a regression, the part of the noise that it has less.
        rho: how alike the models' scores are, 0 to 1.
        grid: scores are rounded to multiples of it, 0 for not at all.
        broken: only the champion's scores are rounded; the challenger's have the same grid, and its ties are
            broken at random.
        entities: which share a part `icc` of every noise and of what the label hangs on; 0 for none.
        ignored: the test is not told of the entities.
        binned: the engine for more rows than are kept.
        alpha: the one-sided level.
        few: so few rows decide that tests are conservative and errors rough, which Student's t makes up for:
            rates are held to their upper bounds only.
        metrics: by default all of the task.
    """

    rows: int = 2000
    task: Task = "binary"
    share: float = 0.3
    gain: float = 0.0
    rho: float = 0.8
    grid: float = 0.0
    broken: bool = False
    entities: int = 0
    icc: float = 0.6
    ignored: bool = False
    binned: bool = False
    alpha: float = 0.05
    few: bool = False
    metrics: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return self.metrics or METRICS_OF[self.task]

    @property
    def config(self) -> ABTest:
        entity = "entity" if self.entities and not self.ignored else None
        first = Margin(self.names[0])
        return ABTest(
            label="label",
            task=self.task,
            primary=first,
            metrics=self.names,
            entity=entity,
            alpha=self.alpha,
            threshold=self.share,
            quantile=0.7,
        )


SCENARIOS: Mapping[str, Scenario] = {
    "30 % positive, rho .8": Scenario(),
    "alpha .2": Scenario(alpha=0.2),
    "nearly the same model, rho .99": Scenario(rho=0.99, few=True),
    "ties, grid .5": Scenario(grid=0.5),
    "one model's ties broken at random": Scenario(grid=1.0, broken=True, metrics=("roc_auc",)),
    "20 positive rows": Scenario(share=0.01, few=True),
    "60 positive rows": Scenario(share=0.03, few=True),
    "100 entities of 20 rows": Scenario(entities=100),
    "1,000 entities in 1,024 buckets": Scenario(rows=4000, entities=1000, binned=True),
    "bins": Scenario(binned=True),
    "three classes": Scenario(task="multiclass", rows=1500),
    "three classes, 100 entities": Scenario(task="multiclass", rows=1500, entities=100),
    "a number, t noise": Scenario(task="regression", rows=1000),
    "a number, 100 entities": Scenario(task="regression", rows=1000, entities=100),
}

#: By how much the challenger is better here, some metrics find often and some seldom.
BETTER: Mapping[str, Scenario] = {
    "better by a tenth of mu": Scenario(gain=0.1),
    "three classes, better by a tenth of mu": Scenario(task="multiclass", rows=1500, gain=0.1),
    "a number, 5 % less noise": Scenario(task="regression", rows=1000, gain=0.05),
}

#: What naming the entity protects from.
IGNORED = Scenario(entities=100, ignored=True)


Noise = Callable[..., np.ndarray]


class Rows(NamedTuple):
    """Drawn rows; `entity` is None without entities."""

    label: np.ndarray
    champion: np.ndarray
    challenger: np.ndarray
    entity: np.ndarray | None

    def table(self, **more: object) -> pa.Table:
        columns = {"label": self.label, "champion": self.champion, "challenger": self.challenger}
        if self.entity is not None:
            columns["entity"] = self.entity
        if self.champion.ndim == 2:
            columns |= {name: list(columns[name]) for name in ("champion", "challenger")}
        return pa.table({**columns, **more})


def draw_rows(draw: np.random.Generator, scenario: Scenario) -> Rows:
    n = scenario.rows
    entity = draw.permutation(np.arange(n) % scenario.entities) if scenario.entities else None

    def noise(*shape: int) -> np.ndarray:
        own = draw.normal(size=(n, *shape))
        if entity is None:
            return own
        common = draw.normal(size=(scenario.entities, *shape))[entity]
        return np.sqrt(scenario.icc) * common + np.sqrt(1 - scenario.icc) * own

    kinds = {"binary": _binary, "multiclass": _multiclass, "regression": _regression}
    hashed = (
        None if entity is None else entity.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(7)
    )
    return Rows(*kinds[scenario.task](draw, scenario, noise), hashed)


def _binary(draw: np.random.Generator, scenario: Scenario, noise: Noise) -> tuple[np.ndarray, ...]:
    label = ndtr(noise()) > 1 - scenario.share
    shared = np.sqrt(scenario.rho) * noise()
    scores = []
    for mu in (1.0, 1.0 + scenario.gain):
        score = mu * label + shared + np.sqrt(1 - scenario.rho) * noise()
        if scenario.grid:
            score = np.round(score / scenario.grid) * scenario.grid
            if scenario.broken and scores:
                score += draw.uniform(-0.4, 0.4, score.size) * scenario.grid
        scores.append(
            1 / (1 + np.exp(-(mu * score - mu * mu / 2) - np.log(scenario.share / (1 - scenario.share))))
        )
    return label, *scores


def _multiclass(draw: np.random.Generator, scenario: Scenario, noise: Noise) -> tuple[np.ndarray, ...]:
    shares = np.array([0.5, 0.3, 0.2])
    label = np.searchsorted(np.cumsum(shares)[:-1], ndtr(noise())).astype(np.int32)
    shared = np.sqrt(scenario.rho) * noise(3)
    scores = []
    for mu in (1.0, 1.0 + scenario.gain):
        logit = mu * np.eye(3)[label] + shared + np.sqrt(1 - scenario.rho) * noise(3)
        odds = shares * np.exp(mu * logit)
        scores.append(odds / odds.sum(axis=1, keepdims=True))
    return label, *scores


def _regression(draw: np.random.Generator, scenario: Scenario, noise: Noise) -> tuple[np.ndarray, ...]:
    known = noise()
    label = known + 0.5 * noise() + 0.5 * draw.standard_t(4, scenario.rows)
    shared = np.sqrt(scenario.rho) * noise()
    own = np.sqrt(1 - scenario.rho)
    return (
        label,
        known + 0.5 * (shared + own * noise()),
        known + 0.5 * (1 - scenario.gain) * (shared + own * noise()),
    )


@dataclass(frozen=True, slots=True)
class Estimates:
    """What one metric's test said, each an array of shape (trials,); NaN where it has no value."""

    difference: np.ndarray
    std_error: np.ndarray
    p_value: np.ndarray
    lower_bound: np.ndarray
    low: np.ndarray
    high: np.ndarray


def simulate(scenario: Scenario, trials: int, seed: int = 20261121) -> dict[str, Estimates]:
    """Every metric over many trials, by the engine and the tests of the gate."""
    draw = np.random.default_rng(seed)
    config, most = scenario.config, 0 if scenario.binned else EXACT_ROWS
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in scenario.names}
    # A million bins for a thousand rows would take a hundred times as long and have no ties to get wrong.
    with patch.object(binned, "_BITS", MIN_BITS):
        for _ in range(trials):
            rows = draw_rows(draw, scenario)
            entity = None if config.entity is None else rows.entity
            source = ArraySource(rows.label, rows.champion, rows.challenger, entity=entity)
            total = measure(config, source, exact_rows=most).total
            for name, result in metric_results(config, total).items():
                estimate = result.difference, result.std_error, result.p_value
                found[name].append((*estimate, result.lower_bound, *result.interval))
    return {name: Estimates(*np.array(each).T) for name, each in found.items()}


@dataclass(frozen=True, slots=True)
class Cell:
    """One number that a simulation has shown, and where it must lie; `expected` where theory names it."""

    metric: str
    what: str
    value: float
    least: float
    most: float
    expected: float = np.nan

    @property
    def holds(self) -> bool:
        return self.least <= self.value <= self.most

    def __str__(self) -> str:
        return f"{self.metric}: {self.what} {self.value:.4f}, not in [{self.least:.4f}, {self.most:.4f}]"


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where the share of successes in so many trials lies but for a probability of `tail` on each side."""

    trials: int
    tail: float = TAIL

    def of(self, probability: float) -> tuple[float, float]:
        upto = bdtr(np.arange(self.trials + 1), self.trials, probability)
        least = int(np.searchsorted(upto, self.tail, side="right"))
        most = int(np.searchsorted(upto, 1 - self.tail))
        return least / self.trials, most / self.trials


def size_cells(scenario: Scenario, found: Mapping[str, Estimates]) -> Iterator[Cell]:
    """Of equal models: rejections, promotions, intervals that hold no difference, and the errors' size."""
    for metric, each in found.items():
        bounds = Bounds(each.p_value.size)
        spread = each.difference[np.isfinite(each.difference)].std(ddof=1)
        # Where bins share scores the bounds of a ranking are wider by what that may have moved.
        wider = scenario.binned and metric in {"roc_auc", "average_precision"}
        for what, rate, nominal, loose in (
            ("rejected", each.p_value < 0.05, 0.05, scenario.few),
            ("promoted", each.lower_bound > 0, scenario.alpha, scenario.few or wider),
            ("outside", (each.low > 0) | (each.high < 0), 0.05, scenario.few or wider),
        ):
            least, most = bounds.of(nominal)
            yield Cell(metric, what, float(np.mean(rate)), 0.0 if loose else least, most)
        # A standard deviation of T numbers has the relative error sqrt((kurtosis - 1) / 4T), kurtosis 3 to 5.
        error = 0.02 + 3.9 * np.sqrt(0.75 / each.p_value.size)
        least, most = (0.8, np.inf) if scenario.few else (1 - error, 1 + error)
        yield Cell(metric, "error ratio", float(np.nanmean(each.std_error) / spread), least, most)


def power_cells(found: Mapping[str, Estimates]) -> Iterator[Cell]:
    """Of a better challenger: the sign, coverage, and rejections as often as Phi(D / SE - z) says."""
    for metric, each in found.items():
        bounds = Bounds(each.p_value.size)
        true, error = each.difference.mean(), each.std_error.mean()
        yield Cell(metric, "better in standard errors", float(true / error), 0.0, np.inf)
        inside = np.mean((each.low <= true) & (true <= each.high))
        yield Cell(metric, "covered", float(inside), bounds.of(0.94)[0], bounds.of(0.96)[1])
        power = float(ndtr(abs(true) / error - 1.959964))
        rejected = float(np.mean(each.p_value < 0.05))
        least, most = bounds.of(power - 0.02)[0], bounds.of(min(1.0, power + 0.02))[1]
        yield Cell(metric, "power", rejected, least, most, expected=power)


def failing(cells: Iterator[Cell]) -> list[str]:
    return [str(cell) for cell in cells if not cell.holds]
