"""An A/B test for the eye, from its JSON: the same for one that was just made and for a stored one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import click

from ame.cli._console import columns, print_json, say

__all__ = ["print_test", "progress_on_stderr"]

_QUIET_SECONDS = 2.0
_MOST_SLICES = 10


def print_test(told: Mapping[str, Any], *, json_wanted: bool, notes: tuple[str, ...] = ()) -> None:
    """Print the test; ends the command with code 1 when the data could not answer.

    Args:
        told: `ABTestResult.to_json()`.
        notes: further lines for people, at the end.
    """
    invalid = told["decision"] == "invalid"
    if json_wanted:
        print_json(dict(told))
    else:
        for line in _lines(told):
            click.echo(line)
        for note in notes:
            click.echo(note)
    if invalid:
        for line in _faults(told):
            say(line)
        raise SystemExit(1)


def progress_on_stderr() -> Callable[[str, float], None]:
    """Says every two seconds what is being done, and how much of the whole is done."""
    last = time.monotonic()

    def tell(words: str, share: float) -> None:
        nonlocal last
        if time.monotonic() - last >= _QUIET_SECONDS:
            last = time.monotonic()
            say(f"{words} ... {share:.0%}")

    return tell


def _lines(told: Mapping[str, Any]) -> Iterator[str]:
    if told["decision"] == "invalid":
        yield "invalid: the data cannot answer"
    else:
        yield f"{told['decision']}: {told['why']}"
    positives = f", {told['positives']:,} positives" if told.get("positives") else ""
    yield f"{told['rows']:,} rows{positives}; one-sided alpha {told['alpha']:.4g}; engine {told['engine']}"
    if told["metrics"]:
        yield ""
        yield from _table(told["metrics"])
        yield ""
        yield "A difference above 0 is in the challenger's favour."
        yield from _binning(told["metrics"])
    yield from _slices(told.get("slices") or [])
    for check in told.get("checks") or []:
        if not check["passed"] and not check.get("blocks", True):
            yield f"warning: {check['name']}: {check['detail']}"
    ledger = told.get("ledger")
    if ledger:
        yield f"ledger: {ledger['note']}"


def _binning(metrics: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """By how much each difference may be off where scores were put into bins."""
    bounds = [f"{name} {each['errorBound']:.1e}" for name, each in metrics.items() if each.get("errorBound")]
    if bounds:
        moved = ", ".join(bounds)
        yield f"Scores were binned, which moves a difference by at most: {moved}. The bounds allow for it."


def _table(metrics: Mapping[str, Mapping[str, Any]]) -> list[str]:
    rows = [
        ("metric", "role", "champion", "challenger", "difference", "95 % interval", "lower bound", "p", "by")
    ]
    for name, found in metrics.items():
        role = found["role"]
        if found.get("margin"):
            role += f" {found['margin']:g}"
        if found.get("undefined"):
            rows.append((name, role, "-", "-", "-", "-", "-", "-", found["undefined"]))
            continue
        write = _writer(found)
        low, high = found["interval"]
        rows.append(
            (
                name,
                role,
                write(found["champion"], ""),
                write(found["challenger"], ""),
                write(found["difference"], "+"),
                f"{write(low, '+')} .. {write(high, '+')}",
                write(found["lowerBound"], "+"),
                _p(found["pValue"]),
                found["method"],
            )
        )
    return columns(rows)


def _writer(found: Mapping[str, Any]) -> Callable[[float | None, str], str]:
    """Writes the numbers of a line with two significant digits of their error."""
    from ame.gate.report.numbers import scale

    models = [each for each in (found["champion"], found["challenger"]) if each is not None]
    chosen = scale(max(map(abs, models), default=0.0), found["stdError"] or 0.0, *models)

    def write(value: float | None, sign: str) -> str:
        if value is None:
            return "-"
        return chosen.plus(value) if sign else chosen.plain(value)

    return write


def _p(value: float | None) -> str:
    if value is None:
        return "-"
    return "<0.0001" if value < 1e-4 else f"{value:.4f}"


def _slices(slices: list[Mapping[str, Any]]) -> Iterator[str]:
    if not slices:
        return
    harmed = [each for each in slices if each["harmed"]]
    small = [each for each in slices if not each["judged"]]
    yield f"slices: {len(slices) - len(small)} judged, {len(harmed)} harmed, {len(small)} not judged"
    for each in harmed[:_MOST_SLICES]:
        yield (
            f"  harmed: {_of(each)}: {each['difference']:+.4f} in {each['rows']:,} rows, "
            f"adjusted p {_p(each['adjustedPValue'])}"
        )
    for each in small[:_MOST_SLICES]:
        yield f"  not judged: {_of(each)}, {each['rows']:,} rows: {each['note']}"
    more = max(0, len(harmed) - _MOST_SLICES) + max(0, len(small) - _MOST_SLICES)
    if more:
        yield f"  and {more:,} more; --json has them all"


def _of(each: Mapping[str, Any]) -> str:
    return f"{each['column']} = {each['value']}"


def _faults(told: Mapping[str, Any]) -> Iterator[str]:
    yield f"invalid: {told['why']}"
    failed = [
        check for check in told.get("checks") or [] if check.get("blocks", True) and not check["passed"]
    ]
    for check in failed[1:]:
        yield f"  {check['name']}: {check['detail']}"
