"""No file takes more than seconds and some hundred megabytes, by the real command, however it is made.

Time is that of the child's processor, and the bounds are ten times what is usual: they are there for what
grows with the square of a file, or worse.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ame.spec.graphs import LONGEST_TEXT, MOST_VALUES
from ame.spec.problems import MOST_ERRORS

MEBI = 2**20
MOST_SECONDS = 10.0
MOST_MEBIBYTES = 320


def entries(count: int, entry: str) -> str:
    return "".join(entry.replace("#", str(i)) for i in range(count))


def floors(floor: str, count: int = 40) -> str:
    """Anchors of which each is made of the one before it."""
    return "".join(f"a{i}: &a{i} {floor.replace('@', f'*a{i - 1}')}\n" for i in range(1, count))


def task(keys: str) -> str:
    return f"name: x\ntasks: [{{name: t, executor: !pip {{command: c}}, {keys}}}]\n"


def ab_test(keys: str) -> str:
    return f"name: x\nmodels: [{{name: m, abTest: {{label: y, {keys}}}}}]\n"


PIP = "executor: !pip {command: c}"
TASK = f"- {{name: task-#, {PIP}}}\n"
TASKS = "name: x\ntasks:\n"
TEN = ",".join(["@"] * 10)
LONG = LONGEST_TEXT - 100
# Made when they are needed: together they are a hundred megabytes.
FLOODS: dict[str, tuple[Callable[[], str], set[str]]] = {
    # What aliases unfold to.
    "a billion laughs": (lambda: f"name: x\na0: &a0 [x]\n{floors(f'[{TEN}]')}", {"AME-E107"}),
    "a billion merges": (lambda: f"name: x\na0: &a0 {{k: v}}\n{floors(f'{{<<: [{TEN}]}}')}", {"AME-E107"}),
    "merges of merges": (lambda: f"name: x\na0: &a0 {{k: v}}\n{floors('{<<: @, <<: @}')}", {"AME-E107"}),
    "one task a million times": (lambda: f"{TASKS}- &a {{name: a, {PIP}}}\n" + "- *a\n" * 1_000_000, {"AME-E107"}),
    "one task as often as may be": (lambda: f"{TASKS}- &a {{name: a, {PIP}}}\n" + "- *a\n" * (MOST_VALUES // 7 - 10), {"AME-E107", "AME-E115"}),
    "many merges of much": (
        lambda: f"name: x\nmodels: &a {{{entries(900, 'k#: 1,')}}}\ntasks: [{entries(60, '{<<: *a, name: t#},')}]\n",
        {"AME-E107", "AME-E109"},
    ),
    "an alias of itself": (lambda: "name: x\ntasks: &a [*a]\n", {"AME-E107"}),
    "a key that is itself": (lambda: "name: x\ntasks: &a {? *a : 1}\n", {"AME-E107"}),
    # Depth.
    "brackets": (lambda: "name: x\na: " + "[" * (8 * MEBI - 20), {"AME-E107"}),
    "braces": (lambda: "{a: " * (2 * MEBI), {"AME-E107"}),
    "dashes": (lambda: "- " * (4 * MEBI), {"AME-E107"}),
    "question marks": (lambda: "? " * (4 * MEBI), {"AME-E107"}),
    "indentation": (lambda: "".join(" " * i + "a:\n" for i in range(4000)), {"AME-E107"}),
    # Length.
    "one text of eight megabytes": (lambda: "name: " + "x" * (8 * MEBI - 10), {"AME-E116"}),
    "one tag": (lambda: "name: !" + "x" * (8 * MEBI - 10), {"AME-E130"}),
    "one alias": (lambda: "name: *" + "x" * (8 * MEBI - 10), {"AME-E105"}),
    "one comment": (lambda: "#" * (8 * MEBI), {"AME-E106"}),
    "line ends": (lambda: "name: x\n" + "\r\n" * (4 * MEBI - 10) + "}", {"AME-E105"}),
    "documents": (lambda: "---\n" * (2 * MEBI), {"AME-E106"}),
    "directives": (lambda: entries(300_000, "%TAG !a#! tag:x\n"), {"AME-E105"}),
    "anchors": (lambda: "name: x\na: [" + entries(300_000, "&a# x,") + "*a]", {"AME-E107"}),
    # Number.
    "a million keys": (lambda: entries(700_000, "k#: \n"), {"AME-E107"}),
    "a million tiny tasks": (lambda: TASKS + "-\n" * 1_000_000, {"AME-E107"}),
    "a list of millions": (lambda: "name: x\ntasks: [" + "a," * (4 * MEBI - 10) + "]", {"AME-E107"}),
    "valid tasks, as many as may be": (lambda: TASKS + entries(MOST_VALUES // 7 - 10, f"- {{name: t#, {PIP}}}\n"), set()),
    "wrong tasks, as many as may be": (lambda: TASKS + "-\n" * (MOST_VALUES - 10), {"AME-E113", "AME-E107"}),
    "one key, as often as may be": (lambda: "name: x\n" * (MOST_VALUES // 2 - 10), {"AME-E108", "AME-E107"}),
    # What refers to much.
    "references to nothing": (
        lambda: f"{TASKS}{entries(8_000, TASK)}models:\n" + entries(5_000, "- {name: m#, training: {task: {taskRef: tsk-#}}}\n"),
        {"AME-E102"},
    ),
    "a chain of templates that grows": (
        lambda: "name: x\ntemplates:\n"
        + "".join(f"- {{name: t{i}, fromTemplate: t{i + 1}, env: [{{key: A{i}, val: b}}]}}\n" for i in range(9_000)),
        {"AME-E102", "AME-E107"},
    ),
    "a wide template": (
        lambda: f"name: x\ntemplates: [{{name: t, env: [{entries(9_000, '{key: A#, val: b},')}]}}]\ntasks:\n"
        + entries(5_000, f"- {{name: t#, fromTemplate: t, {PIP}}}\n"),
        {"AME-E107"},
    ),
    "a wide template of labels": (
        lambda: f"name: x\ntemplates: [{{name: t, kubernetes: {{labels: {{{entries(9_000, 'k#: b,')}}}}}}}]\ntasks:\n"
        + entries(5_000, f"- {{name: t#, fromTemplate: t, {PIP}, kubernetes: {{labels: {{a: b}}}}}}\n"),
        {"AME-E107"},
    ),
    "circles of data sets": (
        lambda: "name: x\ndataSets:\n"
        + "".join(
            f"- {{name: d{i}, path: d{i}, task: {{name: u{i}, {PIP}, dataSets: [d{(i + 1) % 6_000}, d0, d1]}}}}\n"
            for i in range(6_000)
        ),
        {"AME-E115", "AME-E127"},
    ),
    # Pipelines.
    "steps at once": (
        lambda: f"{TASKS}{entries(20_000, TASK)}- name: p\n  pipeline:\n  - [{entries(20_000, '{taskRef: task-#},')}]\n",
        set(),
    ),
    "small pipelines": (lambda: TASKS + entries(20_000, f"- {{name: t#, pipeline: [{{{PIP}}}]}}\n"), set()),
    "a wide pipeline": (
        lambda: f"{TASKS}- {{name: a, {PIP}}}\n- name: p\n  env: [{entries(9_000, '{key: A#, val: b},')}]\n  pipeline: [{entries(9_000, f'{{name: t#, {PIP}}},')}]\n",
        {"AME-E107"},
    ),
    "pipelines of pipelines": (
        lambda: TASKS
        + "".join(f"- {{name: t{i}, dataSets: [d{i}], pipeline: [{{taskRef: t{i + 1}}}]}}\n" for i in range(8_000))
        + f"- {{name: t8000, {PIP}}}\ndataSets:\n"
        + entries(8_000, "- {name: d#, path: d#, task: {taskRef: t8000}}\n"),
        set(),
    ),
    "pipelines of pipelines, and data sets in one place": (
        lambda: TASKS
        + "".join(f"- {{name: t{i}, pipeline: [{{taskRef: t{i + 1}}}]}}\n" for i in range(8_000))
        + f"- {{name: t8000, {PIP}}}\ndataSets:\n"
        + entries(1_000, "- {name: d#, path: d}\n"),
        set(),
    ),
    "a pipeline in many pipelines": (
        lambda: TASKS
        + f"- {{name: a, {PIP}}}\n- {{name: b, {PIP}}}\n"
        + f"- {{name: p, pipeline: [{entries(5_000, f'{{name: s#, {PIP}}},')}]}}\n"
        + entries(5_000, "- {name: p#, dataSets: [d], pipeline: [{taskRef: p}, {taskRef: b}]}\n")
        + "dataSets: [{name: d, path: d}, {name: e, path: d}]\n",
        {"AME-E107"},
    ),
    "tasks like each other": (
        lambda: TASKS
        + "".join(f"- {{name: t{i}, taskRef: t{i + 1}, retries: {i % 9}}}\n" for i in range(25_000))
        + f"- {{name: t25000, {PIP}}}\n",
        set(),
    ),
    "tasks like each other that grow": (
        lambda: TASKS
        + "".join(f"- {{name: t{i}, taskRef: t{i + 1}, env: [{{key: A{i}, val: b}}]}}\n" for i in range(9_000))
        + f"- {{name: t9000, {PIP}}}\n",
        {"AME-E107"},
    ),
    "a circle of tasks like each other": (
        lambda: TASKS + "".join(f"- {{name: t{i}, taskRef: t{(i + 1) % 20_000}}}\n" for i in range(20_000)),
        {"AME-E126"},
    ),
    "tasks with many secrets like each other": (
        lambda: f"{TASKS}- {{name: a, {PIP}, secrets: [{entries(9_000, '!ame {key: k#, injectAs: A#},')}]}}\n"
        + entries(9_000, "- {name: t#, taskRef: a}\n"),
        {"AME-E107"},
    ),
    "circles of pipelines": (
        lambda: TASKS
        + "".join(
            f"- {{name: t{i}, dataSets: [d], pipeline: [{{taskRef: t{(i + 1) % 6_000}}}, {{taskRef: t0}}, {{taskRef: t1}}]}}\n"
            for i in range(6_000)
        )
        + "dataSets: [{name: d, path: d, task: {taskRef: t0}}]\n",
        {"AME-E107", "AME-E137"},
    ),
    "older spellings": (
        lambda: "projectid: x\ntasks:\n" + entries(24_000, "- {name: t#, runcommand: c, environment: [{name: A, value: b}]}\n"),
        {"AME-W101", "AME-W102"},
    ),
    "classes": (lambda: ab_test(f"data: {{path: a}}, task: multiclass, classes: [{entries(90_000, '#,')}]"), set()),
    # Texts over which a careless pattern goes again and again.
    "addresses without an end": (lambda: ab_test(f'data: {{uri: "{"s3://a:" * (LONG // 7)}"}}'), {"AME-E134"}),
    "a scheme without an end": (lambda: ab_test(f'data: {{uri: "{"a+" * (LONG // 2)}"}}'), {"AME-E134"}),
    "options without an end": (
        lambda: ab_test(f'data: {{path: a}}, spark: {{conf: {{spark.a: "{"-Dsecret" * (LONG // 8)}"}}}}'),
        set(),
    ),
    "a cron expression": (lambda: task(f'triggers: {{schedule: "* * * * {"*," * (LONG // 2)}*"}}'), set()),
    "a day of the week": (lambda: task(f'triggers: {{schedule: "* * * * {"sun" * (LONG // 3)}"}}'), {"AME-E119"}),
}  # fmt: skip


@pytest.mark.parametrize(("flood", "codes"), FLOODS.values(), ids=FLOODS)
def test_a_flood_ends(ame, flood, codes):
    Path("ame.yml").write_text(flood(), newline="")

    ended = ame("validate", "--json")

    assert ended.code == any(code.startswith("AME-E") for code in codes)
    assert {diagnosis["code"] for diagnosis in ended.diagnoses()} == codes
    assert ended.seconds < MOST_SECONDS
    assert ended.mebibytes < MOST_MEBIBYTES


def test_thousands_of_references_to_a_project_with_thousands_of_mistakes(ame):
    Path("../other").mkdir()
    Path("../other/ame.yml").write_text("name: other\ntasks:\n" + "- {x: y}\n" * 20_000)
    Path("ame.yml").write_text(TASKS + entries(20_000, f"- {{name: t#, fromTemplate: other.a, {PIP}}}\n"))

    ended = ame("validate", "--json")

    assert {each["code"] for each in ended.diagnoses()} == {"AME-E107", "AME-E109", "AME-E113"}
    assert ended.seconds < MOST_SECONDS
    assert ended.mebibytes < MOST_MEBIBYTES


def test_thousands_of_references_to_projects_that_are_not_among_a_thousand(ame):
    for number in range(1_000):
        Path(f"../p{number}").mkdir()
        Path(f"../p{number}/ame.yml").write_text(f"name: p{number}\n")
    Path("ame.yml").write_text(TASKS + entries(9_000, f"- {{name: t#, fromTemplate: q#.a, {PIP}}}\n"))

    ended = ame("validate", "--json")

    assert {each["code"] for each in ended.diagnoses()} == {"AME-E141"}
    assert ended.seconds < MOST_SECONDS
    assert ended.mebibytes < MOST_MEBIBYTES


DIGITS = "9" * 100_000


@pytest.mark.parametrize(
    "text",
    [
        f"name: {DIGITS}\n",
        task(f"retries: {DIGITS}"),
        task(f"retries: -{DIGITS}"),
        task(f"timeout: {DIGITS}h"),
        task(f"resources: {{cpu: {DIGITS}}}"),
        task(f"resources: {{memory: 0.{DIGITS}}}"),
        task(f"resources: {{memory: 1e{DIGITS}}}"),
        task(f"resources: {{nvidia.com/gpu: {DIGITS}}}"),
        task(f"triggers: {{schedule: '{DIGITS} * * * *'}}"),
        task(f"triggers: {{schedule: '*/{DIGITS} * * * *'}}"),
        task(f"triggers: {{schedule: '0 0 1-{DIGITS} * *', timezone: UTC}}"),
        f"name: x\ntasks: [{{name: t, executor: !pip {{command: c, pythonVersion: 3.{DIGITS}}}}}]\n",
        ab_test(f"data: {{path: a}}, alpha: 0.{DIGITS}"),
        ab_test(f"data: {{path: a}}, looks: {DIGITS}"),
        ab_test(f"data: {{path: a}}, primary: {{metric: roc_auc, margin: {DIGITS}}}"),
        ab_test(f"data: {{path: a}}, spark: {{executors: {DIGITS}}}"),
        ab_test(f"data: {{path: a}}, spark: {{master: 'local[{DIGITS}]'}}"),
        f"name: x\nmodels: [{{name: m, validation: {{thresholds: {{a: {{min: {DIGITS}, max: 0}}}}}}}}]\n",
    ],
    ids=range(18),
)
def test_a_number_of_a_hundred_thousand_digits_is_one_short_diagnosis(refusals, text):
    (said,) = refusals(text)

    assert "'..." in said.replace("...'", "'...")
    assert len(said) < 500


def test_five_thousand_unknown_keys_are_told_with_what_may_be_meant(ame):
    Path("ame.yml").write_text("name: x\n" + entries(5_000, "task#: 1\n"))

    ended = ame("validate", "--json")

    diagnoses = ended.diagnoses()
    assert len(diagnoses) == 5_000
    assert {diagnosis["code"] for diagnosis in diagnoses} == {"AME-E109"}
    assert {diagnosis["fix"] for diagnosis in diagnoses} == {"Did you mean 'tasks'?"}
    assert ended.seconds < MOST_SECONDS


def test_reading_ends_at_ten_thousand_mistakes_and_says_so(refusals):
    said = refusals("name: x\n" + entries(MOST_ERRORS + 10, "task#: 1\n"))

    assert len(said) == MOST_ERRORS + 2
    assert said[-1] == (
        "AME-E107 ame.yml the file was read until 10,000 mistakes were met. Mend those that are listed; then "
        "the rest is read."
    )


def test_warnings_do_not_end_it(load):
    spelled = entries(MOST_ERRORS + 10, "- {name: t#, runcommand: c}\n")

    assert len(load(TASKS + spelled).warnings) == MOST_ERRORS + 10


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        (
            "name: x\nmodels:\n" + "-\n" * MOST_VALUES,
            f"{MOST_VALUES - 3}:2",
            "the file holds too much. Up to here it has 300,000 keys and values, which is the most that is read. Make two projects of it, each with a folder and an ame.yml of its own.",
        ),
        (
            f"name: x\ntemplates: [{{name: t, env: [{entries(400, '{key: A#, val: b},')}]}}]\ntasks:\n"
            + entries(600, f"- {{name: t#, {PIP}, fromTemplate: t}}\n"),
            "379:3",
            "task 't375' unfolds to too much through its templates. All tasks with what their templates say have more than 300,000 keys and values. Say less there, or make two projects of it.",
        ),
        (
            f"{TASKS}- name: p\n  env: [{entries(400, '{key: A#, val: b},')}]\n  pipeline:\n"
            + entries(600, f"  - {{name: s#, {PIP}}}\n"),
            "381:5",
            "task 'p.s375' unfolds to too much through its pipelines. All tasks with what their pipelines say have more than 300,000 keys and values. Say less there, or make two projects of it.",
        ),
    ],
    ids=["values", "templates", "pipelines"],
)
def test_where_too_much_begins(refusals, text, place, said):
    assert refusals(text) == [f"AME-E107 ame.yml:{place} {said}"]


def test_every_text_that_is_too_long_is_told(refusals):
    text = "x" * (LONGEST_TEXT + 1)
    said = (
        "this text is too long. It has 131,072 characters, and at most 131,071 can be handed to a command. Put "
        "it into a file of the project."
    )

    assert refusals(f"name: {text}\ntasks:\n- name: {text}\n") == [
        f"AME-E116 ame.yml:1:7 {said}",
        f"AME-E116 ame.yml:3:9 {said}",
    ]


def test_a_text_may_be_as_long_as_an_argument(load):
    project = load(f"{TASKS}- {{name: a, executor: !pip {{command: {'x' * LONGEST_TEXT}}}}}\n")

    assert project.tasks["a"].executor.command == "x" * LONGEST_TEXT


def test_a_small_file_takes_little(ame):
    """Else the bounds above would say nothing."""
    Path("ame.yml").write_text("name: x\n")

    ended = ame("validate", "--json")

    assert json.loads(ended.stdout) == {"project": "x", "valid": True, "diagnoses": []}
    assert ended.seconds < MOST_SECONDS / 2
    assert 5 < ended.mebibytes < MOST_MEBIBYTES / 4
