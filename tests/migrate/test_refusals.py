"""What `ame migrate` does not touch, and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from ame import migrate as room
from ame.diagnosis import Refused
from ame.migrate import migrate, walk
from ame.migrate.meaning import difference
from ame.spec import load_text

FILE = Path("/projects/x/ame.yml")

REFUSALS = [
    (
        "name: x\ntasks:\n  ? a\n  : {executor: !pip {command: c}}\n",
        (
            "AME-E730 ame.yml:2:1 this cannot be rewritten by itself: 'tasks' is a mapping of names, which is an older "
            "form. Write a list: `- name: ...`."
        ),
    ),
    (
        "name: x\ntasks: {<<: {a: {executor: !pip {command: c}}}}\n",
        (
            "AME-E730 ame.yml:2:1 this cannot be rewritten by itself: 'tasks' is a mapping of names, which is an older "
            "form. Write a list: `- name: ...`."
        ),
    ),
    (
        (
            "name: x\ntemplates: [{name: t, command: c}]\n"
            "tasks: [{name: a, fromTemplate: t}, {name: b, fromTemplate: t, executor: !uv {}}]\n"
        ),
        (
            "AME-E731 ame.yml is left as it is: rewritten, it would not be the same project. It would be refused: "
            "AME-E113 ame.yml:3:37 task 'b' has no command. Write `executor: !uv {command: ...}`. Write that part in "
            "today's form by hand."
        ),
    ),
    (
        "name: x\ntasks: [{name: a, projectid: &p x, executor: !pip {command: *p}}]\n",
        (
            "AME-E731 ame.yml is left as it is: rewritten, it would not be the same project. It would not be YAML: the "
            "alias *p refers to no anchor above it. Write that part in today's form by hand."
        ),
    ),
    (
        "name: x\ntasks:\n- name: a\n  ? runcommand\n  : c\n",
        "AME-E730 ame.yml:4:5 this cannot be rewritten by itself: task 'a' gives its command in an older form. ",
    ),
    ("name: x\ntasks: [{name: a}]\n", "AME-E113 ame.yml:2:9 task 'a' has no command. "),
]


@pytest.mark.parametrize(("text", "said"), REFUSALS)
def test_what_cannot_be_rewritten_is_refused(tmp_path, monkeypatch, text, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Refused) as refused:
        migrate(text, tmp_path / "ame.yml", auto="custom")

    assert str(refused.value).startswith(said)


def test_a_rewriting_that_changes_the_project_is_refused(monkeypatch):
    monkeypatch.setattr(walk, "DATED", {**walk.DATED, ("model", "validationTask"): ()})
    text = (
        "name: x\ntasks: [{name: t, executor: !pip {command: c}}]\n"
        "models: [{name: m, promotion: {strategy: never}, validationTask: {taskRef: t}}]\n"
    )
    with pytest.raises(Refused, match=r"AME-E731 .* models\.m.validation would differ"):
        migrate(text, FILE, auto="custom")


def test_the_first_difference_of_two_projects_is_named():
    one, other = (load_text(f"name: x\ntasks: [{{name: {name}, command: c}}]\n", FILE) for name in "ab")

    assert difference(one, other, auto="pip") == "tasks"
    assert difference(one, one, auto="pip") == ""


@pytest.mark.parametrize("wrong", ["!pip\ntasks: []\nname: x\n", "name: x\n!what\nexecutor: {}\n", "a: [\n"])
def test_no_other_text_is_repaired(wrong):
    with pytest.raises(Refused) as refused:
        migrate(wrong, FILE, auto="custom")

    with pytest.raises(Refused) as loaded:
        load_text(wrong, FILE)
    assert str(refused.value) == str(loaded.value)


def test_no_walk_without_an_end(monkeypatch):
    monkeypatch.setattr(room, "applied", lambda tree, _: tree.text)
    with pytest.raises(Refused, match="AME-E730"):
        migrate("project: x\n", FILE, auto="custom")
