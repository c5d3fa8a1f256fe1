"""Reading where rows are: a data set of the project, a path in it, a URI, or a table of a catalog."""

from __future__ import annotations

import re
from typing import NamedTuple

import yaml

from ame.spec import words
from ame.spec.problems import Unreadable
from ame.spec.reading import Reading, Reference, resolve
from ame.spec.scalars import read_path
from ame.spec.section import Section, Shape

__all__ = ["Rows", "holds_password", "read_rows", "tells_password"]

_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
# A user and a password before the host. The password may hold a slash, as AWS's secret keys do; what is all
# digits up to a slash, a comma or the end is a port.
_PASSWORD = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/@:]*:(?![0-9]+(?:[/,]|$))[^@]*@", re.DOTALL)
# Hadoop has three names for S3 and the Python world one.
_S3 = ("s3", "s3a", "s3n")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
_TABLE = re.compile(r"(?:\w+|`[^`]+`)(?:\.(?:\w+|`[^`]+`)){0,7}")


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


def read_rows(reading: Reading, section: Section, key: str, shape: Shape = words.AB_TEST_DATA) -> Rows:
    """What stands under a key, of which exactly one way must be taken."""
    data = section.section(key, shape)
    if data is None or not section.given(key):
        return Rows()
    ways = [each for each in ("dataSet", "path", "uri", "table") if each in shape.known]
    given = [each for each in ways if data.given(each)]
    if len(given) != 1 and data.sound and not data.withheld:
        wanted = ", ".join(f"'{each}'" for each in ways[:-1])
        found = " and ".join(f"'{each}'" for each in given) or "none"
        what = f"{data.owner} must have one of {wanted} and '{ways[-1]}', and has {found}."
        data.error("AME-E129", None, what)
    return Rows(
        data_set=_data_set(reading, section, data),
        path=None if tells_password(data, "path") else data.read("path", _read_path),
        uri=None if tells_password(data, "uri") else data.read("uri", _read_uri),
        table=data.read("table", _read_table),
    )


def holds_password(text: str) -> bool:
    """Whether there is an address with a password in a text; it is then never shown."""
    return _PASSWORD.search(text) is not None


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
    name = data.text("dataSet")
    if name is None:
        return None
    reference = Reference(name, None, data.entries["dataSet"].value)
    return resolve(reading, reference, "data set", section.owner, reading.data_sets)


def _read_path(text: str) -> str:
    if _URI.match(text):
        why = "A path is relative to the project folder and stays inside it."
        raise Unreadable("AME-E122", why, "Name a URI with `uri`.")
    return read_path(text)


def _read_uri(text: str) -> str:
    """`s3://BUCKET/PREFIX`, also where Hadoop's `s3a://` or `s3n://` stands."""
    found = _URI.fullmatch(text)
    if found is None:
        fix = "Name a file or folder of the project with `path`."
        raise Unreadable(
            "AME-E134", "A URI such as s3://bucket/prefix is wanted.", fix if text.strip() else ""
        )
    scheme, place = found[1].lower(), found[2]
    if scheme not in _S3:
        raise Unreadable("AME-E134", "A URI is read from S3 only, as s3://bucket/prefix.", _elsewhere(scheme))
    bucket, _, prefix = place.partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise Unreadable("AME-E134", "A bucket's name has 3 to 255 letters, digits, '.', '-' and '_'.")
    if not prefix.isprintable():
        raise Unreadable("AME-E134", "A prefix has printable characters only.")
    if any(sign in prefix for sign in "*?[{"):
        fix = "Name the folder: all parquet or CSV files below it are read."
        raise Unreadable("AME-E134", "Patterns are not read.", fix)
    return f"s3://{place}".rstrip("/")


def _elsewhere(scheme: str) -> str:
    """What to do about rows that lie in another file system."""
    if scheme == "file":
        return "Name a file or folder of the project with `path`."
    if scheme in ("http", "https", "ftp"):
        return "Make it a data set whose task downloads the file, and name it with `dataSet`."
    return "Make them a table of a catalog that Spark knows, and name it with `table`."


def _read_table(text: str) -> str:
    if not _TABLE.fullmatch(text) or not text.isprintable():
        raise Unreadable(
            "AME-E116",
            "The name of a table is wanted, such as catalog.schema.table; a part that is more than letters, "
            "digits and '_' stands in backquotes.",
        )
    return text
