"""Runs a pod's container as a process of this machine, and says in the pod's status what became of it."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.kubernetes import container
from tests.kubernetes.objects import Object, Objects, now

FATE = "stand-in/fate"
_WORKSPACE = "/workspace"
_GRACE = 30


def condition(kind: str, status: str, **more: str) -> Object:
    """A condition of a pod or a Job."""
    return {"type": kind, "status": status, "lastTransitionTime": now(), **more}


class CannotStart(Exception):
    """A container refers to what is not there."""


class Kubelet:
    """Starts and ends containers below `folder`; each has a folder, its log and its own /workspace there."""

    def __init__(self, objects: Objects, folder: Path, image_env: Mapping[str, str]) -> None:
        self._objects = objects
        self._folder = folder
        self._image_env = image_env
        self._running: set[asyncio.subprocess.Process] = set()

    def fate(self, pod: Object) -> tuple[str, float]:
        """What the pod's annotation asks for, and after how many seconds of running."""
        kind, _, seconds = pod["metadata"].get("annotations", {}).get(FATE, "").partition(":")
        return kind, float(seconds or 0)

    def log(self, pod: Object) -> Path:
        return self._folder / pod["metadata"]["name"] / "log"

    def clean(self, pod: Object) -> None:
        """Remove what the container wrote: its volumes end with the pod. The log stays, for the tests."""
        shutil.rmtree(self.log(pod).parent / "workspace", ignore_errors=True)
        shutil.rmtree(self.log(pod).parent / "tmp", ignore_errors=True)

    async def end(self) -> None:
        """Kill all containers."""
        for process in self._running:
            process.send_signal(container.KILL_ALL)
        await asyncio.gather(*(process.wait() for process in self._running))

    async def run(self, pod: Object) -> str:
        """Run the pod's container to its end; the pod's last phase.

        When it is cancelled it ends the container as a deleted pod is ended: TERM, and KILL after the grace period.
        """
        spec = pod["spec"]["containers"][0]
        kind, after = self.fate(pod)
        if kind == "imagepull":
            for reason in ("ErrImagePull", "ImagePullBackOff"):
                waiting = {"reason": reason, "message": f'Back-off pulling image "{spec.get("image")}"'}
                self._say(pod, "Pending", {"waiting": waiting})
            await asyncio.Event().wait()
        try:
            env = self._environment(pod)
        except CannotStart as missing:
            self._say(
                pod, "Pending", {"waiting": {"reason": "CreateContainerConfigError", "message": str(missing)}}
            )
            await asyncio.Event().wait()
        started = now()
        process = await self._start(pod, env)
        self._say(pod, "Running", {"running": {"startedAt": started}})
        reason = ""
        try:
            if kind in ("oom", "evict"):
                await asyncio.wait({asyncio.create_task(process.wait())}, timeout=after)
                reason = {"oom": "OOMKilled", "evict": "Evicted"}[kind] if process.returncode is None else ""
            if reason == "OOMKilled":
                process.send_signal(container.KILL_ALL)
            if reason == "Evicted":
                await self._terminate(pod, process)
            code = await process.wait()
        except asyncio.CancelledError:
            await self._terminate(pod, process)
            raise
        finally:
            self._running.discard(process)
        if code < 0:
            # It was ended before it could start the command.
            code = 128 + (signal.SIGKILL if code == -container.KILL_ALL else -code)
        phase = "Failed" if code or reason else "Succeeded"
        ended = {"exitCode": code, "reason": reason or ("Error" if code else "Completed")}
        ended |= {"startedAt": started, "finishedAt": now()}
        self._say(pod, phase, {"terminated": ended}, **({"reason": reason} if reason == "Evicted" else {}))
        return phase

    async def _start(self, pod: Object, env: Mapping[str, str]) -> asyncio.subprocess.Process:
        spec, log = pod["spec"]["containers"][0], self.log(pod)
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                container.__file__,
                str(os.getpid()),
                *(spec.get("command") or []),
                *(spec.get("args") or []),
                env=env,
                cwd=log.parent / "workspace",
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._running.add(process)
        return process

    async def _terminate(self, pod: Object, process: asyncio.subprocess.Process) -> None:
        grace = pod["spec"].get("terminationGracePeriodSeconds", _GRACE)
        if process.returncode is None:
            process.terminate()
        done, _ = await asyncio.wait({asyncio.create_task(process.wait())}, timeout=grace)
        if not done:
            process.send_signal(container.KILL_ALL)
            await process.wait()

    def _environment(self, pod: Object) -> dict[str, str]:
        """Exactly the pod's own, and what its image and its node give to every container."""
        home = self.log(pod).parent
        for name in ("workspace", "tmp"):
            (home / name).mkdir(parents=True)
        spec, namespace = pod["spec"]["containers"][0], pod["metadata"]["namespace"]
        env = {"HOME": _WORKSPACE, "HOSTNAME": pod["metadata"]["name"], "TMPDIR": str(home / "tmp")}
        env |= self._image_env
        for source in spec.get("envFrom") or ():
            for kind, resource in (("secretRef", "secrets"), ("configMapRef", "configmaps")):
                if kind in source:
                    env |= self._values(resource, namespace, source[kind]["name"])
        for entry in spec.get("env") or ():
            source = entry.get("valueFrom") or {}
            if "secretKeyRef" in source:
                wanted = source["secretKeyRef"]
                env[entry["name"]] = self._values("secrets", namespace, wanted["name"])[wanted["key"]]
            elif source:
                raise CannotStart(f"the stand-in does not read {', '.join(source)}")
            else:
                env[entry["name"]] = entry.get("value") or ""
        workspace = str(home / "workspace")
        # There are no mounts here: what lies below /workspace in a pod lies in a folder of the pod's own.
        return {
            name: workspace + value.removeprefix(_WORKSPACE)
            if value == _WORKSPACE or value.startswith(f"{_WORKSPACE}/")
            else value
            for name, value in env.items()
        }

    def _values(self, resource: str, namespace: str, name: str) -> dict[str, str]:
        found = self._objects.get(resource, namespace, name)
        if found is None:
            raise CannotStart(f'{resource.removesuffix("s")} "{name}" not found')
        data: dict[str, str] = found.get("data") or {}
        if resource == "secrets":
            data = {key: base64.b64decode(value).decode() for key, value in data.items()}
        return data | (found.get("stringData") or {})

    def _say(self, pod: Object, phase: str, state: Object, **more: Any) -> None:
        spec = pod["spec"]["containers"][0]
        container_status = {
            "name": spec["name"],
            "image": spec.get("image", ""),
            "imageID": "",
            "ready": "running" in state,
            "restartCount": 0,
            "state": state,
        }
        told = {"phase": phase, "containerStatuses": [container_status], **more}
        if "running" in state:
            told |= {"startTime": state["running"]["startedAt"]}
        self._objects.change("pods", pod, lambda kept: kept["status"].update(told))
