"""What the documentation shows is valid, and what the code can say is documented."""

import json
import re
from pathlib import Path

import pytest

from ame.spec import words

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/ame-file.md").read_text()
EDITORS = (ROOT / "docs/editors.md").read_text()
BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.partition("\n")[0])
def test_every_file_of_the_reference_is_valid(load, block):
    project = load(block)

    assert bool(project.warnings) == block.startswith("# older")


def test_every_executor_is_told():
    table = re.search(r"^### Executors\n(.*?)^<!--", PAGE, re.DOTALL | re.MULTILINE)

    assert re.findall(r"^\| `!(\w+)` \|", table[1], re.MULTILINE) == [*words.EXECUTORS.kinds]


def test_editors_are_told_of_every_tag():
    settings = re.search(r"^```json\n(.*?customTags.*?)^```$", EDITORS, re.DOTALL | re.MULTILINE)
    tags = {tag.split()[0] for tag in json.loads(settings[1])["yaml.customTags"]}

    assert tags == {f"!{kind}" for kind in (*words.EXECUTORS.kinds, *words.SECRETS.kinds)}


def test_every_code_of_the_file_is_documented_and_no_other():
    code = re.compile(r"AME-[EW]1\d\d")
    sources = "".join(file.read_text() for file in (ROOT / "ame/spec").glob("*.py"))
    documented = re.findall(r"^\| (AME-[EW]1\d\d) \|", (ROOT / "docs/diagnoses.md").read_text(), re.MULTILINE)

    assert sorted(documented) == sorted(set(code.findall(sources)))
