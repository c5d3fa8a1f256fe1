"""What would this gate decide if the truth were known? Its errors and its power, on one's own scores.

The stored scores of a test are taken as the population (`ame.gate.population`). From it many tests are
drawn, with models that are equal and with models that differ by a known amount, and each is put to the real
gate: reading, checks, metrics, decision. Beside it, on the same rows, stands the rule of many a pipeline:
each model scores its own random half of the rows, and the larger area under the ROC curve wins.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ame.diagnosis import Diagnosis, Refused
from ame.gate.config import ABTest
from ame.gate.inference import Estimate, rows_needed
from ame.gate.population import MODELS, Drawn, population
from ame.gate.result import ABTestResult, MetricResult
from ame.gate.simulation import Outcome, Rate, Simulation
from ame.gate.table import Scores, open_scores

__all__ = ["random_halves_promote", "simulate"]

Floats: TypeAlias = NDArray[np.float64]

#: Called with a few words and the share done, 0 to 1.
Progress: TypeAlias = Callable[[str, float], None]

#: Effects that are tried when none are named, in minimum detectable effects.
EFFECTS = (-1.0, 0.5, 1.0, 2.0)
#: Drawn tests whose mean square gives the standard error.
PILOTS = 5


def simulate(
    config: ABTest,
    data: Scores,
    *,
    rows: int | None = None,
    trials: int = 500,
    effects: Sequence[float] | None = None,
    seed: int = 0,
    decide: Callable[[pa.Table], str] | None = None,
    measure: Callable[[pa.Table], ABTestResult] | None = None,
    progress: Progress | None = None,
) -> Simulation:
    """How often this gate promotes when the models are equal, and when they differ by `effects`.

    `data` are the stored scores of a paired test: a table, a parquet file or a folder of them. Each drawn
    test has about `rows` rows (by default as many as are stored). `effects` are true differences of the
    primary metric, more being better for the challenger; one beyond what the stored answers allow becomes
    the largest possible. By default they are -1, 0.5, 1 and 2 times the minimum detectable effect.

    A share s of helped rows makes the true difference D(s), with D(-s) = -D(s) and D(0) = 0. It is computed
    at s = 1/2 and 1 without chance and a s + b s^3 in between: exact for means and for the area under the
    ROC curve (b = 0), within the fifth order of s for others.
    Whole entities are helped, which makes them differ and so the standard error grow with s; the minimum
    detectable effect and the rows needed are those of the error that goes with the difference.

    `decide` is the gate, by default `measure(...).decision`, and `measure` is by default `run_ab_test` with
    this configuration, without a ledger, the metrics that decide nothing, and the row and time columns (rows
    are drawn with replacement).

    Raises:
        Refused: AME-E530 for what cannot be simulated, AME-E531 for scores that are not the task's, and
            all that `run_ab_test` refuses.
    """
    if wrong := list(_problems(config, rows, trials)):
        raise Refused(*wrong)
    config = replace(config, metrics=(), row=None, time=None)
    measured = measure or _gate(config)
    decided = decide or (lambda table: measured(table).decision)
    table = _read(config, data)
    stored = _primary(config, measured(table))
    source = population(config, table)
    rows = rows or table.num_rows
    best = _primary(config, measured(source.arranged(1, 1).table))
    middle = _primary(config, measured(source.arranged(3, 4).table)).difference
    pilots = [
        _primary(config, measured(source.draw(_random(seed, 0, turn), rows).table)) for turn in range(PILOTS)
    ]
    error = float(np.sqrt(statistics.fmean(pilot.std_error**2 for pilot in pilots)))
    mde_of_equal = statistics.fmean(pilot.mde for pilot in pilots)

    shares = np.linspace(-1.0, 1.0, 2001)
    cubic = (best.difference - 2 * middle) * 4 / 3
    differences = (best.difference - cubic) * shares + cubic * shares**3
    of_best = best.std_error * math.sqrt(table.num_rows / rows)
    errors = _errors(shares, source.sizes, rows, error, of_best, best.difference)
    mde = _mde(differences[1000:], errors[1000:], config.primary.margin, mde_of_equal, error)
    wanted = sorted(effects if effects is not None else [times * mde for times in EFFECTS])
    points = [1000, *(int(np.argmin(np.abs(differences - effect))) for effect in wanted)]
    outcomes = []
    for number, point in enumerate(points):
        share, difference = float(shares[point]), float(differences[point])
        drawn = (source.draw(_random(seed, number + 1, trial), rows, share) for trial in range(trials))
        said = f"a true difference of {difference:.4g}"
        done = _shown(progress, said, number * trials, len(points) * trials)
        decisions, halves = _trials(drawn, decided, _random(seed, number + 1, trials), done)
        outcomes.append(
            Outcome(
                difference=difference,
                share=share,
                decisions=decisions,
                promoted=Rate(decisions.get("promote", 0), trials),
                halves=None if source.positive is None else Rate(halves, trials),
                rows_needed=rows_needed(
                    Estimate(difference, float(errors[point])),
                    rows,
                    config.alpha,
                    config.power,
                    difference - config.primary.margin,
                ),
            )
        )
    return Simulation(
        metric=config.primary.metric,
        rows=rows,
        trials=trials,
        alpha=config.alpha,
        power=config.power,
        mde=mde,
        observed=stored.difference,
        observed_rows_needed=stored.rows_needed,
        equal=outcomes[0],
        effects=tuple(outcomes[1:]),
        seed=seed,
    )


def _errors(
    shares: Floats, sizes: NDArray[np.int64], rows: int, equal: float, best: float, largest: float
) -> Floats:
    """The standard error of a test of `rows` rows when a share s of the units is helped, for each s.

    A unit's gain is h when it is helped and o or -o when not. With E h^2 and E o^2 taken from the errors at
    s = 1 (`best`, with the difference `largest`) and s = 0 (`equal`), the variance is
    (1 - s) E o^2 + s E h^2 - (s E h)^2: exact for means over units of one size.
    """
    s = np.abs(shares)
    square = largest**2 * float(np.square(sizes, dtype=np.float64).mean()) / (float(sizes.mean()) * rows)
    errors: Floats = np.sqrt((1 - s) * equal**2 + s * (best**2 + square) - s * s * square)
    return errors


def _mde(differences: Floats, errors: Floats, margin: float, of_equal: float, error: float) -> float:
    """The least of ascending differences that its own error lets the test find with the configured power.

    `of_equal` is what it would be if the error stayed that of equal models, and is the answer when no
    difference that the stored answers allow is large enough.
    """
    lacking = margin + (of_equal - margin) / error * errors - differences
    enough = np.flatnonzero(lacking <= 0.0)
    if not enough.size or not enough[0]:
        return of_equal
    after = int(enough[0])
    part = lacking[after - 1] / (lacking[after - 1] - lacking[after])
    return float(differences[after - 1] + part * (differences[after] - differences[after - 1]))


def random_halves_promote(random: np.random.Generator, drawn: Drawn) -> bool:
    """The rule without a test: each model on its own random half of the rows, the larger area wins.

    "Significant" is there what has more than a tenth of the rows in the smaller half. No promotion where a
    half has one class only.
    """
    if drawn.positive is None:
        return False
    half = random.random(drawn.positive.size) < 0.5
    if not min(half.mean(), 1 - half.mean()) > 0.1:
        return False
    champion = _area(drawn.positive[half], drawn.scores[0][half])
    challenger = _area(drawn.positive[~half], drawn.scores[1][~half])
    return challenger > champion


def _area(positive: NDArray[np.bool_], score: NDArray[np.float64]) -> float:
    negatives = np.sort(score[~positive])
    found = score[positive]
    if not (found.size and negatives.size):
        return float("nan")
    below = np.searchsorted(negatives, found, "left") + np.searchsorted(negatives, found, "right")
    return float(below.mean() / (2 * negatives.size))


def _trials(
    drawn: Iterable[Drawn],
    decide: Callable[[pa.Table], str],
    random: np.random.Generator,
    done: Callable[[int], None],
) -> tuple[dict[str, int], int]:
    decisions: Counter[str] = Counter()
    halves = 0
    for number, each in enumerate(drawn):
        decisions[decide(each.table)] += 1
        halves += random_halves_promote(random, each)
        done(number + 1)
    return dict(sorted(decisions.items())), halves


def _shown(progress: Progress | None, words: str, before: int, total: int) -> Callable[[int], None]:
    if progress is None:
        return lambda _done: None
    return lambda done: progress(words, (before + done) / total)


def _random(seed: int, number: int, trial: int) -> np.random.Generator:
    return np.random.default_rng([seed, number, trial])


def _gate(config: ABTest) -> Callable[[pa.Table], ABTestResult]:
    from ame.gate.ab_test import run_ab_test

    return lambda table: run_ab_test(config, table)


def _primary(config: ABTest, result: ABTestResult) -> MetricResult:
    found = result.metrics.get(config.primary.metric)
    if found is None or not np.isfinite(found.difference):
        raise Refused(
            Diagnosis(
                code="AME-E530",
                what="The stored scores cannot be simulated from: the test on them has no numbers.",
                why=result.why,
                fix="Give the scores of a paired test that passed its checks.",
            )
        )
    return found


def _read(config: ABTest, data: Scores) -> pa.Table:
    """The table with the columns that the test reads; those that are missing the test itself refuses."""
    if isinstance(data, pa.Table):
        needed = dict.fromkeys((config.label, *MODELS, *config.slices, config.entity))
        return data.select([name for name in needed if name in data.column_names])
    batches = list(open_scores(replace(config, row=None, time=None), data).data)
    parts = [pa.Table.from_batches([batch]) for batch in batches]
    # Batches may differ in their types: a dictionary here, texts there.
    return pa.concat_tables(parts, promote_options="permissive")


def _problems(config: ABTest, rows: int | None, trials: int) -> Iterator[Diagnosis]:
    if config.design != "paired":
        yield Diagnosis(
            code="AME-E530",
            what="Only a paired test can be simulated from its scores.",
            why="In the split design each row has the answer of one model, so there is nothing to swap.",
            fix="Give the scores of a paired test.",
        )
    for name, value, least in (("rows", rows, 2), ("trials", trials, 1)):
        if value is not None and value < least:
            yield Diagnosis(
                code="AME-E530",
                what=f"The simulation's {name} is {value}, which must be at least {least}.",
                fix="Change the number.",
            )
