"""The settings of a store: what is refused, and that every client gets the same."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from ame.diagnosis import Refused
from ame.store import StoreSettings

HOW = "Write s3://BUCKET or s3://BUCKET/PREFIX, or the absolute path of a directory."
HIDDEN, HIDDEN_TOO = "hidden-value", "hidden-too"
KEYS = {"AWS_ACCESS_KEY_ID": "someone", "AWS_SECRET_ACCESS_KEY": HIDDEN}


@pytest.mark.parametrize(
    ("uri", "what"),
    [
        ("gs://bucket/x", "'gs://bucket/x' begins with gs://, which this release does not store to."),
        ("http://host/x", "'http://host/x' begins with http://, which this release does not store to."),
        ("s3:bucket", "'s3:bucket' lacks the two slashes after s3:."),
        (
            "s3://Bucket",
            "'s3://Bucket' names no bucket: it has 3 to 63 lower-case letters, digits, '-' and '.'.",
        ),
        ("s3://", "'s3://' names no bucket: it has 3 to 63 lower-case letters, digits, '-' and '.'."),
        (
            "s3://bucket/a/../b",
            "'s3://bucket/a/../b' has a prefix with characters that not every S3 service takes.",
        ),
        (
            "s3://bucket/a b",
            "'s3://bucket/a b' has a prefix with characters that not every S3 service takes.",
        ),
        ("store", "'store' is neither a bucket nor an absolute path."),
        ("file://host/x", "'file://host/x' names no absolute path."),
        ("", "'' is neither a bucket nor an absolute path."),
    ],
)
def test_a_uri_that_names_no_store(uri: str, what: str) -> None:
    with pytest.raises(Refused) as refused:
        StoreSettings(uri=uri)
    assert str(refused.value) == f"AME-E840 the store's URI {what} {HOW}"


def test_a_uri_with_a_password_is_not_repeated() -> None:
    with pytest.raises(Refused) as refused:
        StoreSettings(uri="s3://me:hidden-value@bucket/x")
    assert "hidden-value" not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"uri": "s3://bucket", "access_key_id": "someone"},
            (
                "AME-E841 the store has an access key ID and no secret access key. Give both, or neither to use the "
                "role of the pod or machine."
            ),
        ),
        (
            {"uri": "s3://bucket", "secret_access_key": "hidden-value"},
            (
                "AME-E841 the store has a secret access key and no access key ID. Give both, or neither to use the "
                "role of the pod or machine."
            ),
        ),
        (
            {"uri": "s3://bucket", "session_token": "hidden-value"},
            (
                "AME-E841 the store has a session token and no access key. Give the access key ID and the secret "
                "access key that the token belongs to."
            ),
        ),
        (
            {"uri": "s3://bucket", "endpoint_url": "minio:9000"},
            (
                "AME-E841 the store's endpoint is no http:// or https:// address. Write for example "
                "https://minio.example.com:9000."
            ),
        ),
        (
            {"uri": "s3://bucket", "endpoint_url": "http://me:hidden-value@minio"},
            (
                "AME-E841 the store's endpoint has a user name or password in it. Write for example "
                "https://minio.example.com:9000."
            ),
        ),
        (
            {"uri": "/store", "endpoint_url": "http://minio"},
            (
                "AME-E841 the store /store is a directory and has settings of an S3 store. Name a bucket, or leave the "
                "endpoint, the region and the keys out."
            ),
        ),
        (
            {"uri": "s3://bucket", "addressing_style": "paths", "ca_bundle": "/nowhere.pem"},
            (
                "AME-E841 the store's addressing style is 'paths'. It is one of auto, path, virtual.\n"
                "AME-E841 the store's file of certificates /nowhere.pem does not exist. Name one that does, or leave "
                "it out."
            ),
        ),
    ],
)
def test_settings_that_contradict_each_other(given: dict[str, Any], told: str) -> None:
    with pytest.raises(Refused) as refused:
        StoreSettings(**given)
    assert str(refused.value) == told


def test_one_object_becomes_the_settings_of_every_client_and_back() -> None:
    settings = StoreSettings(
        uri="s3://models/team/a/",
        endpoint_url="https://minio.example.com:9000",
        region="eu-west-1",
        access_key_id="someone",
        secret_access_key=HIDDEN,
        session_token=HIDDEN_TOO,
        verify=False,
    )
    variables = settings.variables()
    assert variables == {
        **KEYS,
        "AME_STORE_URI": "s3://models/team/a/",
        "AWS_SESSION_TOKEN": "hidden-too",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL_S3": "https://minio.example.com:9000",
        "MLFLOW_S3_ENDPOINT_URL": "https://minio.example.com:9000",
        "MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE": "path",
        "MLFLOW_S3_IGNORE_TLS": "true",
    }
    assert StoreSettings.from_environment(variables).variables() == variables
    assert (settings.bucket, settings.prefix) == ("models", "team/a")
    assert "hidden" not in repr(settings)
    assert settings.secrets == ("hidden-value", "hidden-too")


def test_a_directory_takes_nothing_of_what_other_programs_are_told_about_s3() -> None:
    settings = StoreSettings.from_environment({"AME_STORE_URI": "file:///a%20b", **KEYS})
    assert str(settings.folder) == "/a b"
    assert settings.variables() == {"AME_STORE_URI": "file:///a%20b"}


def test_what_is_left_of_another_store_is_removed() -> None:
    environment = {
        "AWS_SESSION_TOKEN": "of another",
        "AWS_PROFILE": "other",
        "AWS_ENDPOINT_URL": "http://other",
        "PATH": "/bin",
    }
    StoreSettings(uri="s3://bucket", access_key_id="someone", secret_access_key=HIDDEN).apply_to(environment)
    assert environment == {"AME_STORE_URI": "s3://bucket", "PATH": "/bin", **KEYS}


def test_the_environment_must_not_name_two_endpoints() -> None:
    with pytest.raises(Refused) as refused:
        StoreSettings.from_environment(
            {
                "AME_STORE_URI": "s3://bucket",
                "AWS_ENDPOINT_URL_S3": "http://a",
                "MLFLOW_S3_ENDPOINT_URL": "http://b",
            }
        )
    assert str(refused.value) == (
        "AME-E841 AWS_ENDPOINT_URL_S3 and MLFLOW_S3_ENDPOINT_URL name two endpoints. Unset one, or give both the "
        "same address."
    )
    with pytest.raises(Refused) as refused:
        StoreSettings.from_environment({})
    assert str(refused.value) == f"AME-E840 AME_STORE_URI names no artifact store. {HOW}"


def test_a_directory_is_opened_without_a_client_of_s3() -> None:
    script = (
        "import sys, pathlib; from ame.store import StoreSettings, open_store\n"
        "open_store(StoreSettings(uri='/nowhere')).holds('x')\n"
        "assert not {'s3fs', 'botocore', 'fsspec', 'prefect'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
