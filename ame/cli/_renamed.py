"""Columns of a file under the names that the gate gives them, still read batch by batch."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.dataset as ds

    from ame.gate.batches import Batches

__all__ = ["MODELS", "renamed_dataset"]

MODELS = ("champion", "challenger")


def renamed_dataset(
    batches: Batches,
    first: pa.RecordBatch | None,
    names: Mapping[str, str],
    variant: str,
    variants: Mapping[str, str],
) -> ds.Dataset:
    """The batches as a data set that holds nothing but the batch that is read.

    Args:
        first: a batch, for the types of the columns; None when there is none.
        names: the gate's name of a column -> the file's.
        variant: the file's column whose texts are replaced as `variants` say.
    """
    return _dataset_class()(batches, first, names, variant, variants)


@functools.cache
def _dataset_class() -> Any:
    """Made when it is first used, so that `ame --help` imports no Arrow."""
    import pyarrow as pa
    import pyarrow.dataset as ds

    class Renamed(ds.InMemoryDataset):  # type: ignore[misc]
        """Columns of a file under the gate's names; nothing is held but the batch that is read."""

        def __init__(
            self,
            batches: Batches,
            first: pa.RecordBatch | None,
            names: Mapping[str, str],
            variant: str,
            variants: Mapping[str, str],
        ) -> None:
            self._batches, self._names = batches, dict(names)
            self._variant, self._variants = variant, variants
            kinds = [
                (name, pa.null() if first is None else self._read(first, name).type) for name in self._names
            ]
            super().__init__(pa.schema(kinds).empty_table())

        def to_batches(self, columns: list[str] | None = None, **_: Any) -> Iterator[pa.RecordBatch]:
            wanted = columns or list(self._names)
            for batch in self._batches:
                yield pa.RecordBatch.from_arrays([self._read(batch, name) for name in wanted], names=wanted)

        def count_rows(self, **_: Any) -> int | None:
            return self._batches.rows

        def _read(self, batch: pa.RecordBatch, name: str) -> pa.Array:
            file = self._names[name]
            column = batch.column(file)
            return _called(column, self._variants) if self._variants and file == self._variant else column

    return Renamed


def _called(column: pa.Array, names: Mapping[str, str]) -> pa.Array:
    """The variants as the gate calls them; its own words stand for nothing else."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from ame.gate.columns import plain

    names = {**{model: f"{model} (other)" for model in MODELS}, **names}
    values = plain(column)
    if isinstance(values, pa.DictionaryArray):
        values = values.dictionary_decode()
    try:
        texts = values.cast(pa.string())
    except pa.ArrowException:
        return column  # the gate says of what type it is
    places = pc.index_in(texts, value_set=pa.array(list(names), pa.string()))
    return pc.if_else(pc.is_null(places), texts, pa.array(names.values(), pa.string()).take(places))
