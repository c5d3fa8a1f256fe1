"""Every key of what is written, held against what Prefect reads: it takes any other key in silence.

A misspelt `expect` makes a trigger that fires on everything, a misspelt job variable a pod without its
GPU, and neither `prefect deploy` nor the server says a word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from ame.compile.deployment import JOB_VARIABLES, POOLS, TEMPLATES, Deployment, Target
from ame.compile.placeholders import placeholders
from ame.diagnosis import Diagnosis

__all__ = ["check"]


def _keys(text: str) -> frozenset[str]:
    return frozenset(text.split())


_KEYS = _keys(
    "name version description tags entrypoint parameters enforce_parameter_schema schedules "
    "concurrency_limit triggers work_pool build"
)
_SCHEDULE_KEYS = _keys("cron timezone slug active")
_TRIGGER_KEYS = _keys("type name posture expect match threshold within parameters")
_LIMIT_KEYS = _keys("limit collision_strategy")
_POOL_KEYS = _keys("name job_variables")
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "object": Mapping,
    "array": list,
    "string": str,
    "integer": int,
}


def check(deployment: Deployment, document: Mapping[str, Any], target: Target) -> Iterator[Diagnosis]:
    """AME-E807 for each thing in a deployment's document that Prefect would not read as it is meant."""
    for what in _faults(deployment, document, target):
        yield Diagnosis(
            code="AME-E807",
            where=deployment.where,
            what=f"the deployment '{deployment.full_name}' {what}.",
            why="Prefect would take that in silence and do something else.",
            fix="This is a fault of ame-flows: please report it.",
        )


def _faults(deployment: Deployment, document: Mapping[str, Any], target: Target) -> Iterator[str]:
    yield from _unknown("key", document, _KEYS)
    for schedule in document["schedules"]:
        yield from _unknown("key of a schedule", schedule, _SCHEDULE_KEYS)
    for trigger in document.get("triggers", ()):
        yield from _unknown("key of a trigger", trigger, _TRIGGER_KEYS)
        if not trigger["expect"] or any(set("*?[!") & set(text) for text in trigger["match"].values()):
            yield "has a trigger that fires on more than one resource or event"
        yield from _wrong_parameters(deployment, trigger["parameters"])
    yield from _unknown("key of a limit", document.get("concurrency_limit", {}), _LIMIT_KEYS)
    yield from _unknown("key of a work pool", document["work_pool"], _POOL_KEYS)
    if deployment.pool not in POOLS:
        yield f"names the unknown work pool '{deployment.pool}'"
    yield from _wrong_parameters(deployment, document["parameters"])
    yield from _wrong_variables(document["work_pool"]["job_variables"], JOB_VARIABLES[target])
    yield from _foreign_templates(document)


def _unknown(kind: str, found: Mapping[str, Any], known: frozenset[str]) -> Iterator[str]:
    for key in found.keys() - known:
        yield f"has the unknown {kind} '{key}'"


def _wrong_parameters(deployment: Deployment, given: Mapping[str, Any]) -> Iterator[str]:
    """Those that the flow does not take; the ones that a run is given when it starts may be missing."""
    model = deployment.flow.parameters
    later = {name: "later" for name, field in model.model_fields.items() if field.is_required()}
    try:
        model.model_validate({**later, **given})
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            yield f"has a wrong parameter '{'.'.join(map(str, problem['loc']))}'"


def _wrong_variables(given: Mapping[str, Any], known: Mapping[str, str]) -> Iterator[str]:
    for name, value in given.items():
        kind = known.get(name)
        if kind is None:
            yield f"has the unknown job variable '{name}'"
        elif not isinstance(value, _TYPES[kind]) or isinstance(value, bool):
            yield f"has the job variable '{name}', which is no {kind}"
    for name in ("requests", "limits"):
        for resource, quantity in given.get(name, {}).items():
            if not isinstance(quantity, str):
                yield f"asks for '{resource}' by a number"


def _foreign_templates(document: Mapping[str, Any]) -> Iterator[str]:
    for key, value in document.items():
        for text in placeholders(value):
            if (key, text) not in TEMPLATES:
                yield f"holds the placeholder '{text}' in '{key}'"
