import pytest

from ame.compile import Trigger
from ame.diagnosis import Refused
from ame.parameters import FlowKind, WatchRegistry
from ame.spec import Resources, Schedule

PROJECT = """\
name: p
models:
  - name: m
    training: {task: {taskRef: t}, schedule: "0 3 * * *", timezone: Europe/Berlin}
    validation: {task: {taskRef: v}}
    abTest: {data: {dataSet: d}, label: y, resources: {nvidia.com/gpu: 1}}
  - name: other
    promotion: {strategy: never}
tasks:
  - {name: t, executor: !pip {command: c}, triggers: {schedule: "* * * * *"}}
  - {name: v, executor: !pip {command: c}}
dataSets:
  - {name: d, path: d, task: {taskRef: t}}
  - {name: kept, path: kept}
"""


def test_each_kind_of_work_has_its_deployments(compiled):
    found = compiled(PROJECT)

    assert {name: (each.pool, dict(each.parameters)) for name, each in found.items()} == {
        name: (pool, {"project": "{{ snapshot.project }}", **parameters})
        for name, pool, parameters in (
            ("train-model/p.m", "ame-cpu", {"model": "m"}),
            ("deliver-version/p.m", "ame-control", {"model": "m"}),
            ("compare-versions/p.m", "ame-gpu", {"model": "m"}),
            ("deliver-version/p.other", "ame-control", {"model": "other"}),
            ("watch-registry/p.models", "ame-control", {}),
            ("run-task/p.t", "ame-cpu", {"task_name": "t"}),
            ("run-task/p.v", "ame-cpu", {"task_name": "v"}),
            ("produce-data-set/p.d", "ame-cpu", {"data_set": "d"}),
        )
    }


def comparison_of(ab_test: str) -> str:
    return f"name: p\nmodels:\n  - name: m\n    abTest: {{label: y, {ab_test}}}\n"


@pytest.mark.parametrize(
    ("ab_test", "pool"),
    [
        ("data: {path: d}", "ame-cpu"),
        ("data: {path: d}, engine: spark", "ame-spark"),
        ("data: {path: d}, spark: {master: k8s}", "ame-spark"),
        ("data: {path: d}, engine: local, spark: {master: k8s}", "ame-cpu"),
        ("data: {path: d}, scoring: {engine: spark}", "ame-spark"),
        ("data: {table: a.b.c}", "ame-spark"),
        ("data: {path: d}, engine: local, resources: {nvidia.com/gpu: 1}", "ame-gpu"),
    ],
)
def test_a_comparison_that_uses_spark_runs_where_executors_can_be_started(compiled, ab_test, pool):
    assert compiled(comparison_of(ab_test))["compare-versions/p.m"].pool == pool


@pytest.mark.parametrize(
    ("spark", "told"),
    [
        ("", "`local[*]`"),
        (", spark: {master: k8s, executors: 3}", "`k8s`, executors 3"),
        (
            ", spark: {executors: 3, resources: {cpu: 2, memory: 8G}}",
            "`local[*]`, executors 3 (cpu 2, memory 8G)",
        ),
        (", spark: {master: k8s, resources: {memory: 8G}}", "`k8s`, executors (memory 8G)"),
    ],
)
def test_its_description_says_what_its_executors_are(compiled, spark, told):
    found = compiled(comparison_of(f"data: {{path: d}}, engine: spark{spark}, resources: {{memory: 4G}}"))

    assert f"- resources: memory 4G\n- Spark: {told}\n" in found["compare-versions/p.m"].description


def test_a_driver_of_spark_that_asks_for_a_gpu_is_refused(compiled):
    with pytest.raises(Refused) as refused:
        compiled(comparison_of("data: {path: d}, engine: spark, resources: {cpu: 1, nvidia.com/gpu: 1}"))

    assert str(refused.value) == (
        "AME-E811 p0/ame.yml:4:76 the A/B test of model 'm' runs on Spark and asks for nvidia.com/gpu. "
        "On Spark `abTest.resources` are the driver's, whose pool offers no GPU. "
        "Leave nvidia.com/gpu out, or compare on one machine: `engine: local`."
    )


