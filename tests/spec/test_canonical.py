"""A file that uses everything of the canonical form, and what becomes of it."""

from pathlib import Path

import pytest

from ame.diagnosis import Refused, Where
from ame.gate.config import ABTest, Margin
from ame.spec import (
    AbTestSection,
    DataSet,
    Deployment,
    Executor,
    Promotion,
    Resources,
    Schedule,
    Task,
    Threshold,
    Validation,
    find_project_file,
    load_project,
)

FILE = """\
name: flight-delays
enableTriggers: false
models:
  - name: arrival-delay
    training:
      task: {taskRef: train}
      schedule: "0 3 * * *"
      timezone: Europe/Berlin
      onChange: true
    validation:
      task: {taskRef: validate}
      thresholds:
        roc_auc: {min: 0.62}
        log_loss: {min: 0, max: 7e-1}
    abTest:
      data: {dataSet: holdout}
      label: late
      features: [origin, carrier]
      training: {path: data/flights.parquet}
      entity: tailnum
      row: flight
      time: date
      primary: {metric: brier, margin: 0.002}
      guardrails:
        - {metric: log_loss, margin: 0.005}
      metrics: [accuracy]
      slices: [origin, carrier]
      sliceMargin: 0.01
      alpha: 0.01
      power: 0.9
      looks: 30
      threshold: 0.3
      minPositives: 50
      minSliceRows: 300
      minSlicePositives: 30
      maxDuplicates: 0.02
      maxOverlap: 0.001
      scoring: {environment: current}
      resources: {cpu: 2, memory: 8G}
      engine: local
    promotion: {strategy: abTest, firstVersion: never}
    deployment:
      replicas: 2
      resources: {memory: 2G, cpu: 1}
      image: registry/serve:1
      enableTls: no
      ingressAnnotations: {nginx/size: 8m}
      autoDeploy: off
tasks:
  - name: train
    fromTemplate: gpu
    executor: !pip {pythonVersion: 3.10, command: python train.py}
    resources: {cpu: 500m, storage: 30Gi}
    env: [{key: MODE, val: fast}, {key: FLAG, val: no}]
    dataSets: [flights, flight-delays.holdout]
    retries: 2
    timeout: 1h30m
    triggers: {schedule: "*/15 0 1,15 jan-mar MON"}
  - name: validate
    executor: !custom {command: python validate.py}
dataSets:
  - {name: flights, path: ./data/flights/, size: 1G}
  - name: holdout
    path: data/holdout
    task:
      executor: !pip {command: make holdout}
templates:
  - {name: gpu, resources: {nvidia.com/gpu: 1, cpu: 8}, env: [{key: MODE, val: slow}, {key: A, val: b}]}
"""


