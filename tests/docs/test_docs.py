"""What the words around the product promise is there: codes, files, commands, targets, flows and links."""

import ast
import re
import shlex
from pathlib import Path

import click
import pytest

from ame.cli import cli
from ame.spec import load_project

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
SOURCES = [file for room in ("ame", "blocks", "flows") for file in sorted((ROOT / room).rglob("*.py"))]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def files_shown() -> list[object]:
    """Whole AME files in the pages; those of the reference are tried by tests/spec."""
    pages = [page for page in PAGES if page.name != "ame-file.md"]
    return [
        pytest.param(block, id=f"{name_of(page)}: {block.partition(chr(10))[0]}")
        for page in pages
        for block in re.findall(r"^```yaml\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
        if re.search(r"^name:", block, re.MULTILINE)
    ]


def commands_shown(page: Path, program: str) -> list[str]:
    """Calls of a program in code spans and in indented lines, without prompt and comment."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    spans = re.findall(r"`([^`\n]+)`", text)
    lines = [line.partition(" # ")[0] for line in re.findall(r"^    (?:\$ )?(.*)$", text, re.MULTILINE)]
    calls = [call.strip().removeprefix(".venv/bin/") for code in spans + lines for call in code.split("&&")]
    return [call for call in calls if re.match(rf"{program} [^-]", call)]


def every_command(program: str) -> list[object]:
    return [
        pytest.param(call, id=f"{name_of(page)}: {call}")
        for page in PAGES
        for call in dict.fromkeys(commands_shown(page, program))
    ]


def links(page: Path) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", page.read_text())


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings get when it is rendered."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_code_is_listed_once_in_its_section_and_no_other():
    said = {
        node.value
        for file in SOURCES
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"AME-[EW]\d{3}", node.value)
    }
    listed = []
    for section in re.split(r"^## ", (ROOT / "docs/diagnoses.md").read_text(), flags=re.MULTILINE)[1:]:
        hundred = re.search(r"\(AME-E(\d)xx", section)
        assert hundred, section.partition("\n")[0]
        codes = re.findall(r"^\| (AME-[EW]\d{3}) \|", section, re.MULTILINE)
        assert [code for code in codes if code[5] != hundred[1]] == []
        listed += codes

    assert sorted(listed) == sorted(said)


@pytest.mark.parametrize("text", files_shown())
def test_every_file_shown_is_valid(tmp_path, text):
    (tmp_path / "ame.yml").write_text(text)

    assert load_project(tmp_path).warnings == ()


def test_the_readme_explains_the_file_of_the_demo():
    comment = re.compile(r"(^|\s)\s*#.*$")
    file = (ROOT / "examples/flight-delays/ame.yml").read_text()
    uncommented = [comment.sub("", line) for line in file.splitlines() if not line.lstrip().startswith("#")]

    assert "```yaml\n" + "\n".join(uncommented) + "\n```" in README.read_text()


@pytest.mark.parametrize("call", every_command("ame"))
def test_every_command_shown_exists_with_its_options(tmp_path, monkeypatch, call):
    for folder in ("examples/flight-delays", "FOLDER"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    verb, *arguments = shlex.split(call)[1:]
    context = click.Context(cli)
    command = cli.get_command(context, verb)
    assert command is not None, f"there is no command {verb}"

    try:
        command.make_context(verb, arguments, parent=context)
    except click.MissingParameter:
        assert not arguments, f"{call} is not whole"  # a mere mention of the command is no call


def test_the_readme_shows_every_command():
    shown = {shlex.split(call)[1] for call in commands_shown(README, "ame")}

    assert shown >= set(cli.list_commands(click.Context(cli)))


@pytest.mark.parametrize("call", every_command("make"))
def test_every_target_shown_exists(call):
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert shlex.split(call)[1] in targets


def test_the_readme_names_every_flow_as_prefect_shows_it():
    flows = [
        name
        for file in SOURCES
        for name in re.findall(r'^@flow\(\s*name="([^"]+)"', file.read_text(), re.MULTILINE)
    ]
    named = re.findall(
        r"^\| `([a-z-]+)` \| (?:train|deliver|compare|run|produce|watch) ", README.read_text(), re.MULTILINE
    )

    assert sorted(named) == sorted(flows)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page):
    broken = []
    for link in links(page):
        file, _, anchor = link.partition("#")
        if link.startswith("https://"):
            continue
        target = page.parent / file if file else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)

    assert broken == []
