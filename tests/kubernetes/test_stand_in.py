"""The stand-in does with a Job what a cluster would."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.kubernetes.conftest import job_of
from tests.kubernetes.stand_in import Running, running

_JOBS = "/apis/batch/v1/namespaces/default/jobs"


@pytest.fixture
def look(cluster: Running) -> Callable[[str], tuple[dict[str, Any], list[dict[str, Any]]]]:
    """A Job and its pods."""

    def of(name: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        (job,) = [job for job in cluster.jobs() if job["metadata"]["name"] == name]
        return job["status"], [pod for pod in cluster.pods() if pod["metadata"]["labels"]["job-name"] == name]

    return of


@pytest.fixture
def ended(look, until) -> Callable[[str], tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Wait for a Job to end."""

    def wait(name: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        until(lambda: "conditions" in look(name)[0])
        return look(name)

    return wait


def test_a_container_has_exactly_its_environment_and_a_workspace_of_its_own(cluster, start, ended) -> None:
    env = [
        {"name": "AME_HOME", "value": "/workspace/ame"},
        {"name": "OTHER", "value": "http://host/workspace"},
    ]
    status, (pod,) = ended(start("env | sort; pwd", env=env))
    folder = cluster.folder / pod["metadata"]["name"]
    told = [line for line in cluster.log(pod).splitlines() if not line.startswith(("_=", "PATH=", "PWD="))]
    assert told == [
        f"AME_HOME={folder}/workspace/ame",
        f"HOME={folder}/workspace",
        f"HOSTNAME={pod['metadata']['name']}",
        "LANG=C.UTF-8",
        "OTHER=http://host/workspace",
        f"TMPDIR={folder / 'tmp'}",
        f"{folder}/workspace",
    ]
    assert (status["succeeded"], pod["status"]["phase"], pod["spec"]["nodeName"]) == (1, "Succeeded", "cpu-0")


def test_a_pod_reads_its_secrets_and_waits_for_one_that_is_missing(
    cluster, start, look, ended, until
) -> None:
    source = {"envFrom": [{"secretRef": {"name": "keys"}}]}
    waiting = start("echo $KEY", **source)
    until(lambda: look(waiting)[1] and "containerStatuses" in look(waiting)[1][0]["status"])
    (pod,) = look(waiting)[1]
    assert pod["status"]["containerStatuses"][0]["state"] == {
        "waiting": {"reason": "CreateContainerConfigError", "message": 'secret "keys" not found'}
    }
    cluster.post(
        "/api/v1/namespaces/default/secrets", {"metadata": {"name": "keys"}, "stringData": {"KEY": "s3cr3t"}}
    )
    _, (pod,) = ended(start("echo $KEY", **source))
    assert cluster.log(pod) == "s3cr3t\n"


def test_a_failing_pod_is_tried_again_up_to_the_backoff_limit(start, ended) -> None:
    status, pods = ended(start("exit 9", job={"backoffLimit": 1}))
    assert status["failed"] == 2
    assert status["conditions"][0]["reason"] == "BackoffLimitExceeded"
    assert [pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] for pod in pods] == [
        9,
        9,
    ]


@pytest.mark.parametrize(
    ("fate", "reason", "code"), [("oom", "OOMKilled", 137), ("evict:0.3", "Evicted", 143)]
)
def test_a_pod_dies_as_it_is_told(start, ended, fate: str, reason: str, code: int) -> None:
    status, (pod,) = ended(start("exec sleep 60", annotations={"stand-in/fate": fate}))
    terminated = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (terminated["reason"], terminated["exitCode"], status["failed"]) == (reason, code, 1)


def test_a_pod_whose_image_cannot_be_pulled_waits(cluster, start, look, until) -> None:
    name = start("true", image="no/such:1", annotations={"stand-in/fate": "imagepull"})
    until(lambda: look(name)[1] and "containerStatuses" in look(name)[1][0]["status"])
    (pod,) = look(name)[1]
    assert pod["status"]["phase"] == "Pending"
    assert pod["status"]["containerStatuses"][0]["state"] == {
        "waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "no/such:1"'}
    }
    cluster.delete(f"{_JOBS}/{name}", propagationPolicy="Foreground")
    until(lambda: name not in {job["metadata"]["name"] for job in cluster.jobs()})


