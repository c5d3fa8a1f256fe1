"""Broken YAML in plain words: where it breaks, what stands there, and the usual reason.

PyYAML's two parsers word the same mistake differently, so the text of the file at the place decides
first and the parser's wording second.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

import yaml

from ame.diagnosis import Diagnosis, Where, did_you_mean
from ame.spec.problems import cut
from ame.spec.text import line_at, place_in
from ame.spec.yaml_wordings import DIRECTIVE_FIX, TAG_FIX, Reading, by_wording

__all__ = ["explain", "explain_undecoded"]

_LONE_TAG = re.compile(r"\s*(!\S+)\s*(?:#.*)?")
_EXECUTOR = re.compile(r"\s*executor[ \t]*:\s")
_GLUED_TAG = re.compile(r"(![\w.-]{1,60})[\[{\"'|>]")
_ALIAS = re.compile(r"\*[0-9A-Za-z_-]+")
_ANCHOR = re.compile(r"&([0-9A-Za-z_-]{1,60})(?=\s)")
_END_OF_DOCUMENT = re.compile(r"^\.\.\.(?=\s)", re.MULTILINE)
_DIRECTIVE = re.compile(r"^%", re.MULTILINE)
_ESCAPED = re.compile(r"[^\s%]*(?:%[0-9A-Fa-f]{2}[^\s%]*)+")
_MOST_ANCHORS = 1000
_BYTE_ORDER_MARK = "\ufeff"


def explain(error: yaml.MarkedYAMLError, text: str, shown_as: str) -> Diagnosis:
    """The diagnosis of an error that PyYAML's scanner, parser or composer raised on `text`."""
    end = error.problem_mark or error.context_mark
    start = error.context_mark or end
    if end is None or start is None:
        return _not_yaml(str(error.problem), Where(shown_as))
    said = f"{error.context} {error.problem}"
    reading = _by_text(said, text, start, end) or by_wording(said, start.line + 1)
    if reading is None:
        return _not_yaml(str(error.problem), place_in(text, shown_as, end.index))
    mark = start if reading.at_start else end
    # By its index: where the file ends, libyaml goes on to a line that is not there.
    where = place_in(text, shown_as, mark.index if reading.at is None else reading.at)
    return Diagnosis(code=reading.code, where=where, what=reading.what, fix=reading.fix)


def explain_undecoded(error: ValueError, text: str, shown_as: str) -> Diagnosis:
    """The diagnosis of what PyYAML could not make a text or number of, such as a tag's `%ed%a0%80`."""
    for found in _ESCAPED.finditer(text):
        try:
            unquote_to_bytes(found[0]).decode()
        except UnicodeDecodeError:
            where = place_in(text, shown_as, found.start())
            return Diagnosis(code="AME-E105", where=where, what="this tag cannot be read.", fix=TAG_FIX)
    return _not_yaml(str(error), Where(shown_as))


def _not_yaml(problem: str, where: Where) -> Diagnosis:
    return Diagnosis(code="AME-E105", where=where, what=f"this is not YAML: {cut(problem)}.")


def _by_text(said: str, text: str, start: yaml.Mark, end: yaml.Mark) -> Reading | None:
    """What the characters at the place say, whatever the parser calls it."""
    here = line_at(text, end.index - end.column)
    until = here[: end.column + 1]
    if _BYTE_ORDER_MARK in until:
        return Reading(
            "a byte order mark (U+FEFF), which cannot be seen, stands in the middle of the file.",
            "Delete it; it is often left where files were put together.",
            at=text.index(_BYTE_ORDER_MARK, end.index - end.column),
        )
    if here.rstrip() == "..." and "node content" in said:
        return Reading(
            "a line `...`, which ends a YAML document, stands where a value is missing.", "Remove it."
        )
    if "\t" in until and not until.strip():
        return Reading("a tab indents this line, which YAML does not allow.", "Indent with spaces.")
    if "<document start>" in said:
        return _behind_the_end(text, end.index)
    reading = _by_beginning(said, text, start) or _by_character(here[end.column : end.column + 1], said)
    if reading is None and "parsing a block" in said and here[: end.column].strip(" -"):
        return Reading(
            "this stands behind a value that has ended before it.",
            "Put the whole value in quotes, or begin a new line here.",
        )
    return reading


