"""Reading where rows are: a data set of the project, a path in it, a URI, or a table of a catalog."""

from __future__ import annotations

from typing import NamedTuple

import yaml

from ame.spec.reading import Reading, read_reference, resolve
from ame.spec.scalars_of_rows import holds_password
from ame.spec.section import Section

__all__ = ["Rows", "read_rows", "tells_password"]


class Rows(NamedTuple):
    """Where rows are; all are None when nothing stands there, and one is given otherwise.

    Attributes:
        data_set: name of a data set of this project.
        path: relative to the project folder.
        uri: s3://BUCKET/PREFIX, without a slash at its end.
        table: a name that Spark's catalogs know, such as catalog.schema.table.
    """

    data_set: str | None = None
    path: str | None = None
    uri: str | None = None
    table: str | None = None


def read_rows(reading: Reading, section: Section, key: str) -> Rows:
    """What stands under a key, of which exactly one way must be taken."""
    data = section.section(key)
    if data is None or not section.given(key):
        return Rows()
    ways = data.shape.one_of
    given = [each for each in ways if data.given(each)]
    if len(given) != 1 and data.sound and not data.withheld:
        wanted = ", ".join(f"'{each}'" for each in ways[:-1])
        found = " and ".join(f"'{each}'" for each in given) or "none"
        what = f"{data.owner} must have one of {wanted} and '{ways[-1]}', and has {found}."
        data.error("AME-E129", None, what)
    return Rows(
        data_set=_data_set(reading, section, data),
        path=None if tells_password(data, "path") else data.text("path"),
        uri=None if tells_password(data, "uri") else data.text("uri"),
        table=data.text("table"),
    )


def tells_password(section: Section, key: str) -> bool:
    """Whether an address under a key holds a password; it is reported without it."""
    entry = section.entries.get(key)
    text = entry.value.value if entry is not None and isinstance(entry.value, yaml.ScalarNode) else ""
    if entry is None or not holds_password(text):
        return False
    what = f"'{key}' of {section.owner} holds a password."
    why = "Whoever reads the file knows it."
    fix = "Leave it out and change it: credentials come from the environment or from a block."
    section.problems.add("AME-E135", entry.value, what, why, fix)
    return True


def _data_set(reading: Reading, section: Section, data: Section) -> str | None:
    if not data.given("dataSet"):
        return None
    node = data.entries["dataSet"].value
    reference = read_reference(section.problems, node, f"'dataSet' of {data.owner}")
    if reference is None:
        return None
    return resolve(reading, reference, "data set", section.owner, reading.data_sets)
