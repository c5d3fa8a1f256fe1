"""What must be in order in each row by itself, from what was counted while the rows were read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ame.gate.config import ABTest
from ame.gate.result import Check
from ame.gate.tally import MAX_SLICE_VALUES, Tally

__all__ = ["example", "joined", "number_of", "row_checks"]


def row_checks(config: ABTest, tally: Tally) -> Iterator[Check]:
    """Every check of single rows, in order; those that later ones rest on come first and end the list."""
    wrong = ", ".join(f"'{column}' holds {kind}" for column, kind in tally.wrong_types.items())
    wanted, found = {
        "binary": ("scores and labels must be numbers", "Labels and scores are numbers."),
        "regression": ("predictions and labels must be numbers", "Labels and predictions are numbers."),
        "multiclass": (
            "a model's scores must be lists of one probability for each class, labels numbers or texts",
            "Labels are numbers or texts, and scores lists of probabilities.",
        ),
    }[config.task]
    plain = f"{wanted}, and an entity a plain value. Convert the column."
    if {config.time, config.row, *config.slices} & set(tally.wrong_types):
        plain = (
            f"{wanted}, entities, rows and slices plain values, and times dates or numbers. Convert the "
            "column."
        )
    yield Check("columns", not wrong, f"{wrong}: {plain}" if wrong else found)
    yield Check(
        "rows",
        tally.rows > 0,
        f"{tally.rows:,} rows."
        if tally.rows
        else "The table of scores has no rows. Score some labelled rows with both models.",
    )
    if wrong or not tally.rows:
        return
    if config.task == "multiclass":
        yield _lengths(config, tally)
        if len(tally.lengths) > 1:
            return
    yield _labels(config, tally)
    yield _answers(tally)
    yield _ranges(config, tally)
    yield from _present(config, tally)
    if config.slices:
        yield _slice_columns(config, tally)


def _lengths(config: ABTest, tally: Tally) -> Check:
    lengths = sorted(tally.lengths)
    expected = len(config.classes) or tally.classes
    if len(lengths) > 1:
        detail = f"Scores are lists of {joined(map(str, lengths))} probabilities in different rows."
    elif lengths and (tally.classes != expected or tally.classes < 2):
        named = f", and {expected} classes are named" if config.classes else ""
        detail = f"Scores are lists of {tally.classes} probabilities{named}."
    else:
        return Check("number of classes", True, f"{expected} classes.")
    return Check(
        "number of classes", False, f"{detail} Score with one probability for each class, in every row."
    )


def _labels(config: ABTest, tally: Tally) -> Check:
    multiclass = config.task == "multiclass"
    of_these = {
        "binary": "0 or 1",
        "regression": "a finite number",
        "multiclass": "one of the classes",
    }[config.task]
    if tally.labels_missing:
        detail = (
            f"{_of(tally.labels_missing, tally)} have no label in '{config.label}'. Score only rows whose "
            "outcome is known."
        )
    elif tally.labels_other:
        examples = ", ".join(example(value) for value in tally.label_examples)
        have = f"{_of(tally.labels_other, tally)} have a label in '{config.label}'"
        if multiclass:
            classes = config.classes or range(tally.classes)
            names = ", ".join(example(each) for each in classes)
            detail = (
                f"{have} that is none of the classes {names} (such as {examples}). Name the classes, in the "
                "order of the scores."
            )
        elif config.task == "regression":
            detail = (
                f"{have} that is no finite number below 1e75 (such as {examples}). Correct them or leave "
                "these rows out."
            )
        else:
            detail = (
                f"{have} other than 0 and 1 (such as {examples}). Encode the positive class as 1 and the "
                "other as 0."
            )
    else:
        return Check("label", True, f"Every label is {of_these}.")
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


def _ranges(config: ABTest, tally: Tally) -> Check:
    outside = _by_model(tally.out_of_range, "scores" if config.task == "binary" else "rows")
    if config.task == "regression":
        name, good = "predictions are finite", "Every prediction is finite."
        bad = (
            f"{outside} have a prediction that is no finite number below 1e75. Look at how the model is "
            "scored."
        )
        return Check(name, not outside, bad if outside else good)
    name = "scores are probabilities"
    if config.task == "binary":
        bad = f"{outside} lie outside [0, 1]. Score with the probability of the positive class."
        return Check(name, not outside, bad if outside else "Every score lies in [0, 1].")
    off = _by_model(tally.not_summing, "rows")
    if outside:
        bad = f"{outside} have a probability outside [0, 1]. Score with a probability for each class."
    else:
        bad = f"{off} have probabilities that do not sum to 1. Score with a probability for each class."
    return Check(name, not (outside or off), bad if outside or off else "Every row's probabilities sum to 1.")


def _present(config: ABTest, tally: Tally) -> Iterator[Check]:
    for name, column, missing in (
        ("entity present", config.entity, tally.entities_missing),
        ("row present", config.row, tally.keys_missing),
        ("time present", config.time, tally.times_missing),
    ):
        if column is None:
            continue
        found = f"Every row has a value in '{column}'."
        if column == config.time and tally.times is not None:
            found = f"Every row has a time in '{column}', from {tally.times[0]} to {tally.times[1]}."
        lacking = f"{_of(missing, tally)} have no {column}. Fill it in or leave these rows out."
        yield Check(name, not missing, lacking if missing else found)


def _slice_columns(config: ABTest, tally: Tally) -> Check:
    many = tally.too_many_values
    if many:
        return Check(
            "slices",
            False,
            f"{joined(repr(name) for name in many)} {'has' if len(many) == 1 else 'have'} more than "
            f"{MAX_SLICE_VALUES} different values. Name a column of coarser values, such as a region for an "
            "address or a band for a number.",
        )
    counts = [f"'{name}' has {number_of(len(tally.slice_values[name]), 'value')}" for name in config.slices]
    return Check("slices", True, f"{joined(counts)}.")


def _of(count: int, tally: Tally) -> str:
    return f"{count:,} of {tally.rows:,} rows"


def _by_model(counts: dict[str, int], what: str) -> str:
    return " and ".join(f"{count:,} {what} of the {model}" for model, count in counts.items() if count)


def joined(parts: Iterable[str]) -> str:
    """`a and b`."""
    return " and ".join(parts)


def number_of(count: int, what: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{count:,} {what}{'s' * (count != 1)}"


def example(value: object) -> str:
    """A label as a sentence shows it."""
    return f"{value:g}" if isinstance(value, float) else str(value)[:40]
