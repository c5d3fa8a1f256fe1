"""Bins must ascend with the score, whatever the score and whatever the sample they were made from."""

from __future__ import annotations

import numpy as np
import pytest

from ame.gate.engines.coding import MIN_BITS, Coder, random_group


def hard_scores() -> np.ndarray:
    draw = np.random.default_rng(1)
    near = np.array([0.0, 5e-324, 1e-320, 1e-300, 1e-45, 1e-38, 2**-126, 1e-20, 1e-9, 0.25, 0.5, 0.75, 1.0])
    both = np.concatenate(
        [near, 1.0 - near, draw.random(3000), draw.random(500) ** 9, 1 - draw.random(500) ** 9]
    )
    return np.unique(np.concatenate([both, np.nextafter(both, 1.0), np.nextafter(both, 0.0)]).clip(0, 1))


@pytest.mark.parametrize("bits", [MIN_BITS, 20])
@pytest.mark.parametrize("sample", ["spread", "rare", "constant", "certain", "one"])
def test_bins_ascend_with_the_score(sample: str, bits: int) -> None:
    draw = np.random.default_rng(2)
    samples = {
        "spread": draw.random(5000),
        "rare": draw.random(5000) * 1e-4,
        "constant": np.full(5000, 0.3),
        "certain": draw.integers(0, 2, 5000).astype(float),
        "one": np.array([0.7]),
    }
    ascending = hard_scores()

    codes = Coder(samples[sample], bits)(ascending)

    assert np.all(np.diff(codes) >= 0)
    assert codes[0] >= 0
    assert codes[-1] < 1 << bits


def test_bins_are_where_the_scores_are() -> None:
    draw = np.random.default_rng(3)
    for score in (draw.random(50_000), draw.beta(2, 3, 50_000) * 1e-5, 1 - draw.beta(2, 3, 50_000) * 1e-4):
        codes = Coder(score[:10_000], 20)(score)
        assert np.bincount(codes).max() < 12
        assert np.unique(codes).size > 40_000


def test_a_sample_that_misleads_leaves_bins_elsewhere() -> None:
    score = np.random.default_rng(4).random(50_000)

    codes = Coder(np.full(1000, 1e-6), 20)(score)

    assert np.unique(codes).size > 25_000


def test_only_bins_with_different_scores_are_mixed() -> None:
    coder = Coder(np.array([0.5]), 16)
    score = np.array([0.2, 0.2, 0.7, np.nextafter(0.7, 1), 0.9])
    codes = coder(score)
    coder.note(score[:3], codes[:3])
    coder.note(score[3:], codes[3:])

    assert np.flatnonzero(coder.mixed(16)).tolist() == [codes[2]]
    assert coder.mixed(0).tolist() == [True]


def test_random_groups_do_not_depend_on_batches_and_are_even() -> None:
    groups = random_group(0, 300_000, 1024)

    assert np.array_equal(groups[1000:1700], random_group(1000, 700, 1024))
    sizes = np.bincount(groups, minlength=1024)
    assert abs(sizes - 300_000 / 1024).max() < 5 * np.sqrt(300_000 / 1024)
