"""A store that cannot be used: what is said, how soon, and that no secret is in it."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ame.diagnosis import Refused
from ame.store import SnapshotStore, StoreSettings, check_store, open_store

SECRET, TOKEN = "the-secret-of-the-store", "the-token-of-the-store"


@contextmanager
def answering(status: int, code: str, then: str = "") -> Iterator[str]:
    """A server that refuses every request as S3 does; `then` cuts the connection instead."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            if then == "cut":
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            if then == "silence":
                time.sleep(3)
                return
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = f"<Error><Code>{code}</Code><Message>{SECRET}</Message></Error>".encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def settings_for(endpoint: str) -> StoreSettings:
    return StoreSettings(
        uri="s3://models/team",
        endpoint_url=endpoint,
        region="us-east-1",
        access_key_id="someone",
        secret_access_key=SECRET,
        session_token=TOKEN,
    )


def refusal(settings: StoreSettings) -> str:
    begun = time.monotonic()
    with pytest.raises(Refused) as refused:
        open_store(settings).holds("projects/p/1")
    assert time.monotonic() - begun < 10
    shown = "".join(traceback.format_exception(refused.value)) + repr(refused.value) + repr(settings)
    assert SECRET not in shown
    assert TOKEN not in shown
    return str(refused.value)


CREDENTIALS = (
    "AME-E843 {} does not accept the credentials of the artifact store s3://models/team. {} Correct them with "
    "`ame blocks apply`."
)


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (403, "InvalidAccessKeyId", "The service does not know the access key ID. (InvalidAccessKeyId)"),
        (
            403,
            "SignatureDoesNotMatch",
            "The secret access key does not belong to the access key ID. (SignatureDoesNotMatch)",
        ),
        (400, "ExpiredToken", "The session token has expired. (ExpiredToken)"),
        (
            403,
            "RequestTimeTooSkewed",
            "This machine's clock and the service's differ too much. (RequestTimeTooSkewed)",
        ),
    ],
)
def test_credentials_that_are_not_accepted(status: int, code: str, expected: str) -> None:
    with answering(status, code) as endpoint:
        assert refusal(settings_for(endpoint)) == CREDENTIALS.format(endpoint, expected)


def test_a_bucket_that_is_missing() -> None:
    with answering(404, "NoSuchBucket") as endpoint:
        assert refusal(settings_for(endpoint)) == (
            f"AME-E844 the artifact store s3://models/team has no bucket: {endpoint} has none called 'models'. "
            "Make it, or correct the name or the endpoint."
        )


def test_access_that_is_denied() -> None:
    with answering(403, "AccessDenied") as endpoint:
        assert refusal(settings_for(endpoint)) == (
            "AME-E845 the artifact store s3://models/team may not be used with these credentials. "
            f"{endpoint} denies access. Allow s3:ListBucket on the bucket, and s3:GetObject, s3:PutObject, "
            "s3:DeleteObject and s3:AbortMultipartUpload on what is below the prefix."
        )


UNREACHABLE = (
    "AME-E842 the artifact store s3://models/team does not answer at {}. {} See that the address is right and can "
    "be reached from here; nothing half-written is seen."
)


def test_an_endpoint_that_is_down() -> None:
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"
        told = refusal(settings_for(endpoint))
    assert told == UNREACHABLE.format(endpoint, "No connection could be made, or it was cut.")


def test_an_endpoint_that_cuts_the_connection() -> None:
    with answering(200, "", then="cut") as endpoint:
        told = refusal(settings_for(endpoint))
    assert told == UNREACHABLE.format(endpoint, "No connection could be made, or it was cut.")


def test_an_endpoint_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ame.store.bucket._ANSWER_SECONDS", 1.0)
    with answering(200, "", then="silence") as endpoint:
        told = refusal(settings_for(endpoint))
    assert told == UNREACHABLE.format(endpoint, "It took too long.")


def test_a_server_that_speaks_no_tls() -> None:
    with answering(200, "") as plain:
        endpoint = plain.replace("http:", "https:")
        told = refusal(settings_for(endpoint))
    assert told == UNREACHABLE.format(endpoint, "Its certificate is not trusted, or it does not speak TLS.")


def test_a_service_that_fails() -> None:
    with answering(500, "InternalError") as endpoint:
        assert refusal(settings_for(endpoint)) == (
            f"AME-E846 the artifact store s3://models/team cannot be used. {endpoint} answered InternalError, "
            "HTTP 500. Run again. If it comes again, see to the service."
        )


def test_no_credentials_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    with answering(200, "") as endpoint:
        told = refusal(StoreSettings(uri="s3://models/team", endpoint_url=endpoint))
    assert told == (
        "AME-E843 there are no credentials for the artifact store s3://models/team. Give an access key ID and a "
        "secret access key, or a role to the pod or machine."
    )


def test_a_directory_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refused) as refused:
        check_store(StoreSettings(uri=str(tmp_path / "file")))
    assert str(refused.value) == (
        f"AME-E846 the artifact store {tmp_path / 'file'} cannot be used. File exists. See to its "
        "permissions, or name another directory."
    )


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "data").write_text("x")
    store = SnapshotStore(tmp_path / "store")
    monkeypatch.setattr("ame.store.directory.copy_checked", full)
    with pytest.raises(Refused) as refused:
        store.save("rows", tmp_path / "data")
    assert str(refused.value) == (
        f"AME-E846 the artifact store {tmp_path / 'store'} cannot be used. No space left on device. Make room on "
        "its disk: nothing of what was being kept is left there."
    )
    assert not store.holds("rows")
    assert list((tmp_path / "store" / ".filling").iterdir()) == []


def test_a_store_that_works_passes_the_check(settings: StoreSettings) -> None:
    check_store(settings)
    check_store(settings)
    assert not open_store(settings).holds("probes")


def test_a_bucket_without_its_client(bucket_settings: StoreSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "s3fs", None)
    with pytest.raises(Refused) as refused:
        open_store(bucket_settings)
    assert str(refused.value) == (
        f"AME-E848 the artifact store {bucket_settings.uri} needs the package s3fs, which is not installed. "
        "Install ame-flows with its extra `aws`: `pip install 'ame-flows[aws]'`."
    )
