"""The Kubernetes Job of a deployment, rendered without a cluster by the code of Prefect's own worker.

What the worker adds from its own settings and what differs from run to run is left out, so that the
same deployment always gives the same Job.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from ame.diagnosis import Diagnosis, Refused
from ame.pools.templates import base_job_template
from ame.pools.variables import KINDS, Kind

if TYPE_CHECKING:
    from ame.compile import Deployment

__all__ = ["first_line", "job_of", "kind_of", "plain", "render"]

_NOBODY = UUID(int=0)


def render(deployment: Deployment, *, template: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The Job that a worker would create for a run of the deployment.

    Args:
        deployment: one for the Kubernetes target.
        template: the pool's base job template; ours when it is not given.

    Raises:
        Refused: AME-E820 when prefect-kubernetes is not installed, AME-E821 when the deployment names
            another pool, AME-E822 when Prefect's code takes the values for no Job.
    """
    kind = kind_of(deployment)
    try:
        return job_of(
            template or base_job_template(kind),
            deployment.job_variables,
            flow=deployment.flow.name,
            deployment=deployment.name,
        )
    except ValueError as error:
        raise Refused(
            Diagnosis(
                code="AME-E822",
                where=deployment.where,
                what=f"Prefect makes no Job of the job variables of {deployment.full_name}.",
                why=first_line(error),
            )
        ) from None


def kind_of(deployment: Deployment) -> Kind:
    """The kind of pool that the deployment runs on.

    Raises:
        Refused: AME-E821 when it is none of ours.
    """
    kind = deployment.pool.removeprefix("ame-")
    for known in KINDS:
        if kind == known and kind != deployment.pool:
            return known
    raise Refused(
        Diagnosis(
            code="AME-E821",
            where=deployment.where,
            what=f"{deployment.full_name} is to run on '{deployment.pool}', which is no work pool of ours.",
            fix=f"Our work pools are {', '.join(f'ame-{known}' for known in KINDS)}.",
        )
    )


def job_of(
    template: Mapping[str, Any],
    job_variables: Mapping[str, Any],
    *,
    flow: str = "flow",
    deployment: str = "deployment",
) -> dict[str, Any]:
    """The Job that Prefect's worker makes of a template and job variables.

    Raises:
        ValueError: when Prefect refuses the values (a pydantic error is one), or when they refer to a
            block or variable of a server.
    """
    return asyncio.run(_job_of(template, job_variables, flow, deployment))


def plain(value: Any) -> Any:
    """Read-only mappings and tuples as the dictionaries and lists that JSON makes of them."""
    if isinstance(value, Mapping):
        return {key: plain(part) for key, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list | tuple) else value


def first_line(error: ValueError) -> str:
    """What an error of pydantic, or a plain one, says first; never the values that it was given."""
    found = getattr(error, "errors", None)
    if found is None:
        return str(error).partition("\n")[0]
    first = found(include_input=False, include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}." if place else f"{first['msg']}."


async def _job_of(
    template: Mapping[str, Any], job_variables: Mapping[str, Any], flow: str, deployment: str
) -> dict[str, Any]:
    from prefect.client.schemas.objects import Flow, FlowRun
    from prefect.client.schemas.responses import DeploymentResponse
    from prefect_kubernetes.worker import KubernetesWorkerJobConfiguration

    class Configuration(KubernetesWorkerJobConfiguration):  # type: ignore[misc]
        """Without the PREFECT_ settings of the shell, which are not those of a worker."""

        @classmethod
        def _base_environment(cls) -> dict[str, str]:
            return {}

    configuration = await Configuration.from_template_and_values(
        base_job_template=dict(template), values=plain(job_variables), client=_NoServer()
    )
    configuration.prepare_for_flow_run(
        FlowRun(id=_NOBODY, flow_id=_NOBODY, name=deployment),
        deployment=DeploymentResponse(id=_NOBODY, flow_id=_NOBODY, name=deployment, labels={}),
        flow=Flow(id=_NOBODY, name=flow, labels={}),
    )
    job: dict[str, Any] = configuration.job_manifest
    return job


class _NoServer:
    """In place of a client: only a reference to a block or variable would ask it for something."""

    def __getattr__(self, name: str) -> Any:
        raise ValueError(
            "A value refers to a block or a variable of the Prefect server. Its content would stand in the "
            "deployment, to be read by everybody."
        )
