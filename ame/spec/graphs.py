"""What YAML's node graphs may not be: endless, larger than a file can mean, or with texts nobody can use."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from ame.diagnosis import Diagnosis, Refused
from ame.spec.problems import Problems

__all__ = ["DEEPEST", "MOST_VALUES", "check_texts", "refuse_bad_aliases"]

DEEPEST = 64
# Keys and values, also of what aliases unfold to: a thousand models and three thousand tasks that leave
# nothing out have 230,000.
MOST_VALUES = 300_000
# Linux starts no program with a longer argument or variable.
LONGEST_TEXT = 2**17 - 1


def refuse_bad_aliases(root: yaml.Node, problems: Problems) -> None:
    """Refuses graphs that contain themselves, or that would unfold to too many nodes or levels."""
    measured: dict[int, tuple[int, int]] = {}
    open_nodes: set[int] = {id(root)}
    stack = [(root, _children(root))]
    while stack:
        node, children = stack[-1]
        for child in children:
            if id(child) in open_nodes:
                raise Refused(_endless(problems, child))
            if id(child) not in measured:
                open_nodes.add(id(child))
                stack.append((child, _children(child)))
                break
        else:
            stack.pop()
            open_nodes.discard(id(node))
            size = depth = 1
            for child in _children(node):
                size += measured[id(child)][0]
                depth = max(depth, 1 + measured[id(child)][1])
                if size > MOST_VALUES or depth > DEEPEST:
                    raise Refused(_too_much(problems, node))
            measured[id(node)] = (size, depth)


def check_texts(root: yaml.Node, text: str, problems: Problems) -> None:
    """Reports texts that hold a NUL, and refuses those that are too long to be of any use.

    Args:
        text: the file, in which a NUL can stand as an escape only.
    """
    escapes = "\\" in text
    if not escapes and len(text) <= LONGEST_TEXT:
        return
    too_long = False
    for node in _scalars(root):
        if len(node.value) > LONGEST_TEXT:
            too_long = True
            problems.add(
                "AME-E116",
                node,
                "this text is too long.",
                why=f"It has {len(node.value):,} characters, and at most {LONGEST_TEXT:,} can be handed to a "
                "command.",
                fix="Put it into a file of the project.",
            )
        elif escapes and "\0" in node.value:
            problems.add(
                "AME-E116",
                node,
                "this text holds a NUL character.",
                fix="Leave it out: no command, variable or file name can hold one.",
            )
    if too_long:
        problems.refuse_errors()


def _scalars(root: yaml.Node) -> Iterator[yaml.ScalarNode]:
    """Every scalar once, however many aliases refer to it."""
    seen: set[int] = set()
    stack = [root]
    while stack:
        node = stack.pop()
        if isinstance(node, yaml.ScalarNode):
            yield node
        elif id(node) not in seen:
            seen.add(id(node))
            stack.extend(_children(node))


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        yield from node.value
    elif isinstance(node, yaml.MappingNode):
        for pair in node.value:
            yield from pair


def _endless(problems: Problems, node: yaml.Node) -> Diagnosis:
    return Diagnosis(
        code="AME-E107",
        where=problems.where(node),
        what="what stands here contains itself through an alias.",
        fix="Write what is meant where the alias (* and the name) stands.",
    )


def _too_much(problems: Problems, node: yaml.Node) -> Diagnosis:
    return Diagnosis(
        code="AME-E107",
        where=problems.where(node),
        what="what stands here unfolds to too much through its aliases.",
        why=f"An AME file unfolds to at most {MOST_VALUES:,} keys and values, {DEEPEST} levels deep.",
        fix="Use fewer aliases: each counts as all that its anchor holds.",
    )
