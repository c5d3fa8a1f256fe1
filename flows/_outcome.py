"""How a flow ends: a state that names the outcome, and a diagnosis instead of a traceback."""

from __future__ import annotations

import functools
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from prefect.client.schemas.objects import State
from prefect.exceptions import MissingResult
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from ame.diagnosis import Refused
from ame.registry import diagnosis_of

__all__ = [
    "Outcome",
    "attempts",
    "completed",
    "diagnosed",
    "failed",
    "outcome_of",
    "refusing",
    "settled",
    "unless_refused",
]

_P = ParamSpec("_P")
_T = TypeVar("_T")

#: A command that failed, ran out of time or got no environment, and a vault that was silent, may do better
#: the next time.
_WORTH_ANOTHER = {"AME-E201", "AME-E202", "AME-E204", "AME-E221", "AME-E226"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a flow tells its caller.

    Attributes:
        state: the name of its final state, for example Promoted.
        message: one sentence, or the diagnoses of a failure.
        version: of the model that the flow was about, when there is one.
        flow_run: its id.
        failed: whether the flow run is a failed one.
    """

    state: str
    message: str
    version: str | None = None
    flow_run: str | None = None
    failed: bool = False


class _Unsuccessful(Exception):
    """Carries the outcome of a failed flow: Prefect takes only an exception as a failed state's data."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.message)
        self.outcome = outcome


def completed(name: str, message: str, *, version: str | None = None) -> State[Any]:
    """A Completed state under a name of its own."""
    outcome = Outcome(name, message, version, str(flow_run.id))
    return Completed(name=name, message=message, data=outcome)


def failed(name: str, message: str, *, version: str | None = None) -> State[Any]:
    """A Failed state under a name of its own."""
    outcome = Outcome(name, message, version, str(flow_run.id), failed=True)
    return Failed(name=name, message=message, data=_Unsuccessful(outcome))


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
        return failed("Failed", message)

    return told


def refusing(step: Callable[_P, Awaitable[_T]]) -> Callable[_P, Awaitable[_T | State[Any]]]:
    """End a Prefect task that refuses as Failed, with one line: raised, it would log a traceback.

    Its caller gets the refusal raised by `settled`.
    """

    @functools.wraps(step)
    async def told(*args: _P.args, **kwargs: _P.kwargs) -> _T | State[Any]:
        try:
            return await step(*args, **kwargs)
        except Refused as refused:
            first = refused.diagnoses[0]
            return Failed(message=f"{first.code} {first.what}", data=refused)

    return told


async def settled(step: Awaitable[_T | State[Any]]) -> _T:
    """The result of a task that may refuse.

    Raises:
        Refused: what the task refused with.
    """
    result = await step
    if isinstance(result, State):
        raise await result.aresult(raise_on_failure=False)
    return result


async def outcome_of(state: State[Any]) -> Outcome:
    """The outcome of a finished flow, of one that crashed or was cancelled too."""
    try:
        found = await state.aresult(raise_on_failure=False)
    except MissingResult:
        # The server's answer to the final state was lost; told again, it answers with the state alone.
        found = None
    if isinstance(found, Outcome):
        return found
    if isinstance(found, _Unsuccessful):
        return found.outcome
    run = state.state_details.flow_run_id
    name = state.name or state.type.value.title()
    return Outcome(
        name, state.message or "", flow_run=str(run) if run else None, failed=not state.is_completed()
    )


async def attempts(step: Callable[[int], Awaitable[_T | State[Any]]], retries: int) -> _T:
    """Try a step that may refuse, once and `retries` times more; it is told the attempt, from 1.

    Raises:
        Refused: the last attempt's.
    """
    for number in range(1, retries + 1):
        try:
            return await settled(step(number))
        except Refused as refused:
            if refused.diagnoses[0].code not in _WORTH_ANOTHER:
                raise
            get_run_logger().info("attempt %d of %d failed", number, retries + 1)
    return await settled(step(retries + 1))


async def unless_refused(_task: object, _task_run: object, state: State[Any]) -> bool:
    """Whether a failed task may be tried again: a refusal would come again, a lost connection may not."""
    return not isinstance(await state.aresult(raise_on_failure=False), Refused)
