"""`ame replay`, `ame ab-test MODEL V1 V2` and `ame gate simulate MODEL VERSION`: what the registry has kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from ame.cli import cli
from ame.cli._again import differences
from ame.cli._gate_file import gate_of_file
from ame.cli._recorded import gate_of_settings, same_look, stored
from ame.diagnosis import Refused, Where
from ame.gate import ABTest, Exhausted, FileLedger, Margin, run_ab_test
from ame.gate.training import compare_with_training
from ame.local import Home
from ame.registry import ABTestRecord, Recorded, Registry, record_ab_test
from ame.registry.versions import to_version
from ame.spec import AbTestSection
from flows._judging import _texts
from flows._pair import Pair, gate_settings
from flows._scored import Scored
from tests.conftest import Embedded

MODEL = "kept"
GATE = ABTest(
    label="late",
    primary=Margin("roc_auc", 0.002),
    guardrails=(Margin("log_loss", 0.01),),
    slices=("place",),
    row="key",
    looks=4,
)
SECTION = (
    "{label: late, data: {path: h.csv}, primary: {metric: roc_auc, margin: %s}, guardrails: "
    "[{metric: log_loss, margin: 0.01}], slices: [place], looks: 4}"
)


def ame(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def refusal(*arguments: object) -> str:
    result = ame(*arguments)
    assert isinstance(result.exception, Refused), result.output
    return str(result.exception)


def told(*arguments: object, code: int = 0) -> Any:
    result = ame(*arguments, "--json")
    assert result.exit_code == code, (result.output, result.exception)
    return json.loads(result.stdout)


def scored(rows: int = 2000) -> pa.Table:
    draw = np.random.default_rng(11)
    late = draw.random(rows) < 0.3
    shared = draw.normal(size=rows)
    scores = [
        1 / (1 + np.exp(-(mu * (mu * late + 0.9 * shared + 0.4 * draw.normal(size=rows)) - mu**2 / 2 - 0.85)))
        for mu in (1.0, 1.3)
    ]
    return pa.table(
        {
            "key": np.arange(rows, dtype=np.uint64) + 1,
            "late": late,
            "place": draw.choice(["north", "south"], rows),
            "champion": scores[0],
            "challenger": scores[1],
        }
    )


@pytest.fixture(scope="module")
def run(embedded: Embedded, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of the test of version 2 against version 1, recorded as a delivery records it; version 3 has none."""
    registry = Registry(embedded.servers.mlflow)
    registry.client.create_registered_model(MODEL)
    one, two, _ = (
        to_version(registry.client.create_model_version(MODEL, f"s3://kept/{number}", await_creation_for=0))
        for number in range(3)
    )
    folder = tmp_path_factory.mktemp("kept")
    table = scored()
    pq.write_table(table, folder / "scores.parquet")
    old = pa.table(
        {"late": table["late"], "place": table["place"], "key": np.arange(2000, dtype=np.uint64) + 9000}
    )
    ledger = FileLedger(folder / "looks.json")
    result = run_ab_test(
        GATE, folder / "scores.parquet", ledger=ledger, training=compare_with_training(GATE, table, old)
    )
    assert (result.decision, result.alpha, len(result.drift)) == ("promote", 0.0125, 2)
    pair = Pair(
        two, one, AbTestSection(gate=GATE, where=Where("ame.yml"), data_path="h.csv", training_path="t.csv")
    )
    scores = folder / "scores.parquet"
    kept = {"file": scores.name, "sha256": hashlib.sha256(scores.read_bytes()).hexdigest()}
    files = _texts(result, pair, Scored(None, None, (), GATE, "local", scores, kept, {}), folder)  # type: ignore[arg-type]
    files["report.html"] = folder / "report.html"
    files["report.html"].write_text("<!doctype html>the page")
    record = ABTestRecord(
        challenger=two,
        champion=one,
        key="k",
        holder="box",
        result=result.to_json(),
        params={"gate_sha256": "g"},
        holdout=("h.csv", "d" * 64),
        summary="",
        files=files,
    )
    run_id = record_ab_test(registry, record).run_id
    registry.mark(two, "promoted", ab_test_run=run_id)
    return run_id


