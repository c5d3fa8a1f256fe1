"""Every kind of damage on a real server: looking finds it and changes nothing, a repair repairs it, nothing is left."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from ame.cli import cli
from ame.diagnosis import Refused
from ame.registry import ModelJournal, Registry, diagnosis_of
from ame.registry.chain import Chain, Link, create_run
from ame.registry.claims import Claim, Holder
from ame.registry.doctor import Finding, check_entries, end_orphans, examine, new_journal, repair, watch
from ame.registry.journal import Draft, Entry, write_entry
from tests.registry.servers import MlflowServer

ME = Holder("box:home", None, "deliver version 3")
DOCTOR = Holder("ada@box", None, "ame doctor")
HOURS_AGO = int((time.time() - 2 * 3600) * 1000)


def silent(_: str) -> None:
    pass


@pytest.fixture
def registry(sqlite_server: MlflowServer, monkeypatch: pytest.MonkeyPatch) -> Registry:
    sqlite_server.start()
    sqlite_server.wait_ready()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("AME_CLAIM_SECONDS", "2")
    return Registry(sqlite_server.uri)


def unused(registry: Registry, versions: int) -> ModelJournal:
    """A model of which nothing is known but its versions."""
    model = f"m-{uuid.uuid4().hex[:8]}"
    if versions:
        registry.client.create_registered_model(model)
    for number in range(1, versions + 1):
        registry.client.create_model_version(
            model, f"s3://models/{number}", await_creation_for=0, tags={"note": "of the user"}
        )
    return ModelJournal(registry, model)


@pytest.fixture
def journal(registry: Registry) -> ModelJournal:
    """Version 1 was promoted, then 2, then 3 was rejected; nobody has decided on 4."""
    made = unused(registry, 4)
    decide(
        made,
        Draft(
            decision="promote", version="1", before=None, after="1", state="promoted", by="a", reason="first"
        ),
        Draft(
            decision="promote",
            version="2",
            before="1",
            after="2",
            runner_up="1",
            state="promoted",
            by="b",
            reason="ü, better",
            numbers={"accuracy": {"difference": 0.1, "interval": [1e-9, 0.2]}},
            digests={"gate": "12ab"},
        ),
        Draft(
            decision="reject", version="3", before="2", after="2", state="rejected", by="c", reason="worse"
        ),
    )
    return made


def claimed(journal: ModelJournal, holder: Holder = ME) -> Claim:
    claim = journal.claim(holder, over=lambda _: False)
    assert claim
    return claim


def decide(journal: ModelJournal, *drafts: Draft) -> None:
    claim = claimed(journal)
    for draft in drafts:
        journal.decide(claim, draft)
    claim.release()


def leave_undone(journal: ModelJournal) -> Entry:
    """Promote version 4 and die before the alias moves; the claim was freed since."""
    claim = claimed(journal)
    draft = Draft(
        decision="promote",
        version="4",
        before="2",
        after="4",
        runner_up="2",
        state="promoted",
        by="d",
        reason="!",
    )
    link = claim.check()
    created = journal.registry.created(journal.model)
    written = write_entry(
        journal.chain, link, draft, now=datetime.now(UTC), model_created=created, claim=claim.slot
    )
    assert written
    claim.moved(written[0])
    claim.release()
    return written[1]


def stray(journal: ModelJournal, started: int | None) -> str:
    tags = {"ame.kind": "journal", "ame.model": journal.model}
    client = journal.registry.client
    return str(client.create_run(journal.chain.experiment_id, start_time=started, tags=tags).info.run_id)


def everything(journal: ModelJournal) -> Any:
    """All that a look could have changed."""
    client: MlflowClient = journal.registry.client
    experiment = client.get_experiment_by_name(f"ame/journal/{journal.model}")
    runs = client.search_runs([experiment.experiment_id]) if experiment else []
    model = client.search_registered_models(f"name = '{journal.model}'")
    return (
        [found.aliases for found in model],
        [found.tags for found in journal.registry.versions(journal.model)],
        sorted(
            (run.info.run_id, sorted(run.data.params.items()), sorted(run.data.tags.items())) for run in runs
        ),
    )


def treated(journal: ModelJournal) -> list[str]:
    """What a look finds; everything of it is repaired, and then nothing is found."""
    before = everything(journal)
    found = examine(journal, None) + check_entries(journal, silent)
    assert everything(journal) == before
    repaired = repair(journal, DOCTOR, None)
    assert [(each.what, each.remedy) for each in repaired] == [(each.what, each.remedy) for each in found]
    assert all(each.done for each in repaired), repaired
    assert examine(journal, None) + check_entries(journal, silent) == []
    assert watch([journal], silent) == {}
    return [f"{each.what}: {each.remedy}" for each in found]


def aliases(journal: ModelJournal) -> dict[str, str]:
    found = journal.registry.client.get_registered_model(journal.model).aliases
    return {name: str(number) for name, number in found.items()}


def states(journal: ModelJournal) -> list[str | None]:
    return [version.state for version in journal.registry.versions(journal.model)]


def told(journal: ModelJournal) -> list[tuple[str, str | None, str]]:
    return [(entry.decision, entry.version, entry.carried_out) for entry in journal.entries()]


def test_what_is_in_order_is_left_alone(journal: ModelJournal) -> None:
    before = everything(journal)
    assert repair(journal, DOCTOR, None) == examine(journal, None) == check_entries(journal, silent) == []
    assert everything(journal) == before


def test_a_model_that_nobody_has_registered_needs_nothing_and_gets_no_journal(registry: Registry) -> None:
    journal = unused(registry, 0)
    assert repair(journal, DOCTOR, None) == examine(journal, None) == check_entries(journal, silent) == []
    assert watch([journal], silent) == {}
    assert registry.client.get_experiment_by_name(f"ame/journal/{journal.model}") is None


def test_an_entry_that_was_not_carried_out_is(journal: ModelJournal) -> None:
    leave_undone(journal)
    assert treated(journal) == [
        (
            "entry 4 of the journal (promote v4) was not carried out: "
            "carried out, unless somebody had moved the alias meanwhile"
        )
    ]
    assert aliases(journal) == {"champion": "4", "previous": "2"}
    assert states(journal) == ["promoted", "promoted", "rejected", "promoted"]


def test_an_entry_that_was_overtaken_by_hand_is_void_and_whom_people_chose_stays(
    journal: ModelJournal,
) -> None:
    leave_undone(journal)
    journal.registry.client.set_registered_model_alias(journal.model, "champion", "3")
    assert treated(journal) == [
        (
            "entry 4 of the journal (promote v4) was not carried out: "
            "carried out, unless somebody had moved the alias meanwhile"
        ),
        "the alias 'champion' names v3, and the journal says v2: somebody moved it: noted in the journal",
    ]
    assert aliases(journal) == {"champion": "3", "previous": "2"}
    assert told(journal)[3:] == [("promote", "4", "3"), ("observe", "3", "yes")]


def test_an_alias_that_was_moved_by_hand_is_noted(journal: ModelJournal) -> None:
    journal.registry.client.set_registered_model_alias(journal.model, "champion", "3")
    assert treated(journal) == [
        "the alias 'champion' names v3, and the journal says v2: somebody moved it: noted in the journal"
    ]
    last = journal.entries()[-1]
    assert (last.decision, last.by, last.champion) == ("observe", "unknown, seen by ada@box", "3")


def test_an_alias_that_was_taken_away_is_noted(journal: ModelJournal) -> None:
    journal.registry.client.delete_registered_model_alias(journal.model, "champion")
    assert treated(journal) == [
        "the alias 'champion' names no version, and the journal says v2: somebody moved it: noted in the journal"
    ]
    assert journal.entries()[-1].champion is None


def test_what_was_decided_outside_the_journal_is_taken_into_it(journal: ModelJournal) -> None:
    journal.registry.client.set_model_version_tag(journal.model, "4", "ame.state", "refused")
    assert treated(journal) == ["decided on outside the journal: v4: taken into the journal"]
    assert told(journal)[3:] == [("refuse", "4", "yes")]


def test_what_an_older_release_has_left_begins_a_journal(registry: Registry) -> None:
    journal = unused(registry, 2)
    registry.client.set_registered_model_alias(journal.model, "champion", "2")
    for number in ("1", "2"):
        registry.client.set_model_version_tag(journal.model, number, "ame.state", "promoted")
    assert treated(journal) == [
        "the alias 'champion' names v2, and there is no journal yet: noted in the journal",
        "decided on outside the journal: v1, v2: taken into the journal",
    ]
    assert journal.entries()[0].champion == "2"


def test_tags_that_contradict_the_journal_are_written_again(journal: ModelJournal) -> None:
    client, entries = journal.registry.client, journal.entries()
    client.set_model_version_tag(journal.model, "1", "ame.state", "validated")
    client.set_model_version_tag(journal.model, "2", "ame.entry", f"2 rejected {entries[1].run_id}")
    client.delete_model_version_tag(journal.model, "3", "ame.entry")
    client.set_model_version_tag(journal.model, "4", "ame.entry", "9 promoted nowhere")
    one, two, three = (f"{entry.sequence} {entry.state} {entry.run_id}" for entry in entries)
    assert treated(journal) == [
        f"the tags of v1 say 'validated', entry '{one}', and the journal says 'promoted', entry '{one}': written again",
        (
            f"the tags of v2 say 'promoted', entry '2 rejected {entries[1].run_id}', and the journal says 'promoted', "
            f"entry '{two}': written again"
        ),
        f"the tags of v3 say 'rejected', entry 'none', and the journal says 'rejected', entry '{three}': written again",
        "the tags of v4 say 'nothing', entry '9 promoted nowhere', and the journal has no such entry: removed",
    ]
    assert states(journal) == ["promoted", "promoted", "rejected", None]
    assert len(journal.entries()) == 3, "nothing was taken into the journal a second time"


def test_a_rollback_counts_for_both_of_its_versions(journal: ModelJournal) -> None:
    draft = Draft(
        decision="rollback",
        version="2",
        before="2",
        after="3",
        runner_up="1",
        state="rolled-back",
        by="a",
        reason="!",
    )
    decide(journal, draft)
    assert states(journal) == ["promoted", "rolled-back", "promoted", None]
    assert examine(journal, None) == []
    client, entry = journal.registry.client, journal.entries()[-1].run_id
    for number in ("2", "3"):
        client.set_model_version_tag(journal.model, number, "ame.state", "compared")
    assert treated(journal) == [
        f"the tags of v{number} say 'compared', entry '4 {state} {entry}', and the journal says '{state}', "
        f"entry '4 {state} {entry}': written again"
        for number, state in (("2", "rolled-back"), ("3", "promoted"))
    ]


@pytest.mark.parametrize(
    ("damage", "finding"),
    [
        (
            lambda client, model: client.set_registered_model_alias(model, "previous", "3"),
            "the alias 'previous' names v3 and should name v1: set again",
        ),
        (
            lambda client, model: client.delete_registered_model_alias(model, "previous"),
            "the alias 'previous' names no version and should name v1: set again",
        ),
        (
            lambda client, model: client.set_registered_model_alias(model, "challenger", "3"),
            "the alias 'challenger' names v3 and should name no version: removed",
        ),
    ],
)
def test_aliases_follow_the_journal(
    journal: ModelJournal, damage: Callable[[Any, str], None], finding: str
) -> None:
    damage(journal.registry.client, journal.model)
    assert treated(journal) == [finding]
    assert aliases(journal) == {"champion": "2", "previous": "1"}


def test_the_challenger_of_an_open_or_inconclusive_version_stays(journal: ModelJournal) -> None:
    journal.registry.challenge(journal.registry.version(journal.model, "4"))
    assert examine(journal, None) == []
    inconclusive = Draft(
        decision="inconclusive", version="4", before="2", after="2", state="inconclusive", by="a", reason="!"
    )
    decide(journal, inconclusive)
    assert examine(journal, None) == []


def test_an_old_run_that_never_became_an_entry_is_deleted_and_a_young_one_stays(
    journal: ModelJournal,
) -> None:
    old, young = stray(journal, HOURS_AGO), stray(journal, None)
    foreign = create_run(journal.registry.client, journal.chain.experiment_id, "of a user", {})
    assert treated(journal) == [f"run {old} holds an entry that never became part of the journal: deleted"]
    runs = journal.chain.runs()
    assert (old in runs, young in runs, foreign in runs) == (False, True, True)


def test_the_claim_of_a_dead_process_is_freed(journal: ModelJournal) -> None:
    claimed(journal)  # never gives a sign of life
    said: list[str] = []
    watched = watch([journal], said.append)
    assert said == [
        f"{journal.model} is claimed by box:home (deliver version 3): waiting for a sign of life, 2 s at most ..."
    ]
    what = "the claim of box:home (deliver version 3) has given no sign of life for 2 s"
    finding = Finding(model=journal.model, what=what, remedy="freed", done=False)
    before = everything(journal)
    assert examine(journal, watched[journal.model]) == [finding]
    assert everything(journal) == before
    (repaired,) = repair(journal, DOCTOR, watched[journal.model])
    assert (repaired.what, repaired.done) == (what, True)
    end = journal.chain.end()
    assert end
    assert (end.claim, watch([journal], silent)) == (None, {})


def test_what_the_dead_had_decided_is_carried_out_with_its_claim_freed(journal: ModelJournal) -> None:
    leave_undone(journal)
    claimed(journal)
    watched = watch([journal], silent)
    assert [each.done for each in repair(journal, DOCTOR, watched[journal.model])] == [True, True]
    assert examine(journal, None) == []
    assert aliases(journal)["champion"] == "4"


def test_while_somebody_living_holds_the_model_it_is_only_looked_at(journal: ModelJournal) -> None:
    journal.registry.client.set_registered_model_alias(journal.model, "challenger", "3")
    leave_undone(journal)
    with claimed(journal) as claim:
        watched = watch([journal], silent)
        assert watched[journal.model].alive
        before = everything(journal)[:2]
        # That the newest entry is carried out is what its holder is about to do.
        assert [(each.what, each.done) for each in repair(journal, DOCTOR, watched[journal.model])] == [
            ("the alias 'challenger' names v3 and should name no version", False)
        ]
        assert everything(journal)[:2] == before
        claim.check()
        claim.release()


def test_an_altered_entry_is_told_and_left(journal: ModelJournal) -> None:
    second = journal.entries()[1]
    journal.registry.client.log_text(second.run_id, "{}", "entry.json")
    assert check_entries(journal, silent) == [
        Finding(
            model=journal.model,
            what=f"AME-E322 entry 2 of the journal of '{journal.model}' is not as it was written. Its file is not the "
            f"one whose digest was noted. Its MLflow run is {second.run_id}. Restore the artifact from a backup.",
        )
    ]
    assert repair(journal, DOCTOR, None) == []


def test_an_entry_whose_run_says_something_else_than_its_file_is_told(journal: ModelJournal) -> None:
    second = journal.entries()[1]
    journal.registry.client.set_tag(second.run_id, "ame.model", "another")
    assert [each.what for each in check_entries(journal, silent)] == [
        (
            "AME-E322 entry 2 of the journal of 'another' is not as it was written. Its MLflow run says something else "
            f"than its file. Its MLflow run is {second.run_id}. Restore MLflow's database from a backup."
        )
    ]


def test_a_gap_and_a_digest_that_does_not_fit_are_told(journal: ModelJournal) -> None:
    claim = claimed(journal)
    link = claim.check()
    forged = replace(link, params={**link.params, "digest": "0" * 64, "sequence": "6"})
    draft = Draft(decision="observe", version=None, before="2", after="2", by="e", reason="!")
    created = journal.registry.created(journal.model)
    written = write_entry(
        journal.chain, forged, draft, now=datetime.now(UTC), model_created=created, claim=claim.slot
    )
    assert written
    claim.moved(written[0])
    claim.release()
    what = f"AME-E322 entry 7 of the journal of '{journal.model}' is not as it was written."
    fix = f"Its MLflow run is {written[1].run_id}. Restore MLflow's database from a backup."
    assert [each.what for each in check_entries(journal, silent)] == [
        f"{what} It stands at place 4 of the chain. {fix}",
        f"{what} It names another digest than that of the entry before it. {fix}",
    ]


def test_a_gap_in_the_chain_is_told_and_nothing_else_is_touched(journal: ModelJournal) -> None:
    second = journal.entries()[1]
    journal.registry.client.delete_run(second.run_id)
    journal.registry.client.set_registered_model_alias(journal.model, "challenger", "3")
    gap = Finding(
        model=journal.model,
        what=f"AME-E322 the journal of '{journal.model}' has a gap: its run {second.run_id} is missing. What was "
        f"decided after it stands, and decisions go on. Restore it: `mlflow runs restore --run-id {second.run_id}`.",
    )
    assert repair(journal, DOCTOR, None) == examine(journal, None) == [gap]
    assert check_entries(journal, silent) == []
    journal.registry.client.restore_run(second.run_id)
    assert len(treated(journal)) == 1


def without_its_end(journal: ModelJournal) -> Entry:
    last = journal.entries()[-1]
    journal.registry.client.delete_run(last.run_id)
    return last


def test_a_journal_without_its_end_is_set_aside_and_another_begun(journal: ModelJournal) -> None:
    client, old = journal.registry.client, journal.chain.links()
    rollback = Draft(
        decision="rollback",
        version="2",
        before="2",
        after="1",
        state="rolled-back",
        by="a",
        reason="too slow",
    )
    decide(journal, rollback)
    last = without_its_end(journal)
    assert examine(journal, None) == [
        Finding(
            model=journal.model,
            what=f"AME-E322 the journal of '{journal.model}' is broken: its run {last.run_id} is missing. It is the "
            "last one known, so nobody knows what was decided last, and nothing more is decided. Restore it: `mlflow "
            f"runs restore --run-id {last.run_id}`. If it is gone for good: `ame doctor {journal.model} "
            "--new-journal`.",
        )
    ]
    before = everything(journal)
    proposed = new_journal(journal, DOCTOR, dry_run=True)
    assert everything(journal) == before
    done = new_journal(journal, DOCTOR, dry_run=False)
    what = f"the journal of '{journal.model}' is broken: its run {last.run_id} is missing"
    assert (proposed.what, proposed.done, done.what, done.done) == (what, False, what, True)
    aside = re.fullmatch(
        rf"set aside as '(ame/journal/{journal.model} \(broken since [-0-9T:]+Z\))', and a new one begun",
        done.remedy,
    )
    assert aside

    entries = journal.entries()
    first = entries[0]
    assert (first.sequence, first.previous, first.decision, first.champion, first.reason) == (
        1,
        "",
        "observe",
        "1",
        "Version 1 was the champion when this journal began.",
    )
    assert [(entry.version, entry.state) for entry in entries] == [
        ("1", "promoted"),
        ("2", "rolled-back"),
        ("3", "rejected"),
    ]
    assert states(journal) == ["promoted", "rolled-back", "rejected", None]
    assert examine(journal, None) == check_entries(journal, silent) == []
    found = client.get_experiment_by_name(aside[1])
    assert found
    read = {run.info.run_id for run in client.search_runs([found.experiment_id])}
    assert read == {link.run_id for link in old[1:]}
    promote = Draft(
        decision="promote", version="4", before="1", after="4", state="promoted", by="a", reason="!"
    )
    decide(journal, promote)
    assert aliases(journal)["champion"] == "4"


def test_the_journal_can_be_broken_twice(journal: ModelJournal) -> None:
    without_its_end(journal)
    assert new_journal(journal, DOCTOR, dry_run=False).done
    without_its_end(journal)
    assert new_journal(journal, DOCTOR, dry_run=False).done
    assert examine(journal, None) == []


@pytest.mark.parametrize("deleted", [None, 1])
def test_a_journal_that_can_be_gone_on_with_is_not_set_aside(
    journal: ModelJournal, deleted: int | None
) -> None:
    if deleted is not None:
        journal.registry.client.delete_run(journal.entries()[deleted].run_id)
    with pytest.raises(Refused) as refused:
        new_journal(journal, DOCTOR, dry_run=False)
    assert str(refused.value) == (
        f"AME-E333 the journal of '{journal.model}' can be gone on with, so it is not set aside. A new journal would "
        "know nothing of what this one tells. See what is wrong with it: "
        f"`ame doctor {journal.model} --dry-run`."
    )


def test_an_older_model_of_the_same_name_says_nothing_about_a_new_one(journal: ModelJournal) -> None:
    client, model = journal.registry.client, journal.model
    client.delete_registered_model(model)
    assert examine(journal, None) == []
    client.create_registered_model(model)
    for number in (1, 2):
        client.create_model_version(model, f"s3://anew/{number}", await_creation_for=0)
    before = everything(journal)
    assert examine(journal, None) == check_entries(journal, silent) == []
    assert repair(journal, DOCTOR, None) == []
    assert everything(journal) == before
    assert (states(journal), aliases(journal)) == ([None, None], {})

    client.set_registered_model_alias(model, "champion", "2")
    assert treated(journal) == [
        "the alias 'champion' names v2, and the journal says no version: somebody moved it: noted in the journal"
    ]
    assert (states(journal), aliases(journal)) == ([None, "promoted"], {"champion": "2"})


@pytest.fixture
def project(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """`ame doctor` in a project of the given models."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.uri)

    def doctor(models: list[ModelJournal], *options: str) -> Result:
        listed = ", ".join(f"{{name: {each.model}, promotion: {{strategy: never}}}}" for each in models)
        (tmp_path / "ame.yml").write_text(f"name: small\nmodels: [{listed}]\n")
        return CliRunner().invoke(cli, ["doctor", "-p", str(tmp_path), *options])

    return doctor


