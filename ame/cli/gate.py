"""`ame gate simulate`: how often would this gate err, and what would it find, on these scores?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ame.cli._console import PROJECT, as_json, columns, print_json
from ame.cli._score_options import column_options

if TYPE_CHECKING:
    from ame.gate.simulation import Outcome, Rate, Simulation

__all__ = ["command"]


@click.group("gate")
def command() -> None:
    """Try the gate of an A/B test before it decides."""


@command.command("simulate", short_help="False promotions and power on your own scores.")
@click.argument("what", nargs=-1, required=True, metavar="FILE | MODEL VERSION")
@column_options
@click.option("--trials", type=int, default=500, show_default=True, help="Tests drawn for each difference.")
@click.option("--rows", type=int, help="Of each drawn test.  [as many as there are]")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the drawing.")
@click.option(
    "--effect",
    "effects",
    type=float,
    multiple=True,
    help="A true difference to try.  [-1, 0.5, 1 and 2 times the minimum detectable effect]",
)
@PROJECT
@as_json
@click.pass_context
def simulate(
    context: click.Context, /, what: tuple[str, ...], folder: Path, json_wanted: bool, **given: Any
) -> None:
    """Draw many tests from stored scores with a known truth, and count what the gate decides.

    FILE and the options are those of `ame ab-test`. With MODEL and VERSION the scores and the gate are those
    of the version's recorded test. Beside the gate stands a rule of many a pipeline: each model scores a
    random half of the rows, and the larger area under the ROC curve is promoted.
    """
    asked = {name: given.pop(name) for name in ("trials", "rows", "seed")}
    asked["effects"] = given.pop("effects") or None
    if len(what) == 1:
        found = _of_file(what[0], given, asked)
    elif len(what) == 2:
        source = click.core.ParameterSource.COMMANDLINE
        odd = [each for each in context.command.params if each.name in given]
        odd = [each for each in odd if context.get_parameter_source(str(each.name)) is source]
        if odd:
            raise click.UsageError(f"{odd[0].opts[0]} goes with a FILE; a version has a gate of its own.")
        found = _of_version(*what, folder=folder, asked=asked)
    else:
        raise click.UsageError("Give one FILE, or MODEL VERSION.")
    if json_wanted:
        print_json(found.to_json())
        return
    for line in _lines(found):
        click.echo(line)


def _of_file(path: str, given: dict[str, Any], asked: dict[str, Any]) -> Simulation:
    from ame.cli._scores import named_scores
    from ame.cli._test_text import progress_on_stderr

    scores = named_scores(path, given)
    from ame.gate.simulate import simulate as simulated

    return simulated(scores.config, scores.data, progress=progress_on_stderr(), **asked)


def _of_version(model: str, version: str, *, folder: Path, asked: dict[str, Any]) -> Simulation:
    from ame.cli._by_hand import number_of
    from ame.cli._journal import explained, registry_of
    from ame.cli._outcomes import recorded_test
    from ame.cli._project import load_project
    from ame.cli._recorded import no_test, stored
    from ame.cli._test_text import progress_on_stderr
    from ame.diagnosis import Refused

    project = load_project(folder)
    registry, home = registry_of(project)
    number = number_of(version)
    with explained(registry):
        found = registry.version(model, number)
        run = recorded_test(registry, found)
        if run is None:
            raise Refused(no_test(found))
        with stored(registry, home, run, model) as test:
            from ame.gate.simulate import simulate as simulated

            return simulated(test.gate(), test.scores(), progress=progress_on_stderr(), **asked)


def _lines(found: Simulation) -> list[str]:
    from ame.gate.wording import LABELS

    name = LABELS.get(found.metric, found.metric)
    rows = [("true difference", "this gate promotes", "random halves promote", "rows needed")]
    rows += [_line(each) for each in (found.equal, *found.effects)]
    needed = (
        "no number of rows" if found.observed_rows_needed is None else f"{found.observed_rows_needed:,} rows"
    )
    verdict = "agrees with" if found.keeps_alpha else "is MORE than"
    head = f"{name} on {found.rows:,} rows like these, {found.trials:,} drawn tests a line"
    return [
        f"{head}, one-sided alpha {found.alpha:g}, seed {found.seed}",
        "",
        *columns(rows),
        "",
        "Where the true difference is 0 or less, a promotion is a mistake.",
        f"False promotions: {_rate(found.equal.promoted)}, which {verdict} alpha {found.alpha:g}.",
        f"A true difference of {found.mde:.4g} is promoted with probability {found.power:g} on so many rows.",
        f"Observed: {found.observed:+.4g}, for which {needed} would do with probability {found.power:g}.",
    ]


def _line(each: Outcome) -> tuple[str, str, str, str]:
    halves = "-" if each.halves is None else _rate(each.halves)
    needed = "-" if each.rows_needed is None else f"{each.rows_needed:,}"
    difference = "0 (equal models)" if each.difference == 0 else f"{each.difference:+.4g}"
    return difference, _rate(each.promoted), halves, needed


def _rate(found: Rate) -> str:
    low, high = found.interval
    return f"{100 * found.rate:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