def test_every_field_arrives_with_its_type(load):
    project = load(FILE)

    assert project.name == "flight-delays"
    assert project.folder == Path.cwd()
    assert project.file == Path.cwd() / "ame.yml"
    model = project.models["arrival-delay"]
    assert model.where == Where("ame.yml", 4, 5)
    assert (model.training, model.schedule) == ("train", Schedule(cron="0 3 * * *", timezone="Europe/Berlin"))
    assert (model.on_change, project.enable_triggers) == (True, False)
    assert model.validation == Validation(
        task="validate",
        thresholds=(
            Threshold(metric="roc_auc", where=Where("ame.yml", 13, 9), minimum=0.62),
            Threshold(metric="log_loss", where=Where("ame.yml", 14, 9), minimum=0.0, maximum=0.7),
        ),
    )
    assert model.ab_test == AbTestSection(
        gate=ABTest(
            label="late",
            primary=Margin("brier", 0.002),
            guardrails=(Margin("log_loss", 0.005),),
            metrics=("accuracy",),
            slices=("origin", "carrier"),
            slice_margin=0.01,
            entity="tailnum",
            row="flight",
            time="date",
            alpha=0.01,
            power=0.9,
            looks=30,
            threshold=0.3,
            min_positives=50,
            min_slice_rows=300,
            min_slice_positives=30,
            max_duplicates=0.02,
            max_overlap=0.001,
        ),
        where=Where("ame.yml", 16, 7),
        data_set="holdout",
        training_path="data/flights.parquet",
        features=("origin", "carrier"),
        scoring="current",
        engine="local",
        resources=Resources(cpu="2", memory="8G"),
    )
    assert model.promotion == Promotion(strategy="abTest", first_version="never", explicit=True)
    assert model.deployment == Deployment(
        replicas=2,
        resources=Resources(cpu="1", memory="2G"),
        image="registry/serve:1",
        enable_tls=False,
        ingress_annotations={"nginx/size": "8m"},
        auto_deploy=False,
    )
    assert project.tasks["train"] == Task(
        name="train",
        executor=Executor(kind="pip", command="python train.py", python_version="3.10"),
        where=Where("ame.yml", 50, 5),
        resources=Resources(cpu="500m", storage="30Gi", extended={"nvidia.com/gpu": "1"}),
        env={"MODE": "fast", "A": "b", "FLAG": "no"},
        data_sets=("flights", "holdout"),
        retries=2,
        timeout=5400.0,
        schedule=Schedule(cron="*/15 0 1,15 jan-mar MON"),
    )
    assert project.tasks["validate"].executor == Executor(kind="custom", command="python validate.py")
    assert project.data_sets["flights"] == DataSet(
        name="flights", path="data/flights", where=Where("ame.yml", 62, 5), size="1G"
    )
    assert project.data_sets["holdout"].task == "holdout.task"
    assert [warning.code for warning in project.warnings] == ["AME-W104", "AME-W104"]


def test_classes_are_what_yaml_says_they_are(load):
    gate = gate_of(load, "task: multiclass, classes: [0, '1', 2.5, true, yes, \"a b\"]")

    assert gate.primary == Margin("log_loss")
    assert [(type(each), each) for each in gate.classes] == [
        (int, 0), (str, "1"), (float, 2.5), (bool, True), (str, "yes"), (str, "a b"),
    ]  # fmt: skip


def test_one_slice_needs_no_list_and_a_regression_has_its_own_first_metric(load):
    gate = gate_of(load, "task: regression, slices: region, metrics: [pinball], quantile: 0.9")

    assert gate == ABTest(
        label="y",
        task="regression",
        primary=Margin("mae"),
        metrics=("pinball",),
        slices=("region",),
        quantile=0.9,
    )


def test_the_file_says_nothing_that_the_gate_would_not_say_by_default(load):
    assert gate_of(load, "") == ABTest(label="y")


def gate_of(load, keys: str) -> ABTest:
    section = f"data: {{path: h.csv}}, label: y, {keys}"
    project = load(f"name: x\nmodels: [{{name: m, abTest: {{{section}}}}}]\n")
    return project.models["m"].ab_test.gate


def test_tasks_stand_in_the_order_of_the_file_with_inline_ones_among_them(load):
    project = load(
        "name: x\n"
        "models:\n"
        "  - name: m\n"
        "    training: {task: {executor: !pip {command: a}}}\n"
        "    validation: {task: {executor: !pip {command: b}}}\n"
        "tasks: [{name: t, executor: !pip {command: c}}]\n"
        "dataSets: [{name: d, path: d, task: {executor: !pip {command: e}, name: own}}]\n"
    )

    assert [(name, task.name, task.executor.command) for name, task in project.tasks.items()] == [
        ("m.training", "m.training", "a"),
        ("m.validation", "m.validation", "b"),
        ("t", "t", "c"),
        ("own", "own", "e"),
    ]
    assert project.models["m"].training == "m.training"
    assert project.models["m"].validation == Validation(task="m.validation")
    assert project.data_sets["d"].task == "own"


def test_empty_sections_are_empty(load):
    project = load("name: piptest\nmodels: \ndataSets:\ntemplates: ~\ntasks: null\n")

    assert (project.models, project.tasks, project.data_sets, project.warnings) == ({}, {}, {}, ())


