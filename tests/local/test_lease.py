"""Leases and locks, with owners in other processes that are killed for real."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from ame.local import file_lock, living_leases
from ame.local.lease import Lease, end_process_group, holding, is_locked, locked_file, sweep_leases

pytestmark = pytest.mark.usefixtures("leaves_no_process")

#: Holds a lease that names one process group, tells the leader's id, and sleeps.
OWNER = """
import subprocess, sys, time
from pathlib import Path
from ame.local.lease import Lease
lease = Lease(Path(sys.argv[1]))
child = subprocess.Popen(["sh", "-c", "sleep 100 & sleep 100"], start_new_session=True)
lease.add_process_group(child.pid)
print(child.pid, flush=True)
time.sleep(100)
"""


@pytest.fixture
def owner(tmp_path: Path) -> tuple[subprocess.Popen[str], int]:
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout as told:
        return process, int(told.readline())


def kill(process: subprocess.Popen[str]) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "100"], start_new_session=True)


def test_what_a_killed_owner_left_is_ended(
    tmp_path: Path,
    owner: tuple[subprocess.Popen[str], int],
    until: Callable[..., None],
    lives: Callable[[int], bool],
) -> None:
    process, leader = owner
    assert sweep_leases(tmp_path) == living_leases(tmp_path) == 1
    assert psutil.Process(leader).is_running()

    kill(process)
    assert living_leases(tmp_path) == 0
    assert sweep_leases(tmp_path) == 0
    assert list(tmp_path.iterdir()) == []
    until(lambda: not lives(leader))


def test_looking_at_a_lease_hides_it_from_nobody(tmp_path: Path) -> None:
    (tmp_path / "dead.lease").touch()
    (tmp_path / "living.lease").touch()
    with (tmp_path / "dead.lease").open() as looked_at, file_lock(tmp_path / "living.lease"):
        import fcntl

        fcntl.flock(looked_at, fcntl.LOCK_SH)
        assert living_leases(tmp_path) == 1


def test_a_lease_ends_with_its_block(tmp_path: Path) -> None:
    with holding(tmp_path):
        assert living_leases(tmp_path) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_group_that_has_ended_is_forgotten(tmp_path: Path) -> None:
    child = sleeper()
    lease = Lease(tmp_path)
    lease.add_process_group(child.pid)
    lease.remove_process_group(child.pid)
    path = lease.path.rename(tmp_path / "copy")
    lease.close()

    path.rename(tmp_path / "dead.lease")
    assert sweep_leases(tmp_path) == 0
    assert child.poll() is None
    child.kill()
    child.wait()


def test_a_line_that_was_cut_short_loses_no_other(tmp_path: Path) -> None:
    named, cut = sleeper(), sleeper()
    born = [psutil.Process(child.pid).create_time() for child in (named, cut)]
    text = f"+ {named.pid} {born[0]}\n+ {cut.pid} {born[1]}"
    (tmp_path / "dead.lease").write_text(text)

    assert sweep_leases(tmp_path) == 0
    assert named.wait(5) == -signal.SIGKILL
    assert cut.poll() is None
    cut.kill()
    cut.wait()


def test_a_younger_process_with_the_same_id_is_left_alone() -> None:
    child = sleeper()

    end_process_group(child.pid, psutil.Process(child.pid).create_time() - 60)
    assert child.poll() is None
    end_process_group(child.pid, psutil.Process(child.pid).create_time())
    assert child.wait(5) == -signal.SIGKILL


def test_a_group_is_ended_though_its_leader_is_gone(
    until: Callable[..., None], lives: Callable[[int], bool]
) -> None:
    leader = subprocess.Popen(
        ["sh", "-c", "sleep 100 & echo $!"], start_new_session=True, stdout=subprocess.PIPE
    )
    born = psutil.Process(leader.pid).create_time()
    assert leader.stdout is not None
    with leader.stdout as told:
        child = int(told.readline())
    leader.wait()

    end_process_group(leader.pid, born)
    until(lambda: not lives(child))


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    lock = tmp_path / "made" / "lock"
    assert not is_locked(lock)
    with file_lock(lock) as mine, file_lock(lock, wait=False) as too:
        assert (mine, too, is_locked(lock)) == (True, False, True)
    assert not is_locked(lock)


def test_an_error_under_a_lock_is_not_taken_for_a_taken_lock(tmp_path: Path) -> None:
    with pytest.raises(BlockingIOError, match="mine"), file_lock(tmp_path / "lock", wait=False):
        raise BlockingIOError("mine")


def test_a_child_that_inherits_a_lock_holds_it(tmp_path: Path) -> None:
    with locked_file(tmp_path / "lock") as lock:
        child = subprocess.Popen(["sleep", "100"], pass_fds=[lock])
    assert is_locked(tmp_path / "lock")
    child.kill()
    child.wait()
    assert not is_locked(tmp_path / "lock")


def test_children_do_not_keep_a_lease_alive(tmp_path: Path) -> None:
    with holding(tmp_path):
        child = sleeper()
    with holding(tmp_path) as second:
        second.path.rename(tmp_path / "again.lease")
        assert living_leases(tmp_path) == 1
    assert sweep_leases(tmp_path) == 0
    child.kill()
    child.wait()