def test_schedules_limits_and_tags(compiled):
    found = compiled(PROJECT)

    assert found["train-model/p.m"].schedule == Schedule(cron="0 3 * * *", timezone="Europe/Berlin")
    assert found["run-task/p.t"].schedule == Schedule(cron="* * * * *", timezone="UTC")
    assert {name for name, each in found.items() if each.concurrency_limit == 1} == {
        "train-model/p.m",
        "deliver-version/p.m",
        "deliver-version/p.other",
        "produce-data-set/p.d",
    }
    assert found["compare-versions/p.m"].tags == ("ame", "ame-project:p", "ame:p.m")
    assert found["run-task/p.t"].tags == ("ame", "ame-project:p", "ame-task:p.t")
    assert found["produce-data-set/p.d"].tags == ("ame", "ame-project:p", "ame-data-set:p.d")
    assert found["watch-registry/p.models"].tags == ("ame", "ame-project:p", "ame-watch:p")


def test_a_new_version_of_exactly_this_model_starts_its_delivery(compiled):
    found = compiled(PROJECT)

    assert found["deliver-version/p.m"].triggers == (
        Trigger(
            name="a new version of m (p)",
            event="mlflow.model-version.created",
            resource="mlflow.registered-model.m",
            parameters={"version": "{{ (event.payload.version * 1) | string }}"},
        ),
    )
    assert [name for name, each in found.items() if each.triggers] == [
        "deliver-version/p.m",
        "deliver-version/p.other",
    ]


def test_a_description_says_what_where_and_when(compiled):
    assert compiled(PROJECT)["train-model/p.m"].description == (
        "Trains the model **m** and starts the delivery of the version that it registers.\n"
        "\n"
        "- command: `c`\n"
        "- schedule: `0 3 * * *`, Europe/Berlin\n"
        "- defined in `p0/ame.yml`\n"
    )


def test_a_project_with_models_is_looked_after_every_ten_minutes(compiled):
    watch = compiled(PROJECT)["watch-registry/p.models"]

    assert watch.flow == FlowKind("watch-registry", "flows.registry_watch.watch_registry", WatchRegistry)
    assert watch.schedule == Schedule(cron="*/10 * * * *", timezone="UTC")
    assert (watch.resources, watch.triggers, str(watch.where)) == (Resources(), (), "p0/ame.yml")
    assert watch.job_variables["labels"] == {"ame-flows/project": "p"}
    assert watch.description == (
        "Finds versions that nobody delivered and deliveries that stand still, and starts them.\n"
        "\n"
        "- models: `m`, `other`\n"
        "- schedule: `*/10 * * * *`, UTC\n"
        "- defined in `p0/ame.yml`\n"
    )


def test_a_project_without_models_has_nothing_to_look_after(compiled):
    assert list(compiled(task_of("p", "t"))) == ["run-task/p.t"]


def test_of_many_models_the_first_are_named(compiled):
    models = "".join(f"  - {{name: m{number}, promotion: {{strategy: never}}}}\n" for number in range(12))
    description = compiled(f"name: p\nmodels:\n{models}")["watch-registry/p.models"].description

    assert "- models: `m0`, `m1`, `m2`, `m3`, `m4`, `m5`, `m6`, `m7`, `m8`, `m9` and 2 more\n" in description


