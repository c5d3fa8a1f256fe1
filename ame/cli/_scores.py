"""A file of scores as the command line names it: which column is what, and what is asked of the test.

The file keeps its own names; the gate reads its columns under the names that it expects, batch by batch,
so that nothing is written again and no other column of the file gets in the way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ame.cli._renamed import MODELS, renamed_dataset
from ame.diagnosis import Diagnosis, Refused, Where
from ame.gate.config import ABTest, Margin, problems

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.dataset as ds

    from ame.gate.batches import Batches

__all__ = ["NamedScores", "named_scores"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedScores:
    """A file of scores, to be read by the gate.

    Attributes:
        path: the file or folder.
        config: the test, with the names that the gate reads.
        asked: the same test with the file's own names; it knows no scores.
        scores: the file's columns with scores.
        data: what `run_ab_test` reads.
    """

    path: Path
    config: ABTest
    asked: ABTest
    scores: tuple[str, ...]
    data: str | ds.Dataset
    _renamed: ds.Dataset

    def digest(self) -> str:
        """SHA-256 of the names and the contents of the files.

        Raises:
            Refused: AME-E504, when one cannot be read.
        """
        whole = hashlib.sha256()
        with _readable(self.path):
            for file in _data_files(self.path):
                with file.open("rb") as opened:
                    content = hashlib.file_digest(opened, "sha256").hexdigest()
                name = str(file.relative_to(self.path))
                whole.update(f"{name}\0{content}\n".encode(errors="surrogateescape"))
        return whole.hexdigest()

    def table(self) -> pa.Table:
        """All rows of the columns that the test reads, in memory.

        Raises:
            Refused: AME-E504.
        """
        import pyarrow as pa

        with _readable(self.path):
            parts = [pa.Table.from_batches([batch]) for batch in self._renamed.to_batches()]
        if not parts:
            return self._renamed.schema.empty_table()
        return pa.concat_tables(parts, promote_options="permissive")


def named_scores(path: Path, given: Mapping[str, Any]) -> NamedScores:
    """Open the file for the test that the options ask for.

    Args:
        given: the values of `ame.cli._score_options.column_options` by their Python names.

    Raises:
        click.UsageError: without --label, for a guardrail that is not METRIC=MARGIN.
        Refused: as `ame.gate.config.problems` says, AME-E504, AME-E505, AME-E506 when a score is given twice
            or is another column, too.
    """
    if not given["label"]:
        raise click.UsageError("Missing option '--label': the column with the truth.")
    asked = _config(given)
    models = (given["champion"], given["challenger"])
    split = asked.design == "split"
    scores = (given["score"],) if split else models
    config, own = _as_the_gate_reads(asked, ("score",) if split else MODELS)
    if wrong := (*_used_twice(asked, scores, models), *problems(config)):
        raise Refused(*wrong)
    wanted = _columns(asked, scores)
    with _readable(path):
        batches = _open(path, asked, scores, wanted)
        first = next(iter(batches), None)
        # A column of lists has no dictionary; what it is gets counted, and makes the test invalid.
        coded = [] if first is None else [name for name in asked.slices if not _nested(first.column(name))]
        batches = _open(path, asked, scores, wanted, coded)
    if given["classes"]:
        kind = None if first is None else first.column(asked.label).type
        classes = tuple(_like(kind, text) for text in given["classes"])
        config, asked = replace(config, classes=classes), replace(asked, classes=classes)
    names = {**own, **dict(zip(("score",) if split else MODELS, scores, strict=True))}
    names = {gate: file for gate, file in names.items() if file in wanted}
    variants = dict(zip(models, MODELS, strict=True)) if split and models != MODELS else {}
    renamed = renamed_dataset(batches, first, names, asked.variant, variants)
    same = not variants and all(gate == file for gate, file in names.items())
    plain = same and len(coded) == len(asked.slices)
    return NamedScores(
        path=path,
        config=config,
        asked=asked,
        scores=scores,
        data=str(path) if plain else renamed,
        _renamed=renamed,
    )


def _config(given: Mapping[str, Any]) -> ABTest:
    known = {each.name for each in fields(ABTest)} - {"primary", "guardrails", "classes"}
    said = {name: value for name, value in given.items() if name in known and value is not None}
    if given["classes"]:
        # Their types are known once the file is open.
        said["classes"] = given["classes"]
    return ABTest(
        primary=Margin(given["primary"] or "", given["margin"] or 0.0),
        guardrails=tuple(_guardrail(text) for text in given["guardrails"]),
        **said,
    )


def _guardrail(text: str) -> Margin:
    metric, separator, margin = text.partition("=")
    try:
        return Margin(metric.strip(), float(margin if separator else ""))
    except ValueError:
        raise click.BadParameter(
            f"'{text}' is not METRIC=MARGIN, such as log_loss=0.005", param_hint="--guardrail"
        ) from None


def _as_the_gate_reads(asked: ABTest, reserved: tuple[str, ...]) -> tuple[ABTest, dict[str, str]]:
    """The test with names beside which the scores may have theirs, and the file's name of each."""
    own: dict[str, str] = {}

    def free(name: str) -> str:
        called = name
        while called in reserved or own.get(called, name) != name:
            called += " (column)"
        own[called] = name
        return called

    named: dict[str, Any] = {
        role: free(column)
        for role in ("label", "entity", "row", "time", *(["variant"] if asked.design == "split" else []))
        if (column := getattr(asked, role)) is not None
    }
    named["slices"] = tuple(free(name) for name in asked.slices)
    return replace(asked, **named), own


