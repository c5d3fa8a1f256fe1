"""The block types: what they refuse, what they hand on, and that Prefect finds and keeps them."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from ame.store import StoreSettings
from blocks import ArtifactStore, MlflowServer, results_block

ROOT = Path(__file__).parents[2]
HIDDEN = "hidden-value"


def test_a_server_becomes_the_variables_of_mlflow() -> None:
    server = MlflowServer(tracking_uri="https://mlflow", username="me", password=SecretStr(HIDDEN))
    assert server.variables() == {
        "MLFLOW_TRACKING_URI": "https://mlflow",
        "MLFLOW_TRACKING_USERNAME": "me",
        "MLFLOW_TRACKING_PASSWORD": HIDDEN,
    }
    assert HIDDEN not in repr(server) + str(server)
    token = MlflowServer(tracking_uri="https://mlflow", token=SecretStr(HIDDEN))
    assert token.variables()["MLFLOW_TRACKING_TOKEN"] == HIDDEN


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tracking_uri": "sqlite:///x"}, "the tracking URI is no http:// or https:// address."),
        (
            {"tracking_uri": f"http://me:{HIDDEN}@host"},
            "the tracking URI has a user name or a password in it.",
        ),
        ({"tracking_uri": "http://host", "username": "me"}, "a user name and a password belong together"),
    ],
)
def test_a_server_that_cannot_be_used(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as refused:
        MlflowServer(**given)
    assert refused.value.errors()[0]["msg"] == f"Value error, {message}"


def test_a_store_comes_back_as_the_settings_that_it_was_made_of() -> None:
    settings = StoreSettings(
        uri="s3://models/a",
        endpoint_url="http://minio:9000",
        region="eu-west-1",
        access_key_id="someone",
        secret_access_key=HIDDEN,
        session_token=HIDDEN + "2",
        addressing_style="virtual",
        verify=False,
    )
    block = ArtifactStore.of(settings)
    assert block.settings() == settings
    assert HIDDEN not in repr(block) + str(block)


def test_a_store_that_cannot_be_used() -> None:
    with pytest.raises(ValidationError) as refused:
        ArtifactStore(uri="gs://bucket")
    assert refused.value.errors()[0]["msg"] == (
        "Value error, AME-E840 the store's URI 'gs://bucket' begins with gs://, which this release does not store "
        "to. Write s3://BUCKET or s3://BUCKET/PREFIX, or the absolute path of a directory."
    )


def test_results_lie_below_the_store() -> None:
    assert results_block(StoreSettings(uri="/store")).basepath == "/store/results"
    bucket: Any = results_block(
        StoreSettings(
            uri="s3://models/a", endpoint_url="http://x", access_key_id="i", secret_access_key=HIDDEN
        )
    )
    assert (bucket.bucket_name, bucket.bucket_folder) == ("models", "a/results")
    assert bucket.credentials.aws_client_parameters.endpoint_url == "http://x"
    assert bucket.credentials.aws_client_parameters.config["s3"] == {"addressing_style": "path"}
    assert HIDDEN not in repr(bucket)


def test_prefect_finds_the_types_by_the_entry_point() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (module,) = project["entry-points"]["prefect.collections"].values()
    slugs = {kind.get_block_type_slug() for kind in (ArtifactStore, MlflowServer)}
    assert slugs == {"artifact-store", "mlflow-server"}
    assert {import_module(module).ArtifactStore, import_module(module).MlflowServer} == {
        ArtifactStore,
        MlflowServer,
    }


def test_the_types_are_imported_without_a_client_of_s3() -> None:
    script = "import sys, blocks; assert not {'prefect_aws', 'boto3', 'botocore', 's3fs'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60, cwd=ROOT)
