"""What becomes of a pipeline: groups of tasks, and the tasks that its steps are."""

from textwrap import dedent

from ame.spec import steps_of

FILE = """
    name: x
    tasks:
      - name: fetch
        executor: !custom {command: sh fetch.sh}
        env: [{key: MODE, val: own}]
        resources: {cpu: 4}
        triggers: {schedule: "0 3 * * *"}
      - name: prepare
        pipeline:
          - taskRef: fetch
          - - taskRef: fetch
            - {executor: !custom {command: left}}
          - {name: join, executor: !custom {command: join}, timeout: 5m}
        dataSets: [raw]
        artifacts: {paths: [out]}
        timeout: 2h
        triggers: {schedule: "0 1 * * *"}
    dataSets:
      - {name: raw, path: raw}
    """


def test_groups_of_names_and_inline_steps_named_after_the_task(load):
    project = load(dedent(FILE))

    prepare = project.tasks["prepare"]
    assert prepare.pipeline == (("fetch",), ("fetch", "prepare.3"), ("prepare.join",))
    assert (prepare.data_sets, prepare.artifacts, prepare.timeout) == (("raw",), ("out",), 7200)
    assert prepare.schedule is not None
    assert prepare.executor.command == ""
    assert list(project.tasks) == ["fetch", "prepare", "prepare.3", "prepare.join"]
    assert project.tasks["prepare.join"].timeout == 300
    assert [step.name for step in steps_of(prepare, project.tasks)] == ["fetch", "prepare.3", "prepare.join"]
    assert steps_of(project.tasks["fetch"], project.tasks) == []


def test_what_the_pipeline_gives_stands_at_its_steps_and_a_step_s_own_wins(load):
    gives = """
        env: [{key: MODE, val: given}, {key: MORE, val: given}]
        resources: {cpu: 1, memory: 2G}
        kubernetes: {priorityClassName: low, nodeSelector: {zone: a}}"""
    text = FILE.replace("name: prepare", f"name: prepare{gives}", 1).replace(
        "{name: join,", "{name: join, kubernetes: {nodeSelector: {disk: ssd}}, resources: {memory: 8G},"
    )
    tasks = load(dedent(text)).tasks

    assert tasks["prepare"].pipeline == (
        ("prepare.fetch",),
        ("prepare.fetch", "prepare.3"),
        ("prepare.join",),
    )
    assert list(tasks) == ["fetch", "prepare", "prepare.fetch", "prepare.3", "prepare.join"]
    assert tasks["fetch"].env == {"MODE": "own"}
    copy = tasks["prepare.fetch"]
    assert copy.env == {"MODE": "own", "MORE": "given"}
    assert (copy.resources.cpu, copy.resources.memory) == ("4", "2G")
    assert (copy.executor, copy.where, copy.schedule) == (
        tasks["fetch"].executor,
        tasks["fetch"].where,
        None,
    )
    join = tasks["prepare.join"]
    assert (join.resources.cpu, join.resources.memory) == ("1", "8G")
    assert join.kubernetes.node_selector == {"zone": "a", "disk": "ssd"}
    assert join.kubernetes.priority_class_name == "low"
    # The pipeline itself only waits for its steps.
    assert tasks["prepare"].resources.cpu is None
    assert tasks["prepare"].kubernetes.node_selector == {}


def test_what_is_given_reaches_the_steps_of_a_pipeline_that_stands_inline(load):
    text = """
        name: x
        tasks:
          - name: outer
            env: [{key: A, val: outer}, {key: B, val: outer}]
            pipeline:
              - name: inner
                env: [{key: B, val: inner}]
                pipeline:
                  - {name: step, executor: !custom {command: c}}
        """
    tasks = load(dedent(text)).tasks

    assert tasks["outer"].pipeline == (("outer.inner",),)
    assert tasks["outer.inner"].pipeline == (("outer.inner.step",),)
    assert tasks["outer.inner.step"].env == {"A": "outer", "B": "inner"}


def test_a_template_wins_over_what_the_pipeline_gives(load):
    text = """
        name: x
        templates:
          - {name: large, resources: {memory: 64G}}
        tasks:
          - name: p
            resources: {cpu: 2, memory: 1G}
            pipeline:
              - {name: s, fromTemplate: large, executor: !custom {command: c}}
        """
    resources = load(dedent(text)).tasks["p.s"].resources

    assert (resources.cpu, resources.memory) == ("2", "64G")


def test_secrets_of_a_pipeline_are_those_of_its_steps_and_those_of_a_template_are_replaced(load):
    tasks = load(
        "name: x\n"
        "templates: [{name: t, secrets: [!ame {key: of-template, injectAs: T}]}]\n"
        "tasks:\n"
        "  - name: p\n"
        "    secrets: [!ame {key: of-pipeline, injectAs: A}, !ame {key: of-pipeline, injectAs: B}]\n"
        "    pipeline:\n"
        "      - {name: own, executor: !pip {command: c}, secrets: [!ame {key: own, injectAs: B}]}\n"
        "      - taskRef: c\n"
        "  - {name: c, executor: !pip {command: c}, fromTemplate: t}\n"
        "  - {name: d, executor: !pip {command: c}, fromTemplate: t, secrets: []}\n"
    ).tasks
    said = {name: {each.inject_as: each.key for each in task.secrets} for name, task in tasks.items()}

    assert said == {
        "p": {},
        "p.own": {"A": "of-pipeline", "B": "own"},
        "p.c": {"A": "of-pipeline", "B": "of-pipeline", "T": "of-template"},
        "c": {"T": "of-template"},
        "d": {},
    }


def test_a_task_like_another_one_says_only_what_differs(load):
    tasks = load("""\
name: x
tasks:
  - name: train
    executor: !pip {command: c, pythonVersion: 3.12}
    env: [{key: A, val: 1}, {key: B, val: 1}]
    resources: {cpu: 1, memory: 1G}
    retries: 2
    triggers: {schedule: "0 4 * * *"}
  - name: nightly
    taskRef: x.train
    env: [{key: B, val: 2}]
    resources: {memory: 2G}
    triggers: {schedule: "0 3 * * *"}
  - {name: by-hand, taskRef: nightly}
  - {name: both, pipeline: [taskRef: train, taskRef: by-hand]}
  - {name: again, taskRef: both, triggers: {schedule: "0 5 * * *"}}
""").tasks
    train, nightly, by_hand = tasks["train"], tasks["nightly"], tasks["by-hand"]

    assert (nightly.executor, nightly.retries) == (train.executor, 2)
    assert dict(nightly.env) == {"A": "1", "B": "2"}
    assert (nightly.resources.cpu, nightly.resources.memory) == ("1", "2G")
    assert nightly.schedule is not None
    assert nightly.schedule.cron == "0 3 * * *"
    assert by_hand.schedule is None
    assert by_hand.env == nightly.env
    assert tasks["again"].pipeline == (("both",),)
    assert tasks["again"].schedule is not None
