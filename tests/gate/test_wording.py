from __future__ import annotations

import pytest

from ame.gate import METRICS
from ame.gate.wording import LABELS, amount, confidence, decimals, rows_like, signed


@pytest.mark.parametrize(
    ("alpha", "text"),
    [(0.05, "95 %"), (0.1, "90 %"), (0.025, "97.5 %"), (0.05 / 30, "99.83 %"), (0.00001, "99.999 %")],
)
def test_confidence_never_rounds_to_certainty(alpha: float, text: str) -> None:
    assert confidence(alpha) == text


def test_decimals_grow_until_numbers_that_differ_look_different() -> None:
    assert decimals(0.0412, 0.002) == 4
    assert decimals(0.00204, 0.002) == 5
    assert decimals(1e-9, 0.0) == 9
    assert decimals(-0.002, 0.002) == 4


def test_a_negative_number_that_rounds_to_zero_has_no_sign() -> None:
    assert (signed(-0.00001, 4), signed(-0.00006, 4)) == ("0.0000", "-0.0001")


def test_every_metric_has_a_name_in_sentences() -> None:
    assert set(LABELS) == set(METRICS)


def test_rows_are_counted_with_their_positives_where_there_are_any() -> None:
    assert rows_like(9660, 1000, 100) == "9,660 rows (966 positives)"
    assert rows_like(9660, 1000, 0) == "9,660 rows"


def test_small_p_values_are_bounded() -> None:
    assert (amount(0.00312), amount(1e-9)) == ("p = 0.0031", "p < 0.0001")
