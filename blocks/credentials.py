"""What a credentials block of prefect-aws says, as settings of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prefect.blocks.core import Block

from ame.diagnosis import Diagnosis, Refused

if TYPE_CHECKING:
    from prefect_aws import AwsCredentials, MinIOCredentials

__all__ = ["credentials_of"]


async def credentials_of(reference: str) -> dict[str, Any]:
    """Fields of StoreSettings that an AwsCredentials or MinIOCredentials block holds.

    Args:
        reference: for example aws-credentials/prod.

    Raises:
        Refused: AME-E854, when there is no such block, it is of another type, or it leaves the keys to a
            profile or a role, which boto alone would know.
    """
    try:
        block: Any = await Block.aload(reference)
    except ValueError as missing:
        raise Refused(_refusal(reference, "is not on the Prefect server.")) from missing
    slug = block.get_block_type_slug()
    if slug == "aws-credentials":
        return _aws(block, reference)
    if slug == "minio-credentials":
        return _minio(block)
    raise Refused(_refusal(reference, f"is a block of the type '{slug}'."))


def _aws(block: AwsCredentials, reference: str) -> dict[str, Any]:
    if block.profile_name or block.assume_role_arn:
        raise Refused(_refusal(reference, "leaves the keys to a profile or a role."))
    keys = {
        "access_key_id": block.aws_access_key_id,
        "secret_access_key": _plain(block.aws_secret_access_key),
        "session_token": _plain(block.aws_session_token),
    }
    return keys | _client(block)


def _minio(block: MinIOCredentials) -> dict[str, Any]:
    keys = {"access_key_id": block.minio_root_user, "secret_access_key": _plain(block.minio_root_password)}
    return keys | _client(block)


def _client(block: AwsCredentials | MinIOCredentials) -> dict[str, Any]:
    client = block.aws_client_parameters
    return {
        "region": block.region_name,
        "endpoint_url": client.endpoint_url,
        "verify": client.verify is not False,
        "ca_bundle": str(client.verify_cert_path) if client.verify_cert_path else None,
    }


def _plain(secret: Any) -> str | None:
    if secret is None:
        return None
    return str(secret.get_secret_value() if hasattr(secret, "get_secret_value") else secret)


def _refusal(reference: str, what: str) -> Diagnosis:
    return Diagnosis(
        code="AME-E854",
        what=f"the credentials block '{reference}' of the artifact store {what}",
        fix="Name a block aws-credentials/NAME or minio-credentials/NAME with keys; where a role of the pod "
        "or machine is to count, name none.",
    )
