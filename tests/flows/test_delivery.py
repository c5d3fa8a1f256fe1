"""What happens to a version after it is registered, decided from the numbers and resumed after a kill."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import mlflow
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from tests.flows.conftest import AME_YML, Project

Make = Callable[..., Project]


def test_three_nights_end_by_their_numbers(project: Make, tmp_path: Path) -> None:
    """First version, a better one, the same model again: promoted, promoted by the test, inconclusive."""
    made = project(
        ame_yml=AME_YML.replace(
            "margin: 0.0}", "margin: 0.0}\n          guardrails: [{metric: log_loss, margin: 0.01}]"
        )
    )
    (first,) = made.run(FEATURES="noise a")
    assert (first["state"], first["message"]) == (
        "Promoted",
        "there was no champion and it passed validation",
    )
    assert first["model"]["decision"] == "promote"
    assert first["model"]["champion"] is None

    (second,) = made.run(FEATURES="a b")
    assert (second["state"], second["model"]["champion"]) == ("Promoted", "1")
    assert second["model"]["why"].startswith("ROC AUC rose by ")
    registry = made.work().registry
    assert registry.champion(made.model) == "2"
    assert registry.alias(made.model, "previous") == "1"

    (third,) = made.run(FEATURES="a b")
    assert third["state"] == "Inconclusive"
    assert third["message"].startswith("Same model: ")

    _check_numbers(made, second["model"], tmp_path)


def _check_numbers(made: Project, outcome: dict, tmp_path: Path) -> None:
    """What was reported is what the logged scores say, computed without any code of ours."""
    registry = made.work().registry
    run = registry.client.get_run(outcome["abTestRunId"])
    folder = tmp_path / "kept"
    folder.mkdir()
    scores = pq.read_table(registry.client.download_artifacts(run.info.run_id, "scores.parquet", str(folder)))
    label, old, new = (scores.column(name).to_numpy() for name in ("y", "champion", "challenger"))
    found = outcome["metrics"]["roc_auc"]
    assert found["champion"] == pytest.approx(roc_auc_score(label, old), abs=1e-12)
    assert found["difference"] == pytest.approx(
        roc_auc_score(label, new) - roc_auc_score(label, old), abs=1e-12
    )
    loss = outcome["metrics"]["log_loss"]
    assert loss["difference"] == pytest.approx(log_loss(label, old) - log_loss(label, new), abs=1e-12)
    assert scores.column("row").to_pylist() == list(range(1500))

    told = json.loads(
        Path(registry.client.download_artifacts(run.info.run_id, "ab_test.json", str(folder))).read_text()
    )
    assert told["metrics"]["roc_auc"]["lowerBound"] == pytest.approx(found["lowerBound"])
    kept = {file.path for file in registry.client.list_artifacts(run.info.run_id)}
    assert kept == {"ab_test.json", "figures", "report.html", "scores.parquet"}
    link = "ame.ab_test.v2-vs-v1"
    assert made.tags("1")[link] == made.tags("2")[link] == run.info.run_id


def test_a_version_below_a_threshold_is_refused(project: Make) -> None:
    made = project(ame_yml=AME_YML.replace("min: 0.5", "min: 0.99"))
    (report,) = made.run()
    accuracy = made.work().registry.logged_metrics(made.work().registry.version(made.model, "1"))["accuracy"]
    assert (report["state"], report["failed"], report["model"]["version"]) == ("Refused", True, "1")
    assert report["message"] == (
        f"AME-E307 {made.folder}/ame.yml:6:31 version 1 of '{made.model}' did not pass validation. "
        f"Accuracy is {accuracy:g}, below the least allowed 0.99."
    )
    assert made.tags("1")["ame.state"] == "refused"
    assert made.work().registry.champion(made.model) is None


VALIDATED = """
    name: project-of-$model
    models:
      - name: $model
        training: {task: {taskRef: train}}
        validation: {task: {taskRef: validate}}
    tasks:
      - {name: train, executor: !custom {command: $python train.py}}
      - {name: validate, executor: !custom {command: $python validate.py}}
