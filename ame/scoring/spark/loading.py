"""Models in a Python worker of Spark: loaded once, kept for the tasks that follow, each with its own code."""

from __future__ import annotations

import base64
import importlib
import json
import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ame.scoring import score

__all__ = ["LoadedModel", "TaskFailed", "failing", "found_in", "loaded"]

_FRAMES = 8
_LONGEST = 500


class TaskFailed(Exception):
    """Why a task failed, so that the driver finds it in whatever text Spark makes of it.

    Attributes:
        who: the name of a model, or `holdout`, or `output`.
        lines: the last ones of the error.
    """

    def __init__(self, who: str, lines: list[str]) -> None:
        told = base64.b64encode(json.dumps([who, lines]).encode()).decode()
        super().__init__(f"ame-task-failed:{told}:")
        self.who = who
        self.lines = lines


def found_in(text: str) -> TaskFailed | None:
    """What a task told, in the message of Spark's exception."""
    found = re.search(r"ame-task-failed:([A-Za-z0-9+/=]+):", text)
    return TaskFailed(*json.loads(base64.b64decode(found.group(1)))) if found else None


@contextmanager
def failing(who: str, kinds: tuple[type[BaseException], ...] = (Exception, SystemExit)) -> Iterator[None]:
    """Say who failed, and how, when the body does.

    Raises:
        TaskFailed.
    """
    try:
        yield
    except TaskFailed:
        raise
    except kinds as error:
        # A model may exit, as score.py does with a sentence; a worker of Spark must not.
        lines = str(error).splitlines() if isinstance(error, SystemExit) else []
        lines = lines or "".join(traceback.format_exception(error)).splitlines()
        raise TaskFailed(who, [line[:_LONGEST] for line in lines[-_FRAMES:]]) from None


class LoadedModel:
    """A model of MLflow's and what it answers.

    Code that was logged with it is imported from its own folder and seen by this model only: two versions
    of a model mostly bring modules of the same names.
    """

    def __init__(self, folder: str, task: str) -> None:
        self._roots = (folder, os.path.realpath(folder))
        self._modules: dict[str, Any] = {}
        with self._own_code():
            self._predict: Callable[[Any], Any]
            self._predict, self.classes = score.load(folder, task)

    def predict(self, frame: Any) -> Any:
        """A model's answers as an array of numpy's."""
        import numpy as np

        with self._own_code():
            return np.asarray(self._predict(frame))

    @contextmanager
    def _own_code(self) -> Iterator[None]:
        before, path = {name: sys.modules.get(name) for name in self._modules}, list(sys.path)
        sys.modules.update(self._modules)
        sys.path[:0] = [f"{self._roots[0]}/code"]
        importlib.invalidate_caches()
        try:
            yield
        finally:
            sys.path[:] = path
            for name, module in list(sys.modules.items()):
                if self._is_own(module):
                    self._modules[name] = module
                    del sys.modules[name]
            sys.modules.update({name: module for name, module in before.items() if module is not None})

    def _is_own(self, module: Any) -> bool:
        places = [getattr(module, "__file__", None), *(getattr(module, "__path__", None) or [])]
        return any(str(place).startswith(f"{root}/") for place in places if place for root in self._roots)


_loaded: dict[tuple[str, str], LoadedModel] = {}


def loaded(archive: str, task: str) -> LoadedModel:
    """The model in an archive that Spark has unpacked on this executor."""
    if (archive, task) not in _loaded:
        from pyspark import SparkFiles

        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        # It says for every model which versions differ; that was compared before.
        logging.getLogger("mlflow").setLevel(logging.ERROR)
        _loaded[archive, task] = LoadedModel(SparkFiles.get(archive), task)
    return _loaded[archive, task]
