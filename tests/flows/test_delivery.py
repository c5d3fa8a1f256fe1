"""What happens to a version after it is registered, decided from the numbers and resumed after a kill."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import mlflow
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from ame.cli._loop import run_beside
from ame.registry import Claim, ModelJournal, by_hand
from ame.registry.journal import read_entry
from flows import delivery
from flows._dispatch import run_step
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
    assert len(set(scores.column("row").to_pylist())) == 1500

    told = json.loads(
        Path(registry.client.download_artifacts(run.info.run_id, "ab_test.json", str(folder))).read_text()
    )
    assert told["metrics"]["roc_auc"]["lowerBound"] == pytest.approx(found["lowerBound"])
    kept = {file.path for file in registry.client.list_artifacts(run.info.run_id)}
    assert kept == {"ab_test.json", "figures", "gate.json", "report.html", "scores.parquet"}
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


def test_a_delivery_that_was_cut_off_goes_on_and_decides_once(
    project: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = project()
    made.run(FEATURES="noise a")
    steps = [
        (delivery._Delivery, "_reach"),
        (delivery, "judge"),
        (ModelJournal, "decide"),
        (ModelJournal, "_move_champion"),
        (ModelJournal, "_mark"),
    ]
    states = []
    for owner, step in steps:
        with monkeypatch.context() as patch:
            # As a kill leaves it: the step is not done, and the claim is still there.
            patch.setattr(owner, step, _killed)
            patch.setattr(Claim, "release", lambda _: None)
            (report,) = made.run(FEATURES="a b")
            assert report["failed"], step
        states.append(made.tags("2").get("ame.state"))
        made.stop_training()
    assert states == ["trained", "validated", "compared", "compared", "compared"]
    registry = made.work().registry
    assert registry.champion(made.model) == "2", "it was cut off after the promotion"
    (report,) = made.run()
    assert (report["model"]["version"], report["state"]) == ("2", "Promoted")
    assert registry.alias(made.model, "previous") == "1"
    entries = made.work().journal(made.model).entries()
    assert [(entry.decision, entry.version) for entry in entries] == [("promote", "1"), ("promote", "2")]
    assert len(_tests_of(made)) == 1
    assert made.run() == []


def test_the_night_after_a_rollback_does_not_bring_the_same_model_back(project: Make) -> None:
    made = project()
    made.run(FEATURES="noise a")
    assert made.run(FEATURES="a b")[0]["state"] == "Promoted"
    journal = made.work().journal(made.model)
    by_hand.rollback(journal, to=None, by="ada", reason="too slow")
    (night,) = made.run(FEATURES="a b")
    assert (night["model"]["version"], night["state"], night["message"]) == (
        "3",
        "Rejected",
        "it answers every row as version 2 does, which was rolled back: too slow",
    )
    assert made.work().registry.champion(made.model) == "1"
    assert made.tags("2")["ame.state"] == "rolled-back"


def _killed(*_: object, **__: object) -> None:
    raise RuntimeError("killed here")


def _tests_of(made: Project) -> list[str]:
    client = made.work().registry.client
    found = client.get_experiment_by_name(f"ame/ab-tests/{made.model}")
    return [run.info.run_id for run in client.search_runs([found.experiment_id])]


def test_the_entry_of_a_decision_holds_what_it_followed_from(project: Make) -> None:
    made = project()
    made.run(FEATURES="noise a")
    (report,) = made.run(FEATURES="a b")
    journal = made.work().journal(made.model)
    first, second = (read_entry(journal.chain, entry) for entry in journal.entries())
    assert (first.reason, first.before, first.numbers) == (report_of_first(), None, {})
    assert (second.before, second.after, second.runner_up) == ("1", "2", "1")
    assert second.numbers["roc_auc"]["difference"] == report["model"]["metrics"]["roc_auc"]["difference"]
    run = made.work().registry.client.get_run(report["model"]["abTestRunId"])
    assert second.digests == {
        "code": made.work().source,
        "gate": run.data.params["gate_sha256"],
        "data": run.data.params["holdout_sha256"],
    }
    assert second.key == run.data.tags["ame.decision_key"]
    assert second.links["abTest"] == run.info.run_id
    assert second.reason == report["message"]
    assert made.tags("2")["ame.entry"] == f"2 promoted {second.run_id}"


def report_of_first() -> str:
    return "there was no champion and it passed validation"


BY_METRIC = AME_YML.replace(
    """        abTest:
          data: {path: holdout.csv}
          label: y
          primary: {metric: roc_auc, margin: 0.0}
          scoring: {environment: current}