"""


def test_the_validation_task_is_told_which_version_and_its_failure_refuses_it(project: Make) -> None:
    made = project(ame_yml=VALIDATED)
    made.write(
        "validate.py",
        """
        import os
        print("looking at", os.environ["AME_MODEL_URI"], os.environ["AME_MODEL_NAME"])
        raise SystemExit(int(os.environ["AME_MODEL_VERSION"]) - 1)
        """,
    )
    assert [report["state"] for report in made.run()] == ["Promoted"]
    (second,) = made.run()
    assert second["state"] == "Refused"
    assert f"looking at models:/{made.model}/2 {made.model}" in second["message"]
    assert made.work().registry.champion(made.model) == "1"


def test_a_version_registered_by_hand_is_delivered_like_a_trained_one(project: Make) -> None:
    made = project()
    made.run()
    made.stop_training()
    mlflow.register_model(made.work().registry.version(made.model, "1").source, made.model)
    (report,) = made.run()
    assert (report["model"]["version"], report["state"]) == ("2", "Inconclusive")
    assert report["message"].startswith("Same model: ")
    # It stays the challenger until another one comes.
    assert made.work().registry.alias(made.model, "challenger") == "2"


def test_a_version_of_a_killed_training_is_refused_by_the_next_run(project: Make) -> None:
    made = project()
    made.run()
    made.stop_training()
    registry = made.work().registry
    run = registry.version(made.model, "1").run_id
    mlflow.register_model(registry.version(made.model, "1").source, made.model)
    # As if the command had been killed before it could say that the training ended well.
    registry.client.delete_tag(run, "ame.training_ended")
    assert made.run() == []
    assert made.tags("2")["ame.state"] == "refused"
    assert made.tags("2")["ame.why"] == "its training was killed before it ended"


def test_a_delivery_that_was_cut_off_goes_on_and_decides_once(project: Make) -> None:
    made = project()
    made.run(FEATURES="noise a")
    made.run(FEATURES="a b")
    made.stop_training()
    registry = made.work().registry
    test = made.tags("2")["ame.ab_test_run"]
    for state in ("trained", "validated", "compared"):
        # As a kill between the test and the promotion leaves it.
        registry.client.set_registered_model_alias(made.model, "champion", "1")
        registry.client.set_model_version_tag(made.model, "2", "ame.state", state)
        (report,) = made.run()
        assert (report["model"]["version"], report["state"]) == ("2", "Promoted"), state
        assert made.tags("2")["ame.ab_test_run"] == test, state
        assert registry.champion(made.model) == "2"
    # Between the alias and the state.
    registry.client.set_model_version_tag(made.model, "2", "ame.state", "compared")
    (report,) = made.run()
    assert report["state"] == "Promoted"
    assert registry.alias(made.model, "previous") == "1"
    assert made.run() == []


def test_a_challenger_that_cannot_be_scored_is_invalid_and_not_tried_for_ever(project: Make) -> None:
    made = project()
    made.run()
    made.write(
        "train.py",
        """
        import mlflow

        class Broken(mlflow.pyfunc.PythonModel):
            def predict(self, context, model_input, params=None):
                raise RuntimeError("this model answers nothing")

        with mlflow.start_run():
            mlflow.log_metric("accuracy", 0.9)
            mlflow.pyfunc.log_model(
                name="model",
                python_model=Broken(),
                registered_model_name="$model",
                pip_requirements=["mlflow"],
            )
        """,
    )
    (report,) = made.run()
    assert (report["state"], report["failed"]) == ("Invalid", True)
    assert "this model answers nothing" in report["message"]
    assert made.tags("2")["ame.state"] == "invalid"
    assert made.work().registry.champion(made.model) == "1"
    assert made.work().registry.undecided(made.model) == []
