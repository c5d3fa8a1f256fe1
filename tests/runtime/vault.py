"""A stand-in for HashiCorp Vault: its answers to reads of key-value stores, over HTTP."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["TOKEN", "StandInVault", "serving_vault"]

TOKEN = "hvs.of-the-tests"  # noqa: S105


class StandInVault(ThreadingHTTPServer):
    """Attributes:
    secrets: the answers by path below /v1; None hangs.
    asked: the paths that were asked for, each with its namespace.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.secrets: dict[str, Mapping[str, Any] | int | None] = {}
        self.asked: list[tuple[str, str | None]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: StandInVault

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("X-Vault-Namespace")))
        if self.headers.get("X-Vault-Token") != TOKEN:
            self._answer(403, {"errors": ["permission denied"]})
            return
        found = self.server.secrets.get(self.path, 404)
        if found is None:
            time.sleep(2)
        elif isinstance(found, int):
            self._answer(found, {"errors": [] if found == 404 else [f"told with {found}"]})
        else:
            self._answer(200, found)

    def _answer(self, code: int, content: Mapping[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing on the tests' output."""


@contextlib.contextmanager
def serving_vault() -> Iterator[StandInVault]:
    server = StandInVault()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
