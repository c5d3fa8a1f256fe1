"""`ame render` shows the Jobs, with what they are, and finds the name that was meant."""

import json

import pytest
import yaml
from click.testing import CliRunner

from ame.cli import cli
from ame.diagnosis import Refused

FILE = """\
name: p
models:
  - name: m
    training: {task: {taskRef: train}}
    validation: {thresholds: {auc: {min: 0.5}}}
tasks:
  - name: train
    executor: !custom {command: python train.py}
    dataSets: [rows]
    resources: {cpu: 4, memory: 10G, nvidia.com/gpu: 1}
  - name: fetch
    executor: !custom {command: python fetch.py}
dataSets:
  - {name: rows, path: rows, task: {taskRef: fetch}}
"""


@pytest.fixture
def project(folder):
    (folder / "ame.yml").write_text(FILE)
    return folder


def rendered(*arguments):
    outcome = CliRunner().invoke(cli, ["render", *map(str, arguments)])
    if outcome.exception and not isinstance(outcome.exception, SystemExit):
        raise outcome.exception
    return outcome.stdout


def names(text):
    return [line.removeprefix("# ") for line in text.splitlines() if line.startswith("# ")]


def test_all_jobs_of_a_project_are_documents_with_their_names(project):
    text = rendered(project)
    jobs = list(yaml.safe_load_all(text))

    assert names(text) == [
        "train-model/p.m, on ame-gpu",
        "deliver-version/p.m, on ame-control",
        "watch-registry/p.models, on ame-control",
        "run-task/p.train, on ame-gpu",
        "run-task/p.fetch, on ame-cpu",
        "produce-data-set/p.rows, on ame-cpu",
    ]
    assert [job["kind"] for job in jobs] == ["Job"] * 6
    gpus = [
        job["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"].get("nvidia.com/gpu")
        for job in jobs
    ]
    assert gpus == ["1", None, None, "1", None, None]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("train", ["train-model/p.m", "run-task/p.train"]),
        ("m", ["train-model/p.m", "deliver-version/p.m"]),
        ("rows", ["produce-data-set/p.rows"]),
        ("fetch", ["run-task/p.fetch", "produce-data-set/p.rows"]),
        ("run-task/p.train", ["run-task/p.train"]),
    ],
)
def test_one_name_gives_what_runs_it(project, name, expected):
    assert [found.partition(",")[0] for found in names(rendered(project, name))] == expected


def test_a_pipeline_gives_its_steps_too(folder):
    steps = "pipeline: [{taskRef: t}, {executor: !pip {command: c}}]"
    tasks = f"[{{name: t, executor: !pip {{command: c}}}}, {{name: p, {steps}}}]"
    (folder / "ame.yml").write_text(f"name: x\ntasks: {tasks}\n")

    assert names(rendered(folder, "p")) == [
        "run-task/x.t, on ame-cpu",
        "run-task/x.p, on ame-control",
        "run-task/x.p.2, on ame-cpu",
    ]


def test_a_script_gets_one_object(project):
    told = json.loads(rendered(project, "train", "--json"))

    assert told["project"] == "p"
    assert [(job["deployment"], job["pool"]) for job in told["jobs"]] == [
        ("train-model/p.m", "ame-gpu"),
        ("run-task/p.train", "ame-gpu"),
    ]


def test_an_unknown_name_is_told_with_the_one_that_was_meant(project):
    with pytest.raises(Refused) as refused:
        rendered(project, "trian")

    assert str(refused.value) == (
        f"AME-E828 {project} no deployment of 'p' is of 'trian'. "
        "Known names: train, fetch, m, rows. Did you mean 'train'?"
    )


def test_without_the_kubernetes_packages_it_says_what_to_install(project, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "kubernetes_validate", None)

    with pytest.raises(Refused) as refused:
        rendered(project)

    assert str(refused.value) == (
        "AME-E820 the Python package 'kubernetes_validate' is not installed. Jobs are made with the code of "
        "Prefect's Kubernetes worker and checked before they run. Run: pip install 'ame-flows[kubernetes]'"
    )