def _by_beginning(said: str, text: str, start: yaml.Mark) -> Reading | None:
    """What the characters say with which the construct begins."""
    line = line_at(text, start.index - start.column)
    rest = line[start.column :]
    if rest.startswith("*") and "alias" in said:
        return _star(said, text, rest, start.index)
    if "simple key" in said and (tag := _LONE_TAG.fullmatch(line)):
        above = _EXECUTOR.match(text, start.index - start.column + len(line))
        form = f"executor: {cut(tag[1])}" if above else "executor: !pip {command: python train.py}"
        return Reading(
            f"the tag {cut(tag[1])} stands before a key.",
            f"A tag belongs after the key, before its value: `{form}`.",
            at_start=True,
        )
    if "ing a tag" in said and (glued := _GLUED_TAG.match(rest)):
        return Reading(
            f"a space is missing between the tag {glued[1]} and its value.",
            "Write it: `executor: !pip {command: python train.py}`.",
        )
    return None


def _by_character(character: str, said: str) -> Reading | None:
    """What the character says at which the parser gave up; "" is the end of a line."""
    if not character:
        inside = "flow node" in said
        return Reading("the file ends inside of brackets.", "Close the bracket.") if inside else None
    for characters, words, reading in _AT_CHARACTERS:
        if character in characters and words in said:
            return reading._replace(what=reading.what.format(character))
    return None


#: Characters, words of both parsers, and what it is that such a character stands there.
_AT_CHARACTERS = (
    (
        "]}",
        "parsing a block",
        Reading("this {} closes no bracket.", "Remove it, or open the bracket before it."),
    ),
    (":", "parsing a block", Reading("a colon stands here without a key before it.", "Write `key: value`.")),
    ("@`%", "start any token", Reading("a value cannot begin with {}.", "Put it in quotes.")),
    ("\t", "start any token", Reading("a tab stands here where YAML wants spaces.", "Write spaces.")),
    (
        "|>",
        "start any token",
        Reading("a text of several lines ({}) cannot stand inside of brackets.", "Put it in quotes."),
    ),
)


def _star(said: str, text: str, rest: str, index: int) -> Reading:
    found = _ALIAS.match(rest)
    if found and "undefined alias" in said:
        alias = cut(found[0])
        # Only the nearest: among ten thousand anchors the search for one would take seconds.
        anchors = _ANCHOR.findall(text[:index])[-_MOST_ANCHORS:]
        near = did_you_mean(alias, [f"*{anchor}" for anchor in anchors])
        return Reading(
            f"the alias {alias} refers to no anchor above it.",
            near or f"Write `&{alias[1:]}` where the value stands, or quote the value if a text is meant.",
            at_start=True,
        )
    return Reading(
        "a value cannot begin with *, which YAML reads as an alias.",
        'Put it in quotes. A cron expression has five fields: `schedule: "*/5 * * * *"`.',
        at_start=True,
    )


def _behind_the_end(text: str, index: int) -> Reading:
    """Something follows where the document has ended, or has not begun."""
    if _END_OF_DOCUMENT.search(text, 0, index):
        return Reading(
            "a line `...` has ended the file's YAML document, and here follows something.",
            "Remove the line `...`.",
            code="AME-E106",
        )
    if directive := _DIRECTIVE.search(text, 0, index):
        return Reading(
            "a line that begins with % is a directive to YAML, and no line `---` follows it.",
            DIRECTIVE_FIX,
            at=directive.start(),
        )
    return Reading(
        "this belongs to no key: the file's one value has ended before it.",
        "Write `key: value` lines from the beginning of the file.",
    )
