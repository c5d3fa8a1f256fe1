"""From a file to YAML's node graph, with everything refused that is not one sound YAML document.

The graph is what PyYAML's composer gives: scalars are still text, tags, merge keys and positions are
kept. No type is resolved here (`3.10` stays "3.10", `no` stays "no"): `Node.tag` is empty unless the
file writes one.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from yaml.composer import Composer
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner

from ame.diagnosis import Diagnosis, Refused, Where
from ame.spec.file_text import decoded, read_bytes
from ame.spec.yaml_errors import explain

try:
    from yaml._yaml import CParser
except ImportError:  # PyYAML was built without libyaml
    CParser = None  # type: ignore[assignment,misc]

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["compose_document", "is_null", "read_document"]

DEEPEST = 64
# What aliases may unfold to: three times what a file of the largest size without them holds.
MOST_NODES = 1_000_000

_NULLS = {"", "~", "null", "Null", "NULL"}
_NULL_TAG = "tag:yaml.org,2002:null"


def read_document(path: Path, shown_as: str) -> yaml.MappingNode:
    """The mapping that the file holds.

    Args:
        path: the file.
        shown_as: its name in diagnoses.

    Raises:
        Refused: AME-E104 unreadable, AME-E105 broken YAML, AME-E106 not one mapping, AME-E107
            aliases that never end or unfold to too much.
    """
    return compose_document(decoded(read_bytes(path, shown_as), shown_as), shown_as)


def compose_document(text: str, shown_as: str) -> yaml.MappingNode:
    """The mapping that a text is.

    Raises:
        Refused: AME-E105, AME-E106 and AME-E107 as `read_document`.
    """
    where = Where(shown_as)
    try:
        root = _compose(text)
    except _TooDeepError as error:
        raise Refused(
            Diagnosis(
                code="AME-E107",
                where=_at(shown_as, error.node),
                what="the file is nested too deeply.",
                why=f"More than {DEEPEST} levels stand inside each other.",
            )
        ) from None
    except yaml.MarkedYAMLError as error:
        raise Refused(explain(error, text, shown_as)) from None
    except yaml.YAMLError as error:
        raise Refused(Diagnosis(code="AME-E105", where=where, what=f"this is not YAML: {error}.")) from None
    if root is None or is_null(root):
        raise Refused(
            Diagnosis(
                code="AME-E106",
                where=where,
                what="the file is empty.",
                fix="The smallest AME file is one line, such as `name: my-project`.",
            )
        )
    if "&" in text:
        _refuse_bad_aliases(root, shown_as)
    if "\\" in text:
        _refuse_nul(root, shown_as)
    if not isinstance(root, yaml.MappingNode):
        kind = "a list" if isinstance(root, yaml.SequenceNode) else "a single text"
        raise Refused(
            Diagnosis(
                code="AME-E106",
                where=_at(shown_as, root),
                what=f"the file holds {kind}, but an AME file is a mapping of keys to values.",
                fix="Begin with `name: my-project`.",
            )
        )
    return root


def is_null(node: yaml.Node) -> bool:
    """Nothing, `~` or `null` stands here, and no quoted or tagged text."""
    if not isinstance(node, yaml.ScalarNode):
        return False
    return node.tag == _NULL_TAG or (not node.tag and not node.style and node.value in _NULLS)


class _TooDeepError(yaml.YAMLError):
    def __init__(self, node: yaml.Node) -> None:
        super().__init__()
        self.node = node


class _Untyped:
    """A resolver that resolves nothing and counts how deep the composer is.

    The composer recurses without a bound of its own: libyaml's crashes the process at some ten
    thousand levels, the one in Python raises RecursionError at some hundred.
    """

    depth = 0

    def descend_resolver(self, parent: yaml.Node | None, _index: object) -> None:
        self.depth += 1
        if parent is not None and self.depth > DEEPEST:
            raise _TooDeepError(parent)

    def ascend_resolver(self) -> None:
        self.depth -= 1

    def resolve(self, _kind: object, _value: object, _implicit: object) -> str:
        return ""


class _PythonLoader(_Untyped, Reader, Scanner, Parser, Composer):
    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)


if CParser is not None:

    class _CLoader(_Untyped, CParser):
        def __init__(self, text: str) -> None:
            CParser.__init__(self, text)

    _Loader: type[_PythonLoader | _CLoader] = _CLoader
else:
    _Loader = _PythonLoader


def _compose(text: str) -> yaml.Node | None:
    loader = _Loader(text)
    try:
        node: yaml.Node | None = loader.get_single_node()
        return node
    finally:
        loader.dispose()


def _refuse_bad_aliases(root: yaml.Node, shown_as: str) -> None:
    """Refuses graphs that contain themselves, or that would unfold to too many nodes or levels."""
    measured: dict[int, tuple[int, int]] = {}
    open_nodes: set[int] = {id(root)}
    stack = [(root, _children(root))]
    while stack:
        node, children = stack[-1]
        for child in children:
            if id(child) in open_nodes:
                raise Refused(_bad_alias(shown_as, child, "contains itself through an alias"))
            if id(child) not in measured:
                open_nodes.add(id(child))
                stack.append((child, _children(child)))
                break
        else:
            stack.pop()
            open_nodes.discard(id(node))
            below = [measured[id(child)] for child in _children(node)]
            size = 1 + sum(s for s, _ in below)
            depth = 1 + max((d for _, d in below), default=0)
            if size > MOST_NODES or depth > DEEPEST:
                raise Refused(_bad_alias(shown_as, node, "unfolds to too much through its aliases"))
            measured[id(node)] = (size, depth)


def _refuse_nul(root: yaml.Node, shown_as: str) -> None:
    """Refuses a text that escapes put a NUL into: no command, variable or file name can hold one."""
    seen: set[int] = set()
    stack = [root]
    while stack:
        node = stack.pop()
        if isinstance(node, yaml.ScalarNode) and "\0" in node.value:
            raise Refused(
                Diagnosis(
                    code="AME-E116",
                    where=_at(shown_as, node),
                    what="this text holds a NUL character.",
                    fix="Leave it out: no command, variable or file name can hold one.",
                )
            )
        if id(node) not in seen:
            seen.add(id(node))
            stack.extend(_children(node))


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        yield from node.value
    elif isinstance(node, yaml.MappingNode):
        for pair in node.value:
            yield from pair


def _bad_alias(shown_as: str, node: yaml.Node, what: str) -> Diagnosis:
    return Diagnosis(
        code="AME-E107",
        where=_at(shown_as, node),
        what=f"what stands here {what}.",
        why=f"An AME file unfolds to at most {MOST_NODES:,} values and {DEEPEST} levels.",
    )


def _at(shown_as: str, node: yaml.Node) -> Where:
    return Where(shown_as, node.start_mark.line + 1, node.start_mark.column + 1)
