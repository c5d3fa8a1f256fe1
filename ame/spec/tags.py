"""Reading a mapping whose tag says its kind: `!pip {...}`, `{pip: {...}}`, or the mapping alone."""

from __future__ import annotations

from typing import NamedTuple

import yaml

from ame.spec.entries import wrong_kind
from ame.spec.grammar import Tagged
from ame.spec.nodes import is_null
from ame.spec.problems import Problems, shown

__all__ = ["Labelled", "read_tagged"]


class Labelled(NamedTuple):
    """A mapping without its tag, and the kind that the tag said; None when there was none."""

    kind: str | None
    node: yaml.Node


def read_tagged(problems: Problems, node: yaml.Node, tags: Tagged, title: str, form: str) -> Labelled | None:
    """What stands at a node; None, with a problem, for what is neither tagged nor a mapping.

    Args:
        title: what it is, for diagnoses: "the executor of task 'a'".
        form: the sentence that says how to write it.
    """
    if isinstance(node, yaml.MappingNode) and not node.tag.startswith("!"):
        return _without_tag(problems, node, tags)
    if not node.tag.startswith("!"):
        wrong_kind(problems, node, title, "a mapping with a tag", form)
        return None
    kind = _kind(tags, node.tag[1:])
    if kind is None:
        known = [f"!{kind}" for kind in tags.kinds]
        what = f"{title} has the unknown tag {shown(node.tag)}."
        why = f"Known tags: {', '.join(known)}."
        problems.add("AME-E131", node, what, why, problems.near(node.tag, known))
        return None
    _tell_of_spelling(problems, node, node.tag, f"!{kind}")
    bare = isinstance(node, yaml.ScalarNode) and not node.value
    if not bare and not isinstance(node, yaml.MappingNode):
        what = f"{title} must be a mapping, which does not stand after its tag."
        problems.add("AME-E112", node, what, fix=form)
        return None
    return Labelled(kind, yaml.MappingNode("", [] if bare else node.value, node.start_mark, node.end_mark))


def _without_tag(problems: Problems, node: yaml.MappingNode, tags: Tagged) -> Labelled:
    """`{pip: {...}}`, which is how Kubernetes objects of AME write it, or a mapping that says no kind."""
    if len(node.value) == 1:
        key, value = node.value[0]
        kind = _kind(tags, key.value) if isinstance(key, yaml.ScalarNode) else None
        if kind and (is_null(value) or isinstance(value, yaml.MappingNode)):
            _tell_of_spelling(problems, key, key.value, kind)
            return Labelled(kind, value)
    return Labelled(None, node)


def _kind(tags: Tagged, word: str) -> str | None:
    word = word.lower()
    return word if word in tags.kinds else tags.older.get(word)


def _tell_of_spelling(problems: Problems, node: yaml.Node, word: str, today: str) -> None:
    if word != today:
        problems.add("AME-W101", node, f"{shown(word)} is an older spelling.", fix=f"Write {shown(today)}.")
