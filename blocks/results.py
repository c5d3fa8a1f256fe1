"""Prefect's own results beside everything else: a storage block derived from the artifact store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from ame.store import StoreSettings

if TYPE_CHECKING:
    from prefect.filesystems import WritableFileSystem

__all__ = ["results_block"]


def results_block(settings: StoreSettings) -> WritableFileSystem:
    """The block that keeps Prefect's results below `results/` of a store; not saved yet.

    A session token stands in it in clear text, as prefect-aws has no secret field for one.

    Raises:
        ImportError: when the store is a bucket and prefect-aws is not installed.
    """
    if settings.folder:
        from prefect.filesystems import LocalFileSystem

        return LocalFileSystem(basepath=str(settings.folder / "results"))
    from prefect_aws import AwsClientParameters, AwsCredentials, S3Bucket

    style = "path" if settings.uses_path_style else settings.addressing_style
    client = AwsClientParameters(
        endpoint_url=settings.endpoint_url,
        verify=settings.verify,
        verify_cert_path=Path(settings.ca_bundle) if settings.ca_bundle else None,
        config={
            "s3": {"addressing_style": style},
            "connect_timeout": 5,
            "retries": {"total_max_attempts": 5},
        },
    )
    keys = AwsCredentials(
        aws_access_key_id=settings.access_key_id,
        aws_secret_access_key=SecretStr(settings.secret_access_key) if settings.secret_access_key else None,
        aws_session_token=settings.session_token,
        region_name=settings.region,
        aws_client_parameters=client,
    )
    folder = f"{settings.prefix}/results" if settings.prefix else "results"
    return S3Bucket(bucket_name=settings.bucket, bucket_folder=folder, credentials=keys)
