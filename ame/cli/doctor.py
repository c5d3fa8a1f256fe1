"""`ame doctor [MODEL]`: find what is wrong with the registry and its journals, and put it right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ame.cli._console import PROJECT, as_json, print_json, say

if TYPE_CHECKING:
    from ame.registry import Holder, ModelJournal, Registry
    from ame.registry.doctor import Finding, Watched
    from ame.spec import Project

__all__ = ["command"]


@click.command("doctor")
@click.argument("model", required=False)
@click.option("--dry-run", is_flag=True, help="Only say what is wrong.")
@click.option(
    "--new-journal", is_flag=True, help="Set the broken journal of MODEL aside (AME-E322) and begin another."
)
@PROJECT
@as_json
def command(model: str | None, dry_run: bool, new_journal: bool, folder: Path, json_wanted: bool) -> None:
    """Find what contradicts the journal of MODEL, or of every model of the project, and put it right.

    The journal leads: tags, the aliases 'previous' and 'challenger', decisions that were not carried out
    and claims of the dead are brought in line with it. Where somebody has moved the alias 'champion' by
    hand, it is noted in the journal, and the champion stays. Every entry is read and checked against its
    digest; one that was altered cannot be repaired. While a delivery holds a model, that model is only
    looked at.

    A journal whose newest run was deleted for good cannot be gone on with. --new-journal gives it another
    name, under which it stays readable, and begins a new one with the present champion and the versions'
    states.

    Exits with 1 when something wrong is left.
    """
    from ame.cli._by_hand import registry_to_write
    from ame.cli._project import load_project
    from ame.cli._reading import refuse_other_models

    if new_journal and model is None:
        raise click.UsageError("--new-journal needs a MODEL.")
    project = load_project(folder)
    if model is not None:
        refuse_other_models(project, model)
    names = [model] if model is not None else list(project.models)
    with registry_to_write(project) as registry:
        from ame.cli._journal import explained

        with explained(registry):
            found = [_begun_anew(registry, names[0], dry_run=dry_run)] if new_journal else []
            # Without a journal yet there is nothing to compare with.
            if not (new_journal and dry_run):
                found += _examined(project, registry, names, dry_run=dry_run, all_models=model is None)
    if json_wanted:
        told = [
            {"model": each.model or None, "what": each.what, "remedy": each.remedy, "done": each.done}
            for each in found
        ]
        print_json({"project": project.name, "models": names, "dryRun": dry_run, "findings": told})
    else:
        for each in found:
            click.echo(_line(each, project.name, dry_run=dry_run))
        healthy = [name for name in names if name not in {each.model for each in found}]
        if healthy or not found:
            click.echo(f"nothing is wrong with {', '.join(healthy) or project.name}")
    if not all(each.done for each in found):
        raise SystemExit(1)


def _examined(
    project: Project, registry: Registry, names: Sequence[str], *, dry_run: bool, all_models: bool
) -> list[Finding]:
    from ame.registry import ModelJournal
    from ame.registry.doctor import watch

    found = _orphans(project, registry, dry_run=dry_run) if all_models else []
    journals = [ModelJournal(registry, name) for name in names]
    watched = watch(journals, say)
    for journal in journals:
        claim = watched.get(journal.model)
        if claim and claim.alive and not dry_run:
            say(f"{journal.model} is held by {claim.who}, who gives signs of life: it is only looked at")
        found += _examined_model(journal, claim, dry_run=dry_run)
    return found


def _examined_model(journal: ModelJournal, claim: Watched | None, *, dry_run: bool) -> list[Finding]:
    """What is wrong with one model; where that cannot be found out, why, so that others are looked at."""
    from mlflow.exceptions import MlflowException

    from ame.diagnosis import Refused
    from ame.registry import diagnosis_of
    from ame.registry.doctor import Finding, check_entries, examine, repair

    try:
        found = check_entries(journal, say)
        return found + (examine(journal, claim) if dry_run else repair(journal, _doctor(), claim))
    except Refused as refused:
        failed = refused.diagnoses
    except MlflowException as error:
        failed = (diagnosis_of(error, journal.registry.uri),)
        if failed[0].code == "AME-E301":
            raise  # nor would it answer for the other models
    return [Finding(model=journal.model, what=str(diagnosis)) for diagnosis in failed]


def _begun_anew(registry: Registry, model: str, *, dry_run: bool) -> Finding:
    from ame.registry import ModelJournal
    from ame.registry.doctor import new_journal

    if not dry_run:
        say(f"{model}: beginning a new journal with the states of its versions ...")
    return new_journal(ModelJournal(registry, model), _doctor(), dry_run=dry_run)


def _doctor() -> Holder:
    from ame.cli._by_hand import person
    from ame.registry import Holder

    return Holder(person(), None, "ame doctor")


def _orphans(project: Project, registry: Registry, *, dry_run: bool) -> list[Finding]:
    from ame.local import current_lease, file_lock, home_of, living_leases
    from ame.registry.doctor import end_orphans

    home = home_of(project.folder, project.name)
    if not home.run.exists():
        return []
    with file_lock(home.run / "leftovers.lock"):
        if living_leases(home.leases) > (current_lease() is not None):
            return []
        return end_orphans(registry, home.holder, dry_run=dry_run)


def _line(finding: Finding, project: str, *, dry_run: bool) -> str:
    line = f"{finding.model or project}: {finding.what}"
    if not finding.remedy:
        return line
    if finding.done:
        return f"{line}: {finding.remedy}"
    return f"{line}: would be {finding.remedy}" if dry_run else f"{line}: not repaired"
