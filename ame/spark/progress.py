"""How far Spark's tasks are, and an end to them when nobody waits for them any more."""

from __future__ import annotations

import contextlib
import contextvars
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["tracked"]

_EVERY = 1.0
"""Seconds between two looks at the status tracker."""

_PATIENCE = 30.0
"""Seconds without a running task after which that is said: a cluster may have no room for an executor."""

_ENDING = 10.0
"""Seconds that jobs have for ending after their cancellation."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PROPERTIES = ("spark.jobGroup.id", "spark.job.description", "spark.job.interruptOnCancel")


@contextmanager
def tracked(
    spark: SparkSession, words: str, progress: Callable[[str, float], None], first: float, last: float
) -> Iterator[None]:
    """Report the progress of the block's Spark action, and cancel it when the block ends by an exception.

    The action has to start in the thread of the block. `progress(words, share)` is called here at the start
    and at the end, and in between from another thread, which has the context variables of this one. The share
    goes by finished tasks from `first` to `last`, both between 0 and 1, and never falls. It is meant for one
    action: with several in a block the share stands at `last` once the first of them is done. While tasks
    wait and none runs for half a minute, the words say so.

    Any exception, also KeyboardInterrupt, SystemExit and a CancelledError, cancels the jobs and goes on when
    they have ended, for which they have ten seconds. When `progress` itself raises, in whatever thread, or
    the handler of a signal does, the jobs are cancelled and that exception leaves the block: so a caller can
    end an action from outside.
    """
    progress(words, first)
    watch = _Watch(spark.sparkContext, words, progress, first, last)
    try:
        with _signals_seen(watch), watch.in_group():
            yield
    except BaseException as problem:
        watch.end(cancel=True)
        if watch.raised is not None or not isinstance(problem, Exception):
            _forget_connection(spark.sparkContext)
        if watch.raised is not None and watch.raised is not problem:
            raise watch.raised from None
        raise
    watch.end(cancel=False)
    if watch.raised is not None:
        raise watch.raised
    progress(words, last)


class _Watch:
    """A thread that looks at one job group, and cancels it.

    The block's own connection to Java cannot do that: where it is interrupted it waits for an answer.

    Attributes:
        raised: what `progress` or a signal's handler raised.
    """

    def __init__(
        self, context: Any, words: str, progress: Callable[[str, float], None], first: float, last: float
    ) -> None:
        self.raised: BaseException | None = None
        self._context = context
        self._words = words
        self._progress = progress
        self._first, self._last = first, last
        self._shown = first
        self._ran = time.monotonic()
        self._group = f"ame-{uuid.uuid4().hex}"
        self._over = threading.Event()
        self._cancel = False
        self._thread = threading.Thread(
            target=contextvars.copy_context().run, args=(self._watch,), name="spark-progress", daemon=True
        )
        self._thread.start()

    @contextmanager
    def in_group(self) -> Iterator[None]:
        """In the block the jobs of its thread belong to the group; after it to the one of before."""
        context = self._context
        before = {name: context.getLocalProperty(name) for name in _PROPERTIES}
        context.setJobGroup(self._group, self._words)
        yield
        # Not after an exception: Java may be gone, or still busy with an answer to this thread.
        for name, value in before.items():
            context.setLocalProperty(name, value)

    def interrupt(self, raised: BaseException) -> None:
        """Cancel the jobs for this exception, and do not wait for them."""
        self.raised = raised
        self._cancel = True
        self._over.set()

    def end(self, *, cancel: bool) -> None:
        self._cancel = self._cancel or cancel
        self._over.set()
        self._thread.join(timeout=_ENDING + 5.0)

    def _watch(self) -> None:
        try:
            self._look()
        finally:
            _forget_connection(self._context)

    def _look(self) -> None:
        while not self._over.wait(_EVERY):
            try:
                self._show()
            except _java_problems():
                continue  # the driver is busy or gone; the block hears of it
            except BaseException as raised:  # noqa: BLE001 - it goes on in the block's thread
                self.raised = raised
                self._cancel_jobs()
                return
        if self._cancel:
            self._cancel_jobs()

    def _show(self) -> None:
        done, running, tasks = self._tasks()
        if not tasks:
            return
        now = time.monotonic()
        if running or done == tasks:
            self._ran = now
        waits = now - self._ran >= _PATIENCE
        words = (
            f"{self._words} (the cluster runs none of its tasks, it may have no room)"
            if waits
            else self._words
        )
        share = self._first + (self._last - self._first) * min(1.0, done / tasks)
        self._shown = max(self._shown, share)
        self._progress(words, self._shown)

    def _tasks(self) -> tuple[int, int, int]:
        """Finished, running and all tasks of the group's jobs."""
        tracker = self._context.statusTracker()
        done = running = tasks = 0
        for job in tracker.getJobIdsForGroup(self._group):
            for stage in getattr(tracker.getJobInfo(job), "stageIds", ()):
                if (info := tracker.getStageInfo(stage)) is not None:
                    done += info.numCompletedTasks
                    running += info.numActiveTasks
                    tasks += info.numTasks
        return done, running, tasks

    def _cancel_jobs(self) -> None:
        deadline = time.monotonic() + _ENDING
        with contextlib.suppress(*_java_problems()):
            tracker = self._context.statusTracker()
            while time.monotonic() < deadline:
                self._context.cancelJobGroup(self._group)
                active = set(tracker.getActiveJobsIds())
                if not active.intersection(tracker.getJobIdsForGroup(self._group)):
                    return
                time.sleep(0.1)


@contextmanager
def _signals_seen(watch: _Watch) -> Iterator[None]:
    """In the main thread: a signal whose handler raises cancels the jobs at once.

    Without it they would run on: on its way out of PySpark the exception passes calls to Java, which wait for
    the answer of the one that it has interrupted.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    own = {number: _seen(handler, watch) for number, handler in before.items() if callable(handler)}
    for number, handler in own.items():
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, handler in own.items():
            if signal.getsignal(number) is handler:
                signal.signal(number, before[number])


def _seen(handler: Callable[[int, Any], Any], watch: _Watch) -> Callable[[int, Any], None]:
    def seen(number: int, frame: Any) -> None:
        try:
            handler(number, frame)
        except BaseException as raised:
            watch.interrupt(raised)
            raise

    return seen


def _java_problems() -> tuple[type[Exception], ...]:
    from py4j.protocol import Py4JError

    # AttributeError: PySpark's own, when the session was stopped by somebody else.
    return (Py4JError, OSError, AttributeError)


def _forget_connection(context: Any) -> None:
    """Close this thread's connection to Java; its next call opens another one.

    Over that of an interrupted call the answer is still to come, which the next call would take for its own.
    """
    client: Any = getattr(context._gateway, "_gateway_client", None)  # noqa: SLF001 - no public way
    connection = client.get_thread_connection() if hasattr(client, "get_thread_connection") else None
    if connection is None:
        return
    with contextlib.suppress(ValueError):
        client.deque.remove(connection)
    with contextlib.suppress(*_java_problems()):
        connection.close()
