"""From a file to its text, with everything refused that no YAML file can be."""

from __future__ import annotations

import re
from pathlib import Path

from ame.diagnosis import Diagnosis, Refused, Where

__all__ = ["decoded", "read_bytes"]

LARGEST_FILE = 8 * 2**20

_BYTE_ORDER_MARKS = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def read_bytes(path: Path, shown_as: str) -> bytes:
    """What a file holds.

    Raises:
        Refused: AME-E104 it cannot be read, or is too large.
    """
    where = Where(shown_as)
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise Refused(
            Diagnosis(code="AME-E104", where=where, what="the file cannot be read.", why=f"{reason}.")
        ) from None
    if len(raw) > LARGEST_FILE:
        raise Refused(
            Diagnosis(
                code="AME-E104",
                where=where,
                what="the file is too large.",
                why=f"An AME file has at most {LARGEST_FILE // 2**20} MiB.",
                fix="Keep data beside it and name it under `dataSets`.",
            )
        )
    return raw


def decoded(raw: bytes, shown_as: str) -> str:
    """The text of a file, without a byte order mark.

    Raises:
        Refused: AME-E104 it is not UTF-8, or holds what no YAML file may hold.
    """
    where = Where(shown_as)
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if raw.startswith(mark):
            raise Refused(_not_utf8(where, f"It begins with the byte order mark of {encoding}."))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8-sig", "replace")) + 1
        place = Where(where.file, line, column)
        raise Refused(_not_utf8(place, f"The byte 0x{raw[error.start]:02x} is not UTF-8.")) from None
    if odd := _UNPRINTABLE.search(text):
        line = text.count("\n", 0, odd.start()) + 1
        column = odd.start() - text.rfind("\n", 0, odd.start())
        raise Refused(
            Diagnosis(
                code="AME-E104",
                where=Where(where.file, line, column),
                what="the file holds a character that no YAML file may hold.",
                why=f"It is U+{ord(odd[0]):04X}; is this a binary file?",
            )
        )
    return text


def _not_utf8(where: Where, why: str) -> Diagnosis:
    return Diagnosis(
        code="AME-E104", where=where, what="the file is not UTF-8 text.", why=why, fix="Save it as UTF-8."
    )
