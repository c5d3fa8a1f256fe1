"""The start of an executor, as Spark on Kubernetes asks for it, with a Java that only tells what it was given."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "infra/docker/executor.sh"
VECTOR = "--add-modules=jdk.incubator.vector"
TOLD = {
    "SPARK_DRIVER_URL": "spark://CoarseGrainedScheduler@10.1.2.3:7078",
    "SPARK_EXECUTOR_ID": "7",
    "SPARK_EXECUTOR_CORES": "2",
    "SPARK_EXECUTOR_MEMORY": "7629m",
    "SPARK_APPLICATION_ID": "spark-1",
    "SPARK_EXECUTOR_POD_IP": "10.1.2.4",
    "SPARK_EXECUTOR_POD_NAME": "ame-flows-exec-7",
    "SPARK_RESOURCE_PROFILE_ID": "0",
}


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., list[str]]:
    """Start an executor with these variables; returns what Java was called with."""
    java = tmp_path / "java/bin/java"
    java.parent.mkdir(parents=True)

    def call(*, knows_vector: bool = True, **variables: str) -> list[str]:
        known = "" if knows_vector else f'if [ "$1" = {VECTOR} ]; then exit 1; fi\n'
        tell = "import json, sys; print(json.dumps(sys.argv[1:]))"
        java.write_text(f"#!/bin/sh\n{known}exec {sys.executable} -c '{tell}' \"$@\"\n")
        java.chmod(0o755)
        env = {"PATH": "/usr/bin:/bin", "JAVA_HOME": str(java.parents[1]), "SPARK_HOME": "/spark", **TOLD}
        done = subprocess.run(
            ["sh", SCRIPT, "executor"], env=env | variables, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        arguments: list[str] = json.loads(done.stdout)
        return arguments

    return call


def test_java_gets_its_options_and_the_backend_its_own(start: Callable[..., list[str]]) -> None:
    options = {"SPARK_JAVA_OPT_0": VECTOR, "SPARK_JAVA_OPT_1": "-Da=b c'd\"e $HOME\nf *"}
    options |= {f"SPARK_JAVA_OPT_{number}": f"-D{number}" for number in range(2, 12)}

    assert start(**options) == [
        *options.values(),
        "-Xmx7629m",
        "-cp",
        "/spark/jars/*",
        "org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend",
        *("--driver-url", "spark://CoarseGrainedScheduler@10.1.2.3:7078"),
        *("--executor-id", "7"),
        *("--cores", "2"),
        *("--app-id", "spark-1"),
        *("--hostname", "10.1.2.4"),
        *("--resourceProfileId", "0"),
        *("--podName", "ame-flows-exec-7"),
    ]


def test_a_java_without_the_vector_module_is_not_asked_for_it(start: Callable[..., list[str]]) -> None:
    found = start(knows_vector=False, SPARK_JAVA_OPT_0="-Da", SPARK_JAVA_OPT_1=VECTOR, SPARK_JAVA_OPT_2="-Db")

    assert found[:3] == ["-Da", "-Db", "-Xmx7629m"]


def test_the_class_path_holds_what_the_driver_adds_and_never_an_empty_part(
    start: Callable[..., list[str]],
) -> None:
    found = start(
        SPARK_CLASSPATH="/extra.jar",
        SPARK_DIST_CLASSPATH="",
        SPARK_CONF_DIR="/conf",
        HADOOP_CONF_DIR="/hadoop",
    )

    assert found[found.index("-cp") + 1] == "/conf:/hadoop:/spark/jars/*:/extra.jar"


def test_what_spark_did_not_say_is_named(tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", SCRIPT, "executor"],
        env={"PATH": "/usr/bin:/bin", "JAVA_HOME": "/java", "SPARK_HOME": "/spark"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert "SPARK_EXECUTOR_MEMORY: parameter not set" in done.stderr
