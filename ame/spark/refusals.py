"""Why no session is opened: the checks before it, and what is said when Spark does not start."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

from ame.diagnosis import Diagnosis, Refused
from ame.spark.properties import addresses_of
from ame.spark.settings import SparkSettings, problems_with

__all__ = [
    "another_master",
    "did_not_start",
    "refuse_bad_settings",
    "refuse_unreachable",
    "refuse_without_name",
    "refuse_without_spark",
    "refused_connect",
]

_KNOCKING = 10.0
"""Seconds for one address of a master to answer."""

_SHOWN = 12
"""Lines of what Java wrote last."""


def refuse_without_spark() -> None:
    """Raises Refused, AME-E532, when there is no pyspark, or only the client of Spark Connect."""
    install = "`pip install 'ame-flows[spark]'`"
    if find_spec("pyspark") is None:
        raise Refused(
            Diagnosis(
                code="AME-E532",
                what="Spark is asked for, and the package pyspark is not installed.",
                fix=f"Install ame-flows with its extra `spark`: {install}.",
            )
        )
    from pyspark.util import is_remote_only

    if is_remote_only():
        raise Refused(
            Diagnosis(
                code="AME-E532",
                what="Spark is asked for, and only its Connect client (pyspark-client) is installed.",
                why="A classic session is needed, which runs Spark's driver in this process.",
                fix=f"Install ame-flows with its extra `spark` where pyspark-client is not: {install}.",
            )
        )


def refuse_without_name() -> None:
    """Raises Refused, AME-E537, for a user id without a name: Hadoop's login in Spark's driver wants one."""
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        raise Refused(
            Diagnosis(
                code="AME-E537",
                what="Spark would not start for this user.",
                why=f"Its Java wants the name of the user {os.getuid()}, and /etc/passwd has none.",
                fix="In a pod, use an image that knows the user, as that of infra/docker knows 1000.",
            )
        ) from None


def refuse_bad_settings(settings: SparkSettings) -> None:
    """Raises Refused, AME-E535 for an address of Spark Connect, AME-E534 for each other problem."""
    if settings.master is not None and settings.master.startswith("sc://"):
        raise refused_connect("the Spark master is an address of Spark Connect (sc://).")
    problems = tuple(problems_with(settings))
    if problems:
        raise Refused(
            *(
                Diagnosis(
                    code="AME-E534",
                    what="no Spark session can be made of these settings.",
                    why=problem[0].upper() + problem[1:],
                    fix="Correct the section `spark` of the A/B test, or the block SparkSession.",
                )
                for problem in problems
            )
        )


def refused_connect(what: str) -> Refused:
    return Refused(
        Diagnosis(
            code="AME-E535",
            what=what,
            why="Progress, cancellation and broadcasts need a classic session, whose driver is this process.",
            fix="Open a classic session (spark://HOST:PORT, k8s, yarn or local[*]), or leave the session to "
            "ame-flows and unset SPARK_REMOTE.",
        )
    )


def another_master(wanted: SparkSettings, actual: str) -> Refused:
    return Refused(
        Diagnosis(
            code="AME-E538",
            what=f"a Spark session of the master {actual} is active in this process.",
            why=f"The master {wanted.master} is asked for, and a process has one Spark driver.",
            fix="Stop the active session first, or leave the master out to use it.",
        )
    )


def refuse_unreachable(master: str) -> None:
    """Knock at the master's door: Spark itself would try for many minutes.

    Raises:
        Refused: AME-E536 when none of its addresses takes a connection.
    """
    problems = []
    for host, port in addresses_of(master):
        try:
            socket.create_connection((host, port), timeout=_KNOCKING).close()
        except OSError as problem:
            problems.append(f"{host}:{port}: {_reason(problem)}.")
        else:
            return
    if problems:
        raise Refused(
            Diagnosis(
                code="AME-E536",
                what=f"the Spark master {master} cannot be reached from this machine.",
                why=" ".join(problems),
                fix="Start it, or correct the address; a network policy or a firewall may stand between.",
            )
        )


def did_not_start(
    master: str, problem: Exception, lines: Sequence[str], masked: Callable[[str], str]
) -> Refused:
    """With the first line of what Java threw, or else the last lines that it wrote."""
    thrown: Any = getattr(problem, "java_exception", None)
    try:
        reason = str(thrown.toString()) if thrown is not None else ""
    except Exception:  # noqa: BLE001 - Java is gone, and its last lines say why
        reason = ""
    said = reason.splitlines()[:3] if reason else [line.strip() for line in lines][-_SHOWN:]
    return Refused(
        Diagnosis(
            code="AME-E537",
            what=f"Spark did not start with the master {master}.",
            why=masked("It said: " + " / ".join(line for line in said if line))
            if said
            else f"{type(problem).__name__}, and its Java process wrote nothing.",
            fix="Correct what it names: a property of the section `spark`, the memory of this machine, or "
            "the rights that the driver has on its cluster.",
        )
    )


def _reason(problem: OSError) -> str:
    if isinstance(problem, TimeoutError):
        return f"no answer within {_KNOCKING:.0f} s"
    return (problem.strerror or str(problem)).lower()
