"""A stand-in cluster for the tests here, and Jobs for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.kubernetes.stand_in import Running, running


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One stand-in with one pretend GPU for the tests of a module."""
    with running(tmp_path_factory.mktemp("cluster"), gpus=1) as started:
        yield started


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The address of moto's server, a stand-in for S3, with the bucket `ame-store`."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    key = {"aws_access_key_id": "someone", "aws_secret_access_key": "any", "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=address, **key).create_bucket(Bucket="ame-store")
    yield address
    server.stop()


@pytest.fixture
def until() -> Callable[..., None]:
    """As everywhere, asking less often: what is waited for here is asked over HTTP of servers with work to do."""

    def wait(happens: Callable[[], object], seconds: float = 30.0) -> None:
        deadline = time.monotonic() + seconds
        while not happens():
            assert time.monotonic() < deadline, f"not within {seconds} s"
            time.sleep(0.2)

    return wait


@pytest.fixture
def start(cluster: Running) -> Callable[..., str]:
    """Start a Job that runs a shell script; returns its name."""

    def post(
        script: str, *, pod: dict[str, Any] | None = None, job: dict[str, Any] | None = None, **container: Any
    ) -> str:
        made = cluster.post("/apis/batch/v1/namespaces/default/jobs", job_of(script, pod, job, **container))
        assert made.status_code == 200, made.text
        name: str = made.json()["metadata"]["name"]
        return name

    return post


def job_of(
    script: str,
    pod: dict[str, Any] | None = None,
    job: dict[str, Any] | None = None,
    annotations: dict[str, str] | None = None,
    **container: Any,
) -> dict[str, Any]:
    """A Job of one container that runs a shell script."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"generateName": "job-"},
        "spec": {
            "backoffLimit": 0,
            **(job or {}),
            "template": {
                "metadata": {"annotations": annotations or {}},
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [
                        {"name": "main", "image": "any", "args": ["sh", "-c", script], **container}
                    ],
                    **(pod or {}),
                },
            },
        },
    }
