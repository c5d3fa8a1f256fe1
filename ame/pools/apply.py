"""The three work pools of a Prefect server: made, brought up to date, and never taken from anybody.

A template of ours carries a mark with its own digest. A pool whose template no longer has the digest
that the mark says was edited by hand; one without a mark was made by somebody else. Both are left as
they are, unless the caller says otherwise.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ame.diagnosis import Diagnosis, Refused
from ame.pools.difference import differences
from ame.pools.templates import MARK, base_job_template, digest_of, pool_of, process_template
from ame.pools.variables import KINDS, Kind

if TYPE_CHECKING:
    import httpx
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import WorkPool

    from ame.compile import Target

__all__ = ["AppliedPool", "apply_pools"]

_SECONDS_TO_ANSWER = 10
_DESCRIPTIONS: Mapping[Kind, str] = {
    "control": "Runs that start other runs and wait for them. Give it no concurrency limit.",
    "cpu": "Tasks without a GPU.",
    "gpu": "Tasks that ask for a GPU.",
}
_UPDATE = "Change it through `ame pools apply` and its --values file, or replace what is there with --force."


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedPool:
    """What happened, or would happen, to one work pool.

    Attributes:
        name: for example `ame-gpu`.
        action: `unchanged` when the server's template is already the wanted one.
        changes: of an update: the names of variables, then dotted paths of the job configuration.
        warnings: what is worth knowing about the pool that is there.
    """

    name: str
    action: Literal["created", "updated", "unchanged"]
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
) -> list[AppliedPool]:
    """Make the three pools, or bring their templates up to date; all of them or, when refused, none.

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
    with _server() as client:
        there = {pool.name: _pool(client, pool.name) for pool in wanted}
        refused = [found for pool in wanted if (found := _not_ours(pool, there[pool.name], force))]
        if refused:
            raise Refused(*refused)
        applied = [_step(pool, there[pool.name]) for pool in wanted]
        if not dry_run:
            for pool, step in zip(wanted, applied, strict=True):
                _carry_out(client, pool, step)
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


def _step(wanted: _Wanted, there: WorkPool | None) -> AppliedPool:
    if there is None:
        return AppliedPool(name=wanted.name, action="created")
    warnings = tuple(_limits(there))
    if digest_of(there.base_job_template) == digest_of(wanted.template):
        return AppliedPool(name=wanted.name, action="unchanged", warnings=warnings)
    changes = differences(there.base_job_template, wanted.template)
    return AppliedPool(name=wanted.name, action="updated", changes=changes, warnings=warnings)


def _limits(there: WorkPool) -> Iterator[Diagnosis]:
    if there.name == pool_of("control") and there.concurrency_limit is not None:
        yield Diagnosis(
            code="AME-W820",
            what=f"the work pool '{there.name}' has a concurrency limit of {there.concurrency_limit}.",
            why="Its runs wait for runs that they start; when they fill the pool, they wait for ever.",
            fix=f"Run: prefect work-pool clear-concurrency-limit {there.name}",
        )


def _carry_out(client: SyncPrefectClient, wanted: _Wanted, step: AppliedPool) -> None:
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
    except ValueError:
        # A page of HTML: the address is that of the UI, or of another program.
        raise Refused(_not_the_api(_shown(str(client.api_url)))) from None


@contextlib.contextmanager
def _server() -> Iterator[SyncPrefectClient]:
    """A client of the server of PREFECT_API_URL; without one Prefect would start a server of its own."""
    import httpx
    from prefect import get_client
    from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound, ObjectUnsupported
    from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    url = PREFECT_API_URL.value()
    if not url:
        raise Refused(
            Diagnosis(
                code="AME-E830",
                what="no Prefect server is named.",
                why="Work pools are on a server that workers reach, not on the one that `ame run` starts.",
                fix="Set PREFECT_API_URL, for example to http://HOST:4200/api, or choose a profile with "
                "`prefect profile use`.",
            )
        )
    try:
        with (
            temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}),
            get_client(httpx_settings={"timeout": _SECONDS_TO_ANSWER}, sync_client=True) as client,
        ):
            yield client
    except httpx.HTTPStatusError as error:
        raise Refused(_refusal(_shown(url), error.response)) from None
    except (ObjectAlreadyExists, ObjectNotFound, ObjectUnsupported) as error:
        # A pool that somebody else has created or deleted meanwhile, or a plan that has no such pools.
        raise Refused(_refusal(_shown(url), getattr(error.http_exc, "response", None))) from None
    except (httpx.RequestError, httpx.InvalidURL) as error:
        raise Refused(
            Diagnosis(
                code="AME-E831",
                what=f"the Prefect server at {_shown(url)} does not answer.",
                why=f"{type(error).__name__}: {error}." if str(error) else f"{type(error).__name__}.",
                fix="Start it, or correct PREFECT_API_URL.",
            )
        ) from None


def _refusal(url: str, response: httpx.Response | None) -> Diagnosis:
    status = response.status_code if response is not None else "unknown"
    if status in (404, 405):
        return _not_the_api(url)
    said = response.text.strip().partition("\n")[0][:300] if response is not None else ""
    fix = ""
    if status in (401, 403):
        fix = (
            "Set PREFECT_API_KEY (Prefect Cloud) or PREFECT_API_AUTH_STRING, "
            "with the right to change work pools."
        )
    return Diagnosis(
        code="AME-E832",
        what=f"the Prefect server at {url} refuses: status {status}.",
        why=f"It says: {said}" if said else "",
        fix=fix,
    )


def _not_the_api(url: str) -> Diagnosis:
    return Diagnosis(
        code="AME-E832",
        what=f"what answers at {url} is not Prefect's API.",
        fix="PREFECT_API_URL ends in /api, as in http://HOST:4200/api.",
    )


def _shown(url: str) -> str:
    """The address without the user and password that it may hold."""
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"
