"""A stand-in for a Kubernetes cluster, in which pods are processes of this machine.

    python -m tests.kubernetes.stand_in --port 0 --gpus 2

prints the path of a kubeconfig and serves until it is interrupted; in tests, `with running(gpus=2) as cluster:`.
It is for what talks to a cluster through its API, Prefect's Kubernetes worker above all: API discovery, Jobs,
pods, secrets and config maps, list and watch with label selectors and revisions, a Job controller (backoffLimit,
activeDeadlineSeconds, ttlSecondsAfterFinished), a scheduler that counts what nodes offer, pretend GPUs among it,
and heeds nodeSelector and NoSchedule taints, and a kubelet: a container is its command and args, run with exactly
its environment and the little that stands for the image (PATH, LANG, HOME, HOSTNAME, TMPDIR).

A Job is checked against Kubernetes' schema, strictly but for the two fields that Prefect's own base job template
misplaces. The annotation `stand-in/fate` makes a pod fail: `oom`, `evict` (both also as `oom:5`, after seconds of
running), `imagepull`, `unschedulable`.

Not emulated: images, mounts and file systems (/workspace at the start of a variable's value becomes a folder of
the pod's own; everything else is this machine's), cgroups (a limit limits nothing), users and security contexts,
init containers and sidecars, affinity, priorities and preemption, volumes, the network, DNS and services, quotas,
RBAC and service accounts, patches and updates, `$(VAR)` in values, events. A pod's phases are as in a cluster,
their times are shorter.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

_PR_SET_PDEATHSIG = 1
_NAMESPACES = ("default", "ame")
_CPU_NODE = {"cpu": "64", "memory": "512Gi", "ephemeral-storage": "1Ti"}
_GPU_LABELS = {"nvidia.com/gpu.present": "true", "nvidia.com/gpu.product": "NVIDIA-H200-FAKE"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A stand-in that runs.

    Attributes:
        kubeconfig: for KUBECONFIG.
        url: of its API, which asks nobody who he is.
        folder: a folder for each pod, with its `log`.
    """

    kubeconfig: Path
    url: str
    folder: Path

    def jobs(self) -> list[dict[str, Any]]:
        return self._list("/apis/batch/v1/jobs")

    def pods(self) -> list[dict[str, Any]]:
        return self._list("/api/v1/pods")

    def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        return httpx.post(self.url + path, json=body, trust_env=False)

    def delete(self, path: str, **params: Any) -> httpx.Response:
        return httpx.delete(self.url + path, params=params, trust_env=False)

    def log(self, pod: dict[str, Any]) -> str:
        return (self.folder / pod["metadata"]["name"] / "log").read_text()

    def _list(self, path: str) -> list[dict[str, Any]]:
        listed = httpx.get(self.url + path, trust_env=False).raise_for_status().json()
        items: list[dict[str, Any]] = listed["items"]
        return items


@contextlib.contextmanager
def running(
    folder: Path, *, gpus: int = 0, taints: tuple[str, ...] = (), image_env: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """A stand-in in a process of its own, ended with all its pods at the end of the block."""
    told = [word for name, value in (image_env or {}).items() for word in ("--image-env", f"{name}={value}")]
    told += [word for taint in taints for word in ("--taint", taint)]
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, "--folder", str(folder), "--gpus", str(gpus), *told],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        kubeconfig = Path(process.stdout.readline().strip())
        assert kubeconfig.is_file(), "the stand-in did not start"
        server = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
        yield Running(kubeconfig=kubeconfig, url=server, folder=folder / "pods")
    finally:
        process.terminate()
        process.communicate()


def main() -> None:
    """Serve until TERM or INT, or until the process that started this one ends."""
    parser = argparse.ArgumentParser(
        prog="tests.kubernetes.stand_in", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--port", type=int, default=0, help="0: one that the system chooses")
    parser.add_argument("--gpus", type=int, default=0, help="nvidia.com/gpu of the node gpu-0")
    parser.add_argument("--taint", action="append", default=[], help="a NoSchedule taint of the node gpu-0")
    parser.add_argument("--folder", type=Path, help="where logs and workspaces go")
    parser.add_argument("--image-env", action="append", default=[], metavar="NAME=VALUE")
    given = parser.parse_args()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    folder = given.folder or Path(tempfile.mkdtemp(prefix="stand-in-"))
    image_env = {"PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
    image_env |= dict(pair.split("=", 1) for pair in given.image_env)
    asyncio.run(_serve(given.port, given.gpus, tuple(given.taint), folder, image_env))


async def _serve(
    port: int, gpus: int, taints: tuple[str, ...], folder: Path, image_env: dict[str, str]
) -> None:
    from kmock import Server

    from tests.kubernetes.api import Api
    from tests.kubernetes.cluster import Cluster, Node
    from tests.kubernetes.kubelet import Kubelet
    from tests.kubernetes.objects import Objects

    nodes = [Node(name="cpu-0", offers=_CPU_NODE)]
    if gpus:
        offers = {**_CPU_NODE, "nvidia.com/gpu": str(gpus)}
        nodes.append(Node(name="gpu-0", offers=offers, labels=_GPU_LABELS, taints=taints))
    objects = Objects()
    kubelet = Kubelet(objects, folder / "pods", image_env)
    for name in _NAMESPACES:
        objects.create("namespaces", "", {"metadata": {"name": name}})
    for node in nodes:
        objects.create("nodes", "", {"metadata": {"name": node.name, "labels": dict(node.labels)}})
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with (
        Api.serving(objects, Cluster(objects, nodes, kubelet), kubelet) as api,
        Server(api, port=port) as server,
    ):
        print(_kubeconfig(folder, str(server.url)), flush=True)
        await ended.wait()
        await kubelet.end()
        # Watches never end by themselves, and nobody is left who reads them.
        os._exit(0)


def _kubeconfig(folder: Path, url: str) -> Path:
    file = folder / "kubeconfig"
    file.parent.mkdir(parents=True, exist_ok=True)
    name = "stand-in"
    file.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": name,
                "contexts": [
                    {"name": name, "context": {"cluster": name, "user": name, "namespace": "default"}}
                ],
                "clusters": [{"name": name, "cluster": {"server": url.rstrip("/")}}],
                "users": [{"name": name, "user": {"token": "none-is-asked-for"}}],
            }
        )
    )
    return file


if __name__ == "__main__":
    main()