def test_a_model_or_a_project_called_models_takes_no_name_away(compiled):
    model = "{{name: {}, training: {{task: {{taskRef: models}}}}, promotion: {{strategy: never}}}}"
    text = "name: {}\nmodels: [{}]\ntasks: [{{name: models, executor: !pip {{command: c}}}}]\n"
    found = compiled(
        text.format("p", model.format("models")), text.format("p.models", model.format("p.models"))
    )

    assert list(found) == [
        "train-model/p.models",
        "deliver-version/p.models",
        "watch-registry/p.models",
        "run-task/p.models",
        "train-model/p.models.p.models",
        "deliver-version/p.models.p.models",
        "watch-registry/p.models.models",
        "run-task/p.models.models",
    ]


@pytest.mark.parametrize(
    ("keys", "facts"),
    [
        ("promotion: {strategy: abTest}, abTest: {data: {path: h.csv}, label: y}", ["promotion: by the A/B test with the champion"]),
        ("promotion: {strategy: always}", ["promotion: when it passes validation"]),
        ("promotion: {strategy: never}", ["promotion: by hand only"]),
        ("promotion: {strategy: metric, metric: accuracy}", ["promotion: when its logged `accuracy` is higher than the champion's"]),
        (
            "promotion: {strategy: metric, metric: '{{ a`b }}_loss', greaterIsBetter: false}, delivery: latest",
            [
                "promotion: when its logged ``{ { a`b }}_loss`` is lower than the champion's",
                "delivery: only the latest; a newer version supersedes those that still wait",
            ],
        ),
    ],
)  # fmt: skip
def test_a_delivery_says_who_decides_and_about_which_versions(compiled, keys, facts):
    found = compiled(f"name: p\nmodels:\n  - {{name: m, {keys}}}\n")["deliver-version/p.m"]

    head = "Decides about one version of the model **m**. Starts when MLflow has a new one.\n\n"
    lines = [f"- {fact}\n" for fact in facts]
    assert found.description == head + "".join(lines) + "- defined in `p0/ame.yml`\n"


def task_of(project: str, name: str) -> str:
    return f"name: {project}\ntasks: [{{name: {name}, executor: !pip {{command: c}}}}]\n"


def test_projects_that_cannot_be_deployed_together_are_refused_in_one_go(compiled):
    model = "name: {}\nmodels: [{{name: m, promotion: {{strategy: never}}}}]\n"

    with pytest.raises(Refused) as refused:
        compiled(model.format("a"), model.format("b"), model.format("a"))

    assert str(refused.value).splitlines() == [
        (
            "AME-E802 p1/ame.yml:2:10 two projects deliver the registered model 'm'. The other one is 'a', "
            "p0/ame.yml:2:10. Rename one of them: a registered model has one champion."
        ),
        (
            "AME-E801 p2/ame.yml two projects have the name 'a'. The other one is p0/ame.yml. Rename one of them: "
            "deployments are named after their project."
        ),
    ]


def test_names_that_only_together_are_the_same_are_refused(compiled):
    with pytest.raises(Refused) as refused:
        compiled(task_of("a.b", "c"), task_of("a", "b.c"))

    assert str(refused.value) == (
        "AME-E803 p1/ame.yml:2:9 this would be the deployment 'run-task/a.b.c', which there is already. The other "
        "one is of project 'a.b', p0/ame.yml:2:9. Rename one of them."
    )


def test_a_file_that_a_run_would_not_find_is_refused(tmp_path, monkeypatch):
    from ame.compile import compile_projects
    from ame.spec import load_project

    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.yml").write_text("name: p\n")
    odd = tmp_path / "{{ $HOME }}"
    odd.mkdir()
    (odd / "ame.yml").write_text(task_of("q", "t"))

    with pytest.raises(Refused) as refused:
        compile_projects(
            [load_project(tmp_path / "other.yml"), load_project(odd)], target="process", base=tmp_path
        )

    assert str(refused.value).splitlines() == [
        (
            f"AME-E805 {tmp_path}/other.yml a deployed run would not find 'other.yml'. It gets the project's folder "
            "and reads the ame.yml or ame.yaml in it. Rename the file to ame.yml."
        ),
        (
            "AME-E805 {{ $HOME }}/ame.yml the path of this folder cannot stand in a prefect.yaml. It holds a "
            "character that is not printable, or '{{', which Prefect would replace. Rename the folder."
        ),
    ]


