"""What a file of an older release becomes, and that it stays the same project and the same text elsewhere.

`cases.txt` has files before and after; after a deliberate change, `WRITE_CASES=1 pytest tests/migrate` writes
what comes out now. `AME_FUZZ=10000 pytest tests/migrate` looks longer for files that go wrong.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import random
import re
import sys
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from ame.diagnosis import Refused
from ame.migrate import migrate, syntax, walk
from ame.migrate.commands import EXECUTOR_WORDS
from ame.spec import load_text
from ame.spec.grammar import shapes_below
from ame.spec.words import PROJECT

ROOT = Path(__file__).parents[2]
CASES = Path(__file__).with_name("cases.txt")
FILE = Path("/projects/x/ame.yml")
ROUNDS = int(os.environ.get("AME_FUZZ", "150"))
PLACES = {"where", "places", "warnings"}


class Case(NamedTuple):
    title: str
    before: str
    after: str


def cases() -> list[Case]:
    found = []
    for block in CASES.read_text().removeprefix("### ").split("\n### "):
        title, _, rest = block.partition("\n")
        before, _, after = rest.partition(">>>\n")
        before = before.rstrip("\n") + "\n"
        found.append(Case(title, before, after.rstrip("\n") + "\n" if after else before))
    return found


def corpus() -> list[object]:
    """Every file that the tests of the language, the documentation and the examples have and that loads."""
    texts = {
        f"{file.stem}: {block.partition(chr(10))[0]}": block.partition("\n")[2].partition(">>>\n")[0]
        for file in sorted((ROOT / "tests/spec/cases").glob("*.txt"))
        for block in file.read_text().removeprefix("### ").split("\n### ")
    }
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        blocks = re.findall(r"^```yaml\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
        texts |= {f"{page.name} {place}": block for place, block in enumerate(blocks)}
    texts |= {str(file.relative_to(ROOT)): file.read_text() for file in ROOT.glob("examples/*/ame.yml")}
    return [pytest.param(text, id=name) for name, text in texts.items() if loads(text)]


def loads(text: str) -> bool:
    try:
        load_text(text, FILE)
    except Refused:
        return False
    return True


def meaning(value: object) -> object:
    """A project as plain data, without the places in the file, and with every `auto` as `custom`."""
    if isinstance(value, dict):
        return {
            key: "custom" if (key, each) == ("kind", "auto") else meaning(each)
            for key, each in value.items()
            if key not in PLACES
        }
    return [meaning(each) for each in value] if isinstance(value, list | tuple) else value


def comments(text: str) -> list[str]:
    tree = syntax.parse(text)
    return sorted(tree.comments(0, len(text)))


def older(warnings) -> list[str]:
    """Warnings of what is older, or of a key that never has an effect."""
    idle = {reason for shape in shapes_below(PROJECT) for reason in shape.idle.values()}
    idle |= {"It is empty.", "The model has no 'training'.", "Every model is a registered model of MLflow."}
    return [
        str(each)
        for each in warnings
        if each.code in {"AME-W101", "AME-W102"}
        or (each.code == "AME-W104" and (each.why in idle or "'projectid'" in each.what))
    ]


def check(before: str) -> str:
    """The text that comes out, which keeps every promise."""
    project = load_text(before, FILE)
    after = migrate(before, FILE, auto="custom").text
    again = load_text(after, FILE)

    assert meaning(asdict(again)) == meaning(asdict(project))
    assert older(again.warnings) == []
    assert migrate(after, FILE, auto="pip").text == after
    assert comments(after) == comments(before)
    assert ("\r\n" in before) == ("\r\n" in after)
    assert "\r\n" not in before or after.count("\n") == after.count("\r\n")
    return after


if "WRITE_CASES" in os.environ:

    def test_write_cases():
        blocks = []
        for title, before, _ in cases():
            after = migrate(before, FILE, auto="custom").text
            blocks.append(f"### {title}\n{before}" + (f">>>\n{after}" if after != before else ""))
        CASES.write_text("\n".join(block.rstrip("\n") + "\n" for block in blocks))

else:

    @pytest.mark.parametrize("case", cases(), ids=lambda case: case.title)
    def test_what_a_file_becomes(case):
        if loads(case.before):
            assert check(case.before) == case.after
        assert migrate(case.before, FILE, auto="custom").text == case.after


@pytest.mark.parametrize("text", corpus())
def test_every_file_that_loads_is_the_same_project_in_todays_words(text):
    after = check(text)

    # `{pip: {...}}` and `ame: {...}` are no older forms, and become tags all the same.
    tags_as_keys = re.search(r"(executor: \{|- )[\"']?(pip|poetry|mlflow|custom|ame|vault)[\"']?:", text)
    assert (after == text) == (not older(load_text(text, FILE).warnings) and not tags_as_keys)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("case", cases(), ids=lambda case: case.title)
def test_the_ends_of_lines_stay(case, newline):
    before, after = (text.replace("\n", newline) for text in case[1:])

    assert migrate(before, FILE, auto="custom").text == after
    cut_off = migrate(before.removesuffix(newline), FILE, auto="custom").text
    assert cut_off.removesuffix(newline) == after.removesuffix(newline)


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_files_in_any_mixture_of_dialects(seed):
    text, written = dialects().dialect(seed)

    assert comments(text) == sorted(written)
    check(text)


def test_a_text_with_a_slip_is_migrated_or_refused():
    chance = random.Random(ROUNDS)  # noqa: S311  # not a secret
    texts = [case.before for case in cases()]
    for _ in range(2 * ROUNDS):
        lines = chance.choice(texts).split("\n")
        place = chance.randrange(len(lines))
        slips = [["# a"], [""], [f"{lines[place]} # b"], [f"{lines[place]} &c"], [f" {lines[place]}"], []]
        lines[place : place + 1] = chance.choice(slips)
        with contextlib.suppress(Refused):
            check("\n".join(lines))


def test_both_parsers_give_the_same_places(monkeypatch):
    monkeypatch.setattr(syntax, "_LOADER", yaml.SafeLoader)
    python = [described(case.before) for case in cases() if loads(case.before)]
    monkeypatch.undo()

    assert python == [described(case.before) for case in cases() if loads(case.before)]


def described(text: str) -> str:
    def lines(node):
        said = (
            node.kind,
            node.start,
            node.body,
            node.end,
            node.place,
            node.tag,
            node.anchor,
            node.style,
            node.flow,
        )
        below = [*node.items, *(each for pair in node.pairs for each in pair)]
        return [said, *(line for each in below for line in lines(each))]

    return str(lines(syntax.parse(text).root))


def test_a_command_without_a_kind_gets_that_of_the_folder():
    text = "name: x\ntasks: [{name: a, command: c}]\n"

    assert "!pip {command: c}" in migrate(text, FILE, auto="pip").text
    assert "!custom {command: c}" in migrate(text, FILE, auto="custom").text


def test_the_page_shows_what_becomes_of_its_older_file():
    page = (ROOT / "docs/ame-file.md").read_text().partition("## Older spellings")[2]
    *_, before, after = re.findall(
        r"^```yaml\n(.*?)^```$", page.partition("\n## ")[0], re.DOTALL | re.MULTILINE
    )

    assert migrate(before.partition("\n")[2], FILE, auto="custom").text == after


def test_every_dated_word_of_the_grammar_has_a_word_of_today():
    dated = {(shape.name, word) for shape in shapes_below(PROJECT) for word in shape.dated}
    known = {*walk.DATED, ("project", "recurring_tasks"), *(("task", word) for word in EXECUTOR_WORDS)}

    assert {("task" if name == "step" else name, word) for name, word in dated} == known


def dialects():
    """The module beside this one: the tests are no package."""
    if "dialects" not in sys.modules:
        spec = importlib.util.spec_from_file_location("dialects", Path(__file__).with_name("dialects.py"))
        sys.modules["dialects"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["dialects"])
    return sys.modules["dialects"]
