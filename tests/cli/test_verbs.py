"""What each verb prints and how it exits, without a server."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ame.cli import cli
from ame.diagnosis import Refused
from ame.spec import load_project
from ame.spec.schema import json_schema

AME = Path(sys.executable).with_name("ame")


def ame(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def test_help_and_validate_import_neither_prefect_nor_mlflow(tmp_path: Path) -> None:
    (tmp_path / "ame.yml").write_text("name: small\n")
    for arguments in (["--help"], ["validate", str(tmp_path)], ["schema"], ["run", "--help"]):
        script = (
            "import sys\nfrom ame.cli import cli\n"
            f"try:\n    cli({arguments!r})\nexcept SystemExit:\n    pass\n"
            "heavy = {'prefect', 'mlflow', 'numpy', 'pyarrow', 'pandas'} & set(sys.modules)\n"
            "assert not heavy, heavy\n"
        )
        subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL, timeout=60)


def test_a_broken_file_is_a_diagnosis_and_exit_1_for_every_verb(tmp_path: Path) -> None:
    file = tmp_path / "ame.yml"
    file.write_text("name: small\ncolour: red\n")
    expected = (
        f"AME-E109 {file}:2:1 the project has the unknown key 'colour'. "
        "Known keys: dataSets, enableTriggers, models, name, projects, tasks, templates."
    )
    for arguments in (["validate"], ["run"], ["run", "--json"], ["status"], ["why", "m", "1"], ["ui"]):
        ended = subprocess.run(
            [AME, *arguments, "-p", tmp_path], capture_output=True, text=True, timeout=60, check=False
        )
        assert ended.returncode == 1, arguments
        if "--json" in arguments:
            (diagnosis,) = json.loads(ended.stdout)["diagnoses"]
            assert (diagnosis["code"], diagnosis["line"]) == ("AME-E109", 2)
        else:
            assert ended.stdout == "", arguments
        assert ended.stderr.strip() == expected, arguments


def test_validate_as_json_lists_every_problem_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "ame.yml").write_text(
        "name: small\ncolour: red\nmodels: [{name: m, training: {task: gone}}]\n"
    )
    result = ame("validate", tmp_path, "--json")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["valid"]) == (1, False)
    assert [(found["line"], found["column"]) for found in told["diagnoses"]] == [(2, 1), (3, 37)]


def test_the_schema_is_printed_as_json_that_one_can_read() -> None:
    result = ame("schema")

    assert (result.exit_code, json.loads(result.stdout)) == (0, json_schema())
    assert result.stdout.startswith('{\n  "$schema": "https://json-schema.org/draft/2020-12/schema",\n')


def test_usage_errors_exit_with_2(tmp_path: Path) -> None:
    (tmp_path / "ame.yml").write_text("name: small\n")
    assert ame("frobnicate").exit_code == 2
    assert ame("run", "-p", tmp_path, "--env", "no value").exit_code == 2
    assert ame("why", "m").exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["run"], "AME-E706"), (["run", "mm"], "AME-E707"), (["why", "m", "1"], "AME-E708")],
)
def test_what_cannot_be_done_is_refused_before_any_server_starts(
    tmp_path: Path, arguments: list[str], code: str
) -> None:
    (tmp_path / "ame.yml").write_text(
        "name: small\ntasks:\n  - {name: m, executor: !custom {command: 'true'}}\n"
        "  - {name: n, executor: !custom {command: 'true'}}\n"
    )
    result = ame(*arguments, "-p", tmp_path)
    assert isinstance(result.exception, Refused)
    assert result.exception.diagnoses[0].code == code
    assert not (tmp_path / ".ame").exists()


def test_a_value_for_a_variable_that_no_task_declares_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ame.yml").write_text(
        "name: small\ntasks:\n  - {name: t, executor: !custom {command: 'true'}, env: [{key: TREES, val: '3'}]}\n"
    )
    result = ame("run", "-p", tmp_path, "--env", "TREE=4")
    assert str(result.exception) == (
        "AME-E710 no task of project 'small' declares the variable TREE. A value can be given to declared "
        "ones: TREES. Did you mean 'TREES'?"
    )


def test_status_before_the_first_run_is_empty_and_no_error(tmp_path: Path) -> None:
    (tmp_path / "ame.yml").write_text("name: small\nmodels: [{name: m, promotion: {strategy: never}}]\n")
    told = json.loads(ame("status", "-p", tmp_path, "--json").stdout)
    empty = {"name": "m", "champion": None, "challenger": None, "undecided": [], "lastDecision": None}
    assert told == {"project": "small", "models": [empty]}


def test_init_makes_a_valid_project_named_after_its_folder_and_overwrites_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "my first project"
    assert ame("init", folder).exit_code == 0
    project = load_project(folder)
    assert (project.name, project.warnings) == ("my-first-project", ())
    before = {file: file.read_bytes() for file in folder.iterdir()}
    result = ame("init", folder)
    assert str(result.exception) == (
        f"AME-E709 {folder} already holds ame.yml, data.py, requirements.txt, train.py; nothing was written. "
        "Name another folder: `ame init FOLDER`."
    )
    assert {file: file.read_bytes() for file in folder.iterdir()} == before


def test_validate_points_at_migrate_where_the_file_is_older(tmp_path: Path) -> None:
    hint = "`ame migrate` shows this file in today's words.\n"
    file = tmp_path / "ame.yml"
    file.write_text("projectid: small\n")
    assert ame("validate", tmp_path).stderr.endswith(hint)
    file.write_text("name: small\n")
    assert ame("validate", tmp_path).stderr == ""
