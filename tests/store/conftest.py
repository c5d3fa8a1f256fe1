"""A store in a directory, and one in a bucket of moto's server, which stands in for S3."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from ame.store import SnapshotStore, StoreSettings, open_store

SECRET = "not-to-be-seen-anywhere"  # noqa: S105 - of the stand-in


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The address of the stand-in."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket_settings(s3_endpoint: str) -> StoreSettings:
    """A new, empty bucket."""
    settings = StoreSettings(
        uri=f"s3://ame-{uuid.uuid4().hex[:12]}/team/a",
        endpoint_url=s3_endpoint,
        region="us-east-1",
        access_key_id="someone",
        secret_access_key=SECRET,
    )
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=s3_endpoint,
        region_name="us-east-1",
        aws_access_key_id="someone",
        aws_secret_access_key=SECRET,
    )
    client.create_bucket(Bucket=settings.bucket)
    return settings


@pytest.fixture(params=["directory", "bucket"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> StoreSettings:
    if request.param == "directory":
        return StoreSettings(uri=str(tmp_path / "store"))
    found: StoreSettings = request.getfixturevalue("bucket_settings")
    return found


@pytest.fixture
def store(settings: StoreSettings, tmp_path: Path) -> SnapshotStore:
    return open_store(settings, cache=tmp_path / "cache")
