"""Commands that end well, badly, late, or not by themselves; and what they leave running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Timer

import pytest

from ame.runtime import Ended, command, run_command

pytestmark = pytest.mark.usefixtures("leaves_no_process")


@pytest.fixture
def run(folder: Path) -> Callable[..., tuple[Ended, list[str]]]:
    def call(line: str | list[str], **options: object) -> tuple[Ended, list[str]]:
        lines: list[str] = []
        options = {"env": os.environ, "on_line": lines.append, **options}
        return run_command(line, folder=folder, **options), lines  # type: ignore[arg-type]

    return call


Run = Callable[..., tuple[Ended, list[str]]]


def test_output_and_errors_come_in_order(run: Run) -> None:
    ended, lines = run("echo one; echo two >&2; echo three")
    assert (ended, lines) == (Ended(0, ("one", "two", "three")), ["one", "two", "three"])


def test_a_list_is_taken_word_by_word(run: Run) -> None:
    assert run(["printf", "%s\n", "$HOME; exit 3", "", "a b"])[1] == ["$HOME; exit 3", "", "a b"]


def test_the_command_starts_in_its_folder_with_its_variables_and_no_input(run: Run, folder: Path) -> None:
    _, lines = run(
        "pwd; echo $ONLY; cat; read x || echo no input", env={"ONLY": "this", "PATH": os.environ["PATH"]}
    )
    assert lines == [str(folder), "this", "no input"]


@pytest.mark.parametrize(
    ("line", "code"),
    [("exit 3", 3), ("kill -9 $$", -9), ("nonesuch-program", 127), ("'", 2)],
)
def test_codes(run: Run, line: str, code: int) -> None:
    assert run(line)[0].code == code


def test_a_program_that_is_not_there_is_code_127_in_a_list_too(run: Run) -> None:
    assert run(["nonesuch-program", "x"])[0].code == 127


def test_of_large_output_the_end_is_kept_and_everything_is_told(run: Run) -> None:
    ended, lines = run("seq 200000")
    assert (len(lines), lines[-1]) == (200_000, "200000")
    assert ended.last_lines == tuple(str(number) for number in range(199_981, 200_001))


def test_background_children_end_with_the_command(run: Run) -> None:
    started = time.monotonic()
    ended, lines = run("sleep 100 & sleep 100 & echo started")
    assert (ended.code, lines) == (0, ["started"])
    assert time.monotonic() - started < 2


def test_a_child_that_left_the_group_and_keeps_the_pipe_does_not_hold_us(run: Run) -> None:
    started = time.monotonic()
    _, lines = run("setsid sleep 100 & echo $!; sleep 0.3")
    assert time.monotonic() - started < 2
    os.kill(int(lines[0]), signal.SIGKILL)


def test_a_child_that_left_the_group_and_prints_is_not_heard_for_ever(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_GRACE_SECONDS", 0.5)
    _, lines = run("setsid sh -c 'while echo more; do sleep 0.01; done' & sleep 0.3")
    told = len(lines)
    time.sleep(0.2)
    assert 0 < told == len(lines)


def test_a_timeout_ends_it(run: Run) -> None:
    started = time.monotonic()
    ended, lines = run("echo one; sleep 100 & sleep 100", timeout=0.5)
    assert (ended.timed_out, ended.code, lines) == (True, -signal.SIGTERM, ["one"])
    assert 0.5 <= time.monotonic() - started < 3


def test_what_it_says_on_its_way_out_is_heard(run: Run) -> None:
    ended, lines = run("trap 'echo saved; exit 0' TERM; sleep 100 & wait", timeout=0.5)
    assert (ended.timed_out, ended.code, lines) == (True, 0, ["saved"])


def test_one_that_ignores_the_signal_is_killed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_GRACE_SECONDS", 0.5)
    ended, _ = run("trap '' TERM; while :; do sleep 1; done", timeout=0.3)
    assert (ended.timed_out, ended.code) == (True, -signal.SIGKILL)


def test_it_can_be_stopped(run: Run) -> None:
    stop = Event()
    Timer(0.3, stop.set).start()
    ended, _ = run("sleep 100", stop=stop)
    assert (ended.timed_out, ended.code) == (False, -signal.SIGTERM)


def test_an_error_while_a_line_is_told_ends_the_command_and_comes_out(run: Run) -> None:
    def refuse(line: str) -> None:
        raise LookupError(line)

    with pytest.raises(LookupError, match="one"):
        run("echo one; sleep 100", on_line=refuse)


def test_a_killed_process_starts_no_command_that_its_lease_does_not_name(
    folder: Path, until: Callable[..., None]
) -> None:
    """The command waits at a gate until it is named; here the kill comes before that."""
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from ame.local.lease import Lease, holding; from ame.runtime import run_command\n"
        "Lease.add_process_group = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "with holding(Path('leases')):\n"
        "    run_command('touch started', folder=Path(), env=os.environ, on_line=print)"
    )
    killed = subprocess.run([sys.executable, "-c", script], cwd=folder, check=False)
    time.sleep(0.3)
    assert killed.returncode == -signal.SIGKILL
    assert not (folder / "started").exists()


def test_a_full_disk_starts_no_command(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def add_process_group(self, _: int) -> None:
            raise OSError(28, "No space left on device")

        def remove_process_group(self, _: int) -> None:
            pass

    monkeypatch.setattr(command, "current_lease", Full)
    with pytest.raises(OSError, match="No space left"):
        run("touch started")
    assert not (folder / "started").exists()


def test_a_command_ends_with_the_process_that_runs_it(
    folder: Path, until: Callable[..., None], lives: Callable[[int], bool]
) -> None:
    code = (
        "import os; from pathlib import Path; from ame.runtime import run_command; "
        "run_command('echo $$ > main; sleep 600 & echo $! > child; wait', "
        "folder=Path('.'), env=os.environ, on_line=print)"
    )
    runner = subprocess.Popen([sys.executable, "-c", code], cwd=folder)
    child = folder / "child"
    until(lambda: child.exists() and child.read_text().strip())
    pids = [int((folder / name).read_text()) for name in ("main", "child")]
    assert all(map(lives, pids))
    runner.kill()
    runner.wait()
    until(lambda: not any(map(lives, pids)), 5)


def test_a_command_may_wait_for_all_its_children(run: Run) -> None:
    code = "import os\ntry:\n    os.wait()\nexcept ChildProcessError:\n    print('it has none')"
    assert run([sys.executable, "-c", code]) == (Ended(0, ("it has none",)), ["it has none"])
