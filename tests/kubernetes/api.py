"""The HTTP face of a pretend cluster: kmock speaks HTTP and API discovery, this answers for the objects."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, ClassVar, Self

import kmock

from tests.kubernetes.admission import what_is_wrong_with
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.kubelet import Kubelet
from tests.kubernetes.objects import Exists, Object, Objects, Selector

_VERBS = {"get", "list", "watch", "create", "delete"}
_RESOURCES = {
    "v1/pods": "Pod",
    "v1/secrets": "Secret",
    "v1/configmaps": "ConfigMap",
    "v1/events": "Event",
    "v1/namespaces": "Namespace",
    "v1/nodes": "Node",
    "batch/v1/jobs": "Job",
}
_CLUSTER_WIDE = ("namespaces", "nodes")


class Api(kmock.KubernetesScaffold):
    """The server's handler; its parts are class attributes because kmock's handlers are attrs classes."""

    objects: ClassVar[Objects]
    cluster: ClassVar[Cluster]
    kubelet: ClassVar[Kubelet]

    @classmethod
    def serving(cls, objects: Objects, cluster: Cluster, kubelet: Kubelet) -> Self:
        """The handler for these objects."""
        cls.objects, cls.cluster, cls.kubelet = objects, cluster, kubelet
        api = cls()
        for name, kind in _RESOURCES.items():
            cluster_wide = name.rpartition("/")[2] in _CLUSTER_WIDE
            api.resources[name] = {"kind": kind, "namespaced": not cluster_wide, "verbs": _VERBS}
        api.fallback[kmock.action.LIST] << api.answer_list
        api.fallback[kmock.action.WATCH] << api.answer_watch
        api.fallback[kmock.action.FETCH] << api.answer_fetch
        api.fallback[kmock.action.CREATE] << api.answer_create
        api.fallback[kmock.action.DELETE] << api.answer_delete
        return api

    async def answer_list(self, request: kmock.Request) -> Any:
        resource = _resource(request)
        return {
            "kind": "List",
            "apiVersion": "v1",
            "metadata": {"resourceVersion": str(self.objects.revision)},
            "items": self.objects.list(resource, request.namespace, _selector(request)),
        }

    async def answer_watch(self, request: kmock.Request) -> AsyncIterator[Any]:
        since = request.params.get("resourceVersion")
        # The headers go out at once, though nothing may happen for long.
        yield b""
        async for event in self.objects.watch(
            _resource(request), request.namespace, _selector(request), int(since) if since else None
        ):
            yield event

    async def answer_fetch(self, request: kmock.Request) -> Any:
        found = self._found(request)
        if request.subresource == "log":
            lines = self.kubelet.log(found).read_bytes().splitlines(keepends=True)
            return b"".join(lines[-int(request.params.get("tailLines", 0)) :])
        return found

    async def answer_create(self, request: kmock.Request) -> Any:
        resource, new = _resource(request), request.data
        namespace = request.namespace or ""
        if resource not in _CLUSTER_WIDE and self.objects.get("namespaces", "", namespace) is None:
            raise _error(404, "NotFound", f'namespaces "{namespace}" not found')
        wrong = what_is_wrong_with(new) if resource == "jobs" else []
        if not new.get("metadata", {}).keys() & {"name", "generateName"}:
            wrong.append("metadata.name: name or generateName is required")
        if wrong:
            raise _error(422, "Invalid", f"{resource} is invalid: {'; '.join(wrong)}")
        try:
            made = self.objects.create(resource, namespace, new)
        except Exists as name:
            raise _error(409, "AlreadyExists", f'{resource} "{name}" already exists') from None
        if resource == "jobs":
            self.cluster.start(made)
        return made

    async def answer_delete(self, request: kmock.Request) -> Any:
        found, resource = self._found(request), _resource(request)
        options = (request.data or {}) | dict(request.params)
        if resource == "jobs":
            self.cluster.delete_job(found, wait_for_pods=options.get("propagationPolicy") == "Foreground")
        elif resource == "pods":
            grace = options.get("gracePeriodSeconds")
            self.cluster.delete_pod(found, None if grace is None else float(grace))
        else:
            self.objects.remove(resource, found)
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}

    def _found(self, request: kmock.Request) -> Object:
        resource = _resource(request)
        found = self.objects.get(resource, request.namespace or "", request.name or "")
        if found is None:
            raise _error(404, "NotFound", f'{resource} "{request.name}" not found')
        return found


def _resource(request: kmock.Request) -> str:
    known = {name.rpartition("/")[2] for name in _RESOURCES}
    if request.resource is None or request.resource.plural not in known:
        raise _error(404, "NotFound", "the server could not find the requested resource")
    return str(request.resource.plural)


def _selector(request: kmock.Request) -> Selector:
    """What a labelSelector means: `key`, `!key`, `key=value`, `key!=value`, joined by commas."""
    asked = [term.strip() for term in request.params.get("labelSelector", "").split(",") if term.strip()]
    if any(" in " in term or "notin" in term or "(" in term for term in asked):
        raise _error(400, "BadRequest", "the stand-in knows no set-based label selectors")

    def matches(candidate: Object) -> bool:
        labels = candidate["metadata"].get("labels") or {}
        return all(_holds(term, labels) for term in asked)

    return matches


def _holds(term: str, labels: dict[str, str]) -> bool:
    if "!=" in term:
        key, _, value = term.partition("!=")
        return labels.get(key.strip()) != value.strip()
    if "=" in term:
        key, _, value = term.replace("==", "=").partition("=")
        return labels.get(key.strip()) == value.strip()
    return term[1:] not in labels if term.startswith("!") else term in labels


def _error(status: int, reason: str, message: str) -> kmock.KubernetesError:
    return kmock.KubernetesError(status=status, reason=reason, message=message, details={})
