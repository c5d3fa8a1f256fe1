"""The rule: from the metrics' bounds to a decision and the sentence that says why.

- `promote`: the primary metric's lower bound is above its margin, and every guardrail's lower bound is
  above minus its margin (non-inferiority). All must hold, so each is tested at alpha: an
  intersection-union test needs no correction.
- `reject`: the primary metric's upper bound is below its margin, so that the challenger is shown not
  to be better by what matters; or a guardrail's upper bound is below minus its margin, so that harm
  beyond what was allowed is shown.
- `inconclusive`: everything else. A guardrail that fails to show non-inferiority without showing harm
  is a lack of data, not evidence against the challenger.
- `invalid`: a deciding metric differs by the same amount on every row, so that its error is unknown.

A metric that is exactly the same for both models, row by row, holds as a guardrail of any margin and
decides nothing as the primary one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ame.gate.config import ABTest
from ame.gate.inference import Estimate
from ame.gate.result import Decision, MetricResult
from ame.gate.wording import confidence, decimals, label, moved, signed

__all__ = ["decide"]


def decide(
    config: ABTest, metrics: Mapping[str, MetricResult], rows: int, positives: int
) -> tuple[Decision, str]:
    """The decision on metrics whose data passed every check, and why, in one or two sentences."""
    primary = metrics[config.primary.metric]
    guardrails = [metrics[guardrail.metric] for guardrail in config.guardrails]
    degenerate = [metric for metric in (primary, *guardrails) if _estimate(metric).is_degenerate]
    if degenerate:
        return "invalid", _says_degenerate(degenerate[0])
    harmed = [metric for metric in guardrails if metric.upper_bound < -_margin(metric)]
    if harmed:
        return "reject", f"{_says_harmed(config, harmed)}{_says_primary_too(config, primary)}"
    if primary.lower_bound > _margin(primary):
        unproven = [metric for metric in guardrails if not _holds(metric)]
        if unproven:
            return "inconclusive", _says_unproven(config, primary, unproven, rows, positives)
        return "promote", _says_promoted(config, primary, guardrails)
    return _without_gain(config, primary, rows, positives)


def _without_gain(config: ABTest, primary: MetricResult, rows: int, positives: int) -> tuple[Decision, str]:
    if _estimate(primary).is_exact_tie:
        return "inconclusive", _says_tied(primary)
    if primary.upper_bound < _margin(primary):
        return "reject", f"{moved(primary)}; {_bound(config, primary, 'upper', 'below')}."
    return "inconclusive", _says_undecided(config, primary, rows, positives)


def _holds(guardrail: MetricResult) -> bool:
    return guardrail.lower_bound > -_margin(guardrail) or _estimate(guardrail).is_exact_tie


def _estimate(metric: MetricResult) -> Estimate:
    return Estimate(metric.difference, metric.std_error)


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
    of = " of the improvement" if metric.metric in {"log_loss", "brier"} else ""
    return (
        f"the one-sided {confidence(config.alpha)} {side} bound{of} {signed(bound, digits)} is {relation} "
        f"the margin {margin:.{digits}f}"
    )


def _says_harmed(config: ABTest, harmed: Iterable[MetricResult]) -> str:
    parts = []
    for metric in harmed:
        digits = decimals(metric.upper_bound, _margin(metric))
        parts.append(
            f"{moved(metric)}: worse by at least {-metric.upper_bound:.{digits}f} (one-sided "
            f"{confidence(config.alpha)} bound), and the guardrail allows {_margin(metric):.{digits}f}."
        )
    return " ".join(parts)


def _says_primary_too(config: ABTest, primary: MetricResult) -> str:
    if _estimate(primary).is_exact_tie:
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
            f"{signed(metric.lower_bound, digits)} is not above {-_margin(metric):.{digits}f}"
            + (f" (about {_rows(needed, rows, positives)} would show it)" if needed else "")
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
        f"{100 * config.power:g} % power; {size} needs about {_rows(needed, rows, positives)}."
    )


def _rows(needed: int, rows: int, positives: int) -> str:
    return f"{needed:,} rows ({round(needed * positives / rows):,} positives)"


def _says_tied(metric: MetricResult) -> str:
    return (
        f"{label(metric, start=True)} is {metric.champion:.4f} for both models, with no difference on any "
        "row: on these rows it cannot tell them apart."
    )


def _says_degenerate(metric: MetricResult) -> str:
    return (
        f"{label(metric, start=True)} differs by {metric.difference:.4g} on every row alike, so its error "
        "cannot be known. Look at how the two models were scored."
    )
