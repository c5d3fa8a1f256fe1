"""Broken YAML in plain words: where it breaks, what stands there, and the usual reason.

PyYAML's two parsers word the same mistake differently, so the text of the file at the place decides
first and the parser's wording second.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import yaml

from ame.diagnosis import Diagnosis, Where

__all__ = ["explain"]

_LONE_TAG = re.compile(r"\s*!\w+\s*")


class _Reading(NamedTuple):
    what: str
    fix: str
    code: str = "AME-E105"
    # The mistake is where the construct begins, not where the parser gave up.
    at_start: bool = False


def explain(error: yaml.MarkedYAMLError, text: str, shown_as: str) -> Diagnosis:
    """The diagnosis of an error that PyYAML's scanner, parser or composer raised on `text`."""
    end = error.problem_mark or error.context_mark
    start = error.context_mark or end
    if end is None or start is None:
        return Diagnosis(code="AME-E105", where=Where(shown_as), what=f"this is not YAML: {error.problem}.")
    lines = text.splitlines() or [""]
    reading = _by_text(error, lines, start, end) or _by_wording(error, start)
    mark = start if reading.at_start else end
    return Diagnosis(
        code=reading.code,
        where=Where(shown_as, mark.line + 1, mark.column + 1),
        what=reading.what,
        fix=reading.fix,
    )


def _by_text(
    error: yaml.MarkedYAMLError, lines: list[str], start: yaml.Mark, end: yaml.Mark
) -> _Reading | None:
    """What the characters at the place say, whatever the parser calls it."""
    here = _line(lines, end)
    if "\t" in here[: end.column + 1] and not here[: end.column + 1].strip():
        return _Reading("a tab indents this line, which YAML does not allow.", "Indent with spaces.")
    beginning = _line(lines, start)
    if beginning[start.column : start.column + 1] == "*" and "alias" in f"{error.context}{error.problem}":
        return _star(beginning[start.column :], error)
    if _LONE_TAG.fullmatch(beginning) and "simple key" in str(error.context):
        return _Reading(
            f"the tag {beginning.strip()} stands before a key.",
            "A tag belongs after the key, before its value: `executor: !pip {command: python train.py}`.",
            at_start=True,
        )
    character = here[end.column : end.column + 1]
    if character in {"]", "}"} and "parsing a block" in str(error.context):
        return _Reading(f"this {character} closes no bracket.", "Remove it, or open the bracket before it.")
    if character in {"@", "`", "%"} and "start any token" in str(error.problem):
        return _Reading(f"a value cannot begin with {character}.", "Put it in quotes.")
    return None


def _star(rest: str, error: yaml.MarkedYAMLError) -> _Reading:
    if "undefined alias" in str(error.problem):
        alias = rest.split(maxsplit=1)[0]
        return _Reading(
            f"the alias {alias} refers to no anchor above it.",
            f"Write `&{alias[1:]}` where the value stands, or quote the value if a text is meant.",
            at_start=True,
        )
    return _Reading(
        "a value cannot begin with *, which YAML reads as an alias.",
        'Put it in quotes. A cron expression has five fields: `schedule: "*/5 * * * *"`.',
        at_start=True,
    )


def _by_wording(error: yaml.MarkedYAMLError, start: yaml.Mark) -> _Reading:
    context, problem = str(error.context), str(error.problem)
    said = f"{context} {problem}"
    for words, reading in _WORDINGS:
        if re.search(words, said):
            line = start.line + 1
            return reading._replace(
                what=reading.what.format(line=line), fix=reading.fix.replace("{line}", str(line))
            )
    return _Reading(f"this is not YAML: {problem}.", "")


#: Both parsers' wordings, as a pattern; the first that is found counts. {line} is where it begins.
_WORDINGS: tuple[tuple[str, _Reading], ...] = (
    (
        "expected a single document",
        _Reading(
            "a second YAML document begins here, but an AME file is one document.",
            "Remove the line `---`, or put what follows into the ame.yml of another folder.",
            code="AME-E106",
        ),
    ),
    (
        "duplicate anchor",
        _Reading("this anchor stands in the file twice; the first is in line {line}.", "Rename one of them."),
    ),
    (
        "mapping values are not allowed",
        _Reading(
            "a colon stands here where no key can be.",
            "A value that holds `: ` must stand in quotes; a nested key must stand on a line of its own.",
        ),
    ),
    (
        "sequence entries are not allowed",
        _Reading("a dash stands here where no list can begin.", "Begin the list on a line of its own."),
    ),
    (
        "unexpected end of stream",
        _Reading("the quoted text that begins here never ends.", "Close the quotes.", at_start=True),
    ),
    (
        "while parsing a flow (sequence|mapping)",
        _Reading(
            "the list or mapping in brackets that begins here is not closed.",
            "Close the bracket, and put a comma between its entries.",
            at_start=True,
        ),
    ),
    (
        "simple key",
        _Reading(
            "this line is neither a key with a value nor a list entry.",
            "Write `key: value`, with a space after the colon.",
            at_start=True,
        ),
    ),
    (
        "while parsing a block",
        _Reading(
            "the indentation of this line fits nothing above it.",
            "Keys of one mapping, and dashes of one list, stand in the same column; the one in question "
            "begins in line {line}.",
        ),
    ),
    (
        "scanning a block scalar",
        _Reading("a text of several lines begins on the line after | or >.", "Begin a new line here."),
    ),
    (
        "unknown escape character",
        _Reading(
            "in these double quotes a backslash begins no escape that YAML knows.",
            "Use single quotes, in which a backslash is only a backslash.",
            at_start=True,
        ),
    ),
    (
        "found unexpected ':'",
        _Reading("a colon stands here that ends no key.", "Put a space after it: `{training: }`."),
    ),
    (
        "node content",
        _Reading("a value is missing here.", "Add it, or remove the comma or bracket before it."),
    ),
    ("undefined tag handle", _Reading("this tag is not known.", "The executors are `!pip` and `!custom`.")),
)


def _line(lines: list[str], mark: yaml.Mark) -> str:
    return lines[mark.line] if mark.line < len(lines) else ""
