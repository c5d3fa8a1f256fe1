"""What a project says, apart from where it says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass

from ame.spec import Project

__all__ = ["difference"]

_PLACES = {"where", "warnings"}


def difference(before: Project, after: Project, *, auto: str) -> str:
    """The first thing in which two projects differ, as a path such as `tasks.train.executor`; else empty.

    Args:
        auto: the kind that an executor of the kind `auto` is in this folder.
    """
    return _first(_plain(before, auto), _plain(after, auto), "")


def _plain(value: object, auto: str) -> object:
    if is_dataclass(value):
        return {
            field.name: auto if found == "auto" and field.name == "kind" else _plain(found, auto)
            for field in fields(value)
            if field.compare and field.name not in _PLACES
            for found in (getattr(value, field.name),)
        }
    if isinstance(value, Mapping):
        return {key: _plain(each, auto) for key, each in value.items()}
    return [_plain(each, auto) for each in value] if isinstance(value, list | tuple) else value


def _first(before: object, after: object, path: str) -> str:
    if isinstance(before, dict) and isinstance(after, dict):
        if before.keys() != after.keys():
            return path or "the project"
        found = (_first(before[key], after[key], f"{path}.{key}" if path else str(key)) for key in before)
        return next(filter(None, found), "")
    return "" if before == after and type(before) is type(after) else path
