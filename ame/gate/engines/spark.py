"""The numbers of a test, computed by Spark's executors: for rows that one machine reads too slowly.

The executors read files with pyarrow, each task some pieces of them; no row goes through Java, and none from
one executor to another. Each task gives one state of bounded size (`ame.gate.engines.parts`); where these are
many, tasks merge them before the driver does. The second reading looks up what the merged histograms of the
first mean. What the local engine would keep in memory is sent to the driver, which does the same as it.

Importing this module does not import pyspark.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ame.gate.batches import Batches, Frame
from ame.gate.config import ABTest
from ame.gate.engines import local
from ame.gate.engines.binned import PILOT, Reader
from ame.gate.engines.packed import pack, unpack
from ame.gate.engines.parts import (
    Counted,
    added_again,
    as_they_are,
    counted,
    from_streams,
    how_many,
    merged,
    template,
)
from ame.gate.engines.spark_tables import STATES, Files, Persisted, Table, Work, explained, merging
from ame.gate.summary import Summary
from ame.gate.table import Progress, ScoredRows, Source, empty_tally, read_and_count
from ame.gate.tally import Tally

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from ame.spark import SparkSettings

__all__ = ["measure"]

#: So many states are merged by one task, until no more than these are left for the driver.
_FAN_IN = 16


def measure(
    config: ABTest,
    source: Source,
    progress: Progress | None = None,
    *,
    exact_rows: int = local.EXACT_ROWS,
    pictures: bool = True,
    settings: SparkSettings | None = None,
) -> Summary:
    """Every metric that the configuration names, over all rows and in each slice.

    As `ame.gate.engines.local.measure`, whose numbers it has: the same ones for as many rows as that engine
    keeps in memory, and beyond up to the rounding of sums. `settings` say how Spark is reached where no
    session is active.

    Raises:
        Refused: AME-E504 when a file breaks while it is read, AME-E522 for data that executors cannot read,
            AME-E523 when the job fails, and what `open_session` and `ship_code` refuse.
    """
    from ame.spark import open_session, ship_code

    report = progress or local.silent
    data = source.data
    pieces = () if isinstance(data, Frame) else data.pieces()
    with open_session(settings) as session, explained(), ExitStack() as stack:
        spark = data.frame.sparkSession if isinstance(data, Frame) else session
        ship_code(spark)
        table = Persisted(data, stack) if isinstance(data, Frame) else Files(spark, pieces, stack)
        engine = _Engine(config, source, spark, table, stack, report)
        return engine.measure(exact_rows, pictures=pictures)


class _Engine:
    """One measurement."""

    def __init__(
        self,
        config: ABTest,
        source: Source,
        spark: SparkSession,
        table: Table,
        stack: ExitStack,
        progress: Progress,
    ) -> None:
        self._config = config
        self._source = source
        self._spark = spark
        self._table = table
        self._stack = stack
        self._progress = progress
        self._done = 0.0

    def measure(self, exact_rows: int, *, pictures: bool) -> Summary:
        table = self._table
        if not table.sizes:
            states = dict(self._run("counting the rows", table.each(how_many, narrow=True), 0.1))
            table.sizes = [unpack(states[part]) if part in states else 0 for part in range(table.parts)]
        rows = sum(table.sizes)
        starts = list(accumulate(table.sizes, initial=0))
        tally = empty_tally(self._config)
        kept = list(_pilot(self._config, table.first(PILOT), tally))
        width = kept[0].champion.shape[1] if kept and kept[0].champion.ndim == 2 else 1
        if rows <= exact_rows // width:
            return self._exact(rows, exact_rows, pictures=pictures)
        reader = Reader(self._config, kept, pictures=pictures) if kept and tally.sound else None
        sent = self._send((reader, template(self._config, rows, tally)))
        found: Counted = self._merged("reading the scores", partial(counted, self._config, sent, starts), 0.5)
        self._source.counted(found.tally)
        if found.reader is None or not found.tally.sound:
            return local.nothing("spark binned")
        whole = found.reader
        whole.close()
        sent = self._send((whole, dict(found.tally.slice_values)))
        whole.turn()
        if whole.added_again():
            more = self._merged("comparing the models", partial(added_again, self._config, sent, starts), 1.0)
            whole.merge_again(more.arrays)
        return whole.finish("spark binned", found.tally.slice_values)

    def _exact(self, rows: int, exact_rows: int, *, pictures: bool) -> Summary:
        """What the local engine says of the rows themselves."""
        states = self._run("reading the scores", self._table.each(partial(as_they_are, None)), 0.4)
        streams = [stream for _, state in states for stream in unpack(state)]
        del states
        data, begun = self._source.data, self._done
        self._source.replaced(Batches(lambda: from_streams(streams), rows))

        def later(words: str, share: float) -> None:
            self._progress(words, begun + (1.0 - begun) * share)

        summary = local.measure(self._config, self._source, later, exact_rows=exact_rows, pictures=pictures)
        self._source.replaced(data)
        return replace(summary, engine="spark exact")

    def _merged(self, words: str, work: Work, until: float) -> Any:
        states = self._table.each(work)
        parts = self._table.parts
        while parts > _FAN_IN:
            parts = -(-parts // _FAN_IN)
            states = (
                states.selectExpr("part", "state", f"part div {_FAN_IN} as whole")
                .repartition(parts, "whole")
                .sortWithinPartitions("part")
                .mapInArrow(merging, STATES)
            )
        return merged(state for _, state in self._run(words, states, until))

    def _run(self, words: str, states: DataFrame, until: float) -> list[tuple[int, bytes]]:
        """States by part, in order."""
        from ame.spark import tracked

        with tracked(self._spark, words, self._progress, self._done, until):
            rows = states.collect()
        self._done = until
        return sorted((row[0], row[1]) for row in rows)

    def _send(self, thing: object) -> Any:
        broadcast = self._spark.sparkContext.broadcast(pack(thing))
        self._stack.callback(broadcast.destroy)
        return broadcast


def _pilot(config: ABTest, batches: Iterable[pa.RecordBatch], tally: Tally) -> Iterator[ScoredRows]:
    for rows in read_and_count(config, batches, tally):
        if tally.sound:
            yield rows
