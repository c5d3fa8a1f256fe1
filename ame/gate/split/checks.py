"""What must be in order before the arms of split traffic are compared.

The sample ratio is checked first: when the arms do not have the shares of the traffic that they were
promised, something else than chance decided who got which model, and no difference between them means
anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from scipy.special import chdtrc

from ame.gate.config import ABTest
from ame.gate.result import Check
from ame.gate.slices import MIN_ENTITIES
from ame.gate.split.measure import Found, Measured
from ame.gate.split.reading import ARMS, SCORE, TrafficTally, needs_score
from ame.gate.tally import MAX_SLICE_VALUES

__all__ = ["MAX_SWITCHED", "group_checks", "sample_ratio", "tally_checks"]

#: The share of the units that may be seen in both arms. A few changed devices or lost cookies are usual; more
#: says that the assignment does not stick, and then each model is also judged by the other's doing.
MAX_SWITCHED = 0.001


def sample_ratio(champion: int, challenger: int, share: float) -> float:
    """The p-value of chi-squared of two counts when the challenger's share of them was to be `share`.

    One degree of freedom; a sample ratio mismatch (Fabijan et al. 2019, KDD) is a very small one.
    """
    total = champion + challenger
    expected = total * (1.0 - share), total * share
    statistic = sum((seen - wanted) ** 2 / wanted for seen, wanted in zip((champion, challenger), expected))  # noqa: B905
    return float(chdtrc(1, statistic))


def tally_checks(config: ABTest, tally: TrafficTally) -> tuple[Check, ...]:
    """The checks of what was counted, in order; they end with the first that others rest on."""
    return tuple(_tally_checks(config, tally))


def _tally_checks(config: ABTest, tally: TrafficTally) -> Iterator[Check]:
    common = tally.common
    wrong = ", ".join(f"'{column}' holds {kind}" for column, kind in common.wrong_types.items())
    yield Check(
        "columns",
        not wrong,
        f"{wrong}: outcomes and scores must be numbers, and the others plain values. Convert the column."
        if wrong
        else "Outcomes and scores are numbers.",
    )
    yield Check(
        "rows",
        tally.rows > 0,
        f"{tally.rows:,} rows." if tally.rows else "The table has no rows. Log some traffic of both models.",
    )
    if wrong or not tally.rows:
        return
    variant = _variant(config, tally)
    yield variant
    if config.entity is not None:
        missing = common.entities_missing
        yield Check(
            "entity present",
            not missing,
            f"{_of(missing, tally)} have no {config.entity}. Log which entity was assigned to the model."
            if missing
            else f"Every row has a value in '{config.entity}'.",
        )
    if not variant.passed:
        return
    yield _sample_ratio(config, tally)
    if config.entity is not None:
        yield _switched(config.entity, tally)
    yield _outcomes(config, tally)
    if needs_score(config):
        yield from _scores(config, tally)
    if config.row is not None:
        yield _duplicates(config, tally)
    if config.slices:
        yield _slice_columns(tally)


def _variant(config: ABTest, tally: TrafficTally) -> Check:
    others = tally.variants_other
    if others or tally.variants_missing:
        named = sum(others.values()) + tally.variants_missing
        shown = [f"'{text}' {count:,}" for text, count in others.most_common(5)]
        shown += [f"{len(others) - 5:,} other values"] if len(others) > 5 else []
        shown += [f"missing {tally.variants_missing:,}"] if tally.variants_missing else []
        return Check(
            "variant",
            False,
            f"{_of(named, tally)} name neither champion nor challenger in '{config.variant}' "
            f"({', '.join(shown)}). Write 'champion' for the rows that the version in use answered and "
            "'challenger' for those of the new one, and leave out all others.",
        )
    champion, challenger = tally.by_arm
    if min(champion, challenger) == 0:
        absent = ARMS[0] if champion == 0 else ARMS[1]
        return Check(
            "variant",
            False,
            f"No row of {tally.rows:,} was answered by the {absent}. Look at how the traffic is split.",
        )
    return Check("variant", True, f"{champion:,} rows of the champion and {challenger:,} of the challenger.")


def _sample_ratio(config: ABTest, tally: TrafficTally) -> Check:
    name, part = f"different values of '{config.entity}'", ""
    if config.entity is None:
        name, (champion, challenger) = "rows", tally.by_arm
    else:
        champion, challenger, _ = tally.units.counts
        if not tally.units.is_exact:
            part = f" of a random {tally.units.share:.3g} of them"
    p_value = sample_ratio(champion, challenger, config.share)
    total = champion + challenger
    counts = (
        f"The champion has {champion:,} and the challenger {challenger:,} {name}{part}, where a share of "
        f"{config.share:g} for the challenger makes {total * (1 - config.share):,.0f} and "
        f"{total * config.share:,.0f} (p = {p_value:.2g})"
    )
    if p_value >= config.sample_ratio_alpha:
        return Check("sample ratio", True, f"{counts}.")
    return Check(
        "sample ratio",
        False,
        f"{counts}: chance does not explain that, so the arms cannot be compared, and it is no loss of the "
        "challenger. Look for rows lost in one arm (time-outs, crashes, late or filtered logs, bots), for "
        "an assignment that changed on the way, and at whether `share` is what the router was given.",
    )


def _switched(entity: str, tally: TrafficTally) -> Check:
    champion, challenger, both = tally.units.counts
    units = champion + challenger - both
    found = f"{both:,} of {units:,} entities in '{entity}' ({100 * both / max(units, 1):.3g} %)"
    if both > MAX_SWITCHED * units:
        return Check(
            "one arm each",
            False,
            f"{found} were answered by both models, and {100 * MAX_SWITCHED:g} % may be. Assign by the "
            "entity, for the whole test, or name as the entity what was assigned.",
        )
    return Check("one arm each", True, f"{found} were answered by both models.")


def _outcomes(config: ABTest, tally: TrafficTally) -> Check:
    missing, common = sum(tally.outcomes_missing), tally.common
    wanted, encode = ("0 and 1", "Encode the positive outcome as 1 and the other as 0.")
    if config.task != "binary":
        wanted, encode = ("finite numbers", "Find out where they come from.")
    if missing:
        detail = (
            f"{_of(missing, tally)} have no outcome in '{config.label}' ({_by_arm(tally.outcomes_missing)}). "
            "Compare only rows whose outcome is known, chosen alike in both arms, such as those old enough."
        )
    elif common.labels_other:
        examples = ", ".join(f"{value:g}" for value in common.label_examples)
        detail = (
            f"{_of(common.labels_other, tally)} have an outcome in '{config.label}' other than {wanted} "
            f"(such as {examples}). {encode}"
        )
    else:
        return Check(
            "outcome", True, f"Every outcome is {'0 or 1' if config.task == 'binary' else 'a number'}."
        )
    return Check("outcome", False, detail)


def _scores(config: ABTest, tally: TrafficTally) -> Iterator[Check]:
    absent, other = sum(tally.scores_missing), sum(tally.scores_other)
    yield Check(
        "scores present",
        not absent,
        f"{_of(absent, tally)} have no '{SCORE}', null or NaN ({_by_arm(tally.scores_missing)}). Find out "
        "why the models gave no answer."
        if absent
        else "Every row has the score of the model that answered it.",
    )
    probability = config.task == "binary"
    name = "scores are probabilities" if probability else "scores are finite"
    wrong = "lie outside [0, 1]. Log the probability of the positive outcome."
    right = "Every score lies in [0, 1]."
    if not probability:
        wrong, right = "are not finite. Find out where they come from.", "Every score is a finite number."
    yield Check(
        name, not other, f"{other:,} scores ({_by_arm(tally.scores_other)}) {wrong}" if other else right
    )


def _duplicates(config: ABTest, tally: TrafficTally) -> Check:
    common = tally.common
    if common.keys_missing:
        return Check(
            "duplicates",
            False,
            f"{_of(common.keys_missing, tally)} have no {config.row}. Log what tells the rows apart.",
        )
    repeated = common.repeats.rows()
    found = f"{_of(repeated, tally)} repeat another by '{config.row}'"
    if repeated > config.max_duplicates * tally.rows:
        return Check(
            "duplicates",
            False,
            f"{found}, and {100 * config.max_duplicates:g} % may. Log each row once.",
        )
    return Check("duplicates", True, f"{found}.")


def _slice_columns(tally: TrafficTally) -> Check:
    many = tally.common.too_many_values
    if many:
        names = ", ".join(f"'{name}'" for name in many)
        return Check(
            "slices",
            False,
            f"{names}: more than {MAX_SLICE_VALUES} different values. Give coarser values as slices.",
        )
    counts = ", ".join(f"{len(values)} of '{name}'" for name, values in tally.common.slice_values.items())
    return Check("slices", True, f"Slices: {counts}.")


def group_checks(config: ABTest, measured: Measured) -> tuple[Check, ...]:
    """The checks of what was measured: rows of both classes, and entities, in each arm."""
    return tuple(_group_checks(config, measured.total))


def _group_checks(config: ABTest, found: Found) -> Iterator[Check]:
    if config.task == "binary":
        yield _classes(config, found)
    elif min(found.rows) < 2:
        yield Check("arms", False, f"{_by_arm(found.rows)}: each arm needs 2 rows. Collect more rows.")
    if config.entity is None:
        return
    least = min(*found.effective, *found.holders)
    counts = "; ".join(
        f"the {arm} has {units:,} (as good as {effective:,.1f} of equal size), {holders:,} with rows of the "
        "rarer outcome"
        if config.task == "binary"
        else f"the {arm} has {units:,} (as good as {effective:,.1f} of equal size)"
        for arm, units, effective, holders in zip(
            ARMS, found.units, found.effective, found.holders, strict=True
        )
    )
    if least < MIN_ENTITIES:
        yield Check(
            "entities",
            False,
            f"Too few entities: {counts}, and at least {MIN_ENTITIES} of each are needed in each arm. "
            "Collect rows of more entities.",
        )
        return
    yield Check("entities", True, f"Entities: {counts}.")


def _classes(config: ABTest, found: Found) -> Check:
    counts = "; ".join(
        f"the {arm} has {ones:,} rows with 1 and {rows - ones:,} with 0"
        for arm, rows, ones in zip(ARMS, found.rows, found.ones, strict=True)
    )
    fewest = min(min(ones, rows - ones) for rows, ones in zip(found.rows, found.ones, strict=True))
    if fewest < config.min_positives:
        return Check(
            "outcomes of both kinds",
            False,
            f"Too few rows of the rarer outcome: {counts}, and at least {config.min_positives} of each are "
            "needed in each arm. Collect more rows.",
        )
    return Check("outcomes of both kinds", True, f"{counts[0].upper()}{counts[1:]}.")


def _by_arm(counts: Sequence[int]) -> str:
    return f"champion {counts[0]:,}, challenger {counts[1]:,}"


def _of(count: int, tally: TrafficTally) -> str:
    return f"{count:,} of {tally.rows:,} rows"
