"""A holdout that is read in pieces: parquet or CSV files on a disk or in a bucket, or a catalog's table."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs as pafs

from ame.diagnosis import Diagnosis, Refused, Where
from ame.places import Place, in_threads, place_of
from ame.scoring.formats import FORMATS, common_format, dataset_of, whole_schema
from ame.scoring.holdout import readable, require_columns
from ame.scoring.spark.footers import Footer, etag_of, read_footer
from ame.scoring.spark.pieces import PIECE_ROWS, Piece, Rows, cut

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["SparkHoldout", "open_spark_holdout"]


@dataclass(frozen=True, slots=True)
class SparkHoldout:
    """Labelled rows that both models are scored on, by Spark's executors.

    Attributes:
        name: the data set's name, path, URI or table.
        digest: SHA-256 that identifies the rows without reading them. Of parquet files: their names, sizes
            and footers, which hold the sizes and the bounds of every column. Of CSV files: names and
            contents; in a bucket, names, sizes and ETags, and of parquet files too the ETags. Of a table:
            its name, columns, plan and the files that it consists of at this moment (table formats never
            write a file's name again); of a table without files, a sum of its rows' hashes.
        columns: in the files' order, those that folders' names spell (`day=7`) last.
        where: of the section that names it.
        kind: what a diagnosis calls it: the holdout, or the training rows.
        pieces: in the order of the rows; none of a table.
        reading: how pieces are read; None of a table.
        table: the table's name in the catalog; None of files.
    """

    name: str
    digest: str
    columns: tuple[str, ...]
    where: Where
    kind: str = "holdout"
    pieces: tuple[Piece, ...] = field(default=(), repr=False)
    reading: Rows | None = field(default=None, repr=False)
    table: str | None = None
    _schema: pa.Schema = field(default=None, repr=False)

    @property
    def rows(self) -> int | None:
        """How many there are; None where only reading tells."""
        told = [piece.rows for piece in self.pieces]
        known = [rows for rows in told if rows is not None]
        return sum(known) if self.table is None and len(known) == len(told) else None

    @property
    def dataset(self) -> ds.Dataset | None:
        """All rows and columns, for whoever reads them in their own way; None of a table."""
        if self.reading is None:
            return None
        return self.reading.dataset([part for piece in self.pieces for part in piece.parts])

    def schema(self, columns: Sequence[str]) -> pa.Schema:
        """The Arrow types of columns."""
        return pa.schema([self._schema.field(name) for name in columns])

    def frame(self, spark: SparkSession) -> DataFrame:
        """The rows of a table, in this session."""
        return spark.table(str(self.table))

    def require(self, columns: Sequence[str], where: Where, what_for: str) -> None:
        """Refuse to go on without these columns.

        Raises:
            Refused: AME-E402.
        """
        require_columns(self.name, self.kind, self.columns, columns, where, what_for)


def open_spark_holdout(
    data: str | Path,
    name: str,
    where: Where,
    kind: str = "holdout",
    *,
    spark: SparkSession | None = None,
) -> SparkHoldout:
    """Open a file or a folder of files of one format, or a table; no row of parquet files is read.

    Args:
        data: a `Path`, an `s3://` URI, or as a text without `://` the name of a table in the catalog.
        spark: the session whose catalog has the table; by default the active one of this process, else one
            that is opened for as long as the table is looked up.

    Raises:
        Refused: AME-E401, when there is nothing that can be read as parquet or CSV, or no such table.
    """
    if isinstance(data, str) and "://" not in data:
        return _open_table(data, name, where, kind, spark)
    with readable(f"{kind} '{name}'", where, _shown(data)):
        place = place_of(data)
        files = place.files()
        if not files:
            raise ValueError("There is no data file")
        form = common_format(each.path for each in files)
        system = place.system()
        single = [each.path for each in files] == [place.path]
        footers: Sequence[Footer] = []
        if form == "parquet":
            footers = in_threads(lambda each: read_footer(system, each.path), files)
            schemas = {each.path: foot.schema for each, foot in zip(files, footers, strict=True)}
        else:
            schemas = {each.path: FORMATS[form].inspect(each.path, filesystem=system) for each in files}
        whole = whole_schema(schemas, form)
        data_set = dataset_of(list(schemas), whole, form, system, None if single else place.path)
        digest = _digest(place, system, files, footers)
    spelled = {fragment.path: fragment.partition_expression for fragment in data_set.get_fragments()}
    groups: list[list[int] | None] = [_groups(footer) for footer in footers] or [None] * len(files)
    described = [
        (each.path, spelled[each.path], each.size, group) for each, group in zip(files, groups, strict=True)
    ]
    # Names of files with scores have five digits.
    most = max(PIECE_ROWS, sum(map(sum, filter(None, groups))) // 40_000)
    return SparkHoldout(
        name=name,
        digest=digest,
        columns=tuple(data_set.schema.names),
        where=where,
        kind=kind,
        pieces=cut(described, most),
        reading=Rows(place, form, data_set.schema),
        _schema=data_set.schema,
    )


def _groups(footer: Footer) -> list[int] | None:
    """The rows of each row group."""
    told = footer.metadata
    return [told.row_group(number).num_rows for number in range(told.num_row_groups)]


def _shown(data: str | Path) -> str:
    return data.name if isinstance(data, Path) else data


def _digest(
    place: Place, system: pafs.FileSystem, files: Sequence[pafs.FileInfo], footers: Sequence[Footer]
) -> str:
    def content(path: str) -> str:
        if place.bucket:
            return etag_of(system, path)
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    paths = [each.path for each in files]
    contents: Sequence[str] = [hashlib.sha256(foot.content).hexdigest() for foot in footers]
    told = in_threads(content, paths) if place.bucket or not footers else [""] * len(paths)
    ends = contents or [""] * len(paths)
    base = PurePosixPath(place.path if paths != [place.path] else PurePosixPath(place.path).parent)
    lines = [
        [str(PurePosixPath(each.path).relative_to(base)), each.size, end, tag]
        for each, end, tag in zip(files, ends, told, strict=True)
    ]
    return _sha256(lines)


def _open_table(table: str, name: str, where: Where, kind: str, spark: SparkSession | None) -> SparkHoldout:
    from pyspark.errors import PySparkException

    from ame.spark import open_session

    with nullcontext(spark) if spark is not None else open_session() as session:
        try:
            frame = session.table(table)
            schema = _arrow(frame)
            digest = _digest_of_table(table, frame)
        except PySparkException as error:
            raise Refused(
                Diagnosis(
                    code="AME-E401",
                    where=where,
                    what=f"the {kind} '{name}' cannot be read from the table {table}.",
                    why=f"Spark says: {str(error).splitlines()[0].strip()}",
                    fix="Name a table that the catalog of the Spark session has, as CATALOG.SCHEMA.TABLE.",
                )
            ) from None
    return SparkHoldout(name, digest, tuple(schema.names), where, kind, table=table, _schema=schema)


def _arrow(frame: DataFrame) -> pa.Schema:
    from pyspark.sql.pandas.types import to_arrow_schema

    return to_arrow_schema(frame.schema)


def _digest_of_table(table: str, frame: DataFrame) -> str:
    from pyspark.sql import functions as of

    from ame.scoring.spark.native import quoted

    # Numbers of expressions differ from session to session.
    plan = re.sub(r"#\d+L?", "", str(frame._jdf.queryExecution().analyzed().toString()))  # noqa: SLF001
    described: list[Any] = [table, frame.schema.json(), plan]
    files = sorted(frame.inputFiles())
    if not files:
        row = of.xxhash64(*(of.col(quoted(column)).cast("string") for column in frame.columns))
        total = frame.agg(of.count("*"), of.sum(row.cast("decimal(38,0)"))).first()
        files = [str(value) for value in total or ()]
    return _sha256([*described, files])


def _sha256(told: Any) -> str:
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()
