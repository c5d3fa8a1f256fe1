"""Cron expressions and time zones, as Prefect reads them: five fields, names, ranges, steps, lists."""

from __future__ import annotations

import zoneinfo
from functools import lru_cache
from typing import NamedTuple

from ame.spec.problems import Unreadable, shown

__all__ = ["read_cron", "read_timezone"]


class _Field(NamedTuple):
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field(
        "month", 1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
    ),
    _Field("day of the week", 0, 7, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)
_LONGEST_MONTH = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}
_SHORTCUTS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_FIVE = "A cron expression has five fields: minute, hour, day of the month, month, day of the week."


@lru_cache(maxsize=1024)
def read_cron(text: str) -> str:
    """The expression with single spaces between its fields.

    Raises:
        Unreadable: AME-E119.
    """
    fields = text.split()
    if shortcut := _SHORTCUTS.get(text.strip().lower()):
        raise _bad("Shortcuts are not read.", f'Write "{shortcut}".')
    if len(fields) != len(_FIELDS):
        raise _bad(_FIVE, _hint_for_count(text, fields))
    values = [_values(field, part) for field, part in zip(_FIELDS, fields, strict=True)]
    days, months = values[2], values[3]
    if fields[4] == "*" and not any(min(days) <= _LONGEST_MONTH.get(month, 31) for month in months):
        raise _bad("No month of this expression has this day, so it would never fire.")
    return " ".join(fields)


@lru_cache(maxsize=256)
def read_timezone(text: str) -> str:
    """An IANA time zone's name that the system's or the tzdata package's database holds.

    Raises:
        Unreadable: AME-E120.
    """
    # These load and name no place: the machine's own zone, and copies of the database.
    if text != "localtime" and not text.startswith(("posix", "right/", "Factory")):
        try:
            return zoneinfo.ZoneInfo(text).key
        except (KeyError, ValueError, OSError):
            pass
    why = "A time zone is a name of the IANA database, such as UTC or Europe/Berlin."
    raise Unreadable("AME-E120", why, known=_time_zones())


@lru_cache(maxsize=1)
def _time_zones() -> frozenset[str]:
    """Kept, because looking for them opens every file of the database."""
    return frozenset(zoneinfo.available_timezones())


def _values(field: _Field, part: str) -> set[int]:
    values: set[int] = set()
    for item in part.split(","):
        span, slash, step = item.partition("/")
        if slash and not (_is_number(step) and 1 <= int(step) <= field.high):
            raise _bad(f"The step of {shown(item)} ({field.name}) is no number from 1 to {field.high}.")
        low, high = _span(field, span)
        if slash and low == high:
            high = field.high
        values.update(range(low, high + 1, int(step) if slash else 1))
    return values


def _span(field: _Field, span: str) -> tuple[int, int]:
    if span == "*":
        return field.low, field.high
    first, dash, last = span.partition("-")
    low = _number(field, first)
    high = _number(field, last) if dash else low
    if high < low:
        raise _bad(
            f"The range {shown(span)} ({field.name}) runs backwards.", "Write it as two, divided by a comma."
        )
    return low, high


def _number(field: _Field, text: str) -> int:
    if text.lower() in field.names:
        return field.names.index(text.lower()) + field.low
    if not _is_number(text) or not field.low <= int(text) <= field.high:
        names = f" or a name such as {field.names[0]}" if field.names else ""
        raise _bad(f"{shown(text)} is no {field.name}, which is {field.low} to {field.high}{names}.")
    return int(text)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 2


def _hint_for_count(text: str, fields: list[str]) -> str:
    if set(text) == {"*"} and len(text) == len(_FIELDS):
        return 'Put spaces between the stars: "* * * * *".'
    if len(fields) == len(_FIELDS) + 1:
        return "Six fields would begin with seconds, which are not scheduled here; leave one out."
    return ""


def _bad(why: str, fix: str = "") -> Unreadable:
    return Unreadable("AME-E119", why, fix)