def test_no_scalar_is_read_before_its_field_says_how(load):
    task = load(
        "name: 1.10\ntasks:\n"
        "  - {name: on, executor: !pip {command: yes, pythonVersion: 3.10}, env: [{key: A, val: 0x10},"
        " {key: B, val: ''}, {key: C, val: 'null'}]}\n"
    ).tasks["on"]

    assert task.executor == Executor(kind="pip", command="yes", python_version="3.10")
    assert task.env == {"A": "0x10", "B": "", "C": "null"}


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ("abTest: {data: {path: h.csv}, label: y}", Promotion(strategy="abTest")),
        ("validation: {thresholds: {a: {min: 1}}}", Promotion(strategy="always")),
        (
            "abTest: {data: {path: h.csv}, label: y}, validation: {thresholds: {a: {min: 1}}}",
            Promotion(strategy="abTest"),
        ),
        ("promotion: {firstVersion: never}, abTest: {data: {path: h.csv}, label: y}",
         Promotion(strategy="abTest", first_version="never")),
        ("promotion: {strategy: never}", Promotion(strategy="never", explicit=True)),
        ("promotion: {strategy: always}", Promotion(strategy="always", explicit=True)),
        ("promotion: {strategy: metric, metric: accuracy}",
         Promotion(strategy="metric", metric="accuracy", explicit=True)),
        ("promotion: {strategy: metric, metric: eval/loss, greaterIsBetter: no, firstVersion: never}",
         Promotion(strategy="metric", first_version="never", metric="eval/loss", greater_is_better=False,
                   explicit=True)),
    ],
)  # fmt: skip
def test_who_decides_follows_from_the_sections_unless_it_is_said(load, sections, expected):
    project = load(f"name: x\nmodels: [{{name: m, {sections}}}]\n")

    assert project.models["m"].promotion == expected
    assert project.warnings == ()


def test_a_model_that_nothing_decides_about_is_never_promoted_and_the_user_is_told(load):
    project = load("name: x\nmodels:\n  - name: m\n    promotion:\n")

    assert project.models["m"].promotion == Promotion(strategy="never")
    (warning,) = project.warnings
    assert str(warning) == (
        "AME-W103 ame.yml:3:5 no version of model 'm' will be promoted. Nothing decides: it has neither "
        "'abTest' nor 'validation'. Add one of them, or write `promotion: {strategy: never}` if that is "
        "meant."
    )


@pytest.mark.parametrize(
    "metric",
    [
        *("loss", "err", "rmse", "mse", "mae", "mape", "rmsle", "mlse", "brier", "deviance", "perplexity"),
        *(
            "fpr",
            "fnr",
            "log_loss",
            "eval/log-loss",
            "validation-mlogloss",
            "merror",
            "val_loss_2",
            "VAL.MAE",
        ),
        *("logLoss", "valRMSE", "trainMSELoss", "mean_absolute_error", "neg_log_loss", "Eval Brier"),
    ],
)
def test_what_reads_like_a_loss_needs_a_word_on_what_is_better(load, refusals, metric):
    said = f"name: x\nmodels: [{{name: m, promotion: {{strategy: metric, metric: {metric}"

    assert refusals(f"{said}}}}}]\n") == [
        (
            f"AME-E113 ame.yml:2:50 promotion of model 'm' is by the metric '{metric}' and lacks 'greaterIsBetter'. "
            "The name reads like that of an error, of which less is better; a wrong guess would promote the worse "
            "model. Write `greaterIsBetter: false`, or `greaterIsBetter: true` if more of it is better."
        )
    ]
    for word in ("true", "false"):
        model = load(f"{said}, greaterIsBetter: {word}}}}}]\n").models["m"]
        assert model.promotion.greater_is_better is (word == "true")


