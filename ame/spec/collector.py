"""Python's cyclic garbage collector, out of the way of work that makes many objects and no garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["collector_paused"]


@contextmanager
def collector_paused() -> Iterator[None]:
    """Without the cyclic garbage collector.

    The nodes of a YAML file are a hundred thousand objects that all live until the end and hold no
    cycles; looking for garbage among them takes as long again as making, reading or writing them.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