def _used_twice(asked: ABTest, scores: tuple[str, ...], models: tuple[str, str]) -> Iterator[Diagnosis]:
    if asked.design == "split" and models[0] == models[1]:
        yield Diagnosis(
            code="AME-E506",
            what=f"Champion and challenger are both '{models[0]}' in the column '{asked.variant}'.",
            fix="Say with --champion and --challenger what that column holds for each.",
        )
    others = [asked.label, asked.entity, asked.row, asked.time, *asked.slices]
    if asked.design == "split":
        others.append(asked.variant)
    for column in dict.fromkeys(scores):
        if scores.count(column) > 1 or column in others:
            yield Diagnosis(
                code="AME-E506",
                what=f"The A/B test uses the column '{column}' for two things.",
                why="Scores have columns of their own.",
                fix="Name another column.",
            )


def _columns(asked: ABTest, scores: tuple[str, ...]) -> list[str]:
    """The file's columns that the gate reads."""
    named = [asked.label, asked.entity, asked.row, *asked.slices]
    if asked.design == "split":
        from ame.gate.split.reading import needs_score

        named += [asked.variant, *(scores if needs_score(asked) else ())]
    else:
        named += [asked.time, *scores]
    return [column for column in dict.fromkeys(named) if column is not None]


def _open(
    path: Path, asked: ABTest, scores: tuple[str, ...], wanted: list[str], coded: Sequence[str] = ()
) -> Batches:
    import pyarrow as pa

    from ame.gate.batches import open_batches

    texts = [*asked.slices, *([asked.variant] if asked.design == "split" else [])]
    types: dict[str, pa.DataType] = dict.fromkeys(texts, pa.string())
    if asked.task != "multiclass":
        types |= dict.fromkeys(scores, pa.float64())
    if asked.task == "regression":
        types[asked.label] = pa.float64()
    return open_batches(path, wanted, csv_types=types, coded=coded)


def _data_files(path: Path) -> list[Path]:
    """Those that are read: of a folder without what is hidden."""
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.rglob("*") if file.is_file())
    return [file for file in found if not any(p[0] in "._" for p in file.relative_to(path).parts)]


def _nested(column: pa.Array) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_nested(column.type))


def _like(kind: pa.DataType | None, text: str) -> str | int | float | bool:
    """A class as the label's column has it."""
    import pyarrow as pa

    if kind is not None and pa.types.is_dictionary(kind):
        kind = kind.value_type
    if kind is None or pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return text
    if pa.types.is_boolean(kind) and text.lower() in ("true", "false"):
        return text.lower() == "true"
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Refused(
            Diagnosis(
                code="AME-E504",
                where=Where(str(path)),
                what="The table of scores cannot be read.",
                why=f"{error.strerror or type(error).__name__}.",
                fix="Give a parquet or CSV file, or a folder of such files of one kind.",
            )
        ) from error
