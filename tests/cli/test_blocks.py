"""`ame blocks apply`: what it saves, says and refuses, against a real Prefect server."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

AME = Path(sys.executable).with_name("ame")
FIRST, SECOND = "hidden-one", "hidden-two"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """`ame blocks apply` with only these variables of ours."""

    def ame(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        ours = ("AME_", "AWS_", "MLFLOW_", "PREFECT_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return subprocess.run(
            [AME, "blocks", "apply", *arguments],
            env={**kept, "PREFECT_HOME": str(tmp_path / "prefect"), **variables},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return ame


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "connections.yaml"
    path.write_text(
        "mlflow: {uri: 'http://mlflow:5000', username: me, password: {env: SECRET}}\n"
        f"store: {{uri: {tmp_path}/store}}\n"
    )
    return path


def test_blocks_are_created_updated_and_left_alone(run: Run, file: Path, embedded: Any) -> None:
    server = {"PREFECT_API_URL": embedded.servers.prefect}
    created = run(str(file), "--name", "one", SECRET=FIRST, **server)
    assert created.returncode == 0, created.stderr
    assert created.stdout == (
        "mlflow-server/one: created\nartifact-store/one: created\nlocal-file-system/one-results: created\n"
    )
    again = run(str(file), "--name", "one", SECRET=FIRST, **server)
    assert again.stdout == (
        "mlflow-server/one: unchanged\nartifact-store/one: unchanged\n"
        "local-file-system/one-results: unchanged\n"
    )
    file.write_text(file.read_text().replace("http://mlflow:5000", "http://other:5000"))
    asked = run(str(file), "--name", "one", "--dry-run", SECRET=SECOND, **server)
    assert asked.stdout == (
        "mlflow-server/one: would be updated\n"
        "  password: changed\n"
        "  tracking_uri: http://mlflow:5000 -> http://other:5000\n"
        "artifact-store/one: unchanged\nlocal-file-system/one-results: unchanged\n"
    )
    updated = run(str(file), "--name", "one", "--json", SECRET=SECOND, **server)
    assert json.loads(updated.stdout)["blocks"][0] == {
        "block": "mlflow-server/one",
        "outcome": "updated",
        "changes": ["password: changed", "tracking_uri: http://mlflow:5000 -> http://other:5000"],
    }
    for ended in (created, again, asked, updated):
        assert "hidden" not in ended.stdout + ended.stderr


def test_the_environment_is_taken(run: Run, tmp_path: Path, embedded: Any) -> None:
    ended = run(
        "--from-env",
        "--name",
        "two",
        PREFECT_API_URL=embedded.servers.prefect,
        MLFLOW_TRACKING_URI="http://me:hidden%2Done@mlflow:5000",
        AME_STORE_URI=str(tmp_path / "store"),
    )
    assert ended.stdout == (
        "mlflow-server/two: created\nartifact-store/two: created\nlocal-file-system/two-results: created\n"
    ), ended.stderr


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "store:\n  uri: s3://bucket\n  accessKeyId: me\n  secretAccessKey: hidden-one\n",
            (
                "AME-E851 connections.yaml:4:3 'secretAccessKey' of 'store' of the file stands in the file itself. "
                "Files are kept, copied and committed. Write {env: VARIABLE} or {file: /run/secrets/NAME}, and change "
                "the secret."
            ),
        ),
        (
            "mlflow: {uri: 'http://x', username: me, password: {env: UNSET}}\n",
            (
                "AME-E852 connections.yaml:1:41 'password' of 'mlflow' of the file is not there: the environment "
                "variable UNSET is not set."
            ),
        ),
        (
            "mlflow: {uri: 'http://x', token: {file: nowhere}}\n",
            (
                "AME-E852 connections.yaml:1:27 'token' of 'mlflow' of the file is not there: the file nowhere cannot "
                "be read: No such file or directory."
            ),
        ),
        (
            "mlflow: {uri: 'http://me:hidden-one@x'}\n",
            (
                "AME-E853 connections.yaml:1:10 the address of the MLflow server has a user name or a password in it. "
                "Write for example https://mlflow.example.com, and the user under `username` and `password`."
            ),
        ),
        (
            "store: {uri: 'gs://x'}\n",
            (
                "AME-E840 connections.yaml:1:8 the store's URI 'gs://x' begins with gs://, which this release does not "
                "store to. Write s3://BUCKET or s3://BUCKET/PREFIX, or the absolute path of a directory."
            ),
        ),
        (
            "stor: {}\n",
            (
                "AME-E109 connections.yaml:1:1 the file has the unknown key 'stor'. Known keys: mlflow, spark, store. Did you "
                "mean 'store'?\nAME-E113 connections.yaml:1:1 the file has neither 'mlflow' nor 'store' nor 'spark'."
            ),
        ),
        ("store: {region: x}\n", "AME-E113 connections.yaml:1:8 'store' of the file lacks 'uri'."),
        (
            (
                "spark:\n  conf: {spark.x: '1'}\n  secretConf:\n    spark.x: {env: NAME}\n"
                "    spark.y: hidden-one\n    fs.z: {env: NAME}\n"
            ),
            (
                "AME-E110 connections.yaml:4:5 'spark' of the file has 'spark.x' in 'conf', too.\n"
                "AME-E851 connections.yaml:5:5 'spark.y' of 'secretConf' of 'spark' of the file stands in the file "
                "itself. Files are kept, copied and committed. Write {env: VARIABLE} or {file: /run/secrets/NAME}, and "
                "change the secret.\n"
                "AME-E136 connections.yaml:6:5 'secretConf' of 'spark' of the file has 'fs.z', which is no property of "
                "Spark. Such a property begins with 'spark.'."
            ),
        ),
        (
            "spark: {master: yarn, block: x, conf: {spark.some.token: 'true'}}\n",
            (
                "AME-E109 connections.yaml:1:23 'spark' of the file has the unknown key 'block'. Known keys: archive, "
                "conf, executors, image, master, resources, secretConf.\n"
                "AME-E135 connections.yaml:1:33 'conf' of 'spark' of the file has 'spark.some.token', which may be a "
                "secret. Write it under 'secretConf', as {env: VARIABLE}."
            ),
        ),
    ],
    ids=["literal", "unset", "no file", "address", "uri", "unknown", "no uri", "secret properties", "spark"],
)
def test_a_file_that_cannot_be_used(run: Run, tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "connections.yaml").write_text(text)
    ended = run("connections.yaml")
    assert (ended.returncode, ended.stdout, ended.stderr.strip()) == (1, "", told)


def test_a_spark_session_is_saved_with_its_secrets(run: Run, tmp_path: Path, embedded: Any) -> None:
    server = {"PREFECT_API_URL": embedded.servers.prefect}
    (tmp_path / "connections.yaml").write_text(
        "spark:\n  master: k8s\n  executors: 4\n  resources: {cpu: 2, memory: 8G}\n"
        "  conf: {spark.sql.shuffle.partitions: 8}\n  secretConf: {spark.ssl.keyPassword: {env: SECRET}}\n"
    )
    saved = run("connections.yaml", "--name", "large", SECRET=FIRST, **server)
    assert (saved.returncode, saved.stdout) == (0, "spark-session/large: created\n"), saved.stderr
    changed = run("connections.yaml", "--name", "large", SECRET=SECOND, **server)
    assert changed.stdout.startswith("spark-session/large: updated\n")
    assert FIRST not in changed.stdout + changed.stderr
    assert SECOND not in changed.stdout + changed.stderr
    read = "from blocks import SparkSession; print(SparkSession.load('large').settings().conf)"
    told = subprocess.run(
        [sys.executable, "-c", read],
        env=os.environ | server,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert told.stdout.strip() == str(
        (("spark.sql.shuffle.partitions", "8"), ("spark.ssl.keyPassword", SECOND))
    )


def test_an_environment_that_names_nothing(run: Run) -> None:
    ended = run("--from-env")
    assert ended.stderr == (
        "AME-E857 the environment names neither an MLflow server nor an artifact store. Set MLFLOW_TRACKING_URI "
        "and AME_STORE_URI.\n"
    )
    assert run().returncode == 2


def test_no_server_is_started_on_the_way(run: Run, file: Path, leaves_no_process: None) -> None:
    unset = run(str(file), "--no-check", SECRET=FIRST)
    assert unset.returncode == 1
    assert unset.stderr.startswith("AME-E830 no Prefect server is named.")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        down = run(
            str(file),
            "--no-check",
            SECRET=FIRST,
            PREFECT_API_URL=f"http://127.0.0.1:{unused.getsockname()[1]}/api",
        )
    assert down.returncode == 1
    assert down.stderr.startswith("AME-E831 the Prefect server at http://127.0.0.1:")


def test_a_store_that_does_not_work_is_refused_before_anything_is_saved(
    run: Run, tmp_path: Path, embedded: Any
) -> None:
    (tmp_path / "taken").touch()
    ended = run("--from-env", PREFECT_API_URL=embedded.servers.prefect, AME_STORE_URI=str(tmp_path / "taken"))
    assert ended.stderr == (
        f"checking the artifact store {tmp_path}/taken\n"
        f"AME-E846 the artifact store {tmp_path}/taken cannot be used. File exists. See to its permissions, or "
        "name another directory.\n"
    )
