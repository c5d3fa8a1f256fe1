"""MLflow servers for tests: real ones, that a test may kill and start again.

    with MlflowServer(folder, f"sqlite:///{folder}/mlflow.db") as server:
        MlflowClient(server.uri, server.uri)

A server keeps its address over kills, and in between a client is refused, as where a machine went down. All
servers are forked by one process that has imported MLflow, which takes most of the time of a start. Whatever
thread starts them and however the tests end, on Linux they end with them.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
import warnings
from pathlib import Path
from typing import NoReturn, Self

import psutil

__all__ = ["ENVIRON", "ROOT", "MlflowServer", "Server", "die_with"]

ROOT = Path(__file__).parents[2]
_PR_SET_PDEATHSIG = 1
# Of before all tests, so that what outlives a test inherits nothing that it has set. PGDATA, PGPORT and their
# like are for the user's own server, and so is what configures MLflow.
ENVIRON = {
    name: value for name, value in os.environ.items() if not name.startswith(("PG", "MLFLOW_", "_MLFLOW_"))
}


class Server:
    """A process that can be killed and started again."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self._process: psutil.Process | None = None

    @property
    def pid(self) -> int:
        assert self._process, "not started"
        return self._process.pid

    @property
    def lives(self) -> bool:
        with contextlib.suppress(psutil.NoSuchProcess):
            return self._process is not None and self._process.status() != psutil.STATUS_ZOMBIE
        return False

    def start(self) -> None:
        """Start it unless it lives; does not wait."""
        if not self.lives:
            self._process = self._started()

    def wait_ready(self, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while not self._answers():
            assert self.lives, f"{self.log.name}: it has ended\n{self.log.read_text()[-4000:]}"
            assert time.monotonic() < deadline, f"not within {seconds} s\n{self.log.read_text()[-4000:]}"
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL to it and to all that it has started; returns when none is left."""
        if not self._process:
            return
        family = [self._process]
        with contextlib.suppress(psutil.NoSuchProcess):
            self._process.suspend()  # it starts nothing more while its family is counted
            family += self._process.children(recursive=True)
        for each in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        _, left = psutil.wait_procs(family, 30)
        assert not left, f"SIGKILL did not end {left}"
        self._process = None

    def restart(self) -> None:
        self.kill()
        self.start()
        self.wait_ready()

    def _started(self) -> psutil.Process:
        raise NotImplementedError

    def _answers(self) -> bool:
        raise NotImplementedError


class MlflowServer(Server):
    """An MLflow server of this environment's version: one worker, no jobs, artifacts in the folder.

    Attributes:
        uri: its address, the same after a restart.
        log: what it prints.
    """

    def __init__(self, folder: Path, backend: str) -> None:
        super().__init__(folder / "mlflow.log")
        self._folder, self._backend = folder, backend
        # Bound and never listening, it keeps the port from others and lets clients be refused.
        self._reserved = _port_of(0)
        self._port = int(self._reserved.getsockname()[1])
        self.uri = f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        try:
            self.start()
            self.wait_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._reserved.close()

    def _started(self) -> psutil.Process:
        return _ask_the_importer(
            port=self._port, folder=str(self._folder), backend=self._backend, log=str(self.log)
        )

    def _answers(self) -> bool:
        import httpx

        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.uri}/health", timeout=5, trust_env=False).is_success
        return False


def _port_of(port: int) -> socket.socket:
    # With the protocol said: asyncio sets TCP_NODELAY only then, and without it an answer takes 40 ms more.
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(("127.0.0.1", port))
    return made


@functools.cache
def _importer() -> subprocess.Popen[str]:
    """The process that has imported MLflow; it ends when its input does, and its servers with it."""
    return subprocess.Popen(
        [sys.executable, "-m", __name__],
        cwd=ROOT,
        env=ENVIRON,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


_ASKING = threading.Lock()


def _ask_the_importer(**order: object) -> psutil.Process:
    with _ASKING:
        importer = _importer()
        assert importer.stdin
        assert importer.stdout
        importer.stdin.write(json.dumps(order) + "\n")
        importer.stdin.flush()
        told = importer.stdout.readline()
    assert told, "the process that forks MLflow servers has ended"
    return psutil.Process(int(told))


# From here on: the process that imports, and what it forks.


def _fork_servers() -> None:
    """A server for each line of the input; nothing has been opened before a fork but the imports' own files."""
    os.environ |= {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_WORKSPACES": "false",
        "MLFLOW_LOGGING_LEVEL": "WARNING",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    # There are threads, of OpenBLAS and jemalloc, which heed a fork; of Python there is one.
    warnings.filterwarnings("ignore", message=r".*use of fork\(\) may lead to deadlocks")
    warnings.filterwarnings("ignore", message=r"starlette\.middleware\.wsgi is deprecated")
    import uvicorn  # noqa: F401
    from mlflow.server import fastapi_app  # noqa: F401

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # a server that was killed leaves no zombie
    gc.freeze()  # the pages of what is imported stay shared
    us = os.getpid()
    for line in sys.stdin:
        forked = os.fork()
        if not forked:
            _serve_and_exit(us, **json.loads(line))
        print(forked, flush=True)


def die_with(parent: int, by: signal.Signals) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(by))
    if os.getppid() != parent:  # it died before we could ask
        sys.exit(f"process {parent} has ended")


def _serve_and_exit(importer: int, *, port: int, folder: str, backend: str, log: str) -> NoReturn:
    try:
        os.setsid()
        die_with(importer, signal.SIGKILL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        nothing, printed = (
            os.open(os.devnull, os.O_RDONLY),
            os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND),
        )
        for source, stream in ((nothing, 0), (printed, 1), (printed, 2)):
            os.dup2(source, stream)
        os.chdir(folder)
        _serve(port, str(Path(folder) / "artifacts"), backend)
    except BaseException:  # noqa: BLE001 - a forked process must not go on in the loop of its parent
        traceback.print_exc()
    finally:
        os._exit(1)


def _serve(port: int, artifacts: str, backend: str) -> None:
    """As `ame.local.serve` does it, on any database."""
    import uvicorn
    from mlflow.server import constants
    from mlflow.server.fastapi_app import app
    from mlflow.server.handlers import initialize_backend_stores

    os.environ |= {
        constants.BACKEND_STORE_URI_ENV_VAR: backend,
        constants.REGISTRY_STORE_URI_ENV_VAR: backend,
        constants.ARTIFACT_ROOT_ENV_VAR: "mlflow-artifacts:/",
        constants.ARTIFACTS_DESTINATION_ENV_VAR: artifacts,
        constants.SERVE_ARTIFACTS_ENV_VAR: "true",
    }
    initialize_backend_stores(backend, backend, "mlflow-artifacts:/")
    config = uvicorn.Config(app, log_level="warning", timeout_keep_alive=30)
    uvicorn.Server(config).run(sockets=[_port_of(port)])


if __name__ == "__main__":
    _fork_servers()
