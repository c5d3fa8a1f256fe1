"""Two tables of card payments: four weeks to learn from, and the week after them to test on.

NIGHT (a date, for example 2026-04-13) is the night after the week of data/holdout; data/history holds the
28 days before that week. Each is a folder with a folder for each day. CUSTOMERS and SEED choose the town:
it makes about 2 payments a customer a day.
"""

import os
import sys
from datetime import date, timedelta
from pathlib import Path

from pyarrow import parquet
from transactions import World, days, make_world

HISTORY, HOLDOUT = timedelta(days=28), timedelta(days=7)


def main() -> None:
    text = os.environ.get("NIGHT", "2026-04-13")
    try:
        night = date.fromisoformat(text)
    except ValueError:
        sys.exit(f"NIGHT is {text!r}; it must be a date such as 2026-04-13.")
    world = make_world(int(os.environ.get("SEED", "0")), int(os.environ.get("CUSTOMERS", "5000")))
    week = night - HOLDOUT
    write(world, week - HISTORY, week, Path("data/history"))
    write(world, week, night, Path("data/holdout"))


def write(world: World, first: date, end: date, folder: Path) -> None:
    rows = frauds = 0
    for day, payments in days(world, first, end):
        place = folder / f"day={day}"
        place.mkdir(parents=True, exist_ok=True)
        parquet.write_table(payments, place / "payments.parquet")
        rows += len(payments)
        frauds += payments["fraud"].to_numpy().sum()
    last = end - timedelta(days=1)
    print(f"{folder.name}: {rows:,} payments, {first} to {last}, {frauds / rows:.2%} of them fraud")


if __name__ == "__main__":
    main()