""",
    "        promotion: {strategy: metric, metric: accuracy}\n",
)


def test_by_a_logged_metric_the_strictly_better_one_is_promoted(project: Make) -> None:
    made = project(ame_yml=BY_METRIC)
    made.run()
    registry, run = made.work().registry, made.work().registry.version(made.model, "1").run_id
    client = registry.client
    accuracy = client.get_run(run).data.metrics["accuracy"]
    made.stop_training()
    found = []
    for logged in ({"accuracy": accuracy}, {"accuracy": accuracy + 0.01}, {"loss": 1.0}):
        with mlflow.start_run() as better:
            mlflow.log_metrics(logged | {"loss": 2.0})
        client.create_model_version(made.model, f"runs:/{better.info.run_id}/model", better.info.run_id)
        (report,) = made.run()
        found.append((report["state"], report["message"]))
    one, two = f"{accuracy:g}", f"{accuracy + 0.01:g}"
    assert found == [
        ("Rejected", f"accuracy is {one}, not higher than the {one} of the champion, version 1"),
        ("Promoted", f"accuracy is {two}, higher than the {one} of the champion, version 1"),
        ("Refused", found[2][1]),
    ]
    assert "its run logged no metric 'accuracy' (it logged: loss)" in found[2][1].lower()


def test_a_version_without_the_metric_is_invalid_also_as_the_first_one(project: Make) -> None:
    made = project(
        ame_yml=BY_METRIC.replace("metric: accuracy}", "metric: gain, greaterIsBetter: true}").replace(
            "        validation: {thresholds: {accuracy: {min: 0.5}}}\n", ""
        )
    )
    (report,) = made.run()
    assert (report["state"], report["failed"]) == ("Invalid", True)
    assert report["message"] == "its run logged no metric 'gain' (it logged: accuracy)"
    made.stop_training()
    for gain in (float("nan"), float("inf"), 1.0):
        with mlflow.start_run() as run:
            mlflow.log_metric("gain", gain)
        client = made.work().registry.client
        client.create_model_version(made.model, f"runs:/{run.info.run_id}/model", run.info.run_id)
    assert [report["state"] for report in made.run()] == ["Invalid", "Invalid", "Promoted"]


def test_what_is_left_to_people_is_not_delivered_again(project: Make) -> None:
    made = project(ame_yml=BY_METRIC.replace("metric: accuracy}", "metric: accuracy, firstVersion: never}"))
    assert [report["state"] for report in made.run()] == ["Validated"]
    made.stop_training()
    assert made.run() == []


def test_with_latest_a_newer_version_supersedes_those_that_wait(project: Make) -> None:
    made = project(
        ame_yml=BY_METRIC.replace("        promotion", "        delivery: latest\n        promotion")
    )
    made.run()
    made.stop_training()
    source = made.work().registry.version(made.model, "1")
    for _ in range(3):
        mlflow.register_model(source.source, made.model)
    assert [(report["model"]["version"], report["state"]) for report in made.run()] == [
        ("2", "Superseded"),
        ("3", "AlreadyDecided"),
        ("4", "Rejected"),
    ]
    assert made.tags("3")["ame.why"] == "version 4 is newer, and the file says `delivery: latest`"
    entries = made.work().journal(made.model).entries()
    assert [entry.version for entry in entries] == ["1", "2", "3", "4"]


def test_a_run_for_a_newer_version_delivers_the_older_ones_first(project: Make) -> None:
    made = project(ame_yml=BY_METRIC)
    made.run()
    source = made.work().registry.version(made.model, "1")
    for _ in range(2):
        mlflow.register_model(source.source, made.model)
    work = made.work()
    ended = run_beside(
        run_step(delivery.deliver_version, work, made.model, model=made.model, version="3"), lambda: None
    )
    assert ended.state == "Rejected"
    entries = work.journal(made.model).entries()
    assert [(entry.decision, entry.version) for entry in entries] == [
        ("promote", "1"),
        ("reject", "2"),
        ("reject", "3"),
    ]


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
