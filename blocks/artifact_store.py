"""The block that says where snapshots, artifacts and results are kept.

It has fields of its own for the keys, or names a credentials block of prefect-aws. It does not nest one:
such a field would import AWS's client in every run, for a directory too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Self

from prefect.blocks.core import Block
from pydantic import Field, SecretStr, model_validator

from ame.diagnosis import Refused
from ame.store import StoreSettings
from ame.store.settings import AddressingStyle

__all__ = ["ArtifactStore"]


class ArtifactStore(Block):
    """A bucket of S3, or of a service that speaks it, or a directory that all runs see.

    Example:
        from ame.store import open_store
        from blocks import ArtifactStore

        store = open_store(ArtifactStore.load("ame").settings())
    """

    _block_type_name = "Artifact Store"
    _block_type_slug = "artifact-store"
    _description = "Where projects, data sets, artifacts and results are kept: a bucket or a directory."

    uri: str = Field(title="URI", description="s3://BUCKET/PREFIX, or the absolute path of a directory.")
    endpoint_url: str | None = Field(
        default=None, title="Endpoint URL", description="Of another service than Amazon's."
    )
    credentials: str | None = Field(
        default=None,
        description="A block of prefect-aws, aws-credentials/NAME or minio-credentials/NAME, that holds the "
        "keys, region and endpoint instead of this one.",
    )
    region: str | None = None
    access_key_id: str | None = Field(
        default=None, title="Access key ID", description="Without keys the role of the pod or machine counts."
    )
    secret_access_key: SecretStr | None = None
    session_token: SecretStr | None = Field(default=None, description="Of temporary keys.")
    addressing_style: AddressingStyle = Field(
        default="auto", description="Where the bucket's name stands: path, virtual, or auto."
    )
    ca_bundle: str | None = Field(
        default=None, title="CA bundle", description="A file of certificates to trust, where the runs are."
    )
    verify: bool = Field(default=True, description="Whether the endpoint's certificate is checked.")

    @model_validator(mode="after")
    def _is_usable(self) -> Self:
        try:
            self.settings()
        except Refused as refused:
            # The file of certificates is where the runs are, which need not be here.
            wrong = [str(found) for found in refused.diagnoses if "certificates" not in found.what]
            if wrong:
                raise ValueError("\n".join(wrong)) from None
        return self

    def settings(self) -> StoreSettings:
        """The one object that the settings of all clients are derived from.

        Raises:
            Refused: AME-E841, when the file of certificates is not here.
        """
        return StoreSettings(
            uri=self.uri,
            endpoint_url=self.endpoint_url,
            region=self.region,
            access_key_id=self.access_key_id,
            secret_access_key=_plain(self.secret_access_key),
            session_token=_plain(self.session_token),
            addressing_style=self.addressing_style,
            ca_bundle=self.ca_bundle,
            verify=self.verify,
        )

    async def asettings(self) -> StoreSettings:
        """As `settings`, with what the credentials block says, if one is named.

        Raises:
            Refused: AME-E854, when there is no such block, or none with keys.
        """
        if self.credentials is None:
            return self.settings()
        from blocks.credentials import credentials_of

        return replace(self.settings(), **await credentials_of(self.credentials))

    @classmethod
    def of(cls, settings: StoreSettings) -> Self:
        """The block that holds these settings."""
        return cls(
            uri=settings.uri,
            endpoint_url=settings.endpoint_url,
            region=settings.region,
            access_key_id=settings.access_key_id,
            secret_access_key=SecretStr(settings.secret_access_key) if settings.secret_access_key else None,
            session_token=SecretStr(settings.session_token) if settings.session_token else None,
            addressing_style=settings.addressing_style,
            ca_bundle=settings.ca_bundle,
            verify=settings.verify,
        )


def _plain(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None
