from ame.diagnosis import Diagnosis, Refused, Where, did_you_mean

FULL = Diagnosis(
    code="AME-E102",
    where=Where("examples/x/ame.yml", 14, 9),
    what="task 'train' refers to template 'gpux', which does not exist.",
    why="Known templates: gpu, cpu.",
    fix="Did you mean 'gpu'?",
)


def test_a_diagnosis_reads_as_one_line():
    assert str(FULL) == (
        "AME-E102 examples/x/ame.yml:14:9 task 'train' refers to template 'gpux', which does not exist. "
        "Known templates: gpu, cpu. Did you mean 'gpu'?"
    )


def test_what_is_not_known_leaves_no_gap():
    assert str(Diagnosis(code="AME-E101", what="nothing there.")) == "AME-E101 nothing there."
    assert str(Where("ame.yml")) == "ame.yml"
    assert str(Where("ame.yml", 3)) == "ame.yml:3"


def test_scripts_get_each_part_by_name():
    assert FULL.to_json() == {
        "code": "AME-E102",
        "file": "examples/x/ame.yml",
        "line": 14,
        "column": 9,
        "what": "task 'train' refers to template 'gpux', which does not exist.",
        "why": "Known templates: gpu, cpu.",
        "fix": "Did you mean 'gpu'?",
    }
    assert Diagnosis(code="AME-E101", what="nothing.").to_json()["file"] is None


def test_the_letter_tells_a_warning():
    assert Diagnosis(code="AME-W101", what="older.").is_warning
    assert not FULL.is_warning


def test_a_refusal_says_everything_a_line_each():
    other = Diagnosis(code="AME-E109", what="unknown key.")

    refused = Refused(FULL, other)

    assert refused.diagnoses == (FULL, other)
    assert str(refused) == f"{FULL}\nAME-E109 unknown key."


def test_a_near_name_is_offered_and_a_far_one_is_not():
    assert did_you_mean("gpux", ["cpu", "gpu"]) == "Did you mean 'gpu'?"
    assert did_you_mean("zebra", ["cpu", "gpu"]) == ""
    assert did_you_mean("gpu", []) == ""
