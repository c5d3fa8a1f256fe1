"""What acts in a pretend cluster: the Job controller and the scheduler, one asyncio task a Job and a pod."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from ame.quantity import parse_quantity
from tests.kubernetes.admission import requests_of
from tests.kubernetes.kubelet import Kubelet, condition
from tests.kubernetes.objects import Object, Objects, now

_RETRY_AFTER = 0.2


@dataclass(slots=True, kw_only=True)
class Node:
    """A pretend node.

    Attributes:
        offers: quantities by resource name.
        labels: what a nodeSelector asks for.
        taints: keys of its NoSchedule taints; a pod's tolerations must name each one.
    """

    name: str
    offers: Mapping[str, str]
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[str, ...] = ()
    taken: Counter[str] = field(default_factory=Counter)

    def refuses(self, pod: Object) -> str | None:
        """Why the pod cannot run here, in the scheduler's words; None when it can."""
        spec = pod["spec"]
        for key in self.taints:
            tolerated = any(
                toleration.get("key") in (None, key) for toleration in spec.get("tolerations") or ()
            )
            if not tolerated:
                return f"node(s) had untolerated taint(s) {{{key}}}"
        if (spec.get("nodeSelector") or {}).items() - self.labels.items():
            return "node(s) didn't match Pod's node affinity/selector"
        for name, amount in requests_of(pod).items():
            if amount > parse_quantity(self.offers.get(name, "0")) - Decimal(self.taken[name]):
                return f"Insufficient {name}"
        return None


