"""How a flow ends: a state that names the outcome, and a diagnosis instead of a traceback."""

from __future__ import annotations

import functools
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, ParamSpec

from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from ame.diagnosis import Refused
from ame.registry import diagnosis_of

__all__ = ["Outcome", "completed", "diagnosed", "outcome_of", "unless_refused"]

_P = ParamSpec("_P")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a flow tells its caller.

    Attributes:
        state: the name of its final state, for example Promoted.
        message: one sentence, or the diagnoses of a failure.
        version: of the model that the flow was about, when there is one.
        flow_run: its id.
        detail: the step's own result, for example the id of an MLflow run.
    """

    state: str
    message: str
    version: str | None = None
    flow_run: str | None = None
    detail: str | None = None


def completed(
    name: str, message: str, *, version: str | None = None, detail: str | None = None
) -> State[Any]:
    """A Completed state under a name of its own."""
    outcome = Outcome(name, message, version, str(flow_run.id), detail)
    return Completed(name=name, message=message, data=outcome)


def diagnosed(story: Callable[_P, Awaitable[State[Any]]]) -> Callable[_P, Awaitable[State[Any]]]:
    """End a flow as Failed, with the diagnosis as its message, when it refuses or the registry fails."""

    @functools.wraps(story)
    async def told(*args: _P.args, **kwargs: _P.kwargs) -> State[Any]:
        from mlflow.exceptions import MlflowException

        try:
            return await story(*args, **kwargs)
        except Refused as refused:
            message = str(refused)
        except MlflowException as error:
            message = str(diagnosis_of(error, os.environ.get("MLFLOW_TRACKING_URI", "")))
        get_run_logger().error(message)
        return Failed(message=message)

    return told


async def outcome_of(state: State[Any]) -> Outcome:
    """The outcome of a finished flow, failed ones included."""
    if state.is_completed():
        found = await state.aresult()
        if isinstance(found, Outcome):
            return found
    run = state.state_details.flow_run_id
    name = state.name or state.type.value.title()
    return Outcome(name, state.message or "", flow_run=str(run) if run else None)


async def unless_refused(_task: object, _task_run: object, state: State[Any]) -> bool:
    """Whether a failed task may be tried again: a refusal would come again, a lost connection may not."""
    return not isinstance(await state.aresult(raise_on_failure=False), Refused)
