"""`ame rollback`, `ame promote` and `ame reject`, and the events by which others hear of them."""

from __future__ import annotations

import getpass
import itertools
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ame.cli import _lost, cli
from ame.cli._by_hand import checked_reason, person
from ame.diagnosis import Refused
from ame.registry import Draft, Holder, ModelJournal, Registry, connection
from flows._announce import announce, announce_now
from tests.conftest import Embedded, post

AME = Path(sys.executable).with_name("ame")
_numbers = itertools.count(1)


@pytest.fixture
def journal(embedded: Embedded, no_servers_of_others: None) -> ModelJournal:
    """Of a model with four versions, of which 1 and then 2 were promoted by hand of somebody."""
    registry = Registry(embedded.servers.mlflow)
    model = f"told-{next(_numbers)}"
    registry.client.create_registered_model(model)
    for number in range(4):
        registry.client.create_model_version(model, f"s3://b/{number}", await_creation_for=0)
    made = ModelJournal(registry, model)
    for number in ("1", "2"):
        decided(made, "promote", number, after=number, state="promoted")
    return made


@pytest.fixture
def home(embedded: Embedded, journal: ModelJournal) -> Iterator[Path]:
    """The project whose servers are the shared ones, as of a laptop where another command runs."""
    folder = embedded.home.root.parent
    file = folder / "ame.yml"
    file.write_text(ame_yml(journal.model))
    yield folder
    file.unlink()


@pytest.fixture
def prefect(embedded: Embedded) -> Iterator[str]:
    """The address of a Prefect server that this process is set to."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: embedded.servers.prefect}):
        yield embedded.servers.prefect


def ame_yml(model: str) -> str:
    return f"name: small\nmodels: [{{name: {model}, promotion: {{strategy: never}}}}]\n"


def decided(journal: ModelJournal, decision: Any, number: str, *, after: str, state: str) -> None:
    champion = journal.registry.champion(journal.model)
    journal.by_hand(
        Holder("the test", None, "test"),
        lambda _, before: Draft(
            decision=decision,
            version=number,
            before=before,
            after=after,
            runner_up=champion,
            state=state,
            by="the test",
            reason="for the test",
        ),
    )


def ame(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [AME, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env={**os.environ, **environment},
    )


def in_process(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def events(api: str, model: str) -> list[dict[str, Any]]:
    """The events about a model, oldest first."""
    resource = {"id": [f"mlflow.registered-model.{model}"]}
    found = post(f"{api}/events/filter", {"filter": {"resource": resource, "order": "ASC"}, "limit": 50})
    return sorted(found.raise_for_status().json()["events"], key=lambda event: event["payload"]["sequence"])


def told(api: str, model: str, until: Callable[..., None], count: int) -> list[dict[str, Any]]:
    until(lambda: len(events(api, model)) >= count)
    time.sleep(0.5)
    return events(api, model)


def test_a_rollback_on_a_laptop_works_beside_another_command_and_others_hear_of_it(
    home, embedded, journal, until
):
    ended = ame("rollback", journal.model, "--reason", "too slow", "-p", home)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == (
        f"{journal.model}: champion v2 -> v1 (rolled back by {person()}: too slow)\n"
        f"Serving follows the alias: what loads models:/{journal.model}@champion from now on gets v1; what has "
        "loaded v2 keeps it until it loads again.\n"
    )
    assert journal.registry.champion(journal.model) == "1"

    # The promotions of before, of which nobody was told yet, come first.
    found = told(embedded.servers.prefect, journal.model, until, 3)
    assert [(event["event"], event["payload"]["version"]) for event in found] == [
        ("ame.model.promoted", "1"),
        ("ame.model.promoted", "2"),
        ("ame.model.rolled-back", "2"),
    ]
    entry = journal.entries()[-1]
    assert entry.announced
    assert found[-1]["resource"] == {
        "prefect.resource.id": f"mlflow.registered-model.{journal.model}",
        "prefect.resource.name": journal.model,
    }
    assert found[-1]["payload"] == {
        "model": journal.model,
        "version": "2",
        "from": "2",
        "to": "1",
        "decision": "rollback",
        "by": person(),
        "at": entry.at,
        "reason": "too slow",
        "sequence": 3,
        "project": "small",
    }


def test_a_decision_made_while_prefect_is_down_is_told_later(home, embedded, journal, prefect, until):
    nowhere = "http://127.0.0.1:9/api"
    ended = ame(
        "promote", journal.model, "v3", "--reason", "a fair", "--json", "-p", home, PREFECT_API_URL=nowhere
    )
    assert ended.returncode == 0, ended.stderr
    printed = json.loads(ended.stdout)
    entry = journal.entries()[-1]
    assert printed == {"project": "small", "entry": {**entry.to_json(), **whole(printed)}, "announced": False}
    assert (printed["entry"]["reason"], printed["entry"]["to"]) == ("a fair (it was not validated)", "3")
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("no event was sent (Prefect: ")
    assert last.endswith("); the next delivery of the model, or registry watch, sends it")
    assert events(prefect, journal.model) == []

    assert announce_now(journal, "small") == ""
    found = told(prefect, journal.model, until, 3)
    assert [event["payload"]["to"] for event in found] == ["1", "2", "3"]


def whole(printed: dict[str, Any]) -> dict[str, Any]:
    """What only the entry's file holds."""
    entry: dict[str, Any] = printed["entry"]
    assert entry["links"]["model"].endswith("/versions/3")
    return {"links": entry["links"]}


