"""`ame replay MODEL VERSION`: decide history again, from the scores that were stored with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ame.cli._console import PROJECT, as_json, print_json, say, warn
from ame.diagnosis import Diagnosis

if TYPE_CHECKING:
    from ame.cli._recorded import StoredTest
    from ame.gate.config import ABTest
    from ame.gate.result import ABTestResult

__all__ = ["command"]

_MOST_DIFFERENCES = 20

#: Spark's tasks add their sums in an order that depends on how many there are.
_ROUNDING = 1e-9


@click.command("replay")
@click.argument("model")
@click.argument("version")
@click.option(
    "--gate",
    "gate_file",
    type=click.Path(exists=True, path_type=Path),
    metavar="FILE",
    help="Another gate: an ame.yml, or a file with an abTest section.  [the gate that decided]",
)
@PROJECT
@as_json
def command(model: str, version: str, gate_file: Path | None, folder: Path, json_wanted: bool) -> None:
    """Test VERSION of MODEL again on the scores of its recorded A/B test; no model is run.

    The gate that decided gives the same bytes again (of a test on Spark the same numbers, up to the
    rounding of sums), and it is an error if it does not. The look at the holdout that was spent then is
    used once more; none is spent, and nothing is recorded.
    """
    from ame.cli._by_hand import number_of
    from ame.cli._gate_file import gate_of_file
    from ame.cli._journal import explained, registry_of
    from ame.cli._outcomes import recorded_test
    from ame.cli._project import load_project
    from ame.cli._recorded import no_test, stored
    from ame.diagnosis import Refused

    project = load_project(folder)
    other = gate_of_file(gate_file, model) if gate_file else None
    registry, home = registry_of(project)
    number = number_of(version)
    with explained(registry):
        found = registry.version(model, number)
        run = recorded_test(registry, found)
        if run is None:
            raise Refused(no_test(found))
        with stored(registry, home, run, model) as test:
            replayed = _replay(test, other)
    _print(replayed, json_wanted=json_wanted)


@dataclass(frozen=True, slots=True)
class _Replayed:
    """A test that was decided again.

    Attributes:
        differences: from what was recorded, as (place, recorded, now); None by another gate.
    """

    test: StoredTest
    result: ABTestResult
    differences: list[tuple[str, object, object]] | None


def _replay(test: StoredTest, other: ABTest | None) -> _Replayed:
    import json

    from ame.cli._again import differences, fitted, judge_again, recorded_form

    recorded = _recorded(test, needed=other is None)
    gate = fitted(other, recorded) if other and recorded else other or test.gate()
    result = judge_again(test, gate)
    if gate != recorded:
        return _Replayed(test, result, None)
    text = recorded_form(result, test)
    if text == test.text:
        return _Replayed(test, result, [])
    rounding = _ROUNDING if test.on_spark else 0.0
    found = list(differences(test.result, json.loads(text), rounding=rounding))
    if test.on_spark:
        return _Replayed(test, result, found)
    return _Replayed(test, result, found or [("the order of keys, or blanks", "recorded", "now")])


def _recorded(test: StoredTest, *, needed: bool) -> ABTest | None:
    """The gate that decided; older releases kept none."""
    from ame.diagnosis import Refused

    try:
        return test.gate()
    except Refused:
        if needed:
            raise
        return None


def _print(replayed: _Replayed, *, json_wanted: bool) -> None:
    from ame.cli._test_text import print_test

    test, told = replayed.test, replayed.result.to_json()
    was = {"decision": test.result["decision"], "why": test.result["why"]}
    if json_wanted:
        print_json(
            {
                "test": test.title,
                "abTestRunId": test.run.run_id,
                "champion": test.run.champion,
                "challenger": test.run.challenger,
                "identical": None if replayed.differences is None else not replayed.differences,
                "differences": _as_json(replayed.differences),
                "recorded": was,
                "result": told,
            }
        )
    else:
        click.echo(test.title)
    if replayed.differences:
        warn([_not_again(test, len(replayed.differences))])
        for place, old, new in replayed.differences[:_MOST_DIFFERENCES]:
            say(f"  {place}: recorded {old}, now {new}")
        if len(replayed.differences) > _MOST_DIFFERENCES:
            say(f"  and {len(replayed.differences) - _MOST_DIFFERENCES:,} more")
    if not json_wanted:
        print_test(told, json_wanted=False, notes=(_compared(replayed, was),))
    if replayed.differences or told["decision"] == "invalid":
        raise SystemExit(1)


def _not_again(test: StoredTest, count: int) -> Diagnosis:
    return Diagnosis(
        code="AME-E724",
        what=f"the test of {test.title} does not give again what was recorded: {count:,} values differ.",
        why="Either the record was changed, or this release computes otherwise than the one that decided.",
        fix="Compare the release of ame-flows with the one that decided.",
    )


def _compared(replayed: _Replayed, was: dict[str, Any]) -> str:
    if replayed.differences is None:
        return f"by another gate; recorded was {was['decision']}: {was['why']}"
    if replayed.differences:
        return f"not identical to what was recorded: {len(replayed.differences):,} values differ"
    exactly = "up to the rounding of sums" if replayed.test.on_spark else "byte by byte"
    return f"identical to what was recorded, {exactly}"


def _as_json(found: list[tuple[str, object, object]] | None) -> list[dict[str, object]]:
    return [{"place": place, "recorded": old, "now": new} for place, old, new in found or []]
