"""What becomes of the bytes that a command prints."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from ame.runtime.output import LINE_LIMIT, split_lines


def lines(*chunks: bytes, seconds: float = 0.0) -> list[str]:
    """With a clock that goes on by `seconds` at each look."""
    return list(split_lines(chunks, clock=itertools.count(0.0, seconds).__next__))


@pytest.mark.parametrize(
    ("chunks", "told"),
    [
        ([b"one\ntwo\n"], ["one", "two"]),
        ([b"one\n\ntwo"], ["one", "", "two"]),
        ([b"on", b"e\nt", b"wo\n"], ["one", "two"]),
        ([b"one\r\ntwo\r\n"], ["one", "two"]),
        ([b"one\r", b"\ntwo\r"], ["one", "two"]),
        ([b"\xc3", b"\xbc\n"], ["ü"]),
        ([b"\xff\xfe\n", b"\xc3"], ["\ufffd\ufffd", "\ufffd"]),
        ([b"a\0b\n"], ["a\ufffdb"]),
        ([b"a\x0bb\x85\xe2\x80\xa8c\n"], ["a\x0bb\ufffd\u2028c"]),
        ([], []),
        ([b"\n"], [""]),
    ],
    ids=repr,
)
def test_lines(chunks: list[bytes], told: list[str]) -> None:
    assert lines(*chunks) == told


def test_of_a_progress_bar_the_first_and_the_last_update_are_told_and_some_between() -> None:
    bar = b"".join(b"\r%3d%%" % share for share in range(101))
    assert lines(bar + b"\ndone\n", seconds=0.25) == [
        *[f"{share:3d}%" for share in range(0, 100, 8)],
        "100%",
        "done",
    ]


def test_a_progress_bar_that_is_still_told_ends_without_an_empty_line() -> None:
    assert lines(b"\r10%\r20%\r\r\n", seconds=9.0) == ["10%", "20%"]
    assert lines(b"\r10%\r20%\r\r\n") == ["10%", "20%"]
    assert lines(b"10%\r20%\r") == ["10%", "20%"]


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_line_without_end_is_told_in_pieces(end: bytes) -> None:
    text = b"x" * (2 * LINE_LIMIT + 5)
    assert [len(line) for line in lines(text + end)] == [LINE_LIMIT, LINE_LIMIT, 5]
    assert [len(line) for line in lines(text[:9], text[9:], end)] == [LINE_LIMIT, LINE_LIMIT, 5]


def test_lines_are_told_as_they_come() -> None:
    seen: list[str] = []

    def chunks() -> Iterator[bytes]:
        yield b"one\ntw"
        assert seen == ["one"]
        yield b"o\n"
        assert seen == ["one", "two"]

    for line in split_lines(chunks()):
        seen += [line]


def test_a_secret_on_the_cut_of_a_long_line_is_masked() -> None:
    from ame.secrets import Masker

    text = ("x" * (LINE_LIMIT - 7) + "hidden-value").encode() + b"y" * 9000
    for size in (1000, 5000, len(text)):
        chunks = [text[start : start + size] for start in range(0, len(text), size)]
        shown = "".join(split_lines(chunks, masked=Masker(["hidden-value"])))
        assert shown == "x" * (LINE_LIMIT - 7) + "***" + "y" * 9000
