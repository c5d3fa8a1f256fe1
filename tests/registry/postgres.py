"""A PostgreSQL for tests: a real one, that a test may kill and start again.

with Postgres(folder) as postgres, MlflowServer(folder, postgres.database("mlflow")) as server:
    ...
"""

from __future__ import annotations

import contextlib
import functools
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import psutil

from tests.registry.servers import ENVIRON, ROOT, Server, die_with

__all__ = ["NO_POSTGRES", "Postgres", "postgres_programs"]

NO_POSTGRES = "no PostgreSQL is installed (Debian, Ubuntu: apt install postgresql)"
_DEBIANS = Path("/usr/lib/postgresql")


class Postgres(Server):
    """A PostgreSQL on a Unix socket, without fsync: its data outlive a kill of its processes, not of the machine.

    Attributes:
        log: what it prints.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "postgres.log")
        programs = postgres_programs()
        assert programs, NO_POSTGRES
        self._programs = programs
        self._user = _unprivileged()
        # Not below pytest's folder: only its owner may enter that, and the path of a socket must be short.
        self._home = Path(tempfile.mkdtemp(prefix="postgres-"))
        if self._user:
            os.chown(self._home, self._user.pw_uid, self._user.pw_gid)

    def __enter__(self) -> Self:
        try:
            self._initialise()
            self.start()
            self.wait_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process and self.lives:
            self._process.send_signal(signal.SIGQUIT)  # its immediate shutdown, which leaves no shared memory
            with contextlib.suppress(psutil.TimeoutExpired):
                self._process.wait(10)
        self.kill()
        shutil.rmtree(self._home, ignore_errors=True)

    def database(self, name: str) -> str:
        """Make a database; returns its address, as SQLAlchemy takes it."""
        from psycopg import sql

        with self._connect() as connection:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        return f"postgresql+psycopg://ame@/{name}?host={self._home}"

    @property
    def _data(self) -> Path:
        return self._home / "data"

    def _initialise(self) -> None:
        settled = ["--username=ame", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        command = [self._programs / "initdb", f"--pgdata={self._data}", *settled]
        assert self._spawn(command).wait(120) == 0, self.log.read_text()[-4000:]

    def _started(self) -> psutil.Process:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": self._home,
            "fsync": "off",
            "full_page_writes": "off",
            "dynamic_shared_memory_type": "mmap",  # nothing in /dev/shm that a kill leaves there
            "shared_buffers": "16MB",
            "max_connections": "60",
            "jit": "off",
        }
        told = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return self._spawn([self._programs / "postgres", "-D", self._data, *told])

    def _spawn(self, command: Sequence[object]) -> psutil.Popen:
        user = self._user.pw_name if self._user else ""
        bound = [sys.executable, "-m", __name__, str(os.getpid()), user, *map(str, command)]
        with self.log.open("ab") as log:
            return (
                _starter()
                .submit(
                    psutil.Popen,
                    bound,
                    cwd=ROOT,
                    env=ENVIRON,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
                .result()
            )

    def _connect(self) -> Any:
        import psycopg

        return psycopg.connect(
            host=str(self._home), port=5432, user="ame", dbname="postgres", autocommit=True, connect_timeout=5
        )

    def _answers(self) -> bool:
        import psycopg

        with contextlib.suppress(psycopg.OperationalError), self._connect():
            return True
        return False


def postgres_programs() -> Path | None:
    """The folder of `postgres` and `initdb`: on the PATH, or the newest where Debian puts them."""
    debians = sorted(_DEBIANS.glob("*/bin"), key=lambda path: float(path.parent.name))
    on_path = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    for folder in [*on_path, *reversed(debians)]:
        if all(os.access(folder / name, os.X_OK) for name in ("postgres", "initdb")):
            return folder
    return None


def _unprivileged() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root: the user that it gets then."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise AssertionError("root, and neither a user 'postgres' nor 'nobody'")


@functools.cache
def _starter() -> ThreadPoolExecutor:
    """The thread that starts: Linux tells a child of the death of a thread, and this one lives as long as we."""
    return ThreadPoolExecutor(1, thread_name_prefix="starter")


def main(arguments: list[str]) -> None:
    """Become a program that ends when the tests do: `PARENT USER PROGRAM ARGUMENTS`; no user: stay who we are."""
    parent, user, program, *options = arguments
    if user:
        found = pwd.getpwnam(user)
        os.setgroups([])
        os.setgid(found.pw_gid)
        os.setuid(found.pw_uid)
    # After the change of user, which forgets it. PostgreSQL takes SIGQUIT as: end at once.
    die_with(int(parent), signal.SIGQUIT)
    os.chdir("/")
    os.execv(program, [program, *options])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
