"""One value of a sound file is exchanged for one that fits nowhere: that is told, once, and nothing else."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from ame.diagnosis import Refused
from ame.spec import words
from ame.spec.grammar import shapes_below
from ame.spec.nodes import read_document
from ame.spec.problems import Problems
from tests.spec.documents import document
from tests.spec.slips import CORPUS

#: What these keys hold is no business of ours: it has no effect, or only Kubernetes knows.
FREE = {"affinity", *(word for shape in shapes_below(words.PROJECT) for word in shape.idle)}
#: Others refer to these by what is written here.
NAMES = {"name", "project", "projectid", "projectname", "projectName", "taskname"}
SOUND = 60


def sound(load) -> Iterator[bytes]:
    """Files of the corpus, and some by the grammar, that are read."""
    chance = random.Random(1)  # noqa: S311  # not a secret
    for raw in (*CORPUS, *(document(chance) for _ in range(SOUND))):
        try:
            load(raw)
        except Refused:
            continue
        if b"\r" not in raw:
            yield raw


def values(node: yaml.Node, key: str = "") -> Iterator[yaml.ScalarNode]:
    """The scalars below a node that are what keys hold."""
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value not in FREE:
                yield from values(value, str(name.value))
    elif isinstance(node, yaml.SequenceNode):
        for each in node.value:
            yield from values(each, key)
    elif key not in NAMES and node.start_mark.index < node.end_mark.index:
        yield node


@pytest.mark.parametrize("wrong", ["[{}]", "[[]]"])
def test_a_wrong_value_is_told_once(load, refusals, wrong):
    tried = 0
    for raw in sound(load):
        text = raw.decode("utf-8-sig")
        for node in values(read_document(Path("ame.yml"), Problems("ame.yml"))):
            tried += 1
            changed = f"{text[: node.start_mark.index]}{wrong} {text[node.end_mark.index :]}"
            said = refusals(changed)
            assert len(said) == 1, changed
            place = f"ame.yml:{node.start_mark.line + 1}:"
            assert said[0].split(" ")[1].startswith(place), changed
    assert tried > 500
