"""The little of a Kubernetes API that a Spark driver speaks to: pods, over TLS, with a token.

A pod that is created runs as a process of this machine when the server is given a command for it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import json
import os
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

TOKEN = "token-of-the-account"  # noqa: S105


@dataclass
class Cluster:
    """What the server holds.

    Attributes:
        account: a folder as Kubernetes mounts it: `token`, `ca.crt`, `namespace`.
        used: what was asked for, as (verb, resource).
        refuse: False, or the answer to everything is 403.
    """

    account: Path
    folder: Path
    command: list[str] = field(default_factory=list)
    pods: dict[str, dict[str, Any]] = field(default_factory=dict)
    created: list[dict[str, Any]] = field(default_factory=list)
    used: set[tuple[str, str]] = field(default_factory=set)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    refuse: bool = False
    port: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    def start(self, pod: dict[str, Any]) -> None:
        name = pod["metadata"]["name"]
        folder = self.folder / name
        (folder / "local").mkdir(parents=True)
        env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        fields = {"status.podIP": "127.0.0.1", "metadata.name": name}
        for entry in pod["spec"]["containers"][0]["env"]:
            source = entry.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
            env[entry["name"]] = fields[source] if source else entry.get("value", "")
        env["SPARK_LOCAL_DIRS"] = str(folder / "local")
        env["HOME"] = str(folder)
        with (folder / "log").open("wb") as log:
            self.processes.append(subprocess.Popen(self.command, cwd=folder, env=env, stdout=log, stderr=log))


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Cluster]:
    account = folder / "account"
    account.mkdir(parents=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_certificate(account))
    (account / "token").write_text(TOKEN)
    (account / "namespace").write_text("ml")
    cluster = Cluster(account=account, folder=folder)

    class Answers(_Answers):
        of = cluster

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        server.daemon_threads = True
        server.block_on_close = False
        server.socket = context.wrap_socket(server.socket, server_side=True)
        cluster.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield cluster
        finally:
            cluster.ended.set()
            server.shutdown()
            for process in cluster.processes:
                process.kill()
                process.wait()


def _certificate(account: Path) -> Path:
    """One of its own for 127.0.0.1; what the account trusts is the same."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "pretend")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    text = made.public_bytes(serialization.Encoding.PEM)
    (account / "ca.crt").write_bytes(text)
    both = account.parent / "server.pem"
    both.write_bytes(
        text
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return both


class _Answers(BaseHTTPRequestHandler):
    of: Cluster
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        resource, name, asked = self._place()
        verb = "get" if name else "watch" if asked.get("watch") == ["true"] else "list"
        if not self._may(verb, resource):
            return
        if verb == "watch":
            self._watch()
        elif verb == "get":
            self._answer(self.of.pods.get(name) if resource == "pods" else None)
        else:
            items = list(self.of.pods.values()) if resource == "pods" else []
            self._answer(
                {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items}
            )

    def do_POST(self) -> None:
        new = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        resource, _, _ = self._place()
        if not self._may("create", resource):
            return
        if resource == "pods":
            self.of.created.append(json.loads(json.dumps(new)))
            new["metadata"] |= {
                "uid": f"uid-{len(self.of.created)}",
                "namespace": "ml",
                "creationTimestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            }
            new["status"] = {"phase": "Running", "podIP": "127.0.0.1"}
            self.of.pods[new["metadata"]["name"]] = new
            if self.of.command:
                self.of.start(new)
        self._answer(new, 201)

    def do_DELETE(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        resource, name, _ = self._place()
        if self._may("delete" if name else "deletecollection", resource):
            self.of.pods = {
                key: pod for key, pod in self.of.pods.items() if key == "driver" or name not in ("", key)
            }
            self._answer({"kind": "Status", "apiVersion": "v1", "status": "Success"})

    def do_PATCH(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self._may("patch", self._place()[0]):
            self._answer(None)

    def _place(self) -> tuple[str, str, dict[str, list[str]]]:
        parts = urlparse(self.path)
        # api/v1/namespaces/NAMESPACE/RESOURCE/NAME
        resource, name, *_ = [*parts.path.strip("/").split("/")[4:6], "", ""]
        return resource, name, parse_qs(parts.query)

    def _may(self, verb: str, resource: str) -> bool:
        self.of.used.add((verb, resource))
        if self.of.refuse or self.headers.get("Authorization") != f"Bearer {TOKEN}":
            said = f'{resource} is forbidden: cannot {verb} resource "{resource}"'
            self._answer({"kind": "Status", "status": "Failure", "message": said, "code": 403}, 403)
            return False
        return True

    def _watch(self) -> None:
        if self.headers.get("Upgrade"):
            self._answer(None, 503)  # then it is asked without a web socket
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.of.ended.wait(60)
        self.close_connection = True

    def _answer(self, body: Any, status: int = 200) -> None:
        if body is None and status == 200:
            body, status = {"kind": "Status", "status": "Failure", "message": "not found", "code": 404}, 404
        text = json.dumps(body or {}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *arguments: object) -> None:
        pass
