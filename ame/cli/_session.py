"""A session: the project's servers are up, this process is set to use them, and leftovers are cleared."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import ame
from ame.cli._console import say
from ame.cli._journal import explained
from ame.cli._lost import losing_servers
from ame.diagnosis import Diagnosis, Refused
from ame.local import Home, Servers, file_lock, home_of, living_leases, serving
from ame.runtime import own_matplotlib_folder
from ame.store import remove_folder

if TYPE_CHECKING:
    from ame.spec import Project
    from flows._work import Work

__all__ = ["send_logs", "session", "use_servers"]


@contextlib.contextmanager
def session(project: Project, env: Mapping[str, str]) -> Iterator[tuple[Servers, Work]]:
    """Everything that flows need in this process, for as long as the block runs.

    Args:
        env: values for variables that tasks declare.

    Raises:
        Refused: AME-E601 to AME-E604 when there are no servers, AME-E705 when our flows are shadowed.
    """
    home = home_of(project.folder, project.name)
    # Both write into the user's configuration when they are imported, unless they are told not to.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault(*own_matplotlib_folder())
    # Importing MLflow takes four seconds, which pass while the servers start.
    importing = threading.Thread(target=import_module, args=("mlflow",), daemon=True)
    importing.start()
    with serving(home, progress=say) as servers:
        use_servers(servers, home)
        _refuse_shadowed_flows()
        from flows._work import open_work

        # It repeats, for every flow run, the address that the flow run itself logs.
        logging.getLogger("prefect.engine").addFilter(lambda record: record.levelno > logging.INFO)
        # It tells a refusal as an exception without a traceback; the final state tells it better.
        logging.getLogger("prefect.task_runs").addFilter(
            lambda record: not str(record.msg).startswith("Task run failed with state")
        )
        work = open_work(str(project.folder), env)
        # Two threads that import parts of it at once would see each other's halves.
        importing.join()
        _clear_leftovers(servers, work)
        try:
            yield servers, work
        finally:
            send_logs()


def use_servers(servers: Servers, home: Home) -> None:
    """Set this process's environment; Prefect and MLflow read it when they are imported."""
    if "prefect" in servers.embedded:
        # The user's profile, key and settings are for another server.
        for name in [name for name in os.environ if name.startswith("PREFECT_")]:
            if not name.startswith("PREFECT_LOGGING_"):
                del os.environ[name]
        os.environ["PREFECT_HOME"] = str(home.prefect)
        if "mlflow" not in servers.embedded:
            # Nobody listens to this server, and those who listen to the registry's are to hear of it.
            os.environ["AME_EVENTS"] = "withheld"
    os.environ["PREFECT_API_URL"] = servers.prefect
    os.environ["MLFLOW_TRACKING_URI"] = servers.mlflow
    os.environ["MLFLOW_REGISTRY_URI"] = servers.mlflow
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")


def _refuse_shadowed_flows() -> None:
    import flows  # its __init__ is empty

    ours = Path(ame.__file__).parent.parent
    found = Path(str(flows.__file__)).parent.parent
    if found != ours:
        raise Refused(
            Diagnosis(
                code="AME-E705",
                what=f"another package called 'flows' hides the flows of ame-flows: {found / 'flows'}.",
                fix="Take that folder off PYTHONPATH, or rename it.",
            )
        )


def _clear_leftovers(servers: Servers, work: Work) -> None:
    """End on paper what a killed command of this home left running, if no other command lives."""
    with file_lock(work.home.run / "leftovers.lock"):
        if living_leases(work.home.leases) > 1:
            return
        remove_folder(work.home.work)
        work.home.work.mkdir(exist_ok=True)
        with explained(work.registry):
            orphans = work.registry.end_orphans(work.holder)
        with losing_servers(work.home):
            crashed = asyncio.run(_crash_flow_runs()) if "prefect" in servers.embedded else 0
    if orphans or crashed:
        say(f"an earlier command was killed: marked {crashed} + {orphans} runs (Prefect + MLflow) as ended")


def send_logs() -> None:
    """Send what Prefect still holds of the runs' logs, while its server is up."""
    from prefect.logging.handlers import APILogWorker

    APILogWorker.drain_all(timeout=5)


async def _crash_flow_runs() -> int:
    from prefect import get_client
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterState,
        FlowRunFilterStateType,
    )
    from prefect.client.schemas.objects import StateType
    from prefect.states import Crashed

    alive = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
    wanted = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=alive)))
    async with get_client() as client:
        runs = await client.read_flow_runs(flow_run_filter=wanted)
        for run in runs:
            await client.set_flow_run_state(
                run.id, Crashed(message="the ame command that ran it was killed"), force=True
            )
    return len(runs)
