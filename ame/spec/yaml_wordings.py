"""What PyYAML's two parsers say about broken YAML, and what it means to whoever wrote the file."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["DIRECTIVE_FIX", "TAG_FIX", "Reading", "by_wording"]


class Reading(NamedTuple):
    """A mistake: what it is, what to do, and where it is.

    Attributes:
        at_start: it is where the construct begins, not where the parser gave up.
        at: or it is at this character of the file.
    """

    what: str
    fix: str
    code: str = "AME-E105"
    at_start: bool = False
    at: int | None = None


def by_wording(said: str, line: int) -> Reading | None:
    """What a wording means; None for one that is not known here.

    Args:
        said: the parser's context and problem.
        line: where the construct begins, counted from 1.
    """
    for words, reading in _WORDINGS:
        if re.search(words, said):
            return reading._replace(
                what=reading.what.format(line=line), fix=reading.fix.replace("{line}", str(line))
            )
    return None


DIRECTIVE_FIX = "Leave the line out: an AME file needs no directive."
TAG_FIX = (
    "A tag is ! and a word, such as `executor: !pip {command: python train.py}`; a text that begins with ! "
    "stands in quotes."
)

#: Both parsers' wordings, as a pattern; the first that is found counts. {line} is where it begins.
_WORDINGS: tuple[tuple[str, Reading], ...] = (
    (
        "expected a single document",
        Reading(
            "a second YAML document begins here, but an AME file is one document.",
            "Remove the line `---`, or put what follows into the ame.yml of another folder.",
            code="AME-E106",
        ),
    ),
    (
        "duplicate anchor",
        Reading("this anchor stands in the file twice; the first is in line {line}.", "Rename one of them."),
    ),
    (
        "incompatible YAML",
        Reading("this line asks for a version of YAML that is not read.", DIRECTIVE_FIX, at_start=True),
    ),
    (
        "directive|duplicate tag handle",
        Reading("this directive to YAML cannot be read.", DIRECTIVE_FIX, at_start=True),
    ),
    (
        "scanning an anchor",
        Reading(
            "what begins with & is an anchor, whose name has only letters (a-z, A-Z), digits, - and _.",
            "Rename it, or put the value in quotes if a text is meant.",
            at_start=True,
        ),
    ),
    ("(scanning|parsing) a tag", Reading("this tag cannot be read.", TAG_FIX, at_start=True)),
    (
        "mapping values are not allowed",
        Reading(
            "a colon stands here where no key can be.",
            "A value that holds `: ` must stand in quotes; a nested key must stand on a line of its own.",
        ),
    ),
    (
        "mapping keys are not allowed",
        Reading("a question mark stands here where no key can be.", "Put the value in quotes."),
    ),
    (
        "sequence entries are not allowed",
        Reading("a dash stands here where no list can begin.", "Begin the list on a line of its own."),
    ),
    (
        "unexpected (end of stream|document)",
        Reading("the quoted text that begins here never ends.", "Close the quotes.", at_start=True),
    ),
    (
        "while parsing a flow (sequence|mapping)",
        Reading(
            "the list or mapping in brackets that begins here is not closed.",
            "Close the bracket, and put a comma between its entries.",
            at_start=True,
        ),
    ),
    (
        "simple key",
        Reading(
            "this line is neither a key with a value nor a list entry.",
            "Write `key: value`, with a space after the colon.",
            at_start=True,
        ),
    ),
    (
        "node content",
        Reading("a value is missing here.", "Add it, or remove the comma or bracket before it."),
    ),
    (
        "while parsing a block",
        Reading(
            "the indentation of this line fits nothing above it.",
            "Keys of one mapping, and dashes of one list, stand in the same column; the one in question "
            "begins in line {line}.",
        ),
    ),
    (
        "scanning a block scalar",
        Reading("a text of several lines begins on the line after | or >.", "Begin a new line here."),
    ),
    (
        "escape|hexadecimal|hexdecimal",
        Reading(
            "in these double quotes a backslash begins no escape that YAML knows.",
            "Use single quotes, in which a backslash is only a backslash.",
            at_start=True,
        ),
    ),
    (
        "found unexpected ':'",
        Reading("a colon stands here that ends no key.", "Put a space after it: `{training: }`."),
    ),
    ("undefined tag handle", Reading("this tag is not known.", TAG_FIX)),
)
