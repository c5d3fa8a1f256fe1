"""`ame migrate`: what it shows, what it writes, and what it leaves alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ame.cli import cli
from ame.diagnosis import Refused

OLDER = "# mine\nproject: x   # its name\ntasks:\n- {name: a, command: c}\n"
TODAY = "# mine\nname: x   # its name\ntasks:\n- {name: a, executor: !custom {command: c}}\n"
DIFF = """\
--- ame.yml
+++ ame.yml
@@ -1,4 +1,4 @@
 # mine
-project: x   # its name
+name: x   # its name
 tasks:
-- {name: a, command: c}
+- {name: a, executor: !custom {command: c}}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "ame.yml"
    file.write_text(OLDER)
    return file


def migrate(*arguments: object) -> Result:
    result = CliRunner().invoke(cli, ["migrate", *map(str, arguments)])
    if isinstance(result.exception, Refused):
        raise result.exception
    return result


def test_the_changes_are_shown_and_nothing_is_written(file: Path) -> None:
    shown = migrate(file)

    assert (shown.exit_code, shown.stdout) == (0, DIFF)
    assert shown.stderr == "nothing was written; `--write` writes it\n"
    assert file.read_text() == OLDER


def test_what_is_shown_is_a_patch(file: Path) -> None:
    shown = migrate()
    subprocess.run(["git", "apply", "-p0"], input=shown.stdout, text=True, check=True, timeout=60)

    assert file.read_text() == TODAY


def test_a_file_is_written_with_its_mode_and_once(file: Path) -> None:
    file.chmod(0o640)
    written = migrate(file, "--write")

    assert (written.stdout, written.stderr) == (DIFF, "ame.yml is rewritten\n")
    assert (file.read_text(), file.stat().st_mode & 0o777) == (TODAY, 0o640)
    assert list(file.parent.iterdir()) == [file]

    before = file.stat()
    again = migrate(file, "--write")

    assert (again.stdout, again.stderr) == ("", "ame.yml is in today's form: nothing to do\n")
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_the_byte_order_mark_and_the_ends_of_lines_stay(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + OLDER.replace("\n", "\r\n").encode())
    migrate(file, "--write")

    assert file.read_bytes() == b"\xef\xbb\xbf" + TODAY.replace("\n", "\r\n").encode()


def test_the_end_of_a_file_without_a_newline_is_told_as_patch_does(file: Path) -> None:
    file.write_text("project: x")

    assert migrate(file).stdout == (
        "--- ame.yml\n+++ ame.yml\n@@ -1 +1 @@\n-project: x\n\\ No newline at end of file\n"
        "+name: x\n\\ No newline at end of file\n"
    )


def test_requirements_beside_the_file_make_the_executor_pip(file: Path) -> None:
    (file.parent / "requirements.txt").touch()

    assert "+- {name: a, executor: !pip {command: c}}\n" in migrate(file.parent).stdout


def test_as_json(file: Path) -> None:
    shown = json.loads(migrate(file, "--json").stdout)
    written = json.loads(migrate(file, "--json", "--write").stdout)
    again = json.loads(migrate(file, "--json").stdout)

    assert shown == {"file": "ame.yml", "changed": True, "written": False, "diff": DIFF, "diagnoses": []}
    assert written == {**shown, "written": True}
    assert again == {**shown, "changed": False, "diff": ""}


def test_a_file_that_does_not_load_is_left_alone(file: Path) -> None:
    file.write_text(text := "project: x\ncolour: red\n")
    with pytest.raises(Refused, match=r"AME-E109 ame\.yml:2:1"):
        migrate(file, "--write")

    assert file.read_text() == text


def test_a_link_within_the_folder_is_followed(file: Path) -> None:
    real = file.rename(file.with_name("real.yml"))
    file.symlink_to(real.name)
    migrate(file, "--write")

    assert file.is_symlink()
    assert real.read_text() == TODAY


def test_a_link_out_of_the_folder_is_refused(file: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    real = file.rename(tmp_path_factory.mktemp("elsewhere") / "ame.yml")
    file.symlink_to(real)
    with pytest.raises(Refused) as refused:
        migrate(file, "--write")

    assert str(refused.value) == (
        "AME-E732 ame.yml the file is a link to another folder, so that nothing was written. "
        f"It leads to {real}. Name that file."
    )
    assert real.read_text() == OLDER
    assert migrate(file).stdout == DIFF


def test_a_change_by_another_hand_meanwhile_is_not_written_over(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def edited(descriptor: int) -> None:
        fsync(descriptor)
        file.write_text("name: other\n")

    monkeypatch.setattr(os, "fsync", edited)
    with pytest.raises(Refused) as refused:
        migrate(file, "--write")

    assert str(refused.value) == (
        "AME-E733 ame.yml the file was changed by something else just now, so that nothing was written. "
        "Run the command again."
    )
    assert file.read_text() == "name: other\n"
    assert list(file.parent.iterdir()) == [file]


def test_a_file_that_may_not_be_written_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda _, mode: mode != os.W_OK)
    with pytest.raises(Refused, match=r"^AME-E734 ame\.yml the file cannot be written. It is read-only\.$"):
        migrate(file, "--write")

    assert file.read_text() == OLDER


def test_the_program_tells_diagnoses_and_exits_with_1(file: Path) -> None:
    file.write_text("name: x\ntasks:\n  ? a\n  : {executor: !pip {command: c}}\n")
    ame = Path(sys.executable).with_name("ame")
    ended = subprocess.run(
        [ame, "migrate", "--json"], capture_output=True, text=True, timeout=60, check=False
    )

    assert ended.returncode == 1
    assert [found["code"] for found in json.loads(ended.stdout)["diagnoses"]] == ["AME-E730"]
    assert ended.stderr.startswith(
        "AME-E730 ame.yml:2:1 this cannot be rewritten by itself: 'tasks' is a mapping"
    )


def test_what_is_older_in_another_project_stays_there(
    file: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    others = tmp_path_factory.mktemp("others")
    shared = others / "shared/ame.yml"
    shared.parent.mkdir()
    shared.write_text("projectid: shared\ntemplates:\n- {name: t, command: c}\n")
    file.write_text("project: x\ntasks:\n- {name: a, templateRef: shared.t}\n- {name: b, command: c}\n")
    migrate(file, "--write", "--project-path", others)

    assert file.read_text() == (
        "name: x\ntasks:\n- {name: a, fromTemplate: shared.t}\n- {name: b, executor: !custom {command: c}}\n"
    )
    assert migrate(file, "--project-path", others).stdout == ""
    assert shared.read_text().startswith("projectid")
    assert migrate(shared).stdout.count("\n+") == 3


def test_a_project_that_is_referred_to_by_those_that_it_refers_to(file: Path) -> None:
    for name, other in (("x", "y"), ("y", "x")):
        folder = file.parent / name
        folder.mkdir()
        (folder / "ame.yml").write_text(
            f"project: {name}\ntemplates: [{{name: t, resources: {{gpus: 1}}}}]\n"
            f"tasks: [{{name: a, templateRef: {other}.t, command: c}}]\n"
        )
    migrate(file.parent / "x", "--write")
    migrate(file.parent / "y", "--write")

    assert migrate(file.parent / "x").stdout == migrate(file.parent / "y").stdout == ""
    assert "{nvidia.com/gpu: 1}" in (file.parent / "x/ame.yml").read_text()
