"""From the bytes that a command prints to lines that can be logged."""

from __future__ import annotations

import codecs
import re
import time
from collections.abc import Callable, Iterable, Iterator

__all__ = ["LINE_LIMIT", "split_lines"]

LINE_LIMIT = 16_384  #: characters; a line that never ends must not fill the memory
#: How much is kept back of such a line, so that a secret on the cut is still seen whole.
_LONGEST_SECRET = 4_096
_UPDATE_SECONDS = 2.0

#: The end of a line, or a carriage return by itself; the last character may be half of a pair.
_END = re.compile(r"\r?\n|\r(?=[^\n])")


def split_lines(
    chunks: Iterable[bytes],
    *,
    masked: Callable[[str], str] = str,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[str]:
    """Lines of UTF-8 text, without their ends, each at most LINE_LIMIT characters.

    `masked` is applied before a long line is cut, so that no half of a secret is left.

    What is no UTF-8, and NUL, which no database takes, become U+FFFD. A progress bar overwrites its line
    many times a second, by a carriage return: one update in two seconds is a line, and the last one.
    """
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    updates = _Updates(clock)
    rest = ""
    for chunk in chunks:
        rest += decoder.decode(chunk).replace("\0", "\ufffd")
        done = 0
        for end in _END.finditer(rest):
            text = rest[done : end.start()]
            done = end.end()
            yield from _pieces(updates.overwritten(text) if end[0] == "\r" else updates.ended(text), masked)
        rest = rest[done:]
        if len(rest) > LINE_LIMIT + _LONGEST_SECRET:
            rest = masked(rest)
        while len(rest) > LINE_LIMIT + _LONGEST_SECRET:
            yield rest[:LINE_LIMIT]
            rest = rest[LINE_LIMIT:]
    rest = (rest + decoder.decode(b"", final=True)).removesuffix("\r")
    if rest or updates.held:
        yield from _pieces(updates.ended(rest), masked)


class _Updates:
    """A line that may be overwritten before it ends; each method returns what is to be shown, or None."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.held = ""
        self._clock = clock
        self._next = float("-inf")
        self._shown = False

    def overwritten(self, text: str) -> str | None:
        if not text:
            return None
        now = self._clock()
        self._shown = now >= self._next
        if not self._shown:
            self.held = text
            return None
        self.held, self._next = "", now + _UPDATE_SECONDS
        return text

    def ended(self, text: str) -> str | None:
        shown, held = self._shown, self.held
        self._shown, self.held = False, ""
        return text or held or (None if shown else "")


def _pieces(text: str | None, masked: Callable[[str], str]) -> Iterator[str]:
    if text is not None:
        text = masked(text)
        for start in range(0, max(len(text), 1), LINE_LIMIT):
            yield text[start : start + LINE_LIMIT]
