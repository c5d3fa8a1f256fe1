"""From a file to YAML's node graph, with everything refused that is not one sound YAML document.

The graph is what PyYAML's composer gives: scalars are still text, tags, merge keys and positions are
kept. No type is resolved here (`3.10` stays "3.10", `no` stays "no"): `Node.tag` is empty unless the
file writes one.
"""

from __future__ import annotations

from pathlib import Path

import yaml
from yaml.composer import Composer
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner, ScannerError

from ame.diagnosis import Diagnosis, Refused, Where
from ame.spec.graphs import DEEPEST, MOST_VALUES, check_texts, refuse_bad_aliases
from ame.spec.problems import Problems
from ame.spec.text import place_in, read_text
from ame.spec.yaml_errors import explain, explain_undecoded

try:
    from yaml._yaml import CParser
except ImportError:  # PyYAML was built without libyaml
    CParser = None  # type: ignore[assignment,misc]

__all__ = ["compose_document", "is_null", "read_document"]

# libyaml compares each with all before it.
MOST_TAG_DIRECTIVES = 100

_NULLS = {"", "~", "null", "Null", "NULL"}
_NULL_TAG = "tag:yaml.org,2002:null"


def read_document(path: Path, problems: Problems) -> yaml.MappingNode:
    """The mapping that the file holds.

    Args:
        path: the file.
        problems: gets what is wrong with single texts (AME-E116); its `file` is the name in diagnoses.

    Raises:
        Refused: AME-E104 unreadable, AME-E105 broken YAML, AME-E106 not one mapping, AME-E107
            nested too deeply, more values than are read, or aliases that never end or unfold to too much.
    """
    return compose_document(read_text(path, problems.file), problems)


def compose_document(text: str, problems: Problems) -> yaml.MappingNode:
    """The mapping that a text is.

    Raises:
        Refused: AME-E105, AME-E106 and AME-E107 as `read_document`.
    """
    problems.end = place_in(text, problems.file, len(text))
    root = _compose(text, problems.file)
    if root is None or is_null(root):
        raise Refused(
            Diagnosis(
                code="AME-E106",
                where=Where(problems.file),
                what="the file is empty.",
                fix="The smallest AME file is one line, such as `name: my-project`.",
            )
        )
    if "&" in text:
        refuse_bad_aliases(root, problems)
    check_texts(root, text, problems)
    if not isinstance(root, yaml.MappingNode):
        kind = "a list" if isinstance(root, yaml.SequenceNode) else "a single text"
        raise Refused(
            Diagnosis(
                code="AME-E106",
                where=problems.where(root),
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


def _compose(text: str, shown_as: str) -> yaml.Node | None:
    """The root of the graph; None for a file without a document."""
    if text.count("%TAG") > MOST_TAG_DIRECTIVES:
        raise Refused(
            Diagnosis(
                code="AME-E105",
                where=place_in(text, shown_as, text.index("%TAG")),
                what=f"the file has more than {MOST_TAG_DIRECTIVES} %TAG directives.",
                fix="Leave them out: an AME file needs none.",
            )
        )
    loader = _Loader(text)
    try:
        root: yaml.Node | None = loader.get_single_node()
    except _TooMuchError as error:
        mark = error.node.start_mark
        where = Where(shown_as, mark.line + 1, mark.column + 1)
        diagnosis = Diagnosis(code="AME-E107", where=where, what=error.what, why=error.why, fix=error.fix)
        raise Refused(diagnosis) from None
    except yaml.MarkedYAMLError as error:
        raise Refused(explain(error, text, shown_as)) from None
    except ValueError as error:
        raise Refused(explain_undecoded(error, text, shown_as)) from None
    except yaml.YAMLError as error:
        what = f"this is not YAML: {error}."
        raise Refused(Diagnosis(code="AME-E105", where=Where(shown_as), what=what)) from None
    finally:
        loader.dispose()
    return root


class _TooMuchError(yaml.YAMLError):
    def __init__(self, node: yaml.Node, what: str, why: str, fix: str) -> None:
        super().__init__(what, why, fix)
        self.node = node
        self.what = what
        self.why = why
        self.fix = fix


class _Untyped:
    """A resolver that resolves nothing, and counts how many nodes there are and how deep they stand.

    The composer has no bounds of its own: libyaml's crashes the process at some ten thousand levels, the
    one in Python raises RecursionError at some hundred, and either fills the memory with small nodes.
    """

    depth = 0
    count = 0

    def descend_resolver(self, parent: yaml.Node | None, _index: object) -> None:
        self.depth += 1
        self.count += 1
        if parent is None:
            return
        if self.depth > DEEPEST:
            why = f"More than {DEEPEST} levels stand inside each other."
            fix = "Write it flatter; is a bracket or a dash too many?"
            raise _TooMuchError(parent, "the file is nested too deeply.", why, fix)
        if self.count > MOST_VALUES:
            why = f"Up to here it has {MOST_VALUES:,} keys and values, which is the most that is read."
            fix = "Make two projects of it, each with a folder and an ame.yml of its own."
            raise _TooMuchError(_last(parent), "the file holds too much.", why, fix)

    def ascend_resolver(self) -> None:
        self.depth -= 1

    def resolve(self, _kind: object, _value: object, _implicit: object) -> str:
        return ""


def _last(parent: yaml.Node) -> yaml.Node:
    """What was composed last of a node that is being composed."""
    if not parent.value:
        return parent
    last: yaml.Node = parent.value[-1][1] if isinstance(parent, yaml.MappingNode) else parent.value[-1]
    return last


class _PythonLoader(_Untyped, Reader, Scanner, Parser, Composer):
    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)

    def scan_flow_scalar_non_spaces(self, double: bool, start_mark: yaml.Mark) -> list[str]:
        """As libyaml has it: an escape that is no character is a mistake at a place."""
        try:
            chunks: list[str] = super().scan_flow_scalar_non_spaces(double, start_mark)
            "".join(chunks).encode()
        except (OverflowError, ValueError):
            problem = "found invalid Unicode character escape code"
            context = "while scanning a double-quoted scalar"
            raise ScannerError(context, start_mark, problem, self.get_mark()) from None
        return chunks


if CParser is not None:

    class _CLoader(_Untyped, CParser):
        def __init__(self, text: str) -> None:
            CParser.__init__(self, text)

    _Loader: type[_PythonLoader | _CLoader] = _CLoader
else:
    _Loader = _PythonLoader
