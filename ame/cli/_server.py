"""The Prefect server that a verb speaks to: one that was named and answers, never one started on the way."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ame.diagnosis import Diagnosis, Refused

if TYPE_CHECKING:
    import httpx

__all__ = ["prefect_server"]

_ANSWER_SECONDS = 5.0


@contextlib.contextmanager
def prefect_server() -> Iterator[str]:
    """The address of the Prefect API that the environment or the profile names, while the block talks to it.

    Raises:
        Refused: AME-E714 when none is named or it does not answer, AME-E715 when it refuses a request of
            the block.
    """
    import httpx
    from prefect.exceptions import PrefectHTTPStatusError
    from prefect.settings import PREFECT_API_URL

    url = PREFECT_API_URL.value()
    if not url:
        # Prefect would start a server of its own, for this command only.
        raise Refused(
            Diagnosis(
                code="AME-E714",
                what="no Prefect server is named.",
                fix="Set PREFECT_API_URL, for example to http://127.0.0.1:4200/api; for Prefect Cloud, "
                "`prefect cloud login` sets it.",
            )
        )
    try:
        httpx.get(f"{url}/health", timeout=_ANSWER_SECONDS)
        yield url
    except (PrefectHTTPStatusError, httpx.HTTPStatusError) as error:
        raise Refused(_refused(url, error.response)) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Refused(
            Diagnosis(
                code="AME-E714",
                what=f"the Prefect server at {url} does not answer.",
                why=f"{str(error) or type(error).__name__}.",
                fix="See that it runs, and that PREFECT_API_URL names it.",
            )
        ) from error


def _refused(url: str, answer: httpx.Response) -> Diagnosis:
    keys = answer.status_code in (401, 403)
    return Diagnosis(
        code="AME-E715",
        what=f"the Prefect server at {url} refused a request: {answer.status_code}.",
        why=answer.text[:300],
        fix="Set PREFECT_API_KEY (Cloud) or PREFECT_API_AUTH_STRING." if keys else "",
    )
