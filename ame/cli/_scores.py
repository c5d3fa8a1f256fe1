"""A file of scores as the command line names it: which column is what, and what is asked of the test.

The file keeps its own names; the gate reads its columns under the names that it expects, batch by batch,
so that nothing is written again and no other column of the file gets in the way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import click

from ame.diagnosis import Diagnosis, Refused
from ame.gate.config import ABTest, Margin, problems

if TYPE_CHECKING:
    import pyarrow as pa

    from ame.gate.batches import Renamed

__all__ = ["NamedScores", "named_scores"]

MODELS = ("champion", "challenger")

_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedScores:
    """A file of scores, to be read by the gate.

    Attributes:
        path: the file or folder, or a URI.
        config: the test, with the names that the gate reads.
        asked: the same test with the file's own names; it knows no scores.
        scores: the file's columns with scores.
        data: what `run_ab_test` reads.
    """

    path: str
    config: ABTest
    asked: ABTest
    scores: tuple[str, ...]
    data: str | Renamed

    def digest(self) -> str:
        """SHA-256 of the names and the contents of the files.

        Raises:
            Refused: AME-E504, when one cannot be read.
        """
        from ame.gate.found import find, readable

        found, whole = find(self.path), hashlib.sha256()
        system = found.place.system()
        with readable(self.path):
            for file in found.files:
                content = hashlib.sha256()
                with system.open_input_stream(file) as opened:
                    while read := opened.read(_AT_ONCE):
                        content.update(read)
                name = str(PurePosixPath(file).relative_to(found.place.path))
                whole.update(f"{name}\0{content.hexdigest()}\n".encode(errors="surrogateescape"))
        return whole.hexdigest()


def named_scores(path: str, given: Mapping[str, Any]) -> NamedScores:
    """The file for the test that the options ask for.

    Args:
        path: a file or folder, or `s3://bucket/prefix`.
        given: the values of `ame.cli._score_options.column_options` by their Python names.

    Raises:
        click.UsageError: without --label, for a guardrail that is not METRIC=MARGIN.
        Refused: as `ame.gate.config.problems` says, AME-E506 when a score is given twice or is another
            column, too; where classes are named, AME-E504 and AME-E505.
    """
    if not given["label"]:
        raise click.UsageError("Missing option '--label': the column with the truth.")
    asked = _config(given)
    models = (given["champion"], given["challenger"])
    split = asked.design == "split"
    scores = (given["score"],) if split else models
    roles = ("score",) if split else MODELS
    config, own = _as_the_gate_reads(asked, roles)
    if wrong := (*_used_twice(asked, scores, models), *problems(config)):
        raise Refused(*wrong)
    if given["classes"]:
        kind = _type_of(path, asked.label)
        classes = tuple(_like(kind, text) for text in given["classes"])
        config, asked = replace(config, classes=classes), replace(asked, classes=classes)
    from ame.gate.batches import Renamed

    names = {
        gate: file for gate, file in {**own, **dict(zip(roles, scores, strict=True))}.items() if gate != file
    }
    variants = _variants(models) if split and models != MODELS else {}
    data = Renamed(path, names, asked.variant if variants else None, variants)
    return NamedScores(
        path=path,
        config=config,
        asked=asked,
        scores=scores,
        data=data if names or variants else path,
    )


def _variants(models: tuple[str, str]) -> dict[str, str]:
    """What the file calls the models, and the gate's own words, which stand for nothing else."""
    return {**{model: f"{model} (other)" for model in MODELS}, **dict(zip(models, MODELS, strict=True))}


def _type_of(path: str, column: str) -> pa.DataType | None:
    """A column's type in the first rows; None where there are none."""
    from ame.gate.batches import open_batches

    first = next(iter(open_batches(path, [column])), None)
    return None if first is None else first.column(column).type


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
