"""How fast is the gate? Ratios of CPU time, each measured in this one run, as markdown tables.

    python benchmarks/gate.py                         # all of it, a few minutes, 4 GB of memory
    python benchmarks/gate.py exact --rows 1e6        # the exact paired DeLong test
    python benchmarks/gate.py binned f1
    python benchmarks/gate.py full --rows 5e7         # everything, from a parquet file

- exact: both areas and the standard error of their difference, by the engine and by `paired_delong` alone,
  against the fast algorithm of Sun & Xu 2014 (IEEE Signal Processing Letters 21:1389) in plain numpy, and
  against the floor of any exact method, sorting both models' scores once.
- binned: the engine for tables that do not fit in memory, on one metric, against the same.
- f1: the 95 % interval of the difference in F1 from 1,000 resamples, counting included, against a loop over
  scikit-learn's f1_score, of which a few turns are measured and the rest is extrapolated.
- full: eight metrics, two slice columns of ten values, entities; against decoding the columns twice. The
  memory is the peak above that of the imports, in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ame.gate.config import ABTest, Margin
from ame.gate.delong import paired_delong
from ame.gate.engines.local import measure
from ame.gate.table import ScoredRows

Floats = NDArray[np.float64]
Labels = NDArray[np.bool_]
Answer = tuple[float, float]

BATCH = 1 << 17
METRICS = ("roc_auc", "average_precision", "log_loss", "brier", "accuracy", "f1", "precision", "recall")


def alone(label: Labels, champion: Floats, challenger: Floats) -> Answer:
    """The difference of the areas and its standard error, by the function that computes nothing else."""
    areas = paired_delong(label, champion, challenger)
    return areas.challenger - areas.champion, areas.std_error


def engine(label: Labels, champion: Floats, challenger: Floats, *, exact: bool) -> Answer:
    """The same as `run_ab_test` has it: with influence by group; in bins, in two readings of the batches."""

    def batches() -> Iterator[ScoredRows]:
        for start in range(0, label.size, BATCH):
            part = slice(start, start + BATCH)
            yield ScoredRows(label[part], champion[part], challenger[part])

    source = SimpleNamespace(
        rows=label.size, tally=SimpleNamespace(sound=True), batches=batches, slice_values={}
    )
    config = ABTest(label="label", primary=Margin("roc_auc"))
    most = label.size if exact else BATCH
    found = measure(config, source, exact_rows=most, pictures=False).total.metrics["roc_auc"]
    return found.difference, found.std_error


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


def _scores(n: int, kind: str = "float64", seed: int = 1) -> tuple[Labels, Floats, Floats]:
    draw = np.random.default_rng(seed)
    label = draw.random(n) < 0.2
    shared = draw.normal(size=n)
    champion, challenger = (
        1 / (1 + np.exp(-(shared + 0.4 * draw.normal(size=n) + strength * label - 1)))
        for strength in (1.0, 1.02)
    )
    if kind == "float32":
        return label, champion.astype(np.float32).astype(float), challenger.astype(np.float32).astype(float)
    if kind == "3 decimals":
        return label, champion.round(3), challenger.round(3)
    return label, champion, challenger


def _timed(function: Callable[[], object], times: int) -> tuple[float, object]:
    """The least CPU seconds of several runs, and the answer."""
    best, answer = np.inf, None
    for _ in range(times):
        start = time.process_time()
        answer = function()
        best = min(best, time.process_time() - start)
    return float(best), answer


def _table(title: str, header: str, rows: Iterator[str]) -> None:
    print(f"\n### {title}\n\n| {header} |\n|{'---|' * (header.count('|') + 1)}", flush=True)
    for row in rows:
        print(f"| {row} |", flush=True)


def exact_rows(rows: int, times: int) -> Iterator[str]:
    for kind in ("float64", "float32", "3 decimals"):
        data = _scores(rows, kind)
        sorts, _ = _timed(lambda data=data: two_sorts(*data), times)
        theirs, expected = _timed(lambda data=data: sun_xu(*data), 1)
        for name, function in (("engine", partial(engine, exact=True)), ("alone", alone)):
            ours, answer = _timed(lambda function=function, data=data: function(*data), times)
            np.testing.assert_allclose(answer, expected, rtol=1e-7)
            yield (
                f"{rows:,} | {kind} | {name} | {sorts:.3f} | {ours:.3f} | {theirs:.3f} | "
                f"{ours / theirs:.3f} | {ours / sorts:.2f}"
            )


def binned_rows(rows: int, times: int) -> Iterator[str]:
    for kind in ("float64", "3 decimals"):
        data = _scores(rows, kind)
        ours, answer = _timed(lambda data=data: engine(*data, exact=False), times)
        theirs, (difference, error) = _timed(lambda data=data: sun_xu(*data), 1)  # type: ignore[misc]
        apart = abs(answer[0] / answer[1] - difference / error)  # type: ignore[index]
        yield f"{rows:,} | {kind} | {ours:.3f} | {theirs:.3f} | {ours / theirs:.3f} | {apart:.1e}"


def f1_rows(rows: int, times: int) -> Iterator[str]:
    from sklearn.metrics import f1_score

    from ame.gate.distribution import f1_interval

    label, champion, challenger = _scores(rows)

    def ours() -> tuple[float, float]:
        cell = label.astype(np.intp)
        for score in (champion, challenger):
            cell += cell
            cell += score >= 0.5
        return f1_interval(np.bincount(cell, minlength=8).reshape(2, 2, 2))

    draw = np.random.default_rng(1)
    turns = 3

    def loop() -> None:
        for _ in range(turns):
            picked = draw.integers(0, rows, rows)
            for score in (champion, challenger):
                f1_score(label[picked], score[picked] >= 0.5)

    first, interval = _timed(ours, times)
    second, _ = _timed(loop, 1)
    second *= 1000 / turns
    low, high = interval  # type: ignore[misc]
    yield (
        f"{rows:,} | [{low:.5f}, {high:.5f}] | {first:.4f} | {second:.0f} (of {turns} turns) | "
        f"1/{second / first:,.0f}"
    )


def full_rows(rows: int, _times: int) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "scores.parquet")
        _write(path, rows)
        found = {}
        for work in ("decode", "gate"):
            command = [sys.executable, __file__, f"--{work}", str(path)]
            found[work] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        ours, theirs = found["gate"], found["decode"]
        yield (
            f"{rows:,} | {path.stat().st_size / 1e6:,.0f} MB | {theirs['seconds']:.1f} | "
            f"{ours['seconds']:.1f} | {ours['seconds'] / theirs['seconds']:.1f} | {ours['wall']:.1f} | "
            f"{ours['megabytes']:.0f} MB | {ours['answer']}"
        )


def _write(path: Path, rows: int) -> None:
    writer = None
    for table in scored_rows(0, rows, rows):
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def scored_rows(first: int, count: int, rows: int) -> Iterator[pa.Table]:
    """`count` rows, from number `first` on, of the scores of `rows` flights; an aircraft has some 20."""
    for start in range(first, first + count, 1 << 20):
        n = min(1 << 20, first + count - start)
        draw = np.random.default_rng(start)
        label, champion, challenger = _scores(n, seed=start + 1)
        yield pa.table(
            {
                "late": label.astype(np.int8),
                "champion": champion.astype(np.float32),
                "challenger": challenger.astype(np.float32),
                "tail": draw.integers(0, max(100, rows // 20), n),
                "carrier": pa.array([f"carrier {i}" for i in range(10)]).take(
                    pa.array(draw.integers(0, 10, n))
                ),
                "origin": pa.array([f"origin {i}" for i in range(10)]).take(
                    pa.array(draw.integers(0, 10, n))
                ),
            }
        )


def _decode(path: str) -> str:
    """Read the columns twice, as the gate has to."""
    for _ in range(2):
        file = pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20)
        for batch in file.iter_batches(BATCH, use_threads=False):
            batch.num_rows  # noqa: B018
    return ""


def _full(path: str) -> str:
    from ame.gate.ab_test import run_ab_test

    config = ABTest(
        label="late",
        primary=Margin("roc_auc"),
        metrics=METRICS,
        slices=("carrier", "origin"),
        entity="tail",
    )
    return run_ab_test(config, path).decision


def _alone(work: Callable[[str], str], path: str) -> None:
    """One piece of work in this process: CPU seconds, wall seconds and memory above the imports."""
    import ame.gate.ab_test  # noqa: F401

    before = kilobytes("VmRSS")
    wall, start = time.perf_counter(), time.process_time()
    answer = work(path)
    peak = kilobytes("VmHWM")  # of this program alone, where getrusage may tell that of its parent
    print(
        json.dumps(
            {
                "seconds": time.process_time() - start,
                "wall": time.perf_counter() - wall,
                "megabytes": (peak - before) / 1024,
                "answer": answer,
            }
        )
    )


def kilobytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


SECTIONS = {
    "exact": (
        "Exact paired DeLong, CPU seconds",
        "rows | scores | gate | two sorts | s | Sun-Xu | /Sun-Xu | /two sorts",
        exact_rows,
        1e7,
    ),
    "binned": (
        "Binned paired area, CPU seconds",
        "rows | scores | gate | Sun-Xu | /Sun-Xu | z apart",
        binned_rows,
        1e7,
    ),
    "f1": (
        "Interval of F1, 1,000 resamples, CPU seconds",
        "rows | 95 % interval | gate | scikit-learn loop | ratio",
        f1_rows,
        1e6,
    ),
    "full": (
        "Full gate from parquet, CPU seconds",
        "rows | file | decoded twice | gate | ratio | gate, wall | memory above imports | decision",
        full_rows,
        1e7,
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sections", nargs="*", help=f"of {', '.join(SECTIONS)}; all by default")
    parser.add_argument("--rows", type=float)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--decode", help=argparse.SUPPRESS)
    parser.add_argument("--gate", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.decode or arguments.gate:
        _alone(_decode if arguments.decode else _full, arguments.decode or arguments.gate)
        return
    for name in arguments.sections or SECTIONS:
        title, header, rows_of, rows = SECTIONS[name]
        _table(title, header, rows_of(int(arguments.rows or rows), arguments.times))


if __name__ == "__main__":
    main()
