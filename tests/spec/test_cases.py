"""Small files and every word that is said about each: `cases/*.txt`.

A case is a title, the text of an ame.yml, `>>>`, and the diagnoses, one a line: those it is refused
with, else its warnings. After a deliberate change, `WRITE_CASES=1 pytest tests/spec/test_cases.py`
writes what is said now; read the difference before committing it.
"""

import os
from pathlib import Path
from typing import NamedTuple

import pytest

from ame.diagnosis import Refused
from ame.spec import nodes

FOLDER = Path(__file__).parent / "cases"


class Case(NamedTuple):
    title: str
    text: str
    said: str


def cases(file: Path) -> list[Case]:
    found = []
    for block in file.read_text().removeprefix("### ").split("\n### "):
        title, _, rest = block.partition("\n")
        text, _, said = rest.partition(">>>\n")
        found.append(Case(title, text, said.strip("\n")))
    return found


def what_is_said(load, text: str) -> str:
    try:
        diagnoses = load(text).warnings
    except Refused as error:
        diagnoses = error.diagnoses
    return "\n".join(str(diagnosis) for diagnosis in diagnoses)


def every_case() -> list[object]:
    files = sorted(FOLDER.glob("*.txt"))
    return [pytest.param(case, id=f"{file.stem}: {case.title}") for file in files for case in cases(file)]


if "WRITE_CASES" in os.environ:

    @pytest.mark.parametrize("file", sorted(FOLDER.glob("*.txt")), ids=lambda file: file.stem)
    def test_write_cases(load, file):
        said = [(case, what_is_said(load, case.text)) for case in cases(file)]
        blocks = [f"### {case.title}\n{case.text}>>>\n{text}" for case, text in said]
        file.write_text("\n\n".join(block.strip("\n") for block in blocks) + "\n")

else:

    @pytest.mark.parametrize("case", every_case())
    def test_what_is_said_about_a_file(load, case):
        assert what_is_said(load, case.text) == case.said

    @pytest.mark.parametrize("case", cases(FOLDER / "broken.txt"), ids=lambda case: case.title)
    def test_pyyaml_without_libyaml_gives_the_same_words(load, monkeypatch, case):
        monkeypatch.setattr(nodes, "_Loader", nodes._PythonLoader)

        assert what_is_said(load, case.text) == case.said
