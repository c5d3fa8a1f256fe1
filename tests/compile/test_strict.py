"""Prefect takes unknown keys in silence, so what is written is held against what it reads."""

import dataclasses
from pathlib import Path

import pytest

from ame.compile import JOB_VARIABLES, compile_projects, prefect_yaml
from ame.compile.placeholders import neutral
from ame.diagnosis import Refused
from ame.spec import load_project

GPU = Path(__file__).parent / "golden/gpu"


def refused_with(change):
    project = load_project(GPU)
    first, second, *others = compile_projects([project], target="kubernetes", base=GPU)
    with pytest.raises(Refused) as refused:
        prefect_yaml([project], [*change(first, second), *others], target="kubernetes", base=GPU)
    return [diagnosis.what for diagnosis in refused.value.diagnoses]


def changed(what, value):
    def change(train, deliver):
        return dataclasses.replace(train, **{what: {**getattr(train, what), **value}}), deliver

    return change


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (changed("parameters", {"modle": "m"}), "has a wrong parameter 'modle'"),
        (changed("parameters", {"model": 3}), "has a wrong parameter 'model'"),
        (changed("parameters", {"model": "{{ $X }}"}), "holds the placeholder '{{ $X }}' in 'parameters'"),
        (changed("job_variables", {"gpu": "1"}), "has the unknown job variable 'gpu'"),
        (changed("job_variables", {"image": 3}), "has the job variable 'image', which is no string"),
        (changed("job_variables", {"active_deadline_seconds": True}), "has the job variable 'active_deadline_seconds', which is no integer"),
        (changed("job_variables", {"limits": {"cpu": 2}}), "asks for 'cpu' by a number"),
        (lambda train, deliver: (dataclasses.replace(train, pool="gpu"), deliver), "names the unknown work pool 'gpu'"),
    ],
)  # fmt: skip
def test_what_prefect_would_take_in_silence_is_refused(change, what):
    assert refused_with(change) == [f"the deployment 'train-model/vision.v2.defects' {what}."]


def test_a_trigger_for_every_model_is_refused():
    def change(train, deliver):
        (trigger,) = deliver.triggers
        wide = dataclasses.replace(trigger, resource="mlflow.registered-model.*")
        return train, dataclasses.replace(deliver, triggers=(wide,))

    assert refused_with(change) == [
        (
            "the deployment 'deliver-version/vision.v2.defects' has a trigger that fires on more than one resource or "
            "event."
        )
    ]


def test_every_job_variable_that_a_task_can_set_is_used_by_the_example():
    project = load_project(GPU)
    found = compile_projects([project], target="kubernetes", base=GPU)

    used = {name for each in found for name in each.job_variables}
    # The operator's, who sets them at the pool.
    assert JOB_VARIABLES["kubernetes"].keys() - used == {"finished_job_ttl", "name", "namespace"}


@pytest.mark.parametrize("text", ["{{x}}", "{{{ x }}}", "{{{{x}}}}", "a {{\n x }}"])
def test_a_text_for_people_holds_no_placeholder_whatever_it_held(text):
    assert "{{" not in neutral(text)
    assert neutral(text).replace(" ", "") == text.replace(" ", "")
