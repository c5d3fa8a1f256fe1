"""Kubernetes quantities: `500m`, `2`, `10G`, `4Gi`, `1e3`.

The grammar is that of Kubernetes' resource.Quantity: a signed decimal number, then one suffix, which
is binary (`Ki Mi Gi Ti Pi Ei`), decimal (`n u m k M G T P E`) or a decimal exponent (`e3`, `E-2`).
"""

from __future__ import annotations

import re
from decimal import Context, Decimal
from functools import lru_cache

__all__ = ["QUANTITY", "parse_quantity"]

_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
# For the usual slips: GB, Mb, ki, K. A small m, n or u is a suffix itself and never gets here alone.
_BY_LOWER_CASE = {"": "", **{name.lower(): name for name in [*"kMGTPE", *_BINARY]}}

_NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)"
_QUANTITY = re.compile(rf"(?P<number>{_NUMBER})(?:[eE](?P<exponent>[+-]?[0-9]{{1,3}})|(?P<suffix>[A-Za-z]*))")
#: What every quantity looks like, as a regular expression that JavaScript reads alike.
QUANTITY = rf"{_NUMBER}(?:[eE][+-]?[0-9]{{1,3}}|{'|'.join(filter(None, [*_DECIMAL, *_BINARY]))})?"
# Kubernetes holds a quantity in 64 bits when it can and caps it there when it cannot.
_LARGEST = Decimal(2**63 - 1)
_LONGEST = 40
# Wide enough for the longest number times the largest suffix without rounding.
_EXACT = Context(prec=3 * _LONGEST)


@lru_cache(maxsize=4096)
def parse_quantity(text: str) -> Decimal:
    """The number that a quantity stands for: cores for `500m`, bytes for `4Gi`.

    Raises:
        ValueError: with a whole sentence that says what is wrong and, for the usual slips (`GB`,
            `ki`, `MB`), what to write.
    """
    found = _QUANTITY.fullmatch(text) if len(text) <= _LONGEST else None
    if not found:
        raise ValueError("A Kubernetes quantity is a number and a suffix, such as 500m, 2, 10G or 4Gi.")
    suffix = found["suffix"] or ""
    number = Decimal(found["number"])
    if found["exponent"]:
        value = _EXACT.scaleb(number, int(found["exponent"]))
    elif suffix in _DECIMAL:
        value = _EXACT.scaleb(number, _DECIMAL[suffix])
    elif suffix in _BINARY:
        value = _EXACT.multiply(number, 2 ** _BINARY[suffix])
    else:
        raise ValueError(_about_suffix(found["number"], suffix))
    if abs(value) > _LARGEST:
        raise ValueError("Kubernetes holds no quantity beyond 2^63 - 1.")
    return value


def _about_suffix(number: str, suffix: str) -> str:
    known = f"'{suffix}' is no suffix of Kubernetes, which has n u m k M G T P E and Ki Mi Gi Ti Pi Ei."
    meant = _BY_LOWER_CASE.get(suffix.lower().removesuffix("b"))
    return known if meant is None else f"{known} Did you mean '{number}{meant}'?"
