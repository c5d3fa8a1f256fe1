"""Templates of other projects: where they are looked for, what is read of them, and what is said of it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ame.diagnosis import Refused
from ame.spec import Fetched, NotFetchedError, Others, load_project, peek

SHARED = "name: shared\ntemplates: [{name: gpu, resources: {nvidia.com/gpu: 1}}]\n"
USER = "name: x\ntasks:\n  - {name: train, fromTemplate: shared.gpu, executor: !pip {command: c}}\n"

Tell = Callable[..., list[str]]


def write(folder: Path, text: str, name: str = "ame.yml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that builds on a template of `shared`, in the folder in which all is run."""
    folder = write(tmp_path / "side" / "x", USER)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def told(tmp_path: Path) -> Tell:
    """What is said of the project here, in which TMP stands for the test's folder."""

    def tell(others: Others | None = None) -> list[str]:
        try:
            diagnoses = load_project(Path(), others or Others()).warnings
        except Refused as refused:
            diagnoses = refused.diagnoses
        return [str(each).replace(str(tmp_path), "TMP") for each in diagnoses]

    return tell


def gpus(others: Others | None = None) -> str | None:
    return load_project(Path(), others or Others()).tasks["train"].resources.extended.get("nvidia.com/gpu")


@pytest.mark.parametrize("reference", ["shared.gpu", "{name: gpu, project: shared}"])
@pytest.mark.parametrize("file", ["ame.yml", "ame.yaml"])
def test_a_project_beside_this_one(here, reference, file):
    write(here.parent / "anything", SHARED, file)
    write(here, USER.replace("shared.gpu", reference))

    project = load_project(Path())

    assert gpus() == "1"
    assert list(project.others) == ["shared"]
    assert project.others["shared"].folder == here.parent / "anything"


@pytest.mark.parametrize("place", [".", "shared"])
def test_a_project_in_a_folder_that_is_named(here, tmp_path, place):
    write(tmp_path / "far" / "shared", SHARED)

    assert gpus(Others(places=(tmp_path / "far" / place,))) == "1"


@pytest.mark.parametrize("path", ["../../far", "TMP/far", "../../far/"])
def test_a_project_that_the_file_tells_of(here, tmp_path, path):
    write(tmp_path / "far", SHARED)
    write(here, f"{USER}projects: {{shared: {{path: {path.replace('TMP', str(tmp_path))}}}}}\n")

    assert gpus() == "1"


def test_what_the_file_says_comes_first_and_what_stands_beside_it_last(here, tmp_path):
    def with_gpus(count: int) -> str:
        return SHARED.replace("gpu: 1", f"gpu: {count}")

    write(here.parent / "shared", with_gpus(3))
    assert gpus() == "3"
    write(tmp_path / "named", with_gpus(2))
    assert gpus(Others(places=(tmp_path / "named",))) == "2"
    write(tmp_path / "told", with_gpus(1))
    write(here, f"{USER}projects: {{shared: {{path: ../../told}}}}\n")
    assert gpus(Others(places=(tmp_path / "named",))) == "1"


def test_where_only_some_places_count(here, tmp_path, told):
    write(here, f"{USER}projects: {{shared: {{path: ../shared}}}}\n")
    write(here.parent / "shared", SHARED)
    kept = Others(places=(tmp_path / "kept",), only=True)

    assert told(kept) == [
        (
            "AME-E141 ame.yml:3:33 task 'train' refers to template 'gpu' of project 'shared', which is not found. Looked "
            "in TMP/kept (no such folder). Say under `projects` where it is, or name its folder with `--project-path`."
        )
    ]
    write(tmp_path / "kept" / "shared", SHARED)
    assert gpus(kept) == "1"


def test_a_chain_of_templates_over_three_projects(here):
    write(
        here.parent / "a",
        "name: shared\ntemplates: [{name: gpu, fromTemplate: base.b, env: [{key: A, val: a}]}]",
    )
    write(
        here.parent / "b",
        "name: base\ntemplates: [{name: b, retries: 3, env: [{key: A, val: b}, {key: B, val: b}]}]",
    )

    project = load_project(Path())

    train = project.tasks["train"]
    assert (train.retries, train.env) == (3, {"A": "a", "B": "b"})
    assert list(project.others) == ["shared"]
    assert list(project.needed) == ["shared", "base"]


