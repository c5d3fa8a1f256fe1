"""The fast DeLong against the definition, pair by pair."""

from __future__ import annotations

import numpy as np
import pytest

from ame.gate.delong import auc_and_influence, placements, rank
from ame.gate.inference import paired_std_error


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

    first, second, influence = auc_and_influence(label, champion, challenger)

    (v10_a, v01_a), (v10_b, v01_b) = by_definition(label, champion), by_definition(label, challenger)
    assert first == pytest.approx(v10_a.mean(), abs=1e-14)
    assert second == pytest.approx(v10_b.mean(), abs=1e-14)
    variance = (v10_b - v10_a).var(ddof=1) / label.sum() + (v01_b - v01_a).var(ddof=1) / (~label).sum()
    assert paired_std_error(influence, label) == pytest.approx(np.sqrt(variance), rel=1e-10)
    m, k = label.sum(), (~label).sum()
    assert influence[label] == pytest.approx(n / m * (v10_b - v10_a - (second - first)), abs=1e-11)
    assert influence[~label] == pytest.approx(n / k * (v01_b - v01_a - (second - first)), abs=1e-11)


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

    champion, challenger, _ = auc_and_influence(label, score, 1.0 - score)

    assert (champion, challenger) == (1.0, 0.0)


def test_placements_are_whole_numbers_of_half_pairs() -> None:
    label = np.array([True, False, True, False, False])
    score = np.array([0.5, 0.5, 0.9, 0.1, 0.9])

    assert placements(label, score).tolist() == [3, 1, 5, 0, 3]