@pytest.fixture
def project(run: str, embedded: Embedded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", embedded.servers.mlflow)
    (tmp_path / "ame.yml").write_text(
        f"name: small\nmodels: [{{name: {MODEL}, abTest: {SECTION % 0.002}}}]\n"
    )
    return tmp_path


@pytest.fixture
def artifacts(run: str, embedded: Embedded) -> Iterator[Path]:
    """The stored files, which a test may damage."""
    (folder,) = embedded.home.artifacts.glob(f"**/{run}/artifacts")
    kept = {file: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    yield folder
    for file, content in kept.items():
        file.write_bytes(content)


def test_the_gate_that_decided_gives_the_same_bytes_with_the_alpha_of_its_look(project: Path) -> None:
    result = ame("replay", MODEL, "v2", "-p", project)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == "kept v2 against v1"
    assert lines[1].startswith("promote: ROC AUC rose by ")
    assert lines[-2:] == [
        "ledger: Look 1 of 4 at this holdout, with alpha 0.0125 of 0.05.",
        "identical to what was recorded, byte by byte",
    ]
    content = told("replay", MODEL, "2", "-p", project)
    assert (content["identical"], content["differences"], content["result"]["alpha"]) == (True, [], 0.0125)


def test_another_gate_decides_otherwise_and_nothing_is_recorded(project: Path, run: str) -> None:
    for text in (
        SECTION % 0.2,
        f"abTest: {SECTION % 0.2}",
        (project / "ame.yml").read_text().replace("0.002", "0.2"),
    ):
        other = project / "other.yml"
        other.write_text(text)
        content = told("replay", MODEL, "2", "--gate", other, "-p", project)
        assert (content["identical"], content["recorded"]["decision"]) == (None, "promote")
        assert (content["result"]["decision"], content["result"]["alpha"]) == ("reject", 0.0125)
        assert content["result"]["checks"][-1]["name"] == "drift"
    other.write_text(SECTION.replace("looks: 4", "looks: 2") % 0.002)
    content = told("replay", MODEL, "2", "--gate", other, "-p", project)
    assert content["result"]["alpha"] == 0.025
    assert (
        content["result"]["ledger"]["note"] == "Look 1 at this holdout once more, with alpha 0.025 of 0.05."
    )
    assert told("replay", MODEL, "2", "-p", project)["abTestRunId"] == run


def test_scores_that_were_changed_are_refused_before_anything_is_computed(
    project: Path, artifacts: Path
) -> None:
    table = pq.read_table(artifacts / "scores.parquet")
    pq.write_table(table.slice(1), artifacts / "scores.parquet")
    said = refusal("replay", MODEL, "2", "-p", project)
    assert said.startswith(
        "AME-E722 scores.parquet the test of kept v2 against v1 cannot be read again. Its SHA-256"
    )
    (artifacts / "gate.json").unlink()
    assert refusal("replay", MODEL, "2", "-p", project).startswith("AME-E722 gate.json ")
    (artifacts / "scores.parquet").unlink()
    assert refusal("replay", MODEL, "2", "-p", project, "--gate", project).startswith(
        "AME-E722 scores.parquet "
    )
    (artifacts / "gate.json").write_text(json.dumps({"gate": gate_settings(GATE)}))
    assert "It is not among the files of its run" in refusal("replay", MODEL, "2", "-p", project)
    (artifacts / "ab_test.json").write_text("{")
    assert refusal("replay", MODEL, "2", "-p", project).startswith("AME-E722 ab_test.json ")


def test_a_number_that_was_changed_is_told_and_an_error(project: Path, artifacts: Path) -> None:
    file = artifacts / "ab_test.json"
    content = json.loads(file.read_text())
    content["metrics"]["roc_auc"]["champion"] = 0.5
    file.write_text(json.dumps(content, indent=2))
    found = told("replay", MODEL, "2", "-p", project, code=1)
    assert [(each["place"], each["recorded"]) for each in found["differences"]] == [
        ("metrics.roc_auc.champion", 0.5)
    ]
    result = ame("replay", MODEL, "2", "-p", project)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1] == "not identical to what was recorded: 1 values differ"
    assert result.stderr.startswith(
        "AME-E724 the test of kept v2 against v1 does not give again what was recorded"
    )
    assert "\n  metrics.roc_auc.champion: recorded 0.5, now 0.7" in result.stderr


def test_the_test_of_two_versions_is_shown_as_it_was_recorded(
    project: Path, artifacts: Path, run: str
) -> None:
    assert told("ab-test", MODEL, "1", "v2", "-p", project) == json.loads(
        (artifacts / "ab_test.json").read_text()
    )
    result = ame("ab-test", MODEL, "1", "2", "-p", project, "--report", project / "r.html")
    assert result.stdout.splitlines()[-2:] == [
        f"as it was recorded, in the MLflow run {run}",
        f"report: {project}/r.html",
    ]
    assert (project / "r.html").read_text() == "<!doctype html>the page"


def test_a_changed_gate_of_the_ame_yml_is_tried_on_the_stored_scores(project: Path) -> None:
    (project / "ame.yml").write_text((project / "ame.yml").read_text().replace("0.002", "0.3"))
    content = told("ab-test", MODEL, "1", "2", "-p", project)
    assert (content["decision"], content["metrics"]["roc_auc"]["margin"]) == ("reject", 0.3)
    last = ame("ab-test", MODEL, "1", "2", "-p", project).stdout.splitlines()[-1]
    assert last.startswith(
        "by the gate of the ame.yml, on the stored scores, and not recorded; recorded was promote"
    )


def test_versions_without_a_test_are_told_how_to_get_one(project: Path) -> None:
    assert refusal("ab-test", MODEL, "2", "3", "-p", project) == (
        "AME-E721 no A/B test of 'kept' v3 against champion v2 is recorded. Deliver it with an abTest section in "
        "the ame.yml: `ame run`. Or let both score the same rows, and test that file: `ame ab-test FILE --label "
        "COLUMN --champion COLUMN --challenger COLUMN`."
    )
    assert refusal("replay", MODEL, "3", "-p", project).startswith(
        "AME-E721 no A/B test of 'kept' v3 is recorded."
    )
    assert "Tests of it: v2 against v1." in refusal("ab-test", MODEL, "3", "2", "-p", project)
    assert refusal("replay", MODEL, "9", "-p", project).startswith("AME-E303 ")
    assert refusal("gate", "simulate", MODEL, "3", "-p", project).startswith("AME-E721 ")


def test_stored_scores_are_simulated_from_with_the_gate_that_decided(project: Path) -> None:
    content = told("gate", "simulate", MODEL, "2", "-p", project, "--trials", "2", "--effect", "0.02")
    assert (content["metric"], content["rows"], len(content["effects"])) == ("roc_auc", 2000, 1)


def test_stored_files_are_read_from_a_home_whose_server_does_not_run(tmp_path: Path) -> None:
    home = Home(tmp_path)
    folder = home.artifacts / "3" / "abc" / "artifacts"
    folder.mkdir(parents=True)
    (folder / "ab_test.json").write_text('{"decision": "reject"}')
    run = Recorded(
        run_id="abc", experiment_id="3", decision="reject", why="", champion="1", challenger="2", metrics={},
        artifacts="mlflow-artifacts:/3/abc/artifacts",
    )  # fmt: skip
    registry: Any = SimpleNamespace(uri=f"sqlite:///{home.registry_database}", client=None)
    with stored(registry, home, run, MODEL) as test:
        assert (test.title, test.result) == ("kept v2 against v1", {"decision": "reject"})
        with pytest.raises(Refused, match=r"AME-E722 gate.json .* not among the files of its run"):
            test.gate()


def test_every_setting_of_a_gate_survives_its_file() -> None:
    gate = ABTest(
        label="y",
        task="multiclass",
        classes=("a", 2, True),
        primary=Margin("log_loss", 0.1),
        guardrails=(Margin("accuracy", 0.2),),
        metrics=("f1_macro",),
        entity="e",
        time="t",
        looks=3,
        min_slice_rows=7,
    )
    assert gate_of_settings(json.loads(json.dumps(gate_settings(gate)))) == gate
    with pytest.raises(TypeError, match="unknown key 'colour'"):
        gate_of_settings({"label": "y", "colour": "red"})
    with pytest.raises(Refused, match="AME-E503"):
        gate_of_settings({"label": "y", "alpha": 2})


def test_no_look_is_given_that_was_not_spent() -> None:
    """Else a replay by a laxer gate would show numbers of rows that nobody has paid for."""
    use = {"look": 3, "looks": 4, "alpha": 0.0125, "total": 0.05, "holdout": "h#1", "note": "n"}
    ledger = same_look({"ledger": use, "metrics": {"roc_auc": {}}}, GATE)
    assert ledger is not None
    assert ledger.spend(GATE, (), 1).alpha == 0.0125
    assert same_look({"ledger": None, "metrics": {"roc_auc": {}}}, GATE) is None
    beyond = replace(GATE, looks=2)
    for recorded, gate in (
        ({"ledger": None, "metrics": {}}, GATE),
        ({"ledger": {**use, "look": 0, "alpha": 0.0}, "metrics": {}}, GATE),
        ({"ledger": use, "metrics": {"roc_auc": {}}}, beyond),
    ):
        none = same_look(recorded, gate)
        assert none is not None
        with pytest.raises(Exhausted):
            none.spend(gate, (), 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("abTest: {lable: y}", "AME-E109 {file}:1:10 abTest has the unknown key 'lable'."),
        ("abTest: {label: y, alpha: 2}", "AME-E1"),
        ("abTest: {alpha: 0.01}", "AME-E723 {file} the file holds no gate. It names no `label`"),
        ("abTest:", "AME-E723 "),
        ("- label", "AME-E106 "),
        ("a: [", "AME-E105 "),
        ('{"gate": {"label": "y", "colour": 1}}', "AME-E723 "),
        ('{"gate": 3}', "AME-E723 "),
        ("name: p\nmodels: [{name: other}]", "AME-E701 "),
        ("name: p\nmodels: [{name: kept, promotion: {strategy: never}}]", "AME-E704 "),
    ],
)
def test_a_file_that_holds_no_gate_is_a_diagnosis(tmp_path: Path, text: str, expected: str) -> None:
    file = tmp_path / "gate.yml"
    file.write_text(text)
    with pytest.raises(Refused) as refused:
        gate_of_file(file, MODEL)
    assert str(refused.value).startswith(expected.format(file=file))


def test_a_stored_gate_can_be_edited_and_tried(tmp_path: Path) -> None:
    file = tmp_path / "gate.json"
    file.write_text(json.dumps({"gate": gate_settings(GATE)}))
    assert gate_of_file(file, MODEL) == GATE


def test_differences_have_places() -> None:
    old = {"a": [{"b": 1}, 2], "c": 1, "d": [1]}
    new = {"a": [{"b": 3}, 2], "e": 1, "d": [1, 2]}
    assert list(differences(old, new)) == [
        ("a[0].b", 1, 3),
        ("c", 1, "(none)"),
        ("d", [1], [1, 2]),
        ("e", "(none)", 1),
    ]
