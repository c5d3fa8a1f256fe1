"""The automation that ends on paper what has died in fact.

A run whose machine is lost, worker and all, stays `Running` for ever: its parent waits for it, and it
holds its deployment's slot. Prefect's flows give a sign of life every 30 seconds; this automation calls
Crashed what has given none for five minutes.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.events.schemas.automations import AutomationCore

__all__ = ["LOST_RUNS", "Action", "apply_automation"]

Action = Literal["created", "updated", "unchanged"]

LOST_RUNS = "ame-flows: runs without a sign of life"
_SILENCE = timedelta(minutes=5)
_HEARTBEAT = "prefect.flow-run.heartbeat"


def apply_automation(client: SyncPrefectClient, *, dry_run: bool) -> tuple[Action, tuple[str, ...]]:
    """Create the automation, or bring it up to date; one that somebody has disabled stays disabled.

    Returns:
        What was done, and what an update changes.
    """
    wanted = _lost_runs()
    there = next(iter(client.read_automations_by_name(LOST_RUNS)), None)
    if there is None:
        if not dry_run:
            client.create_automation(wanted)
        return "created", ()
    before, after = _compared(there), _compared(wanted)
    changes = tuple(part for part, content in after.items() if before[part] != content)
    if not changes:
        return "unchanged", ()
    if not dry_run:
        client.update_automation(there.id, wanted.model_copy(update={"enabled": there.enabled}))
    return "updated", changes


def _lost_runs() -> AutomationCore:
    from prefect.client.schemas.objects import StateType
    from prefect.events.actions import ChangeFlowRunState
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
    from prefect.events.schemas.events import ResourceSpecification

    def matching(**labels: str) -> ResourceSpecification:
        names = {name.replace("_", "."): value for name, value in labels.items()}
        return ResourceSpecification.model_validate(names)

    return AutomationCore(
        name=LOST_RUNS,
        description="Runs of ame-flows that have given no sign of life for five minutes are called Crashed: "
        "their process, or their machine, is gone. Made by `ame pools apply`.",
        trigger=EventTrigger(
            match=matching(prefect_resource_id="prefect.flow-run.*"),
            match_related=matching(prefect_resource_id="prefect.tag.ame"),
            after={_HEARTBEAT},
            # Another heartbeat, or any change of the run's state, under whatever name.
            expect={"prefect.flow-run.*"},
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=_SILENCE,
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED,
                name="Crashed",
                force=False,
                message="it has given no sign of life for five minutes: its process or its machine is gone",
            )
        ],
    )


def _compared(automation: AutomationCore) -> dict[str, Any]:
    found = automation.model_dump(mode="json", include={"description", "trigger", "actions"})
    found["trigger"].pop("id", None)
    return found
