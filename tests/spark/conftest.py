"""One Spark session for all tests of a process, and a standalone cluster on loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

pytest.importorskip("pyspark", reason="needs the extra `spark`")

from ame.spark import SparkSettings, open_session
from ame.spark.java import find_java

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """PySpark warns of pandas 3 wherever an Arrow function is made, though pandas takes no part."""
    quiet = pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning")
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(quiet)


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """A session on this machine with two slots."""
    with open_session(SparkSettings(master="local[2]", conf=(("spark.driver.memory", "1g"),))) as session:
        yield session


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], str]]:
    """A stand-in for S3 that the environment names; `s3(name)` makes a bucket and gives its URI."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL_S3": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "someone",
        "AWS_SECRET_ACCESS_KEY": "not-to-be-seen",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)

    def make(name: str) -> str:
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket=name)
        return f"s3://{name}"

    yield make
    server.stop()


@dataclass(frozen=True)
class Standalone:
    """A Spark cluster of one master and one worker, each a process on loopback."""

    master: str
    worker: psutil.Process

    def executors(self) -> list[psutil.Process]:
        """The Java processes of its executors."""
        return [
            each
            for each in self.worker.children(recursive=True)
            if each.name() == "java"
            and any("CoarseGrainedExecutorBackend" in word for word in each.cmdline())
        ]


@pytest.fixture
def standalone(tmp_path: Path) -> Iterator[Callable[[int], Standalone]]:
    """`standalone(cores)` starts a cluster; programs that use it run in a process of their own."""
    import pyspark

    home = Path(pyspark.__file__).parent
    variables = {
        **os.environ,
        "JAVA_HOME": str(find_java().home),
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_DIRS": str(tmp_path / "spark-local"),
        "SPARK_DAEMON_MEMORY": "256m",
    }
    started: list[psutil.Process] = []

    def begin(role: str, name: str, *arguments: str) -> psutil.Process:
        command = [str(home / "bin" / "spark-class"), f"org.apache.spark.deploy.{role}.{name}", *arguments]
        with (tmp_path / f"{role}.log").open("w") as log:
            process = psutil.Popen(
                [*command, "--host", "127.0.0.1", "--webui-port", "0"],
                env=variables,
                cwd=tmp_path,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        started.append(process)
        return process

    def start(cores: int) -> Standalone:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        master = f"spark://127.0.0.1:{port}"
        begin("master", "Master", "--port", str(port))
        _until(lambda: _answers(port), started[0], tmp_path / "master.log")
        worker = begin("worker", "Worker", "-c", str(cores), "-m", "1G", master)
        log = tmp_path / "worker.log"
        _until(lambda: "Successfully registered with master" in log.read_text(), worker, log)
        return Standalone(master, worker)

    yield start
    for process in reversed(started):
        for each in [*process.children(recursive=True), process]:
            each.kill()
    for process in started:
        process.wait(timeout=30)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _until(happens: Callable[[], bool], process: psutil.Process, log: Path) -> None:
    deadline = time.monotonic() + 120
    while not happens():
        assert process.is_running(), log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
