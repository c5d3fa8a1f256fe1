"""What the gate promises from end to end, as shares of many simulated tests."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
from scipy.special import ndtr, ndtri

from ame.gate import ABTest, LedgerUse, Margin, run_ab_test
from ame.gate.epochs import Epoch, Look
from ame.gate.looks import next_look, place_of, to_look
from ame.gate.result import Decision
from ame.gate.training import compare_with_training
from tests.gate.scenarios import Bounds, Cell, Scenario, draw_rows, simulate

GATE = ABTest(
    label="label",
    primary=Margin("roc_auc"),
    guardrails=(Margin("log_loss", 0.01),),
    threshold=0.3,
    alpha=0.05,
)
NIGHTS = 30

Test = Callable[[np.random.Generator], Decision]


def shares(test: Test, trials: int, seed: int = 4) -> dict[str, float]:
    draw = np.random.default_rng(seed)
    found = Counter(test(draw) for _ in range(trials))
    return {
        decision: found[decision] / trials for decision in ("promote", "reject", "inconclusive", "invalid")
    }


def of(config: ABTest, scenario: Scenario) -> Test:
    return lambda draw: run_ab_test(config, draw_rows(draw, scenario).table()).decision


def on_losses() -> ABTest:
    return replace(GATE, primary=Margin("log_loss"), guardrails=(Margin("brier", 0.01),))


def equal(trials: int) -> Cell:
    share = shares(of(replace(GATE, guardrails=()), Scenario()), trials)["promote"]
    return Cell("equal models", "promoted", share, 0.0, Bounds(trials).of(GATE.alpha)[1])


def equal_losses(trials: int) -> Cell:
    share = shares(of(on_losses(), Scenario()), trials)["promote"]
    return Cell("equal models, by their loss", "promoted", share, 0.0, Bounds(trials).of(GATE.alpha)[1])


def equal_entities(trials: int) -> Cell:
    config = replace(GATE, entity="entity", guardrails=())
    share = shares(of(config, Scenario(entities=100)), trials)["promote"]
    return Cell("equal models, rows in entities", "promoted", share, 0.0, Bounds(trials).of(GATE.alpha)[1])


def worse(trials: int) -> Cell:
    share = shares(of(GATE, Scenario(gain=-0.15)), trials)["promote"]
    return Cell("a worse challenger", "promoted", share, 0.0, 0.0)


def worse_losses(trials: int) -> Cell:
    share = shares(of(on_losses(), Scenario(gain=-0.15)), trials)["promote"]
    return Cell("a worse challenger, by its loss", "promoted", share, 0.0, 0.0)


def better(trials: int) -> Cell:
    """Twice the detectable effect is found by all but one in two thousand."""
    mde = 2.4864749 * float(simulate(Scenario(metrics=("roc_auc",)), 50)["roc_auc"].std_error.mean())
    gain = float(np.sqrt(2) * ndtri(ndtr(1 / np.sqrt(2)) + 2 * mde)) - 1
    share = shares(of(GATE, Scenario(gain=gain)), trials)["promote"]
    return Cell("better by twice the detectable effect", "promoted", share, 0.95, 1.0)


def better_losses(trials: int) -> Cell:
    share = shares(of(on_losses(), Scenario(gain=0.25)), trials)["promote"]
    return Cell("a better challenger, by its loss", "promoted", share, 0.95, 1.0)


def harmed_slice(trials: int) -> Cell:
    """Better for all but one of five values, in which it is worse."""
    config = replace(GATE, slices=("origin",))

    def test(draw: np.random.Generator) -> Decision:
        gained = draw_rows(draw, Scenario(rows=4800, gain=0.3))
        lost = draw_rows(draw, Scenario(rows=1200, gain=-0.5))
        origin = pa.array([*np.repeat(["A", "B", "C", "D"], 1200), *["E"] * 1200])
        rows = pa.concat_tables([gained.table(), lost.table()]).append_column("origin", origin)
        return run_ab_test(config, rows).decision

    return Cell("one slice of five harmed", "rejected", shares(test, trials)["reject"], 0.95, 1.0)


def leaked_rows(trials: int) -> Cell:
    """One row in a hundred was trained on."""
    config = replace(GATE, row="row")

    def test(draw: np.random.Generator) -> Decision:
        rows = draw_rows(draw, Scenario(rows=1000, gain=0.3))
        holdout = rows.table(row=np.arange(1000), x=draw.normal(size=1000))
        features = holdout.select(["label", "row", "x"])
        others = pa.table(
            {
                "label": draw.random(2000) < 0.3,
                "row": np.arange(5000, 7000),
                "x": draw.normal(size=2000),
            }
        )
        seen = features.take(pa.array(draw.choice(1000, 10, replace=False)))
        training = compare_with_training(config, features, pa.concat_tables([others, seen]))
        return run_ab_test(config, holdout, training=training).decision

    return Cell("leaked rows", "invalid", shares(test, trials)["invalid"], 1.0, 1.0)


def wrong_ratio(trials: int) -> Cell:
    """Half of the traffic was promised to the challenger, which got 46 % of it."""
    config = ABTest(label="label", design="split", share=0.5)

    def test(draw: np.random.Generator) -> Decision:
        arm = np.where(draw.random(10_000) < 0.46, "challenger", "champion")
        rows = {"label": draw.random(10_000) < 0.3, "score": draw.random(10_000), "variant": arm}
        return run_ab_test(config, pa.table(rows)).decision

    return Cell(
        "split with another ratio than promised", "invalid", shares(test, trials)["invalid"], 1.0, 1.0
    )


def equal_slices(trials: int) -> Cell:
    """Ten slices of equal models, in none of which harm may be shown more often than at alpha in all."""
    config = replace(GATE, slices=("origin",), guardrails=())
    origin = np.repeat(list("ABCDEFGHIJ"), 400)

    def harmed(draw: np.random.Generator) -> bool:
        rows = draw_rows(draw, Scenario(rows=4000)).table(origin=origin)
        return any(each.harmed for each in run_ab_test(config, rows).slices)

    draw = np.random.default_rng(10)
    share = sum(harmed(draw) for _ in range(trials)) / trials
    return Cell("ten slices of equal models", "any harmed", share, 0.0, Bounds(trials).of(GATE.alpha)[1])


def thirty_nights(trials: int) -> Cell:
    """A challenger a night that is no better, all on one holdout and under one ledger."""
    draw = np.random.default_rng(30)
    promoted = sum(_any_promotion(draw) for _ in range(trials)) / trials
    most = Bounds(trials).of(GATE.alpha)[1]
    return Cell(f"{NIGHTS} equal challengers on one holdout", "any promoted", promoted, 0.0, most)


def _any_promotion(draw: np.random.Generator) -> bool:
    config = ABTest(label="label", task="regression", row="row", looks=NIGHTS)
    book = Book()
    n = 300
    known = draw.normal(size=n)
    rows = {
        "label": known + draw.normal(size=n),
        "champion": known + 0.5 * draw.normal(size=n),
        "row": np.arange(n),
    }
    for _ in range(NIGHTS):
        challenger = known + 0.5 * draw.normal(size=n)
        if (
            run_ab_test(config, pa.table({**rows, "challenger": challenger}), ledger=book).decision
            == "promote"
        ):
            return True
    return False


class Book:
    """A ledger in memory."""

    def __init__(self) -> None:
        self.epochs: list[Epoch] = []
        self._days = itertools.count(1)

    def spend(self, config: ABTest, sketch: tuple[int, ...], rows: int) -> LedgerUse:
        use = next_look(config, sketch, self.epochs, holdout="nights")
        number, _ = place_of(use)
        known = self.epochs[number - 1].looks if number <= len(self.epochs) else ()
        at = f"2026-11-{next(self._days):02d}T03:00:00Z"
        look = to_look(use, sketch, self.epochs, Look(key="", holdout="nights", holder="", at=at, rows=rows))
        self.epochs[number - 1 :] = [Epoch(number=number, looks=(*known, look)), *self.epochs[number:]]
        return use

    def ended(self, use: LedgerUse, decision: Decision) -> None:
        number, place = place_of(use)
        self.epochs[number - 1] = self.epochs[number - 1].with_decision(place, decision)


#: Every promise; `DEAR` are those whose one trial takes several tests, or a larger one.
PROMISES = (equal, equal_entities, equal_losses, worse, worse_losses, better, better_losses)
DEAR = (harmed_slice, equal_slices, leaked_rows, wrong_ratio, thirty_nights)


def promises(trials: int) -> Iterator[Cell]:
    """Each of `PROMISES` over so many tests, and each of `DEAR` over a fifth of that."""
    for promise in PROMISES:
        yield promise(trials)
    for promise in DEAR:
        yield promise(max(60, trials // 5))
