"""Start the Java process of a Spark driver, quietly, and end it."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

__all__ = ["Output", "end_java", "start_java", "variables"]

_KEPT = 40
"""Lines of what Java wrote last, for a diagnosis."""

# What Spark writes at every start and nobody can act on.
_NOISE = re.compile(
    r"WARNING: Using incubator modules|Using Spark's default log4j profile|Setting default log level to"
    r"|To adjust logging level use|Unable to load native-hadoop library|resolves to a loopback address"
    r"|Set SPARK_LOCAL_IP if you need|Service 'SparkUI' could not bind on port"
    r"|Failed to load implementation from: dev\.ludovic\.netlib|^WARNING: package sun\.security\.action"
)


class Output:
    """What the Java process writes: its last lines are kept, and all but the noise go to standard error.

    A thread reads as long as the process lives, so that it never waits for a full pipe.

    Attributes:
        writing_end: the descriptor that the process is to write to; `started` closes it here.
    """

    def __init__(self, masked: Callable[[str], str]) -> None:
        reading_end, self.writing_end = os.pipe()
        self._masked = masked
        self._last: deque[str] = deque(maxlen=_KEPT)
        self._thread = threading.Thread(
            target=self._read, args=(reading_end,), daemon=True, name="spark-output"
        )
        self._thread.start()

    def started(self) -> None:
        """The process has the pipe now, or will never have one."""
        os.close(self.writing_end)

    def say(self, line: str) -> None:
        """Write a line to standard error, as if the process had."""
        shown = self._masked(line)
        self._last.append(shown)
        # The descriptor itself, as a child process has it: sys.stderr may be anything by now.
        with contextlib.suppress(OSError):
            os.write(2, f"{shown}\n".encode())

    def last_lines(self) -> list[str]:
        """What the process said last, oldest first; all of it when it has ended."""
        self._thread.join(timeout=1.0)
        return list(self._last)

    def _read(self, reading_end: int) -> None:
        with open(reading_end, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if _NOISE.search(line):
                    continue
                self.say(line.rstrip("\n"))


def start_java(properties: Mapping[str, str], folder: Path, output: Output) -> Any:
    """A py4j gateway to a new Java process that has read these Spark properties.

    They go through a file that only this user can read: a command line shows them to everybody. The process
    ends with this one, even after a kill -9, because its standard input ends then.

    Args:
        folder: an empty one, for files of the session.

    Raises:
        PySparkRuntimeError: when the process ends before it answers; `output` has its last words.
    """
    from pyspark.java_gateway import launch_gateway

    file = folder / "spark.properties"
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="latin-1") as writing:  # noqa: PTH123
        writing.writelines(f"{_escaped(key)}={_escaped(value)}\n" for key, value in properties.items())
    # What an administrator has set in spark-defaults.conf stays as it is where we say nothing.
    arguments = ["--properties-file", str(file), "--load-spark-defaults"]
    arguments += shlex.split(os.environ.get("PYSPARK_SUBMIT_ARGS", "pyspark-shell"))
    try:
        with variables({"PYSPARK_SUBMIT_ARGS": shlex.join(arguments)}):
            return launch_gateway(popen_kwargs={"stdout": output.writing_end, "stderr": output.writing_end})
    finally:
        output.started()


def end_java(gateway: Any) -> None:
    """End the Java process of a stopped session, so that the next one starts with its own settings."""
    from pyspark import SparkContext

    process: subprocess.Popen[bytes] | None = getattr(gateway, "proc", None)
    if process is None:
        return
    SparkContext._gateway = SparkContext._jvm = None  # noqa: SLF001 - there is no public way
    with contextlib.suppress(Exception):  # what is left of a connection to a process that may be gone
        gateway.shutdown()
    with contextlib.suppress(OSError):
        if process.stdin:
            process.stdin.close()
    try:
        process.wait(timeout=10.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def variables(wanted: Mapping[str, str]) -> Iterator[None]:
    """Set variables of the environment of this process for the block.

    Spark's launcher and PySpark read theirs there and nowhere else.
    """
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _escaped(text: str) -> str:
    """As java.util.Properties reads it: no character of a key or a value means anything."""
    return "".join(
        character
        if character.isascii() and (character.isalnum() or character in "._-/")
        else _unicode(character)
        for character in text
    )


def _unicode(character: str) -> str:
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))
