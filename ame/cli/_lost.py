"""Servers that stop answering in the middle of the work, and servers that are slow to answer."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

from ame.addresses import shown
from ame.cli._console import say
from ame.diagnosis import Diagnosis, Refused

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from ame.local import Home
    from ame.registry import Registry

__all__ = ["losing_servers", "server_lost", "telling_of_silence"]

_SECONDS_TO_ANSWER = 3.0


def server_lost(home: Home, heard: str) -> Diagnosis:
    return Diagnosis(
        code="AME-E605",
        what="a server stopped answering in the middle of the work.",
        why=f"The last that was heard: {shown(heard)}. Logs of the servers: {home.logs}.",
        fix="Run again: the work goes on where it stopped.",
    )


@contextlib.contextmanager
def losing_servers(home: Home) -> Iterator[None]:
    """Let a server that is lost in the block be a diagnosis.

    Raises:
        Refused: AME-E605.
    """
    from httpx import HTTPError
    from mlflow.exceptions import MlflowException

    lost: Exception
    try:
        yield
        return
    except (HTTPError, MlflowException) as error:
        lost = error
    except RuntimeError as error:
        # So Prefect's client says that its first request, for the server's version, was not answered.
        if not str(error).startswith("Failed to reach API"):
            raise
        lost = error
    raise Refused(server_lost(home, (str(lost) or type(lost).__name__).splitlines()[0])) from lost


def telling_of_silence(registry: Registry) -> Registry:
    """Let somebody who waits hear, once, that the registry has not answered for some seconds."""
    address = shown(registry.uri, registry.uri)
    registry.client = cast("MlflowClient", _Watched(registry.client, address))
    return registry


class _Watched:
    """An MlflowClient that tells when one of its calls takes long."""

    def __init__(self, client: MlflowClient, address: str) -> None:
        self._client, self._address = client, address
        self._told = threading.Event()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        return self._watched(found) if callable(found) else found

    def _watched(self, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def watched(*args: Any, **kwargs: Any) -> Any:
            timer = threading.Timer(_SECONDS_TO_ANSWER, self._tell)
            timer.daemon = True
            timer.start()
            try:
                return call(*args, **kwargs)
            finally:
                timer.cancel()

        return watched

    def _tell(self) -> None:
        if not self._told.is_set():
            self._told.set()
            say(
                f"the MLflow server at {self._address} has not answered yet: it is asked again for a minute "
                "and a half ..."
            )
