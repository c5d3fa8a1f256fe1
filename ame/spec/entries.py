"""The keys of a mapping, the text of a scalar, and what to say when something else stands there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeGuard

import yaml

from ame.spec.nodes import is_null
from ame.spec.problems import Problems, listed, shown

__all__ = ["Entry", "is_list", "mapping_entries", "text_of", "wrong_kind"]

_STANDARD = "tag:yaml.org,2002:"
_TEXT_TAGS = {"", *(_STANDARD + kind for kind in ("str", "int", "float", "bool", "null"))}
_MAPPING_TAGS = {"", _STANDARD + "map"}
_LIST_TAGS = {"", _STANDARD + "seq"}
_MERGE = "<<"


class Entry(NamedTuple):
    """A key and its value."""

    key: yaml.ScalarNode
    value: yaml.Node


def mapping_entries(problems: Problems, node: yaml.Node, owner: str) -> Iterator[tuple[str, Entry]]:
    """The keys of a mapping in the file's order, with what `<<` merges in; an own key wins over it.

    A null counts as an empty mapping. Duplicates, and keys that are no plain text, are problems.
    """
    if is_null(node):
        return iter(())
    if not isinstance(node, yaml.MappingNode) or node.tag not in _MAPPING_TAGS:
        wrong_kind(problems, node, owner, "a mapping")
        return iter(())
    own: dict[str, Entry] = {}
    merged: list[yaml.Node] = []
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag not in _TEXT_TAGS:
            _bad_key(problems, key, owner)
            continue
        word = key.value
        if word == _MERGE and not key.style:
            merged.append(value)
        elif word in own:
            line = own[word].key.start_mark.line + 1
            problems.add("AME-E108", key, f"{owner} has {shown(word)} twice; the first is in line {line}.")
        else:
            own[word] = Entry(key, value)
    for value in merged:
        sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
        for source in sources:
            if not isinstance(source, yaml.MappingNode):
                wrong_kind(problems, source, f"what '<<' merges into {owner}", "a mapping")
                continue
            for word, entry in mapping_entries(problems, source, owner):
                own.setdefault(word, entry)
    return iter(own.items())


def text_of(problems: Problems, node: yaml.Node, name: str) -> str | None:
    """A scalar's text; a problem and None for anything else, or when nothing stands there."""
    if isinstance(node, yaml.ScalarNode) and node.tag in _TEXT_TAGS and not is_null(node):
        return str(node.value)
    wrong_kind(problems, node, name, "a text or number")
    return None


def is_list(node: yaml.Node) -> TypeGuard[yaml.SequenceNode]:
    """A list without a tag of its own."""
    return isinstance(node, yaml.SequenceNode) and node.tag in _LIST_TAGS


def wrong_kind(problems: Problems, node: yaml.Node, name: str, wanted: str, fix: str = "") -> None:
    """The problem that another kind of node stands where `wanted` is wanted; shows both."""
    if node.tag and not node.tag.startswith(_STANDARD):
        problems.add(
            "AME-E130",
            node,
            f"{name} has the tag {shown(node.tag)}, which has no meaning here.",
            why="Only executors and secrets have tags, such as !pip.",
        )
        return
    problems.add("AME-E112", node, f"{name} must be {wanted}, but here stands {_described(node)}.", fix=fix)


def _described(node: yaml.Node) -> str:
    if is_null(node):
        return "nothing"
    tag = node.tag.removeprefix(_STANDARD)
    if isinstance(node, yaml.ScalarNode):
        return f"a value tagged !!{tag}" if tag else f"the text {shown(node.value)}"
    if isinstance(node, yaml.SequenceNode):
        return f"a list of {len(node.value)}"
    keys = [str(key.value) for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
    return f"a mapping with the keys {shown(listed(keys))}" if keys else "an empty mapping"


def _bad_key(problems: Problems, key: yaml.Node, owner: str) -> None:
    if isinstance(key, yaml.ScalarNode):
        problems.add(
            "AME-E130",
            key,
            f"the tag {shown(key.tag)} stands before the key {shown(str(key.value))}.",
            fix="A tag belongs after the key, before its value: `executor: !pip {command: python train.py}`.",
        )
    else:
        problems.add("AME-E112", key, f"a key of {owner} must be a text, but here stands {_described(key)}.")
