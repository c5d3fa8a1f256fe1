"""What the texts become that say where rows are: paths, URIs and tables; addresses that hold a password."""

from __future__ import annotations

import re

from ame.spec.problems import Unreadable
from ame.spec.scalars import read_path

__all__ = ["BUCKET", "S3", "holds_password", "read_rows_path", "read_table", "read_uri"]

_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
# A user and a password before the host. The password may hold a slash, as AWS's secret keys do; what is all
# digits up to a slash, a comma or the end is a port.
_PASSWORD = re.compile(r"(?<=[A-Za-z0-9+.-])://[^/@:]*:(?![0-9]+[/,])")
# Hadoop has three names for S3 and the Python world one.
S3 = ("s3", "s3a", "s3n")
BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
_TABLE = re.compile(r"(?:\w+|`[^`]+`)(?:\.(?:\w+|`[^`]+`)){0,7}")


def holds_password(text: str) -> bool:
    """Whether there is an address with a password in a text; it is then never shown."""
    # Up to the last @, so that each address is looked at once: a text may hold ten thousand.
    return _PASSWORD.search(text, 0, text.rfind("@") + 1) is not None


def read_rows_path(text: str) -> str:
    """A path below the project folder, and no URI."""
    if _URI.match(text):
        why = "A path is relative to the project folder and stays inside it."
        raise Unreadable("AME-E122", why, "Name a URI with `uri`.")
    return read_path(text)


def read_uri(text: str) -> str:
    """`s3://BUCKET/PREFIX`, also where Hadoop's `s3a://` or `s3n://` stands."""
    found = _URI.fullmatch(text)
    if found is None:
        fix = "Name a file or folder of the project with `path`."
        raise Unreadable(
            "AME-E134", "A URI such as s3://bucket/prefix is wanted.", fix if text.strip() else ""
        )
    scheme, place = found[1].lower(), found[2]
    if scheme not in S3:
        raise Unreadable("AME-E134", "A URI is read from S3 only, as s3://bucket/prefix.", _elsewhere(scheme))
    bucket, _, prefix = place.partition("/")
    if not BUCKET.fullmatch(bucket):
        raise Unreadable("AME-E134", "A bucket's name has 3 to 255 letters, digits, '.', '-' and '_'.")
    if not prefix.isprintable():
        raise Unreadable("AME-E134", "A prefix has printable characters only.")
    if any(sign in prefix for sign in "*?[{"):
        fix = "Name the folder: all parquet or CSV files below it are read."
        raise Unreadable("AME-E134", "Patterns are not read.", fix)
    return f"s3://{place}".rstrip("/")


def read_table(text: str) -> str:
    """The name of a table of a catalog."""
    if not _TABLE.fullmatch(text) or not text.isprintable():
        raise Unreadable(
            "AME-E116",
            "The name of a table is wanted, such as catalog.schema.table; a part that is more than letters, "
            "digits and '_' stands in backquotes.",
        )
    return text


def _elsewhere(scheme: str) -> str:
    """What to do about rows that lie in another file system."""
    if scheme == "file":
        return "Name a file or folder of the project with `path`."
    if scheme in ("http", "https", "ftp"):
        return "Make it a data set whose task downloads the file, and name it with `dataSet`."
    return "Make them a table of a catalog that Spark knows, and name it with `table`."
