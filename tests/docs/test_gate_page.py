"""What docs/gate.md shows is what happens: its Python and its commands are run, and must print what it says."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from ame.cli import cli

PAGE = (Path(__file__).parents[2] / "docs/gate.md").read_text()


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder in which the page's example has run, and what it printed."""
    (code,) = blocks("python")
    folder = tmp_path_factory.mktemp("example")
    ran = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    return folder, ran.stdout


def test_the_example_prints_what_the_page_says(example: tuple[Path, str]) -> None:
    assert blocks("text")[0] == example[1]


@pytest.mark.parametrize("block", blocks("console"), ids=lambda block: block[2:30])
def test_commands_print_what_the_page_says(
    block: str, example: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(example[0])
    command, _, shown = block.replace("\\\n", " ").partition("\n")
    call = shlex.split(command.removeprefix("$ "))

    printed = CliRunner().invoke(cli, call[1:])

    assert call[0] == "ame"
    assert printed.exit_code == 0, printed.output
    assert printed.stdout == shown
