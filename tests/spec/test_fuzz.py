"""Whatever a file says: a project or a refusal with codes, never another exception.

Seeded, so that a failure is the same everywhere. `AME_FUZZ=100000 pytest tests/spec/test_fuzz.py` looks
longer and elsewhere.
"""

import copy
import os
import random
from pathlib import Path

import pytest
import yaml

from ame.diagnosis import Refused
from ame.spec import nodes

CASES = Path(__file__).parent / "cases"
TEXTS = [
    block.partition("\n")[2].partition(">>>\n")[0]
    for file in sorted(CASES.glob("*.txt"))
    for block in file.read_text().split("\n### ")
]
# What YAML and the language give a meaning to, and what is none of their business.
PIECES = [
    *"\n:-?,[]{}#&*!|>'\"%@` ~\t\0\x85\u2028\ufeffä𝄞",
    *(
        "null",
        "<<: *a\n",
        "&a ",
        "*a",
        "!pip ",
        "!!binary ",
        "!!set ",
        "- ",
        "  ",
        ": ",
        "---\n",
        "...\n",
        "{}",
        "[]",
    ),
    *(
        "''",
        "0",
        "-1",
        "1e309",
        "1e-999",
        "9" * 50,
        "99999999Ei",
        ".inf",
        "x" * 300,
        "../",
        "* * * * *",
        "Europe/",
    ),
    *("name", "taskRef", "fromTemplate", "executor", "command", "env", "abTest", "data", "x.", "a.b.c"),
]
ROUNDS = int(os.environ.get("AME_FUZZ", "800"))
SEED = ROUNDS


def mutated(chance: random.Random, text: str) -> str:
    """The text with one to four cuts, doublings, exchanges or insertions."""
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(text) + 1)
        end = min(len(text), start + chance.choice([0, 0, 1, 3, 10, 40]))
        lines = text.split("\n")
        kind = chance.randrange(5)
        if kind == 0:
            text = text[:start] + text[end:]
        elif kind == 1:
            text = text[:start] + chance.choice(PIECES) + text[end:]
        elif kind == 2:
            text = text[:end] + text[start:]
        elif kind == 3:
            chance.shuffle(lines)
            text = "\n".join(lines)
        else:
            other = chance.choice(TEXTS).split("\n")
            place = chance.randrange(len(lines))
            lines[place:place] = chance.sample(other, min(2, len(other)))
            text = "\n".join(lines)
    return text


def graphs() -> list[yaml.Node]:
    """The cases that are YAML, as node graphs."""
    found = []
    for text in TEXTS:
        try:
            found.append(yaml.compose(text, Loader=yaml.SafeLoader))
        except yaml.YAMLError:
            continue
    return [graph for graph in found if graph is not None]


def nodes_below(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.ScalarNode):
        return [node]
    children = node.value if isinstance(node, yaml.SequenceNode) else [n for pair in node.value for n in pair]
    return [node, *(below for child in children for below in nodes_below(child))]


def transplanted(chance: random.Random, graphs: list[yaml.Node]) -> str:
    """A case in which up to three nodes are replaced by nodes of other cases, or get another tag."""
    graph = copy.deepcopy(chance.choice(graphs))
    for _ in range(chance.randint(1, 3)):
        place = chance.choice(nodes_below(graph))
        if chance.random() < 0.2:
            place.tag = chance.choice(["!pip", "!poetry", "!x", "tag:yaml.org,2002:binary"])
        else:
            donor = copy.deepcopy(chance.choice(nodes_below(chance.choice(graphs))))
            place.__class__ = donor.__class__
            place.__dict__ = donor.__dict__
    return yaml.serialize(graph, Dumper=yaml.SafeDumper)


def diagnosed(load, raw: bytes) -> None:
    try:
        said = load(raw).warnings
    except Refused as refused:
        said = refused.diagnoses or (None,)
    except Exception as error:
        raise AssertionError(f"{type(error).__name__} for {raw!r}") from error
    assert all(d and d.code[:6] in {"AME-E1", "AME-W1"} and d.what and d.where for d in said), raw


@pytest.mark.parametrize("parser", ["_Loader", "_PythonLoader"])
def test_a_text_with_slips_is_read_or_refused(load, monkeypatch, parser):
    monkeypatch.setattr(nodes, "_Loader", getattr(nodes, parser))
    chance = random.Random(SEED)  # noqa: S311  # not a secret
    for _ in range(ROUNDS):
        raw = mutated(chance, chance.choice(TEXTS)).encode()
        if chance.random() < 0.05:
            raw = raw[: len(raw) // 2] + bytes([chance.randrange(256)]) + raw[len(raw) // 2 :]
        diagnosed(load, raw)


def test_parts_in_the_wrong_places_are_read_or_refused(load):
    chance = random.Random(SEED)  # noqa: S311  # not a secret
    sources = graphs()
    for _ in range(ROUNDS):
        diagnosed(load, transplanted(chance, sources).encode())
