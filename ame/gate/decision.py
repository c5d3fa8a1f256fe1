"""The rule: from the metrics' bounds to a decision and the sentence that says why.

- `promote`: the primary metric's lower bound is above its margin, every guardrail's lower bound is above
  minus its margin (non-inferiority), and no slice is shown to be harmed. All must hold, so each is tested
  at alpha: an intersection-union test needs no correction. Among the slices any alarm counts, so these are
  corrected (`ame.gate.slices`).
- `reject`: the primary metric's upper bound is below its margin, so that the challenger is shown not
  to be better by what matters; or a guardrail's upper bound is below minus its margin, or a slice's p-value
  of no harm is below alpha, so that harm beyond what was allowed is shown.
- `inconclusive`: everything else. A guardrail that fails to show non-inferiority without showing harm
  is a lack of data, not evidence against the challenger. So is a gain that the mix of the slices explains.
- `invalid`: a deciding metric has no value, or differs by the same amount on every row, so that its error
  is unknown.

A metric that is exactly the same for both models, row by row, holds as a guardrail of any margin and
decides nothing as the primary one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ame.gate.config import LOSSES, ABTest
from ame.gate.inference import Estimate
from ame.gate.result import Decision, Evenness, MetricResult, SliceResult, Systematic
from ame.gate.wording import amount, confidence, decimals, label, moved, rows_like, signed, slice_of

__all__ = ["decide"]


def decide(
    config: ABTest,
    metrics: Mapping[str, MetricResult],
    rows: int,
    positives: int,
    *,
    slices: Sequence[SliceResult] = (),
    systematic: Systematic | None = None,
) -> tuple[Decision, str]:
    """The decision on metrics whose data passed every check, and why, in one or two sentences.

    `config.alpha` is the one that the metrics' bounds and the slices were computed with; `positives` is 0
    where the task has none.
    """
    primary = metrics[config.primary.metric]
    guardrails = [metrics[guardrail.metric] for guardrail in config.guardrails]
    unusable = [each for each in (primary, *guardrails) if each.undefined or _estimate(each).is_degenerate]
    if unusable:
        return "invalid", _says_unusable(unusable[0])
    harmed = [metric for metric in guardrails if metric.upper_bound < -_margin(metric)]
    slices_harmed = [each for each in slices if each.harmed]
    if harmed or slices_harmed:
        said = " ".join([*_says_harmed(config, harmed), *_says_slices_harmed(config, slices_harmed)])
        if not _is_lost(primary):
            return "reject", f"{said}{_says_primary_too(config, primary)}"
        return "reject", f"{_says_lost(config, primary)} {said}"
    if primary.lower_bound > _margin(primary):
        unproven = [metric for metric in guardrails if not _holds(metric)]
        if unproven:
            return "inconclusive", _says_unproven(config, primary, unproven, rows, positives)
        return _with_gain(config, primary, guardrails, systematic)
    return _without_gain(config, primary, rows, positives)


def _with_gain(
    config: ABTest, primary: MetricResult, guardrails: list[MetricResult], systematic: Systematic | None
) -> tuple[Decision, str]:
    reversed_ = [each for each in (systematic.evenness if systematic else ()) if each.reversed]
    if reversed_:
        return "inconclusive", _says_reversed(config, primary, reversed_[0])
    return "promote", _says_promoted(config, primary, guardrails)


def _without_gain(config: ABTest, primary: MetricResult, rows: int, positives: int) -> tuple[Decision, str]:
    if _is_tied(primary):
        return "inconclusive", _says_tied(primary)
    if _is_lost(primary):
        return "reject", _says_lost(config, primary)
    return "inconclusive", _says_undecided(config, primary, rows, positives)


def _is_lost(primary: MetricResult) -> bool:
    """Whether the challenger is shown not to be better by what matters."""
    return primary.upper_bound < _margin(primary) and not _is_tied(primary)


def _says_lost(config: ABTest, primary: MetricResult) -> str:
    return f"{moved(primary)}; {_bound(config, primary, 'upper', 'below')}."


def _holds(guardrail: MetricResult) -> bool:
    return guardrail.lower_bound > -_margin(guardrail) or _is_tied(guardrail)


def _estimate(metric: MetricResult) -> Estimate:
    return Estimate(metric.difference, metric.std_error)


def _is_tied(metric: MetricResult) -> bool:
    """Whether the metric is the same for both models, row by row."""
    # Without a row that one model alone gets right the error of the accuracy is not 0 (Bonett and Price), but
    # McNemar's p-value is 1, as it is for no other count of such rows.
    by_rows = metric.metric == "accuracy" and metric.design_effect is None
    return (by_rows and metric.difference == 0.0 and metric.p_value == 1.0) or _estimate(metric).is_exact_tie


def _margin(metric: MetricResult) -> float:
    return metric.margin or 0.0


def _says_promoted(config: ABTest, primary: MetricResult, guardrails: list[MetricResult]) -> str:
    held = {0: "", 1: f", and the guardrail {label(guardrails[0])} holds" if guardrails else ""}
    return f"{_says_passed(config, primary)}{held.get(len(guardrails), ', and every guardrail holds')}."


def _says_passed(config: ABTest, primary: MetricResult) -> str:
    return f"{moved(primary)}; {_bound(config, primary, 'lower', 'above')}"


def _bound(config: ABTest, metric: MetricResult, side: str, relation: str) -> str:
    bound = metric.lower_bound if side == "lower" else metric.upper_bound
    margin = _margin(metric)
    digits = decimals(bound, margin)
    of = " of the improvement" if metric.metric in LOSSES else ""
    return (
        f"the one-sided {confidence(config.alpha)} {side} bound{of} {signed(bound, digits)} is {relation} "
        f"the margin {margin:.{digits}f}"
    )


def _says_harmed(config: ABTest, harmed: Iterable[MetricResult]) -> list[str]:
    parts = []
    for metric in harmed:
        digits = decimals(metric.upper_bound, _margin(metric))
        parts.append(
            f"{moved(metric)}: worse by at least {-metric.upper_bound:.{digits}f} (one-sided "
            f"{confidence(config.alpha)} bound), and the guardrail allows {_margin(metric):.{digits}f}."
        )
    return parts


def _says_slices_harmed(config: ABTest, harmed: Sequence[SliceResult]) -> list[str]:
    """The worst by its p-value first; three are named and the rest counted."""
    if not harmed:
        return []
    worst = sorted(harmed, key=lambda each: each.adjusted_p_value)
    name, margin = label(config.primary.metric), config.slice_margin
    parts = []
    for each in worst[:3]:
        digits = decimals(each.difference, margin)
        allowed = f", {margin:.{digits}f} is allowed" if margin else ""
        parts.append(
            f"{slice_of(each)} ({name} worse by {-each.difference:.{digits}f}{allowed}; {each.rows:,} rows, "
            f"{amount(each.adjusted_p_value)} after Holm's correction)"
        )
    more = f" and {len(worst) - 3} more" if len(worst) > 3 else ""
    return [f"The challenger harms the slice{'s' * (len(worst) > 1)} {', '.join(parts)}{more}."]


def _says_primary_too(config: ABTest, primary: MetricResult) -> str:
    if _is_tied(primary):
        return ""
    if primary.lower_bound > _margin(primary):
        return f" {_says_passed(config, primary)}, which does not make up for it."
    return f" {moved(primary)}."


def _says_unproven(
    config: ABTest, primary: MetricResult, unproven: list[MetricResult], rows: int, positives: int
) -> str:
    parts = []
    for metric in unproven:
        digits = decimals(metric.lower_bound, _margin(metric))
        needed = metric.rows_needed
        parts.append(
            f"but the guardrail {label(metric)} is not shown to hold: its lower bound "
            f"{signed(metric.lower_bound, digits)} is not above {signed(-_margin(metric), digits)}"
            + (f" (about {rows_like(needed, rows, positives)} would show it)" if needed else "")
        )
    return f"{_says_passed(config, primary)}, {', '.join(parts)}."


def _says_undecided(config: ABTest, primary: MetricResult, rows: int, positives: int) -> str:
    margin = _margin(primary)
    digits = decimals(primary.lower_bound, primary.upper_bound, margin, primary.mde)
    found = (
        f"{moved(primary)}; the margin {margin:.{digits}f} lies between the one-sided "
        f"{confidence(config.alpha)} bounds {signed(primary.lower_bound, digits)} and "
        f"{signed(primary.upper_bound, digits)}."
    )
    needed, size = primary.rows_needed, "a difference as large as the observed one"
    if needed is None:
        # The observed difference is not above the margin: ask for twice the margin, or, without a
        # margin, for half of what these rows can detect. Rows grow with the square of mde - margin.
        sought = 2 * margin if margin > 0 else primary.mde / 2
        size = f"{'twice the margin' if margin > 0 else 'half of that'} ({sought:.{digits}f})"
        reach = (primary.mde - margin) / (sought - margin)
        needed = max(1, round(rows * reach**2))
    return (
        f"{found} These rows detect a difference of {primary.mde:.{digits}f} with "
        f"{100 * config.power:g} % power; {size} needs about {rows_like(needed, rows, positives)}."
    )


def _says_reversed(config: ABTest, primary: MetricResult, found: Evenness) -> str:
    digits = decimals(*found.interval, found.standardised)
    return (
        f"{_says_passed(config, primary)}, but the mix of '{found.column}' may explain it: with each value "
        f"weighted by its rows the difference is {signed(found.standardised, digits)} (95 % interval "
        f"{signed(found.interval[0], digits)} to {signed(found.interval[1], digits)}). Look at its slices "
        "one by one."
    )


def _says_tied(metric: MetricResult) -> str:
    return (
        f"{label(metric, start=True)} is {metric.champion:.4f} for both models, with no difference on any "
        "row: on these rows it cannot tell them apart."
    )


def _says_unusable(metric: MetricResult) -> str:
    if metric.undefined:
        role = "primary metric" if metric.role == "primary" else "guardrail"
        return f"The {role} {label(metric)} has no value. {metric.undefined}"
    return (
        f"{label(metric, start=True)} differs by {metric.difference:.4g} on every row alike, so its error "
        "cannot be known. Look at how the two models were scored."
    )