def test_with_a_registry_of_its_own_and_no_prefect_no_server_is_started(tmp_path, embedded, journal):
    (tmp_path / "ame.yml").write_text(ame_yml(journal.model))
    ended = ame(
        "reject",
        journal.model,
        "v3",
        "--reason",
        "unfair",
        "-p",
        tmp_path,
        MLFLOW_TRACKING_URI=embedded.servers.mlflow,
        PREFECT_HOME=str(tmp_path / "prefect"),
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == f"{journal.model}: v3 rejected (by {person()}: unfair)\n"
    assert ended.stderr == (
        f"asking the MLflow server at {embedded.servers.mlflow} ...\n"
        "no event was sent (no Prefect server is named); the next delivery of the model, or registry watch, "
        "sends it\n"
    )
    assert not (tmp_path / ".ame").exists()


async def test_an_event_is_sent_once_and_a_repeat_has_its_id(journal, prefect, until):
    decided(journal, "inconclusive", "4", after="2", state="inconclusive")
    decided(journal, "reject", "3", after="2", state="rejected")
    journal.registry.client.set_registered_model_alias(journal.model, "champion", "4")
    decided(journal, "reject", "1", after="4", state="rejected")

    assert await announce(journal, "small") == ""
    assert await announce(journal, "small") == ""
    expected = [
        ("ame.model.promoted", "promote", "1"),
        ("ame.model.promoted", "promote", "2"),
        ("ame.model.rejected", "reject", "3"),
        ("ame.model.promoted", "observe", "4"),
        ("ame.model.rejected", "reject", "1"),
    ]
    first = told(prefect, journal.model, until, 5)
    seen = [(event["event"], event["payload"]["decision"], event["payload"]["version"]) for event in first]
    assert seen == expected

    # As when it was killed after sending and before noting that.
    for entry in journal.entries():
        if entry.announced:
            journal.registry.client.delete_tag(entry.run_id, "ame.announced")
    assert await announce(journal, "small") == ""
    assert told(prefect, journal.model, until, 5) == first
    assert [entry.sequence for entry in journal.entries() if not entry.announced] == [3]


def test_a_model_without_a_journal_has_nothing_to_tell(embedded, journal, prefect):
    assert announce_now(ModelJournal(journal.registry, "never-seen"), "small") == ""


def test_a_prefect_server_that_refuses_fails_nobody(embedded, journal):
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: f"{embedded.servers.prefect}/nothing"}):
        assert announce_now(journal, "small").startswith("Prefect: Client error '404 Not Found'")
    with temporary_settings({PREFECT_API_URL: None}):
        assert announce_now(journal, "small") == "no Prefect server is named"
    assert [entry.announced for entry in journal.entries()] == [False, False]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["rollback", "mm", "--reason", "slow"],
            "AME-E701 project 'small' has no model 'mm'. Its models: m. Did you mean 'm'?",
        ),
        (
            ["reject", "m", "1", "--reason", " "],
            (
                "AME-E324 the reason cannot be used: it is blank. The journal keeps it for those who ask later "
                "why this was done. Say it in a sentence: `--reason 'too slow since Monday'`."
            ),
        ),
        (
            ["promote", "m", "1", "--reason", "now"],
            "AME-E708 project 'small' has not been run yet: $home holds no registry. Run it: `ame run`.",
        ),
    ],
)
def test_what_needs_no_server_to_be_refused_starts_none(tmp_path, no_servers_of_others, arguments, expected):
    (tmp_path / "ame.yml").write_text(ame_yml("m"))
    ended = in_process(*arguments, "-p", tmp_path)
    assert isinstance(ended.exception, Refused)
    assert str(ended.exception) == expected.replace("$home", str(tmp_path / ".ame"))
    assert not (tmp_path / ".ame").exists()


