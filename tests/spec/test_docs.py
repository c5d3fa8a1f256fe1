"""What the documentation shows is valid, and what the code can say is documented."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(
    r"^```yaml\n(.*?)^```$", (ROOT / "docs/ame-file.md").read_text(), re.DOTALL | re.MULTILINE
)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.partition("\n")[0])
def test_every_file_of_the_reference_is_valid(load, block):
    project = load(block)

    assert bool(project.warnings) == block.startswith("# older")


def test_every_code_of_the_file_is_documented_and_no_other():
    code = re.compile(r"AME-[EW]1\d\d")
    sources = "".join(file.read_text() for file in (ROOT / "ame/spec").glob("*.py"))
    documented = re.findall(r"^\| (AME-[EW]1\d\d) \|", (ROOT / "docs/diagnoses.md").read_text(), re.MULTILINE)

    assert sorted(documented) == sorted(set(code.findall(sources)))
