"""The block types: what they refuse, what they hand on, and that Prefect finds and keeps them."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import pytest
from prefect.types import SecretDict
from pydantic import SecretStr, ValidationError

from ame.diagnosis import Refused
from ame.spark import SparkSettings
from ame.store import StoreSettings
from blocks import ArtifactStore, MlflowServer, SparkSession, results_block
from tests.conftest import Embedded

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


def test_a_spark_session_becomes_settings_without_showing_its_secrets() -> None:
    block = SparkSession(
        master="spark://host:7077",
        executors=2,
        memory="4Gi",
        conf={"spark.sql.shuffle.partitions": "8"},
        secret_conf=SecretDict({"spark.hadoop.fs.s3a.secret.key": HIDDEN}),
    )
    assert block.settings() == SparkSettings(
        master="spark://host:7077",
        executors=2,
        memory="4Gi",
        conf=(("spark.hadoop.fs.s3a.secret.key", HIDDEN), ("spark.sql.shuffle.partitions", "8")),
    )
    assert HIDDEN not in repr(block) + str(block) + repr(block.settings()) + block.model_dump_json()
    assert SparkSession().settings() == SparkSettings()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"executors": 0, "conf": {"sql.x": "y"}}, "executors is 0, and at least 1 is needed. conf has the property 'sql.x', and names of Spark properties begin with 'spark.'."),
        (
            {"conf": {"spark.ssl.keyPassword": HIDDEN}},
            "spark.ssl.keyPassword in conf look secret: give them under secret properties",
        ),
        (
            {"conf": {"spark.x": "1"}, "secret_conf": {"spark.x": "2"}},
            "spark.x stand both in conf and in the secret properties",
        ),
    ],
)  # fmt: skip
def test_a_spark_session_that_cannot_be_made(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as refused:
        SparkSession(**given)
    assert refused.value.errors()[0]["msg"] == f"Value error, {message}"


def test_prefect_finds_the_types_by_the_entry_point() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (module,) = project["entry-points"]["prefect.collections"].values()
    kinds = {ArtifactStore, MlflowServer, SparkSession}
    assert {kind.get_block_type_slug() for kind in kinds} == {
        "artifact-store",
        "mlflow-server",
        "spark-session",
    }
    found = import_module(module)
    assert {found.ArtifactStore, found.MlflowServer, found.SparkSession} == kinds


def test_the_types_are_imported_without_a_client_of_s3_and_without_spark() -> None:
    heavy = {"prefect_aws", "boto3", "botocore", "s3fs", "pyspark", "py4j"}
    script = f"import sys, blocks; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60, cwd=ROOT)


async def test_a_store_takes_its_keys_from_a_credentials_block(
    embedded: Embedded,
) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: embedded.servers.prefect}):
        await _keys_from_a_block()


async def test_prefect_keeps_a_spark_session_and_hides_its_secrets(embedded: Embedded) -> None:
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    block = SparkSession(master="yarn", secret_conf=SecretDict({"spark.ssl.keyPassword": HIDDEN}))
    with temporary_settings({PREFECT_API_URL: embedded.servers.prefect}):
        await block.save("of-the-team", overwrite=True)
        loaded = cast("SparkSession", await SparkSession.aload("of-the-team"))
        async with get_client() as client:
            shown = await client.read_block_document_by_name(
                "of-the-team", "spark-session", include_secrets=False
            )
    assert loaded.settings() == block.settings()
    assert HIDDEN not in shown.model_dump_json()


async def _keys_from_a_block() -> None:
    from prefect_aws import AwsClientParameters, AwsCredentials, MinIOCredentials

    client = AwsClientParameters(endpoint_url="http://minio:9000")
    minio = MinIOCredentials(
        minio_root_user="someone", minio_root_password=SecretStr(HIDDEN), aws_client_parameters=client
    )
    await minio.save("of-the-team", overwrite=True)
    store = ArtifactStore(uri="s3://models/a", credentials="minio-credentials/of-the-team")
    assert await store.asettings() == StoreSettings(
        uri="s3://models/a",
        endpoint_url="http://minio:9000",
        access_key_id="someone",
        secret_access_key=HIDDEN,
    )
    await AwsCredentials(profile_name="mine").save("a-profile", overwrite=True)
    with pytest.raises(Refused) as refused:
        await ArtifactStore(uri="s3://models/a", credentials="aws-credentials/a-profile").asettings()
    assert str(refused.value) == (
        "AME-E854 the credentials block 'aws-credentials/a-profile' of the artifact store leaves the keys to a "
        "profile or a role. Name a block aws-credentials/NAME or minio-credentials/NAME with keys; where a role of "
        "the pod or machine is to count, name none."
    )