@pytest.mark.parametrize(
    ("key", "value", "held"),
    [
        ("image", '"{{$REGISTRY}}/a"', "{{$REGISTRY}}/a"),
        ("annotations", '{a: "{{prefect.blocks.secret.key}}"}', "{{prefect.blocks.secret.key}}"),
        ("envFrom", '[{prefix: "{{ x }}", secretRef: {name: s}}]', "{{ x }}"),
        ("affinity", '{podAffinity: {"$ref": {block_document_id: x}}}', "$ref"),
        ("affinity", '{podAffinity: {"{{ x }}": a}}', "{{ x }}"),
    ],
)
def test_no_placeholder_of_a_user_reaches_prefect(variables, key, value, held):
    with pytest.raises(Refused) as refused:
        variables(f"kubernetes: {{labels: {{a: b}}, {key}: {value}}}")

    assert str(refused.value) == (
        f"AME-E804 p0/ame.yml:5:34 '{key}' of task 't' holds '{held}', which Prefect would replace. A placeholder "
        "is resolved when it is deployed and kept in plain text. Write the value itself; a secret is named in "
        "`envFrom`."
    )


PIPELINE = """\
name: p
models:
  - name: m
    training: {task: {taskRef: learn}}
    promotion: {strategy: never}
tasks:
  - {name: fetch, executor: !pip {command: c}, resources: {cpu: 1}}
  - name: learn
    resources: {nvidia.com/gpu: 1}
    kubernetes: {priorityClassName: low}
    pipeline:
      - taskRef: fetch
      - - {name: fit, executor: !pip {command: c}}
        - {name: look, executor: !pip {command: c}, resources: {nvidia.com/gpu: 0}}
dataSets:
  - {name: d, path: d, task: {taskRef: learn}}
"""


def test_a_pipeline_waits_on_the_control_pool_and_its_steps_run_where_they_ask_to(compiled):
    found = compiled(PIPELINE)

    assert {name: each.pool for name, each in found.items()} == {
        "train-model/p.m": "ame-control",
        "deliver-version/p.m": "ame-control",
        "watch-registry/p.models": "ame-control",
        "run-task/p.fetch": "ame-cpu",
        "run-task/p.learn": "ame-control",
        "run-task/p.learn.fetch": "ame-gpu",
        "run-task/p.learn.fit": "ame-gpu",
        "run-task/p.learn.look": "ame-cpu",
        "produce-data-set/p.d": "ame-control",
    }
    waits = found["run-task/p.learn"].job_variables
    assert waits.keys() == {"env", "labels", "annotations"}
    assert found["run-task/p.learn.fetch"].job_variables["limits"] == {"cpu": "1", "nvidia.com/gpu": "1"}
    assert found["run-task/p.learn.look"].job_variables["priority_class_name"] == "low"
    assert "- steps: learn.fetch, then learn.fit and learn.look\n" in found["train-model/p.m"].description


@pytest.mark.parametrize(
    ("timeouts", "seconds"), [(("1h", ""), 5400), (("", "1h"), None), (("1h", "2h"), 5400)]
)
def test_the_deadline_of_a_pipeline_is_that_of_its_own_timeout(compiled, timeouts, seconds):
    whole, step = (f"timeout: {each}" if each else "retries: 0" for each in timeouts)
    text = PIPELINE.replace("    resources: {nvidia", f"    {whole}\n    resources: {{nvidia").replace(
        "{name: fit,", f"{{name: fit, {step},"
    )

    found = compiled(text)

    for name in ("train-model/p.m", "run-task/p.learn", "produce-data-set/p.d"):
        assert found[name].job_variables.get("active_deadline_seconds") == seconds
