"""What differs between two base job templates, in words that name no value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["differences"]


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """The variables, then the paths of the Job, that the two templates do not share.

    Values are left out on purpose: a default may be an address or a key that somebody put there.
    """
    before, after = _variables(old), _variables(new)
    changed = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    told = [
        f"{name} (new)" if name not in before else f"{name} (gone)" if name not in after else name
        for name in changed
    ]
    paths = _paths(old.get("job_configuration") or {}, new.get("job_configuration") or {}, "")
    return (*told, *dict.fromkeys(paths))


def _variables(template: Mapping[str, Any]) -> Mapping[str, Any]:
    found = (template.get("variables") or {}).get("properties")
    return found if isinstance(found, Mapping) else {}


def _paths(old: Any, new: Any, place: str) -> Iterator[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from _paths(old.get(key), new.get(key), f"{place}.{key}" if place else key)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (left, right) in enumerate(zip(old, new, strict=True)):
            yield from _paths(left, right, f"{place}[{number}]")
    elif old != new:
        yield place
