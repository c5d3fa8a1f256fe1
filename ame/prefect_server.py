"""The Prefect server that commands speak to: one that was named and answers, never one started on the way."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ame.diagnosis import Diagnosis, Refused

if TYPE_CHECKING:
    import httpx
    from prefect.client.orchestration import SyncPrefectClient

__all__ = ["prefect_server"]

_SECONDS_TO_ANSWER = 10


@contextlib.contextmanager
def prefect_server() -> Iterator[SyncPrefectClient]:
    """A client of the server that the environment or the profile names, which answers within seconds.

    Raises:
        Refused: AME-E830 when none is named, AME-E831 when it does not answer, AME-E832 when it refuses a
            request of the block.
    """
    import httpx
    from prefect import get_client
    from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound, ObjectUnsupported
    from prefect.settings import (
        PREFECT_API_REQUEST_TIMEOUT,
        PREFECT_API_URL,
        PREFECT_CLIENT_MAX_RETRIES,
        temporary_settings,
    )

    url = PREFECT_API_URL.value()
    if not url:
        # Prefect would start a server of its own, for this command only.
        raise Refused(
            Diagnosis(
                code="AME-E830",
                what="no Prefect server is named.",
                why="Deployments, work pools and blocks are on a server that workers reach, not on the one "
                "that `ame run` starts.",
                fix="Set PREFECT_API_URL, for example to http://HOST:4200/api, or choose a profile with "
                "`prefect profile use`.",
            )
        )
    try:
        with (
            temporary_settings({PREFECT_API_REQUEST_TIMEOUT: _SECONDS_TO_ANSWER}),
            get_client(httpx_settings={"timeout": _SECONDS_TO_ANSWER}, sync_client=True) as client,
        ):
            # Only when it has answered once is it worth the client's retries.
            with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
                _refuse_other_programs(client)
            yield client
    except httpx.HTTPStatusError as error:
        raise Refused(_refusal(url, error.response)) from None
    except (ObjectAlreadyExists, ObjectNotFound, ObjectUnsupported) as error:
        # Something that somebody else has created or deleted meanwhile, or a plan without it.
        raise Refused(_refusal(url, getattr(error.http_exc, "response", None))) from None
    except (httpx.RequestError, httpx.InvalidURL) as error:
        raise Refused(
            Diagnosis(
                code="AME-E831",
                what=f"the Prefect server at {_shown(url)} does not answer.",
                why=f"{type(error).__name__}: {error}." if str(error) else f"{type(error).__name__}.",
                fix="Start it, or correct PREFECT_API_URL.",
            )
        ) from None


def _refuse_other_programs(client: SyncPrefectClient) -> None:
    """A page of HTML, or JSON of another program, is no list of work pools."""
    import httpx

    try:
        client.read_work_pools(limit=1)
    except httpx.HTTPStatusError as error:
        # What Prefect says while its database is busy.
        if error.response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            raise
    except (ValueError, TypeError, AttributeError):
        raise Refused(_not_the_api(str(client.api_url))) from None


def _refusal(url: str, response: httpx.Response | None) -> Diagnosis:
    status = response.status_code if response is not None else "unknown"
    if status in (404, 405):
        return _not_the_api(url)
    said = response.text.strip().partition("\n")[0][:300] if response is not None else ""
    fix = ""
    if status in (401, 403):
        fix = (
            "Set PREFECT_API_KEY (Prefect Cloud) or PREFECT_API_AUTH_STRING, "
            "with the right to change what it holds."
        )
    return Diagnosis(
        code="AME-E832",
        what=f"the Prefect server at {_shown(url)} refuses: status {status}.",
        why=f"It says: {said}" if said else "",
        fix=fix,
    )


def _not_the_api(url: str) -> Diagnosis:
    """That something else than Prefect answers at an address."""
    return Diagnosis(
        code="AME-E832",
        what=f"what answers at {_shown(url)} is not Prefect's API.",
        fix="PREFECT_API_URL ends in /api, as in http://HOST:4200/api.",
    )


def _shown(url: str) -> str:
    """The address without the user and password that it may hold."""
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"
