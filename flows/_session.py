"""The Spark session of one comparison."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ame.spec import AbTestSection
from flows._deployed import load_block
from flows._work import Work

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from ame.spark import SparkSettings

__all__ = ["ComparisonSession", "settings_of"]


class ComparisonSession:
    """Opened when it is first asked for, and closed at the end of the block.

    Leaving the block by a cancellation cancels the jobs first: the thread that waits for one cannot be
    interrupted.
    """

    def __init__(self, work: Work, section: AbTestSection, name: str) -> None:
        self._work, self._section = work, section
        self._name = name
        self._entered: AbstractContextManager[Any] | None = None
        self._spark: Any = None

    async def opened(self) -> Any:
        """The session.

        Raises:
            Refused: AME-E53x, when there can be none, AME-E712, when its block is missing.
        """
        if self._spark is None:
            from ame.spark import open_session

            settings = await settings_of(self._work, self._section)
            session = open_session(settings, name=self._name)
            self._spark = await asyncio.to_thread(session.__enter__)
            self._entered = session
        return self._spark

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._entered is None:
            return
        if isinstance(error, asyncio.CancelledError):
            await asyncio.shield(asyncio.to_thread(self._spark.sparkContext.cancelAllJobs))
        await asyncio.shield(asyncio.to_thread(self._entered.__exit__, None, None, None))


async def settings_of(work: Work, section: AbTestSection) -> SparkSettings | None:
    """What the file says of the session, and its block where the file says nothing.

    The archive's path is one of the project's folder, where it is no URI.

    Raises:
        Refused: AME-E712, when there is no such block.
    """
    settings = section.spark
    if settings is not None and settings.archive is not None and "://" not in settings.archive:
        settings = replace(settings, archive=str(work.project.folder / settings.archive))
    if settings is None or section.spark_block is None:
        return settings
    from blocks import SparkSession

    block = await load_block(SparkSession, f"spark-session/{section.spark_block}")
    return settings.over(block.settings())