@pytest.mark.parametrize(
    "arguments", [["rollback", "m"], ["promote", "m", "--reason", "x"], ["reject", "--reason", "x"]]
)
def test_a_reason_and_a_version_are_part_of_the_command(tmp_path, arguments):
    (tmp_path / "ame.yml").write_text(ame_yml("m"))
    assert in_process(*arguments, "-p", tmp_path).exit_code == 2


def test_a_registry_that_cannot_be_used_is_a_diagnosis(tmp_path, monkeypatch, no_servers_of_others):
    (tmp_path / "ame.yml").write_text(ame_yml("m"))
    monkeypatch.setattr(connection, "_PATIENCE_SECONDS", 1.0)
    monkeypatch.setattr(_lost, "_SECONDS_TO_ANSWER", 0.1)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://bob:s3cr3t@127.0.0.1:9/")
    gone = in_process("rollback", "m", "--reason", "slow", "-p", tmp_path)
    assert str(gone.exception) == (
        "AME-E301 the MLflow server at http://***@127.0.0.1:9 does not answer. What was written down until then "
        "stands, and whoever comes next carries it out. When it answers, see with `ame history m` whether this "
        "was decided before you ask again."
    )
    assert gone.stderr == (
        "asking the MLflow server at http://***@127.0.0.1:9/ ...\n"
        "the MLflow server at http://***@127.0.0.1:9 has not answered yet: it is asked again for a minute and a "
        "half ...\n"
    )
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    no_http = in_process("rollback", "m", "--reason", "slow", "-p", tmp_path)
    assert str(no_http.exception) == (
        "AME-E602 MLFLOW_TRACKING_URI does not name an HTTP server. Unset it to use the embedded server, or "
        "name an http:// or https:// address."
    )


@pytest.mark.parametrize("number", ["99999999999999999999", "-1", "0", "7; drop", "", "1.0", "02", "٢"])
def test_any_text_as_a_version_is_an_unknown_one(tmp_path, embedded, journal, monkeypatch, number):
    (tmp_path / "ame.yml").write_text(ame_yml(journal.model))
    monkeypatch.setattr(connection, "_PATIENCE_SECONDS", 0.5)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", embedded.servers.mlflow)
    expected = (
        f"AME-E303 model '{journal.model}' has no version {number}. Versions in the registry: 1, 2, 3, 4."
    )
    for verb in (["promote", "--reason", "x"], ["why"]):
        ended = in_process(*verb, "-p", tmp_path, "--", journal.model, number)
        assert str(ended.exception) == expected


def test_who_is_waited_for_is_said(tmp_path, embedded, journal, monkeypatch):
    (tmp_path / "ame.yml").write_text(ame_yml(journal.model))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", embedded.servers.mlflow)
    monkeypatch.setenv("AME_CLAIM_SECONDS", "2")
    # It gives no sign of life, as after a kill.
    claim = journal.claim(Holder("bob@box", None, "a rollback by hand"), over=lambda _: False)
    assert claim
    ended = in_process("promote", journal.model, "3", "--reason", "a fair", "-p", tmp_path)
    assert ended.exit_code == 0, ended.output
    assert (
        "waiting for bob@box (a rollback by hand), or until it gives no sign of life for 2 s ...\n"
        in ended.stderr
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (" \u3000", "it is blank"),
        ("two\nlines", "it holds the character U+000A, which does not belong in a line"),
        ("a\x1b[31m", "it holds the character U+001B, which does not belong in a line"),
        ("half \udcff", "it holds the character U+DCFF, which does not belong in a line"),
        ("é" * 2001, "it has 2001 characters, and at most 2000 are kept"),
    ],
)
def test_a_reason_is_one_line_that_says_something(text, fault):
    with pytest.raises(Refused) as refused:
        checked_reason(text)
    assert str(refused.value) == (
        f"AME-E324 the reason cannot be used: {fault}. The journal keeps it for those who ask later why this "
        "was done. Say it in a sentence: `--reason 'too slow since Monday'`."
    )


def test_a_reason_is_kept_as_it_is_but_for_blanks_around_it():
    assert checked_reason("  zu langsam 🐌 ") == "zu langsam 🐌"
    assert checked_reason("é" * 2000) == "é" * 2000


def test_who_decides_is_named_also_where_there_is_no_user(monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "box")
    monkeypatch.setattr(getpass, "getuser", lambda: "ada\n")
    assert person() == "ada?@box"

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 10001")

    monkeypatch.setattr(getpass, "getuser", nobody)
    monkeypatch.setattr("os.getuid", lambda: 10001)
    assert person() == "uid-10001@box"
