"""A tag that was written before its key, as AME's own documentation had it, put behind the key."""

from __future__ import annotations

import re

from ame.diagnosis import Refused
from ame.migrate.syntax import BREAK
from ame.spec.words import EXECUTORS

__all__ = ["with_tag_behind_key"]

_CODES = {"AME-E105", "AME-E130"}
_TAG = re.compile(r"(?P<lead> *(?:- +)*)(?P<tag>!\w+)[ \t]*(?P<comment>#.*)?")
_KEY = re.compile(r"(?P<lead> *)executor(?P<rest>[ \t]*:(?![ \t]*[!&*]).*)")
_BOTH = re.compile(r"(?P<lead> *(?:- +)*)(?P<tag>!\w+)[ \t]+executor(?P<rest>[ \t]*:(?![ \t]*[!&*]).*)")
_SKIPPED = re.compile(r"[ \t]*(?:#.*)?")


def with_tag_behind_key(text: str, refused: Refused) -> str | None:
    """The text with one tag behind the `executor` that it stands before; None when that is not what is wrong.

    Only a line that a diagnosis names is touched, and only for a tag that is an executor's.
    """
    lines = [*BREAK.split(text)]
    breaks = [*BREAK.findall(text), ""]
    for diagnosis in refused.diagnoses:
        if diagnosis.code in _CODES and diagnosis.where and diagnosis.where.line:
            repaired = _repaired(lines, breaks, diagnosis.where.line - 1)
            if repaired is not None:
                return repaired
    return None


def _repaired(lines: list[str], breaks: list[str], place: int) -> str | None:
    found = _BOTH.fullmatch(lines[place]) or _TAG.fullmatch(lines[place])
    if found is None or found["tag"][1:].lower() not in EXECUTORS.kinds:
        return None
    lines, breaks = [*lines], [*breaks]
    if "rest" in found.groupdict():
        lines[place] = f"{found['lead']}{_behind(found['rest'], found['tag'])}"
        return _joined(lines, breaks)
    below = place + 1
    while below < len(lines) and _SKIPPED.fullmatch(lines[below]):
        below += 1
    key = _KEY.fullmatch(lines[below]) if below < len(lines) else None
    if key is None or len(key["lead"]) != len(found["lead"]):
        return None
    said = _behind(key["rest"], found["tag"])
    comment = [f"{key['lead']}{found['comment']}"] if found["comment"] else []
    # A dash stays with the first key of its entry; comments go above.
    lines[place : below + 1] = [*comment, *lines[place + 1 : below], f"{found['lead']}{said}"]
    breaks[place : below + 1] = breaks[place + 1 - len(comment) : below + 1]
    return _joined(lines, breaks)


def _behind(rest: str, tag: str) -> str:
    colon = rest.index(":") + 1
    return f"executor{rest[:colon]} {tag}{rest[colon:]}"


def _joined(lines: list[str], breaks: list[str]) -> str:
    return "".join(line + end for line, end in zip(lines, breaks, strict=True))
