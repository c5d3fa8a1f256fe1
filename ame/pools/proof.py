"""The proof that deployments get what their ame.yml asks for, without a cluster.

Prefect takes unknown job variables in silence, and a template may forget one: then a task that asked for
a GPU runs without. So each Job is rendered with Prefect's own code and looked through: every job variable
stands at its place, Kubernetes would take the Job, and extended resources are those that were asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ame.diagnosis import Diagnosis, Refused, Where, did_you_mean
from ame.pools.grammar import labels_faults
from ame.pools.render import first_line, job_of, kind_of, plain
from ame.pools.schema import at, faults_of
from ame.pools.templates import base_job_template
from ame.pools.variables import PLACES, Kind
from ame.quantity import parse_quantity

if TYPE_CHECKING:
    from ame.compile import Deployment

__all__ = ["prove"]

#: These differ from deployment to deployment and decide nothing about the Job.
_NAMES = ("labels", "annotations")
_LIMITS = "spec.template.spec.containers[0].resources.limits"
#: The key of the ame.yml that a resource of the Job comes from, where it is not the same.
_KEYS = {"ephemeral-storage": "storage"}
_NAMED_JOBS = 3


@dataclass(frozen=True, slots=True)
class _Problem:
    """A fault of a Job, with the resource of the ame.yml that it is about, if it is about one."""

    code: str
    what: str
    why: str = ""
    fix: str = ""
    resource: str | None = None


def prove(
    deployments: Iterable[Deployment], *, templates: Mapping[str, Mapping[str, Any]] | None = None
) -> None:
    """Refuse deployments whose Jobs are not what was asked for; each distinct shape is rendered once.

    Args:
        deployments: for the Kubernetes target.
        templates: base job templates by work pool, in place of ours.

    Raises:
        Refused: with everything that was found, by place: AME-E820 to AME-E827.
    """
    shapes: dict[str, list[_Problem]] = {}
    jobs: dict[tuple[Where, _Problem], list[str]] = {}
    refused: list[Diagnosis] = []
    for deployment in deployments:
        try:
            kind = kind_of(deployment)
        except Refused as other_pool:
            refused += other_pool.diagnoses
            continue
        template = (templates or {}).get(deployment.pool) or _ours(kind)
        shape = _shape(deployment)
        if shape not in shapes:
            shapes[shape] = list(_of_shape(deployment, template))
        for problem in (*shapes[shape], *_of_names(deployment)):
            place = deployment.resources.places.get(problem.resource or "", deployment.where)
            jobs.setdefault((place, problem), []).append(deployment.full_name)
    refused += [_diagnosis(where, problem, names) for (where, problem), names in jobs.items()]
    if refused:
        raise Refused(*sorted(refused, key=_by_place))


@lru_cache(maxsize=len(PLACES))
def _ours(kind: Kind) -> dict[str, Any]:
    return base_job_template(kind)


def _shape(deployment: Deployment) -> str:
    variables = {name: value for name, value in deployment.job_variables.items() if name not in _NAMES}
    asked = [deployment.pool, variables, dict(deployment.resources.extended)]
    return json.dumps(plain(asked), sort_keys=True)


def _of_shape(deployment: Deployment, template: Mapping[str, Any]) -> Iterator[_Problem]:
    variables = plain(deployment.job_variables)
    try:
        job = job_of(template, variables)
    except ValueError as error:
        yield _Problem("AME-E822", "Prefect makes no Job of the job variables.", first_line(error))
        return
    declared = template["variables"]["properties"]
    for name, value in variables.items():
        if name not in declared:
            yield _Problem(
                "AME-E823",
                f"the work pool '{deployment.pool}' has no job variable '{name}'.",
                "Prefect would take it in silence, and it would do nothing.",
                did_you_mean(name, declared),
            )
        else:
            yield from _lost(deployment.pool, job, name, value)
    for fault in faults_of(job):
        resource = _KEYS.get(fault.resource or "", fault.resource)
        yield _Problem("AME-E825", f"Kubernetes would refuse the Job: {fault.what}", fault.why, "", resource)
    yield from _extended(deployment, job)


def _lost(pool: str, job: Mapping[str, Any], name: str, value: Any) -> Iterator[_Problem]:
    """The variable is declared; does the Job carry its value where it has to?"""
    # A variable that somebody has added to a template has no place that is known here.
    for place in PLACES.get(name, ()):
        found = at(job, place)
        if not _carries(name, found, value):
            resource = _differing(found, value) if name in ("requests", "limits") else None
            yield _Problem(
                "AME-E824",
                f"the job variable '{name}' is not at {place} of the Job.",
                f"The base job template of '{pool}' loses it.",
                "Make the pool's template again with `ame pools apply`.",
                _KEYS.get(resource or "", resource),
            )


def _carries(name: str, found: Any, value: Any) -> bool:
    if name == "env" and isinstance(value, Mapping):
        named = {entry.get("name"): entry.get("value") for entry in found or []}
        return all(named.get(key) == (None if text is None else str(text)) for key, text in value.items())
    if name in _NAMES:
        # Prefect adds its own, and rewrites those that Kubernetes would refuse, which is told apart.
        refused = labels_faults(value, with_values=name == "labels")
        return all((found or {}).get(key) == text for key, text in value.items() if key not in refused)
    if name == "name":
        return bool(found == f"{value}-")
    return bool(found == value)


def _differing(found: Any, value: Any) -> str | None:
    """The first resource that was stated and is not there."""
    stated = value if isinstance(value, Mapping) else {}
    there = found if isinstance(found, Mapping) else {}
    return next((key for key, text in stated.items() if there.get(key) != text), None)


def _extended(deployment: Deployment, job: Mapping[str, Any]) -> Iterator[_Problem]:
    """A GPU, or any other extended resource, reaches the one that asked for it, and nobody else."""
    asked = _counts(deployment.resources.extended)
    given = _counts({name: text for name, text in _limits(job).items() if "/" in name})
    for name in sorted({*asked, *given}):
        if asked.get(name) != given.get(name):
            wanted, got = asked.get(name, "none"), given.get(name, "none")
            yield _Problem(
                "AME-E826", f"the Job holds {got} of {name}, and {wanted} is asked for.", resource=name
            )
    gpus = deployment.resources.gpus
    if bool(gpus) != (deployment.pool == "ame-gpu"):
        told = f"asks for {', '.join(gpus)}" if gpus else "asks for no GPU"
        yield _Problem(
            "AME-E826",
            f"a task that {told} is to run on the work pool '{deployment.pool}'.",
            "Tasks with a GPU, and no others, run on 'ame-gpu'.",
            resource=next(iter(gpus), None),
        )


def _limits(job: Mapping[str, Any]) -> Mapping[str, Any]:
    found = at(job, _LIMITS)
    return found if isinstance(found, Mapping) else {}


def _counts(resources: Mapping[str, str]) -> dict[str, str]:
    counts = {}
    for name, text in resources.items():
        try:
            number = parse_quantity(str(text))
        except ValueError:
            counts[name] = str(text)  # the fault itself is told by its own name
            continue
        if number:
            counts[name] = f"{number.normalize():f}"
    return counts


def _of_names(deployment: Deployment) -> Iterator[_Problem]:
    for name in _NAMES:
        values = deployment.job_variables.get(name) or {}
        for key, why in labels_faults(values, with_values=name == "labels").items():
            yield _Problem(
                "AME-E827",
                f"Kubernetes refuses the {name.removesuffix('s')} '{key}'.",
                f"{why} Prefect would change it in silence.",
            )


def _diagnosis(where: Where, problem: _Problem, names: list[str]) -> Diagnosis:
    shown = ", ".join(names[:_NAMED_JOBS])
    more = f" and {len(names) - _NAMED_JOBS} more" if len(names) > _NAMED_JOBS else ""
    jobs = f"It is about {shown}{more}."
    return Diagnosis(
        code=problem.code,
        where=where,
        what=problem.what,
        why=" ".join(part for part in (problem.why, jobs) if part),
        fix=problem.fix,
    )


def _by_place(diagnosis: Diagnosis) -> tuple[str, int, int]:
    where = diagnosis.where or Where("")
    return where.file, where.line or 0, where.column or 0