def test_the_command_begins_a_new_journal(project: Callable[..., Result], journal: ModelJournal) -> None:
    model = journal.model
    refused = project([journal], model, "--new-journal").exception
    assert isinstance(refused, Refused)
    assert refused.diagnoses[0].code == "AME-E333"
    last = without_its_end(journal)
    said = (
        f"{model}: the journal of '{model}' is broken: its run {last.run_id} is missing: WHAT set aside as "
        f"'ame/journal/{model} (broken since TIME)', and a new one begun\n"
    )

    def timeless(text: str) -> str:
        return re.sub(r"since [-0-9T:]+Z", "since TIME", text)

    dry = project([journal], model, "--new-journal", "--dry-run")
    assert (dry.exit_code, timeless(dry.stdout)) == (1, said.replace("WHAT", "would be"))
    done = project([journal], model, "--new-journal")
    assert (done.exit_code, timeless(done.stdout)) == (0, said.replace("WHAT ", ""))
    assert done.stderr.endswith(f"\n{model}: beginning a new journal with the states of its versions ...\n")
    assert project([journal], model).stdout == f"nothing is wrong with {model}\n"


def test_a_new_journal_is_for_one_model(project: Callable[..., Result], registry: Registry) -> None:
    result = project([unused(registry, 0)], "--new-journal")
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (2, "Error: --new-journal needs a MODEL.")


