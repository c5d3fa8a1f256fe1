"""What the tests here say to a Prefect server, over its API."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import post
from tests.kubernetes.stand_in import Running


@dataclass(frozen=True, slots=True)
class Prefect:
    """A Prefect server; `url` ends in /api."""

    url: str

    def post(self, path: str, **body: Any) -> Any:
        answered = post(self.url + path, body)
        assert answered.is_success, answered.text
        return answered.json() if answered.content else None

    def get(self, path: str) -> Any:
        return httpx.get(self.url + path, timeout=60, trust_env=False).raise_for_status().json()

    def state(self, run: str) -> str:
        """The name of a flow run's state."""
        name: str = self.get(f"/flow_runs/{run}")["state"]["name"]
        return name

    def message(self, run: str) -> str:
        """What a flow run's state says."""
        message: str = self.get(f"/flow_runs/{run}")["state"]["message"]
        return message

    def logs(self, run: str) -> list[str]:
        found = self.post(
            "/logs/filter", logs={"flow_run_id": {"any_": [run]}}, sort="TIMESTAMP_ASC", limit=200
        )
        return [line["message"] for line in found]


@contextlib.contextmanager
def worker(prefect: str, cluster: Running, pool: str, folder: Path, **settings: str) -> Iterator[Path]:
    """`prefect worker start` on a pool of the stand-in; its log. Ended at the end of the block."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"worker-{pool}.log"
    env = dict(os.environ) | {
        "KUBECONFIG": str(cluster.kubeconfig),
        "PREFECT_API_URL": prefect,
        "PREFECT_HOME": str(folder / f"worker-{pool}"),
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "NO_PROXY": "127.0.0.1",
        **settings,
    }
    command = [
        Path(sys.executable).with_name("prefect"),
        "worker",
        "start",
        "--pool",
        pool,
        "--type",
        "kubernetes",
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=env,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # A worker whose SIGINT is ignored, as under a shell's &, does not end: Prefect turns TERM into INT.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - one call
        )
    try:
        yield log
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
