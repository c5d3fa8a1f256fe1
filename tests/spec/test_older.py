"""An older form says what today's form says: both give the same project."""

from dataclasses import asdict

import pytest

WHERE_IT_STANDS = {"where", "places", "warnings", "folder", "file"}


def meaning(value: object) -> object:
    """A project as plain data, without where each thing stands in the file."""
    if isinstance(value, dict):
        return {key: meaning(each) for key, each in value.items() if key not in WHERE_IT_STANDS}
    return [meaning(each) for each in value] if isinstance(value, list | tuple) else value


def of_a_task(text: str) -> str:
    data_sets = "dataSets: [{name: d, path: d}, {name: e, path: e}]\n"
    return f"name: x\ntasks: [{{name: a, {text}}}]\n{data_sets}"


COMMAND = "executor: !pip {command: c}"
EXECUTORS = [
    ("executor: !pipEnv {command: c}", "executor: !pipenv {command: c}"),
    ("executor: {pipEnv: {command: c}}", "executor: !pipenv {command: c}"),
    ("runcommand: c, taskType: Pipenv", "executor: !pipenv {command: c}"),
    ("command: c, taskType: PipEnv", "executor: !pipenv {command: c}"),
    ("runcommand: c, task_type: 0", "executor: !pipenv {command: c}"),
    ("runcommand: c, taskType: 1", "executor: !mlflow {command: c}"),
    ("taskType: Mlflow", "executor: !mlflow "),
    ("runcommand: c, task_type: '2'", "executor: !poetry {command: c}"),
    ("executor: !MLFlow {}", "executor: !mlflow {}"),
    ("executor: {mlflow: {}}", "executor: !mlflow {}"),
    (
        "executor: !pip {command: c, image: i}",
        "executor: !pip {command: c}, kubernetes: {image: i}",
    ),
    (
        "executor: !pip {command: c}, image: i, kubernetes: {labels: {a: b}}",
        "executor: !pip {command: c}, kubernetes: {image: i, labels: {a: b}}",
    ),
]

SECRETS = [
    (older, f"secrets: [{today}]")
    for older, today in [
        ("secrets: [ame: {key: k, injectAs: A}]", "!ame {key: k, injectAs: A}"),
        ("secrets: [!AmeSecret {name: k, envkey: A}]", "!ame {key: k, injectAs: A}"),
        ("secrets: {name: k, envkey: A}", "!ame {key: k, injectAs: A}"),
        ("secrets: [{name: k, envkey: A}]", "!ame {key: k, injectAs: A}"),
        ("secrets: {ame: {key: k, injectAs: A}}", "!ame {key: k, injectAs: A}"),
        (
            "secrets: [!VaultSecret {vaultName: v, secretKey: f, secretPath: p, envkey: A}]",
            "!vault {vault: v, key: p, field: f, injectAs: A}",
        ),
        ("secrets: [vault: {vault: v, key: p, injectAs: A}]", "!vault {vault: v, key: p, injectAs: A}"),
        ("secrets: [{vaultName: v, secretPath: p, envkey: A}]", "!vault {vault: v, key: p, injectAs: A}"),
    ]
]


OTHERS = [
    ("artifactCfg: {saveChangedFiles: true}", "artifacts: {saveChangedFiles: true}"),
    ("dataSet: d", "dataSets: [d]"),
    ("resources: {gpus: 1, vram: 24Gi}", "resources: {nvidia.com/gpu: 1, vram: 24Gi}"),
    ("resources: {memory: 1000ki}", "resources: {memory: 1000Ki}"),
    ("dataSet: [d, e]", "dataSets: [d, e]"),
    ("dataSets: [ref: d, ref: {name: e, project: x}]", "dataSets: [d, {name: e}]"),
    ("dataSet: {ref: {name: x.d}}", "dataSets: [d]"),
]


@pytest.mark.parametrize(
    ("older", "today"),
    [*EXECUTORS, *((f"{COMMAND}, {older}", f"{COMMAND}, {today}") for older, today in SECRETS + OTHERS)],
)
def test_a_task_in_an_older_form_is_todays_task(load, older, today):
    project = load(of_a_task(older))
    expected = load(of_a_task(today))

    assert meaning(asdict(project)) == meaning(asdict(expected))
    assert expected.warnings == ()


