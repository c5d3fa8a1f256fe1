"""The grammar agrees with itself, with the data types that its readers fill, and with the gate."""

import re

import pytest

from ame.gate.config import METRICS_OF, ABTest, problems
from ame.spec import AbTestSection, Deployment, Promotion, Schedule, Task, words
from ame.spec.grammar import Choice, Flag, Key, MapOf, OneOf, Scalar, Shape, shapes_below
from ame.spec.kinds import Number, Whole

SHAPES = shapes_below(words.PROJECT)
KEYS = [
    pytest.param(shape, word, key, id=f"{shape.name}.{word}")
    for shape in SHAPES
    for word, key in (*shape.keys.items(), *shape.dated.items())
]
NUMBERS = [each for each in KEYS if isinstance(each.values[2].type, Number | Whole)]


def scalar_of(key: Key) -> Scalar | Whole | Number | Flag | None:
    kinds = key.type.kinds if isinstance(key.type, OneOf) else (key.type,)
    return next((kind for kind in kinds if isinstance(kind, Scalar | Whole | Number | Flag)), None)


def test_every_shape_of_the_words_has_a_name_of_its_own_and_is_part_of_the_file():
    named = [getattr(words, name) for name in words.__all__ if isinstance(getattr(words, name), Shape)]

    assert len({shape.name for shape in named}) == len(named)
    assert {id(shape) for shape in named} == {id(shape) for shape in SHAPES}


@pytest.mark.parametrize(("shape", "word", "key"), KEYS)
def test_every_key_is_described_in_sentences(shape, word, key):
    assert re.fullmatch(r"[A-Z`][^\n|]*\.", key.about), key.about
    assert not (key.required and (key.default is not None or key.otherwise))
    assert not (key.default is not None and key.otherwise)
    if isinstance(key.type, Choice):
        words_ = key.type.words if word not in shape.dated and key.type.words != metrics() else ()
        assert [each for each in words_ if f"`{each}`" not in key.about] == []


def metrics() -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for names in METRICS_OF.values() for name in names))


@pytest.mark.parametrize(("shape", "word", "key"), KEYS)
def test_a_default_could_stand_in_the_file(shape, word, key):
    if isinstance(key.type, Choice):
        assert key.default is None or key.default in key.type.words
    elif key.default is not None:
        text = str(key.default)
        assert scalar_of(key).read(text.lower() if isinstance(key.default, bool) else text) == key.default


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_a_word_has_one_meaning_in_its_place(shape):
    said = [*shape.keys, *shape.dated, *shape.older, *shape.withheld, *shape.idle]

    assert len(said) == len(set(said))
    assert all(shape.reads(meant) for meant in shape.older.values())
    assert {*shape.one_of, *shape.any_of} <= shape.keys.keys()


@pytest.mark.parametrize(("shape", "word", "key"), NUMBERS)
def test_a_range_is_told_where_its_bounds_are_broken(shape, word, key):
    kind = key.type
    low, high = (kind.low, kind.high) if isinstance(kind, Whole) else (kind.least, kind.most)
    for bound in (low, high):
        assert bound is None or kind.read(str(bound)) == bound
    open_low, open_high = (None, None) if isinstance(kind, Whole) else (kind.above, kind.below)
    outside = [low is not None and low - 1, high is not None and high + 1, open_low, open_high]
    for value in (each for each in outside if each not in (False, None)):
        with pytest.raises(Exception, match="AME-E116") as refused:
            kind.read(str(value))
        assert refused.value.why == f"It must be {kind.range}."


def test_bounds_in_words():
    assert [Whole(1, 10_000).range, Whole(2).range, Whole().range] == ["from 1 to 10,000", "at least 2", ""]
    assert Number(above=0, most=1).range == "above 0 and at most 1"


def test_the_numbers_of_an_ab_test_are_within_what_the_gate_takes():
    fields = {
        word: re.sub(r"[A-Z]", lambda found: "_" + found[0].lower(), word)
        for word, key in words.AB_TEST.keys.items()
        if isinstance(key.type, Number | Whole)
    }
    assert len(fields) == 11
    for word, field in fields.items():
        kind = words.AB_TEST.keys[word].type
        low, high = (kind.low, kind.high) if isinstance(kind, Whole) else (kind.least, kind.most)
        for bound in (low, high):
            assert bound is None or problems(ABTest(label="y", **{field: bound})) == ()


def test_a_section_that_says_nothing_is_its_data_types_own_default(load):
    project = load(
        "name: x\n"
        "models:\n"
        "  - name: m\n"
        "    training: {task: {executor: !pip {command: c}}, schedule: '0 3 * * *'}\n"
        "    abTest: {data: {path: h.csv}, label: y, scoring: }\n"
        "    promotion: {strategy: never}\n"
        "    deployment:\n"
    )
    model = project.models["m"]
    task = project.tasks["m.training"]

    assert model.deployment == Deployment()
    assert model.promotion == Promotion(strategy="never", explicit=True)
    assert model.schedule == Schedule(cron="0 3 * * *")
    assert model.delivery == words.MODEL.default("delivery")
    assert model.ab_test == AbTestSection(
        gate=ABTest(label="y"), where=model.ab_test.where, data_path="h.csv"
    )
    assert task == Task(name=task.name, executor=task.executor, where=task.where)


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape.required], ids=lambda shape: shape.name)
def test_what_is_required_is_missed(refusals, shape):
    """Of every shape that requires keys there is a place in which they are missing."""
    model = "name: x\nmodels: [{{name: m, {}}}]\n"
    task = "name: x\ntasks: [{{name: a, executor: !pip {{command: c}}, {}}}]\n"
    places = {
        "project": "{}",
        "model": "name: x\nmodels: [{}]\n",
        "dataSet": "name: x\ndataSets: [{}]\n",
        "training": model.format("training: {}"),
        "abTest": model.format("abTest: {}"),
        "margin": model.format("abTest: {data: {path: a}, label: y, primary: {}}"),
        "named": task.format("fromTemplate: {}"),
        "variable": task.format("env: [{}]"),
        "dataSetReference": task.format("dataSets: [{ref: }]"),
        "recurringTask": "name: x\nrecurring_tasks: {a: {}}\n",
        "secret": task.format("secrets: [!ame {}]"),
        "vaultSecret": task.format("secrets: [!vault {}]"),
        "envSource": task.format("kubernetes: {envFrom: [{secretRef: {}}]}"),
        # Without its key it is no reference but a task.
        "reference": model.format("training: {task: {}}"),
    }
    said = " ".join(refusals(places[shape.name]))

    first, *_ = shape.required
    assert ("has no command" if shape.name == "reference" else f"lacks '{first}'") in said


def test_every_mapping_with_free_keys_that_has_reserved_ones_checks_them(refusals):
    reserved = [
        (word, beginning)
        for word, key in words.KUBERNETES.keys.items()
        if isinstance(key.type, MapOf)
        for beginning in key.type.reserved
    ]
    assert len(reserved) == 4
    for word, beginning in reserved:
        (said,) = refusals(
            f"name: x\ntasks: [{{name: a, executor: !pip {{command: c}}, kubernetes: {{{word}: {{{beginning}a: b}}}}}}]\n"
        )
        assert said.startswith("AME-E133")
