"""Real MLflow servers, on SQLite as on a laptop and on PostgreSQL as in a team."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.registry.postgres import NO_POSTGRES, Postgres, postgres_programs
from tests.registry.servers import MlflowServer


@pytest.fixture(scope="package")
def sqlite_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    folder = tmp_path_factory.mktemp("mlflow-on-sqlite")
    with MlflowServer(folder, f"sqlite:///{folder}/mlflow.db") as server:
        yield server


@pytest.fixture(scope="package")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    if postgres_programs() is None:
        pytest.skip(NO_POSTGRES)
    with Postgres(tmp_path_factory.mktemp("postgres")) as running:
        yield running


@pytest.fixture(scope="package")
def postgres_server(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    folder = tmp_path_factory.mktemp("mlflow-on-postgres")
    with MlflowServer(folder, postgres.database("mlflow")) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> MlflowServer:
    """A server that is up, whatever the test before has killed: each test that asks for it runs on both."""
    if request.param == "postgres":
        database: Postgres = request.getfixturevalue("postgres")
        database.start()
        database.wait_ready()
    found: MlflowServer = request.getfixturevalue(f"{request.param}_server")
    found.start()
    found.wait_ready()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return found