@pytest.mark.parametrize("version", ["3.7", "3.8", "3.9", "3.10", "3.11", "3.12.3", "3.20"])
def test_a_version_of_python_loses_no_zero(load, version):
    task = load(of_a_task(f"executor: !uv {{command: c, pythonVersion: {version}}}")).tasks["a"]

    assert task.executor.python_version == version


@pytest.mark.parametrize("kind", ["pip", "poetry", "pipenv", "uv", "mlflow", "custom"])
def test_a_tag_is_the_executors_kind(load, kind):
    task = load(of_a_task(f"executor: !{kind} {{command: c}}")).tasks["a"]

    assert (task.executor.kind, task.executor.command) == (kind, "c")


def test_secrets_arrive_with_where_they_are_kept(load):
    task = load(
        of_a_task(
            "executor: !pip {command: c}, "
            "secrets: [!ame {key: k, injectAs: A}, !vault {vault: v, key: a/b, field: f, injectAs: B}]"
        )
    ).tasks["a"]

    ame, vault = task.secrets
    assert (ame.key, ame.inject_as, ame.vault, ame.field) == ("k", "A", None, None)
    assert (vault.key, vault.inject_as, vault.vault, vault.field) == ("a/b", "B", "v", "f")
    assert (ame.where.line, ame.where.column) == (2, 58)


@pytest.mark.parametrize(
    ("older", "today"),
    [
        ("training: {task: {taskRef: a}}, deployment: {auto_train: true}",
         "training: {task: {taskRef: a}, onChange: true}, deployment: {}"),
        ("training: {task: {taskRef: a}}, deployment: {auto_train: false}",
         "training: {task: {taskRef: a}}, deployment: {}"),
        ("deployment: {deploy: true, enable_tls: false}", "deployment: {enableTls: false}"),
        ("deployment: {deploy: false, ingress_annotations: {a: b}}",
         "deployment: {autoDeploy: false, ingressAnnotations: {a: b}}"),
        ("type: mlflow, validationTask: {taskRef: a}", "validation: {task: {taskRef: a}}"),
        ("validationTask: {taskref: x.a}", "validation: {task: {taskRef: a}}"),
    ],
)  # fmt: skip
def test_a_model_in_an_older_form_is_todays_model(load, older, today):
    text = "name: x\ntasks: [{{name: a, executor: !pip {{command: c}}}}]\nmodels: [{{name: m, {}}}]\n"

    assert meaning(asdict(load(text.format(older)))) == meaning(asdict(load(text.format(today))))


@pytest.mark.parametrize(
    "sections", ["abTest: {data: {path: h.csv}, label: y}", "validation: {thresholds: {a: {min: 1}}}"]
)
def test_nothing_is_promoted_where_nothing_goes_live_by_itself(load, sections):
    text = "name: x\nmodels: [{{name: m, {}, deployment: {{autoDeploy: {}}}}}]\n"
    held, live = (load(text.format(sections, word)).models["m"].promotion for word in ("false", "true"))

    assert (held.strategy, held.explicit) == ("never", False)
    assert live.strategy in ("abTest", "always")


def test_schedules_are_active_unless_the_project_says_no(load):
    assert load("name: x\n").enable_triggers
    assert load("name: x\nenableTriggers:\n").enable_triggers
    assert not load("name: x\nenableTriggers: no\n").enable_triggers


def test_a_templates_artifacts_and_those_of_a_task_are_one_mapping(load):
    tasks = load(
        "name: x\n"
        "templates: [{name: t, artifacts: {paths: [out], saveChangedFiles: true}}]\n"
        "tasks:\n"
        "  - {name: a, executor: !pip {command: c}, fromTemplate: t}\n"
        "  - {name: b, executor: !pip {command: c}, fromTemplate: t, artifacts: {paths: [other]}}\n"
        "  - {name: c, executor: !pip {command: c}, fromTemplate: t, artifacts: {saveChangedFiles: no}}\n"
        "  - {name: d, executor: !pip {command: c}, fromTemplate: t, artifacts: {paths: []}}\n"
    ).tasks

    assert {name: (task.artifacts, task.save_changed) for name, task in tasks.items()} == {
        "a": (("out",), True),
        "b": (("other",), True),
        "c": (("out",), False),
        "d": ((), True),
    }
