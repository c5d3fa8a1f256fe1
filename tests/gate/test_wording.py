from __future__ import annotations

import pytest

from ame.gate.wording import confidence, decimals, signed


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
