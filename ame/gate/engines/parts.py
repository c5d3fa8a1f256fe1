"""What one process does with a part of the rows, and how the parts become the whole.

The state of a part is a pure function of its rows and of what it was sent, so that a part may be read by any
process and as often as need be. States are merged in the order of the parts: the numbers do not depend on it
beyond the rounding of sums, but slices are numbered as rows have them first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ame.gate.config import ABTest
from ame.gate.engines.binned import Reader
from ame.gate.engines.packed import pack, unpack
from ame.gate.keys import Repeats
from ame.gate.table import empty_tally, read_again, read_and_count
from ame.gate.tally import Tally

__all__ = [
    "Again",
    "Counted",
    "Sent",
    "added_again",
    "as_they_are",
    "counted",
    "from_streams",
    "how_many",
    "merged",
    "template",
]


class Sent(Protocol):
    """Bytes that every process has: a broadcast variable."""

    @property
    def value(self) -> bytes: ...


Batches: TypeAlias = "Iterable[pa.RecordBatch]"


@dataclass(slots=True)
class Counted:
    """What the first reading of some rows has found.

    Attributes:
        tally: what was counted.
        reader: what was added up; None where the rows are not usable, or nobody knows how.
    """

    tally: Tally
    reader: Reader | None

    def merge(self, other: Counted) -> Counted:
        """With the rows that follow; the other is used up."""
        places = self.tally.merge(other.tally)
        if self.reader is not None and (
            other.reader is None or not self.tally.sound or not self.reader.merge(other.reader, places)
        ):
            self.reader = None
        return self


@dataclass(slots=True)
class Again:
    """What the second reading of some rows has added up, as `Reader.added_again` gives it."""

    arrays: list[NDArray[Any]]

    def merge(self, other: Again) -> Again:
        for mine, theirs in zip(self.arrays, other.arrays, strict=True):
            np.add(mine, theirs, out=mine)
        return self


def template(config: ABTest, rows: int, pilot: Tally) -> Tally:
    """The tally that each part of `rows` rows begins with; `pilot` has seen the first of them.

    What a multiclass score looks like is known from the start, so that a part in which all are missing is
    counted as if it had come after others. Of rows that are too many for it, no part keeps the hashes.
    """
    tally = empty_tally(config)
    tally.classes, tally.lengths = pilot.classes, set(pilot.lengths)
    if rows > tally.repeats.exact:
        tally.repeats, tally.answers = Repeats(exact=0), Repeats(exact=0)
    return tally


def how_many(_part: int, batches: Batches) -> bytes:
    """The rows of a part, packed."""
    return pack(sum(batch.num_rows for batch in batches))


def as_they_are(most: int | None, _part: int, batches: Batches) -> bytes | None:
    """The first `most` rows of a part themselves, packed as a list of Arrow streams."""
    streams = []
    for batch in batches:
        kept = batch if most is None else batch.slice(0, most)
        sink = pa.BufferOutputStream()
        # A stream for each batch, because batches may differ in their types.
        with pa.ipc.new_stream(
            sink, kept.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")
        ) as stream:
            stream.write_batch(kept)
        streams.append(sink.getvalue().to_pybytes())
        if most is not None:
            most -= kept.num_rows
            if most <= 0:
                break
    return pack(streams)


def from_streams(streams: Iterable[bytes]) -> Iterator[pa.RecordBatch]:
    """The batches that `as_they_are` was given."""
    for content in streams:
        with pa.ipc.open_stream(content) as stream:
            yield from stream


def counted(config: ABTest, sent: Sent, starts: Sequence[int], part: int, batches: Batches) -> bytes | None:
    """The first reading of a part; `sent` holds a reader or None, and a tally to begin with."""
    reader, tally = unpack(sent.value)
    if reader is not None:
        reader.start(starts[part])
    for rows in read_and_count(config, batches, tally):
        if reader is not None and not (tally.sound and reader.add(rows)):
            reader = None
    return pack(Counted(tally, reader)) if tally.rows else None


def added_again(
    config: ABTest, sent: Sent, starts: Sequence[int], part: int, batches: Batches
) -> bytes | None:
    """The second reading of a part; `sent` holds the reader of all rows, closed, and the slices' values."""
    reader: Reader
    values: Mapping[str, list[str]]
    reader, values = unpack(sent.value)
    reader.turn()
    reader.start(starts[part])
    for rows in read_again(config, batches, values):
        reader.add_again(rows)
    return pack(Again(reader.added_again()))


def merged(states: Iterable[bytes]) -> Any:
    """The state of the parts together, in their order; None without any."""
    whole = None
    for state in states:
        more = unpack(state)
        whole = more if whole is None else whole.merge(more)
    return whole
