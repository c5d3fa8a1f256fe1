"""Where a store is and how it is reached: the one place that the settings of every client come from.

Our own client, boto, MLflow and Prefect's results each have a way of their own to be told an endpoint and
its credentials; all of them are derived from one `StoreSettings`, so that no two can differ.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast, get_args
from urllib.parse import unquote, urlsplit

from ame.diagnosis import Diagnosis, Refused

__all__ = ["AddressingStyle", "StoreSettings"]

AddressingStyle = Literal["auto", "path", "virtual"]

_BUCKET = re.compile(r"[a-z0-9](?:[a-z0-9.-]{1,61}[a-z0-9])")
_PREFIX = re.compile(r"[A-Za-z0-9!_.*'()=+@&,-]+(?:/[A-Za-z0-9!_.*'()=+@&,-]+)*")
_HOW = "Write s3://BUCKET or s3://BUCKET/PREFIX, or the absolute path of a directory."


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """An artifact store. What is secret is in no repr.

    Attributes:
        uri: `s3://BUCKET/PREFIX`, `file:///FOLDER`, or the absolute path of a directory.
        endpoint_url: of another service than Amazon's, for example "https://minio.example.com:9000".
        region: None leaves it to the client.
        access_key_id, secret_access_key, session_token: None leaves the credentials to what the clients
            find by themselves: a role of the pod or machine, or the user's AWS configuration.
        addressing_style: `path` puts the bucket behind the host's name, `virtual` before it; `auto` is
            `path` where an endpoint is given.
        ca_bundle: a file of certificates to trust instead of the usual ones.
        verify: False accepts any certificate.

    Raises:
        Refused: AME-E840 for the URI, AME-E841 when the rest is incomplete or contradicts itself.
    """

    uri: str
    endpoint_url: str | None = None
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    addressing_style: AddressingStyle = "auto"
    ca_bundle: str | None = None
    verify: bool = True

    def __post_init__(self) -> None:
        problem = _about_uri(self.uri)
        if problem:
            # A URI with a password in it must not be repeated.
            shown = "the store's URI" if "@" in self.uri else f"the store's URI '{self.uri}'"
            raise Refused(Diagnosis(code="AME-E840", what=f"{shown} {problem}", fix=_HOW))
        problems = [Diagnosis(code="AME-E841", what=what, fix=fix) for what, fix in self._contradictions()]
        if problems:
            raise Refused(*problems)

    @property
    def folder(self) -> Path | None:
        """The directory, or None for a bucket."""
        if self.uri.startswith("file://"):
            return Path(unquote(urlsplit(self.uri).path))
        return None if "://" in self.uri else Path(self.uri)

    @property
    def bucket(self) -> str:
        """The bucket's name; empty for a directory."""
        return "" if self.folder else self.uri.removeprefix("s3://").partition("/")[0]

    @property
    def prefix(self) -> str:
        """What stands before every name in the bucket, without a slash at its ends; may be empty."""
        return "" if self.folder else self.uri.removeprefix("s3://").partition("/")[2].strip("/")

    @property
    def uses_path_style(self) -> bool:
        return self.addressing_style == "path" or bool(self.endpoint_url and self.addressing_style == "auto")

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that must be seen nowhere."""
        return tuple(secret for secret in (self.secret_access_key, self.session_token) if secret)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> StoreSettings:
        """What AME_STORE_URI names, with the variables that boto and MLflow know.

        Args:
            environment: this process's own by default.

        Raises:
            Refused: AME-E840 when AME_STORE_URI is not set or cannot be read, AME-E841 when the other
                variables are incomplete or contradict each other.
        """
        given = {
            name: value
            for name, value in (os.environ if environment is None else environment).items()
            if value
        }
        if "AME_STORE_URI" not in given:
            raise Refused(Diagnosis(code="AME-E840", what="AME_STORE_URI names no artifact store.", fix=_HOW))
        endpoints = {
            name: given[name].rstrip("/")
            for name in ("AWS_ENDPOINT_URL_S3", "MLFLOW_S3_ENDPOINT_URL", "AWS_ENDPOINT_URL")
            if name in given
        }
        first = next(iter(endpoints), None)
        # What is said for S3 wins over what is said for all services; MLflow must not mean another one.
        other = endpoints.get("MLFLOW_S3_ENDPOINT_URL")
        if first and other and other != endpoints[first]:
            raise Refused(
                Diagnosis(
                    code="AME-E841",
                    what=f"{first} and MLFLOW_S3_ENDPOINT_URL name two endpoints.",
                    fix="Unset one, or give both the same address.",
                )
            )
        # A directory has no use for what other programs are told about S3.
        if not given["AME_STORE_URI"].startswith("s3:"):
            return cls(uri=given["AME_STORE_URI"])
        return cls(
            uri=given["AME_STORE_URI"],
            endpoint_url=endpoints[first] if first else None,
            region=given.get("AWS_REGION", given.get("AWS_DEFAULT_REGION")),
            access_key_id=given.get("AWS_ACCESS_KEY_ID"),
            secret_access_key=given.get("AWS_SECRET_ACCESS_KEY"),
            session_token=given.get("AWS_SESSION_TOKEN"),
            addressing_style=cast(
                "AddressingStyle", given.get("MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE", "auto")
            ),
            ca_bundle=given.get("AWS_CA_BUNDLE"),
            verify=given.get("MLFLOW_S3_IGNORE_TLS", "").lower() not in {"true", "1"},
        )

    def variables(self) -> dict[str, str]:
        """The environment of a program that is to use this store through boto, s3fs or MLflow."""
        if self.folder:
            return {"AME_STORE_URI": self.uri}
        style = "path" if self.uses_path_style else self.addressing_style
        found = {
            "AME_STORE_URI": self.uri,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_SESSION_TOKEN": self.session_token,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
            "AWS_ENDPOINT_URL_S3": self.endpoint_url,
            "MLFLOW_S3_ENDPOINT_URL": self.endpoint_url,
            "AWS_CA_BUNDLE": self.ca_bundle,
            "MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE": None if style == "auto" else style,
            "MLFLOW_S3_IGNORE_TLS": None if self.verify else "true",
        }
        return {name: value for name, value in found.items() if value}

    def apply_to(self, environment: MutableMapping[str, str]) -> None:
        """Set these variables, and remove those that would mix another store's settings with them."""
        if not self.folder:
            mixed = ["AWS_ENDPOINT_URL_S3", "MLFLOW_S3_ENDPOINT_URL", "AWS_ENDPOINT_URL"]
            mixed += ["MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE", "MLFLOW_S3_IGNORE_TLS"]
            if self.access_key_id:
                mixed += ["AWS_SESSION_TOKEN", "AWS_PROFILE"]
            for name in mixed:
                environment.pop(name, None)
        environment.update(self.variables())

    def _contradictions(self) -> list[tuple[str, str]]:
        """What is wrong and what to do."""
        found = []
        bucket_only = (self.endpoint_url, self.region, self.access_key_id, self.secret_access_key)
        if self.folder and any(bucket_only):
            found.append(
                (
                    f"the store {self.uri} is a directory and has settings of an S3 store.",
                    "Name a bucket, or leave the endpoint, the region and the keys out.",
                )
            )
        if bool(self.access_key_id) != bool(self.secret_access_key):
            there, missing = ("access key ID", "secret access key")
            if self.secret_access_key:
                there, missing = missing, there
            found.append(
                (
                    f"the store has an {there} and no {missing}."
                    if there[0] == "a"
                    else f"the store has a {there} and no {missing}.",
                    "Give both, or neither to use the role of the pod or machine.",
                )
            )
        elif self.session_token and not self.access_key_id:
            found.append(
                (
                    "the store has a session token and no access key.",
                    "Give the access key ID and the secret access key that the token belongs to.",
                )
            )
        if self.endpoint_url and (what := _about_endpoint(self.endpoint_url)):
            found.append((what, "Write for example https://minio.example.com:9000."))
        if self.addressing_style not in get_args(AddressingStyle):
            found.append(
                (
                    f"the store's addressing style is '{self.addressing_style}'.",
                    "It is one of auto, path, virtual.",
                )
            )
        if self.ca_bundle and not Path(self.ca_bundle).is_file():
            found.append(
                (
                    f"the store's file of certificates {self.ca_bundle} does not exist.",
                    "Name one that does, or leave it out.",
                )
            )
        return found


