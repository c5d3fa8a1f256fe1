from decimal import Decimal

import pytest

from ame.quantity import parse_quantity


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2", "2"),
        ("0.5", "0.5"),
        ("500m", "0.5"),
        ("100n", "1e-7"),
        ("3u", "3e-6"),
        ("1k", "1000"),
        ("2G", "2000000000"),
        ("4Gi", "4294967296"),
        ("1.5Gi", "1610612736"),
        ("1Ki", "1024"),
        ("1Mi", "1048576"),
        ("1Ti", "1099511627776"),
        ("1Pi", "1125899906842624"),
        ("1Ei", "1152921504606846976"),
        ("1E", "1e18"),
        ("1P", "1e15"),
        ("1T", "1e12"),
        ("1M", "1e6"),
        ("1e3", "1000"),
        ("1E3", "1000"),
        ("12e-1", "1.2"),
        ("+5", "5"),
        ("-5m", "-0.005"),
        ("5.", "5"),
        (".5", "0.5"),
        ("0", "0"),
        # Rounded to twenty-eight digits, as Decimal is by itself, this would be off.
        ("1.000000000000000000000000000001Ei", "1152921504606846976.000000000001152921504606846976"),
    ],
)
def test_the_grammar_of_kubernetes(text, value):
    assert parse_quantity(text) == Decimal(value)


GRAMMAR = "A Kubernetes quantity is a number and a suffix, such as 500m, 2, 10G or 4Gi."


@pytest.mark.parametrize(
    "text",
    ["", "G", "much", "1 G", "1G ", "1..5", "1,5", "--1", "1e1000", "1Gi5", "0x10", "٣", "1" * 41],
)
def test_what_is_no_quantity(text):
    with pytest.raises(ValueError) as refused:  # noqa: PT011  # the text is compared whole below
        parse_quantity(text)

    assert str(refused.value) == GRAMMAR


KNOWN = "n u m k M G T P E and Ki Mi Gi Ti Pi Ei."


@pytest.mark.parametrize(
    ("text", "suffix", "hint"),
    [
        ("4GB", "GB", " Did you mean '4G'?"),
        ("4gb", "gb", " Did you mean '4G'?"),
        ("4GiB", "GiB", " Did you mean '4Gi'?"),
        ("10ki", "ki", " Did you mean '10Ki'?"),
        ("10K", "K", " Did you mean '10k'?"),
        ("10MB", "MB", " Did you mean '10M'?"),
        ("10B", "B", " Did you mean '10'?"),
        ("1e", "e", " Did you mean '1E'?"),
        ("1t", "t", " Did you mean '1T'?"),
        ("2cores", "cores", ""),
    ],
)
def test_the_usual_slips_are_named(text, suffix, hint):
    with pytest.raises(ValueError) as refused:  # noqa: PT011  # the text is compared whole below
        parse_quantity(text)

    assert str(refused.value) == f"'{suffix}' is no suffix of Kubernetes, which has {KNOWN}{hint}"


@pytest.mark.parametrize("text", ["8Ei", "10E", "1e19", "-9223372036854775808", "9" * 40])
def test_what_64_bits_cannot_hold(text):
    with pytest.raises(ValueError, match=r"^Kubernetes holds no quantity beyond 2\^63 - 1\.$"):
        parse_quantity(text)


def test_the_largest():
    assert parse_quantity("9223372036854775807") == 2**63 - 1
