"""The test from beginning to end: read, check, ask for a look, measure, decide."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ame.diagnosis import Diagnosis, Refused, did_you_mean
from ame.gate.batches import Frame
from ame.gate.checks import data_checks, entity_check
from ame.gate.config import ABTest, problems
from ame.gate.decision import decide
from ame.gate.distribution import distributions
from ame.gate.estimates import metric_results
from ame.gate.ledger import Exhausted, Ledger
from ame.gate.placebo import placebo
from ame.gate.result import ABTestResult, Check, LedgerUse, MetricResult
from ame.gate.slices import judge_slices
from ame.gate.summary import Summary
from ame.gate.systematic import systematic
from ame.gate.table import Progress, Scores, Source, Tally, open_scores

if TYPE_CHECKING:
    from ame.gate.training import TrainingComparison
    from ame.spark import SparkSettings

__all__ = ["ENGINES", "SPARK_ROWS", "run_ab_test"]

#: Where the numbers can be computed, by name.
ENGINES: Mapping[str, str] = {"local": "ame.gate.engines.local", "spark": "ame.gate.engines.spark"}

#: With more rows than these `auto` takes Spark where it can be had. On two cores it is as fast as one machine
#: at some 60 million rows, the time that a session takes to open counted; more cores only save what is above
#: 30 million (benchmarks/spark.py).
SPARK_ROWS = 60_000_000


def run_ab_test(
    config: ABTest,
    data: Scores,
    *,
    ledger: Ledger | None = None,
    engine: str = "auto",
    training: TrainingComparison | None = None,
    progress: Progress | None = None,
    spark: SparkSettings | None = None,
) -> ABTestResult:
    """Decide whether the challenger is better than the champion on rows that both have scored.

    `data` is a parquet or CSV file or a folder of one of them, here or in a bucket (`s3://bucket/folder`), a
    pyarrow Table, RecordBatch or Dataset, an iterable of record batches, or a Spark DataFrame, such as
    `spark.table("catalog.schema.holdout")`; with the columns `config.label`, `champion`, `challenger` and
    those that the configuration names. `progress` is called with a few words and the share done, 0 to 1.

    `engine` is `local`, `spark`, which reads files and DataFrames, or `auto`: Spark for a DataFrame and for
    more than `SPARK_ROWS` rows of files where Spark can be had, else this process. Spark's session is the
    active one, or is opened with the settings `spark`.

    A `ledger` is asked for a look when every check has passed, and only if the models do not answer the
    same; what alpha it gives is the result's. Nothing that was measured leaves this function when it
    refuses. The checks and the drift of `training` become the result's.

    Bad rows never raise: they make the decision `invalid`, with what was counted and what to do.

    Raises:
        Refused: AME-E501 to E503 and E506 to E509 for the configuration, AME-E504 when a file cannot be
            read, AME-E505 when a column is missing, AME-E508 for an engine that does not exist or cannot do
            this design, AME-E522 for data that the engine cannot read, AME-E523 when Spark's job fails, and
            what the ledger and `ame.spark` refuse.
        TypeError: when `data` is none of the kinds of `Scores`.
    """
    wrong = problems(config)
    if wrong:
        raise Refused(*wrong)
    _require_engine(engine, config)
    if config.design == "split":
        from ame.gate.split import run_split

        return run_split(config, data, ledger=ledger, training=training, progress=progress)
    source = open_scores(config, data)
    if engine == "auto":
        engine = _chosen(source, spark, progress)
    more = {"settings": spark} if engine == "spark" else {}
    summary = import_module(ENGINES[engine]).measure(config, source, progress, **more)
    result = _judge(_Test(config, source, summary, ledger, training))
    if progress is not None:
        progress("decided", 1.0)
    return result


def _require_engine(name: str, config: ABTest) -> None:
    known = ("auto", *ENGINES)
    if name not in known:
        raise Refused(
            Diagnosis(
                code="AME-E508",
                what=f"The A/B test's engine is '{name}', which does not exist.",
                why=f"Known: {', '.join(known)}.",
                fix=did_you_mean(name, known),
            )
        )
    if config.design == "split" and name not in {"auto", "local"}:
        raise Refused(
            Diagnosis(
                code="AME-E508",
                what=f"The engine '{name}' cannot do an A/B test of the design 'split'.",
                why="Logged traffic is read by the engine 'local'.",
                fix="Take the engine 'local' or 'auto'.",
            )
        )


def _chosen(source: Source, settings: SparkSettings | None, progress: Progress | None) -> str:
    """The engine that `auto` means for these rows; it says so."""
    rows = source.rows
    if isinstance(source.data, Frame):
        engine, why = "spark", "for a Spark DataFrame"
    elif rows is None:
        engine, why = "local", "for files that do not say how many rows they have"
    else:
        fits = rows <= SPARK_ROWS or not source.data.can_be_cut
        engine = "local" if fits or not _has_spark(settings) else "spark"
        why = f"for {rows:,} rows"
        if engine == "local" and not fits:
            why += ", as no Spark session is active"
    if progress is not None:
        progress(f"engine auto: {engine}, {why}", 0.0)
    return engine


def _has_spark(settings: SparkSettings | None) -> bool:
    """Whether Spark is installed, and there is a session or somebody has said how to open one."""
    if find_spec("pyspark") is None:
        return False
    if settings is not None:
        return True
    loaded = sys.modules.get("pyspark")
    # Whichever thread has opened it; there is no public way to ask.
    return loaded is not None and loaded.SparkContext._active_spark_context is not None  # noqa: SLF001


@dataclass(frozen=True, slots=True)
class _Test:
    """What was asked and what was read."""

    config: ABTest
    source: Source
    summary: Summary
    ledger: Ledger | None
    training: TrainingComparison | None

    @property
    def tally(self) -> Tally:
        return self.source.tally

    @property
    def positives(self) -> int:
        return int(self.tally.class_rows[1]) if self._is_binary and self.tally.class_rows.size else 0

    @property
    def _is_binary(self) -> bool:
        return self.config.task == "binary"

    def checks(self, design_effect: float | None = None) -> tuple[Check, ...]:
        checks = data_checks(self.config, self.tally)
        if self.config.entity is not None and not _blocking(checks):
            hashed = not self.summary.engine.endswith("exact")
            checks = (*checks, entity_check(self.config, self.summary.total, design_effect, hashed=hashed))
        return (*checks, *(self.training.checks if self.training else ()))

    def undecided(self, checks: tuple[Check, ...], why: str, *, same: bool = False) -> ABTestResult:
        """A result without a single number of the comparison."""
        return ABTestResult(
            decision="inconclusive" if same else "invalid",
            why=why,
            rows=self.tally.rows,
            positives=self.positives,
            alpha=self.config.alpha,
            engine=self.summary.engine,
            checks=checks,
            metrics={},
            config=self.config,
            drift=self.training.drift if self.training else (),
            sketch=self.tally.sketch.hashes,
        )


def _judge(test: _Test) -> ABTestResult:
    checks = test.checks()
    failed = _blocking(checks)
    if failed:
        others = len(failed) - 1
        more = f" ({others} more check{'s' * (others > 1)} failed.)" if others else ""
        return test.undecided(checks, f"{failed[0].detail}{more}")
    if test.tally.same:
        same = f"champion and challenger gave each of the {test.tally.rows:,} rows the same score"
        return test.undecided(checks, f"Same model: {same}.", same=True)
    if test.ledger is None:
        return _decided(test, test.config.alpha, None)
    try:
        use = test.ledger.spend(test.config, test.tally.sketch.hashes, test.tally.rows)
    except Exhausted as exhausted:
        refused = test.undecided(checks, str(exhausted))
        return replace(refused, alpha=exhausted.use.alpha, ledger=exhausted.use)
    result = _decided(test, use.alpha, use)
    test.ledger.ended(use, result.decision)
    return result


def _decided(test: _Test, alpha: float, use: LedgerUse | None) -> ABTestResult:
    config, summary = replace(test.config, alpha=alpha), test.summary
    metrics = metric_results(config, summary.total)
    slices = judge_slices(config, summary.slices)
    signs = replace(systematic(config, summary, metrics), placebo=placebo(config, summary))
    decision, why = decide(
        config, metrics, summary.total.rows, test.positives, slices=slices, systematic=signs
    )
    return ABTestResult(
        decision=decision,
        why=why,
        rows=test.tally.rows,
        positives=test.positives,
        alpha=alpha,
        engine=summary.engine,
        checks=test.checks(_design_effect(config, metrics)),
        metrics=metrics,
        config=test.config,
        slices=slices,
        ledger=use,
        systematic=signs,
        drift=test.training.drift if test.training else (),
        distributions=distributions(config, summary),
        sketch=test.tally.sketch.hashes,
        summary=summary,
    )


def _design_effect(config: ABTest, metrics: Mapping[str, MetricResult]) -> float | None:
    return metrics[config.primary.metric].design_effect


def _blocking(checks: tuple[Check, ...]) -> list[Check]:
    return [check for check in checks if check.blocks and not check.passed]