def test_a_model_that_cannot_be_examined_keeps_none_from_being_examined(
    project: Callable[..., Result], registry: Registry, journal: ModelJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing, broken = unused(registry, 1), unused(registry, 1)
    decide(
        broken,
        Draft(decision="observe", version=None, before=None, after=None, by="a", reason="!"),
    )
    without_its_end(broken)
    journal.registry.client.set_registered_model_alias(journal.model, "champion", "3")
    links, gone = Chain.links, MlflowException("this table is gone")

    def fail(chain: Chain, **more: Any) -> list[Link]:
        if chain.model == failing.model:
            raise gone
        return links(chain, **more)

    monkeypatch.setattr(Chain, "links", fail)
    result = project([failing, broken, journal])
    first, second, third = result.stdout.splitlines()
    assert result.exit_code == 1
    assert first == f"{failing.model}: {diagnosis_of(gone, registry.uri)}"
    assert second.startswith(f"{broken.model}: AME-E322 the journal of '{broken.model}' is broken: its run ")
    assert third == (
        f"{journal.model}: the alias 'champion' names v3, and the journal says v2: somebody moved it: "
        "noted in the journal"
    )


def test_a_server_that_fails_at_one_claim_does_not_end_the_watch(
    journal: ModelJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise MlflowException("no")

    claimed(journal)
    other = unused(journal.registry, 1)
    monkeypatch.setattr(other.chain, "end", fail)
    assert list(watch([other, journal], silent)) == [journal.model]


def test_runs_of_the_dead_are_ended_and_those_of_others_left(registry: Registry) -> None:
    client, holder = registry.client, f"box:{uuid.uuid4().hex}"
    experiment = client.create_experiment(holder)
    mine = client.create_run(experiment, tags={"ame.holder": holder}).info.run_id
    other = client.create_run(experiment, tags={"ame.holder": f"{holder}-2"}).info.run_id
    what = "MLflow runs of killed commands that still read as running: 1"
    finding = Finding(model="", what=what, remedy="marked as KILLED", done=False)
    assert end_orphans(registry, holder, dry_run=True) == [finding]
    assert client.get_run(mine).info.status == "RUNNING"
    assert [each.done for each in end_orphans(registry, holder, dry_run=False)] == [True]
    assert end_orphans(registry, holder, dry_run=True) == []
    assert [client.get_run(run).info.status for run in (mine, other)] == ["KILLED", "RUNNING"]
