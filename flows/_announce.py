"""Events for others: a model has another champion, or a version was rejected.

What was not told yet stands in the journal, not in a process: whoever comes next tells it. So every decision
is told at least once, and a repeat has the same id, by which Prefect knows it.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from typing import TYPE_CHECKING, Any

import httpx
from prefect import get_client
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from ame.diagnosis import Refused
from ame.registry import Entry, ModelJournal, now_text
from ame.registry.chain import to_link
from ame.registry.journal import to_entry

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

__all__ = ["announce", "announce_now"]

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "ame.model")
_SECONDS_TO_ANSWER = 10
_RETRIES = 2

_EVENTS = {
    "promote": "ame.model.promoted",
    "observe": "ame.model.promoted",
    "reject": "ame.model.rejected",
    "rollback": "ame.model.rolled-back",
}
#: MLflow's searches know no "or", so those that are told of are what these leave.
_UNTOLD = "params.carried_out = 'yes' and tags.`ame.announced` IS NULL" + "".join(
    f" and tags.`ame.decision` != '{quiet}'" for quiet in ("inconclusive", "invalid", "refuse", "supersede")
)


async def announce(journal: ModelJournal, project: str) -> str:
    """See `announce_now`."""
    return await asyncio.to_thread(announce_now, journal, project)


def announce_now(journal: ModelJournal, project: str) -> str:
    """Send an event for each decision of which others were not told, oldest first.

    It does not fail: what could not be told now is told by the next one who calls this.

    Args:
        project: its name.

    Returns:
        Why something could not be told; an empty text when nothing is left.
    """
    from mlflow.exceptions import MlflowException

    try:
        untold = _untold(journal)
        if not untold:
            return ""
        nobody = _nobody_listens()
        if nobody:
            return nobody
        settings = {PREFECT_CLIENT_MAX_RETRIES: _RETRIES}
        limits = {"timeout": _SECONDS_TO_ANSWER}
        with temporary_settings(settings), get_client(limits, sync_client=True) as client:
            for entry in untold:
                _send(client, _event(entry, project))
                journal.registry.client.set_tag(entry.run_id, "ame.announced", now_text())
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"Prefect: {_first_line(error)}"
    except MlflowException as error:
        return f"MLflow: {_first_line(error)}"
    except Refused as error:
        return _first_line(error)
    return ""


def _nobody_listens() -> str:
    """Why an event would reach nobody; an empty text when it may reach somebody."""
    if os.environ.get("AME_EVENTS") == "withheld":
        return "the Prefect server is this command's own"
    if not PREFECT_API_URL.value():
        # The client would start a server of its own.
        return "no Prefect server is named"
    return ""


def _untold(journal: ModelJournal) -> list[Entry]:
    if journal.chain.end() is None:
        return []
    found, token = [], None
    while True:
        page = journal.registry.client.search_runs(
            [journal.chain.experiment_id], filter_string=_UNTOLD, max_results=1000, page_token=token
        )
        found += [entry for entry in (to_entry(to_link(run)) for run in page) if entry and _counts(entry)]
        token = page.token
        if not token:
            return sorted(found, key=lambda entry: entry.sequence)


def _counts(entry: Entry) -> bool:
    """Whether others are told of it: somebody else's move of the alias is one, unless it took it away.

    Whom a new journal finds as champion was it before.
    """
    if entry.decision != "observe":
        return True
    return entry.sequence > 1 and entry.champion not in (None, entry.before)


def _event(entry: Entry, project: str) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid5(_NAMESPACE, entry.run_id)),
        "event": _EVENTS[entry.decision],
        "occurred": entry.at,
        "resource": {
            "prefect.resource.id": f"mlflow.registered-model.{entry.model}",
            "prefect.resource.name": entry.model,
        },
        "payload": {
            "model": entry.model,
            "version": entry.version,
            "from": entry.before,
            "to": entry.after,
            "decision": entry.decision,
            "by": entry.by,
            "at": entry.at,
            "reason": entry.reason,
            "sequence": entry.sequence,
            "project": project,
        },
    }


def _send(client: SyncPrefectClient, event: dict[str, Any]) -> None:
    client.request("POST", "/events", json=[event])


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:300]
