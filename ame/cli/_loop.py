"""Flows in a thread of their own, so that signals stay the main thread's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

__all__ = ["run_beside"]

_T = TypeVar("_T")
_GRACE_SECONDS = 8.0  #: longer than a command that is told to stop may take


def run_beside(work: Coroutine[Any, Any, _T], check: Callable[[], None]) -> _T:
    """Run a coroutine to its end in a thread beside this one, and return its result.

    In the main thread Prefect takes SIGTERM over and raises from wherever the loop happens to be, which
    can hang. Here SIGTERM keeps its meaning: the process ends at once, and the keeper of the home ends
    what it had started. Ctrl-C cancels the coroutine and is raised when it has ended.

    Args:
        check: called every second while the coroutine runs; what it raises cancels the coroutine.
    """
    result: Future[_T] = Future()
    cancel: Future[Any] = Future()

    async def tell_how_to_cancel() -> _T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        cancel.set_result(lambda: loop.call_soon_threadsafe(task.cancel) if task else None)
        return await work

    def run() -> None:
        try:
            result.set_result(asyncio.run(tell_how_to_cancel()))
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits for it
            result.set_exception(error)

    thread = threading.Thread(target=run, name="flows", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(1.0)
            if thread.is_alive():
                check()
    except BaseException:
        cancel.result()()
        thread.join(_GRACE_SECONDS)
        raise
    return result.result()
