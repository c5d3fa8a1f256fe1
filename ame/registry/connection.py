"""Calls to an MLflow server that outlast its restart: tried again for a bounded time, then failed."""

from __future__ import annotations

import functools
import os
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, cast

from ame.addresses import shown
from ame.diagnosis import Diagnosis

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

__all__ = ["connect", "connect_once", "diagnosis_of", "is_unreachable", "server_time"]

#: How long one request may take, and how long a call goes on that fails for a reason which may pass.
_REQUEST_SECONDS = 30
_PATIENCE_SECONDS = 90.0
_LONGEST_PAUSE_SECONDS = 8.0

_KEPT = "What was written down until then stands, and whoever comes next carries it out."

_PASSING = {
    "DEADLINE_EXCEEDED",
    "INTERNAL_ERROR",
    "REQUEST_LIMIT_EXCEEDED",
    "RESOURCE_EXHAUSTED",
    "TEMPORARILY_UNAVAILABLE",
}


def connect(uri: str) -> MlflowClient:
    """A client whose calls are tried again for a minute and a half while the server is down or busy.

    Raises:
        MlflowException: by its calls, the last one that came, also where the transport itself failed.
    """
    return cast("MlflowClient", _Patient(connect_once(uri)))


def connect_once(uri: str) -> MlflowClient:
    """A client that makes each request once: for writes which must not arrive late."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    from mlflow import MlflowClient, environment_variables

    # By default a call goes on for five minutes. The defaults are changed and not the environment, which
    # the user's commands inherit; what the user has set there wins.
    environment_variables.MLFLOW_HTTP_REQUEST_MAX_RETRIES.default = 0
    environment_variables.MLFLOW_HTTP_REQUEST_TIMEOUT.default = _REQUEST_SECONDS
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def server_time(uri: str) -> datetime:
    """The MLflow server's clock, which all machines share; this machine's own when it does not tell.

    To the second, in UTC.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    try:
        creds = get_default_host_creds(uri)  # type: ignore[no-untyped-call]
        told = http_request(creds, "/health", "GET", max_retries=1, timeout=10)  # type: ignore[no-untyped-call]
        return parsedate_to_datetime(told.headers["Date"]).astimezone(UTC)
    except (MlflowException, KeyError, ValueError):
        return datetime.now(UTC).replace(microsecond=0)


def diagnosis_of(error: MlflowException, uri: str) -> Diagnosis:
    """What a failure of the registry means for the user."""
    text = shown(str(error).splitlines()[0], uri)[:500]
    if is_unreachable(error):
        return Diagnosis(
            code="AME-E301",
            what=f"the MLflow server at {shown(uri, uri)} does not answer.",
            why=_KEPT,
            fix="See that it runs and can be reached, then run again: the work goes on where it stopped.",
        )
    return Diagnosis(
        code="AME-E304",
        what="MLflow refused a request.",
        why=f"It said: {text if text.endswith('.') else f'{text}.'} {_KEPT}",
        fix="Run again: the work goes on where it stopped.",
    )


def is_unreachable(error: MlflowException) -> bool:
    """Whether the server did not answer at all; one that answers with errors of its own did."""
    text = str(error).splitlines()[0]
    if "error responses" in text:
        return False
    return "Max retries exceeded" in text or "Connection" in text


class _Patient:
    """An MlflowClient each of whose methods is tried again while the server is down or busy."""

    def __init__(self, client: MlflowClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        return _patiently(found) if callable(found) else found


def _patiently(call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def tried(*args: Any, **kwargs: Any) -> Any:
        from mlflow.exceptions import MlflowException
        from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, INVALID_PARAMETER_VALUE
        from requests import RequestException

        began, pause = time.monotonic(), 0.2
        while True:
            try:
                return call(*args, **kwargs)
            except MlflowException as error:
                failure = error
            except RequestException as error:
                # What moves artifacts lets the errors of the transport through.
                answer = error.response
                lasting = answer is not None and answer.status_code < 500 and answer.status_code != 429
                code = INVALID_PARAMETER_VALUE if lasting else INTERNAL_ERROR
                failure = MlflowException(f"API request failed with exception {error}", error_code=code)
                failure.__cause__ = error
            if not _may_pass(failure) or time.monotonic() - began + pause > _PATIENCE_SECONDS:
                raise failure
            # Processes that were refused together do not come again together.
            time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    return tried


def _may_pass(error: MlflowException) -> bool:
    """Whether the same request may do better: the server was not reached, was busy, or failed in itself."""
    if error.error_code in _PASSING:
        return True
    # Two that set the same new alias, or the same new tag, at once: the database refuses one of them.
    return error.error_code == "BAD_REQUEST" and "unique constraint" in str(error).lower()
