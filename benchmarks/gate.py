"""How fast is the exact paired DeLong test? Ratios of CPU time, each measured in this one run.

    python benchmarks/gate.py                # 1e6 and 1e7 rows, about a minute and 2 GB
    python benchmarks/gate.py --rows 1e6

Compared are the gate's test of the area's difference (both areas and the standard error), the fast
algorithm of Sun & Xu 2014 (IEEE Signal Processing Letters 21:1389) in plain numpy, and the floor of any
exact method, sorting both models' scores once.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ame.gate.delong import auc_and_influence
from ame.gate.inference import paired_std_error

Floats = NDArray[np.float64]
Labels = NDArray[np.bool_]
Answer = tuple[float, float]


def gate(label: Labels, champion: Floats, challenger: Floats) -> Answer:
    """The difference of the areas and its standard error, as the gate computes them."""
    first, second, influence = auc_and_influence(label, champion, challenger)
    return second - first, paired_std_error(influence, label)


def sun_xu(label: Labels, champion: Floats, challenger: Floats) -> Answer:
    """The same by midranks of all rows, of the positives and of the negatives, for each model."""
    m, k = int(label.sum()), int((~label).sum())
    placed = []
    for score in (champion, challenger):
        ranks = _midranks(score)
        placed.append(
            (
                (ranks[label] - _midranks(score[label])) / k,
                1 - (ranks[~label] - _midranks(score[~label])) / m,
            )
        )
    positives, negatives = placed[1][0] - placed[0][0], placed[1][1] - placed[0][1]
    variance = positives.var(ddof=1) / m + negatives.var(ddof=1) / k
    return float(positives.mean()), float(np.sqrt(variance))


def two_sorts(_label: Labels, champion: Floats, challenger: Floats) -> Answer:
    """What any exact method must at least do."""
    np.sort(champion)
    np.sort(challenger)
    return 0.0, 0.0


def _midranks(values: Floats) -> Floats:
    order = np.argsort(values, kind="stable")
    ascending = values[order]
    start = np.flatnonzero(np.r_[True, ascending[1:] != ascending[:-1]])
    end = np.r_[start[1:], values.size]
    ranks = np.empty(values.size)
    ranks[order] = np.repeat((start + end + 1) / 2, end - start)
    return ranks


def _scores(n: int, kind: str) -> tuple[Labels, Floats, Floats]:
    draw = np.random.default_rng(1)
    label = draw.random(n) < 0.2
    shared = draw.normal(size=n)
    champion, challenger = (
        1 / (1 + np.exp(-(shared + 0.4 * draw.normal(size=n) + strength * label - 1)))
        for strength in (1.0, 1.02)
    )
    if kind == "float32 scores":
        return label, champion.astype(np.float32).astype(float), challenger.astype(np.float32).astype(float)
    if kind == "3 decimals":
        return label, champion.round(3), challenger.round(3)
    return label, champion, challenger


def _timed(
    function: Callable[[Labels, Floats, Floats], Answer], data: tuple[Labels, Floats, Floats], times: int
) -> tuple[float, Answer]:
    """The least CPU seconds of several runs, and the answer."""
    best = np.inf
    for _ in range(times):
        start = time.process_time()
        answer = function(*data)
        best = min(best, time.process_time() - start)
    return float(best), answer


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=float, nargs="+", default=[1e6, 1e7])
    parser.add_argument("--times", type=int, default=3)
    arguments = parser.parse_args()
    columns = ("rows", "scores", "sorts s", "gate s", "Sun-Xu s", "/Sun-Xu", "/sorts")
    print("{:>10} {:<15} {:>8} {:>8} {:>9} {:>8} {:>7}".format(*columns))
    for rows in map(int, arguments.rows):
        for kind in ("float64 scores", "float32 scores", "3 decimals"):
            data = _scores(rows, kind)
            sorts, _ = _timed(two_sorts, data, arguments.times)
            ours, answer = _timed(gate, data, arguments.times)
            theirs, expected = _timed(sun_xu, data, 1)
            np.testing.assert_allclose(answer, expected, rtol=1e-7)
            print(
                f"{rows:>10,} {kind:<15} {sorts:>8.3f} {ours:>8.3f} {theirs:>9.3f} {ours / theirs:>8.3f} "
                f"{ours / sorts:>7.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
