"""Comparisons of every kind in a delivery, and what is left of them in MLflow."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature
from mlflow.sklearn import SERIALIZATION_FORMAT_CLOUDPICKLE, log_model
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import log_loss, mean_absolute_error

import ame.scoring
from ame.cli._loop import run_beside
from ame.registry import Recorded, ab_test_of
from ame.registry.ledger import read_ledger
from ame.scoring import score
from flows._dispatch import run_step
from flows._outcome import Outcome
from flows.comparison import compare_versions
from tests.flows.conftest import Project

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

Make = Callable[..., Project]

AME_YML = """
    name: project-of-$model
    models:
      - name: $model
        abTest:
          data: {path: holdout.csv}
          scoring: {environment: current}
          %s
"""


def rows_of(seed: int, rows: int) -> pd.DataFrame:
    """Rows with an outcome of each kind, all of which depend on `a` much and on `noise` not at all."""
    random = np.random.default_rng(seed)
    found = pd.DataFrame(random.normal(size=(rows, 3)), columns=["a", "b", "noise"]).round(6)
    found["place"] = random.choice(["north", "south"], rows)
    found["row"] = np.arange(rows) + 10_000 * seed
    found["day"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(seed * 100 + np.arange(rows) // 100, "D")
    found["day"] = found["day"].dt.strftime("%Y-%m-%d")
    found["amount"] = (2 * found["a"] + found["b"] + random.normal(size=rows)).round(4)
    found["y"] = (found["amount"] > 0).astype(int)
    found["kind"] = pd.cut(found["amount"], [-99, -1, 1, 99], labels=["low", "medium", "high"])
    return found


@pytest.fixture
def compare(
    project: Make, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Project, Outcome, Recorded | None]]:
    """Register versions that were fitted on some columns of other rows, and compare the last two."""

    def score_here(model: Any, data: Path, features: Any, *, work: Path, **asked: Any) -> Path:
        """With the standalone script, in this process: what starts it is tested in tests/scoring."""
        output = work / "scores.parquet"
        request = {"model": str(model.folder), "data": str(data), "features": features, "output": str(output)}
        request |= {"task": asked["task"], "classes": asked["classes"] or None}
        (work / "request.json").write_text(json.dumps(request))
        score.main(str(work / "request.json"))
        return output

    monkeypatch.setattr(ame.scoring, "score_model", score_here)
    made = project("", "name: empty")
    rows_of(1, 1500).to_csv(made.folder / "train.csv", index=False)
    rows_of(2, 1500).to_csv(made.folder / "holdout.csv", index=False)

    def make(section: str, label: str, *features: str, fit: Any = None) -> Any:
        made.write("ame.yml", AME_YML % section.replace("\n", "\n          "))
        rows = rows_of(1, 1500)
        for names in features:
            columns = names.split()
            model = (fit or LogisticRegression()).fit(rows[columns], rows[label])
            log_model(
                model,
                name="model",
                registered_model_name=made.model,
                signature=infer_signature(rows[columns].head()),
                pip_requirements=["mlflow"],
                serialization_format=SERIALIZATION_FORMAT_CLOUDPICKLE,
            )
        return made, *compare_last(made)

    return make


def compare_last(made: Project) -> tuple[Outcome, Recorded | None]:
    work = made.work()
    champion, challenger = sorted(work.registry.versions(made.model), key=lambda each: int(each.number))[-2:]
    parameters = {"model": made.model, "version": challenger.number, "champion": champion.number}
    ended = run_beside(run_step(compare_versions, work, made.model, **parameters), lambda: None)
    return ended, ab_test_of(work.registry, challenger, champion.number)


Compare = Callable[..., tuple[Project, Outcome, Recorded]]


def artifact(made: Project, test: Recorded, name: str, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return Path(made.work().registry.client.download_artifacts(test.run_id, name, str(folder)))


def test_everything_of_a_test_is_in_mlflow_and_found_there(compare: Compare, tmp_path: Path) -> None:
    made, ended, test = compare(
        "label: y\ntask: binary\nslices: [place]\ntime: day\nrow: row\nlooks: 30\n"
        "guardrails: [{metric: log_loss, margin: 0.01}]\ntraining: {path: train.csv}",
        "y",
        "noise",
        "a",
    )
    assert ended.state == "Promote", ended.message
    client = made.work().registry.client
    experiment = client.get_experiment_by_name(f"ame/ab-tests/{made.model}").experiment_id
    found = client.search_runs(
        [experiment],
        "tags.`ame.kind` = 'ab_test' and tags.`ame.decision` = 'promote' and tags.`ame.champion` = '1' and "
        f"tags.`ame.challenger` = '2' and tags.`ame.model` = '{made.model}' and tags.`ame.look` = '1' and "
        "params.`gate.looks` = '30' and params.`gate.primary` LIKE '%roc_auc%' and "
        "metrics.`gate/roc_auc.lower_bound` > 0 and metrics.`gate/look` = 1",
    )
    assert [run.info.run_id for run in found] == [test.run_id]
    data = found[0].data
    assert json.loads(data.params["gate.slices"]) == ["place"]
    assert (data.params["gate.entity"], data.params["gate.minSliceRows"]) == ("none", "200")
    assert float(data.params["alpha_spent"]) == pytest.approx(0.05 / 30, rel=1e-4)
    assert data.metrics["gate/slices.judged"] == 2
    assert data.metrics["gate/drift.columns"] >= 1
    assert {(each.dataset.name, each.tags[0].value) for each in found[0].inputs.dataset_inputs} == {
        ("holdout.csv", "ab_test"),
        ("train.csv", "training"),
    }
    assert test.metrics["roc_auc"]["lowerBound"] == data.metrics["gate/roc_auc.lower_bound"]
    gate = json.loads(artifact(made, test, "gate.json", tmp_path / "kept").read_text())
    assert (gate["gate"]["row"], gate["training"]) == ("row", "train.csv")
    slices = json.loads(artifact(made, test, "slices.json", tmp_path / "kept").read_text())
    assert [each["value"] for each in slices["slices"]] == ["north", "south"]
    told = json.loads(artifact(made, test, "ab_test.json", tmp_path / "kept").read_text())
    assert told["ledger"]["look"] == 1
    assert "holdout newer than training" in {check["name"] for check in told["checks"]}
    page = artifact(made, test, "report.html", tmp_path / "kept").read_text()
    assert f"<pre>ame replay {made.model} 2</pre>" in page
    # Begun again after a kill, it finds what was decided, and spends no look.
    assert compare_last(made)[1].run_id == test.run_id
    assert len(read_ledger(made.work().registry, made.model)[0].looks) == 1


def test_a_holdout_that_has_promoted_is_used_up(compare: Compare) -> None:
    made, ended, _ = compare("label: y", "y", "noise", "a")
    assert ended.state == "Promote", ended.message
    _, ended, test = compare("label: y", "y", "a b")
    assert (ended.state, test.decision, test.metrics) == ("Invalid", "invalid", {})
    assert "holdout" in ended.message
    registry = made.work().registry
    (epoch,) = read_ledger(registry, made.model)
    assert (epoch.promoted, [look.decision for look in epoch.looks]) == (1, ["promote"])
    # Other rows are a new start.
    rows_of(3, 1500).to_csv(made.folder / "holdout.csv", index=False)
    ended, test = compare_last(made)
    assert ended.state == "Promote", ended.message
    assert [len(epoch.looks) for epoch in read_ledger(registry, made.model)] == [1, 1]


def test_a_column_called_row_is_no_key_unless_it_is_named_as_one(compare: Compare, tmp_path: Path) -> None:
    made, ended, test = compare("label: y\nslices: row", "y", "noise", "a")
    assert ended.state == "Invalid"
    assert "'row'" in ended.message, "it has too many values for slices"
    scores = pd.read_parquet(artifact(made, test, "scores.parquet", tmp_path / "kept"))
    assert list(scores.columns) == ["row_hash", "y", "row", "champion", "challenger"]
    assert scores["row_hash"].nunique() == 1500


def test_numbers_are_predicted_and_compared(compare: Compare, tmp_path: Path) -> None:
    section = "label: amount\ntask: regression\nmetrics: [r2]"
    made, ended, test = compare(section, "amount", "noise", "a", fit=LinearRegression())
    assert ended.state == "Promote", ended.message
    scores = pd.read_parquet(artifact(made, test, "scores.parquet", tmp_path / "kept"))
    for model in ("champion", "challenger"):
        expected = mean_absolute_error(scores["amount"], scores[model])
        assert test.metrics["mae"][model] == pytest.approx(expected, abs=1e-9)
    assert set(test.metrics) == {"mae", "r2"}


def test_classes_with_names_are_predicted_and_compared(compare: Compare, tmp_path: Path) -> None:
    section = "label: kind\ntask: multiclass\nguardrails: [{metric: f1_macro, margin: 0.01}]"
    made, ended, test = compare(section, "kind", "noise", "a")
    assert ended.state == "Promote", ended.message
    scores = pd.read_parquet(artifact(made, test, "scores.parquet", tmp_path / "kept"))
    gate = json.loads(artifact(made, test, "gate.json", tmp_path / "kept").read_text())["gate"]
    assert gate["classes"] == ["high", "low", "medium"]
    for model in ("champion", "challenger"):
        expected = log_loss(scores["kind"], np.stack(scores[model]), labels=gate["classes"])
        assert test.metrics["log_loss"][model] == pytest.approx(expected, abs=1e-9)


def test_a_challenger_of_other_classes_is_invalid(compare: Compare) -> None:
    section = "label: kind\ntask: multiclass"
    compare(section, "place", "noise", "a")
    _, ended, test = compare(section, "kind", "a")
    assert (ended.state, test) == ("Invalid", None)
    assert ended.message == (
        "AME-E404 champion and challenger do not answer with the same classes. "
        "The champion tells 'north', 'south' and the challenger tells 'high', 'low', 'medium'. "
        "Train both on the same classes, or name their order in `classes` of the abTest."
    )


def test_a_holdout_that_the_training_has_seen_is_invalid(compare: Compare) -> None:
    section = "label: y\ntraining: {path: seen.csv}"
    made, ended, test = compare(section, "y", "noise", "a")
    assert (ended.failed, test) == (True, None)
    assert "the training rows 'seen.csv' cannot be read from seen.csv. It does not exist." in ended.message
    seen = pd.concat([rows_of(1, 1500), rows_of(2, 1500)[:75]])
    seen.to_csv(made.folder / "seen.csv", index=False)
    ended, test = compare_last(made)
    assert (ended.state, test.metrics) == ("Invalid", {})
    assert "75 of" in ended.message
    assert read_ledger(made.work().registry, made.model) == []


def test_columns_that_the_gate_needs_are_asked_for_at_once(compare: Compare) -> None:
    _, ended, _ = compare("label: y\nslices: [country]", "y", "noise", "a")
    assert ended.failed
    assert "the holdout 'holdout.csv' has no column 'country', a slice. Its columns: a, b, " in ended.message
