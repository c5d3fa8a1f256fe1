"""Data sets of other projects, as the file names them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ame.diagnosis import Refused
from ame.spec import Project, load_project

SHOP = """\
name: shop
tasks:
  - {name: fetch, executor: !pip {command: c}}
dataSets:
  - {name: prices, path: data/prices, task: {taskRef: fetch}}
  - {name: names, path: data/names.csv}
"""

Write = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes ame.yml files, by the names of their folders; what is run is run in `x`."""
    (tmp_path / "x").mkdir()
    monkeypatch.chdir(tmp_path / "x")

    def written(**files: str) -> None:
        for name, text in files.items():
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / "ame.yml").write_text(text)

    return written


def task(data_sets: str) -> str:
    return f"name: x\ntasks:\n  - {{name: t, dataSets: [{data_sets}], executor: !pip {{command: c}}}}\n"


def told(tmp_path: Path) -> list[str]:
    with pytest.raises(Refused) as refused:
        load_project(Path())
    return [str(each).replace(str(tmp_path), "TMP") for each in refused.value.diagnoses]


def place(project: Project, name: str) -> tuple[str, str]:
    owner, data_set = project.data_set(name)
    return owner.name, data_set.path


def test_of_a_task(write):
    write(shop=SHOP, x=task("shop.prices, shop.names, x.own") + "dataSets: [{name: own, path: own}]\n")

    project = load_project(Path())

    assert project.tasks["t"].data_sets == ("shop.prices", "shop.names", "own")
    assert project.borrowed == {"shop.prices": ("shop", "prices"), "shop.names": ("shop", "names")}
    assert place(project, "shop.prices") == ("shop", "data/prices")
    assert place(project, "own") == ("x", "own")


def test_of_a_comparison(write):
    write(
        shop=SHOP,
        x="name: x\nmodels: [{name: m, abTest: {data: {dataSet: shop.names}, training: {dataSet: shop.prices}, label: y}}]\n",
    )

    project = load_project(Path())

    ab_test = project.models["m"].ab_test
    assert (ab_test.data_set, ab_test.training_set) == ("shop.names", "shop.prices")
    assert place(project, ab_test.data_set) == ("shop", "data/names.csv")


def test_of_a_template_of_their_project(write):
    write(
        shop=SHOP + "templates: [{name: t, dataSets: [prices, x.own, far.d]}]\n",
        far="name: far\ndataSets: [{name: d, path: d}]\n",
        x="name: x\ntasks: [{name: t, fromTemplate: shop.t, executor: !pip {command: c}}]\n"
        "dataSets: [{name: own, path: own}, {name: prices, path: p}]\n",
    )

    project = load_project(Path())

    assert project.tasks["t"].data_sets == ("shop.prices", "own", "far.d")
    assert place(project, "far.d") == ("far", "d")
    assert set(project.others) == {"shop", "far"}


def test_one_that_is_not_there(write, tmp_path):
    write(shop=SHOP, x=task("shop.price"))

    assert told(tmp_path) == [
        (
            "AME-E102 ame.yml:3:26 task 't' refers to data set 'price' of project 'shop', which does not exist. Its data "
            "sets: prices, names. Did you mean 'prices'?"
        )
    ]


def test_one_with_the_name_of_our_own(write, tmp_path):
    write(
        shop=SHOP + "templates: [{name: t, dataSets: [prices]}]\n",
        x="name: x\ntasks: [{name: t, fromTemplate: shop.t, executor: !pip {command: c}}]\n"
        "dataSets: [{name: shop.prices, path: p}]\n",
    )

    [said] = told(tmp_path)

    assert "two data sets have the name 'shop.prices'. One is of project 'shop'. Rename one of them." in said


def test_a_circle_over_projects(write, tmp_path):
    write(
        shop=SHOP.replace("fetch, ex", "fetch, dataSets: [x.made], ex"),
        x=task("shop.prices") + "dataSets: [{name: made, path: made, task: {taskRef: t}}]\n",
    )

    assert told(tmp_path) == [
        (
            "AME-E127 TMP/shop/ame.yml:3:5 task 'shop.fetch' needs the data set 'x.made', which task 'x.t' makes, which "
            "waits for it. x.t -> shop.fetch -> x.t: each needs what the next one makes."
        )
    ]


def test_projects_that_need_each_other_without_a_circle(write):
    write(
        shop=SHOP.replace("fetch, ex", "fetch, dataSets: [x.raw], ex"),
        x=task("shop.prices") + "dataSets: [{name: raw, path: raw}]\n",
    )

    project = load_project(Path())

    assert project.others["shop"].others["x"] is project


@pytest.mark.parametrize("path", ["data/prices", "./data//prices/", "data", "data/prices/of/today"])
def test_two_in_one_place(write, tmp_path, path):
    write(shop=SHOP, x=task("shop.prices, own") + f"dataSets: [{{name: own, path: {path}}}]\n")

    [said] = told(tmp_path)

    assert said.startswith("AME-E144 ame.yml:3:5 the data sets '")
    assert "would stand in one place in the workspace of task 't'. Their paths are " in said
    assert "TMP/shop/ame.yml:5:5" in said


def test_what_a_task_makes_stands_in_no_place_of_another_project(write, tmp_path):
    made = "dataSets: [{name: own, path: data/prices, task: {taskRef: t}}]\n"
    write(shop=SHOP, x=task("shop.prices") + made)

    assert [each[:8] for each in told(tmp_path)] == ["AME-E144"]


def test_our_own_may_stand_in_each_other_and_not_in_one_place(write, tmp_path):
    own = "dataSets: [{name: a, path: a}, {name: b, path: a/b}, {name: c, path: a-c}, {name: d, path: a}]\n"
    write(x=task("a, b, c") + own)
    load_project(Path())
    write(x=task("a, b, c, d") + own)

    assert told(tmp_path) == [
        (
            "AME-E144 ame.yml:3:5 the data sets 'a' and 'd' would stand in one place in the workspace of task 't'. Their "
            "paths are a (ame.yml:4:12) and a (ame.yml:4:76). Give one of them another path."
        )
    ]