def test_names_with_dots(here):
    write(here, USER.replace("shared.gpu", "team.shared.large.gpu"))
    write(here.parent / "a", "name: team.shared\ntemplates: [{name: large.gpu, retries: 1}]")
    write(here.parent / "b", "name: team\ntemplates: [{name: shared.large.gpu, retries: 2}]")

    assert load_project(Path()).tasks["train"].retries == 1


def test_projects_that_use_templates_of_each_other(here):
    write(here, USER + "templates: [{name: small, retries: 4}]\n")
    write(
        here.parent / "shared",
        "name: shared\ntemplates: [{name: gpu, retries: 5}]\n"
        "tasks: [{name: t, fromTemplate: x.small, executor: !pip {command: c}}]\n",
    )

    project = load_project(Path())

    assert project.tasks["train"].retries == 5
    assert project.others["shared"].tasks["t"].retries == 4
    assert project.others["shared"].others["x"] is project


def test_templates_in_a_circle_over_projects(here, told):
    write(here, USER + "templates: [{name: a, fromTemplate: shared.gpu}]\n")
    write(here.parent / "shared", "name: shared\ntemplates: [{name: gpu, fromTemplate: x.a}]\n")

    assert told() == [
        (
            "AME-E126 TMP/side/shared/ame.yml:2:39 template 'gpu' builds on itself. x.a -> shared.gpu -> x.a. It is "
            "needed at ame.yml:4:37, by template 'a'."
        )
    ]


def test_a_long_way_between_two_projects(here):
    steps = [f"{{name: t{i}, fromTemplate: shared.t{i + 1}}}" for i in range(0, 3000, 2)]
    back = [f"{{name: t{i}, fromTemplate: x.t{i + 1}}}" for i in range(1, 3000, 2)]
    end = "{name: t3000, retries: 7}"
    write(here, USER.replace("shared.gpu", "t0") + f"templates: [{', '.join([*steps, end])}]\n")
    write(here.parent / "shared", f"name: shared\ntemplates: [{', '.join(back)}]\n")

    assert load_project(Path()).tasks["train"].retries == 7


def test_a_project_that_is_nowhere(here, tmp_path, told):
    write(here.parent / "a", "name: shred\n")
    write(tmp_path / "far" / "b", "name: other\n")
    write(here, USER + "projects: {third: {path: ..}}\n")

    assert told(Others(places=(tmp_path / "far", tmp_path / "none"))) == [
        (
            "AME-E141 ame.yml:3:33 task 'train' refers to template 'gpu' of project 'shared', which is not found. Looked "
            "under 'projects' of its file (third), in TMP/far (other), in TMP/none (no such folder), beside its folder "
            "(shred). Did you mean 'shred'?"
        )
    ]


def test_a_template_that_another_project_does_not_have(here, told):
    write(here.parent / "shared", SHARED.replace("gpu,", "gpus,"))

    assert told() == [
        (
            "AME-E102 ame.yml:3:33 task 'train' refers to template 'gpu' of project 'shared', which does not exist. Its "
            "templates: gpus. Did you mean 'gpus'?"
        )
    ]
    write(here.parent / "shared", "name: shared\n")
    assert told() == [
        (
            "AME-E102 ame.yml:3:33 task 'train' refers to template 'gpu' of project 'shared', which does not exist. "
            "TMP/side/shared/ame.yml has no templates."
        )
    ]


def test_two_projects_of_one_name(here, told):
    write(here.parent / "a", SHARED)
    write(here.parent / "b", SHARED)

    assert told() == [
        (
            "AME-E142 ame.yml:3:33 task 'train' refers to template 'gpu' of project 'shared', and there are 2 of that "
            "name. They are in TMP/side/a and TMP/side/b. Say under `projects` which one is meant."
        )
    ]
    write(here, USER + "projects: {shared: {path: ../b}}\n")
    assert told() == []


