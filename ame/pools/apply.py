"""The work pools of a Prefect server: made, brought up to date, and never taken from anybody.

A template of ours carries a mark with its own digest. A pool whose template no longer has the digest
that the mark says was edited by hand; one without a mark was made by somebody else. Both are left as
they are, unless the caller says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ame.diagnosis import Diagnosis, Refused
from ame.pools.automations import LOST_RUNS, Action, apply_automation
from ame.pools.difference import differences
from ame.pools.templates import MARK, base_job_template, digest_of, pool_of, process_template
from ame.pools.variables import KINDS, Kind
from ame.prefect_server import prefect_server

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import WorkPool

    from ame.compile import Target

__all__ = ["Applied", "apply_pools"]

_DESCRIPTIONS: Mapping[Kind, str] = {
    "control": "Runs that start other runs and wait for them. Give it no concurrency limit.",
    "cpu": "Tasks without a GPU.",
    "gpu": "Tasks that ask for a GPU.",
    "spark": "Comparisons on Spark: the driver, which starts its executors.",
}
_UPDATE = "Change it through `ame pools apply` and its --values file, or replace what is there with --force."


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What happened, or would happen, to one work pool or to the automation.

    Attributes:
        name: for example `ame-gpu`.
        action: `unchanged` when the server has the wanted one already.
        changes: of an update: the names of variables, then dotted paths of the job configuration.
        warnings: what is worth knowing about the pool that is there.
    """

    name: str
    action: Action
    changes: tuple[str, ...] = ()
    warnings: tuple[Diagnosis, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    name: str
    type: Target
    description: str
    template: dict[str, Any]


def apply_pools(
    target: Target,
    *,
    defaults: Mapping[Kind, Mapping[str, Any]] | None = None,
    dry_run: bool = False,
    force: bool = False,
) -> list[Applied]:
    """Make the pools, or bring their templates up to date; all of them or, when refused, none.

    With them goes the automation that ends runs which have died with their machine.

    Args:
        target: the type of the pools.
        defaults: values of variables by kind of pool, for Kubernetes pools only.
        dry_run: change nothing.
        force: overwrite templates that were edited by hand or made by others.

    Raises:
        Refused: AME-E830 to AME-E832 without a server that takes orders, AME-E833 and AME-E834 for pools
            that are not ours to change, AME-E820 when prefect-kubernetes is not installed.
    """
    wanted = [_wanted(kind, target, (defaults or {}).get(kind, {})) for kind in KINDS]
    with prefect_server() as client:
        there = {pool.name: _pool(client, pool.name) for pool in wanted}
        refused = [found for pool in wanted if (found := _not_ours(pool, there[pool.name], force))]
        if refused:
            raise Refused(*refused)
        applied = [_step(pool, there[pool.name]) for pool in wanted]
        if not dry_run:
            for pool, step in zip(wanted, applied, strict=True):
                _carry_out(client, pool, step)
        action, changes = apply_automation(client, dry_run=dry_run)
        applied.append(Applied(name=LOST_RUNS, action=action, changes=changes))
    return applied


def _wanted(kind: Kind, target: Target, defaults: Mapping[str, Any]) -> _Wanted:
    template = process_template(kind) if target == "process" else base_job_template(kind, defaults=defaults)
    return _Wanted(name=pool_of(kind), type=target, description=_DESCRIPTIONS[kind], template=template)


def _not_ours(wanted: _Wanted, there: WorkPool | None, force: bool) -> Diagnosis | None:
    if there is None:
        return None
    if there.type != wanted.type:
        return Diagnosis(
            code="AME-E833",
            what=f"the work pool '{wanted.name}' is of the type '{there.type}', not '{wanted.type}'.",
            why="Prefect cannot change the type of a pool.",
            fix=f"Apply with another --target, or delete it: prefect work-pool delete {wanted.name}",
        )
    template = there.base_job_template
    mark = template.get(MARK)
    digest = digest_of(template)
    if force or not template or digest == digest_of(wanted.template):
        return None
    if isinstance(mark, Mapping) and mark.get("digest") == digest:
        return None
    history = "edited since it was applied" if mark else "not made by `ame pools apply`"
    return Diagnosis(
        code="AME-E834",
        what=f"the work pool '{wanted.name}' was {history}, and is left as it is.",
        why=f"An update would change {', '.join(differences(template, wanted.template))}.",
        fix=_UPDATE,
    )


def _step(wanted: _Wanted, there: WorkPool | None) -> Applied:
    if there is None:
        return Applied(name=wanted.name, action="created")
    warnings = tuple(_limits(there))
    if digest_of(there.base_job_template) == digest_of(wanted.template):
        return Applied(name=wanted.name, action="unchanged", warnings=warnings)
    changes = differences(there.base_job_template, wanted.template)
    return Applied(name=wanted.name, action="updated", changes=changes, warnings=warnings)


def _limits(there: WorkPool) -> Iterator[Diagnosis]:
    if there.name == pool_of("control") and there.concurrency_limit is not None:
        yield Diagnosis(
            code="AME-W820",
            what=f"the work pool '{there.name}' has a concurrency limit of {there.concurrency_limit}.",
            why="Its runs wait for runs that they start; when they fill the pool, they wait for ever.",
            fix=f"Run: prefect work-pool clear-concurrency-limit {there.name}",
        )


def _carry_out(client: SyncPrefectClient, wanted: _Wanted, step: Applied) -> None:
    from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate

    if step.action == "created":
        client.create_work_pool(
            WorkPoolCreate(
                name=wanted.name,
                type=wanted.type,
                description=wanted.description,
                base_job_template=wanted.template,
            )
        )
    elif step.action == "updated":
        client.update_work_pool(wanted.name, WorkPoolUpdate(base_job_template=wanted.template))


def _pool(client: SyncPrefectClient, name: str) -> WorkPool | None:
    from prefect.exceptions import ObjectNotFound

    try:
        return client.read_work_pool(name)
    except ObjectNotFound:
        return None
