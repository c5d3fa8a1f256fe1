"""What must be in order before two models are compared; a check that fails makes the test invalid.

Bad rows are counted and named, never dropped: a model that fails on one row in a hundred would look
better for it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ame.gate.config import ABTest
from ame.gate.inference import effective_entities, entities_in_smaller_class
from ame.gate.result import Check
from ame.gate.table import MODELS, ScoredRows, Tally

__all__ = ["MIN_ENTITIES", "data_checks", "entity_check", "predict_the_same"]

#: Sums over fewer entities than this tell too little about their own variance.
MIN_ENTITIES = 20


def data_checks(config: ABTest, rows: ScoredRows, tally: Tally) -> tuple[Check, ...]:
    """Every check of the rows, in order; those that later ones rest on come first and end the list."""
    counted = tuple(_counted(config, tally))
    if not all(check.passed for check in counted):
        return counted
    checks = [*counted, _classes(config, rows), *_varying(rows)]
    if config.entity is not None:
        checks.append(entity_check(config.entity, rows))
    return tuple(checks)


def predict_the_same(rows: ScoredRows) -> bool:
    """Whether both models gave every row exactly the same score."""
    return bool(np.array_equal(rows.champion, rows.challenger))


def entity_check(column: str, rows: ScoredRows, design_effect: float | None = None) -> Check:
    """Whether there are enough entities, and, once it is known, what their dependence costs."""
    if rows.entity is None:
        return Check("entities", True, "Rows are independent of each other.")
    effective = effective_entities(rows.entity, rows.entities)
    holders = entities_in_smaller_class(rows.label, rows.entity, rows.entities)
    counts = (
        f"{rows.entities:,} entities in '{column}' (as good as {effective:,.1f} of equal size), "
        f"{holders:,} with rows of the rarer class"
    )
    if min(effective, holders) < MIN_ENTITIES:
        return Check(
            "entities",
            False,
            f"Too few entities: {counts}, and at least {MIN_ENTITIES} of each are needed. Collect rows of "
            "more entities.",
        )
    return Check("entities", True, f"{counts}.{_dependence(rows.label.size, design_effect)}")


def _dependence(rows: int, design_effect: float | None) -> str:
    if design_effect is None:
        return ""
    cost = (
        f"rows of one entity depend on each other, and {rows:,} rows tell as much as "
        f"{rows / design_effect:,.0f} independent ones would"
        if design_effect > 1.5
        else "rows of one entity hardly depend on each other"
    )
    return f" Design effect {design_effect:.2f}: {cost}."


def _counted(config: ABTest, tally: Tally) -> Iterator[Check]:
    wrong = ", ".join(f"'{column}' holds {kind}" for column, kind in tally.wrong_types.items())
    yield Check(
        "columns",
        not wrong,
        f"{wrong}: scores and labels must be numbers, and an entity a plain value. Convert the column."
        if wrong
        else "Labels and scores are numbers.",
    )
    yield Check(
        "rows",
        tally.rows > 0,
        f"{tally.rows:,} rows."
        if tally.rows
        else "The table of scores has no rows. Score some labelled rows with both models.",
    )
    if wrong or not tally.rows:
        return
    yield _labels(config, tally)
    yield _answers(tally)
    yield _ranges(tally)
    if config.entity is not None:
        missing = tally.entities_missing
        yield Check(
            "entity present",
            not missing,
            f"{_of(missing, tally)} have no {config.entity}. Fill it in or leave these rows out."
            if missing
            else f"Every row has a value in '{config.entity}'.",
        )


def _labels(config: ABTest, tally: Tally) -> Check:
    if tally.labels_missing:
        detail = (
            f"{_of(tally.labels_missing, tally)} have no label in '{config.label}'. Score only rows whose "
            "outcome is known."
        )
    elif tally.labels_other:
        examples = ", ".join(f"{value:g}" for value in tally.label_examples)
        detail = (
            f"{_of(tally.labels_other, tally)} have a label in '{config.label}' other than 0 and 1 "
            f"(such as {examples}). Encode the positive class as 1 and the other as 0."
        )
    else:
        return Check("label", True, "Every label is 0 or 1.")
    return Check("label", False, detail)


def _answers(tally: Tally) -> Check:
    absent = {model: count for model, count in tally.unanswered.items() if count}
    if not absent:
        return Check("scores present", True, "Both models scored every row.")
    counts = " and ".join(f"{count:,} without a score of the {model}" for model, count in absent.items())
    nan = f", {tally.not_a_number:,} of them NaN" if tally.not_a_number else ""
    return Check(
        "scores present",
        False,
        f"Of {tally.rows:,} rows there are {counts}{nan}; {tally.answered_by_one:,} were scored by one model "
        "only. Both models must score the same rows: find out why one failed, and score again.",
    )


def _ranges(tally: Tally) -> Check:
    outside = {model: count for model, count in tally.out_of_range.items() if count}
    if not outside:
        return Check("scores are probabilities", True, "Every score lies in [0, 1].")
    counts = " and ".join(f"{count:,} scores of the {model}" for model, count in outside.items())
    return Check(
        "scores are probabilities",
        False,
        f"{counts} lie outside [0, 1]. Score with the probability of the positive class.",
    )


def _classes(config: ABTest, rows: ScoredRows) -> Check:
    positives = int(np.count_nonzero(rows.label))
    negatives = rows.label.size - positives
    counts = f"{positives:,} positive and {negatives:,} negative rows"
    fewer, name = min((positives, "positives"), (negatives, "negatives"))
    if fewer >= config.min_positives:
        return Check("classes", True, f"{counts}.")
    return Check(
        "classes",
        False,
        f"Too few {name}: {counts}, and at least {config.min_positives} of each are needed. Collect more "
        "labelled rows.",
    )


def _varying(rows: ScoredRows) -> Iterator[Check]:
    constant = [model for model in MODELS if np.ptp(getattr(rows, model)) == 0.0]
    values = " and ".join(f"the {model} gives every row {getattr(rows, model)[0]:g}" for model in constant)
    yield Check(
        "scores vary",
        not constant,
        f"{values[0].upper()}{values[1:]}. A constant score ranks nothing: look at how the model is scored."
        if constant
        else "Both models tell rows apart.",
    )


def _of(count: int, tally: Tally) -> str:
    return f"{count:,} of {tally.rows:,} rows"
