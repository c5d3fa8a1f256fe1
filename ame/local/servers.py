"""The servers that a command works against: the user's own ones, or the home's embedded ones."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypedDict

from ame.diagnosis import Diagnosis, Refused
from ame.local.home import Home
from ame.local.lease import file_lock, holding, is_locked

__all__ = ["Servers", "failure_of", "running_servers", "serving"]

_THIS_MACHINE = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Servers:
    """Addresses.

    Attributes:
        prefect: the Prefect API, with its `/api`.
        mlflow: the MLflow server.
        embedded: the names of those that the home's keeper runs.
    """

    prefect: str
    mlflow: str
    embedded: frozenset[str]

    @property
    def prefect_ui(self) -> str:
        return os.environ.get("PREFECT_UI_URL") or self.prefect.removesuffix("/api")


@contextlib.contextmanager
def serving(home: Home, *, progress: Callable[[str], None] = lambda _: None) -> Iterator[Servers]:
    """Hold the home's servers up for as long as the block runs; starts those that do not run yet.

    A Prefect API in PREFECT_API_URL and an MLflow server in MLFLOW_TRACKING_URI win over embedded ones.

    Raises:
        Refused: AME-E601 to AME-E604, when there is no server to work against.
    """
    home.prepare()
    own = _users_own()
    embedded = frozenset({"prefect", "mlflow"} - own.keys())
    with contextlib.ExitStack() as stack:
        # A keeper leaves while it holds this lock, so that nobody comes in to servers that are ending.
        with home.writing(), file_lock(home.start_lock):
            stack.enter_context(holding(home.leases))
            _see_off_failed_keeper(home)
            # With the user's own servers there is still what this command starts, to be ended after a kill.
            if not is_locked(home.keeper_lock):
                _start_keeper(home, embedded)
        urls = own | (_wait(home, embedded, progress) if embedded else {})
        _go_past_proxies()
        yield Servers(urls["prefect"], urls["mlflow"], embedded)


def failure_of(home: Home) -> str | None:
    """Why the home's embedded servers do not work any more; None while nothing is known against them."""
    told = _told(home)
    if told is None or (not told["error"] and is_locked(home.keeper_lock)):
        return None
    return told["error"] or "the keeper of the servers was ended"


def running_servers(home: Home) -> dict[str, str]:
    """The addresses of the home's embedded servers, by name; empty when none is up."""
    told = _told(home) if is_locked(home.keeper_lock) else None
    if not told or not told["ready"]:
        return {}
    _go_past_proxies()
    return _with_api(told["urls"])


def _go_past_proxies() -> None:
    """Let this process's clients, and the commands that it starts, reach this machine without a proxy."""
    for name in ("NO_PROXY", "no_proxy"):
        hosts = [host for host in os.environ.get(name, "").split(",") if host.strip()]
        if "*" not in hosts and _THIS_MACHINE not in hosts:
            os.environ[name] = ",".join([*hosts, _THIS_MACHINE])


def _users_own() -> dict[str, str]:
    own = {}
    prefect = os.environ.get("PREFECT_API_URL")
    if prefect:
        own["prefect"] = prefect.rstrip("/")
    mlflow = os.environ.get("MLFLOW_TRACKING_URI")
    if mlflow:
        if not mlflow.startswith(("http://", "https://")):
            raise Refused(
                Diagnosis(
                    code="AME-E602",
                    what="MLFLOW_TRACKING_URI does not name an HTTP server.",
                    why="Training code brings its own MLflow, of any version, and cannot share a database "
                    "or a folder with ours; over HTTP every version can.",
                    fix="Unset it to use the embedded server, or name an http:// or https:// address.",
                )
            )
        own["mlflow"] = mlflow.rstrip("/")
    return own


def _see_off_failed_keeper(home: Home) -> None:
    """Wait for a keeper whose servers have failed to be gone: it takes seconds to end what is left."""
    while is_locked(home.keeper_lock) and (told := _told(home)) and told["error"]:
        time.sleep(0.05)


def _start_keeper(home: Home, names: frozenset[str]) -> None:
    home.addresses.unlink(missing_ok=True)
    with (home.logs / "keeper.log").open("wb") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-P", "-m", "ame.local", str(home.root), *sorted(names)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=home.root,
        )
    # It outlives this command; should it not, it is not left as a zombie.
    threading.Thread(target=keeper.wait, name="keeper", daemon=True).start()
    while not is_locked(home.keeper_lock):
        if keeper.poll() is not None:
            raise Refused(_no_servers(home, f"the keeper ended with code {keeper.returncode}"))
        time.sleep(0.02)


def _wait(home: Home, names: frozenset[str], progress: Callable[[str], None]) -> dict[str, str]:
    started, said = time.monotonic(), False
    while True:
        told = _told(home)
        if told and told["error"]:
            raise Refused(_no_servers(home, told["error"]))
        if told and told["ready"]:
            break
        if not is_locked(home.keeper_lock) and not _told(home):
            raise Refused(_no_servers(home, "the keeper was ended"))
        if not said:
            progress(f"starting the servers of {home.root} (about 10 s) ...")
            said = True
        time.sleep(0.1)
    if said:
        progress(f"servers are up after {time.monotonic() - started:.1f} s")
    missing = names - told["urls"].keys()
    if missing:
        raise Refused(
            Diagnosis(
                code="AME-E604",
                what=f"the servers that run for {home.root} lack {', '.join(sorted(missing))}.",
                why="They were started by a command that had its own address for it in the environment.",
                fix="End the other ame commands of this project, or give this one the same environment.",
            )
        )
    return _with_api({name: told["urls"][name] for name in names})


class _Told(TypedDict):
    ready: bool
    error: str | None
    urls: dict[str, str]


def _told(home: Home) -> _Told | None:
    with contextlib.suppress(FileNotFoundError):
        told: _Told = json.loads(home.addresses.read_text())
        return told
    return None


def _with_api(urls: dict[str, str]) -> dict[str, str]:
    return {name: f"{url}/api" if name == "prefect" else url for name, url in urls.items()}


def _no_servers(home: Home, error: str) -> Diagnosis:
    return Diagnosis(
        code="AME-E603",
        what="the embedded servers could not be started.",
        why=f"{error[0].upper()}{error[1:]}.",
        fix=f"Read the logs in {home.logs}; if a database there is damaged, move {home.root} away.",
    )
