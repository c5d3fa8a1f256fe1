"""What parts of the rows tell, merged in any grouping and any order, is what all of them tell."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ame.gate import ABTest, Margin
from ame.gate.engines import binned, local
from ame.gate.engines.binned import Reader
from ame.gate.engines.coding import MIN_BITS, Coder
from ame.gate.engines.packed import pack, unpack
from ame.gate.engines.parts import Again, Counted, added_again, counted, template
from ame.gate.keys import Repeats
from ame.gate.summary import Summary
from ame.gate.table import empty_tally, open_scores, read_and_count

N = 12_000
METRICS = {
    "binary": ("roc_auc", "average_precision", "log_loss", "f1"),
    "multiclass": ("roc_auc_ovr", "log_loss", "f1_macro", "accuracy"),
    "regression": ("r2", "rmse", "pinball"),
}


@pytest.fixture(autouse=True)
def few_bins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large arrays take time and tell nothing more."""
    monkeypatch.setattr(binned, "_BITS", 15)
    monkeypatch.setattr(binned, "_SLICE_BITS", 16)


def config(task: str) -> ABTest:
    return ABTest(
        label="late",
        task=task,  # type: ignore[arg-type]
        primary=Margin(METRICS[task][0]),
        metrics=METRICS[task],
        slices=("city", "many"),
        row="row",
        min_slice_rows=50,
        min_slice_positives=5,
    )