def test_a_pod_waits_for_a_gpu_and_runs_when_one_is_free(
    cluster, start, look, ended, until, tmp_path: Path
) -> None:
    gpu = {"resources": {"limits": {"nvidia.com/gpu": "1"}}}
    first = start(f"until [ -e {tmp_path}/free ]; do sleep 0.1; done", **gpu)
    until(lambda: look(first)[1] and look(first)[1][0]["status"]["phase"] == "Running")
    second = start("true", **gpu)
    until(lambda: look(second)[1] and look(second)[1][0]["status"]["conditions"])
    (pod,) = look(second)[1]
    condition = pod["status"]["conditions"][0]
    assert (condition["status"], condition["reason"]) == ("False", "Unschedulable")
    assert condition["message"] == "0/2 nodes are available: 2 Insufficient nvidia.com/gpu."
    (tmp_path / "free").touch()
    assert ended(first)[1][0]["spec"]["nodeName"] == "gpu-0"
    assert ended(second)[1][0]["spec"]["nodeName"] == "gpu-0"


def test_a_node_selector_is_heeded(start, look, ended, until) -> None:
    _, (pod,) = ended(start("true", pod={"nodeSelector": {"nvidia.com/gpu.present": "true"}}))
    assert pod["spec"]["nodeName"] == "gpu-0"
    nowhere = start("true", pod={"nodeSelector": {"zone": "moon"}})
    until(lambda: look(nowhere)[1] and look(nowhere)[1][0]["status"]["conditions"])
    told = look(nowhere)[1][0]["status"]["conditions"][0]["message"]
    assert told == "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector."


def test_the_deadline_ends_a_job_that_runs(start, ended) -> None:
    status, pods = ended(start("exec sleep 60", job={"activeDeadlineSeconds": 1}))
    assert (status["failed"], status["conditions"][0]["reason"], pods) == (1, "DeadlineExceeded", [])


def test_a_deleted_job_gets_term_and_what_ignores_it_is_killed(
    cluster, start, until, lives, tmp_path: Path
) -> None:
    script = f"trap 'echo told > {tmp_path}/told' TERM; setsid sleep 60 & echo $! > {tmp_path}/pid; while :; do sleep 0.1; done"
    name = start(script, pod={"terminationGracePeriodSeconds": 1})
    until((tmp_path / "pid").exists)
    until(lambda: (tmp_path / "pid").read_text().strip())
    asked = time.monotonic()
    cluster.delete(f"{_JOBS}/{name}", propagationPolicy="Foreground")
    until(lambda: name not in {job["metadata"]["name"] for job in cluster.jobs()})
    assert time.monotonic() - asked > 0.9
    assert (tmp_path / "told").exists()
    assert not lives(int((tmp_path / "pid").read_text()))


def test_a_finished_job_is_removed_after_its_time(cluster, start, until) -> None:
    name = start("true", job={"ttlSecondsAfterFinished": 1})
    until(lambda: name not in {job["metadata"]["name"] for job in cluster.jobs()})
    until(lambda: name not in {pod["metadata"]["labels"]["job-name"] for pod in cluster.pods()})


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (
            {"imagePullPolicie": "Always"},
            (
                "jobs is invalid: spec.template.spec.containers.0: Additional properties are not allowed "
                "('imagePullPolicie' was unexpected)"
            ),
        ),
        (
            {"resources": {"requests": {"nvidia.com/gpu": "1"}}},
            "jobs is invalid: resources.requests[nvidia.com/gpu]: must equal the limit of nvidia.com/gpu",
        ),
        (
            {"resources": {"limits": {"nvidia.com/gpu": "500m"}}},
            "jobs is invalid: resources.limits[nvidia.com/gpu]: 500m is no whole number",
        ),
        (
            {"resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "1G"}}},
            "jobs is invalid: resources.requests[memory]: must be less than or equal to the limit of memory",
        ),
    ],
)
def test_an_invalid_job_is_refused(cluster, changed: dict[str, Any], told: str) -> None:
    refused = cluster.post(_JOBS, job_of("true", **changed))
    assert (refused.status_code, refused.json()["message"]) == (422, told)


def test_a_namespace_that_is_not_there_is_named(cluster) -> None:
    refused = cluster.post("/apis/batch/v1/namespaces/nope/jobs", job_of("true"))
    assert (refused.status_code, refused.json()["message"]) == (404, 'namespaces "nope" not found')


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_pods_die_with_the_stand_in(tmp_path: Path, until, lives, number: signal.Signals) -> None:
    with running(tmp_path / "cluster") as own:
        script = f"setsid sleep 60 & echo $! > {tmp_path}/part; mv {tmp_path}/part {tmp_path}/pid; wait"
        own.post(_JOBS, job_of(script))
        until((tmp_path / "pid").exists)
        process = int((tmp_path / "pid").read_text())
        (served_by,) = [
            found.pid
            for found in psutil.Process().children()
            if str(own.kubeconfig.parent) in found.cmdline()
        ]
        os.kill(served_by, number)
        until(lambda: not lives(process))
