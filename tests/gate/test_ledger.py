"""No look at a holdout is spent twice, whoever asks, and all looks together promote by chance alpha at most."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import bdtrc, ndtri

from ame.diagnosis import Refused
from ame.gate import keys
from ame.gate.config import ABTest
from ame.gate.epochs import SKETCH, Epoch, Look, Rows
from ame.gate.ledger import (
    Exhausted,
    FileLedger,
    Ledger,
    alpha_of,
    next_look,
    same_holdout,
    standing,
)
from ame.gate.looks import SEEN, place_of, to_look
from ame.gate.result import Decision, LedgerUse

OPEN = ABTest(label="y")
THIRTY = ABTest(label="y", looks=30)
#: Not forked from here, where threads of other tests may hold locks.
CONTEXT = multiprocessing.get_context("forkserver")
AT = "2026-11-{:02d}T03:00:00Z"
KILLS = 20


def hashes_of(rows: range) -> np.ndarray:
    """One 64-bit hash for each row number, as `hash64` would spread them (splitmix64)."""
    mixed = np.arange(rows.start + 1, rows.stop + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))


def sketch_of(*rows: range) -> tuple[int, ...]:
    hashes = np.concatenate([hashes_of(each) for each in rows])
    return tuple(np.sort(np.partition(hashes, min(SKETCH, hashes.size) - 1)[:SKETCH]).tolist())


A = sketch_of(range(100_000))


class Notes:
    """A ledger in memory: what `next_look` gives is written down."""

    def __init__(self) -> None:
        self.epochs: list[Epoch] = []
        self.days = itertools.count(1)

    def spend(
        self, config: ABTest, sketch: Sequence[int] = A, *, key: str = "", holdout: str = "flights"
    ) -> LedgerUse:
        use = next_look(config, sketch, self.epochs, key=key, holdout=holdout)
        number, place = place_of(use)
        known = self.epochs[number - 1].looks if number <= len(self.epochs) else ()
        if place > len(known):
            told = Look(key=key, holdout=holdout, holder="me", at=AT.format(next(self.days)), rows=100_000)
            look = to_look(use, sketch, self.epochs, told)
            self.epochs[number - 1 :] = [Epoch(number=number, looks=(*known, look)), *self.epochs[number:]]
        return use

    def ended(self, use: LedgerUse, decision: Decision) -> None:
        number, place = place_of(use)
        self.epochs[number - 1] = self.epochs[number - 1].with_decision(place, decision)


def refusal(spend: Callable[[], object]) -> str:
    with pytest.raises(Exhausted) as exhausted:
        spend()
    use = exhausted.value.use
    assert (use.look, use.alpha, use.note) == (0, 0.0, str(exhausted.value))
    return use.note


# What a look may spend.


def test_alpha_is_shared_out_and_never_more_than_all_of_it() -> None:
    assert [alpha_of(0.06, k, 3) for k in (1, 2, 3, 4)] == [0.02, 0.02, 0.02, 0.0]
    assert [alpha_of(0.06, k, None) for k in (1, 2, 3)] == [0.03, 0.01, 0.005]
    for n in (1, 7, 365, 100_000):
        # Telescoping: the sum of 1 / (k (k + 1)) to n is 1 - 1 / (n + 1).
        assert math.fsum(alpha_of(1.0, k, None) for k in range(1, n + 1)) == pytest.approx(1 - 1 / (n + 1))
        assert math.fsum(alpha_of(0.05, k, n) for k in range(1, n + 2)) == pytest.approx(0.05)


def test_looks_are_counted_by_the_rows_and_said_in_a_sentence() -> None:
    notes = Notes()
    uses = [notes.spend(THIRTY) for _ in range(3)]
    assert [use.look for use in uses] == [1, 2, 3]
    assert uses[2] == LedgerUse(
        look=3,
        looks=30,
        alpha=0.05 / 30,
        total=0.05,
        holdout="flights#1",
        note="Look 3 of 30 at this holdout, with alpha 0.00167 of 0.05.",
    )
    assert notes.spend(OPEN, sketch_of(range(200_000, 300_000))).note == (
        "Look 1 at this holdout, with alpha 0.025 of 0.05."
    )
    assert [len(epoch.looks) for epoch in notes.epochs] == [3, 1]


def test_the_last_planned_look_and_a_promotion_end_the_use_of_a_holdout() -> None:
    notes = Notes()
    twice = ABTest(label="y", looks=2)
    for _ in range(2):
        notes.ended(notes.spend(twice), "inconclusive")
    assert refusal(lambda: notes.spend(twice)) == (
        "All 2 looks at this holdout are spent. 100 % of its rows were tested on then. Replace it with rows newer "
        "than 2026-11-02T03:00:00Z; it was tested on 2 times."
    )
    notes = Notes()
    notes.spend(THIRTY)
    notes.ended(notes.spend(THIRTY), "promote")
    assert refusal(lambda: notes.spend(OPEN, sketch_of(range(50_000, 150_000)), holdout="another name")) == (
        "Look 2 at this holdout promoted a model, which ended its use. 50 % of its rows were tested on then. "
        "Replace it with rows newer than 2026-11-02T03:00:00Z; it was tested on 2 times."
    )
    assert notes.spend(THIRTY, sketch_of(range(100_000, 200_000))).holdout == "flights#2"


def test_a_look_is_given_back_to_the_decision_that_it_was_spent_for() -> None:
    notes = Notes()
    notes.spend(THIRTY, key="v1")
    first = notes.spend(THIRTY, key="v2")
    assert notes.spend(THIRTY, key="v2") == first
    notes.ended(first, "promote")
    assert notes.spend(THIRTY, key="v2") == first
    assert len(notes.epochs[0].looks) == 2
    # A key is no way around the rows: with others it is another decision.
    assert notes.spend(THIRTY, sketch_of(range(500_000, 600_000)), key="v2").look == 1
    # Without a key each test is another decision.
    notes = Notes()
    assert [notes.spend(THIRTY).look, notes.spend(THIRTY).look] == [1, 2]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (OPEN, THIRTY),
        (THIRTY, OPEN),
        (THIRTY, ABTest(label="y", alpha=0.01, looks=30)),
        (ABTest(label="y", looks=3), ABTest(label="y", looks=300)),
        (OPEN, ABTest(label="y", alpha=0.2)),
    ],
)
def test_a_change_of_the_plan_never_spends_more_than_alpha(before: ABTest, after: ABTest) -> None:
    for change_after in (1, 2, 3):
        notes = Notes()
        spent = [notes.spend(before, ()).alpha for _ in range(change_after)]
        with contextlib.suppress(Exhausted):
            for _ in range(100):
                spent += [notes.spend(after, ()).alpha]
        assert math.fsum(spent) <= max(after.alpha, math.fsum(spent[:change_after])) * (1 + 1e-6)
        assert min(spent) > 0


def test_alpha_that_is_spent_by_another_plan_is_said() -> None:
    notes = Notes()
    notes.spend(OPEN)
    assert refusal(lambda: notes.spend(ABTest(label="y", alpha=0.02))).startswith(
        "The looks at this holdout have spent all of alpha 0.02. 100 % of its rows"
    )


# Which holdout is the same.


@pytest.mark.parametrize("share", [0.0, 0.05, 0.1, 0.5, 1.0])
def test_the_share_of_rows_seen_is_estimated_within_its_error(share: float) -> None:
    old, new = 400_000, 100_000
    seen = int(new * share)
    found = same_holdout(sketch_of(range(seen), range(old, old + new - seen)), sketch_of(range(old)))
    assert found is not None
    # A quarter of the smaller table's hashes lie where those of the larger one are known.
    assert abs(found - share) <= 4.06 * math.sqrt(share * (1 - share) / (SKETCH / 4))


def test_small_tables_are_compared_exactly() -> None:
    assert same_holdout(sketch_of(range(1000)), sketch_of(range(900, 2900))) == 0.1
    assert same_holdout(sketch_of(range(10)), sketch_of(range(1000))) == 1.0
    assert same_holdout((), A) is None
    assert same_holdout(A, ()) is None


def test_the_ledgers_sketches_are_those_of_keys() -> None:
    assert keys.SKETCH == SKETCH
    made = keys.Sketch()
    for start in range(0, 100_000, 10_000):
        made.add(hashes_of(range(start, start + 10_000)))
    assert same_holdout(tuple(int(each) for each in made.hashes), A) == 1.0


@pytest.mark.parametrize(("old", "epoch"), [(8_000, 2), (12_500, 1)])
def test_more_than_a_tenth_of_the_rows_is_the_same_holdout_under_any_name(old: int, epoch: int) -> None:
    notes = Notes()
    notes.spend(THIRTY)
    moved = sketch_of(range(100_000 - old, 200_000 - old))
    share = same_holdout(moved, A)
    assert share is not None
    assert (share > SEEN) == (epoch == 1)
    assert place_of(notes.spend(THIRTY, moved, holdout="renamed"))[0] == epoch


def test_a_holdout_that_moves_on_a_little_every_night_is_one_holdout() -> None:
    notes = Notes()
    for night in range(25):
        notes.spend(OPEN, sketch_of(range(5_000 * night, 100_000 + 5_000 * night)))
    (epoch,) = notes.epochs
    # Rows of every night are known, also those that a single night's sketch holds no more.
    whole = epoch.rows
    assert same_holdout(sketch_of(range(5_000)), whole.hashes) == 1.0
    assert len(whole.hashes) == pytest.approx(SKETCH * 2.2, rel=0.1)
    # Only what is new is kept of a night.
    kept = [len(look.sketch.hashes) for look in epoch.looks if look.sketch]
    assert kept[0] == SKETCH
    assert max(kept[1:]) < SKETCH / 10


def test_tenths_of_several_old_holdouts_add_up() -> None:
    notes = Notes()
    parts = [range(start, start + 100_000) for start in (0, 10**6, 2 * 10**6)]
    for part in parts:
        notes.ended(notes.spend(THIRTY, sketch_of(part)), "promote")
    mixed = sketch_of(*(range(part.start, part.start + 8_000) for part in parts), range(5 * 10**6, 5_076_000))
    assert "promoted a model" in refusal(lambda: notes.spend(THIRTY, mixed))


def test_what_an_ended_holdout_has_seen_is_not_reached_through_another_one() -> None:
    notes = Notes()
    notes.ended(notes.spend(THIRTY, sketch_of(range(100_000))), "promote")
    notes.spend(THIRTY, sketch_of(range(200_000, 300_000)))
    both = sketch_of(range(20_000), range(200_000, 280_000))
    assert refusal(lambda: notes.spend(THIRTY, both)).startswith("Look 1 at this holdout promoted a model")
    assert notes.spend(THIRTY, sketch_of(range(5_000), range(205_000, 300_000))).look == 2


def test_without_hashes_a_holdout_is_known_by_its_name() -> None:
    notes = Notes()
    assert [notes.spend(THIRTY, ()).look for _ in range(2)] == [1, 2]
    assert notes.spend(THIRTY, (), holdout="prices").holdout == "prices#2"
    notes.ended(notes.spend(THIRTY, ()), "promote")
    assert refusal(lambda: notes.spend(THIRTY, ())) == (
        "Look 3 at this holdout promoted a model, which ended its use. Replace it with rows newer than "
        "2026-11-04T03:00:00Z; it was tested on 3 times. Give the new one another name, or name a column `row` that "
        "tells rows apart."
    )
    # Rows that are known now may be those that were not known then.
    assert "another name" in refusal(lambda: notes.spend(THIRTY, A))
    # And the other way round.
    notes = Notes()
    notes.ended(notes.spend(THIRTY, A), "promote")
    assert "another name" in refusal(lambda: notes.spend(THIRTY, ()))


def test_the_same_name_with_other_rows_is_another_holdout() -> None:
    notes = Notes()
    notes.ended(notes.spend(THIRTY, A), "promote")
    assert notes.spend(THIRTY, sketch_of(range(100_000, 200_000))).look == 1


# All looks together.


@pytest.mark.parametrize("config", [OPEN, THIRTY])
@pytest.mark.parametrize("common", [0.0, 0.7])
def test_thirty_null_challengers_are_promoted_with_probability_alpha_at_most(
    config: ABTest, common: float
) -> None:
    """Whatever the tests have in common through the rows; at alpha each night it would be many times that."""
    epochs, nights = 2_000, 30
    chance = np.random.default_rng(20261121)
    shared, own = chance.standard_normal((epochs, 1)), chance.standard_normal((epochs, nights))
    statistic = math.sqrt(common) * shared + math.sqrt(1 - common) * own
    promoted = np.zeros(epochs, dtype=bool)
    alphas = []
    notes = Notes()
    for night in range(nights):
        # What the ledger gives does not depend on the rows, so one ledger gives it for all epochs.
        use = notes.spend(config, ())
        notes.ended(use, "inconclusive")
        alphas.append(use.alpha)
        promoted |= statistic[:, night] > -ndtri(use.alpha)
    assert math.fsum(alphas) <= 0.05 * (1 + 1e-9)
    # P(more than this many of 2,000 | alpha) < 1 / 20,000.
    bound = next(k for k in range(epochs) if bdtrc(k, epochs, 0.05) < 1 / 20_000)
    assert promoted.sum() <= bound
    naive = (statistic > -ndtri(0.05)).any(axis=1)
    assert naive.sum() > 3 * bound


# The file.


def test_a_file_keeps_every_look_and_what_came_of_it(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "ledger.json"
    ledger: Ledger = FileLedger(path, key="a", holdout="flights", holder="me", now=lambda: AT.format(1))
    use = ledger.spend(THIRTY, A, 100_000)
    ledger.ended(use, "reject")
    ledger.ended(use, "reject")
    again = FileLedger(path, key="b", now=lambda: AT.format(2)).spend(THIRTY, A, 100_000)
    assert (use.look, again.look, again.holdout) == (1, 2, "flights#1")
    told = json.loads(path.read_text())
    assert told["format"] == "ame.ledger/1"
    (epoch,) = told["epochs"]
    assert [(look["key"], look["at"], look["decision"]) for look in epoch["looks"]] == [
        ("a", AT.format(1), "reject"),
        ("b", AT.format(2), None),
    ]
    (read,) = FileLedger(path).epochs()
    assert Epoch.from_json(epoch) == read
    assert read.rows == Rows.of(A)
    FileLedger(path).ended(again, "promote")
    assert "Look 2 at this holdout promoted" in refusal(lambda: FileLedger(path).spend(THIRTY, A, 100_000))
    # It is given back all the same to the test that is begun again.
    assert FileLedger(path, key="b").spend(THIRTY, A, 100_000) == again


def test_a_promotion_counts_whatever_was_noted_first(tmp_path: Path) -> None:
    ledger = FileLedger(tmp_path / "ledger.json", key="a")
    use = ledger.spend(THIRTY, A, 1)
    ledger.ended(use, "inconclusive")
    ledger.ended(use, "promote")
    (epoch,) = ledger.epochs()
    assert (epoch.looks[0].decision, epoch.promoted) == ("inconclusive", 1)
    ledger.ended(use, "reject")
    assert ledger.epochs() == [epoch]
    ledger.ended(replace(use, look=0), "promote")


def _spend_and_tell(path: Path, looks: int, told: Path) -> None:
    for number in range(looks):
        use = FileLedger(path, key=f"{os.getpid()} {number}", holdout="flights").spend(OPEN, A, 1)
        with told.open("a") as file:
            file.write(f"{use.look}\n")


def test_processes_at_once_never_get_one_look(tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    processes = [
        CONTEXT.Process(target=_spend_and_tell, args=(path, 10, tmp_path / f"told-{number}"))
        for number in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    given = [int(line) for told in tmp_path.glob("told-*") for line in told.read_text().split()]
    assert sorted(given) == list(range(1, 41))


def test_under_kills_no_look_is_lost_and_the_file_is_always_whole(
    tmp_path: Path, until: Callable[..., None]
) -> None:
    chance = random.Random(7)  # noqa: S311 - no secret
    path, told = tmp_path / "ledger.json", tmp_path / "told"
    told.touch()
    for _ in range(KILLS):
        process, before = (
            CONTEXT.Process(target=_spend_and_tell, args=(path, 10_000, told)),
            told.stat().st_size,
        )
        process.start()
        until(lambda before=before: told.stat().st_size > before)
        time.sleep(chance.uniform(0, 0.02))
        assert process.pid
        os.kill(process.pid, signal.SIGKILL)
        process.join(30)
        FileLedger(path).epochs()
    given = [int(line) for line in told.read_text().split()]
    (epoch,) = FileLedger(path).epochs()
    assert len(given) >= KILLS
    assert len(given) == len(set(given))
    # One killed between its look and telling us has spent it.
    assert set(given) <= {look.number for look in epoch.looks}
    assert len(epoch.looks) <= len(given) + KILLS


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "ledger.json"
    link.symlink_to(tmp_path / "real" / "ledger.json")
    FileLedger(link).spend(THIRTY, A, 1)
    assert FileLedger(link).spend(THIRTY, A, 1).look == 2
    assert link.is_symlink()


BROKEN = [
    ("", "Expecting value: line 1 column 1 (char 0)."),
    ("{}", "It lacks 'format'."),
    ("[]", "List indices must be integers or slices, not str."),
    ('{"format": "other"}', "Its format is 'other' and not 'ame.ledger/1'."),
    (
        '{"format": "ame.ledger/1", "epochs": [{"epoch": 1, "promoted": null, "looks": []}]}',
        "Looks are missing.",
    ),
]


@pytest.mark.parametrize(("text", "why"), BROKEN)
def test_a_file_that_is_no_ledger_is_refused_and_left_as_it_is(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "ledger.json"
    path.write_text(text)
    with pytest.raises(Refused) as refused:
        FileLedger(path).spend(THIRTY, A, 1)
    assert str(refused.value) == (
        f"AME-E520 {path} the alpha ledger cannot be used: it is no ledger, or was changed. {why} "
        "Restore the file, or name another one and replace the holdout."
    )
    assert path.read_text() == text


def test_whatever_is_changed_in_the_file_is_read_or_refused_and_never_a_traceback(tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    for key in "abc":
        FileLedger(path, key=key).spend(THIRTY, A[:20], 1)
    whole, chance = path.read_text(), random.Random(3)  # noqa: S311 - no secret
    odd = [None, -1, 0, 1e300, "x", [], {}, True, "é", "NaN", float("nan")]
    for _ in range(200):
        told = json.loads(whole)
        place = chance.choice([told, told["epochs"][0], *told["epochs"][0]["looks"]])
        place[chance.choice(list(place))] = chance.choice(odd)
        path.write_text(json.dumps(told))
        try:
            use = FileLedger(path).spend(THIRTY, A[:20], 1)
        except (Refused, Exhausted):
            continue
        assert use.look >= 1
        assert 0 < use.alpha <= THIRTY.alpha
    for _ in range(80):
        cut = chance.randrange(len(whole))
        path.write_bytes(whole.encode()[:cut] + bytes([chance.randrange(256)]) + whole.encode()[cut + 1 :])
        try:
            FileLedger(path).spend(THIRTY, A[:20], 1)
        except (Refused, Exhausted):
            continue


def test_a_look_that_the_file_does_not_hold_cannot_end(tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    use = FileLedger(path, holdout="flights").spend(THIRTY, A, 1)
    path.unlink()
    with pytest.raises(Refused, match="Look 1 at 'flights#1' is not in it any more"):
        FileLedger(path).ended(use, "promote")


def test_a_folder_where_the_file_should_be_is_a_diagnosis(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        FileLedger(tmp_path).spend(THIRTY, A, 1)
    assert str(refused.value) == (
        f"AME-E521 {tmp_path} the alpha ledger cannot be read or written. Is a directory. "
        "Name a file in a folder that you may write to."
    )
    (tmp_path / "file").write_text("")
    with pytest.raises(Refused, match="AME-E521"):
        FileLedger(tmp_path / "file" / "ledger.json").spend(THIRTY, A, 1)


# Where a holdout stands.


def test_where_a_holdout_stands_is_one_line() -> None:
    notes = Notes()
    assert standing(notes.epochs) is None
    for _ in range(3):
        notes.spend(THIRTY)
    assert str(standing(notes.epochs)) == "look 3 of 30 spent, alpha 0.0017 each, 27 left"
    # By the plan as it is now.
    assert str(standing(notes.epochs, OPEN)) == "look 3 spent, alpha 0.0025 for the next one, any number left"
    ten = standing(notes.epochs, ABTest(label="y", looks=3))
    assert ten
    assert str(ten) == "look 3 of 3 spent, none left: replace it with rows newer than 2026-11-03T03:00:00Z"
    assert ten.to_json() == {
        "name": "flights#1",
        "spent": 3,
        "looks": 3,
        "left": 0,
        "alpha": 0.0,
        "total": 0.05,
        "promoted": None,
        "since": "2026-11-01T03:00:00Z",
        "last": "2026-11-03T03:00:00Z",
    }
    notes.ended(notes.spend(THIRTY), "promote")
    assert str(standing(notes.epochs)) == (
        "look 4 promoted a model, which ended its use: replace it with rows newer than 2026-11-04T03:00:00Z"
    )
    notes.spend(THIRTY, sketch_of(range(10**6, 1_100_000)))
    assert str(standing(notes.epochs)) == "look 1 of 30 spent, alpha 0.0017 each, 29 left"
