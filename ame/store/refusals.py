"""What a store's failure means, and what can be done about it: from an error of its client to a diagnosis."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from ame.diagnosis import Diagnosis, Refused

__all__ = ["damaged", "refusing_bucket_errors", "refusing_folder_errors"]

_CREDENTIALS = {
    "AuthorizationHeaderMalformed": "The region or the key is not the service's.",
    "ExpiredToken": "The session token has expired.",
    "InvalidAccessKeyId": "The service does not know the access key ID.",
    "InvalidToken": "The session token is not the service's.",
    "RequestTimeTooSkewed": "This machine's clock and the service's differ too much.",
    "SignatureDoesNotMatch": "The secret access key does not belong to the access key ID.",
    "TokenRefreshRequired": "The session token has expired.",
}
_NO_CREDENTIALS = {
    "NoCredentialsError",
    "PartialCredentialsError",
    "CredentialRetrievalError",
    "ProfileNotFound",
}
_DENIED = {"AccessDenied", "AllAccessDisabled", "AccountProblem", "403"}
_UNREACHABLE = {
    "ConnectTimeoutError",
    "ConnectionClosedError",
    "EndpointConnectionError",
    "EndpointProviderError",
    "HTTPClientError",
    "ProxyConnectionError",
    "ReadTimeoutError",
    "SSLError",
}
_FULL = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def refusing_folder_errors(folder: object) -> Iterator[None]:
    """Refuse, with AME-E846, when the block cannot read or write a store that is a directory."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            fix = "Make room on its disk: nothing of what was being kept is left there."
        else:
            fix = "See to its permissions, or name another directory."
        raise Refused(
            Diagnosis(
                code="AME-E846",
                what=f"the artifact store {folder} cannot be used.",
                why=f"{error.strerror or error}.",
                fix=fix,
            )
        ) from None


@contextmanager
def refusing_bucket_errors(store: str, endpoint: str | None, bucket: str) -> Iterator[None]:
    """Refuse, with AME-E842 to AME-E846, when the block cannot use a bucket.

    Args:
        store: the URI, as a diagnosis names it.
        endpoint: None for Amazon's own.
    """
    try:
        yield
    except Refused:
        raise
    except Exception as error:
        from botocore.exceptions import BotoCoreError, ClientError

        origin = error if isinstance(error, BotoCoreError | ClientError) else error.__cause__
        if not isinstance(origin, BotoCoreError | ClientError):
            # s3fs answers some refusals with an error of its own, without what the service said.
            if not isinstance(error, OSError):
                raise
            origin = error
        # The client's error is dropped: it holds the request, and nobody reads a traceback of it.
        raise Refused(_bucket_diagnosis(origin, store, endpoint or "Amazon S3", bucket)) from None


def damaged(store: object, key: str, why: str) -> Refused:
    """The refusal of a snapshot that is not what was saved."""
    return Refused(
        Diagnosis(
            code="AME-E847",
            what=f"the snapshot {key} in the artifact store {store} is damaged.",
            why=why,
            fix=f"Remove {key}/manifest.json there, and what is damaged: then it is made again when it is "
            "needed.",
        )
    )


def _bucket_diagnosis(error: BaseException, store: str, endpoint: str, bucket: str) -> Diagnosis:
    kinds = {kind.__name__ for kind in type(error).__mro__}
    response = getattr(error, "response", None) or {}
    code = str(response.get("Error", {}).get("Code", ""))
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if kinds & _NO_CREDENTIALS:
        return Diagnosis(
            code="AME-E843",
            what=f"there are no credentials for the artifact store {store}.",
            fix="Give an access key ID and a secret access key, or a role to the pod or machine.",
        )
    if code in _CREDENTIALS:
        return Diagnosis(
            code="AME-E843",
            what=f"{endpoint} does not accept the credentials of the artifact store {store}.",
            why=f"{_CREDENTIALS[code]} ({code})",
            fix="Correct them with `ame blocks apply`.",
        )
    if code == "NoSuchBucket":
        return Diagnosis(
            code="AME-E844",
            what=f"the artifact store {store} has no bucket: {endpoint} has none called '{bucket}'.",
            fix="Make it, or correct the name or the endpoint.",
        )
    if code in _DENIED or status == 403 or isinstance(error, PermissionError):
        return Diagnosis(
            code="AME-E845",
            what=f"the artifact store {store} may not be used with these credentials.",
            why=f"{endpoint} denies access.",
            fix="Allow s3:ListBucket on the bucket, and s3:GetObject, s3:PutObject, s3:DeleteObject and "
            "s3:AbortMultipartUpload on what is below the prefix.",
        )
    if kinds & _UNREACHABLE or isinstance(error, TimeoutError | ConnectionError):
        return Diagnosis(
            code="AME-E842",
            what=f"the artifact store {store} does not answer at {endpoint}.",
            why=_reason(error),
            fix="See that the address is right and can be reached from here; nothing half-written is seen.",
        )
    what_it_said = f"{code}, HTTP {status}." if code and status else f"{type(error).__name__}."
    return Diagnosis(
        code="AME-E846",
        what=f"the artifact store {store} cannot be used.",
        why=f"{endpoint} answered {what_it_said}" if code else what_it_said,
        fix="Run again. If it comes again, see to the service.",
    )


def _reason(error: BaseException) -> str:
    """Why there was no connection, without the request's address, which may hold a signature."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "SSLError" in kinds:
        return "Its certificate is not trusted, or it does not speak TLS."
    if "ConnectTimeoutError" in kinds or "ReadTimeoutError" in kinds or isinstance(error, TimeoutError):
        return "It took too long."
    return "No connection could be made, or it was cut."
