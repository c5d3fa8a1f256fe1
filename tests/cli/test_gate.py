"""`ame gate simulate FILE`: the options, the table, and that the same seed gives the same bytes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv
import pytest
from click.testing import CliRunner, Result

from ame.cli import cli
from ame.diagnosis import Refused
from ame.gate import ABTest
from ame.gate.simulate import simulate

NAMED = ["--label", "late", "--champion", "old", "--challenger", "new"]


def ame(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["gate", "simulate", *(str(argument) for argument in arguments)])


@pytest.fixture(scope="module")
def scores() -> pa.Table:
    draw = np.random.default_rng(4)
    late = draw.random(800) < 0.4
    shared = draw.normal(size=800)
    old, new = (1 / (1 + np.exp(-(late + shared + 0.5 * draw.normal(size=800) - 0.9))) for _ in range(2))
    return pa.table({"late": late, "old": old, "new": new, "champion": ["x"] * 800})


@pytest.fixture(scope="module")
def file(scores: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("scores") / "scores.csv"
    pcsv.write_csv(scores, made)
    return made


def test_it_is_the_simulation_of_the_gate_with_the_same_bytes_for_the_same_seed(
    file: Path, scores: pa.Table
) -> None:
    options = ["--trials", "6", "--seed", "3", "--effect", "0.05", "--rows", "500", "--json"]
    first, again = (ame(file, *NAMED, *options).stdout for _ in range(2))
    renamed = scores.select(["late", "old", "new"]).rename_columns(["late", "champion", "challenger"])
    expected = simulate(ABTest(label="late"), renamed, trials=6, seed=3, effects=[0.05], rows=500)
    assert first == again
    assert json.loads(first) == json.loads(json.dumps(expected.to_json()))


def test_the_table_sets_the_gate_beside_the_rule_of_random_halves(file: Path) -> None:
    result = ame(file, *NAMED, "--trials", "5", "--effect", "0.04")
    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert lines[0] == "ROC AUC on 800 rows like these, 5 drawn tests a line, one-sided alpha 0.05, seed 0"
    assert lines[2].split("  ")[0] == "true difference"
    assert [line.split()[0][:5] for line in lines[3:5]] == ["0", "+0.04"]
    assert all(line.count(" %") == 2 for line in lines[3:5])
    assert any(line.startswith("False promotions: ") for line in lines)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--trials", "0"], "AME-E530"),
        (["--rows", "1"], "AME-E530"),
        (["--champion", "olde"], "AME-E505"),
        (["--min-positives", "9999"], "AME-E530"),
        (["--design", "split", "--variant", "champion"], "AME-E530"),
    ],
)
def test_what_cannot_be_simulated_is_a_diagnosis(file: Path, options: list[str], code: str) -> None:
    result = ame(file, *NAMED, *options)
    assert isinstance(result.exception, Refused), result.output
    assert result.exception.diagnoses[0].code == code


@pytest.mark.parametrize(
    "arguments", [[], ["a", "b", "c"], ["m", "1", "--label", "y"], ["f.csv"], ["f.csv", "--seed", "-1"]]
)
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    assert ame(*arguments).exit_code == 2
