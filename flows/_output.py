"""A command's output in the log of its run."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable

from prefect import get_run_logger

from ame.secrets import Masker, secret_values

__all__ = ["every_few_seconds", "to_run_log"]

#: Lines of one command that Prefect's server keeps. It takes them more slowly than a command prints them,
#: and the run would have to wait.
KEPT_LINES = 10_000

_QUIET_SECONDS = 5.0


def to_run_log() -> Callable[[str], None]:
    """A function that logs lines to the current run; beyond `KEPT_LINES` they only reach the console.

    Secret values of this process's environment, where those of the blocks stand too, appear as `***`.
    """
    masked = Masker(secret_values(os.environ))
    logger = get_run_logger()
    counted = itertools.count(1)

    def log(line: str) -> None:
        number = next(counted)
        if number == KEPT_LINES + 1:
            logger.warning("more than %d lines: the rest stands on the console only", KEPT_LINES)
        logger.info(masked(line), extra={"send_to_api": number <= KEPT_LINES})

    return log


def every_few_seconds(say: Callable[[str], None]) -> Callable[[str, float], None]:
    """Tells how far a long test is, every few seconds."""
    last = time.monotonic()

    def tell(words: str, share: float) -> None:
        nonlocal last
        if time.monotonic() - last >= _QUIET_SECONDS:
            last = time.monotonic()
            say(f"{words}: {share:.0%}")

    return tell
