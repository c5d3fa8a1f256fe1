"""The tables of keys in docs/ame-file.md are those of the grammar, and leave nothing out."""

import importlib.util
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from ame.spec import words
from ame.spec.grammar import Choice, Shape, shapes_below

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "docs/key_tables.py"
PAGE = (ROOT / "docs/ame-file.md").read_text()
SHAPES = shapes_below(words.PROJECT)


@pytest.fixture(scope="module")
def key_tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location("key_tables", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["key_tables"] = module
    spec.loader.exec_module(module)
    return module


def section(heading: str) -> str:
    """What stands under a heading of the page, up to the next one."""
    found = re.search(rf"^#+ {heading}\n(.*?)(?=^#+ |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def code(text: str) -> set[str]:
    """The words in a text's code spans."""
    return {word for span in re.findall(r"`([^`]+)`", text) for word in re.findall(r"[\w./-]+", span)}


def test_the_tables_are_fresh(key_tables):
    assert key_tables.fresh(PAGE) == PAGE, "python docs/key_tables.py"


def test_the_check_is_green_for_a_fresh_page():
    ended = subprocess.run([sys.executable, SCRIPT, "--check"], check=False, capture_output=True, text=True)

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_each_key_of_a_shape_with_a_table_stands_in_it_once(key_tables):
    shown: dict[str, list[str]] = {}
    for table in key_tables.tables(PAGE):
        for shape in table.shapes:
            shown.setdefault(shape.name, []).extend(table.keys)
    shared = {each.name for table in key_tables.tables(PAGE) for each in table.shapes[1:]}
    by_name = {shape.name: shape for shape in SHAPES}

    assert "project" in shown  # every other shape is reached from here, inline or by its own table
    for name, keys in shown.items():
        known = set(by_name[name].keys)
        assert Counter(keys) == Counter(set(keys)), name
        assert set(keys) >= known if name in shared else set(keys) == known, name


def test_a_changed_default_makes_the_page_stale(key_tables):
    stale = PAGE.replace("| `retries` | whole number | `0` |", "| `retries` | whole number | `1` |")

    assert stale != PAGE
    assert key_tables.fresh(stale) == PAGE


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_every_older_spelling_is_told_with_todays(shape: Shape):
    told = section("Older spellings")
    rows = [
        (code(old), code(new) | set(new.split()))
        for old, new in re.findall(r"^\|.*?\| (.*) \| (.*) \|$", told, re.MULTILINE)
    ]

    for older, meant in shape.older.items():
        assert any(older in old and meant in new for old, new in rows), older
    for older in (*shape.dated, *shape.idle):
        assert any(older in old for old, _ in rows), older


def test_every_word_that_is_not_carried_out_is_told():
    told = code(section("Words that this release does not carry out"))
    types = [(word, key.type) for shape in SHAPES for word, key in shape.keys.items()]
    withheld = {
        *(word for shape in SHAPES for word in shape.withheld),
        *(value for _, kind in types if isinstance(kind, Choice) for value in kind.withheld),
    }

    assert withheld
    assert sorted(withheld - told) == []
