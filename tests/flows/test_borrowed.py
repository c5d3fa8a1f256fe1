"""Data sets of other projects in this process: made from the other folder, kept with this project's state."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

MARKET = """
name: market
tasks:
  - {name: fetch, dataSets: [mint.coins], executor: !custom {command: 'cat prefix coins/all > out; echo once >> $made'}}
  - name: fetch-in-steps
    pipeline:
      - {name: one, executor: !custom {command: 'mkdir -p steps && cp prefix steps/one'}}
      - {name: two, executor: !custom {command: 'cp steps/one steps/two'}}
dataSets:
  - {name: prices, path: out, task: {taskRef: fetch}}
  - {name: stepwise, path: steps, task: {taskRef: fetch-in-steps}}
  - {name: names, path: lists/names.csv}
"""
MINT = """
name: mint
tasks: [{name: make, executor: !custom {command: 'mkdir coins && echo gold > coins/all'}}]
dataSets: [{name: coins, path: coins, task: {taskRef: make}}]
"""
SHOP = """
name: shop
tasks:
  - name: sell
    dataSets: [market.prices, market.names, own]
    executor: !custom {command: 'cat out lists/names.csv own > $sold'}
  - name: own
    dataSets: [market.prices]
    executor: !custom {command: 'wc -c < out > own'}
  - name: stepwise
    dataSets: [market.stepwise]
    pipeline: [{name: look, dataSets: [market.names], executor: !custom {command: 'ls steps lists > $sold'}}]
dataSets: [{name: own, path: own, task: {taskRef: own}}]
"""


@dataclass(frozen=True)
class Street:
    """Three projects beside each other."""

    folder: Path

    @property
    def sold(self) -> str:
        return (self.folder / "sold").read_text()

    @property
    def made(self) -> int:
        """How often the market's prices were fetched."""
        file = self.folder / "made"
        return len(file.read_text().splitlines()) if file.exists() else 0

    def write(self, name: str, text: str) -> None:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(
            text.replace("$made", str(self.folder / "made")).replace("$sold", str(self.folder / "sold"))
        )

    def run(self, task: str) -> dict[str, Any]:
        from ame.cli.run import run_names
        from flows._work import open_work

        work = open_work(str(self.folder / "shop"))
        work.home.prepare()
        [report] = run_names(work, [("task", task)])
        return report


@pytest.fixture
def street(servers: None, tmp_path: Path) -> Street:
    made = Street(tmp_path)
    made.write("market/ame.yml", MARKET)
    made.write("market/prefix", "1 ")
    made.write("market/lists/names.csv", "a,b\n")
    made.write("mint/ame.yml", MINT)
    made.write("shop/ame.yml", SHOP)
    return made


def test_they_are_made_in_their_own_project_and_only_when_something_has_changed(street: Street) -> None:
    report = street.run("sell")

    assert not report["failed"], report["message"]
    assert street.sold.split() == ["1", "gold", "a,b", "7"]
    assert street.made == 1
    assert not (street.folder / "market" / ".ame").exists()
    assert not (street.folder / "mint" / ".ame").exists()

    assert not street.run("sell")["failed"]
    assert street.made == 1

    street.write("market/prefix", "22 ")
    assert not street.run("sell")["failed"]
    assert street.made == 2
    assert street.sold.split() == ["22", "gold", "a,b", "8"]

    # What their makers need of a third project counts too.
    street.write("mint/ame.yml", MINT.replace("gold", "silver"))
    assert not street.run("sell")["failed"]
    assert street.made == 3
    assert street.sold.split() == ["22", "silver", "a,b", "10"]

    street.write("market/lists/names.csv", "c\n")
    assert not street.run("sell")["failed"]
    assert street.sold.split()[2] == "c"


def test_pipelines_make_and_need_them(street: Street) -> None:
    report = street.run("stepwise")

    assert not report["failed"], report["message"]
    assert street.sold.split() == ["lists:", "names.csv", "steps:", "one", "two"]


def test_a_task_of_another_project_that_fails(street: Street) -> None:
    street.write("mint/ame.yml", MINT.replace("echo gold", "exit 3; echo gold"))

    report = street.run("sell")

    assert report["failed"]
    assert "AME-E207" in report["message"]
    assert "data set 'market.prices' could not be made." in report["message"]
    assert "data set 'mint.coins' could not be made." in report["message"]
    assert f"{street.folder / 'mint'}" in report["message"]


def test_files_of_another_project_that_are_not_there(street: Street) -> None:
    shutil.rmtree(street.folder / "market" / "lists")

    report = street.run("sell")

    assert report["failed"]
    assert "AME-E205" in report["message"]
    assert "data set 'names' is not there: lists/names.csv does not exist." in report["message"]


@pytest.mark.parametrize("task", ["sell", "stepwise"])
def test_they_replace_no_files_of_this_project(street: Street, task: str) -> None:
    street.write("shop/out", "mine")
    street.write("shop/steps", "mine")

    report = street.run(task)

    assert report["failed"]
    assert "AME-E214" in report["message"]
    assert "would stand where project 'shop' has files of its own" in report["message"]


def test_what_needs_none_of_them_asks_for_none(street: Street) -> None:
    from ame.runtime import borrowed_for, data_set_keys
    from ame.spec import load_project

    project = load_project(street.folder / "shop")

    assert borrowed_for(project, ["own"]) == {"market.prices"}
    assert borrowed_for(project, []) == set()
    assert data_set_keys(project, "s") == {}
    one, two = (data_set_keys(project, "s", {"market.prices": key})["own"] for key in ("k1", "k2"))
    assert one != two
