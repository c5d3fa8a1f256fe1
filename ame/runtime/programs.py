"""Folders that hold one program each, for the front of a command's PATH."""

from __future__ import annotations

import hashlib
import os
import shlex
import uuid
from pathlib import Path

from ame.local.home import cache_folder
from ame.runtime.environment_cache import writing

__all__ = ["folder_of_program", "folder_of_script"]


def folder_of_program(program: Path) -> Path:
    """A folder in which a program stands under its own name, and nothing of what lies beside it.

    Raises:
        Refused: AME-E209, when there is no place for it.
    """
    return folder_of_script(program.name, f'exec {shlex.quote(str(program))} "$@"\n')


def folder_of_script(name: str, script: str) -> Path:
    """A folder in which a shell script stands as a program of this name.

    Raises:
        Refused: AME-E209, when there is no place for it.
    """
    text = f"#!/bin/sh\n{script}"
    folder = cache_folder() / "programs" / hashlib.sha256(text.encode()).hexdigest()[:20]
    place = folder / name
    with writing(folder):
        if not place.exists():
            folder.mkdir(parents=True, exist_ok=True)
            filling = folder / f".{uuid.uuid4().hex}"
            filling.write_text(text)
            filling.chmod(0o755)
            os.replace(filling, place)  # noqa: PTH105  # whole or not at all, whoever else makes it
    return folder
