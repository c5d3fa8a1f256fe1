"""history, who-was, why, status and doctor: what they print on a journal that a real server keeps."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ame.cli import cli
from ame.cli._by_hand import person
from ame.diagnosis import Refused
from ame.registry import ModelJournal, Registry, deciding
from ame.registry.claims import Holder
from ame.registry.journal import Draft, write_entry
from tests.conftest import Embedded

ME = Holder("box:home", None, "deliver version 4")
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)

DRAFTS = [
    Draft(
        decision="promote",
        version="1",
        before=None,
        after="1",
        state="promoted",
        by="ada@box",
        reason="first",
    ),
    Draft(
        decision="promote",
        version="2",
        before="1",
        after="2",
        runner_up="1",
        state="promoted",
        by="ame deliver-version",
        reason="roc_auc is better by 0.01.\nNo guardrail is worse.",
        numbers={"roc_auc": {"difference": 0.01}},
        digests={"gate": "12ab", "data": "34cd"},
        links={"flowRun": "0f"},
    ),
    Draft(
        decision="reject", version="3", before="2", after="2", state="rejected", by="ame", reason="x" * 200
    ),
    Draft(
        decision="rollback",
        version="2",
        before="2",
        after="1",
        state="rolled-back",
        by="bob@box",
        reason="too slow",
    ),
]


def ame(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def refusal(*arguments: object) -> str:
    result = ame(*arguments)
    assert isinstance(result.exception, Refused), result.output
    return str(result.exception)


def told(*arguments: object) -> Any:
    return json.loads(ame(*arguments, "--json").stdout)


def make(registry: Registry, model: str, drafts: list[Draft]) -> ModelJournal:
    """A model of four versions, on which decisions were made on the first day of each month of 2026."""
    registry.client.create_registered_model(model)
    for number in range(1, 5):
        registry.client.create_model_version(model, f"s3://models/{number}", await_creation_for=0)
    journal = ModelJournal(registry, model)
    claim = journal.claim(ME, over=lambda _: False)
    assert claim
    with pytest.MonkeyPatch.context() as clock:
        for month, draft in enumerate(drafts, start=1):
            clock.setattr(deciding, "server_time", lambda _, month=month: NEW_YEAR.replace(month=month))
            journal.decide(claim, draft)
    claim.release()
    return journal


@pytest.fixture(scope="module")
def read_only(embedded: Embedded) -> ModelJournal:
    """Of the model `read`, for tests that change nothing."""
    return make(Registry(embedded.servers.mlflow), "read", DRAFTS)


@pytest.fixture
def project(
    embedded: Embedded, read_only: ModelJournal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", embedded.servers.mlflow)
    monkeypatch.setenv("AME_CLAIM_SECONDS", "2")
    models = ", ".join(
        f"{{name: {name}, promotion: {{strategy: never}}}}" for name in ("read", "torn", "empty")
    )
    (tmp_path / "ame.yml").write_text(f"name: small\nmodels: [{models}]\n")
    return tmp_path


@pytest.fixture
def torn(project: Path, embedded: Embedded) -> Any:
    """The journal of the model `torn`, to be damaged."""
    registry = Registry(embedded.servers.mlflow)
    journal = make(registry, "torn", DRAFTS)
    yield journal
    registry.client.delete_registered_model("torn")
    experiment = registry.client.get_experiment_by_name("ame/journal/torn")
    registry.client.rename_experiment(experiment.experiment_id, f"was torn {experiment.experiment_id}")


HISTORY = f"""\
entry  time                  decision  version  champion    by                   reason
1      2026-01-01T00:00:00Z  promote   v1       none -> v1  ada@box              first
2      2026-02-01T00:00:00Z  promote   v2       v1 -> v2    ame deliver-version  roc_auc is better by 0.01. No guardrail is worse.
3      2026-03-01T00:00:00Z  reject    v3       v2          ame                  {"x" * 157}...
4      2026-04-01T00:00:00Z  rollback  v2       v2 -> v1    bob@box              too slow
"""


def test_history_lists_every_entry(project: Path, read_only: ModelJournal) -> None:
    assert ame("history", "read", "-p", project).stdout == HISTORY
    content = told("history", "read", "-p", project)
    assert (content["project"], content["model"]) == ("small", "read")
    entries = read_only.entries()
    assert content["entries"][1] == {
        "model": "read",
        "modelCreated": entries[1].model_created,
        "sequence": 2,
        "decision": "promote",
        "version": "2",
        "from": "1",
        "to": "2",
        "previousChampion": "1",
        "state": "promoted",
        "at": "2026-02-01T00:00:00Z",
        "by": "ame deliver-version",
        "reason": "roc_auc is better by 0.01.\nNo guardrail is worse.",
        "previous": entries[0].digest,
        "digest": entries[1].digest,
        "runId": entries[1].run_id,
        "void": False,
    }


def test_without_a_server_the_journal_is_read_from_the_home(
    project: Path, embedded: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    home = project / ".ame"
    shutil.copytree(embedded.home.artifacts, home / "artifacts")
    with (
        closing(sqlite3.connect(embedded.home.registry_database)) as here,
        closing(sqlite3.connect(home / "mlflow.db")) as there,
    ):
        here.backup(there)
    assert ame("history", "read", "-p", project).stdout == HISTORY
    assert told("why", "read", "2", "-p", project)["entry"]["digests"] == {"gate": "12ab", "data": "34cd"}
    assert told("who-was", "read", "--at", "2026-02-02", "-p", project)["champion"] == "2"
    assert told("status", "-p", project)["models"][0]["journal"]["champion"] == "1"
    assert not (home / "run").exists(), "no server was started"


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (
            "2026-02-15T12:30+01:00",
            (
                "read at 2026-02-15T11:30:00Z: champion v2\n"
                "  since 2026-02-01T00:00:00Z, entry 2: promote v2 by ame deliver-version, champion v1 -> v2\n"
                "  roc_auc is better by 0.01. No guardrail is worse.\n"
                "  until 2026-04-01T00:00:00Z, then v1, entry 4: rollback v2 by bob@box, champion v2 -> v1\n"
            ),
        ),
        (
            "2026-04-01",
            (
                "read at 2026-04-01T00:00:00Z (no zone was given: taken as UTC): champion v1\n"
                "  since 2026-04-01T00:00:00Z, entry 4: rollback v2 by bob@box, champion v2 -> v1\n"
                "  too slow\n"
                "  until now\n"
            ),
        ),
        (
            "2025-12-31T23:59:59.5Z",
            (
                "read at 2025-12-31T23:59:59.500000Z: there was no champion yet\n"
                "  until 2026-01-01T00:00:00Z, then v1, entry 1: promote v1 by ada@box, champion none -> v1\n"
            ),
        ),
    ],
)
def test_who_was_champion(project: Path, at: str, expected: str) -> None:
    assert ame("who-was", "read", "--at", at, "-p", project).stdout == expected


def test_who_was_for_scripts(project: Path) -> None:
    content = told("who-was", "read", "--at", "2026-03-31", "-p", project)
    assert content.pop("entry")["sequence"] == 2
    assert content == {
        "project": "small",
        "model": "read",
        "at": "2026-03-31T00:00:00Z",
        "champion": "2",
        "known": True,
        "since": "2026-02-01T00:00:00Z",
        "until": "2026-04-01T00:00:00Z",
    }
    before = told("who-was", "read", "--at", "2025-03-31", "-p", project)
    assert (before["champion"], before["known"], before["entry"]) == (None, True, None)


def test_who_was_champion_before_the_journal_began_is_not_known(project: Path, embedded: Embedded) -> None:
    observed = Draft(
        decision="observe",
        version="4",
        before=None,
        after="4",
        state="promoted",
        by="ame",
        reason="was there",
    )
    registry = Registry(embedded.servers.mlflow)
    registry.client.create_registered_model("old")
    registry.client.create_model_version("old", "s3://models/1", await_creation_for=0)
    registry.client.delete_registered_model("old")
    make(registry, "old", [observed])
    result = ame("who-was", "old", "--at", "2025-05-05", "-p", project)
    assert result.stdout.splitlines()[0] == (
        "old at 2025-05-05T00:00:00Z (no zone was given: taken as UTC): not known: v4 was the champion already "
        "when the journal began"
    )
    assert told("who-was", "old", "--at", "2025-05-05", "-p", project)["known"] is False


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["who-was", "read", "--at", "yesterday"],
            (
                "AME-E331 'yesterday' is no time. A time is written as in ISO 8601. Write for example 2026-11-21, "
                "2026-11-21T14:08 or 2026-11-21T14:08:16+01:00."
            ),
        ),
        (
            ["who-was", "read", "--at", "0001-01-01T00:00+23:59"],
            (
                "AME-E331 '0001-01-01T00:00+23:59' is no time. A time is written as in ISO 8601. Write for example "
                "2026-11-21, 2026-11-21T14:08 or 2026-11-21T14:08:16+01:00."
            ),
        ),
        (
            ["who-was", "empty", "--at", "2026-01-01"],
            (
                "AME-E330 nothing is in the journal of 'empty' yet. It begins with the first decision on a version. "
                "If older releases of ame-flows have decided, `ame doctor` takes that into it."
            ),
        ),
        (
            ["history", "raed"],
            "AME-E701 project 'small' has no model 'raed'. Its models: read, torn, empty. Did you mean 'read'?",
        ),
        (
            ["doctor", "raed"],
            "AME-E701 project 'small' has no model 'raed'. Its models: read, torn, empty. Did you mean 'read'?",
        ),
        (
            ["why", "read", "9"],
            "AME-E303 model 'read' has no version 9. Versions in the registry: 1, 2, 3, 4.",
        ),
    ],
)
def test_what_cannot_be_told_is_a_diagnosis(project: Path, arguments: list[str], expected: str) -> None:
    assert refusal(*arguments, "-p", project) == expected


def test_the_future_is_refused(project: Path) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    before, _, now = refusal("who-was", "read", "--at", tomorrow, "-p", project).partition("it is ")
    assert before == f"AME-E332 {tomorrow} lies in the future: "
    assert now.endswith(
        "Z. The journal tells who was champion, not who will be. Name an earlier time; one without a zone is UTC."
    )


def test_nothing_to_read_and_a_server_that_is_away_are_diagnoses(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    for arguments in (["history", "read"], ["who-was", "read", "--at", "2026-01-01"], ["why", "read", "1"]):
        assert refusal(*arguments, "-p", project) == (
            f"AME-E708 project 'small' has not been run yet: {project}/.ame holds no registry. Run it: `ame run`."
        )


def test_why_tells_the_entry_and_what_came_after_it(project: Path) -> None:
    lines = ame("why", "read", "v2", "-p", project).stdout.splitlines()
    assert lines == [
        "read v2: rolled-back",
        "too slow",
        "journal: entry 2, 2026-02-01T00:00:00Z: promote v2 by ame deliver-version, champion v1 -> v2",
        "  roc_auc is better by 0.01. No guardrail is worse.",
        "  digest of the data: 34cd",
        "  digest of the gate: 12ab",
        "  flowRun: 0f",
        "later: entry 4, 2026-04-01T00:00:00Z: rollback v2 by bob@box, champion v2 -> v1: too slow",
    ]
    content = told("why", "read", "2", "-p", project)
    assert (content["decision"], content["why"], content["metrics"], content["report"]) == (
        "rollback",
        "too slow",
        {},
        None,
    )
    assert content["entry"]["numbers"] == {"roc_auc": {"difference": 0.01}}
    assert [(entry["sequence"], entry["decision"]) for entry in content["journal"]] == [
        (2, "promote"),
        (4, "rollback"),
    ]
    assert content["diagnoses"] == []


def test_why_tells_who_was_replaced_and_who_came_back(project: Path) -> None:
    lines = ame("why", "read", "1", "-p", project).stdout.splitlines()
    assert lines[2:] == [
        "journal: entry 1, 2026-01-01T00:00:00Z: promote v1 by ada@box, champion none -> v1",
        (
            "later: entry 2, 2026-02-01T00:00:00Z: promote v2 by ame deliver-version, champion v1 -> v2: "
            "roc_auc is better by 0.01. No guardrail is worse."
        ),
        "later: entry 4, 2026-04-01T00:00:00Z: rollback v2 by bob@box, champion v2 -> v1: too slow",
    ]


def test_why_of_a_version_without_an_entry_is_as_before(project: Path) -> None:
    assert ame("why", "read", "4", "-p", project).stdout == "read v4: not delivered yet\n"
    content = told("why", "read", "4", "-p", project)
    assert (content["entry"], content["journal"]) == (None, [])


def test_why_of_an_altered_entry_says_so_and_what_is_known(project: Path, torn: ModelJournal) -> None:
    entry = torn.entries()[1]
    torn.registry.client.log_text(entry.run_id, "{}", "entry.json")
    result = ame("why", "torn", "2", "-p", project)
    problem = (
        "AME-E322 entry 2 of the journal of 'torn' is not as it was written. Its file is not the one whose digest "
        f"was noted. Its MLflow run is {entry.run_id}. Restore the artifact from a backup."
    )
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (1, problem)
    assert "journal: entry 2, 2026-02-01T00:00:00Z: promote v2" in result.stdout
    assert told("why", "torn", "2", "-p", project)["diagnoses"][0]["code"] == "AME-E322"


def test_void_entries_are_marked(project: Path, torn: ModelJournal) -> None:
    claim = torn.claim(ME, over=lambda _: False)
    assert claim
    draft = Draft(
        decision="promote",
        version="4",
        before="1",
        after="4",
        runner_up="1",
        state="promoted",
        by="d",
        reason="!",
    )
    created = torn.registry.created("torn")
    written = write_entry(
        torn.chain, claim.check(), draft, now=NEW_YEAR, model_created=created, claim=claim.slot
    )
    assert written
    claim.moved(written[0])
    assert "v1 -> v4 (not carried out yet)  d " in ame("history", "torn", "-p", project).stdout
    status = ame("status", "-p", project).stdout
    assert status.split("torn: ")[1].split("empty: ")[0] == (
        "champion v1, challenger none\n"
        "  v2 rolled-back 2026-04-01T00:00:00Z: too slow\n"
        "  without a decision: v4 (not delivered)\n"
        "  entry 5 of the journal is not carried out yet; the next delivery does that, or `ame doctor`\n"
        "  held by box:home: deliver version 4\n"
    )
    torn.registry.client.set_registered_model_alias("torn", "champion", "3")
    torn.settle(claim, "me")
    claim.release()
    assert "v1 -> v4 (not carried out: somebody had set v3)" in ame("history", "torn", "-p", project).stdout


def test_status_tells_an_alias_moved_by_hand_and_what_waits_for_a_person(
    project: Path, torn: ModelJournal
) -> None:
    torn.registry.client.set_registered_model_alias("torn", "champion", "3")
    torn.registry.mark(torn.registry.version("torn", "4"), "validated")
    assert ame("status", "-p", project).stdout.split("torn: ")[1].split("empty: ")[0] == (
        "champion v3, challenger none\n"
        "  v2 rolled-back 2026-04-01T00:00:00Z: too slow\n"
        "  without a decision: v4 (validated)\n"
        "  waits for you: `ame promote torn 4 --reason TEXT` or `ame reject torn 4 --reason TEXT`\n"
        "  the alias 'champion' was moved by hand: the journal says v1; the next delivery notes it, or `ame doctor`\n"
    )
    assert told("status", "-p", project)["models"][1]["journal"] == {
        "champion": "1",
        "movedByHand": True,
        "notCarriedOut": None,
        "claim": None,
        "problem": None,
    }
    assert told("status", "-p", project)["models"][2]["journal"] is None


def test_a_first_version_that_nothing_promotes_waits_for_a_person(project: Path, embedded: Embedded) -> None:
    registry = Registry(embedded.servers.mlflow)
    registry.client.create_registered_model("first")
    registry.client.create_model_version("first", "s3://models/1", await_creation_for=0)
    registry.mark(registry.version("first", "1"), "validated")
    (project / "ame.yml").write_text(
        "name: small\nmodels: [{name: first, promotion: {strategy: always, firstVersion: never}}]\n"
    )
    assert ame("status", "-p", project).stdout == (
        "first: champion none, challenger none\n"
        "  without a decision: v1 (validated)\n"
        "  waits for you: `ame promote first 1 --reason TEXT` or `ame reject first 1 --reason TEXT`\n"
    )


def test_doctor_finds_repairs_and_finds_nothing(project: Path, torn: ModelJournal) -> None:
    client = torn.registry.client
    client.set_registered_model_alias("torn", "champion", "3")
    client.set_registered_model_alias("torn", "challenger", "2")
    moved = "torn: the alias 'champion' names v3, and the journal says v1: somebody moved it: "
    challenger = "torn: the alias 'challenger' names v2 and should name no version: "
    dry = ame("doctor", "--dry-run", "-p", project)
    assert (dry.exit_code, dry.stdout) == (
        1,
        f"{moved}would be noted in the journal\n{challenger}would be removed\nnothing is wrong with read, empty\n",
    )
    assert len(torn.entries()) == 4
    content = told("doctor", "torn", "-p", project)
    assert (content["project"], content["models"], content["dryRun"]) == ("small", ["torn"], False)
    assert content["findings"] == [
        {
            "model": "torn",
            "what": moved.removeprefix("torn: ").removesuffix(": "),
            "remedy": "noted in the journal",
            "done": True,
        },
        {
            "model": "torn",
            "what": challenger.removeprefix("torn: ").removesuffix(": "),
            "remedy": "removed",
            "done": True,
        },
    ]
    assert torn.entries()[-1].by == f"unknown, seen by {person()}"
    again = ame("doctor", "-p", project)
    assert (again.exit_code, again.stdout) == (0, "nothing is wrong with read, torn, empty\n")


def test_doctor_exits_with_1_when_something_cannot_be_repaired(project: Path, torn: ModelJournal) -> None:
    entry = torn.entries()[0]
    torn.registry.client.log_text(entry.run_id, "{}", "entry.json")
    result = ame("doctor", "torn", "-p", project)
    assert (result.exit_code, result.stdout) == (
        1,
        (
            "torn: AME-E322 entry 1 of the journal of 'torn' is not as it was written. Its file is not the one whose "
            f"digest was noted. Its MLflow run is {entry.run_id}. Restore the artifact from a backup.\n"
        ),
    )


def test_doctor_only_looks_at_what_a_living_delivery_holds(project: Path, torn: ModelJournal) -> None:
    torn.registry.client.set_registered_model_alias("torn", "challenger", "2")
    claim = torn.claim(ME, over=lambda _: False)
    assert claim
    with claim:
        result = ame("doctor", "torn", "-p", project)
        claim.release()
    assert (result.exit_code, result.stdout) == (
        1,
        "torn: the alias 'challenger' names v2 and should name no version: not repaired\n",
    )
    assert result.stderr.splitlines()[-2:] == [
        "torn is claimed by box:home (deliver version 4): waiting for a sign of life, 2 s at most ...",
        "torn is held by box:home (deliver version 4), who gives signs of life: it is only looked at",
    ]
    assert ame("doctor", "torn", "-p", project).exit_code == 0
