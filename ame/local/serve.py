"""One embedded server as one process: `python -m ame.local.serve prefect|mlflow HOME FD PORT KEEPER`.

The socket is bound by the caller and inherited, so that the port is known before anything is imported
and cannot be taken by another. MLflow's own command line would start a parent that imports everything
a second time (262 MB, 8 s of CPU); its application runs here directly.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
import warnings
from pathlib import Path
from typing import Any

from ame.local.home import Home

__all__ = ["main"]

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    name, root, descriptor, port, keeper = arguments
    _die_with(int(keeper))
    home = Home(Path(root))
    app = _prefect(home, int(port)) if name == "prefect" else _mlflow(home)

    import uvicorn

    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2, timeout_keep_alive=30)
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(descriptor))])


def _die_with(keeper: int) -> None:
    """Ask Linux for a SIGKILL when the keeper dies; elsewhere the next start cleans up."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # It may have died while this process came up, before it could ask.
    if os.getppid() != keeper:
        sys.exit(f"the keeper {keeper} has ended")


def _prefect(home: Home, port: int) -> Any:
    api = f"http://127.0.0.1:{port}/api"
    # PREFECT_* of the user's shell configures the user's own server, not this one.
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        del os.environ[name]
    os.environ |= {
        "PREFECT_HOME": str(home.prefect),
        "PREFECT_API_URL": api,
        "PREFECT_UI_API_URL": api,
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    from prefect.server.api.server import create_app

    return create_app(final=True)


def _mlflow(home: Home) -> Any:
    database = f"sqlite:///{home.registry_database}"
    for name in [name for name in os.environ if name.startswith(("MLFLOW_", "_MLFLOW_"))]:
        del os.environ[name]
    os.environ |= {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_WORKSPACES": "false",
        "MLFLOW_LOGGING_LEVEL": "WARNING",
        # Its job runner would be eight more processes, for features that are not used here.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    warnings.filterwarnings("ignore", message=r"starlette\.middleware\.wsgi is deprecated")
    from mlflow.server import constants
    from mlflow.server.handlers import initialize_backend_stores

    os.environ |= {
        constants.BACKEND_STORE_URI_ENV_VAR: database,
        constants.REGISTRY_STORE_URI_ENV_VAR: database,
        constants.ARTIFACT_ROOT_ENV_VAR: "mlflow-artifacts:/",
        constants.ARTIFACTS_DESTINATION_ENV_VAR: str(home.artifacts),
        constants.SERVE_ARTIFACTS_ENV_VAR: "true",
    }
    initialize_backend_stores(database, database, "mlflow-artifacts:/")
    from mlflow.server.fastapi_app import app

    return app


if __name__ == "__main__":
    main(sys.argv[1:])
