"""Does the gate keep its promises? Simulated models whose truth is known, as markdown tables.

    python benchmarks/calibrate.py                    # 5,000 trials a scenario, ten minutes
    python benchmarks/calibrate.py --trials 500

The scenarios and what must hold of them are those of the tests (tests/gate/scenarios.py and promises.py).
Rates lie within bounds that a sound gate leaves once in 20,000 times on each side; a number outside of them
is printed in bold and named at the end, and the exit code is 1 then.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.gate.promises import promises
from tests.gate.scenarios import (
    BETTER,
    IGNORED,
    SCENARIOS,
    Bounds,
    Cell,
    Estimates,
    Scenario,
    power_cells,
    simulate,
    size_cells,
)

QUANTITIES = {
    "rejected": "Equal models called different, two-sided p < .05",
    "promoted": "Equal models whose one-sided lower bound is above 0, at alpha .05 where no other is named",
    "outside": "95 % intervals that do not hold the true difference",
    "error ratio": "Mean standard error over the standard deviation of the differences",
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=5000)
    trials = parser.parse_args().trials
    start = time.process_time()
    cells: dict[str, list[Cell]] = {}
    for name, scenario in SCENARIOS.items():
        cells[name] = list(size_cells(scenario, _told(name, scenario, trials)))
    told = _told("entities not named", IGNORED, trials)
    ignored = list(size_cells(IGNORED, told))
    least, most = Bounds(trials).of(0.05)
    print(f"T = {trials:,}; a rate that is truly .05 lies in [{least:.4f}, {most:.4f}].")
    for what, title in QUANTITIES.items():
        print(f"\n{title}\n")
        for task in ("binary", "multiclass", "regression"):
            rows = {name: _only(cells[name], what) for name in SCENARIOS if SCENARIOS[name].task == task}
            if task == "binary":
                # What naming the entity protects from: nothing here is held to a bound.
                rows["the same entities, not named"] = _only(ignored, what, judged=False)
            _table(
                max((scenario.names for scenario in SCENARIOS.values() if scenario.task == task), key=len),
                rows,
            )
    print(
        "\nA better challenger: how often it is found (two-sided p < .05), and Phi(D / SE - z) in brackets\n"
    )
    for name, scenario in BETTER.items():
        cells[name] = list(power_cells(_told(name, scenario, trials)))
        expected = {cell.metric: cell.expected for cell in cells[name] if cell.what == "power"}
        power = _only(cells[name], "power")
        _table(scenario.names, {name: {m: f"{power[m]} ({expected[m]:.3f})" for m in scenario.names}})
    print("\nFrom end to end\n")
    cells["from end to end"] = list(promises(trials))
    _promised(cells["from end to end"])
    out = [f"{name}, {cell}" for name, each in cells.items() for cell in each if not cell.holds]
    print(f"\n{sum(map(len, cells.values())):,} numbers, {len(out)} out of bounds.", *out, sep="\n")
    print(f"{time.process_time() - start:.0f} s", file=sys.stderr)
    return 1 if out else 0


def _told(name: str, scenario: Scenario, trials: int) -> dict[str, Estimates]:
    start = time.process_time()
    found = simulate(scenario, trials)
    print(f"{name}: {time.process_time() - start:.0f} s", file=sys.stderr)
    return found


def _only(cells: Iterable[Cell], what: str, *, judged: bool = True) -> dict[str, str]:
    return {
        cell.metric: f"{cell.value:.4f}" if cell.holds or not judged else f"**{cell.value:.4f}**"
        for cell in cells
        if cell.what == what
    }


def _table(names: Sequence[str], rows: Mapping[str, Mapping[str, str]]) -> None:
    print("| scenario |", " | ".join(names), "|")
    print("|---" * (len(names) + 1) + "|")
    for scenario, values in rows.items():
        print(f"| {scenario} |", " | ".join(values.get(name, "") for name in names), "|")
    print()


def _promised(cells: Iterable[Cell]) -> None:
    print("| models and data | share | found | allowed |\n|---|---|---|---|")
    for cell in cells:
        value = f"{cell.value:.4f}" if cell.holds else f"**{cell.value:.4f}**"
        print(f"| {cell.metric} | {cell.what} | {value} | {cell.least:.4f} to {cell.most:.4f} |")


if __name__ == "__main__":
    sys.exit(main())
