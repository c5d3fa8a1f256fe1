"""What a flow's final state tells the flow that has started it."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import State, StateDetails
from prefect.states import Cancelled, Completed, Crashed, Failed

from flows._outcome import Outcome, outcome_of


@pytest.mark.parametrize(
    ("state", "failed"),
    [
        (Completed(name="Promoted", message="it is better"), False),
        (Failed(name="Promoted", message="it is better"), True),
        (Crashed(name="Promoted", message="it is better"), True),
        (Cancelled(name="Promoted", message="it is better"), True),
    ],
)
def test_a_state_without_data_is_told_by_its_name(state: State[None], failed: bool) -> None:
    """As the server gives it back when its answer to the final state was lost and the state was sent again."""
    run = uuid4()
    state.state_details = StateDetails(flow_run_id=run)
    state = State.model_validate_json(state.model_dump_json())

    told = asyncio.run(outcome_of(state))

    assert told == Outcome("Promoted", "it is better", flow_run=str(run), failed=failed)
