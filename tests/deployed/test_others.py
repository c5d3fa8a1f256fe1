"""Two projects deployed to process pools, one of which needs a template and data sets of the other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.deployed.conftest import Site

STALL = """
    name: $project
    tasks:
      - {name: sell, fromTemplate: market.careful, executor: !custom {command: 'cat prices names > $sold; echo $MODE >> $sold'}}
    """
MARKET = """
    name: $project
    templates: [{name: careful, env: [{key: MODE, val: slow}], dataSets: [prices, names]}]
    tasks: [{name: fetch, executor: !custom {command: 'cat prefix > prices'}}]
    dataSets:
      - {name: prices, path: prices, task: {taskRef: fetch}}
      - {name: names, path: names}
    """


@pytest.fixture(scope="module")
def stall(site: Site) -> Site:
    made = replace(site, folder=site.folder / "street", project="stall")
    made.write("ame.yml", STALL.replace("$sold", str(made.folder / "sold")))
    return made


@pytest.fixture(scope="module")
def market(stall: Site) -> Site:
    made = replace(stall, project="market")
    made.write("ame.yml", MARKET)
    made.write("prefix", "1\n")
    made.write("names", "a\n")
    return made


def test_each_is_deployed_alone_and_runs_as_it_was_deployed(stall: Site, market: Site) -> None:
    stall.run("ame", "compile", "stall", "--target", "process")
    stall.run("prefect", "--no-prompt", "deploy", "--all")

    alone = stall.ended(stall.start("run-task/stall.sell"))

    assert alone["state_name"] == "Failed"
    assert "AME-E725" in alone["state"]["message"]
    assert (
        "data set 'market.prices' has no deployment on the server that makes it." in alone["state"]["message"]
    )

    market.run("ame", "compile", "market", "--target", "process", "-o", "market.yaml")
    market.run("prefect", "--no-prompt", "deploy", "--all", "--prefect-file", "market.yaml")
    # What is deployed needs no folder any more.
    (market.folder / "market").rename(market.folder / ".gone")

    both = stall.ended(stall.start("run-task/stall.sell"))

    assert both["state_name"] == "Completed", both["state"]["message"]
    assert (stall.folder / "sold").read_text() == "1\na\nslow\n"
    [made] = market.runs("produce-data-set/market.prices")
    assert made["state_name"] == "Completed"

    again = stall.ended(stall.start("run-task/stall.sell"))

    assert again["state_name"] == "Completed"
    assert len(market.runs("produce-data-set/market.prices")) == 1
