"""Would Kubernetes take this Job? The strict published schemas, and what they leave out."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from ame.pools.grammar import labels_faults, name_fault, namespace_fault, toleration_fault
from ame.quantity import parse_quantity

__all__ = ["Fault", "at", "faults_of"]

#: Prefect puts these two into the pod, where Kubernetes drops them with a warning, and insists on them.
_MISPLACED_BY_PREFECT = ("parallelism", "completions")
_POD = "spec.template.spec"
_CONTAINER = f"{_POD}.containers[0]"
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_MOST_FAULTS = 20
#: Requests and limits are read as quantities, and Prefect itself takes texts only for the other two.
_HOLDERS_OF_TEXTS = (
    f"{_CONTAINER}.resources.requests",
    f"{_CONTAINER}.resources.limits",
    "metadata.labels",
    "metadata.annotations",
    "spec.template.metadata.labels",
    "spec.template.metadata.annotations",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with a Job.

    Attributes:
        place: dotted path in the Job, for example `spec.template.spec.tolerations[0]`.
        what: a sentence that begins with the place or what stands there.
        why: the rule, in whole sentences; may be empty.
        resource: the resource that it is about, for example `memory`, or None.
    """

    place: str
    what: str
    why: str = ""
    resource: str | None = None


def at(job: Any, place: str) -> Any:
    """What stands at a dotted path, or None."""
    for key, index in _STEP.findall(place):
        if key:
            job = job.get(key) if isinstance(job, Mapping) else None
        else:
            job = job[int(index)] if isinstance(job, list) and int(index) < len(job) else None
    return job


def faults_of(job: Mapping[str, Any]) -> list[Fault]:
    """Everything for which Kubernetes would refuse the Job, in the Job's order as far as there is one."""
    found = [*_by_schema(job), *_of_quantities(job), *_of_names(job)]
    for number, toleration in enumerate(_list(job, f"{_POD}.tolerations")):
        if isinstance(toleration, Mapping) and (why := toleration_fault(toleration)):
            place = f"{_POD}.tolerations[{number}]"
            found.append(Fault(place=place, what=f"{place} is no toleration of Kubernetes.", why=why))
    return found


def _by_schema(job: Mapping[str, Any]) -> tuple[Fault, ...]:
    """Asked once for all Jobs that differ only in what has rules of its own here.

    Reading the schemas and going through them takes longer than all the rest.
    """
    job = copy.deepcopy(dict(job))
    pod = at(job, _POD)
    if isinstance(pod, dict):
        for name in _MISPLACED_BY_PREFECT:
            pod.pop(name, None)
    for holder in _HOLDERS_OF_TEXTS:
        texts = at(job, holder)
        if isinstance(texts, dict):
            # The schemas demand texts or numbers there; what is no text is told by its own rule.
            texts.clear()
    return _faults_by_schema(json.dumps(job, sort_keys=True))


@lru_cache(maxsize=256)
def _faults_by_schema(job_as_json: str) -> tuple[Fault, ...]:
    """The validator names one fault at a time, so each is taken out before the next question."""
    import kubernetes_validate

    job = json.loads(job_as_json)
    found = []
    for _ in range(_MOST_FAULTS):
        try:
            kubernetes_validate.validate(job, kubernetes_validate.latest_version(), strict=True)
        except kubernetes_validate.ValidationError as error:
            path = list(error.path)
            place = _dotted(path)
            message = f"{place}: {error.message}" if place else error.message
            found.append(Fault(place=place, what=f"{message.rstrip('.')}.", why=_misspelt(error)))
            if _without(job, path, error):
                continue
        break
    return tuple(found)


def _misspelt(error: Any) -> str:
    """What is missing may be there under a wrong name."""
    if error.validator != "required":
        return ""
    unknown = sorted(set(error.instance) - set(error.schema.get("properties", {})))
    return f"Kubernetes does not know what is there: {', '.join(unknown)}." if unknown else ""


def _without(job: Any, path: list[Any], error: Any) -> bool:
    """Take out what the error is about; False when something is missing and nothing can be taken out."""
    parent = job
    for step in path[:-1]:
        parent = parent[step]
    if error.validator == "additionalProperties":
        holder = parent[path[-1]] if path else job
        for name in set(error.instance) - set(error.schema.get("properties", {})):
            del holder[name]
        return True
    if error.validator == "required" or not path:
        return False
    del parent[path[-1]]
    return True


