"""Open a Spark session, or use the one that is there."""

from __future__ import annotations

import contextlib
import shutil
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ame.secrets import Masker
from ame.spark.java import find_java
from ame.spark.launch import Output, end_java, start_java, variables
from ame.spark.properties import properties_of, variables_of
from ame.spark.refusals import (
    another_master,
    did_not_start,
    refuse_bad_settings,
    refuse_unreachable,
    refuse_without_name,
    refuse_without_spark,
    refused_connect,
)
from ame.spark.settings import SparkSettings, is_secret_property

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["open_session"]


@dataclass
class _Opened:
    """The session that this module made.

    Attributes:
        scratch: a folder of its own for what Spark writes on the driver's machine.
        users: how many blocks are in it.
    """

    settings: SparkSettings
    session: Any
    scratch: Path
    users: int = 0


_lock = threading.Lock()
_opened: _Opened | None = None


@contextmanager
def open_session(settings: SparkSettings | None = None, *, name: str = "ame-flows") -> Iterator[SparkSession]:
    """A classic Spark session for the block.

    A session that is active in this process (a notebook's, Databricks', that of an outer block) is used as it
    is and left running, whatever its properties are; only another *master* than the settings name is refused.
    Else one is made, `local[*]` unless the settings say otherwise, and ended after the block with its Java.
    Several threads may share one: it ends with the last of them.

    Args:
        settings: None: whatever session is there, else one of this machine.
        name: the application's name, in Spark's own pages.

    Raises:
        Refused: AME-E532 without pyspark, AME-E533 without a Java, AME-E534 for settings that are none,
            AME-E535 for Spark Connect, AME-E536 for a master that does not answer, AME-E537 when Spark does
            not start, AME-E538 when a session of another master is active; and what `kubernetes_conf` raises.
    """
    refuse_without_spark()
    wanted = settings or SparkSettings()
    refuse_bad_settings(wanted)
    # mapInArrow warns of pandas 3, which takes no part in it.
    warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
    with _lock:
        session = _entered(wanted, name)
    try:
        yield session
    finally:
        with _lock:
            _left(session)


def _entered(wanted: SparkSettings, name: str) -> Any:
    global _opened  # noqa: PLW0603 - a process has one Spark driver
    if _opened is not None and not _lives(_opened.session):
        # Stopped behind our back, or its Java was killed: what is left of it goes before the next one comes.
        _end(_opened)
        _opened = None
    active = _active_session()
    if active is None:
        active = (_opened := _made(wanted, name)).session
    ours = _opened if _opened is not None and _opened.session is active else None
    if not _will_do(active, wanted, ours):
        raise another_master(wanted, active.sparkContext.master)
    if ours is not None:
        ours.users += 1
    return active


def _left(session: Any) -> None:
    global _opened
    if _opened is None or _opened.session is not session:
        return
    _opened.users -= 1
    if not _opened.users:
        ending, _opened = _opened, None
        _end(ending)


def _active_session() -> Any:
    """The classic session of this process that lives, whichever thread made it, or None."""
    from pyspark.errors import PySparkRuntimeError
    from pyspark.sql import SparkSession
    from pyspark.sql.utils import is_remote

    connect = sys.modules.get("pyspark.sql.connect.session")
    if is_remote() or (connect and connect.SparkSession.getActiveSession() is not None):
        raise refused_connect("the Spark session of this process is one of Spark Connect.")
    try:
        found = SparkSession.active()
    except PySparkRuntimeError:
        return None
    return found if _lives(found) else None


def _lives(session: Any) -> bool:
    # PySpark has no public way to ask.
    context = session._sc  # noqa: SLF001
    process = getattr(context._gateway, "proc", None)  # noqa: SLF001
    return context._jsc is not None and (process is None or process.poll() is None)  # noqa: SLF001


def _will_do(active: Any, wanted: SparkSettings, ours: _Opened | None) -> bool:
    """Whether an active session has the master that is asked for."""
    if wanted.master is None or (ours is not None and wanted.master == ours.settings.master):
        return True
    actual: str = active.sparkContext.master
    return actual == wanted.master or (wanted.master == "k8s" and actual.startswith("k8s://"))


def _made(settings: SparkSettings, name: str) -> _Opened:
    scratch = Path(tempfile.mkdtemp(prefix="ame-spark-"))
    try:
        return _Opened(settings, _started(settings, name, scratch), scratch)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def _started(settings: SparkSettings, name: str, scratch: Path) -> Any:
    from py4j.protocol import Py4JError
    from pyspark import SparkConf, SparkContext
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    properties = properties_of(settings, scratch, name=name)
    master = properties["spark.master"]
    refuse_without_name()
    refuse_unreachable(master)
    java = find_java()
    masked = Masker(value for key, value in settings.conf if is_secret_property(key))
    output = Output(masked)
    if java.passed_over:
        output.say(f"Spark runs on the Java in {java.home}. {' '.join(java.passed_over)}")
    # A Java that somebody else's ended session has left in this process is used again, as PySpark would.
    gateway = getattr(SparkContext, "_gateway", None)
    conf = SparkConf()
    with variables(variables_of(settings, properties, java.home, scratch)), _interrupts_kept():
        try:
            if gateway is None:
                gateway = start_java(properties, scratch, output)
            else:
                output.started()
                conf.setAll(list(properties.items()))
            return SparkSession(SparkContext(conf=conf, gateway=gateway))
        except (Py4JError, PySparkException) as problem:
            refused = did_not_start(master, problem, output.last_lines(), masked)
            end_java(gateway)
            raise refused from None
        except BaseException:
            end_java(gateway)
            raise


@contextmanager
def _interrupts_kept() -> Iterator[None]:
    """PySpark puts a handler of its own on Ctrl-C, for ever; `tracked` cancels, and the caller's stays."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread() and before is not None:
            signal.signal(signal.SIGINT, before)


def _end(opened: _Opened) -> None:
    from py4j.protocol import Py4JError

    gateway = opened.session._sc._gateway  # noqa: SLF001 - there is no public way
    # Java may be gone already, of which PySpark would warn.
    with contextlib.suppress(Py4JError, OSError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        opened.session.stop()
    end_java(gateway)
    shutil.rmtree(opened.scratch, ignore_errors=True)