def scores(task: str) -> pa.Table:
    draw = np.random.default_rng(3)
    label: Any = draw.random(N) < 0.3 if task == "binary" else draw.integers(0, 3, N)
    both: list[Any] = [np.clip(0.2 * label + draw.random(N) / 2, 0, 1) for _ in range(2)]
    if task == "multiclass":
        both = [list(draw.dirichlet([1, 2, 3], N)) for _ in range(2)]
    if task == "regression":
        label = draw.normal(1e3, 2.0, N)
        both = [label + draw.normal(size=N) for _ in range(2)]
    return pa.table(
        {
            "late": label,
            "champion": both[0],
            "challenger": both[1],
            "row": np.arange(N) // 2,
            # Every part meets other values first, and later parts more of them.
            "city": draw.permuted(np.repeat(["rome", "oslo", "lima"], N // 3)),
            "many": [f"{int(each)}" for each in draw.random(N) * np.linspace(3, 40, N)],
        }
    )


def parts_of(table: pa.Table, seed: int, parts: int = 7) -> list[tuple[int, pa.Table]]:
    cuts = [0, *sorted(np.random.default_rng(seed).integers(0, N, parts - 1).tolist()), N]
    return [(start, table.slice(start, end - start)) for start, end in itertools.pairwise(cuts)]


def tree(states: list[bytes], draw: np.random.Generator) -> Any:
    """Merge two at random that stand side by side, until one is left."""
    whole = [unpack(state) for state in states]
    while len(whole) > 1:
        place = int(draw.integers(0, len(whole) - 1))
        whole[place : place + 2] = [whole[place].merge(whole[place + 1])]
    return whole[0]


@pytest.mark.parametrize("task", list(METRICS))
def test_any_tree_of_merges_gives_the_numbers_of_one_reading(task: str) -> None:
    asked, table = config(task), scores(task)
    source = open_scores(asked, table)
    wanted = local.measure(asked, source, exact_rows=0)
    for seed in range(2):
        draw = np.random.default_rng(seed)
        found, tally = by_parts(asked, table, seed, lambda states, draw=draw: tree(states, draw))
        assert_close(found, wanted)
        assert list(found.slices["many"]) == list(wanted.slices["many"])
        assert tally.sketch.hashes == source.tally.sketch.hashes
        assert tally.repeats.rows() == source.tally.repeats.rows() == N // 2


@pytest.mark.parametrize("task", list(METRICS))
def test_the_order_of_merging_changes_no_number(task: str) -> None:
    asked, table = config(task), scores(task)
    wanted = local.measure(asked, open_scores(asked, table), exact_rows=0)

    def shuffled(states: list[bytes]) -> Any:
        return tree(
            [states[place] for place in np.random.default_rng(5).permutation(len(states))],
            np.random.default_rng(6),
        )

    found, _ = by_parts(asked, table, 7, shuffled)

    assert set(found.slices["many"]) == set(wanted.slices["many"])
    assert_close(found, wanted)


def by_parts(asked: ABTest, table: pa.Table, seed: int, merge: Any) -> tuple[Summary, Any]:
    tally = empty_tally(asked)
    kept = list(read_and_count(asked, table.to_batches(), tally))
    reader = Reader(asked, kept, pictures=True)
    sent = SimpleNamespace(value=pack((reader, template(asked, N, tally))))
    parts = parts_of(table, seed)
    starts = [start for start, _ in parts]
    states = [counted(asked, sent, starts, n, part.to_batches()) for n, (_, part) in enumerate(parts)]
    found: Counted = merge([state for state in states if state is not None])
    whole = found.reader
    assert whole is not None
    whole.close()
    sent = SimpleNamespace(value=pack((whole, dict(found.tally.slice_values))))
    whole.turn()
    again = [added_again(asked, sent, starts, n, part.to_batches()) for n, (_, part) in enumerate(parts)]
    more: Again = merge([state for state in again if state is not None])
    whole.merge_again(more.arrays)
    return whole.finish("parts", found.tally.slice_values), found.tally


def assert_close(found: Summary, wanted: Summary) -> None:
    for name, metric in wanted.total.metrics.items():
        other = found.total.metrics[name]
        assert (other.champion, other.difference) == pytest.approx(
            (metric.champion, metric.difference), rel=1e-9
        )
        assert other.std_error == pytest.approx(metric.std_error, rel=1e-9)
        assert other.error_bound == pytest.approx(metric.error_bound, rel=1e-9)
        np.testing.assert_allclose(other.groups, metric.groups, rtol=1e-9, atol=1e-7)
    assert np.array_equal(found.cells, wanted.cells) if wanted.cells is not None else found.cells is None
    assert np.array_equal(found.grid, wanted.grid) if wanted.grid is not None else found.grid is None
    for column, values in wanted.slices.items():
        for value, group in values.items():
            other_group = found.slices[column][value]
            assert (other_group.rows, other_group.fewest) == (group.rows, group.fewest)
            for name, metric in group.metrics.items():
                assert other_group.metrics[name].difference == pytest.approx(metric.difference, rel=1e-9)
                assert other_group.metrics[name].std_error == pytest.approx(metric.std_error, rel=1e-9)


def test_repeats_of_two_tables_are_counted_across_them() -> None:
    hashes = np.random.default_rng(0).integers(1, 2**63, 50_000).astype(np.uint64)
    for exact in (10**6, 60_000, 10, 0):
        first, second, both = Repeats(exact), Repeats(exact), Repeats(exact)
        first.add(hashes[:40_000])
        second.add(hashes[30_000:])
        both.add(hashes[:40_000])
        both.add(hashes[30_000:])

        first.merge(unpack(pack(second)))

        assert (first.rows(), first.is_exact) == (both.rows(), both.is_exact)
        assert first.rows() == 10_000 or not first.is_exact


def test_a_coder_that_was_sent_knows_which_scores_share_a_bin() -> None:
    draw = np.random.default_rng(1)
    score = np.concatenate([draw.random(20_000), np.full(500, 0.25)])
    whole, first, second = (Coder(score, MIN_BITS + 3) for _ in range(3))
    whole.note(score, whole(score))
    first.note(score[:9000], first(score[:9000]))
    second.note(score[9000:], second(score[9000:]))

    sent = unpack(pack(first))
    sent.merge(unpack(pack(second)))

    for bits in (MIN_BITS + 3, MIN_BITS, 4):
        assert np.array_equal(sent.mixed(bits), whole.mixed(bits))
    assert np.array_equal(sent(score), whole(score))


def test_arrays_are_the_same_after_they_were_sent() -> None:
    draw = np.random.default_rng(2)
    arrays = [
        np.zeros((3, 2000), dtype=np.int64),
        draw.integers(-5, 200, (40, 50)),
        draw.integers(0, 2**62, 1000),
        draw.normal(size=(7, 300)).T,
        draw.random(5000) < 0.5,
        np.full(900, np.inf),
        np.empty(0),
        np.arange(3),
    ]

    for found, wanted in zip(unpack(pack(arrays)), arrays, strict=True):
        assert found.dtype == wanted.dtype
        assert np.array_equal(found, wanted)
        assert found.flags.writeable
    assert len(pack(np.zeros(1 << 20, dtype=np.int64))) < 1000