def test_one_project_by_two_ways(here):
    write(here.parent / "a", SHARED)
    (here.parent / "b").symlink_to("a")

    assert gpus() == "1"


def test_two_projects_that_mean_different_ones_by_a_name(here, tmp_path, told):
    write(
        here,
        USER + "projects: {base: {path: ../../other}}\n" + "templates: [{name: t, fromTemplate: base.b}]\n",
    )
    write(tmp_path / "other", "name: base\ntemplates: [{name: b}]\n")
    write(here.parent / "base", "name: base\ntemplates: [{name: b}]\n")
    write(here.parent / "shared", "name: shared\ntemplates: [{name: gpu, fromTemplate: base.b}]\n")

    assert told() == [
        (
            "AME-E142 TMP/side/shared/ame.yml:2:39 template 'gpu' refers to template 'b' of project 'base', and there are "
            "2 of that name. They are in TMP/other and TMP/side/base. It is needed at "
            "ame.yml:3:33, by task 'train'. Say under `projects` which one is meant."
        )
    ]


def test_what_is_wrong_in_the_file_of_another_project_is_told_with_both_places(here, told):
    write(here.parent / "shared", SHARED.replace("nvidia.com/gpu: 1", "cpu: lots"))

    said = told()

    assert len(said) == 1
    assert said[0].startswith(
        "AME-E118 TMP/side/shared/ame.yml:2:42 'cpu' of 'resources' of template 'gpu' is 'lots'."
    )
    assert "It is needed at ame.yml:3:33, by task 'train'." in said[0]


def test_what_a_task_and_its_template_make_together_is_told_with_both_places(here, told):
    write(
        here.parent / "shared", "name: shared\ntemplates: [{name: gpu, resources: {gpuProduct: NVIDIA-L4}}]\n"
    )

    assert told() == [
        (
            "AME-E132 TMP/side/shared/ame.yml:2:37 'gpuProduct' of task 'train' chooses the kind of a GPU, and none is "
            "asked for. Task 'train' at ame.yml:3:5 takes it from there. Add the GPU, such as `nvidia.com/gpu: 1`, or "
            "leave 'gpuProduct' out."
        )
    ]


def test_a_file_that_cannot_be_read_is_told_where_it_is_needed(here, told):
    write(here.parent / "shared", "name: shared\n\ttemplates: x\n")

    said = told()

    assert len(said) == 1
    assert said[0].startswith("AME-E105 TMP/side/shared/ame.yml:2:1 ")
    assert "It is needed at ame.yml:3:33, by task 'train'." in said[0]


def test_a_broken_file_that_nobody_needs_is_nobodys_business(here):
    write(here.parent / "shared", SHARED)
    write(here.parent / "broken", "name: broken\n\t- : {{{\n")
    write(here.parent / "both", "name: both\n")
    write(here.parent / "both", "name: both\n", "ame.yaml")
    write(here.parent / "binary", "name: \0\n")
    (here.parent / "list").mkdir()
    os.mkfifo(here.parent / "list" / "ame.yml")
    (here.parent / "loop").symlink_to("loop")
    (here.parent / "file").write_text("name: shared\n")

    assert gpus() == "1"


def test_without_a_reference_to_another_project_nothing_is_looked_at(here, monkeypatch):
    write(
        here,
        "name: x\ntasks: [{name: train, fromTemplate: x.t, executor: !pip {command: c}}]\ntemplates: [{name: t}]",
    )
    monkeypatch.setattr(os, "scandir", None)

    assert load_project(Path()).others == {}


