"""The numbers of a test, computed in this process with numpy: exactly, or from bins when the rows are many.

While the rows fit in memory every different score is a bin of its own, and nothing is approximate. With
more rows than `EXACT_ROWS` they are read twice and never kept: the first reading fills histograms, the
second looks up each row's influence. Metrics that are no ranking are exact either way.
"""

from __future__ import annotations

from collections.abc import Iterator

from ame.gate.config import ABTest
from ame.gate.engines.binned import PILOT, measure_binned
from ame.gate.engines.exact import measure_exact
from ame.gate.summary import GroupSummary, Summary
from ame.gate.table import Progress, ScoredRows, Source

__all__ = ["EXACT_ROWS", "measure", "nothing", "silent"]

#: Up to this many rows are kept in memory; of a multiclass test this many scores of each model.
EXACT_ROWS = 3_000_000


def measure(
    config: ABTest,
    source: Source,
    progress: Progress | None = None,
    *,
    exact_rows: int = EXACT_ROWS,
    pictures: bool = True,
) -> Summary:
    """Every metric that the configuration names, over all rows and in each slice.

    Reads all of the source, so that its tally is complete. When that finds unusable rows (`sound` is
    false), or there are none, the summary has no metrics. Without `pictures` it has neither grid nor
    reliability nor curves, which no decision reads.
    """
    report = progress or silent
    batches = _sound(source)
    kept: list[ScoredRows] = []
    rows = most = 0
    for batch in batches:
        kept.append(batch)
        rows += batch.label.size
        most = exact_rows // (batch.champion.shape[1] if batch.champion.ndim == 2 else 1)
        if rows >= PILOT and max(rows, source.rows or 0) > most:
            break
        if source.rows:
            report("reading the scores", 0.5 * min(1.0, rows / source.rows))
    if not source.tally.sound or not rows:
        return nothing("local exact")
    if max(rows, source.rows or 0) <= most:
        return measure_exact(config, source, kept, report, pictures=pictures)
    summary = measure_binned(config, source, kept, batches, report, pictures=pictures)
    return nothing("local binned") if summary is None else summary


def _sound(source: Source) -> Iterator[ScoredRows]:
    """The batches with rows, until one is not usable; the others are then read only to be counted."""
    for batch in source.batches():
        if source.tally.sound and batch.label.size:
            yield batch


def nothing(engine: str) -> Summary:
    """The summary of rows that are not usable."""
    return Summary(engine=engine, total=GroupSummary(rows=0, positives=0, fewest=0, metrics={}))


def silent(_words: str, _share: float) -> None:
    """Say nothing."""
