"""`ame ab-test`: test a file of scores, or show the test of two versions of a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ame.cli._console import PROJECT, as_json
from ame.cli._report_file import REPORT
from ame.cli._score_options import column_options

if TYPE_CHECKING:
    from ame.cli._recorded import StoredTest
    from ame.cli._scores import NamedScores
    from ame.gate.config import ABTest
    from ame.gate.ledger import Ledger
    from ame.gate.training import TrainingComparison
    from ame.spec import Project

__all__ = ["command"]


@click.command("ab-test")
@click.argument("what", nargs=-1, required=True, metavar="FILE | MODEL CHAMPION CHALLENGER")
@column_options
@click.option("--training", metavar="FILE", help="The training rows: none may be in the holdout, and drift.")
@click.option(
    "--engine", metavar="auto|local|spark", default="auto", help="Where the numbers are computed.  [auto]"
)
@click.option(
    "--ledger",
    "ledger_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Counts the looks at the holdout, and gives each its part of alpha.",
)
@click.option("--looks", type=int, help="How many looks share alpha.  [any number, each with less]")
@click.option("--holdout", metavar="NAME", default="holdout", help="What the ledger calls it.  [holdout]")
@REPORT
@PROJECT
@as_json
@click.pass_context
def command(
    context: click.Context,
    /,
    what: tuple[str, ...],
    folder: Path,
    report: Path | None,
    json_wanted: bool,
    **given: Any,
) -> None:
    """Decide whether the challenger is better than the champion on rows that both have scored.

    FILE is a parquet or CSV file, or a folder of them, here or in a bucket (s3://BUCKET/PREFIX), with a row
    for each scored row. With MODEL and two of its versions the recorded test is shown; where the gate of the
    ame.yml has changed since, its stored scores are put to the new one, and nothing is recorded.

    Exit codes: 0 promote, reject or inconclusive; 1 invalid or refused; 2 usage.
    """
    if len(what) == 1:
        _test_file(what[0], given, report, json_wanted=json_wanted)
        return
    if len(what) != 3:
        raise click.UsageError("Give one FILE, or MODEL CHAMPION CHALLENGER.")
    source = click.core.ParameterSource.COMMANDLINE
    odd = [name for name in given if context.get_parameter_source(name) is source]
    if odd:
        option = next(each for each in context.command.params if each.name == odd[0]).opts[0]
        raise click.UsageError(f"{option} goes with a FILE; versions are tested by the gate of the ame.yml.")
    _test_versions(*what, folder=folder, report=report, json_wanted=json_wanted)


def _test_file(path: str, given: dict[str, Any], report: Path | None, *, json_wanted: bool) -> None:
    from ame.cli._report_file import as_page, report_to
    from ame.cli._scores import named_scores
    from ame.cli._test_text import print_test, progress_on_stderr

    if given["looks"] is not None and given["ledger_file"] is None:
        raise click.UsageError("--looks needs --ledger, the file that counts them.")
    scores = named_scores(path, given)
    from ame.gate import run_ab_test

    with report_to(report) as write:
        training = _training(scores, given["training"]) if given["training"] else None
        result = run_ab_test(
            scores.config,
            scores.data,
            ledger=_ledger(scores, given),
            engine=given["engine"],
            training=training,
            progress=progress_on_stderr(),
        )
        if report is not None:
            names = {"champion": given["champion"], "challenger": given["challenger"]}
            title = f"{names['challenger']} against {names['champion']}"
            write(as_page(result, title=title, subtitle={"File": path}, **names))
    notes = (f"report: {report}",) if report else ()
    print_test(result.to_json(), json_wanted=json_wanted, notes=notes)


def _training(scores: NamedScores, training: str) -> TrainingComparison:
    """The file against the training rows, on the columns of both that are no scores."""
    from ame.gate.rows import open_rows
    from ame.gate.training import compare_with_training

    asked = scores.asked
    aside = {*scores.scores, asked.entity, asked.row, asked.time}
    if asked.design == "split":
        aside.add(asked.variant)
    there = set(open_rows(training, "the training").schema.names)
    here = open_rows(scores.path, "the holdout").schema.names
    columns = [name for name in here if name in there and name not in aside]
    return compare_with_training(asked, scores.path, training, columns=columns)


def _ledger(scores: NamedScores, given: dict[str, Any]) -> Ledger | None:
    if given["ledger_file"] is None:
        return None
    import hashlib
    import json
    from dataclasses import asdict

    from ame.cli._by_hand import person
    from ame.gate import FileLedger

    # The same test of the same rows is one look, however often it is asked for.
    asked = [asdict(scores.asked), scores.scores, given["champion"], given["challenger"], scores.digest()]
    key = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
    return FileLedger(given["ledger_file"], key=key, holdout=given["holdout"], holder=person())


def _test_versions(
    model: str, champion: str, challenger: str, *, folder: Path, report: Path | None, json_wanted: bool
) -> None:
    from ame.cli._by_hand import number_of
    from ame.cli._journal import explained, registry_of
    from ame.cli._project import load_project
    from ame.cli._recorded import no_test, stored
    from ame.cli._report_file import as_page, report_to
    from ame.cli._test_text import print_test
    from ame.diagnosis import Refused

    project = load_project(folder)
    registry, home = registry_of(project)
    old, new = number_of(champion), number_of(challenger)
    with report_to(report) as write, explained(registry):
        from ame.registry import ab_test_of

        version = registry.version(model, new)
        registry.version(model, old)
        run = ab_test_of(registry, version, old)
        if run is None:
            raise Refused(no_test(version, old))
        with stored(registry, home, run, model) as test:
            gate = _changed_gate(project, model, test)
            if gate is None:
                told: Any = test.result
                note = f"as it was recorded, in the MLflow run {run.run_id}"
                if report is not None:
                    write(test.report())
            else:
                from ame.cli._again import judge_again

                result = judge_again(test, gate)
                told = result.to_json()
                note = (
                    f"by the gate of the ame.yml, on the stored scores, and not recorded; recorded was "
                    f"{run.decision}: {run.why}"
                )
                if report is not None:
                    names = {"champion": f"champion v{old}", "challenger": f"challenger v{new}"}
                    write(as_page(result, title=test.title, subtitle={"Model": model}, **names))
    notes = (note, *((f"report: {report}",) if report else ()))
    print_test(told, json_wanted=json_wanted, notes=notes)


def _changed_gate(project: Project, model: str, test: StoredTest) -> ABTest | None:
    """The gate of the ame.yml, when it is another one than that which decided."""
    from ame.cli._again import fitted
    from ame.diagnosis import Refused

    declared = project.models.get(model)
    if declared is None or declared.ab_test is None:
        return None
    try:
        recorded = test.gate()
    except Refused:
        return None  # an older release kept no gate, and perhaps no scores
    gate = fitted(declared.ab_test.gate, recorded)
    return None if gate == recorded else gate
