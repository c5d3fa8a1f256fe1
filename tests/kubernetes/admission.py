"""Would a Kubernetes API server take this Job? Its schema, and its rules for resources."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import kubernetes_validate

from ame.quantity import parse_quantity

# Prefect's configuration class insists on these two in the pod's spec, where a server warns and drops them.
_MISPLACED = ("parallelism", "completions")


def what_is_wrong_with(job: dict[str, Any]) -> list[str]:
    """Why a server would refuse the Job; empty when it would take it."""
    job = copy.deepcopy(job)
    pod = job.get("spec", {}).get("template", {}).get("spec", {})
    for name in _MISPLACED:
        pod.pop(name, None)
    try:
        kubernetes_validate.validate(job, kubernetes_validate.latest_version(), strict=True)
    except kubernetes_validate.ValidationError as error:
        place = ".".join(str(part) for part in error.path)
        return [f"{place}: {error.message}" if place else str(error.message)]
    wrong = []
    if pod.get("initContainers") or len(pod["containers"]) != 1:
        wrong.append("the stand-in runs pods of one container, without others before it")
    return wrong + _wrong_with_resources(pod["containers"][0].get("resources", {}))


def requests_of(pod: dict[str, Any]) -> dict[str, Decimal]:
    """What a pod takes of its node: its requests, and its limits where it requests nothing."""
    resources = pod["spec"]["containers"][0].get("resources", {})
    asked = resources.get("limits", {}) | resources.get("requests", {})
    return {name: parse_quantity(str(amount)) for name, amount in asked.items()}


def _wrong_with_resources(resources: dict[str, Any]) -> list[str]:
    wrong = []
    for kind in ("requests", "limits"):
        for name, amount in resources.get(kind, {}).items():
            try:
                number = parse_quantity(str(amount))
            except ValueError as error:
                wrong.append(f"resources.{kind}[{name}]: {error}")
            else:
                if "/" in name and number != int(number):
                    wrong.append(f"resources.{kind}[{name}]: {amount} is no whole number")
    if wrong:
        return wrong
    limits = {name: parse_quantity(str(amount)) for name, amount in resources.get("limits", {}).items()}
    for name, amount in resources.get("requests", {}).items():
        if "/" in name and limits.get(name) != parse_quantity(str(amount)):
            wrong.append(f"resources.requests[{name}]: must equal the limit of {name}")
        elif name in limits and parse_quantity(str(amount)) > limits[name]:
            wrong.append(f"resources.requests[{name}]: must be less than or equal to the limit of {name}")
    return wrong
