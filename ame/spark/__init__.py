"""Spark sessions and what their executors hold: opened, watched, cancelled.

    from ame.spark import SparkSettings, open_session

    with open_session(SparkSettings(master="local[2]")) as spark:
        spark.range(10).count()

Names are imported when they are first used, and pyspark is imported inside functions only.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ame.spark.executors import ExecutorEnvironment, executor_environments, missing_packages
    from ame.spark.progress import tracked
    from ame.spark.session import open_session
    from ame.spark.settings import SparkSettings
    from ame.spark.shipping import ship_code

__all__ = [
    "ExecutorEnvironment",
    "SparkSettings",
    "executor_environments",
    "missing_packages",
    "open_session",
    "ship_code",
    "tracked",
]

_HOMES = {
    "ExecutorEnvironment": "executors",
    "SparkSettings": "settings",
    "executor_environments": "executors",
    "missing_packages": "executors",
    "open_session": "session",
    "ship_code": "shipping",
    "tracked": "progress",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'ame.spark' has no attribute '{name}'")
    return getattr(import_module(f"ame.spark.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
