"""Which version a training has made, whatever its script does with MLflow."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.flows.conftest import Project

Make = Callable[..., Project]


@pytest.mark.parametrize(
    "ending",
    [
        pytest.param(
            """
            mlflow.set_experiment("my own experiment")
            with mlflow.start_run():
                mlflow.log_metric("accuracy", 0.1)
            with mlflow.start_run():
                with mlflow.start_run(nested=True):
                    mlflow.log_metric("accuracy", 0.9)
                    register()
            """,
            id="another experiment, several runs, the model in a nested one",
        ),
        pytest.param(
            """
            with mlflow.start_run():
                mlflow.log_metric("accuracy", 0.9)
                info = register(None)
            mlflow.register_model(info.model_uri, "$model")
            """,
            id="registered by URI after the run",
        ),
    ],
)
def test_the_version_is_found(project: Make, ending: str) -> None:
    made = project(ending)
    (report,) = made.run()
    assert (report["state"], report["model"]["version"]) == ("Promoted", "1")
    assert made.work().registry.champion(made.model) == "1"


def test_of_two_versions_the_newer_is_delivered_and_the_elder_never(project: Make) -> None:
    made = project(
        """
        with mlflow.start_run():
            mlflow.log_metric("accuracy", 0.9)
            register()
            register()
        """
    )
    (report,) = made.run()
    assert (report["state"], report["model"]["version"]) == ("Promoted", "2")
    assert made.tags("1")["ame.state"] == "superseded"
    assert made.work().registry.undecided(made.model) == []


def test_autolog_with_a_registration_by_hand(project: Make) -> None:
    made = project(
        """
        mlflow.set_experiment("with autolog")
        mlflow.sklearn.autolog(log_models=False)
        with mlflow.start_run():
            model.fit(data[features], data["y"])
            mlflow.log_metric("accuracy", 0.9)
            register()
        """
    )
    (report,) = made.run()
    assert report["state"] == "Promoted"


def test_a_version_without_a_run_counts_when_it_appeared_meanwhile(project: Make) -> None:
    made = project(
        "register()\n",
        ame_yml="""
        name: project-of-$model
        models:
          - name: $model
            training: {task: {taskRef: train}}
            promotion: {strategy: always}
        tasks:
          - {name: train, executor: !custom {command: $python train.py}}
        """,
    )
    (report,) = made.run()
    assert (report["state"], report["model"]["version"]) == ("Promoted", "1")


def test_no_version_is_a_diagnosis_that_says_what_was_seen(project: Make) -> None:
    made = project(
        """
        with mlflow.start_run():
            register(None)
        """
    )
    (report,) = made.run()
    assert report["state"] == "Failed"
    assert report["message"] == (
        f"AME-E305 {made.folder}/ame.yml:4:5 the training of '{made.model}' ended well but registered no "
        f"version of it. It started 1 MLflow run(s), which logged 1 model(s); no version of "
        f"'{made.model}' names one of them, and none without a run appeared meanwhile. Log the model with "
        f"registered_model_name='{made.model}', or call mlflow.register_model."
    )


def test_another_name_is_a_diagnosis_that_shows_both(project: Make) -> None:
    made = project(
        """
        with mlflow.start_run():
            register("$model-typo")
        """
    )
    (report,) = made.run()
    assert report["state"] == "Failed"
    assert report["message"] == (
        f"AME-E302 the training registered a version of '{made.model}-typo', not of '{made.model}'. The "
        f"model's name in the ame.yml is the name of the registered model. Register as '{made.model}' in "
        f"the training, or name the model '{made.model}-typo' in the ame.yml."
    )


def test_a_training_that_fails_after_registering_leaves_nothing_to_deliver(project: Make) -> None:
    made = project(
        """
        with mlflow.start_run():
            mlflow.log_metric("accuracy", 0.9)
            register()
        print("about to fail")
        raise SystemExit(3)
        """
    )
    (report,) = made.run()
    assert report["state"] == "Failed"
    assert "ended with code 3" in report["message"]
    assert "about to fail" in report["message"]
    version = made.work().registry.version(made.model, "1")
    assert version.state == "refused"
    run = made.work().registry.client.get_run(version.run_id)
    assert run.info.status == "FAILED"
    assert made.work().registry.champion(made.model) is None
    # The next run does not take the refused version up again.
    made.stop_training()
    assert made.run() == []


def test_retries_run_the_training_again_and_only_the_good_attempt_counts(project: Make) -> None:
    made = project(
        """
        import pathlib
        marker = pathlib.Path(os.environ["MARKER"])
        with mlflow.start_run():
            mlflow.log_metric("accuracy", 0.9)
            register()
        if not marker.exists():
            marker.touch()
            raise SystemExit(1)
        """,
    )
    text = (made.folder / "ame.yml").read_text().replace("key: FEATURES", "key: MARKER")
    (made.folder / "ame.yml").write_text(text.replace("train.py}", "train.py}, retries: 1"))
    (report,) = made.run(MARKER=str(made.folder.parent / f"{made.model}.marker"))
    assert (report["state"], report["model"]["version"]) == ("Promoted", "2")
    assert made.tags("1")["ame.state"] == "refused"