class Cluster:
    """Runs the Jobs that it is told of, and ends them when they are deleted."""

    def __init__(self, objects: Objects, nodes: list[Node], kubelet: Kubelet) -> None:
        self._objects = objects
        # A pod that needs nothing special must not keep a GPU's node busy.
        self._nodes = sorted(nodes, key=lambda node: len(node.offers))
        self._kubelet = kubelet
        self._tasks: dict[str, asyncio.Task[Any]] = {}
        self._freed = asyncio.Event()

    def start(self, job: Object) -> None:
        self._begin(job, self._run_job(job))

    def delete_job(self, job: Object, *, wait_for_pods: bool) -> None:
        """Delete a Job and its pods; `wait_for_pods` keeps it until they are gone (Foreground)."""
        if not wait_for_pods:
            self._objects.remove("jobs", job)
        self._objects.change(
            "jobs", job, lambda kept: kept["metadata"].setdefault("deletionTimestamp", now())
        )
        self._begin(job, self._delete_job(job), name="deletes")

    def delete_pod(self, pod: Object, grace: float | None) -> None:
        """Delete a pod: TERM, and KILL after the grace period."""
        if grace is not None:
            pod["spec"]["terminationGracePeriodSeconds"] = grace
            self._objects.change("pods", pod, lambda kept: kept.update(spec=pod["spec"]))
        self._begin(pod, self._end_pod(pod), name="deletes")

    def _begin(self, of: Object, work: Any, name: str = "runs") -> asyncio.Task[Any]:
        key = f"{name} {of['metadata']['uid']}"
        task = self._tasks[key] = asyncio.create_task(work, name=key)
        task.add_done_callback(lambda _: self._tasks.pop(key, None))
        return task

    async def _delete_job(self, job: Object) -> None:
        await self._stop(job)
        for pod in self._pods_of(job):
            await self._end_pod(pod)
        self._objects.remove("jobs", job)

    async def _end_pod(self, pod: Object) -> None:
        self._objects.change(
            "pods", pod, lambda kept: kept["metadata"].setdefault("deletionTimestamp", now())
        )
        await self._stop(pod)
        self._objects.remove("pods", pod)
        self._kubelet.clean(pod)

    async def _stop(self, of: Object) -> None:
        task = self._tasks.get(f"runs {of['metadata']['uid']}")
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    def _pods_of(self, job: Object) -> list[Object]:
        uid = job["metadata"]["uid"]
        return self._objects.list(
            "pods", None, lambda pod: any(owner["uid"] == uid for owner in pod["metadata"]["ownerReferences"])
        )

    async def _run_job(self, job: Object) -> None:
        failed, limit = 0, job["spec"].get("backoffLimit", 6)
        self._status(job, startTime=now(), active=1)
        try:
            async with asyncio.timeout(job["spec"].get("activeDeadlineSeconds")):
                while failed <= limit:
                    if await self._run_pod(job) == "Succeeded":
                        self._status(
                            job, active=0, succeeded=1, completionTime=now(), conditions=_ended("Complete")
                        )
                        break
                    failed += 1
                    self._status(job, active=int(failed <= limit), failed=failed)
                    await asyncio.sleep(_RETRY_AFTER if failed <= limit else 0)
                else:
                    self._status(job, conditions=_ended("Failed", "BackoffLimitExceeded"))
        except TimeoutError:
            for pod in self._pods_of(job):
                await self._end_pod(pod)
            self._status(job, active=0, failed=failed + 1, conditions=_ended("Failed", "DeadlineExceeded"))
        keep = job["spec"].get("ttlSecondsAfterFinished")
        if keep is not None:
            await asyncio.sleep(keep)
            self.delete_job(job, wait_for_pods=False)

    def _status(self, job: Object, **status: Any) -> None:
        self._objects.change("jobs", job, lambda kept: kept.setdefault("status", {}).update(status))

    async def _run_pod(self, job: Object) -> str:
        """Run one pod to its end; its last phase, Failed when it was deleted."""
        meta, template = job["metadata"], job["spec"]["template"]
        name = meta["name"]
        # Both spellings: the older one is what clients still ask for.
        labels = {"job-name": name, "batch.kubernetes.io/job-name": name, "controller-uid": meta["uid"]}
        pod = self._objects.create(
            "pods",
            meta["namespace"],
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "generateName": f"{name}-",
                    "labels": template.get("metadata", {}).get("labels", {}) | labels,
                    "annotations": template.get("metadata", {}).get("annotations", {}),
                    "ownerReferences": [
                        {
                            "apiVersion": "batch/v1",
                            "kind": "Job",
                            "name": name,
                            "uid": meta["uid"],
                            "controller": True,
                        }
                    ],
                },
                "spec": template["spec"],
                "status": {"phase": "Pending", "conditions": []},
            },
        )
        task = self._begin(pod, self._live(pod))
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            await self._end_pod(pod)
            raise
        return "Failed" if task.cancelled() else task.result()

    async def _live(self, pod: Object) -> str:
        node = await self._placed(pod)
        asked = requests_of(pod)
        node.taken.update(asked)
        try:
            return await self._kubelet.run(pod)
        finally:
            node.taken.subtract(asked)
            self._freed.set()
            self._freed = asyncio.Event()

    async def _placed(self, pod: Object) -> Node:
        """The node that takes the pod; says why as long as none does."""
        while True:
            freed, reasons = self._freed, Counter[str]()
            for node in self._nodes:
                why = node.refuses(pod)
                if self._kubelet.fate(pod)[0] == "unschedulable":
                    why = "Insufficient memory"
                if why is None:
                    self._say(pod, condition("PodScheduled", "True"), nodeName=node.name)
                    return node
                reasons[why] += 1
            told = ", ".join(f"{count} {why}" for why, count in sorted(reasons.items()))
            message = f"0/{len(self._nodes)} nodes are available: {told}."
            self._say(pod, condition("PodScheduled", "False", reason="Unschedulable", message=message))
            await freed.wait()

    def _say(self, pod: Object, scheduled: Object, **spec: str) -> None:
        def change(kept: Object) -> None:
            kept["status"]["conditions"] = [scheduled]
            kept["spec"].update(spec)

        self._objects.change("pods", pod, change)


def _ended(kind: str, reason: str = "") -> list[Object]:
    return [condition(kind, "True", **({"reason": reason} if reason else {}))]
