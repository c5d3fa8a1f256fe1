"""One `StoreSettings` is all that our store, MLflow and Prefect's results need to use one bucket."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ame.store import StoreSettings, open_store

WITH_MLFLOW = """
import mlflow
from mlflow import artifacts
with mlflow.start_run() as run:
    mlflow.log_text("kept in the bucket", "deep/note.txt")
print(run.info.artifact_uri)
assert artifacts.load_text(f"runs:/{run.info.run_id}/deep/note.txt") == "kept in the bucket"
"""

WITH_PREFECT = """
import os
from prefect import flow
from prefect.testing.utilities import prefect_test_harness
from ame.store import StoreSettings
from blocks import results_block

@flow(persist_result=True, result_serializer="json")
def answer():
    return {"answer": 42}

with prefect_test_harness(server_startup_timeout=120):
    name = results_block(StoreSettings.from_environment()).save("ame-results")
    stored = answer.with_options(result_storage=type(results_block(StoreSettings.from_environment())).load("ame-results"))
    state = stored(return_state=True)
    assert state.result() == {"answer": 42}
"""


@pytest.fixture
def environment(bucket_settings: StoreSettings, tmp_path: Path) -> dict[str, str]:
    """A program's that knows nothing of the store but its variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {
        **kept,
        **bucket_settings.variables(),
        "HOME": str(tmp_path),
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


@pytest.fixture(params=["through the server", "from the client"])
def tracking(
    request: pytest.FixtureRequest,
    environment: dict[str, str],
    bucket_settings: StoreSettings,
    tmp_path: Path,
    until: Callable[..., None],
) -> Iterator[str]:
    """A real MLflow server whose artifacts lie in the bucket, by either of the ways that it has for that."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = f"{bucket_settings.uri}/mlflow"
    way = (
        ["--artifacts-destination", place]
        if request.param == "through the server"
        else ["--no-serve-artifacts", "--default-artifact-root", place]
    )
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1", *way]
    command += ["--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db"]
    with (tmp_path / "server.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    uri = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert server.poll() is None, (tmp_path / "server.log").read_text()
        try:
            return bool(urllib.request.urlopen(f"{uri}/health", timeout=5).status == 200)  # noqa: S310
        except OSError:
            return False

    try:
        until(answers, seconds=120)
        yield uri
    finally:
        os.killpg(server.pid, 15)
        server.wait(20)


def test_mlflow_keeps_artifacts_in_the_bucket(
    tracking: str, environment: dict[str, str], bucket_settings: StoreSettings
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WITH_MLFLOW],
        env=environment | {"MLFLOW_TRACKING_URI": tracking},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert objects(bucket_settings, "mlflow", "note.txt")


def test_prefect_keeps_results_in_the_bucket(
    environment: dict[str, str], bucket_settings: StoreSettings
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WITH_PREFECT],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert objects(bucket_settings, "results", "")
    assert bucket_settings.secret_access_key
    assert bucket_settings.secret_access_key not in ended.stdout + ended.stderr


def objects(settings: StoreSettings, below: str, named: str) -> list[str]:
    """The keys below a folder of the store that end with a name."""
    files = open_store(settings)._contents.files  # type: ignore[attr-defined]
    found = files.find(f"{settings.bucket}/{settings.prefix}/{below}")
    return [key for key in found if key.endswith(named)]