def test_only_so_many_folders_are_looked_into(here, monkeypatch, told):
    write(here.parent / "z", SHARED)
    for number in range(5):
        write(here.parent / f"a{number}", f"name: a{number}\n")
    assert gpus() == "1"

    monkeypatch.setattr(peek, "MOST_FOLDERS", 3)

    assert "beside its folder (a0, a1, a2)" in told()[0]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("name: a.b-c_1\n", "a.b-c_1"),
        ("# the name\n\nname:   a   # of it\n", "a"),
        ("\ufeffname: a", "a"),
        ("'name': 'a b'\n", "a b"),
        ('"name": "a"\r\n', "a"),
        ("projectid: old\n", "old"),
        ("projectName: old\n", "old"),
        ("{name: a, tasks: []}", "a"),
        ("tasks:\n- name: t\n  name: u\nname: a\n", "a"),
        ("name:\n", None),
        ("name: [a]\n", None),
        ("named: a\n", None),
        ("- name: a\n", None),
        ("", None),
        ("x: y\n" * 20_000 + "name: a\n", None),
    ],
)
def test_the_name_of_a_project_without_reading_its_file(tmp_path, text, name):
    write(tmp_path, text)

    assert peek.name_in(tmp_path) == name


def test_where_the_file_says_there_is_no_project(here, told):
    write(here, USER + "projects: {shared: {path: ../none}}\n")
    assert told() == [
        "AME-E143 ame.yml:4:12 'projects' says that 'shared' is in ../none, where there is no folder."
    ]
    write(here.parent / "none", "name: another\n")
    assert told() == [
        (
            "AME-E143 ame.yml:4:12 the project in TMP/side/none is not 'shared'. Its file says that its name is 'another'. "
            "Write that name, here and where it is referred to."
        )
    ]
    (here.parent / "none" / "ame.yml").unlink()
    assert told() == [
        (
            "AME-E101 TMP/side/none this folder holds neither ame.yml nor ame.yaml. It is needed at ame.yml:3:33, by task "
            "'train'. Name the folder of a project, or begin one with an ame.yml of one line: `name: my-project`."
        )
    ]


def test_a_repository(here, tmp_path, told):
    write(here, USER + "projects:\n  shared: {git: 'https://host/team/r.git', reference: v1, folder: a/b}\n")
    asked = []

    def fetch(source):
        asked.append(source)
        return Fetched(tmp_path / "fetched", "0123456789abcdef")

    write(tmp_path / "fetched" / "a" / "b", SHARED)
    assert gpus(Others(fetch=fetch)) == "1"
    assert asked == [("https://host/team/r.git", "v1")]
    assert told() == [
        (
            "AME-E143 ame.yml:5:3 project 'shared' cannot be fetched from https://host/team/r.git at v1. Nothing fetches "
            "repositories here."
        )
    ]


def test_beside_the_topmost_folder_of_a_repository_is_nothing(here, tmp_path, told):
    write(here, USER + "projects: {shared: {git: /r}}\n")
    write(tmp_path / "cache" / "commit", "name: shared\ntemplates: [{name: gpu, fromTemplate: base.b}]\n")
    write(tmp_path / "cache" / "other", "name: base\ntemplates: [{name: b}]\n")

    said = told(Others(fetch=lambda _: Fetched(tmp_path / "cache" / "commit", "0" * 40)))

    assert said == [
        (
            "AME-E141 TMP/cache/commit/ame.yml:2:39 template 'gpu' refers to template 'b' of project 'base', which is not "
            "found. Looked under 'projects' of its file (nothing). It is needed at ame.yml:3:33, by task 'train'. Say "
            "under `projects` where it is, or name its folder with `--project-path`."
        )
    ]


def test_a_repository_that_does_not_answer(here, tmp_path, told):
    write(here, USER + "projects: {shared: {git: /r, folder: gone}}\n")

    def fail(_source):
        raise NotFetchedError("It did not answer.", "Try again.")

    assert told(Others(fetch=fail)) == [
        "AME-E143 ame.yml:4:12 project 'shared' cannot be fetched from /r. It did not answer. Try again."
    ]
    write(tmp_path / "old", SHARED)
    stale = Others(fetch=lambda _: Fetched(tmp_path / "old", "0123456789abcdef", "It was fetched long ago."))
    assert told(stale) == [
        "AME-E143 ame.yml:4:12 the repository of project 'shared' has no folder gone. This is /r."
    ]
    write(here, USER + "projects: {shared: {git: /r}}\n")
    assert told(stale) == [
        "AME-W106 ame.yml:4:12 project 'shared' is read as it was at commit 0123456789ab. It was fetched long ago."
    ]
