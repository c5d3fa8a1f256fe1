"""Blocking work of long duration beside the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from threading import Event
from typing import Any, TypeVar

__all__ = ["stoppable"]

_T = TypeVar("_T")


async def stoppable(work: Callable[..., _T], /, *args: Any, **kwargs: Any) -> _T:
    """Call `work(*args, stop=EVENT, **kwargs)` in a thread; the event is set when the flow is cancelled."""
    stop = Event()
    try:
        return await asyncio.to_thread(work, *args, stop=stop, **kwargs)
    except asyncio.CancelledError:
        stop.set()
        raise
