"""A model that is trained when files change, with a secret, and a project whose schedules are off: deployed."""

from __future__ import annotations

import pytest

from tests.deployed.conftest import Site

AME_YML = """
    name: $project
    models:
      - name: $model
        training: {task: {taskRef: train}, onChange: true, schedule: "0 3 * * *"}
        promotion: {strategy: never}
    tasks:
      - name: train
        executor: !custom {command: 'cat notes; echo "the key is $KEY"; exit 3'}
        secrets:
          - !ame {key: key of notes, injectAs: KEY}
"""
VALUE = "told-to-nobody"


@pytest.fixture(scope="module")
def notes(site: Site) -> Site:
    """A project on the same servers and workers, whose training fails; nothing starts by a schedule."""
    return Site(site.folder, site.api, site.mlflow, site.env, project="notes", model="note")


def deploy(notes: Site, text: str = AME_YML) -> None:
    notes.write("ame.yml", text)
    notes.run("ame", "compile", notes.project, "--target", "process", "-o", "notes.yaml")
    notes.run("prefect", "--no-prompt", "deploy", "--all", "--prefect-file", "notes.yaml")
    notes.pause("watch-registry/notes.models")


def watched(notes: Site) -> str:
    ended = notes.ended(notes.start("watch-registry/notes.models"))
    assert ended["state_type"] == "COMPLETED", ended["state"]["message"]
    return str(ended["state"]["message"])


def active(notes: Site) -> dict[str, bool]:
    found = notes.deployments()
    return {name: schedule["active"] for name, each in found.items() for schedule in each["schedules"]}


def test_each_state_of_the_files_is_trained_on_once(notes: Site) -> None:
    save = f"from prefect.blocks.system import Secret; Secret(value='{VALUE}').save('key-of-notes')"
    notes.run("python", "-c", save)
    notes.write("notes", "one")
    deploy(notes)

    started = "note: a training, because files of the project have changed"
    nothing = "every version has its decision, or its delivery is under way"
    assert watched(notes) == started
    (run,) = notes.runs("train-model/notes.note")
    ended = notes.ended(run["id"])
    assert ended["state_type"] == "FAILED"
    assert "the key is ***" in ended["state"]["message"]
    assert VALUE not in str(ended) + notes.logs(run["id"]) + str(notes.deployments())
    assert watched(notes) == nothing

    notes.write("notes", "two")
    deploy(notes)
    assert watched(notes) == started
    assert "two" in notes.ended(notes.runs("train-model/notes.note")[1]["id"])["state"]["message"]
    assert active(notes)["train-model/notes.note"]

    notes.write("notes", "three")
    deploy(notes, AME_YML + "    enableTriggers: false\n")
    assert set(active(notes).values()) == {False}
    assert watched(notes) == nothing
    deploy(notes)
    assert set(active(notes).values()) == {False}