@pytest.mark.parametrize(
    "metric",
    [
        "accuracy",
        "roc_auc",
        "f1",
        "r2",
        "loss_ratio",
        "error.recall",
        "maeAccuracy",
        "blossoming",
        "MAP",
        "1",
    ],
)
def test_any_other_metric_is_better_the_greater_it_is(load, metric):
    project = load(f"name: x\nmodels: [{{name: m, promotion: {{strategy: metric, metric: {metric}}}}}]\n")

    assert project.models["m"].promotion == Promotion(strategy="metric", metric=metric, explicit=True)


def test_every_version_is_delivered_unless_only_the_latest_is_wanted(load):
    models = load(
        "name: x\nmodels:\n"
        "  - {name: a, promotion: {strategy: never}}\n"
        "  - {name: b, promotion: {strategy: never}, delivery: every}\n"
        "  - {name: c, promotion: {strategy: never}, delivery: latest}\n"
    ).models

    assert {name: model.delivery for name, model in models.items()} == {
        "a": "every",
        "b": "every",
        "c": "latest",
    }


def test_the_gate_has_its_own_defaults(load):
    project = load("name: x\nmodels: [{name: m, abTest: {data: {path: h.csv}, label: y}}]\n")

    section = project.models["m"].ab_test
    assert section is not None
    assert section.gate == ABTest(label="y")
    assert (section.data_path, section.data_set, section.scoring) == ("h.csv", None, "model")


def test_a_folder_is_named_by_its_file_ame_yaml_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("there").mkdir()
    Path("there/ame.yaml").write_text("name: 'a b'\n")

    with pytest.raises(Refused) as refused:
        load_project(Path("there"))

    assert str(refused.value).startswith("AME-E114 there/ame.yaml:1:7 'name' of the project is 'a b'. ")


def test_a_file_outside_of_the_working_directory_is_named_by_its_absolute_path(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    file = tmp_path / "there" / "ame.yml"
    file.write_text("name: x\nnmae: y\n")
    monkeypatch.chdir(tmp_path / "here")

    with pytest.raises(Refused) as refused:
        load_project(Path("../there"))

    assert str(refused.value) == (
        f"AME-E109 {file}:2:1 the project has the unknown key 'nmae'. Known keys: dataSets, enableTriggers, models, name, projects, "
        "tasks, templates. Did you mean 'name'?"
    )


class TestFindProjectFile:
    def test_both_names_are_found(self, tmp_path):
        (tmp_path / "ame.yaml").touch()

        assert find_project_file(tmp_path) == tmp_path / "ame.yaml"
        assert find_project_file(tmp_path / "ame.yaml") == tmp_path / "ame.yaml"

    def test_two_files_are_refused_by_both_names(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        Path("ame.yml").touch()
        Path("ame.yaml").touch()

        with pytest.raises(Refused) as refused:
            find_project_file(Path())

        assert str(refused.value) == (
            "AME-E103 . this folder holds both ame.yml and ame.yaml, and it is not clear which one counts. "
            "Remove one of them, or name the file."
        )

    def test_a_folder_without_a_file(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)

        with pytest.raises(Refused) as refused:
            load_project(Path())

        assert str(refused.value) == (
            "AME-E101 . this folder holds neither ame.yml nor ame.yaml. Name the folder of a project, or "
            "begin one with an ame.yml of one line: `name: my-project`."
        )

    @pytest.mark.parametrize(
        ("name", "shown"),
        [
            ("missing", "missing"),
            ("missing\0", "missing\\x00"),
            ("two\nlines", "two\\nlines"),
            ("\udcff", "\\udcff"),
            ("x" * 5000, "x" * 5000),
        ],
        ids=["plain", "nul", "lines", "no utf-8", "long"],
    )
    def test_nothing_there(self, tmp_path, monkeypatch, name, shown):
        monkeypatch.chdir(tmp_path)

        with pytest.raises(Refused) as refused:
            load_project(Path(name))

        assert str(refused.value) == f"AME-E101 {shown} there is no such file or folder."
