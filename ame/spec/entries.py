"""The keys of a mapping, the text of a scalar, and what to say when something else stands there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeGuard

import yaml

from ame.spec.nodes import is_null
from ame.spec.problems import Problems, cut, listed, shown

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

    A null counts as an empty mapping. Duplicates, keys that are no text, and tags are problems; what has a
    tag is read as if it had none, so that what is wrong below it is told, too.
    """
    if is_null(node):
        return iter(())
    if not isinstance(node, yaml.MappingNode):
        wrong_kind(problems, node, owner, "a mapping")
        return iter(())
    if node.tag not in _MAPPING_TAGS:
        _tagged_mapping(problems, node, owner)
    own: dict[str, Entry] = {}
    merged: list[yaml.Node] = []
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            what = f"a key of {owner} must be a text, but here stands {_described(key)}."
            problems.add("AME-E112", key, what)
            continue
        if key.tag not in _TEXT_TAGS:
            _tag_before_key(problems, key, key.tag, key.value)
        word = key.value
        if word == _MERGE and not key.style:
            merged.append(value)
        elif word in own:
            line = own[word].key.start_mark.line + 1
            problems.add("AME-E108", key, f"{owner} has {shown(word)} twice; the first is in line {line}.")
        else:
            own[word] = Entry(key, value)
    for value in merged:
        for word, entry in _merged(problems, value, owner):
            own.setdefault(word, entry)
    return iter(own.items())


def _merged(problems: Problems, value: yaml.Node, owner: str) -> Iterator[tuple[str, Entry]]:
    """The keys of what stands at a `<<`: a mapping, or a list of them of which the first one wins."""
    for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
        if isinstance(source, yaml.MappingNode):
            yield from mapping_entries(problems, source, owner)
        else:
            wrong_kind(problems, source, f"what '<<' merges into {owner}", "a mapping")


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
            fix="Put the value in quotes if a text is meant." if isinstance(node, yaml.ScalarNode) else "",
        )
        return
    problems.add("AME-E112", node, f"{name} must be {wanted}, but here stands {_described(node)}.", fix=fix)


def _described(node: yaml.Node) -> str:
    if is_null(node):
        return "nothing"
    if node.tag not in _TEXT_TAGS | _MAPPING_TAGS | _LIST_TAGS:
        kind = "mapping" if isinstance(node, yaml.MappingNode) else "list"
        kind = "value" if isinstance(node, yaml.ScalarNode) else kind
        return f"a {kind} tagged {shown(_short(node.tag))}"
    if isinstance(node, yaml.ScalarNode):
        return f"the text {shown(node.value)}"
    if isinstance(node, yaml.SequenceNode):
        return f"a list of {len(node.value)}"
    keys = _keys(node)
    return f"a mapping with the keys {shown(listed(keys))}" if keys else "an empty mapping"


def _tagged_mapping(problems: Problems, node: yaml.MappingNode, owner: str) -> None:
    if not node.tag.startswith("!"):
        wrong_kind(problems, node, owner, "a mapping", "Leave the tag out.")
    elif "executor" in _keys(node):
        _tag_before_key(problems, node, node.tag, "executor")
    else:
        wrong_kind(problems, node, owner, "a mapping")


def _tag_before_key(problems: Problems, node: yaml.Node, tag: str, key: str) -> None:
    """As AME's own documentation has it: `!pip`, and `executor:` on the next line."""
    what = f"the tag {shown(_short(tag))} stands before the key {shown(key)}."
    form = f"{cut(key)}: {cut(tag)}" if tag.startswith("!") else "executor: !pip {command: python train.py}"
    fix = f"A tag belongs after the key, before its value: `{form}`."
    problems.add("AME-E130", node, what, fix=fix)


def _short(tag: str) -> str:
    """As it is written: !!set for tag:yaml.org,2002:set."""
    return "!!" + tag.removeprefix(_STANDARD) if tag.startswith(_STANDARD) else tag


def _keys(node: yaml.Node) -> list[str]:
    return [str(key.value) for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
