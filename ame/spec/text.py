"""From a file to its text: UTF-8 of a sane size, without characters that no YAML file may hold."""

from __future__ import annotations

import codecs
import os
import re
import stat
from pathlib import Path

from ame.diagnosis import Diagnosis, Refused, Where

__all__ = ["decoded", "line_at", "place_in", "read_bytes", "read_text"]

LARGEST_FILE = 8 * 2**20

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# What YAML 1.1 counts as the end of a line; beside them \r\n, which is one.
_BREAKS = "\n\r\x85\u2028\u2029"
_BREAK = re.compile(f"[{_BREAKS}]")
_BYTE_ORDER_MARKS = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
# An ASCII character as these encodings write it, where no byte order mark tells them.
_WIDE = {
    "UTF-32": re.compile(b"[^\0]\0\0\0|\0\0\0[^\0]"),
    "UTF-16": re.compile(b"[^\0]\0|\0[^\0]"),
}
_NO_FILE = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def read_text(path: Path, shown_as: str) -> str:
    """The text of a file, without a byte order mark at its beginning.

    Args:
        path: the file.
        shown_as: its name in diagnoses.

    Raises:
        Refused: AME-E104 no file, unreadable, too large, not UTF-8, or with a character of binary files.
    """
    return decoded(read_bytes(path, shown_as), shown_as)


def decoded(raw: bytes, shown_as: str) -> str:
    """The text that a file's bytes are, without a byte order mark at its beginning.

    Raises:
        Refused: AME-E104 not UTF-8, or with a character of binary files.
    """
    raw = raw.removeprefix(codecs.BOM_UTF8)
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode()
        place = place_in(before, shown_as, len(before))
        raise Refused(_not_utf8(place, f"The byte 0x{raw[error.start]:02x} is not UTF-8.")) from None
    if odd := _UNPRINTABLE.search(text):
        raise Refused(_odd(raw, place_in(text, shown_as, odd.start()), odd[0]))
    return text


def place_in(text: str, shown_as: str, index: int) -> Where:
    """The line and column of a character, or of the file's end, as PyYAML counts them, too."""
    index = min(index, len(text))
    line = sum(text.count(end, 0, index) for end in _BREAKS) - text.count("\r\n", 0, index)
    start = max(text.rfind(end, 0, index) for end in _BREAKS) + 1
    return Where(shown_as, line + 1, index - start + 1)


def line_at(text: str, start: int) -> str:
    """The line that begins at a character, without its end."""
    end = _BREAK.search(text, start)
    return text[start : end.start() if end else len(text)]


def read_bytes(path: Path, shown_as: str) -> bytes:
    """What a file holds.

    Raises:
        Refused: AME-E104 no file, unreadable, or too large.
    """
    where = Where(shown_as)
    try:
        if kind := _NO_FILE.get(stat.S_IFMT(path.stat().st_mode)):
            raise Refused(_no_file(where, kind))
        # Without waiting: a pipe may take the file's place meanwhile, and some files of /proc are like pipes.
        with open(path, "rb", opener=_without_waiting) as file:  # Path.open takes no opener
            raw = file.read(LARGEST_FILE + 1) or b""
    except OSError as error:
        why = f"{error.strerror or type(error).__name__}."
        fix = "Make it readable to the user that runs this." if isinstance(error, PermissionError) else ""
        if path.is_symlink():
            fix = "It is a link: let it point to a file that can be read."
        raise Refused(
            Diagnosis(code="AME-E104", where=where, what="the file cannot be read.", why=why, fix=fix)
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
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if raw.startswith(mark):
            raise Refused(_not_utf8(where, f"It begins with the byte order mark of {encoding}."))
    return raw


def _without_waiting(name: str, flags: int) -> int:
    return os.open(name, flags | os.O_NONBLOCK)


def _no_file(where: Where, kind: str) -> Diagnosis:
    return Diagnosis(
        code="AME-E104",
        where=where,
        what=f"this is {kind}, not a file.",
        fix="Write the text into a file, and name that.",
    )


def _odd(raw: bytes, place: Where, character: str) -> Diagnosis:
    for encoding, wide in _WIDE.items():
        if wide.match(raw):
            return _not_utf8(place, f"It looks like {encoding}.")
    return Diagnosis(
        code="AME-E104",
        where=place,
        what="the file holds a character that no YAML file may hold.",
        why=f"It is U+{ord(character):04X}; is this a binary file?",
        fix="Delete it.",
    )


def _not_utf8(where: Where, why: str) -> Diagnosis:
    return Diagnosis(
        code="AME-E104", where=where, what="the file is not UTF-8 text.", why=why, fix="Save it as UTF-8."
    )
