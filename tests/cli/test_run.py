"""`ame run` when something is missing in the middle: a version, a server."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ame.cli._outcomes import print_reports
from ame.cli.run import run_names
from ame.diagnosis import Diagnosis, Refused
from ame.registry import Registry, connection
from flows._outcome import Outcome
from flows._work import Work, open_work
from tests.conftest import Embedded

AME = Path(sys.executable).with_name("ame")
_numbers = itertools.count(1)


@pytest.fixture
def work(
    embedded: Embedded, no_servers_of_others: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Work:
    """Of a project with two models, each of which has a version that waits to be delivered."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", embedded.servers.mlflow)
    number = next(_numbers)
    names = [f"run-{number}-{letter}" for letter in "ab"]
    models = ", ".join(f"{{name: {name}, promotion: {{strategy: always}}}}" for name in names)
    (tmp_path / "ame.yml").write_text(f"name: small\nmodels: [{models}]\n")
    registry = Registry(embedded.servers.mlflow)
    for name in names:
        registry.client.create_registered_model(name)
        registry.client.create_model_version(name, "s3://b/1", await_creation_for=0)
    made = open_work(str(tmp_path))
    made.home.prepare()
    return made


@pytest.fixture
def delivered(work: Work, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[str], None]], Any]:
    """Run both models; what a delivery does is given, and it ends well unless that raises."""

    def run(deliver: Callable[[str], None]) -> list[dict[str, Any]]:
        async def step(_step: object, _work: Work, of: str, *, model: str, version: str) -> Outcome:
            deliver(model)
            return Outcome("Promoted", f"{of} was delivered.", version, "flow-run-1")

        # Imported first: what is imported meanwhile would keep the replacement.
        import flows.training  # noqa: F401

        monkeypatch.setattr("flows._dispatch.run_step", step)
        return run_names(work, [("model", name) for name in work.project.models])

    return run


def test_a_version_that_is_deleted_while_it_is_delivered_fails_its_model_only(work, delivered, capsys):
    first, second = work.project.models

    def deliver(model: str) -> None:
        if model == first:
            work.registry.client.delete_model_version(model, "1")

    reports = delivered(deliver)
    assert reports[0] == {
        "kind": "model",
        "name": first,
        "state": "Failed",
        "flowRunId": "flow-run-1",
        "failed": True,
        "message": f"{first} was delivered. AME-E303 model '{first}' has no version 1. Versions in the "
        "registry: none.",
        "model": None,
    }
    assert [(report["name"], report["failed"]) for report in reports] == [(first, True), (second, False)]
    assert reports[1]["model"]["version"] == "1"

    capsys.readouterr()
    print_reports(reports, work)
    assert capsys.readouterr().out.splitlines()[1:3] == [
        f"model {first}: Failed",
        f"  {reports[0]['message']}",
    ]


def test_a_version_that_is_deleted_before_its_report_is_printed_fails_nobody(work, delivered, capsys):
    first, _ = work.project.models
    reports = delivered(lambda _: None)
    numbers = dict.fromkeys(
        ("champion", "challenger", "difference", "interval", "lowerBound", "pValue"), None
    )
    reports[0]["model"]["metrics"] = {"roc_auc": numbers}
    work.registry.client.delete_model_version(first, "1")

    print_reports(reports, work)
    assert "  report: not found in the registry any more\n" in capsys.readouterr().out


@pytest.mark.parametrize("refused", [True, False])
def test_what_concerns_one_model_leaves_the_others_their_reports(work, delivered, refused):
    from mlflow.exceptions import MlflowException

    first, second = work.project.models

    def deliver(model: str) -> None:
        if model == second:
            return
        if refused:
            raise Refused(Diagnosis(code="AME-E321", what="the journal is gone."))
        raise MlflowException("it is full")

    reports = delivered(deliver)
    told = (
        "AME-E321 the journal is gone."
        if refused
        else "AME-E304 MLflow refused a request. It said: it is full. What was written down until then stands, "
        "and whoever comes next carries it out. Run again: the work goes on where it stopped."
    )
    assert [(report["name"], report["failed"]) for report in reports] == [(first, True), (second, False)]
    assert (reports[0]["message"], reports[0]["state"], reports[0]["model"]) == (told, "Failed", None)


def test_an_mlflow_server_that_is_lost_ends_all_of_it(work, delivered, monkeypatch):
    monkeypatch.setattr(connection, "_PATIENCE_SECONDS", 0.5)

    def deliver(_: str) -> None:
        Registry("http://bob:s3cr3t@127.0.0.1:9").version("m", "1")

    with pytest.raises(Refused) as lost:
        delivered(deliver)
    told = str(lost.value)
    assert told.startswith(
        "AME-E605 a server stopped answering in the middle of the work. The last that was heard: "
    )
    assert "http://***@127.0.0.1:9/api" in told
    assert "s3cr3t" not in told


def test_a_prefect_server_that_is_away_as_a_flow_begins_is_a_diagnosis(work, embedded):
    ended = subprocess.run(
        [AME, "run", "--json", "-p", work.project.folder],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env={
            **os.environ,
            "MLFLOW_TRACKING_URI": embedded.servers.mlflow,
            "PREFECT_API_URL": "http://127.0.0.1:9/api",
            "PREFECT_HOME": str(work.project.folder / "prefect"),
        },
    )
    assert (ended.returncode, "Traceback" in ended.stderr) == (1, False), ended.stderr
    (found,) = json.loads(ended.stdout)["diagnoses"]
    assert found["code"] == "AME-E605"
    assert re.fullmatch(
        r"The last that was heard: Failed to reach API at http://127\.0\.0\.1:9/api/?\. "
        r"Logs of the servers: \S*/logs\.",
        found["why"],
    )


def test_an_mlflow_server_that_is_away_from_the_start_is_a_diagnosis(work, monkeypatch):
    from ame.cli._session import _clear_leftovers
    from ame.local import Servers

    monkeypatch.setattr(connection, "_PATIENCE_SECONDS", 0.5)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    servers = Servers("http://127.0.0.1:9/api", "http://127.0.0.1:9", frozenset())
    with pytest.raises(Refused) as refused:
        _clear_leftovers(servers, open_work(work.origin))
    assert refused.value.diagnoses[0].code == "AME-E301"
