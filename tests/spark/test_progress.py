"""Progress and cancellation, on real jobs."""

from __future__ import annotations

import asyncio
import contextvars
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from ame.spark import progress, tracked


def slow(spark: Any, tasks: int, seconds: float) -> Callable[[], Any]:
    """An action of so many tasks, two at a time, each of so many seconds."""

    def wait(batches: Any) -> Any:
        import time

        for batch in batches:
            time.sleep(seconds)
            yield batch

    return spark.range(0, tasks, 1, tasks).mapInArrow(wait, "id long").collect  # type: ignore[no-any-return]


def active(spark: Any) -> list[int]:
    return list(spark.sparkContext.statusTracker().getActiveJobsIds())


def wait_for_job(spark: Any) -> None:
    deadline = time.monotonic() + 60
    while not active(spark):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(0.5)


def nothing(words: str, share: float) -> None: ...


def test_progress_goes_by_finished_tasks_under_the_callers_context(spark: Any) -> None:
    caller = contextvars.ContextVar("caller", default="nobody")
    caller.set("the flow run")
    told: list[tuple[str, str, float]] = []
    with tracked(spark, "counting", lambda words, share: told.append((caller.get(), words, share)), 0.2, 0.6):
        assert len(slow(spark, 8, 0.8)()) == 8
    shares = [share for _, _, share in told]
    assert {(who, words) for who, words, _ in told} == {("the flow run", "counting")}
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.2, 0.6)
    assert any(0.2 < share < 0.6 for share in shares)


def test_tasks_that_nobody_takes_are_told(spark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_PATIENCE", 1.5)
    others = threading.Thread(target=slow(spark, 2, 6.0))
    others.start()
    wait_for_job(spark)
    told: list[str] = []
    with tracked(spark, "counting", lambda words, _: told.append(words), 0, 1):
        slow(spark, 4, 2.0)()
    others.join()
    waits = "counting (the cluster runs none of its tasks, it may have no room)"
    assert waits in told
    assert "counting" in told[told.index(waits) :]


@pytest.mark.parametrize("leaves", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_block_cancels_its_job_and_leaves_a_session_that_works(
    spark: Any, leaves: type[BaseException]
) -> None:
    def interrupt(_: int, __: object) -> None:
        raise leaves

    sent: list[float] = []

    def send() -> None:
        wait_for_job(spark)
        sent.append(time.monotonic())
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        threading.Thread(target=send).start()
        with pytest.raises(leaves), tracked(spark, "", nothing, 0, 1):
            slow(spark, 4, 60.0)()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert active(spark) == []
    assert time.monotonic() - sent[0] < 15
    # Its connection to Java takes no answer of the interrupted call for its own.
    assert spark.range(5).count() == 5


def test_a_cancelled_coroutine_cancels_the_job(spark: Any) -> None:
    """The flow's way: the action waits in a thread, and what it reports to says that nobody waits."""
    over = threading.Event()

    def report(words: str, share: float) -> None:
        if over.is_set():
            raise asyncio.CancelledError

    def work() -> None:
        with tracked(spark, "", report, 0, 1):
            slow(spark, 4, 60.0)()

    raised: list[BaseException] = []

    def thread() -> None:
        try:
            work()
        except BaseException as problem:  # noqa: BLE001
            raised.append(problem)

    running = threading.Thread(target=thread)
    running.start()
    wait_for_job(spark)
    over.set()
    running.join(timeout=30)
    assert [type(problem) for problem in raised] == [asyncio.CancelledError]
    assert active(spark) == []


def test_the_job_group_of_before_is_the_one_after(spark: Any) -> None:
    context = spark.sparkContext
    context.setJobGroup("a cell of a notebook", "its words")
    try:
        with tracked(spark, "", nothing, 0, 1):
            assert context.getLocalProperty("spark.jobGroup.id") != "a cell of a notebook"
        assert context.getLocalProperty("spark.jobGroup.id") == "a cell of a notebook"
        assert context.getLocalProperty("spark.job.description") == "its words"
    finally:
        context.setLocalProperty("spark.jobGroup.id", None)
        context.setLocalProperty("spark.job.description", None)


def test_a_failing_block_keeps_its_own_exception(spark: Any) -> None:
    with pytest.raises(ZeroDivisionError), tracked(spark, "", nothing, 0, 1):
        raise ZeroDivisionError