def _about_uri(uri: str) -> str:
    """What is wrong with a URI, as the end of a sentence; empty when it is right."""
    if uri.startswith("file://"):
        parts = urlsplit(uri)
        return "" if not parts.netloc and parts.path.startswith("/") else "names no absolute path."
    scheme, colon, rest = uri.partition(":")
    if scheme == "s3" and colon:
        return _about_bucket(rest)
    if colon and rest.startswith("//"):
        return f"begins with {scheme}://, which this release does not store to."
    return "" if uri.startswith("/") else "is neither a bucket nor an absolute path."


def _about_bucket(rest: str) -> str:
    if not rest.startswith("//"):
        return "lacks the two slashes after s3:."
    bucket, _, prefix = rest[2:].partition("/")
    prefix = prefix.strip("/")
    if not _BUCKET.fullmatch(bucket):
        return "names no bucket: it has 3 to 63 lower-case letters, digits, '-' and '.'."
    if prefix and (not _PREFIX.fullmatch(prefix) or {".", ".."} & set(prefix.split("/"))):
        return "has a prefix with characters that not every S3 service takes."
    return ""


def _about_endpoint(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return "the store's endpoint is no http:// or https:// address."
    if parts.username or parts.password:
        return "the store's endpoint has a user name or password in it."
    return ""
