"""What the executors hold: their Python and its packages, asked before work is sent to them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ame.diagnosis import Diagnosis, Refused
from ame.spark.requirements import missing_packages

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["ExecutorEnvironment", "ask_executors", "executor_environments", "missing_packages"]

_SHOWN_HOSTS = 3
_TASKS_A_SLOT = 2
_MOST_TASKS = 1000


@dataclass(frozen=True, slots=True)
class ExecutorEnvironment:
    """The Python that some executors run tasks with.

    Attributes:
        host: where, sorted; "a, b, c and 5 more" when there are many.
        python: its minor version, such as "3.11".
        packages: versions by canonical name ("scikit-learn").
    """

    host: str
    python: str
    packages: Mapping[str, str]


def executor_environments(spark: SparkSession) -> tuple[ExecutorEnvironment, ...]:
    """The different environments that a probe job sees, by their first host.

    The job has more tasks than there are slots, so that each executor that is there gets one; those that come
    later are not seen.

    Raises:
        Refused: AME-E539 when no Python of theirs can answer, mostly because it is of another version.
    """

    # Inside a function: it is sent as it is, to executors that need not have this module.
    def look(_: Any) -> Any:
        import socket
        import sys
        from importlib.metadata import distributions

        found: dict[str, str] = {}
        for distribution in distributions():
            name = distribution.metadata["Name"]
            if name:
                # The first one on the path is what an import would find.
                found.setdefault(str(name), str(distribution.version))
        yield socket.gethostname(), "{}.{}".format(*sys.version_info[:2]), tuple(sorted(found.items()))

    hosts: dict[tuple[str, tuple[tuple[str, str], ...]], set[str]] = defaultdict(set)
    for host, python, packages in ask_executors(spark, look):
        hosts[python, packages].add(host)
    return tuple(
        ExecutorEnvironment(_shown(where), python, {_canonical(name): held for name, held in packages})
        for (python, packages), where in sorted(hosts.items(), key=lambda found: sorted(found[1]))
    )


def ask_executors(spark: SparkSession, look: Any) -> list[Any]:
    """What `look(rows)`, a generator, yields in tasks that reach every executor that is there.

    Raises:
        Refused: AME-E539 when the tasks fail.
    """
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException

    context = spark.sparkContext
    tasks = min(_MOST_TASKS, _TASKS_A_SLOT * max(1, context.defaultParallelism))

    def patiently(rows: Any) -> Any:
        import time

        # Else one executor that is quick could take all tasks.
        time.sleep(0.05)
        return look(rows)

    try:
        found: list[Any] = context.parallelize(range(tasks), tasks).mapPartitions(patiently).collect()
    except (Py4JJavaError, PySparkException) as problem:
        raise _refused(str(problem)) from None
    return found


def _refused(text: str) -> Refused:
    versions = re.search(
        r"Python in worker has different version: (\S+?) than that in driver: (\S+?)[,. ]", text
    )
    python = re.search(r'Cannot run program "([^"]+)"', text)
    last = re.findall(r"^(\w+(?:\.\w+)*(?:Error|Exception): .+)$", text, re.MULTILINE)
    if versions:
        why = f"They run Python {versions[1]}, and this process runs {versions[2]}."
    elif python:
        why = f"They have no program {python[1]}, which was to be their Python."
    else:
        why = f"The last that was said: {last[-1].strip()}" if last else text.strip().splitlines()[0]
    return Refused(
        Diagnosis(
            code="AME-E539",
            what="the executors of Spark cannot be asked what they hold.",
            why=why,
            fix="Give them this process's Python: by `spark: {image: ...}` on Kubernetes, by "
            "`spark: {archive: ...}` (venv-pack or conda-pack), or by its path in PYSPARK_PYTHON where it is "
            "installed on every host.",
        )
    )


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _shown(hosts: set[str]) -> str:
    ordered = sorted(hosts)
    more = len(ordered) - _SHOWN_HOSTS
    return ", ".join(ordered[:_SHOWN_HOSTS]) + (f" and {more} more" if more > 0 else "")
