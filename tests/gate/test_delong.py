"""The fast DeLong against the definition, pair by pair."""

from __future__ import annotations

import numpy as np
import pytest

from ame.gate.delong import paired_delong, placements
from ame.gate.order import dense, keys, rank


def by_definition(label: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every positive held against every negative: V10 and V01, shapes (m,) and (k,)."""
    wins = score[label][:, None] - score[~label][None, :]
    kernel = np.where(wins > 0, 1.0, np.where(wins == 0, 0.5, 0.0))
    return kernel.mean(axis=1), kernel.mean(axis=0)


def scores(kind: str, draw: np.random.Generator, n: int) -> np.ndarray:
    if kind == "continuous":
        return draw.random(n)
    if kind == "heavy ties":
        return draw.integers(0, 5, n) / 4
    if kind == "one value but few":
        return np.where(draw.random(n) < 0.95, 0.5, draw.random(n))
    if kind == "last bits":  # differ in the last of 53 bits only, which a float32 would lose
        return 0.5 + draw.integers(0, 40, n) * 2.0**-53
    if kind == "tiny":
        return draw.integers(0, 50, n) * 5e-324
    return np.where(draw.random(n) < 0.5, -0.0, draw.integers(0, 2, n) * 1e-300)


KINDS = ["continuous", "heavy ties", "one value but few", "last bits", "tiny", "negative zero"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [5, 301])
def test_areas_and_error_follow_the_definition(kind: str, n: int) -> None:
    draw = np.random.default_rng(7)
    label = draw.random(n) < 0.4
    label[:4] = [True, True, False, False]
    champion, challenger = scores(kind, draw, n), scores(kind, draw, n)

    areas = paired_delong(label, champion, challenger)

    (v10_a, v01_a), (v10_b, v01_b) = by_definition(label, champion), by_definition(label, challenger)
    assert areas.champion == pytest.approx(v10_a.mean(), abs=1e-14)
    assert areas.challenger == pytest.approx(v10_b.mean(), abs=1e-14)
    variance = (v10_b - v10_a).var(ddof=1) / label.sum() + (v01_b - v01_a).var(ddof=1) / (~label).sum()
    assert areas.std_error == pytest.approx(np.sqrt(variance), rel=1e-10)


def test_identical_scores_have_no_error() -> None:
    draw = np.random.default_rng(1)
    label, score = draw.random(500) < 0.3, draw.random(500)

    areas = paired_delong(label, score, score.copy())

    assert areas.champion == areas.challenger
    assert areas.std_error == 0.0


@pytest.mark.parametrize("kind", KINDS)
def test_dense_codes_are_those_of_numpy(kind: str) -> None:
    score = scores(kind, np.random.default_rng(9), 5000)

    found = dense(keys(score))

    values, codes = np.unique(score, return_inverse=True)
    assert np.array_equal(found.codes, codes)
    assert np.array_equal(found.values.view(np.float64), values + 0.0)


def test_scores_that_agree_in_their_leading_bits_are_put_in_order() -> None:
    """With 2^17 rows 18 bits of the key hold the row, so these scores look alike in the key."""
    draw = np.random.default_rng(3)
    n = 1 << 17
    base = draw.integers(0, 1000, n) / 1000
    score = base + draw.integers(0, 3, n) * 2.0**-52
    label = draw.random(n) < 0.5

    ranking = rank(label, score)

    assert np.all(np.diff(score[ranking.rows]) >= 0)
    assert np.array_equal(ranking.ties, np.diff(score[ranking.rows]) == 0)
    assert np.array_equal(ranking.label, label[ranking.rows])
    assert np.array_equal(np.sort(ranking.rows), np.arange(n))


def test_counts_do_not_overflow_32_bits() -> None:
    """144,000 rows overflow an int32 count of pairs; one published implementation gave an area of 15.97."""
    n = 150_000
    label = np.arange(n) % 2 == 0
    score = np.where(label, 0.9, 0.1)

    areas = paired_delong(label, score, 1.0 - score)

    assert (areas.champion, areas.challenger) == (1.0, 0.0)


def test_placements_are_whole_numbers_of_half_pairs() -> None:
    label = np.array([True, False, True, False, False])
    score = np.array([0.5, 0.5, 0.9, 0.1, 0.9])

    assert placements(label, score).tolist() == [3, 1, 5, 0, 3]
