"""What must be in order before two models are compared; a check that fails makes the test invalid.

Bad rows are counted and named, never dropped: a model that fails on one row in a hundred would look
better for it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ame.gate.config import ABTest
from ame.gate.estimates import by_class, roles
from ame.gate.result import Check
from ame.gate.row_checks import example, joined, number_of, row_checks
from ame.gate.slices import MIN_ENTITIES
from ame.gate.summary import GroupSummary
from ame.gate.tally import MODELS, Tally

__all__ = ["data_checks", "entity_check"]


def data_checks(config: ABTest, tally: Tally) -> tuple[Check, ...]:
    """Every check of what was counted, in order; when a row by itself is not in order they end with it."""
    counted = tuple(row_checks(config, tally))
    if not all(check.passed for check in counted):
        return counted
    return (*counted, *_rows_together(config, tally))


def entity_check(
    config: ABTest, group: GroupSummary, design_effect: float | None = None, *, hashed: bool = False
) -> Check:
    """Whether there are enough entities, and, once it is known, what their dependence costs.

    `hashed` says that each of the group's entities may be several, which a hash has put together.
    """
    if config.entity is None:
        return Check("entities", True, "Rows are independent of each other.")
    rare = by_class(config, config.primary.metric)
    what = "groups of whole entities" if hashed else "entities"
    counts = (
        f"{group.entities:,} {what} in '{config.entity}' (as good as {group.effective_entities:,.1f} of "
        "equal size)"
    )
    fewest = min(group.effective_entities, group.entities)
    if rare:
        counts += f", {group.fewest_entities:,} with rows of the rarer class"
        fewest = min(fewest, group.fewest_entities)
    if fewest < MIN_ENTITIES:
        return Check(
            "entities",
            False,
            f"Too few entities: {counts}, and at least {MIN_ENTITIES} {'of each ' * rare}are needed. Collect "
            "rows of more entities.",
        )
    return Check("entities", True, f"{counts}.{_dependence(group.rows, design_effect)}")


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


def _rows_together(config: ABTest, tally: Tally) -> Iterator[Check]:
    """Checks of the table as a whole, when each row by itself is in order."""
    if config.row is not None:
        yield _duplicates(config, tally)
    else:
        yield from _look_repeated(config, tally)
    if config.task != "regression":
        yield _classes(config, tally)
    yield _varying(config, tally)


def _duplicates(config: ABTest, tally: Tally) -> Check:
    # Beyond what is counted exactly there are two estimates from below: by a sample of the keys, which sees
    # any repetition that is spread over many keys, and by how many keys there are, which sees one key in
    # a large part of the rows.
    sketch = tally.sketch
    share = tally.repeats.rows() / tally.rows
    if not tally.repeats.is_exact and sketch.sampled:
        share = max(share, sketch.repeated / sketch.sampled)
    about = "" if tally.repeats.is_exact else "about "
    counts = f"{about}{share * tally.rows:,.0f} of {tally.rows:,} rows"
    if share <= config.max_duplicates:
        return Check("duplicates", True, f"{counts} repeat another row's '{config.row}'.")
    return Check(
        "duplicates",
        False,
        f"{counts[0].upper()}{counts[1:]} ({100 * share:.3g} %) repeat another row's '{config.row}', and at "
        f"most {100 * config.max_duplicates:g} % may. A row that counts twice makes every number look surer "
        "than it is: leave the repetitions out"
        + (", or name the column that tells rows apart as `row`." if config.row_is_content else "."),
        blocks=not config.row_is_content,
    )


def _look_repeated(config: ABTest, tally: Tally) -> Iterator[Check]:
    """A warning where rows without a key look like repetitions of each other.

    Scores of a few values meet by chance. But where two rows that share the champion's score share all the
    rest too, nearly always, the scores are not what brings them together.
    """
    repeated = tally.repeats.rows()
    different, answers = tally.rows - repeated, tally.rows - tally.answers.rows()
    if repeated > config.max_duplicates * tally.rows and answers >= 0.9 * different:
        yield Check(
            "duplicates",
            False,
            f"{repeated:,} of {tally.rows:,} rows ({100 * repeated / tally.rows:.3g} %) look like "
            "repetitions: both scores, the label and all else that was read are those of another row. Name "
            "the column that tells rows apart as `row`, or leave the repetitions out.",
            blocks=False,
        )


def _classes(config: ABTest, tally: Tally) -> Check:
    if config.task == "multiclass":
        return _rare_classes(config, tally)
    negatives, positives = tally.class_rows.tolist()
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


def _rare_classes(config: ABTest, tally: Tally) -> Check:
    """Rare classes make a mean over the classes unsure; they hardly matter to a mean over the rows."""
    names = [example(each) for each in config.classes or range(tally.class_rows.size)]
    few = [
        f"class {name} has {number_of(rows, 'row')}"
        for name, rows in zip(names, tally.class_rows.tolist(), strict=True)
        if rows < config.min_positives
    ]
    if not few:
        return Check("classes", True, f"{tally.class_rows.min():,} rows at least in each class.")
    by_classes = any(
        by_class(config, metric) for metric, (role, _) in roles(config).items() if role != "reported"
    )
    shown = ", ".join(few[:3]) + (f" and {len(few) - 3:,} more are as rare" if len(few) > 3 else "")
    return Check(
        "classes",
        False,
        f"Too few rows: {shown}, and at least {config.min_positives} of each are needed. Collect more "
        "labelled rows.",
        blocks=by_classes,
    )


def _varying(config: ABTest, tally: Tally) -> Check:
    constant = [model for model in MODELS if np.array_equal(tally.lowest[model], tally.highest[model])]
    if config.task == "multiclass":
        values = joined(f"the {model} gives every row the same probabilities" for model in constant)
    else:
        values = joined(f"the {model} gives every row {tally.lowest[model]:g}" for model in constant)
    ranks = "ranks" if config.task == "binary" else "tells"
    return Check(
        "scores vary",
        not constant,
        f"{values[0].upper()}{values[1:]}. A constant score {ranks} nothing: look at how the model is scored."
        if constant
        else "Both models tell rows apart.",
    )
