"""The servers of the other tests, and what MLflow promises on both databases: the product is built on it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from tests.registry import postgres as postgres_module
from tests.registry.postgres import NO_POSTGRES, Postgres, postgres_programs
from tests.registry.servers import ROOT, MlflowServer

THREADS = 8
ROUNDS = 40


@pytest.fixture
def client(server: MlflowServer) -> MlflowClient:
    return MlflowClient(server.uri, server.uri)


@pytest.fixture
def run(client: MlflowClient, request: pytest.FixtureRequest) -> str:
    experiment = client.create_experiment(request.node.name)
    return str(client.create_run(experiment).info.run_id)


def race(call: Callable[[str], Any]) -> tuple[list[str], list[MlflowException]]:
    """Make the call from all threads at the same moment, each with its own word.

    Returns: the words of those that succeeded, and what the others were told.
    """
    gate = threading.Barrier(THREADS)

    def take_part(word: str) -> MlflowException | None:
        gate.wait(30)
        try:
            call(word)
        except MlflowException as refused:
            return refused
        return None

    words = [f"of thread {number}" for number in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as pool:
        told = dict(zip(words, pool.map(take_part, words), strict=True))
    return [word for word in words if not told[word]], [each for each in told.values() if each]


def test_a_server_answers_and_proxies_artifacts(client: MlflowClient, run: str, tmp_path: Path) -> None:
    client.log_text(run, "three", "notes/numbers.txt")
    assert client.get_run(run).info.artifact_uri.startswith("mlflow-artifacts:/")
    assert Path(client.download_artifacts(run, "notes/numbers.txt", str(tmp_path))).read_text() == "three"


def test_a_killed_server_refuses_and_comes_back_at_its_address_with_its_data(
    server: MlflowServer, client: MlflowClient, run: str
) -> None:
    client.log_param(run, "kept", "yes")
    before, uri = psutil.Process(server.pid), server.uri
    server.kill()
    assert not before.is_running()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.uri}/health", trust_env=False)
    server.restart()
    assert server.uri == uri
    assert server.pid != before.pid
    assert client.get_run(run).data.params == {"kept": "yes"}


def test_a_restart_in_a_thread_that_ends_lasts(server: MlflowServer, client: MlflowClient) -> None:
    thread = threading.Thread(target=server.restart)
    thread.start()
    thread.join()
    assert server.lives
    assert client.get_experiment_by_name("Default")


def test_a_server_outlives_the_kill_of_its_database(
    postgres: Postgres, postgres_server: MlflowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    client = MlflowClient(postgres_server.uri, postgres_server.uri)
    made = client.create_experiment("before the kill")
    family = [psutil.Process(postgres.pid), *psutil.Process(postgres.pid).children()]
    postgres.kill()
    assert not [each for each in family if each.is_running()]
    postgres.restart()
    assert client.get_experiment(made).name == "before the kill"
    assert client.create_experiment("after it") != made
    assert postgres_server.lives


def test_servers_end_with_the_tests_however_those_end(
    tmp_path: Path, until: Callable[..., None], lives: Callable[[int], bool]
) -> None:
    if postgres_programs() is None:
        pytest.skip(NO_POSTGRES)
    script = """
        import sys, time
        from pathlib import Path
        from tests.registry import servers
        from tests.registry.postgres import Postgres
        folder = Path(sys.argv[1])
        with Postgres(folder) as postgres:
            server = servers.MlflowServer(folder, f"sqlite:///{folder}/mlflow.db")
            server.start()
            print(server.pid, servers._importer().pid, postgres.pid, postgres._home, flush=True)
            time.sleep(100)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as tests:
        assert tests.stdout
        *pids, home = tests.stdout.readline().split()
        assert all(lives(int(pid)) for pid in pids)
        tests.kill()
    until(lambda: not [pid for pid in pids if lives(int(pid))])
    # Nobody was left to remove it.
    shutil.rmtree(home)


def test_no_postgres_is_said_with_the_package_that_has_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert NO_POSTGRES == "no PostgreSQL is installed (Debian, Ubuntu: apt install postgresql)"
    for name in ("postgres", "initdb"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"/nowhere:{tmp_path}")
    assert postgres_programs() == tmp_path
    (tmp_path / "initdb").unlink()
    monkeypatch.setattr(postgres_module, "_DEBIANS", tmp_path / "none")
    assert postgres_programs() is None


def test_of_many_values_of_a_param_one_wins_and_the_others_are_told(client: MlflowClient, run: str) -> None:
    for number in range(ROUNDS):
        key = f"decision-{number}"
        (winner,), losers = race(partial(client.log_param, run, key))
        assert client.get_run(run).data.params[key] == winner
        assert len(losers) == THREADS - 1
        for refused in losers:
            assert refused.error_code == "INVALID_PARAMETER_VALUE"
            assert (
                f"Changing param values is not allowed. Param with key='{key}' was already logged with "
                f"value='{winner}' for run ID='{run}'." in str(refused)
            )
        client.log_param(run, key, winner)  # the same again: no refusal
    assert len(client.get_run(run).data.params) == ROUNDS


def test_a_param_is_write_once_when_the_run_has_ended(client: MlflowClient, run: str) -> None:
    client.log_param(run, "before", "1")
    client.set_terminated(run, "FINISHED")
    client.log_param(run, "before", "1")
    with pytest.raises(MlflowException, match="Changing param values is not allowed"):
        client.log_param(run, "before", "2")
    (winner,), losers = race(partial(client.log_param, run, "after"))
    assert len(losers) == THREADS - 1
    assert all("Changing param values is not allowed." in str(each) for each in losers)
    ended = client.get_run(run)
    assert ended.data.params == {"before": "1", "after": winner}
    assert ended.info.status == "FINISHED"


def test_the_same_value_from_all_at_once_is_refused_to_none(client: MlflowClient, run: str) -> None:
    def log(_: str) -> None:
        client.log_param(run, "same", "1")

    won, losers = race(log)
    assert len(won) == THREADS
    assert losers == []


def test_an_experiment_is_created_by_one_and_is_never_seen_without_its_tags(client: MlflowClient) -> None:
    def create(name: str, maker: str) -> None:
        client.create_experiment(name, tags={"maker": maker, "kind": "journal"})

    def look(name: str, over: threading.Event) -> list[dict[str, str]]:
        seen: list[dict[str, str]] = []
        while not (over.is_set() and seen):
            found = client.get_experiment_by_name(name)
            seen += [found.tags] if found else []
        return seen

    for number in range(10):
        name, over = f"journal-{number}", threading.Event()
        with ThreadPoolExecutor(1) as reader:
            looking = reader.submit(look, name, over)
            try:
                (winner,), losers = race(partial(create, name))
            finally:
                over.set()
            seen = looking.result()
        assert len(losers) == THREADS - 1
        assert {each.error_code for each in losers} == {"RESOURCE_ALREADY_EXISTS"}
        tags = {"maker": winner, "kind": "journal"}
        assert all(each == tags for each in seen), seen
