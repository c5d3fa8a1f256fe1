"""Real ame.yml files with slips: bytes, pieces and lines that are gone, doubled, moved or strange."""

from __future__ import annotations

import random
import re
from pathlib import Path

from tests.spec.test_cases import FOLDER, cases

__all__ = ["CORPUS", "ROOT", "mutated"]

ROOT = Path(__file__).parents[2]


def _corpus() -> tuple[bytes, ...]:
    """Every ame.yml and every YAML block of the repository, with those of tests/spec/corpus."""
    files = [*ROOT.glob("examples/*/ame.yml"), *ROOT.glob("tests/**/ame.yml"), *ROOT.glob("ame/**/ame.yml")]
    files += ROOT.glob("tests/spec/corpus/*")
    found = [file.read_bytes() for file in sorted(files)]
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        blocks = re.findall(r"^```yaml\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
        found += [block.encode() for block in blocks]
    for file in sorted(FOLDER.glob("*.txt")):
        found += [case.text.encode() for case in cases(file)]
    return tuple(found)


CORPUS = _corpus()

# What YAML, encodings or the language give a meaning to.
_PIECES = (
    *(
        piece.encode()
        for piece in (
            *"\n:-?,[]{}#&*!|>'\"%@` ~\t\0\x85\u2028\u2029\ufeffä𝄞\r\x7f\x1b",
            *(
                "\r\n",
                "null",
                "<<: *a\n",
                "<<: [*a, *a]\n",
                "&a ",
                "*a",
                "!pip ",
                "!!binary ",
                "!!set ",
                "- ",
            ),
            *(": ", "---\n", "...\n", "{}", "[]", "''", '""', "|\n", ">-\n", "? ", "\\0", "\\ud800", "\\x"),
            *("%TAG ", "  ", "0", "-1", "1e309", "1e-999", "9" * 50, "99999999Ei", ".inf", "x" * 300, "../"),
            *(
                "* * * * *",
                "Europe/",
                "name",
                "taskRef",
                "fromTemplate",
                "executor",
                "command",
                "env",
                "abTest",
            ),
            *("data", "x.", "a.b.c", "pipeline", "secrets", "!vault ", "!poetry\n", "taskref", "projectid"),
            *("s3://u:p@h/", "spark.", "[" * 70, "- " * 70, "{a: " * 70, "&a [*a]"),
        )
    ),
    *(b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xff\xfe", b"\xf4\x90\x80\x80", b"\xc0\xaf"),
)


def mutated(chance: random.Random, raw: bytes | None = None) -> bytes:
    """A file, by default one of the corpus, with one to six slips of bytes, pieces and lines."""
    raw = chance.choice(CORPUS) if raw is None else raw
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        raw = chance.choice(_SLIPS)(chance, raw)
    return raw


def _span(chance: random.Random, raw: bytes) -> tuple[int, int]:
    start = chance.randrange(len(raw) + 1)
    return start, min(len(raw), start + chance.choice((0, 1, 1, 3, 10, 40, 200)))


def _delete(chance: random.Random, raw: bytes) -> bytes:
    start, end = _span(chance, raw)
    return raw[:start] + raw[end:]


def _insert(chance: random.Random, raw: bytes) -> bytes:
    start, end = _span(chance, raw)
    return raw[:start] + chance.choice(_PIECES) + raw[end:] if chance.random() < 0.5 else (
        raw[:start] + chance.choice(_PIECES) + raw[start:]
    )  # fmt: skip


def _flip(chance: random.Random, raw: bytes) -> bytes:
    start = chance.randrange(len(raw) + 1)
    flipped = bytes([raw[start] ^ (1 << chance.randrange(8))]) if start < len(raw) else b""
    return raw[:start] + flipped + raw[start + 1 :]


def _double(chance: random.Random, raw: bytes) -> bytes:
    start, end = _span(chance, raw)
    return raw[:end] + raw[start:end] * chance.choice((1, 1, 2, 9)) + raw[end:]


def _splice(chance: random.Random, raw: bytes) -> bytes:
    other = chance.choice(CORPUS)
    start, end = _span(chance, other)
    place = chance.randrange(len(raw) + 1)
    return raw[:place] + other[start:end] + raw[place:]


def _join(chance: random.Random, raw: bytes) -> bytes:
    other = chance.choice(CORPUS)
    return raw[: chance.randrange(len(raw) + 1)] + other[chance.randrange(len(other) + 1) :]


def _truncate(chance: random.Random, raw: bytes) -> bytes:
    return raw[: chance.randrange(len(raw) + 1)]


def _shuffle(chance: random.Random, raw: bytes) -> bytes:
    lines = raw.split(b"\n")
    first, second = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[first], lines[second] = lines[second], lines[first]
    return b"\n".join(lines)


def _indent(chance: random.Random, raw: bytes) -> bytes:
    lines = raw.split(b"\n")
    place = chance.randrange(len(lines))
    line = lines[place]
    lines[place] = chance.choice((b" " + line, b"  " + line, b"\t" + line, line[1:], line.lstrip()))
    return b"\n".join(lines)


def _ends(chance: random.Random, raw: bytes) -> bytes:
    return raw.replace(b"\n", chance.choice((b"\r\n", b"\r", "\u2028".encode(), b"\n\n")))


_SLIPS = (_delete, _insert, _insert, _flip, _double, _splice, _join, _truncate, _shuffle, _indent, _ends)