def _dotted(path: list[Any]) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def _of_quantities(job: Mapping[str, Any]) -> Iterator[Fault]:
    numbers: dict[tuple[str, str], Decimal] = {}
    for part in ("requests", "limits"):
        for name, text in _mapping(job, f"{_CONTAINER}.resources.{part}").items():
            place = f"{_CONTAINER}.resources.{part}"
            read = _quantity(f"{part}.{name}", place, text, name)
            if isinstance(read, Fault):
                yield read
            else:
                numbers[part, name] = read
    for number, resource in ((0, "storage"), (1, None)):
        place = f"{_POD}.volumes[{number}].emptyDir.sizeLimit"
        text = at(job, place)
        read = _quantity(place, place, text, resource) if text is not None else Decimal(0)
        if isinstance(read, Fault):
            yield read
    for (part, name), request in numbers.items():
        limit = numbers.get(("limits", name))
        place = f"{_CONTAINER}.resources.{part}"
        if "/" in name and request != request.to_integral_value():
            yield Fault(place=place, what=f"{part}.{name} is no whole number.", resource=name)
        if part == "limits":
            continue
        if "/" in name and limit != request:
            yield Fault(
                place=place,
                what=f"requests.{name} is not limits.{name}.",
                why="Kubernetes gives an extended resource whole: both are there and equal.",
                resource=name,
            )
        elif limit is not None and request > limit:
            yield Fault(place=place, what=f"requests.{name} is more than limits.{name}.", resource=name)


def _quantity(shown: str, place: str, text: Any, resource: str | None) -> Decimal | Fault:
    if not isinstance(text, str):
        return Fault(
            place=place,
            what=f"{shown} is {text!r}, and a quantity is a text.",
            why="The server refuses a number there.",
            resource=resource,
        )
    try:
        number = parse_quantity(text)
    except ValueError as error:
        return Fault(
            place=place, what=f"{shown} is '{text}', which is no quantity.", why=str(error), resource=resource
        )
    if number < 0:
        return Fault(place=place, what=f"{shown} is '{text}', and less than nothing.", resource=resource)
    return number


def _of_names(job: Mapping[str, Any]) -> Iterator[Fault]:
    namespace = at(job, "metadata.namespace")
    if isinstance(namespace, str) and (why := namespace_fault(namespace)):
        yield _name("metadata.namespace", namespace, why)
    # Kubernetes adds five characters, and cuts what is longer than 58 before.
    begin = at(job, "metadata.generateName")
    if isinstance(begin, str) and (why := name_fault(f"{begin}x")):
        yield _name("metadata.generateName", begin, why)
    for key in ("priorityClassName", "runtimeClassName", "serviceAccountName"):
        name = at(job, f"{_POD}.{key}")
        if isinstance(name, str) and (why := name_fault(name)):
            yield _name(f"{_POD}.{key}", name, why)
    for number, secret in enumerate(_list(job, f"{_POD}.imagePullSecrets")):
        name = at(secret, "name")
        if not isinstance(name, str) or (why := name_fault(name)):
            yield _name(f"{_POD}.imagePullSecrets[{number}].name", name, why if name else "")
    for number, source in enumerate(_list(job, f"{_CONTAINER}.envFrom")):
        refs = [(kind, at(source, f"{kind}.name")) for kind in ("secretRef", "configMapRef")]
        given = [(kind, name) for kind, name in refs if name is not None]
        place = f"{_CONTAINER}.envFrom[{number}]"
        if len(given) != 1:
            yield Fault(place=place, what=f"{place} names neither one secret nor one config map.")
        elif isinstance(given[0][1], str) and (why := name_fault(given[0][1])):
            yield _name(f"{place}.{given[0][0]}.name", given[0][1], why)
    for key, why in labels_faults(_mapping(job, f"{_POD}.nodeSelector")).items():
        yield Fault(
            place=f"{_POD}.nodeSelector",
            what=f"the node selector '{key}' names no label that a node can have.",
            why=why,
        )


def _mapping(job: Mapping[str, Any], place: str) -> Mapping[str, Any]:
    """What else stands there is told by the schema."""
    found = at(job, place)
    return found if isinstance(found, Mapping) else {}


def _list(job: Mapping[str, Any], place: str) -> list[Any]:
    found = at(job, place)
    return found if isinstance(found, list) else []


def _name(place: str, name: Any, why: str) -> Fault:
    return Fault(place=place, what=f"{place} is {name!r}, which Kubernetes takes for no name.", why=why)
